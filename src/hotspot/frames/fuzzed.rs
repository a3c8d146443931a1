//! What fuzzers ask of stacks' parts that nobody else asks for one by one.

use super::walk::CpuFrame;
use super::{Registers, Trust, Walker, oop_mask};
use crate::hotspot::code::{Blob, Method};

/// All blobs of the code cache.
pub(crate) fn blobs<'w>(walker: &'w Walker) -> impl Iterator<Item = Blob> + 'w {
    walker.code.blobs()
}

/// Reads what the oop map at a place of a blob says of a frame's registers.
pub(crate) fn oop_map(walker: &Walker, blob: &Blob, pc: u64, sp: u64) {
    let registers = Registers::default();
    let mut raw = CpuFrame { sp, fp: sp, pc, trust: Trust::Exact, registers };
    walker.update_registers(&mut raw, blob);
}

/// A method's StackMapTable.
pub(crate) fn stack_map(walker: &Walker, method: &Method) -> Vec<u8> {
    walker.stack_map(method).unwrap_or_default()
}

/// What the locals of some code are. The lowest bit of `kind` says that it is static, the next that there are value
/// classes.
pub(crate) fn local_types(
    signature: &[u8],
    table: &[u8],
    code: &[u8],
    max: usize,
    bci: usize,
    kind: u8,
) {
    if let Some(entries) = oop_mask::parameters(signature, kind & 1 != 0) {
        let _ = oop_mask::types(code, kind & 2 != 0, entries, table, max, bci);
    }
}

/// Leaves room for so many frames and values of all threads.
#[cfg(test)]
pub(crate) fn leave(walker: &Walker, frames: u64, values: u64) {
    walker.frames.leave(frames);
    walker.values.leave(values);
}

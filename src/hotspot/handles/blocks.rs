//! JNI local handles: what native code of a thread holds.

use crate::hotspot::Vm;
use crate::hotspot::barrier::Colour;
use crate::hotspot::pointers::may_point;
use crate::hotspot::unexported::{
    FRAME_DATA_HANDLES_AFTER_ANCHOR, HANDLES_PER_BLOCK, POP_FRAME_LINK_AFTER_NEXT, WRAPPER_HANDLES,
};

/// More blocks of 32 handles than any thread has: the list runs in a circle.
const MAX_BLOCKS: usize = 1 << 20;

impl Vm<'_> {
    /// The objects in a chain of JNIHandleBlocks, and in those of the local frames that were
    /// pushed before (JNIHandleBlock::oops_do). `colour` is that of their references, where they
    /// have none themselves.
    pub fn local_handles(&self, first: u64, colour: Option<Colour>) -> Vec<u64> {
        let f = &self.fields;
        let mut out = Vec::new();
        let offsets = (f.jni_block_handles.opt(), f.jni_block_top.opt(), f.jni_block_next.opt());
        let (Some(handles), Some(top), Some(next)) = offsets else { return out };
        let deleted = self.deleted_handle().unwrap_or(0);
        let word = |at: u64| self.mem.u64(at).unwrap_or(0);
        let (mut chain, mut left) = (first, MAX_BLOCKS);
        while chain != 0 && left > 0 {
            let mut block = chain;
            while block != 0 && left > 0 {
                left -= 1;
                let used = u64::from(self.mem.u32(block.wrapping_add(top)).unwrap_or(0));
                for i in 0..used.min(HANDLES_PER_BLOCK) {
                    let bits = word(block.wrapping_add(handles + i * 8));
                    // Free slots lead to one another: tagged, or in 8 no objects.
                    if bits == 0 || bits & 1 != 0 {
                        continue;
                    }
                    let object = self.barrier.plausible(self.mem, bits, colour).unwrap_or(0);
                    if object != 0 && object != deleted && self.klass_of(object).is_some() {
                        out.push(object);
                    }
                }
                // Blocks behind one that is not full are spare ones.
                block = if used < HANDLES_PER_BLOCK { 0 } else { word(block.wrapping_add(next)) };
            }
            chain = word(chain.wrapping_add(next + POP_FRAME_LINK_AFTER_NEXT));
        }
        out
    }

    /// The handles that a native caller had when the VM called Java for it; none where it was not
    /// a JavaCallWrapper.
    pub fn wrapper_handles(&self, wrapper: u64) -> Option<u64> {
        let block = self.mem.u64(wrapper.wrapping_add(WRAPPER_HANDLES)).ok();
        block.filter(|b| wrapper != 0 && *b != 0)
    }

    /// The same of native code that called Java through a stub of its own (Panama), by the stub's
    /// FrameData.
    pub fn upcall_handles(&self, data: u64) -> Option<u64> {
        let anchor = data.wrapping_add(self.fields.upcall_anchor.opt()?);
        let behind = anchor.wrapping_add(self.tables.size_of("JavaFrameAnchor")?);
        self.mem.u64(behind.wrapping_add(FRAME_DATA_HANDLES_AFTER_ANCHOR)).ok().filter(|b| *b != 0)
    }

    /// Whether a JNIHandleBlock may be at `addr`: a chain of one is.
    pub(super) fn is_handle_block(&self, addr: u64) -> bool {
        let f = &self.fields;
        let (Some(top), Some(next)) = (f.jni_block_top.opt(), f.jni_block_next.opt()) else {
            return false;
        };
        let used = self.mem.u32(addr.wrapping_add(top)).ok();
        let next = self.mem.u64(addr.wrapping_add(next)).ok();
        may_point(addr)
            && used.is_some_and(|u| u64::from(u) <= HANDLES_PER_BLOCK)
            && next.is_some_and(|n| n == 0 || n.is_multiple_of(8) && self.mem.u64(n).is_ok())
    }
}

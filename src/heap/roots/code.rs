//! Constants of compiled code, which HotSpot's own search visits (nmethod::oops_do): those of all code, or of that
//! which has a frame on a thread's stack.

use std::collections::BTreeMap;

use crate::hotspot::Vm;
use crate::hotspot::code::{BlobKind, Nmethod};
use crate::hotspot::frames::Walker;

/// Words that may be references, of the code that `walker` met frames of; and of that which any word on a stack in
/// `broken` may be a return address of. Or of all code, where HotSpot visits it.
pub(super) fn constants(walker: &Walker, broken: &[(u64, u64)]) -> Vec<u64> {
    let vm = walker.vm;
    if visits_all(vm) {
        return walker.code.nmethods().flat_map(|nm| nm.constants(vm)).collect();
    }
    let mut out: Vec<u64> = walker.nmethods_met().iter().flat_map(|nm| nm.constants(vm)).collect();
    let mut found = BTreeMap::new();
    for (from, to) in broken.iter().flat_map(|s| vm.mem.present(s.0, s.1)) {
        let from = from.next_multiple_of(8);
        let bytes = vm.mem.slice(from, to.saturating_sub(from)).unwrap_or(&[]);
        let words = bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b));
        let blobs = words.filter(|w| walker.code.contains(*w)).filter_map(|w| walker.code.find(w));
        found.extend(blobs.filter(|b| b.kind == BlobKind::Nmethod).map(|b| (b.addr, b)));
    }
    let read = found.values().filter_map(|blob| Nmethod::read(vm, blob).ok());
    out.extend(read.flat_map(|nm| nm.constants(vm)));
    out
}

/// In a heap dump Shenandoah does, and so does ZGC where classes are not unloaded, which until 11 they never are.
fn visits_all(vm: &Vm) -> bool {
    let flags = &vm.flags;
    flags.bool("UseShenandoahGC") || flags.has("ClassUnloading") && !flags.bool("ClassUnloading")
}

//! Words that may be references, and whether an object starts where they lead.
//!
//! A word on a stack proves nothing. It counts where it has the form of a reference, and a walk
//! over the objects of its region comes by the place.

use super::Heap;
use super::klasses::NO_KLASS;
use super::marks::Marks;
use super::probe::{Found, moved, probe, resumes};

/// The objects, not yet marked, that words in `memory` and `words` lead to; in order.
pub(super) fn find(heap: &Heap, marks: &Marks, memory: &[(u64, u64)], words: &[u64]) -> Vec<u64> {
    let vm = heap.vm;
    let mut candidates = Vec::new();
    let mut try_one = |bits: u64| {
        let addr = vm.barrier.plausible(vm.mem, bits, None).filter(|a| *a != 0);
        let Some(addr) = addr else { return };
        if let Some(mark) = marks.locate(addr)
            && !marks.is_marked(mark)
        {
            candidates.push((mark.region, addr));
        }
    };
    let mut word = |word: u64| {
        try_one(word);
        if vm.pointers.narrow_oops {
            try_one(vm.pointers.widen(word as u32));
            try_one(vm.pointers.widen((word >> 32) as u32));
        }
    };
    words.iter().for_each(|w| word(*w));
    for &(start, end) in memory {
        for (from, to) in vm.mem.present(start, end) {
            let from = from.next_multiple_of(8);
            let bytes = vm.mem.slice(from, to.saturating_sub(from)).unwrap_or(&[]);
            for bytes in bytes.as_chunks::<8>().0 {
                word(u64::from_le_bytes(*bytes));
            }
        }
    }
    candidates.sort_unstable();
    candidates.dedup();
    let mut gaps: Vec<(u64, u64)> = heap.threads.iter().filter_map(|t| t.tlab_gap).collect();
    gaps.sort_unstable();
    let mut out = Vec::new();
    for region in candidates.chunk_by(|a, b| a.0 == b.0) {
        let addresses: Vec<u64> = region.iter().map(|c| c.1).collect();
        starts(heap, region[0].0, &addresses, &gaps, &mut out);
    }
    out
}

/// Those of `wanted` (in order) where a walk over the region meets an object.
fn starts(heap: &Heap, region: usize, wanted: &[u64], gaps: &[(u64, u64)], out: &mut Vec<u64>) {
    let r = &heap.collected.regions[region];
    let alignment = heap.vm.pointers.alignment;
    let mut wanted = wanted.iter().copied().peekable();
    let mut at = r.start;
    while let Some(&next) = wanted.peek() {
        if next < at {
            wanted.next(); // inside of an object
            continue;
        }
        if at >= r.top {
            break;
        }
        let gap = gaps.partition_point(|g| g.0 < at);
        if let Some(&(from, to)) = gaps.get(gap)
            && from == at
            && to > at
        {
            at = to;
            continue;
        }
        match probe_old(heap, at, r.top) {
            Some((klass, size)) => {
                if next == at && klass != NO_KLASS {
                    out.push(at);
                }
                at += size;
            }
            None => {
                at += alignment;
                while at < r.top && !resumes(heap, at, r.top) {
                    at += alignment;
                }
            }
        }
    }
}

/// Klass and size of an object, also of an old copy, which is no candidate: the new one is.
fn probe_old(heap: &Heap, at: u64, end: u64) -> Option<(u32, u64)> {
    if let Some((size, _)) = moved(heap, at) {
        return Some((NO_KLASS, size));
    }
    match probe(heap, at, end) {
        Found::Object(klass, size) => Some((klass, size)),
        Found::Dormant(size) | Found::Skip(size) | Found::Moved(size, _) | Found::Torn(size) => {
            Some((NO_KLASS, size))
        }
        Found::Nothing(_) => None,
    }
}

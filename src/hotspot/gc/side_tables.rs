//! What a collector keeps beside its heap, as far as the tables lead to it.

use super::CollectedHeap;
use crate::collector::Collector;
use crate::hotspot::Vm;

/// A table beside the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideTable {
    /// HotSpot's word for it.
    pub name: &'static str,
    /// First address.
    pub start: u64,
    /// First address after what is reserved for it.
    pub end: u64,
}

/// Tables larger than the part of a heap that they stand for are damage.
const MAX_TABLE: u64 = 1 << 42;

/// The card table and the mark bitmap.
pub fn side_tables(vm: &Vm, heap: &CollectedHeap) -> Vec<SideTable> {
    let table = |name, (start, size): (u64, u64)| {
        let end = start.checked_add(size).filter(|_| start > 0 && size <= MAX_TABLE)?;
        Some(SideTable { name, start, end })
    };
    let cards = card_table(vm, heap.collector).and_then(|t| table("card table", t));
    let bits = heap.marks.zip(heap.reserved).and_then(|(marks, (start, end))| {
        let size = (end.checked_sub(start)? >> marks.shift) / 8;
        table("mark bitmap", (marks.map, size))
    });
    cards.into_iter().chain(bits).collect()
}

/// Where it starts, and its bytes. Until 8 it is the barrier set itself.
fn card_table(vm: &Vm, collector: Collector) -> Option<(u64, u64)> {
    use Collector::{Cms, G1, Parallel, Serial};
    if !matches!(collector, Cms | G1 | Parallel | Serial) {
        return None;
    }
    let f = &vm.fields;
    let word = |at: u64| vm.mem.u64(at).ok();
    let set = match f.barrier_set.opt() {
        Some(set) => word(set)?,
        None => word(word(f.collected_heap.opt()?)?.wrapping_add(f.heap_barrier_set.opt()?))?,
    };
    let table = match f.barrier_card_table.opt() {
        Some(offset) => word(set.wrapping_add(offset))?,
        None => set,
    };
    let field = |offset: u64| word(table.wrapping_add(offset));
    Some((field(f.card_map.opt()?)?, field(f.card_map_size.opt()?)?))
}

//! The heaps of thread arenas (`heap_info`): mappings of a fixed alignment that lead to their arena.

use std::collections::HashSet;

use crate::corefile::memory::{Memory, PAGE};

use super::layout::{
    HEAP_INFO, HEAP_MAX, HEAP_PREV_AT, HEAP_SIZE_AT, HEAP_USABLE_AT, HUGE_HEAP_MAX,
};
use super::{Area, Problems};

/// A heap that was found by its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stray {
    heap: Heap,
    /// Where it says its arena is.
    pub(super) arena: u64,
    /// Whether the arena is right behind its header.
    pub(super) is_first: bool,
}

/// A heap of a thread arena.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heap {
    pub(super) start: u64,
    /// In bytes, its header included.
    pub(super) size: u64,
    prev: u64,
}

impl Heap {
    fn read(mem: &Memory, start: u64, largest: u64) -> Option<(Heap, u64)> {
        let word = |at| mem.u64(start.checked_add(at)?).ok();
        let (arena, prev) = (word(0)?, word(HEAP_PREV_AT)?);
        let (size, usable) = (word(HEAP_SIZE_AT)?, word(HEAP_USABLE_AT)?);
        let fits = (PAGE..=largest).contains(&size) && size <= usable && usable <= largest;
        let whole = size.is_multiple_of(PAGE) && start.is_multiple_of(largest);
        let heap = Heap { start, size, prev };
        (fits && whole && start.checked_add(size).is_some()).then_some((heap, arena))
    }

    /// The one at `start`, if it is a heap of this arena.
    fn of(mem: &Memory, start: u64, largest: u64, arena: u64) -> Option<Heap> {
        Heap::read(mem, start, largest).filter(|(_, a)| *a == arena).map(|(heap, _)| heap)
    }

    /// The first address behind it.
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }
}

/// The bytes of the header of a thread arena's first heap, right behind which it lies.
pub(super) fn header(mem: &Memory, arena: u64) -> Option<u64> {
    let is_before = |n: u64| arena.checked_sub(n).is_some_and(|heap| mem.u64(heap) == Ok(arena));
    HEAP_INFO.into_iter().find(|n| is_before(*n))
}

/// All heaps that begin where heaps do.
pub(super) fn strays(mem: &Memory, areas: &[Area<'_>]) -> Vec<Stray> {
    let mut out = Vec::new();
    for a in areas.iter().filter(|a| a.writable && !a.name.starts_with(b"/")) {
        // Only where there is memory: a mapping may be of any size.
        for (start, end) in mem.present(a.start, a.end) {
            let Some(first) = start.checked_next_multiple_of(HEAP_MAX) else { break };
            for at in (first..end).step_by(HEAP_MAX as usize) {
                if let Some((heap, arena)) = Heap::read(mem, at, HEAP_MAX) {
                    let is_first = HEAP_INFO.iter().any(|n| at + n == arena);
                    out.push(Stray { heap, arena, is_first });
                }
            }
        }
    }
    out
}

/// The heaps of the thread arena at `arena`, lowest first, and the bytes of a heap's header. The last one holds its `top`
/// and leads to those before; [`strays`] must be the same.
pub(super) fn of(
    mem: &Memory,
    arena: u64,
    top: u64,
    strays: &[Stray],
    problems: &mut Problems,
) -> Option<(Vec<Heap>, u64)> {
    let Some(header) = header(mem, arena) else {
        problems.say("no heap's header is before it".into());
        return None;
    };
    let last = [HEAP_MAX].into_iter().chain(HUGE_HEAP_MAX).find_map(|max| {
        let start = top & !(max - 1);
        Heap::of(mem, start, max, arena).map(|heap| (heap, max))
    });
    let largest = last.map_or(HEAP_MAX, |(_, max)| max);
    let (mut at, mut seen, mut out) = (last.map(|(heap, _)| heap), HashSet::new(), Vec::new());
    let mut whole = false;
    while let Some(heap) = at.filter(|h| seen.insert(h.start)) {
        out.push(heap);
        whole = heap.prev == 0;
        at = Heap::of(mem, heap.prev, largest, arena);
    }
    if !whole {
        problems.say("the list of its heaps is damaged".into());
    }
    let lost = strays.iter().filter(|s| s.arena == arena && !seen.contains(&s.heap.start));
    let lost: Vec<Heap> = lost.map(|s| s.heap).collect();
    if !lost.is_empty() {
        problems.say(format!("heaps that are not in the list of its heaps: {}", lost.len()));
    }
    out.extend(lost);
    let first = arena - header;
    if out.iter().all(|h| h.start != first) {
        problems.say(format!("its first heap, at {first:#x}, has no sound header"));
    }
    out.sort_by_key(|h| h.start);
    out.dedup_by(|next, heap| next.start < heap.end());
    Some((out, header))
}

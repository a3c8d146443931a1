//! Whether a full collection was under way that slides objects together, and how far it had come.
//!
//! All of it is read off the heap, whichever collector it was (Serial, CMS, G1, and Parallel from 24 on): where headers say
//! that objects will be, whether they are there already, and of which kind the references are that mean one place only.
//! Parallel's before wrote nothing into headers, and has a table.

mod border;
mod headers;
mod parallel;
mod votes;
mod words;

use super::Vm;
use super::barrier::compaction::{Compaction, Piece};
use super::gc::{self, CollectedHeap, Region};
use super::unexported::full_gc::PARALLEL_REGION;
use crate::collector::Collector;
use headers::{Header, Headers, Sizes};

/// Votes of one kind that are noise among so many of the other: words that are no references.
const NOISE: usize = 50;

/// What a full collection had done, if one had begun to write where objects will be.
pub(crate) fn find(vm: &Vm) -> Option<Compaction> {
    let heap = gc::open(vm).ok()?;
    if heap.reachable_only {
        return None;
    }
    let Some(headers) = Headers::read(vm, &heap) else {
        let is_parallel = heap.collector == Collector::Parallel;
        return is_parallel.then(|| parallel::find(vm, &heap)).flatten();
    };
    let pieces = pieces(&heap.regions, heap.collector);
    // As if objects were being moved: those that are in their new places stand there.
    let come = headers.come(vm, &pieces);
    let mut found = headers.compaction(&heap.regions, &pieces, |i| !come[i]);
    let mut counted = votes::count(vm, &heap, &mut found);
    found.moving = counted.new > counted.old * NOISE;
    if !found.moving && come.contains(&true) {
        // None had been moved: what looked like that are equal objects.
        found = headers.compaction(&heap.regions, &pieces, |_| true);
        counted = votes::count(vm, &heap, &mut found);
    }
    found.roots_adjusted = votes::roots(vm, &found).unwrap_or(counted.new > counted.old);
    found.humongous = humongous(vm, &heap, &found);
    Some(found)
}

/// G1's humongous objects whose headers lead to themselves: 11 marks those that are alive by that, others may.
fn humongous(vm: &Vm, heap: &CollectedHeap, found: &Compaction) -> Vec<u64> {
    let sizes = Sizes::new(vm);
    let is_one = |r: &&Region| {
        let mark = vm.mem.u64(r.start).unwrap_or(0);
        found.forwarding.target(mark) == Some(r.start)
            && sizes.of(vm, r.start, r.top).is_some_and(|size| size > (r.end - r.start) / 2)
    };
    let regions = heap.regions.iter().filter(|_| heap.collector == Collector::G1);
    regions.filter(is_one).map(|r| r.start).collect()
}

/// How far each region will be filled.
fn tops(regions: &[Region], all: &[Header]) -> Vec<(u64, u64)> {
    let mut tops: Vec<(u64, u64)> = regions.iter().map(|r| (r.start, 0)).collect();
    for h in all {
        let i = regions.partition_point(|r| r.end <= h.to);
        tops[i].1 = tops[i].1.max(h.to + h.size);
    }
    tops
}

/// What one thread of the collector works on in one go.
fn pieces(regions: &[Region], collector: Collector) -> Vec<Piece> {
    let size = if collector == Collector::Parallel { PARALLEL_REGION } else { u64::MAX };
    let mut out = Vec::new();
    for r in regions {
        let mut start = r.start;
        while start < r.end {
            let end = start.saturating_add(size).min(r.end);
            out.push(Piece { start, end, first: start, adjusted_below: start, filled_below: end });
            start = end;
        }
    }
    out
}

//! Places where an object starts whatever lies before them: memory that was given out and not written yet holds what
//! was there before, and that may seem to reach into objects that are real.

use std::mem::take;

use super::Heap;
use super::klasses::NO_KLASS;
use super::probe::{Found, HEADER, probe, resumes};
use super::walk::{Object, Visitor, walk_between};
use crate::error::Result;
use crate::hotspot::barrier::Barrier;

/// The starts of TLABs, and in a collection of all new copies that old ones lead to: 8 bytes each, in order.
pub(super) fn find(heap: &Heap, threads: usize) -> Result<Vec<u64>> {
    let mut found: Vec<u64> = heap.threads.iter().map(|t| t.tlab_start).collect();
    found.retain(|start| *start != 0);
    found.sort_unstable();
    // What a full collection has done is known by other means.
    if heap.moving && matches!(heap.vm.barrier, Barrier::Forwarded(_)) {
        let known = take(&mut found);
        walk_between(heap, &known, threads, Copies::default, |copies, _| {
            found.append(&mut copies.0);
            Ok(())
        })?;
        found.extend(known);
        found.sort_unstable();
    }
    found.dedup();
    Ok(found)
}

/// The first of them (in order) that lies behind `at`, and before `end`; else `end`.
pub(super) fn behind(certain: &[u64], at: u64, end: u64) -> u64 {
    certain.get(certain.partition_point(|c| *c <= at)).map_or(end, |c| end.min(*c))
}

/// Where new copies are.
#[derive(Default)]
struct Copies(Vec<u64>);

impl Visitor for Copies {
    fn object(&mut self, _: Object) {}

    fn moved(&mut self, to: u64) {
        self.0.push(to);
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// Steps that a look into one object may take: a chunk of the smallest objects has fewer.
const MAX_STEPS: usize = 1 << 16;

/// Where an object starts inside of what seems to be one, from `last` to `at`: there nothing starts, but objects that
/// begin inside follow one another past it. The first is then of old, in memory that was given out and not written yet,
/// or behind such. None of them reaches beyond `end`.
pub(super) fn inside(heap: &Heap, last: u64, at: u64, end: u64) -> Option<u64> {
    let p = &heap.vm.pointers;
    let run = heap.vm.mem.contiguous(last).min(end - last).min(at + HEADER - last);
    let run = heap.vm.mem.slice(last, run).ok()?;
    let mut steps = 0;
    (last..at).step_by(p.alignment as usize).skip(1).find(|start| {
        let head = run.get((start - last) as usize..).filter(|h| h.len() >= 16);
        let is_one = |head: &[u8]| {
            p.klass_of(head).is_some_and(|k| heap.klasses.number(k) != NO_KLASS)
                && head.first_chunk().is_some_and(|m| p.is_at_rest(u64::from_le_bytes(*m)))
        };
        let mut next = *start;
        while head.is_some_and(is_one) && next < at && steps < MAX_STEPS {
            steps += 1;
            match probe(heap, next, end) {
                Found::Object(_, size) => next = super::probe::behind(heap, next, size, end),
                _ => return false,
            }
        }
        next > at && (next == end || resumes(heap, next, end))
    })
}

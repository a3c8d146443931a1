//! Places where an object starts whatever lies before them: memory that was given out and not written yet holds what
//! was there before, and that may seem to reach into objects that are real.

use super::Heap;
use super::klasses::NO_KLASS;
use super::probe::{Found, HEADER, probe, resumes};

/// Steps that a look into one object may take: a chunk of the smallest objects has fewer.
const MAX_STEPS: usize = 1 << 16;

/// The first of these places (in order) that lies behind `at`, and before `end`; else `end`.
pub(super) fn behind(certain: &[u64], at: u64, end: u64) -> u64 {
    certain.get(certain.partition_point(|c| *c <= at)).map_or(end, |c| end.min(*c))
}

/// Where an object starts inside of what seems to be one, from `last` to `at`: there nothing starts, but objects that
/// begin inside follow one another past it. The first is then of old, in memory that was given out and not written yet,
/// or behind such. None of them reaches beyond `end`.
pub(super) fn inside(heap: &Heap, last: u64, at: u64, end: u64) -> Option<u64> {
    let p = &heap.vm.pointers;
    let run = heap.vm.mem.contiguous(last).min(end - last).min(at + HEADER - last);
    let run = heap.vm.mem.slice(last, run).ok()?;
    let mut steps = 0;
    (last..at).step_by(p.alignment as usize).skip(1).find(|start| {
        let Some(head) = run.get((start - last) as usize..).filter(|h| h.len() >= 16) else {
            return false;
        };
        let is_loaded = p.klass_of(head).is_some_and(|k| heap.klasses.number(k) != NO_KLASS);
        let mark = head.first_chunk().map(|m| u64::from_le_bytes(*m));
        if !is_loaded || !mark.is_some_and(|m| p.is_at_rest(m)) {
            return false;
        }
        let mut next = *start;
        while next < at {
            steps += 1;
            match probe(heap, next, end) {
                Found::Object(_, size) if steps < MAX_STEPS => {
                    next = super::probe::behind(heap, next, size, end);
                }
                _ => return false,
            }
        }
        next > at && (next == end || resumes(heap, next, end))
    })
}

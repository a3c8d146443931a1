//! What becomes of a chunk of the heap that rjcore itself fails on: a panic costs the object that it is met on.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::chunks::Chunk;
use super::report::{Damage, DamageKind, WalkReport};
use crate::panics::survive;

/// Objects of a chunk that rjcore may fail on: each has all before it walked again, and more than a few are no accident.
/// Beyond these the chunk is given up.
const MAX_FAILED: usize = 16;

/// Has `walk` walk a chunk, and where it panics again, on a new visitor, without the object that it panicked on. `walk`
/// is told the addresses to step over, and tells where it is.
pub(super) fn around_failures<V>(
    chunk: &Chunk,
    start: u64,
    end: &AtomicU64,
    visitor: &mut V,
    make: impl Fn() -> V,
    walk: impl Fn(&mut V, &Cell<u64>, &[u64]) -> (WalkReport, u64),
) -> (WalkReport, u64) {
    let mut failed = Vec::new();
    loop {
        let here = Cell::new(start);
        if let Some(walked) = survive(|| walk(visitor, &here, &failed)) {
            return walked;
        }
        // What it had of the chunk is nobody's any more.
        *visitor = make();
        // The same again: it was not the object.
        if failed.len() == MAX_FAILED || failed.last() == Some(&here.get()) {
            let mut report = WalkReport::default();
            let (kind, space) = (DamageKind::Failed, chunk.space);
            report.add_damage(Damage { kind, space, start, end: chunk.limit });
            end.store(chunk.limit, Ordering::Relaxed);
            return (report, chunk.limit);
        }
        failed.push(here.get());
    }
}

//! A chunk of the heap that has to be walked again without something in it: an object that rjcore itself fails on (a
//! panic costs that object), or what only seemed to be one.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::chunks::Chunk;
use super::report::{Damage, DamageKind, WalkReport};
use crate::panics::survive;

/// Times that a chunk is walked again: each has all before walked again, and more than a few are no accident. An object
/// that rjcore fails on beyond these ends the chunk.
const MAX_AGAIN: usize = 16;

/// What is not an object, though it seems to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Without {
    /// Where it starts.
    pub at: u64,
    /// Why.
    pub kind: DamageKind,
    /// Where an object starts again, if that is known.
    pub next: Option<u64>,
}

/// What a chunk is walked without.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'k> {
    /// Where the walk is: it says so before each object.
    pub here: &'k Cell<u64>,
    /// In order.
    pub without: &'k [Without],
    /// Whether the walk may ask to be done again.
    pub may_ask: bool,
}

/// What a walk was, or what it has to be done again without.
pub(super) type Walked = Result<(WalkReport, u64), Without>;

/// Has `walk` walk a chunk, and again on a new visitor without what it asks to be spared or panicked on.
pub(super) fn around_failures<V>(
    chunk: &Chunk,
    start: u64,
    end: &AtomicU64,
    visitor: &mut V,
    make: impl Fn() -> V,
    walk: impl Fn(&mut V, Known) -> Walked,
) -> (WalkReport, u64) {
    let mut without: Vec<Without> = Vec::new();
    loop {
        let here = Cell::new(start);
        let may_ask = without.len() < MAX_AGAIN;
        let known = Known { here: &here, without: &without, may_ask };
        let spared = match survive(|| walk(visitor, known)) {
            Some(Ok(walked)) => return walked,
            Some(Err(spared)) => spared,
            None => Without { at: here.get(), kind: DamageKind::Failed, next: None },
        };
        // What it had of the chunk is nobody's any more.
        *visitor = make();
        // The same again: it was not the object.
        if !may_ask || without.last().is_some_and(|last| last.at == spared.at) {
            let mut report = WalkReport::default();
            let (kind, space) = (spared.kind, chunk.space);
            report.add_damage(Damage { kind, space, start, end: chunk.limit });
            end.store(chunk.limit, Ordering::Relaxed);
            return (report, chunk.limit);
        }
        without.push(spared);
        without.sort_unstable_by_key(|w| w.at);
    }
}

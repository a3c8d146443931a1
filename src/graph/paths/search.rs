//! The search from the roots, level by level.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::super::dominators::Watch;
use super::super::rule::Ruled;
use super::super::{Bits, Id, ObjectGraph, Strength};

/// Objects of a level that one thread looks at in one go; smaller levels are looked at by one.
const PIECE: usize = 1024;
/// So far ahead the processor is asked for what will be read.
const AHEAD: usize = 8;

/// What is sought.
pub(super) struct Search<'a, 'g, G> {
    pub ruled: &'a Ruled<'g, G>,
    pub weakest: Strength,
    /// Ends once all of these are met: places, in order.
    pub targets: Option<Vec<u64>>,
    /// Does not lead through this one, and ends once so many that refer to it are met.
    pub avoid: Option<(u64, usize)>,
}

/// What a search found.
pub(super) struct Found<I: Id> {
    pub holders: Vec<I::Atomic>,
    /// Who refers to the object that was avoided.
    pub referrers: Vec<u64>,
    /// There is more behind the last level.
    pub ended_early: bool,
}

/// What came of a piece of a level.
#[derive(Default)]
struct Piece<I> {
    /// The places of the next level that this piece met first.
    next: Vec<I>,
    referrers: Vec<u64>,
}

impl<'a, 'g, G: ObjectGraph> Search<'a, 'g, G> {
    /// For all objects.
    pub(super) fn of(ruled: &'a Ruled<'g, G>, weakest: Strength) -> Self {
        Search { ruled, weakest, targets: None, avoid: None }
    }

    /// By all threads of the pool that this is called in.
    pub(super) fn run<I: Id>(&self, watch: Watch<'_>) -> Found<I> {
        let numbers = self.ruled.graph.numbers();
        (watch.step)("following paths", numbers.len());
        let none = || I::of(I::MAX).atomic();
        let holders = (0..numbers.len()).into_par_iter().map(|_| none()).collect();
        let mut found = Found { holders, referrers: Vec::new(), ended_early: false };
        let met = Bits::new(numbers.places());
        let left = AtomicU64::new(self.targets.as_ref().map_or(u64::MAX, |t| t.len() as u64));
        let avoided = self.avoid.map(|(place, _)| place).filter(|p| numbers.has(*p));
        if let Some(place) = avoided {
            met.set(place);
        }
        let mut level: Vec<I> = Vec::new();
        for &root in self.ruled.roots.iter().filter(|r| numbers.has(**r)) {
            if !met.set(root) {
                let number = I::of(numbers.rank(root));
                I::lower(&found.holders[number.index()], number);
                level.push(I::of(root));
                self.count(root, &left);
            }
        }
        while !level.is_empty() {
            let enough = self.avoid.is_some_and(|(_, most)| found.referrers.len() >= most);
            if enough || left.load(Ordering::Relaxed) == 0 {
                found.ended_early = true;
                break;
            }
            let look = |piece: &[I]| self.look(piece, &met, &found.holders, &left);
            let pieces: Vec<Piece<I>> = match level.len() {
                0..=PIECE => vec![look(&level)],
                _ => level.par_chunks(PIECE).map(look).collect(),
            };
            (watch.add)(level.len() as u64);
            level.clear();
            let mut referrers = Vec::new();
            for piece in pieces {
                level.extend(piece.next);
                referrers.extend(piece.referrers);
            }
            referrers.sort_unstable();
            found.referrers.extend(referrers);
            let seen = |place: &I| {
                met.set(place.number());
            };
            match level.len() {
                0..=PIECE => level.iter().for_each(seen),
                _ => level.par_iter().with_min_len(PIECE).for_each(seen),
            }
        }
        found
    }

    /// Looks at what some objects of a level refer to. `met` has those of the levels before and of this one.
    fn look<I: Id>(
        &self,
        places: &[I],
        met: &Bits,
        holders: &[I::Atomic],
        left: &AtomicU64,
    ) -> Piece<I> {
        let graph = self.ruled.graph;
        let numbers = graph.numbers();
        let avoided = self.avoid.map(|(place, _)| place);
        let mut piece = Piece::default();
        for (i, place) in places.iter().enumerate() {
            if let Some(ahead) = places.get(i + AHEAD) {
                graph.prefetch(ahead.number());
            }
            let place = place.number();
            let own = I::of(numbers.rank(place));
            let mut refers = false;
            self.ruled.references(place, |target, strength| {
                if strength > self.weakest {
                    return;
                }
                refers |= Some(target) == avoided;
                if met.has(target) || !numbers.has(target) {
                    return;
                }
                let holder = &holders[numbers.rank(target) as usize];
                if I::lower(holder, own).number() == I::MAX {
                    piece.next.push(I::of(target));
                    self.count(target, left);
                }
            });
            if refers {
                piece.referrers.push(place);
            }
        }
        piece
    }

    /// One more was met.
    fn count(&self, place: u64, left: &AtomicU64) {
        let is_target = |targets: &Vec<u64>| targets.binary_search(&place).is_ok();
        if self.targets.as_ref().is_some_and(is_target) {
            left.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

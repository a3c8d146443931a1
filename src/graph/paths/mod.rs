//! The shortest paths that lead from roots to objects, and who refers to an object.
//!
//! Roots and what holds are those of dominators (`rule`): what a thread has in its frames hangs on the thread's object;
//! classes that are never unloaded are roots; an object keeps its class where that can be unloaded.
//!
//! A search level by level, all of a level by all threads. Of several holders in one level the one with the lowest
//! place counts, so the paths are the same at any number of threads. It ends with the level in which the last of
//! those that are sought was met.
//!
//! Memory: 4 bytes an object (8 with numbers of 8) and a bit for each place; 4 bytes for each object of the two levels
//! at hand.

mod link;
mod referrers;
mod search;
#[cfg(test)]
mod tests;

pub use link::{By, Link};
pub use referrers::{Referrer, Referrers, referrers};

use std::collections::HashMap;

use super::dominators::{Watch, check_fits};
use super::rule::{Rule, Ruled};
use super::{Id, ObjectGraph, Strength};
use crate::error::Result;
use search::Search;

/// Shortest paths from roots. `I` is the kind of number that objects and places have.
pub struct Paths<'g, G, I: Id> {
    ruled: Ruled<'g, G>,
    weakest: Strength,
    /// By an object's number that of its holder: its own of a root, the largest there is where no path leads to it.
    holders: Vec<I::Atomic>,
    /// The numbers of the roots of the graph by who is held: from outside, or by a thread with its frames.
    roots: HashMap<u64, u32>,
    locals: HashMap<(u64, u64), u32>,
}

/// Paths that do not lead through one object, and who refers to it on them.
pub struct Apart<'g, G, I: Id> {
    /// The paths.
    pub paths: Paths<'g, G, I>,
    /// Those that refer to the object, the nearest to a root first, then by place. More than were asked for where the
    /// last ones are as far away.
    pub referrers: Vec<u64>,
    /// Whether there may be more, farther away.
    pub has_more: bool,
}

impl<'g, G: ObjectGraph, I: Id> Paths<'g, G, I> {
    /// Finds the paths that consist of references that are at least as strong as `weakest`, by all threads of `pool`.
    /// Ends where the places of `targets` are all reached; without any, all objects that can be are.
    ///
    /// An error where numbers of this kind do not do (see [`super::dominators::fits`]), and where `watch` allows no
    /// more memory.
    pub fn find(
        graph: &'g G,
        weakest: Strength,
        targets: Option<&[u64]>,
        pool: &rayon::ThreadPool,
        watch: Watch<'_>,
    ) -> Result<Paths<'g, G, I>> {
        let mut targets = targets.map(<[u64]>::to_vec);
        if let Some(targets) = &mut targets {
            targets.retain(|t| graph.numbers().has(*t));
            targets.sort_unstable();
            targets.dedup();
        }
        let ruled = ruled::<G, I>(graph, watch)?;
        let search = Search { targets, ..Search::of(&ruled, weakest) };
        let found = pool.install(|| search.run::<I>(watch));
        Ok(Paths::of(ruled, weakest, found.holders))
    }

    /// Finds paths that do not lead through the object at `place`, up to those of the `most` nearest objects that
    /// refer to it.
    pub fn apart(
        graph: &'g G,
        weakest: Strength,
        place: u64,
        most: usize,
        pool: &rayon::ThreadPool,
        watch: Watch<'_>,
    ) -> Result<Apart<'g, G, I>> {
        let ruled = ruled::<G, I>(graph, watch)?;
        let search = Search { avoid: Some((place, most)), ..Search::of(&ruled, weakest) };
        let found = pool.install(|| search.run::<I>(watch));
        let paths = Paths::of(ruled, weakest, found.holders);
        Ok(Apart { paths, referrers: found.referrers, has_more: found.ended_early })
    }

    /// No paths, but why objects are roots and how one holds another.
    pub fn links(graph: &'g G, weakest: Strength) -> Paths<'g, G, I> {
        Paths::of(Ruled::new(graph, Rule::Strong), weakest, Vec::new())
    }

    fn of(ruled: Ruled<'g, G>, weakest: Strength, holders: Vec<I::Atomic>) -> Paths<'g, G, I> {
        let (roots, locals) = link::roots(&ruled);
        Paths { ruled, weakest, holders, roots, locals }
    }

    /// The graph.
    pub fn graph(&self) -> &'g G {
        self.ruled.graph
    }

    /// Whether the object at `place` is held from outside.
    pub fn is_root(&self, place: u64) -> bool {
        self.ruled.roots.binary_search(&place).is_ok()
    }

    /// Whether a path leads to the object at `place`, and was looked for so far.
    pub fn is_reached(&self, place: u64) -> bool {
        self.holder_number(place).is_some()
    }

    /// The place of who holds the object on its path; none of a root, and of what no path leads to.
    pub fn holder(&self, place: u64) -> Option<u64> {
        let holder = self.holder_number(place)?;
        let holder = self.graph().numbers().select(holder)?;
        (holder != place).then_some(holder)
    }

    fn holder_number(&self, place: u64) -> Option<u64> {
        let numbers = self.graph().numbers();
        let number = numbers.has(place).then(|| numbers.rank(place))?;
        let holder = I::load(self.holders.get(number as usize)?).number();
        (holder != I::MAX).then_some(holder)
    }

    /// The places on the path to the object at `place`, a root's first and `place` last; empty where none leads to it.
    pub fn path(&self, place: u64) -> Vec<u64> {
        let mut path = Vec::new();
        let mut at = Some(place).filter(|p| self.is_reached(*p));
        while let Some(place) = at {
            path.push(place);
            at = self.holder(place);
        }
        path.reverse();
        path
    }

    /// How many references the path to the object at `place` has; 0 of a root, none where no path leads to it.
    pub fn length(&self, place: u64) -> Option<u64> {
        let mut length = 0;
        let mut at = Some(place).filter(|p| self.is_reached(*p))?;
        while let Some(holder) = self.holder(at) {
            (at, length) = (holder, length + 1);
        }
        Some(length)
    }
}

/// The graph with what holds besides references, if the search has room.
fn ruled<'g, G: ObjectGraph, I: Id>(graph: &'g G, watch: Watch<'_>) -> Result<Ruled<'g, G>> {
    check_fits::<I>(graph)?;
    let numbers = graph.numbers();
    // The levels at hand come to it; few graphs are wide.
    (watch.room)(numbers.memory() + numbers.len() * size_of::<I>() as u64 + numbers.places() / 8)?;
    Ok(Ruled::new(graph, Rule::Strong))
}

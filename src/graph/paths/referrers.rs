//! Who refers to objects: one pass over all of them, garbage too.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::super::bits::{chunks, ones};
use super::super::dominators::Watch;
use super::super::rule::{Rule, Ruled};
use super::super::{Bits, ObjectGraph, Place, Strength};

/// Who refers to one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Referrers {
    /// How many objects do, each once; garbage too.
    pub objects: u64,
    /// The same by the number of their class, those with the most first.
    pub classes: Vec<(u32, u64)>,
    /// The first by place, as many as were asked for.
    pub first: Vec<Referrer>,
}

/// An object that refers to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// Its place.
    pub place: u64,
    /// Each reference to the other: where it stands, and how it holds. Empty where it is a thread whose frames do, or
    /// an object whose class the other is. At most [`Referrer::MOST`].
    pub references: Vec<(Place<'static>, Strength)>,
}

impl Referrer {
    /// Of an array that is full of the same object some of the elements are enough.
    pub const MOST: usize = 100;
}

/// How many objects refer to one, by class, and the first of them.
#[derive(Default)]
struct Count {
    classes: BTreeMap<u32, u64>,
    first: Vec<u64>,
}

/// Who refers to the objects at `places`, of each the `first` by place. By all threads of `pool`; the same at any
/// number of them. What a thread has in its frames it refers to, and an object to its class where that can be
/// unloaded. Takes a bit for each place.
pub fn referrers<G: ObjectGraph>(
    graph: &G,
    places: &[u64],
    first: usize,
    pool: &rayon::ThreadPool,
    watch: Watch<'_>,
) -> Vec<Referrers> {
    let (ruled, numbers) = (Ruled::new(graph, Rule::Strong), graph.numbers());
    let wanted = Bits::new(numbers.places());
    let mut sorted: Vec<u64> = places.iter().copied().filter(|p| numbers.has(*p)).collect();
    sorted.sort_unstable();
    sorted.dedup();
    for place in &sorted {
        wanted.set(*place);
    }
    (watch.step)("looking for referrers", numbers.len());
    let look = |words: std::ops::Range<usize>| {
        let mut found: BTreeMap<u64, Count> = BTreeMap::new();
        let (mut targets, mut objects) = (Vec::new(), 0);
        for word in words {
            for place in ones(word as u64 * 64, numbers.bits()[word]) {
                objects += 1;
                let class = ruled.references(place, |target, _| {
                    if wanted.has(target) && targets.last() != Some(&target) {
                        targets.push(target);
                    }
                });
                targets.sort_unstable();
                targets.dedup();
                for target in targets.drain(..) {
                    let count = found.entry(target).or_default();
                    *count.classes.entry(class).or_default() += 1;
                    if count.first.len() < first {
                        count.first.push(place);
                    }
                }
            }
        }
        (watch.add)(objects);
        found
    };
    let merge = |mut a: BTreeMap<u64, Count>, b: BTreeMap<u64, Count>| {
        for (target, count) in b {
            let of = a.entry(target).or_default();
            count.classes.iter().for_each(|(c, n)| *of.classes.entry(*c).or_default() += n);
            of.first.extend(count.first);
            of.first.sort_unstable();
            of.first.truncate(first);
        }
        a
    };
    let found =
        pool.install(|| chunks(numbers.bits().len()).map(look).reduce(BTreeMap::new, merge));
    let finish = |place: &u64| found.get(place).map(|c| c.finish(graph, *place));
    places.iter().map(|place| finish(place).unwrap_or_default()).collect()
}

impl Count {
    fn finish(&self, graph: &impl ObjectGraph, place: u64) -> Referrers {
        let mut classes: Vec<(u32, u64)> = self.classes.iter().map(|(c, n)| (*c, *n)).collect();
        classes.sort_by_key(|(class, count)| (std::cmp::Reverse(*count), *class));
        let first = self.first.iter().map(|from| {
            let mut references = Vec::new();
            graph.describe(*from, |reference| {
                if reference.target == place && references.len() < Referrer::MOST {
                    references.push((reference.place.into_owned(), reference.strength));
                }
            });
            Referrer { place: *from, references }
        });
        Referrers { objects: classes.iter().map(|c| c.1).sum(), classes, first: first.collect() }
    }
}

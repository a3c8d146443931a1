//! Judges all objects of a graph, by all threads.

use std::cmp::Reverse;
use std::sync::Mutex;

use rayon::prelude::*;

use super::expr::{Number, Property, Quantity};
use super::judge::{Judge, Path, Seen, Verdict, number};
use crate::graph::dominators::Dominators;
use crate::graph::{Bits, Id, ObjectGraph, Strength, chunks, ones};
use crate::output::collections::Reader;
use crate::output::retained::cut;

/// An object that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// What it is ordered by: the largest first.
    key: u64,
    pub place: u64,
    pub strength: Option<Strength>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Hits {
    /// The first of them.
    pub all: Vec<Hit>,
    /// How many there are.
    pub count: u64,
    /// Their own bytes.
    pub shallow: u64,
}

/// What the found ones are ordered by, and how many are kept.
pub(super) struct Order<'a> {
    pub property: &'a Property,
    pub path: Option<Path>,
    pub top: usize,
}

/// Judges objects, in one piece of work.
struct Worker<'a, 'g, G> {
    judge: &'a Judge<'g, G>,
    order: &'a Order<'a>,
    reader: Reader<'a, G>,
    hits: Hits,
}

impl<'a, 'g, G: ObjectGraph> Worker<'a, 'g, G> {
    fn new(judge: &'a Judge<'g, G>, order: &'a Order<'a>) -> Self {
        Worker { judge, order, reader: judge.reader(), hits: Hits::default() }
    }

    /// Judges an object.
    #[inline]
    fn consider(&mut self, seen: &Seen) -> bool {
        if !self.judge.fits(seen, &mut self.reader) {
            return false;
        }
        let hits = &mut self.hits;
        hits.count += 1;
        hits.shallow = hits.shallow.saturating_add(self.judge.size(seen.place));
        if self.order.top > 0 {
            let (place, strength) = (seen.place, seen.strength);
            let key = self.order.key(self.judge, seen, &mut self.reader);
            hits.all.push(Hit { key, place, strength });
            cut(&mut hits.all, self.order.top, Hit::order);
        }
        true
    }
}

impl Hits {
    fn add(&mut self, other: Hits) {
        self.count += other.count;
        self.shallow = self.shallow.saturating_add(other.shallow);
        self.all.extend(other.all);
    }

    fn finish(mut self, top: usize) -> Hits {
        self.all.par_sort_unstable_by_key(Hit::order);
        self.all.truncate(top);
        self
    }
}

impl Hit {
    fn order(&self) -> (Reverse<u64>, u64) {
        (Reverse(self.key), self.place)
    }
}

impl Order<'_> {
    fn key<G: ObjectGraph>(
        &self,
        judge: &Judge<'_, G>,
        seen: &Seen,
        reader: &mut Reader<'_, G>,
    ) -> u64 {
        match (self.property, &self.path) {
            // Places are in the order of addresses.
            (Property::Quantity(Quantity::Address), _) => 0,
            (Property::Quantity(of), _) => {
                judge.quantity(*of, seen, reader).map_or(0, |n| n.saturating_add(1))
            }
            (_, Some(path)) => judge.value(path, seen).and_then(number).map_or(0, ordered),
            _ => 0,
        }
    }
}

/// A number whose order is that of the numbers, from 1 on.
fn ordered(number: Number) -> u64 {
    let whole = match number {
        Number::Whole(n) => n.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
        // What lies behind the point counts, too, as far as 64 bits reach.
        Number::Real(r) => {
            let bits = r.to_bits() as i64;
            if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }
        }
    };
    ((whole as u64) ^ (1 << 63)).saturating_add(1)
}

/// Judges all objects where nobody asks what holds them; by all threads of the pool that this is called in.
pub(super) fn in_graph<G: ObjectGraph>(
    judge: &Judge<'_, G>,
    order: &Order<'_>,
    progress: &(dyn Fn(u64) + Sync),
) -> Hits {
    let bits = judge.graph.numbers().bits();
    let found = Mutex::new(Hits::default());
    chunks(bits.len()).for_each(|words| {
        let (mut worker, mut done) = (Worker::new(judge, order), 0);
        for word in words {
            for place in ones(word as u64 * 64, bits[word]) {
                done += 1;
                let class = judge.graph.class_of(place);
                if judge.verdict(class) != Verdict::No {
                    let seen = Seen { place, class, retained: 0, weaker: 0, strength: None };
                    worker.consider(&seen);
                }
            }
        }
        progress(done);
        found.lock().unwrap_or_else(|e| e.into_inner()).add(worker.hits);
    });
    found.into_inner().unwrap_or_else(|e| e.into_inner()).finish(order.top)
}

/// Bytes that would be freed if all that was found went.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Together {
    /// Of what is strongly held.
    pub retained: u64,
    /// Of what is held less strongly, and hangs below.
    pub weaker: u64,
}

/// Judges all objects with what the dominator tree says of them.
pub(super) fn in_tree<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    judge: &Judge<'_, G>,
    order: &Order<'_>,
) -> (Hits, Together) {
    let places = judge.graph.numbers().places();
    let found = Found {
        tree,
        judge,
        order,
        nodes: Bits::new(tree.count()),
        parts: Bits::new(places),
        held: Bits::new(places),
    };
    tree.pool().install(|| {
        let mut hits = Hits::default();
        tree.each_node(
            || Worker::new(judge, order),
            |worker, place, number| found.node(worker, place, number),
            |worker| hits.add(worker.hits),
        );
        found.garbage(&mut hits);
        (hits.finish(order.top), found.together())
    })
}

struct Found<'a, 'g, G, I> {
    tree: &'a Dominators<'g, G, I>,
    judge: &'a Judge<'g, G>,
    order: &'a Order<'a>,
    /// By number: what was found.
    nodes: Bits,
    /// By place: parts that were found.
    parts: Bits,
    /// By place: parts that may have been, of nodes that something holds.
    held: Bits,
}

impl<G: ObjectGraph, I: Id> Found<'_, '_, G, I> {
    fn node(&self, worker: &mut Worker<'_, '_, G>, place: u64, number: I) {
        let class = self.judge.graph.class_of(place);
        let strength = self.tree.strength(number);
        if self.judge.verdict(class) != Verdict::No {
            let seen = Seen {
                place,
                class,
                retained: self.tree.retained(number),
                weaker: self.tree.weaker(number),
                strength: Some(strength),
            };
            if worker.consider(&seen) {
                self.nodes.set(number.number());
            }
        }
        self.tree.parts(place, &mut |part| {
            let class = self.judge.graph.class_of(part);
            if self.judge.verdict(class) == Verdict::No {
                return;
            }
            self.held.set(part);
            let seen = Seen {
                place: part,
                class,
                retained: self.tree.part_retained(part),
                weaker: 0,
                strength: Some(strength),
            };
            if worker.consider(&seen) {
                self.parts.set(part);
            }
        });
    }

    /// What nothing holds retains nothing: it goes in any case.
    fn garbage(&self, hits: &mut Hits) {
        let bits = self.judge.graph.numbers().bits();
        let found = Mutex::new(hits);
        let is_held = |place| self.held.has(place) || self.tree.number(place).is_some();
        chunks(bits.len()).for_each(|words| {
            let mut worker = Worker::new(self.judge, self.order);
            for word in words {
                for place in ones(word as u64 * 64, bits[word]) {
                    let class = self.judge.graph.class_of(place);
                    if self.judge.verdict(class) != Verdict::No && !is_held(place) {
                        let seen = Seen { place, class, retained: 0, weaker: 0, strength: None };
                        worker.consider(&seen);
                    }
                }
            }
            found.lock().unwrap_or_else(|e| e.into_inner()).add(worker.hits);
        });
    }

    /// Of what lies below others that were found nothing counts: it is within theirs.
    fn together(&self) -> Together {
        let tree = self.tree;
        let below = Bits::new(tree.count());
        let mut all = Together::default();
        for i in 1..tree.count() {
            let dominator = tree.dominator(I::of(i)).number();
            if self.nodes.has(dominator) || below.has(dominator) {
                below.set(i);
            } else if self.nodes.has(i) {
                let number = I::of(i);
                let (retained, weaker) = (tree.retained(number), tree.weaker(number));
                all.add(tree.strength(number), retained, weaker);
            }
        }
        if self.parts.count() > 0 {
            tree.each_node(
                Together::default,
                |sum, place, number| {
                    let at = number.number();
                    if !self.nodes.has(at) && !below.has(at) {
                        self.of_parts(sum, place, tree.strength(number));
                    }
                },
                |sum| all.add(Strength::Strong, sum.retained, sum.weaker),
            );
        }
        all
    }

    fn of_parts(&self, sum: &mut Together, place: u64, strength: Strength) {
        self.tree.direct_parts(place, |part| match self.parts.has(part) {
            true => sum.add(strength, self.tree.part_retained(part), 0),
            // As deep as parts lie in parts: a few levels.
            false => self.of_parts(sum, part, strength),
        });
    }
}

impl Together {
    fn add(&mut self, strength: Strength, retained: u64, weaker: u64) {
        match strength {
            Strength::Strong => {
                self.retained += retained;
                self.weaker += weaker;
            }
            _ => self.weaker += retained + weaker,
        }
    }
}

//! Takes out of the graph what is simply a part of its one holder: an object without references of its own that one
//! reference leads to; then one whose references lead to such objects alone. What is left are the nodes.
//!
//! Most strings, boxes and arrays go that way, and with them most of the time and memory that dominators take.

use rayon::prelude::*;

use super::super::bits::{chunks, ones};
use super::super::rule::Ruled;
use super::super::{Bits, Numbers, ObjectGraph, Strength};

/// How deep a folded object can lie in its holder.
const MAX_ROUNDS: usize = 4;
/// A round is the last where fewer than one in so many were folded of those that might have been.
const WORTH: u64 = 16;

/// Nodes, and what is folded into them.
#[derive(Debug)]
pub(super) struct Folded {
    /// The objects that are nodes. One that nothing refers to is none.
    pub nodes: Numbers,
    /// A bit for the place of each that is folded into its only holder.
    pub parts: Vec<u64>,
}

impl Folded {
    /// By all threads of the pool that this is called in.
    pub(super) fn new<G: ObjectGraph>(
        ruled: &Ruled<'_, G>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Folded {
        let all = ruled.graph.numbers();
        // What refers to nothing need not be looked at, unless it keeps its class by the rule.
        let plain = ruled.graph.plain().filter(|plain| {
            let mut classes = (0..).zip(&plain.classes).filter(|(_, is_plain)| **is_plain);
            classes.all(|(class, _)| ruled.is_leaf(class))
        });
        let bits = || Bits::new(all.places());
        let (leaf, once, shared) = (bits(), bits(), bits());
        each_chunk(all.bits().len(), |words| {
            let mut objects = 0;
            for word in words {
                let mut leaves = plain.map_or(0, |plain| plain.objects[word]);
                objects += u64::from(all.bits()[word].count_ones());
                for place in ones(word as u64 * 64, all.bits()[word] & !leaves) {
                    let class = ruled.references(place, |target, strength| {
                        // What is held less than strongly is a node, so that it has a strength of its own.
                        if once.set(target) || strength != Strength::Strong {
                            shared.set(target);
                        }
                    });
                    leaves |= u64::from(ruled.is_leaf(class)) << (place % 64);
                }
                leaf.put(word, leaves);
            }
            progress(objects);
        });
        for &root in &ruled.roots {
            once.set(root);
            shared.set(root);
        }
        // From here on, `once` has what one reference leads to, and `shared` what several do.
        let words = all.bits().len();
        once.fill(|w| once.word(w) & !shared.word(w) & all.bits()[w]);
        let parts = leaf;
        parts.fill(|w| parts.word(w) & once.word(w));
        fold_holders(ruled, &once, &parts, words);
        shared.fill(|w| (once.word(w) | shared.word(w)) & all.bits()[w] & !parts.word(w));
        drop(once);
        Folded { nodes: Numbers::of(shared.into_words()), parts: parts.into_words() }
    }

    /// Whether the object there is folded into its holder.
    #[inline]
    pub(super) fn is_part(&self, place: u64) -> bool {
        self.parts.get((place / 64) as usize).is_some_and(|w| w >> (place % 64) & 1 != 0)
    }

    /// Bytes of the object at `place` and of all that is folded into it.
    pub(super) fn bytes<G: ObjectGraph>(&self, ruled: &Ruled<'_, G>, place: u64) -> u64 {
        self.bytes_to(ruled, place, MAX_ROUNDS)
    }

    fn bytes_to<G: ObjectGraph>(&self, ruled: &Ruled<'_, G>, place: u64, depth: usize) -> u64 {
        let mut parts = 0;
        let (_, own) = ruled.visit(place, |target, _| {
            if self.is_part(target) {
                parts += match depth {
                    0 => ruled.size(target),
                    _ => self.bytes_to(ruled, target, depth - 1),
                };
            }
        });
        own + parts
    }

    /// Calls `each` with all that is folded into the object at `place`, at any depth: that lie in it, then in those.
    pub(super) fn parts<G: ObjectGraph>(
        &self,
        ruled: &Ruled<'_, G>,
        place: u64,
        each: &mut impl FnMut(u64),
    ) {
        self.parts_to(ruled, place, MAX_ROUNDS, each);
    }

    fn parts_to<G: ObjectGraph>(
        &self,
        ruled: &Ruled<'_, G>,
        place: u64,
        depth: usize,
        each: &mut impl FnMut(u64),
    ) {
        ruled.references(place, |target, _| {
            if self.is_part(target) {
                each(target);
                if depth > 0 {
                    self.parts_to(ruled, target, depth - 1, each);
                }
            }
        });
    }
}

/// Folds those of `once` whose references all lead to what was folded before the round.
fn fold_holders<G: ObjectGraph>(ruled: &Ruled<'_, G>, once: &Bits, parts: &Bits, words: usize) {
    for _ in 1..MAX_ROUNDS {
        let next = Bits::new(words as u64 * 64);
        let looked: u64 = chunks(words)
            .map(|words| {
                let mut looked = 0;
                for word in words {
                    let mut folded = 0;
                    for place in ones(word as u64 * 64, once.word(word) & !parts.word(word)) {
                        looked += 1;
                        let is_part = ruled.all_references(place, |target, strength| {
                            strength == Strength::Strong && parts.has(target)
                        });
                        folded |= u64::from(is_part) << (place % 64);
                    }
                    next.put(word, folded);
                }
                looked
            })
            .sum();
        let folded = next.count();
        parts.fill(|w| parts.word(w) | next.word(w));
        if folded < looked / WORTH || folded == 0 {
            break;
        }
    }
}

/// Calls `work` with ranges of words, by all threads.
pub(super) fn each_chunk(words: usize, work: impl Fn(std::ops::Range<usize>) + Sync) {
    chunks(words).for_each(&work);
}

//! What a dominator tree tells of objects.

use std::ops::Range;
use std::sync::Mutex;

use super::super::bits::ones;
use super::super::{Bits, Id, ObjectGraph, Strength};
use super::Dominators;
use super::fold::each_chunk;

impl<G: ObjectGraph, I: Id> Dominators<'_, G, I> {
    /// The number of the node at `place`; none where nothing leads to it, and for what is folded into its holder.
    /// From 1 on: 0 is what holds all roots. A dominator's number is lower than those of what it dominates.
    #[inline]
    pub fn number(&self, place: u64) -> Option<I> {
        let nodes = &self.folded.nodes;
        let is_node = nodes.has(place);
        let number = is_node.then(|| self.found.order[nodes.rank(place) as usize]);
        number.filter(|n| *n != I::default())
    }

    /// How many numbers there are, 0 among them.
    pub fn count(&self) -> u64 {
        self.found.idom.len() as u64
    }

    /// The number of the immediate dominator; 0 where no single object holds it.
    #[inline]
    pub fn dominator(&self, number: I) -> I {
        self.found.idom[number.index()]
    }

    /// Bytes that would go with a node. What only weaker references below it hold is not among them.
    #[inline]
    pub fn retained(&self, number: I) -> u64 {
        self.sizes.retained[number.index()]
    }

    /// Bytes that only weaker references below it hold.
    #[inline]
    pub fn weaker(&self, number: I) -> u64 {
        if !self.sizes.has_weaker.has(number.number()) {
            return 0;
        }
        let weaker = &self.sizes.weaker;
        weaker.binary_search_by_key(&number, |w| w.0).map_or(0, |at| weaker[at].1)
    }

    /// How strongly a node is held.
    #[inline]
    pub fn strength(&self, number: I) -> Strength {
        let first = &self.found.first;
        if number.number() < first[1] {
            return Strength::Strong;
        }
        Strength::ALL[first[1..].partition_point(|f| *f <= number.number()).min(4)]
    }

    /// Whether an object is folded into the one that holds it: it has no number, and retains itself and its own parts.
    #[inline]
    pub fn is_part(&self, place: u64) -> bool {
        self.folded.is_part(place)
    }

    /// Calls `each` with the places of all parts that are folded into the object at `place`, at any depth.
    pub fn parts(&self, place: u64, each: &mut impl FnMut(u64)) {
        self.folded.parts(&self.ruled, place, each);
    }

    /// Calls `each` with the places of the parts that lie in the object at `place` itself, not in another part.
    pub fn direct_parts(&self, place: u64, mut each: impl FnMut(u64)) {
        self.ruled.references(place, |target, _| {
            if self.is_part(target) {
                each(target);
            }
        });
    }

    /// The same; answers the object's class and its own bytes, by the rule.
    #[inline]
    pub fn visit_parts(&self, place: u64, mut each: impl FnMut(u64)) -> (u32, u64) {
        self.ruled.visit(place, |target, _| {
            if self.is_part(target) {
                each(target);
            }
        })
    }

    /// The node that a part is folded into, at any depth: its place and number. None where nothing leads to that.
    /// Takes a pass over all nodes, by all threads of the pool.
    pub fn node_of_part(&self, place: u64) -> Option<(u64, I)> {
        let mut found = None;
        let look = |found: &mut Option<(u64, I)>, holder, number| {
            self.parts(holder, &mut |part| {
                if part == place {
                    *found = Some((holder, number));
                }
            });
        };
        self.each_node(|| None, look, |some| found = found.or(some));
        found
    }

    /// Bytes that a part retains.
    pub fn part_retained(&self, place: u64) -> u64 {
        self.folded.bytes(&self.ruled, place)
    }

    /// An object's own bytes, by the rule.
    pub fn size(&self, place: u64) -> u64 {
        self.ruled.size(place)
    }

    /// Calls `each` with the place and number of every node that can be reached, by all threads of the
    /// pool: `make` gives each piece of work room, of which `gather` gets what came of it, in any order.
    pub fn each_node<T>(
        &self,
        make: impl Fn() -> T + Sync,
        each: impl Fn(&mut T, u64, I) + Sync,
        gather: impl FnMut(T) + Send,
    ) {
        let (nodes, gather) = (&self.folded.nodes, Mutex::new(gather));
        let work = |words: Range<usize>| {
            let mut rank = nodes.rank(words.start as u64 * 64) as usize;
            let mut room = make();
            for word in words {
                for place in ones(word as u64 * 64, nodes.bits()[word]) {
                    let number = self.found.order[rank];
                    rank += 1;
                    if number != I::default() {
                        each(&mut room, place, number);
                    }
                }
            }
            gather.lock().unwrap_or_else(|e| e.into_inner())(room);
        };
        self.pool.install(|| each_chunk(nodes.bits().len(), work));
    }

    /// The numbers of the nodes that are held with just this strength.
    pub fn numbers(&self, strength: Strength) -> Range<u64> {
        let (first, strength) = (&self.found.first, strength as usize);
        first[strength]..first[strength + 1]
    }

    /// A bit for the place of each object that is strongly held, parts too. By all threads of the pool.
    pub fn strongly_held(&self) -> Bits {
        let (nodes, all) = (&self.folded.nodes, self.graph().numbers());
        let (held, order) = (Bits::new(all.places()), &self.found.order);
        let strong = self.numbers(Strength::Strong);
        self.pool.install(|| {
            // Nodes, and all parts; what is left are nodes that are held more weakly, and garbage.
            each_chunk(all.bits().len(), |words| {
                let mut rank = nodes.rank(words.start as u64 * 64) as usize;
                for word in words {
                    let mut bits = 0;
                    for bit in ones(0, nodes.bits()[word]) {
                        bits |= u64::from(strong.contains(&order[rank].number())) << bit;
                        rank += 1;
                    }
                    held.put(word, bits | self.folded.parts[word]);
                }
            });
            each_chunk(all.bits().len(), |words| {
                for word in words {
                    // No part is among them, so that no other thread changes these bits.
                    let others = all.bits()[word] & !held.word(word) & !self.folded.parts[word];
                    for place in ones(word as u64 * 64, others) {
                        self.parts(place, &mut |part| held.clear(part));
                    }
                }
            });
        });
        held
    }

    /// The places of nodes by their numbers; 0 for number 0. Made once for all who ask: 4 bytes a node with numbers of 4.
    pub fn places(&self) -> &[I] {
        self.places.get_or_init(|| {
            let mut places = vec![I::default(); self.found.idom.len()];
            for (place, number) in self.folded.nodes.iter().zip(&self.found.order) {
                if *number != I::default() {
                    places[number.index()] = I::of(place);
                }
            }
            places
        })
    }
}

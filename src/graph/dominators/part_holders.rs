//! Which object each part lies in: parts know nothing of their holders, and are folded by what the holders refer to.

use super::super::bits::ones;
use super::super::{Id, Numbers, ObjectGraph};
use super::Dominators;
use super::fold::each_chunk;

/// Of each part the object that it is folded into, which may be a part itself. 4 bytes a part with numbers of 4.
#[derive(Debug)]
pub struct PartHolders<I: Id> {
    parts: Numbers,
    holders: Vec<I::Atomic>,
}

impl<G: ObjectGraph, I: Id> Dominators<'_, G, I> {
    /// Finds them: a pass over all references, by all threads of the pool.
    pub fn part_holders(&self) -> PartHolders<I> {
        let parts = Numbers::of(self.folded.parts.clone());
        let holders: Vec<_> = (0..parts.len()).map(|_| I::of(I::MAX).atomic()).collect();
        let all = self.graph().numbers();
        let work = |words: std::ops::Range<usize>| {
            for word in words {
                for place in ones(word as u64 * 64, all.bits()[word]) {
                    self.direct_parts(place, |part| {
                        I::lower(&holders[parts.rank(part) as usize], I::of(place));
                    });
                }
            }
        };
        self.pool.install(|| each_chunk(all.bits().len(), work));
        PartHolders { parts, holders }
    }

    /// Bytes of memory that they take.
    pub fn part_holders_memory(&self) -> u64 {
        let parts: u64 = self.folded.parts.iter().map(|w| u64::from(w.count_ones())).sum();
        parts * size_of::<I>() as u64 + self.folded.parts.len() as u64 * 10
    }
}

impl<I: Id> PartHolders<I> {
    /// The place of the object that the part at `place` lies in; none for what is no part.
    #[inline]
    pub fn holder(&self, place: u64) -> Option<u64> {
        let at = self.parts.has(place).then(|| self.parts.rank(place));
        let holder = I::load(self.holders.get(at? as usize)?).number();
        (holder != I::MAX).then_some(holder)
    }
}

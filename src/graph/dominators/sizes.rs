//! What each node retains: its own bytes and those of all that it dominates.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::bits::ones;
use super::super::rule::{Rule, Ruled};
use super::super::{Bits, Id, ObjectGraph, Strength};
use super::fold::{Folded, each_chunk};
use super::search::Found;

/// Bytes that objects retain.
#[derive(Debug)]
pub(super) struct Sizes<I> {
    /// By number: what would go with the node. What only weaker references hold below it is not among them, as it
    /// would go without it, too. Of number 0: all that is strongly held.
    pub retained: Vec<u64>,
    /// What weaker references hold below those nodes that hold any: the numbers in order, and the bytes.
    pub weaker: Vec<(I, u64)>,
    /// A bit for the number of each of these.
    pub has_weaker: Bits,
    /// Bytes by strength.
    pub held: [u64; Strength::ALL.len()],
}

/// By all threads of the pool that this is called in.
pub(super) fn sizes<G: ObjectGraph, I: Id>(
    ruled: &Ruled<'_, G>,
    folded: &Folded,
    found: &Found<I>,
    progress: &(dyn Fn(u64) + Sync),
) -> Sizes<I> {
    let nodes = &folded.nodes;
    let own: Vec<AtomicU64> = found.idom.iter().map(|_| AtomicU64::new(0)).collect();
    each_chunk(nodes.bits().len(), |words| {
        let mut rank = nodes.rank(words.start as u64 * 64) as usize;
        let mut done = 0;
        for word in words {
            for place in ones(word as u64 * 64, nodes.bits()[word]) {
                let number = found.order[rank];
                rank += 1;
                done += 1;
                if number != I::default() {
                    own[number.index()].store(folded.bytes(ruled, place), Ordering::Relaxed);
                }
            }
        }
        progress(done);
    });
    sum(own.into_iter().map(AtomicU64::into_inner).collect(), found)
}

/// Bytes of all objects, garbage included. By all threads of the pool that this is called in.
pub(super) fn total<G: ObjectGraph>(ruled: &Ruled<'_, G>) -> u64 {
    if ruled.rule == Rule::Strong {
        return ruled.graph.total_size();
    }
    let (all, total) = (ruled.graph.numbers(), AtomicU64::new(0));
    each_chunk(all.bits().len(), |words| {
        let places = words.flat_map(|word| ones(word as u64 * 64, all.bits()[word]));
        total.fetch_add(places.map(|place| ruled.size(place)).sum(), Ordering::Relaxed);
    });
    total.into_inner()
}

/// From each node's own bytes.
fn sum<I: Id>(mut retained: Vec<u64>, found: &Found<I>) -> Sizes<I> {
    let strength = |number: usize| found.first[1..].partition_point(|f| *f <= number as u64);
    let mut held = [0; Strength::ALL.len()];
    for (i, held) in held.iter_mut().enumerate() {
        let (first, end) = (found.first[i] as usize, found.first[i + 1] as usize);
        *held = retained[first..end].iter().sum();
    }
    let mut crossing = Vec::new();
    for i in (1..retained.len()).rev() {
        let dominator = found.idom[i];
        if i as u64 >= found.first[1] && strength(i) != strength(dominator.index()) {
            crossing.push((dominator, retained[i]));
        } else {
            retained[dominator.index()] += retained[i];
        }
    }
    let (weaker, has_weaker) = weaker(crossing, &found.idom);
    Sizes { weaker, has_weaker, retained, held }
}

/// What weaker references hold below each node, from what hangs on single ones; and of which numbers there is any.
fn weaker<I: Id>(crossing: Vec<(I, u64)>, idom: &[I]) -> (Vec<(I, u64)>, Bits) {
    let mut numbers: Vec<I> = Vec::new();
    let met = Bits::new(idom.len() as u64);
    for (holder, _) in &crossing {
        let mut at = *holder;
        while !met.set(at.number()) {
            numbers.push(at);
            at = idom[at.index()];
        }
    }
    numbers.sort_unstable();
    let index = |number: I| numbers.partition_point(|n| *n < number);
    let mut bytes = vec![0; numbers.len()];
    for (holder, more) in crossing {
        bytes[index(holder)] += more;
    }
    for i in (1..numbers.len()).rev() {
        let dominator = index(idom[numbers[i].index()]);
        bytes[dominator] += bytes[i];
    }
    // A node of a weaker strength has below it what hangs on it, and so have those above.
    (numbers.into_iter().zip(bytes).collect(), met)
}

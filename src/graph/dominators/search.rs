//! The depth-first search that numbers the nodes, strength by strength, and their dominators.
//!
//! All that is strongly held comes first; then what only a soft reference leads to, and so on. What is held more
//! weakly changes nothing for what is held more strongly. So for each strength the graph that is searched has, instead
//! of all nodes before, those that dominate the holders of its first objects, as the tree that they are: which nodes
//! are common to all paths to a holder, that tree says as the whole graph does.

use super::super::rule::Ruled;
use super::super::{Bits, Id, ObjectGraph, Strength};
use super::fold::Folded;
use super::semi_nca::Forest;
use super::stack::{Stack, TOGETHER};
use crate::cpu::prefetch;
use crate::error::Result;

/// What the search makes.
pub(super) struct Found<I> {
    /// The number of each node, by its rank among the nodes; 0 where nothing leads to it.
    pub order: Vec<I>,
    /// The immediate dominator of each, by number. 0 is the root.
    pub idom: Vec<I>,
    /// The first number of each strength, and the one behind the last.
    pub first: [u64; Strength::ALL.len() + 1],
}

/// A reference to be followed with a weaker strength: the number of who holds it, and where it leads.
type Deferred<I> = Vec<(I, I)>;

/// The nodes of the strengths before, as far as they hold what is to be searched: in the order of their numbers.
struct Scaffold<I> {
    numbers: Vec<I>,
    /// By number's index here: the indexes of those that it dominates, and the places that it refers to.
    below: Lists<I>,
    places: Lists<I>,
}

/// A list for each index, one behind the other.
struct Lists<I> {
    /// Where each begins, and the last one's end.
    starts: Vec<I>,
    all: Vec<I>,
}

impl<I: Id> Lists<I> {
    /// Of pairs of an index below `count` and what its list has.
    fn of(count: usize, mut pairs: Vec<(I, I)>) -> Lists<I> {
        pairs.sort_by_key(|(index, _)| *index);
        let start = |index| I::of(pairs.partition_point(|p| p.0.index() < index) as u64);
        let starts = (0..=count).map(start).collect();
        Lists { starts, all: pairs.into_iter().map(|(_, what)| what).collect() }
    }

    fn get(&self, index: usize) -> &[I] {
        &self.all[self.starts[index].index()..self.starts[index + 1].index()]
    }
}

struct Search<'a, 'g, G, I> {
    ruled: &'a Ruled<'g, G>,
    folded: &'a Folded,
    /// The nodes that the root holds, by rank.
    held: Bits,
    order: Vec<I>,
    deferred: [Deferred<I>; Strength::ALL.len()],
    stack: Stack<I>,
    progress: &'a (dyn Fn(u64) + Sync),
    room: &'a (dyn Fn(u64) -> Result<()> + Sync),
}

/// Numbers of one strength's search. `I` must do for all places, and as many numbers behind them.
struct Numbering<I> {
    forest: Forest<I>,
    /// The first number that is not of a strength before.
    base: u64,
    /// Of the numbers of this strength, from the base on, the ones in the forest; none where they are the same.
    local: Option<Vec<I>>,
}

impl<I: Id> Numbering<I> {
    /// The number in the forest of a node of this strength; none for one of a strength before.
    #[inline]
    fn local(&self, number: I) -> Option<I> {
        let index = number.number().checked_sub(self.base)?;
        Some(self.local.as_ref().map_or(number, |local| local[index as usize]))
    }
}

/// A node whose references are looked at: its number, and that in the forest.
#[derive(Clone, Copy)]
struct Holder<I> {
    /// References are followed that are at least as strong.
    strength: Strength,
    number: I,
    own: I,
}

/// A node that another refers to.
#[derive(Clone, Copy)]
struct Target<I> {
    place: I,
    rank: I,
    by: Strength,
}

/// So many references of an object the CPU looks at together by itself.
const FEW: usize = 2;
/// How many nodes are done before progress is told.
const STEP: u64 = 1 << 16;

/// Numbers all nodes that can be reached, and finds their dominators. `room` is asked before more memory is taken, for all of
/// the search's.
pub(super) fn search<G: ObjectGraph, I: Id>(
    ruled: &Ruled<'_, G>,
    folded: &Folded,
    progress: &(dyn Fn(u64) + Sync),
    room: &(dyn Fn(u64) -> Result<()> + Sync),
) -> Result<Found<I>> {
    let nodes = &folded.nodes;
    let held = Bits::new(nodes.len());
    ruled.roots.iter().filter(|r| nodes.has(**r)).for_each(|r| {
        held.set(nodes.rank(*r));
    });
    let mut search = Search {
        ruled,
        folded,
        held,
        order: vec![I::default(); nodes.len() as usize],
        deferred: Default::default(),
        stack: Stack::default(),
        progress,
        room,
    };
    let roots = ruled.roots.iter().filter(|r| nodes.has(**r));
    let roots = roots.map(|r| (I::default(), I::of(*r))).collect();
    let whole = Scaffold {
        numbers: vec![I::default()],
        below: Lists::of(1, Vec::new()),
        places: Lists::of(1, roots),
    };
    let forest = Forest::with_room(nodes.len() as usize + 1);
    let numbering = Numbering { forest, base: 1, local: None };
    let (numbering, _) = search.follow(Strength::Strong, &whole, numbering)?;
    let mut idom = numbering.forest.dominators();
    let mut first = [1; Strength::ALL.len() + 1];
    for strength in Strength::ALL.into_iter().skip(1) {
        let base = idom.len() as u64;
        first[strength as usize] = base;
        let deferred = std::mem::take(&mut search.deferred[strength as usize]);
        let Some(scaffold) = search.scaffold(&deferred, &idom) else { continue };
        let numbering = Numbering { forest: Forest::with_room(0), base, local: Some(Vec::new()) };
        let (numbering, whole) = search.follow(strength, &scaffold, numbering)?;
        let below = numbering.forest.dominators();
        let local = numbering.local.unwrap_or_default();
        idom.extend(local.iter().map(|l| whole[below[l.index()].index()]));
    }
    first[Strength::ALL.len()] = idom.len() as u64;
    Ok(Found { order: search.order, idom, first })
}

impl<G: ObjectGraph, I: Id> Search<'_, '_, G, I> {
    /// Numbers what can be reached from the scaffold by references that are at least as strong as `strength`. Puts
    /// weaker ones off. Answers also the numbers of the forest's nodes.
    fn follow(
        &mut self,
        strength: Strength,
        scaffold: &Scaffold<I>,
        mut numbering: Numbering<I>,
    ) -> Result<(Numbering<I>, Vec<I>)> {
        let (ruled, folded) = (self.ruled, self.folded);
        let nodes = &folded.nodes;
        // Behind the last place stand the scaffold's nodes.
        let limit = nodes.places();
        let mut whole = Vec::new();
        let mut stack = std::mem::take(&mut self.stack);
        stack.push(I::of(limit), I::default());
        let none = Target { place: I::default(), rank: I::default(), by: Strength::Strong };
        let mut targets = [none; TOGETHER];
        let mut next = numbering.base;
        while let Some((at, from)) = stack.pop() {
            if let Some(index) = at.number().checked_sub(limit) {
                let index = index as usize;
                let own = numbering.forest.add(from, false);
                if numbering.local.is_some() {
                    whole.push(scaffold.numbers[index]);
                }
                let below = scaffold.below.get(index).iter().map(|b| I::of(limit + b.number()));
                let all = scaffold.places.get(index).iter().copied().chain(below);
                all.for_each(|to| stack.push(to, own));
                continue;
            }
            let rank = nodes.rank(at.number()) as usize;
            if self.order[rank] != I::default() {
                if let Some(to) = numbering.local(self.order[rank])
                    && !self.held.has(rank as u64)
                {
                    numbering.forest.edge(from, to);
                }
                // So it is with most others of the same holder, if it has many.
                stack.sift(from, |places| self.sift(places, from, &mut numbering));
                continue;
            }
            let number = I::of(next);
            next += 1;
            self.order[rank] = number;
            let own = numbering.forest.add(from, self.held.has(rank as u64));
            if let Some(local) = &mut numbering.local {
                local.push(own);
                whole.push(number);
            }
            if next.is_multiple_of(STEP) {
                (self.progress)(STEP);
                (self.room)(self.memory(&numbering, &stack))?;
            }
            let holder = Holder { strength, number, own };
            let mut count = 0;
            ruled.references(at.number(), |target, by| {
                if !nodes.has(target) {
                    return;
                }
                if count == TOGETHER {
                    self.look(holder, &targets, &mut numbering, &mut stack);
                    count = 0;
                }
                let rank = I::of(nodes.rank(target));
                targets[count] = Target { place: I::of(target), rank, by };
                count += 1;
            });
            self.look(holder, &targets[..count], &mut numbering, &mut stack);
        }
        self.stack = stack;
        Ok((numbering, whole))
    }

    /// Looks at what a node refers to, [`TOGETHER`] objects at most.
    #[inline]
    fn look(
        &mut self,
        Holder { strength, number, own }: Holder<I>,
        targets: &[Target<I>],
        numbering: &mut Numbering<I>,
        stack: &mut Stack<I>,
    ) {
        if targets.len() > FEW {
            targets.iter().for_each(|t| prefetch(&self.order[t.rank.index()]));
            for to in targets.iter().filter_map(|t| numbering.local(self.order[t.rank.index()])) {
                numbering.forest.prefetch(own, to);
            }
        }
        for &Target { place, rank, by } in targets {
            let met = self.order[rank.index()];
            if by > strength {
                if met == I::default() {
                    self.deferred[by as usize].push((number, place));
                }
            } else if met == I::default() {
                stack.push(place, own);
                self.ruled.graph.prefetch(place.number());
            } else if let Some(to) = numbering.local(met)
                && !self.held.has(rank.number())
            {
                numbering.forest.edge(own, to);
            }
        }
    }

    /// Of some places that the node with the number `from` refers to, moves those that were not met to the front, and
    /// answers how many these are.
    fn sift(&self, places: &mut [I], from: I, numbering: &mut Numbering<I>) -> usize {
        let nodes = &self.folded.nodes;
        let mut met = [I::default(); TOGETHER];
        let mut ranks = [None; TOGETHER];
        for (place, rank) in places.iter().zip(&mut ranks) {
            // A node of the scaffold is none.
            let is_node = place.number() < nodes.places();
            *rank = is_node.then(|| nodes.rank(place.number()) as usize);
            rank.iter().for_each(|rank| prefetch(&self.order[*rank]));
        }
        for (met, rank) in met.iter_mut().zip(ranks) {
            *met = rank.map_or(I::default(), |rank| self.order[rank]);
            numbering.local(*met).into_iter().for_each(|to| numbering.forest.prefetch(from, to));
        }
        let mut kept = 0;
        for (i, rank) in (0..places.len()).zip(ranks) {
            if met[i] == I::default() {
                places[kept] = places[i];
                kept += 1;
            } else if let Some(to) = numbering.local(met[i])
                && !rank.is_some_and(|rank| self.held.has(rank as u64))
            {
                numbering.forest.edge(from, to);
            }
        }
        kept
    }

    /// Bytes that the search takes, and will take for the nodes that it has met.
    fn memory(&self, numbering: &Numbering<I>, stack: &Stack<I>) -> u64 {
        let deferred: usize = self.deferred.iter().map(Vec::len).sum();
        let (nodes, back) = (self.order.len(), numbering.forest.back.len());
        let now = 3 * nodes + 2 * back + stack.len();
        let then = (3 * nodes + 3 * back).max(5 * nodes + back);
        (now.max(then) + 2 * deferred) as u64 * size_of::<I>() as u64
    }

    /// Who holds what is referred to by `deferred` and was not reached yet; none where there is no such.
    fn scaffold(&self, deferred: &Deferred<I>, idom: &[I]) -> Option<Scaffold<I>> {
        let nodes = &self.folded.nodes;
        let is_new = |to: I| self.order[nodes.rank(to.number()) as usize] == I::default();
        let entries: Vec<(I, I)> = deferred.iter().copied().filter(|(_, to)| is_new(*to)).collect();
        if entries.is_empty() {
            return None;
        }
        let mut numbers: Vec<I> = vec![I::default()];
        let met = Bits::new(idom.len() as u64);
        met.set(0);
        for (from, _) in &entries {
            let mut at = *from;
            while !met.set(at.number()) {
                numbers.push(at);
                at = idom[at.index()];
            }
        }
        numbers.sort_unstable();
        let index = |number: I| I::of(numbers.partition_point(|n| *n < number) as u64);
        let held = (1..).zip(&numbers[1..]).map(|(i, n)| (index(idom[n.index()]), I::of(i)));
        let below = Lists::of(numbers.len(), held.collect());
        let entries = entries.into_iter().map(|(from, to)| (index(from), to));
        let places = Lists::of(numbers.len(), entries.collect());
        Some(Scaffold { numbers, below, places })
    }
}

//! Dominators by the algorithm SEMI-NCA (Georgiadis, Tarjan, Werneck: Finding dominators in practice, 2006).
//!
//! The nodes are numbered by a depth-first search, 0 is the root. Of the edges only those are needed that lead to a
//! lower number: what the others say of semidominators, the search has noted when it met them.

use rayon::prelude::*;

use super::super::Id;
use crate::cpu::prefetch;

/// What a depth-first search knows of the nodes that it numbered.
#[derive(Debug)]
pub(super) struct Forest<I> {
    /// From where each was reached.
    pub parent: Vec<I>,
    /// The least number from which an edge leads to each that is lower than its own.
    pub semi: Vec<I>,
    /// Edges to lower numbers: to, from.
    pub back: Vec<(I, I)>,
}

impl<I: Id> Forest<I> {
    /// No node, and room for so many.
    pub(super) fn with_room(count: usize) -> Forest<I> {
        let room = || Vec::with_capacity(count);
        Forest { parent: room(), semi: room(), back: Vec::new() }
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> u64 {
        self.parent.len() as u64
    }

    /// One more node, reached from `parent`; answers its number. `held` says that the root refers to it as well.
    #[inline]
    pub(super) fn add(&mut self, parent: I, held: bool) -> I {
        let number = I::of(self.len());
        self.parent.push(parent);
        self.semi.push(if held { I::default() } else { parent });
        number
    }

    /// An edge between nodes that are numbered. Of what the root refers to none need be told: they change nothing.
    #[inline]
    pub(super) fn edge(&mut self, from: I, to: I) {
        if from < to {
            let semi = &mut self.semi[to.index()];
            *semi = from.min(*semi);
        } else if from > to {
            self.back.push((to, from));
        }
    }

    /// Asks the CPU for what such an edge will change.
    #[inline]
    pub(super) fn prefetch(&self, from: I, to: I) {
        if from < to {
            prefetch(&self.semi[to.index()]);
        }
    }

    /// The immediate dominator of each node; of the root itself.
    pub(super) fn dominators(mut self) -> Vec<I> {
        let back = Back::of(std::mem::take(&mut self.back), &self.semi);
        self.semidominators(back);
        let Forest { parent: mut idom, semi, .. } = self;
        for i in 1..idom.len() {
            let mut dominator = idom[i];
            while dominator > semi[i] {
                dominator = idom[dominator.index()];
            }
            idom[i] = dominator;
        }
        idom
    }

    /// Makes `semi` what its name says: the least number from which a path leads to the node whose inner nodes are
    /// all of higher numbers than the node's.
    fn semidominators(&mut self, mut back: Back<I>) {
        let Forest { parent, semi, .. } = self;
        // What is looked at of a node lies together.
        let links = parent.iter().zip(&*semi).map(|(up, least)| Link { up: *up, least: *least });
        let mut links: Vec<Link<I>> = links.collect();
        let mut path: Vec<I> = Vec::new();
        for i in (1..parent.len()).rev() {
            if !back.leads_to(i) {
                // What `semi` and the link have is the same.
                continue;
            }
            let node = I::of(i as u64);
            let mut lowest = semi[i];
            while let Some((from, is_last)) = back.next() {
                if let Some(soon) = back.from.len().checked_sub(AHEAD) {
                    prefetch(&links[back.from[soon].index()]);
                }
                lowest = lowest.min(least(from, node, &mut links, &mut path));
                if is_last {
                    break;
                }
            }
            semi[i] = lowest;
            links[i].least = lowest;
        }
    }
}

/// So many edges ahead the CPU is asked for what will be read.
const AHEAD: usize = 16;

/// Edges to lower numbers, in the order of where they lead: a number and two bits each.
struct Back<I> {
    /// The nodes to which some lead, as bits.
    to: Vec<u64>,
    from: Vec<I>,
    /// Of the edges those that are the first of their node, as bits.
    first: Vec<u64>,
}

impl<I: Id> Back<I> {
    /// Of pairs of where an edge leads and where it comes from; each once. Nothing changes what the root refers to.
    fn of(mut edges: Vec<(I, I)>, semi: &[I]) -> Back<I> {
        edges.retain(|(to, _)| semi[to.index()] != I::default());
        sort(&mut edges, semi.len());
        edges.dedup();
        let bits = |count: usize| vec![0_u64; count.div_ceil(64)];
        let (mut to, mut first) = (bits(semi.len()), bits(edges.len()));
        let set = |bits: &mut [u64], i: usize| {
            let (word, mask) = (&mut bits[i / 64], 1 << (i % 64));
            let was = *word & mask != 0;
            *word |= mask;
            was
        };
        for (i, (node, _)) in edges.iter().enumerate() {
            if !set(&mut to, node.index()) {
                set(&mut first, i);
            }
        }
        let mut from: Vec<I> = edges.into_iter().map(|(_, from)| from).collect();
        from.shrink_to_fit();
        Back { to, from, first }
    }

    /// Whether any leads to the node.
    #[inline]
    fn leads_to(&self, node: usize) -> bool {
        self.to[node / 64] >> (node % 64) & 1 != 0
    }

    /// Takes the last: where it comes from, and whether it is the first of its node.
    #[inline]
    fn next(&mut self) -> Option<(I, bool)> {
        let from = self.from.pop()?;
        let i = self.from.len();
        Some((from, self.first[i / 64] >> (i % 64) & 1 != 0))
    }
}

/// Pieces that a sort begins with.
const PIECES: usize = 1024;

/// Sorts edges to so many nodes: first into pieces by where they lead, which then are sorted by all threads. Most are in
/// order, and in a piece that is soon seen.
fn sort<I: Id>(edges: &mut [(I, I)], nodes: usize) {
    let shift = (nodes / PIECES).checked_ilog2().map_or(0, |log| log + 1);
    let piece = |edge: &(I, I)| edge.0.index() >> shift;
    let mut ends = vec![0; (nodes >> shift) + 1];
    edges.iter().for_each(|edge| ends[piece(edge)] += 1);
    let mut starts = Vec::with_capacity(ends.len());
    let mut end = 0;
    for of in &mut ends {
        starts.push(end);
        end += *of;
        *of = end;
    }
    // Each into its piece, and what was there into its own, until the circle closes.
    let mut next = starts;
    for at in 0..ends.len() {
        while next[at] < ends[at] {
            let mut edge = edges[next[at]];
            loop {
                let to = piece(&edge);
                let place = next[to];
                next[to] += 1;
                if to == at {
                    edges[place] = edge;
                    break;
                }
                std::mem::swap(&mut edge, &mut edges[place]);
            }
        }
    }
    let (mut rest, mut pieces) = (edges, Vec::with_capacity(ends.len()));
    let mut before = 0;
    for end in ends {
        let (piece, behind) = rest.split_at_mut(end - before);
        pieces.push(piece);
        (rest, before) = (behind, end);
    }
    pieces.into_par_iter().for_each(<[_]>::sort_unstable);
}

/// From a node that was looked at up to one that was not, by what is left of the tree's path; and the least semidominator on
/// what was left out. Of a node that was not looked at its parent, and what is known of its semidominator.
#[derive(Clone, Copy)]
struct Link<I> {
    up: I,
    least: I,
}

/// Makes the path from `from` to the last node above `node` one step; the least semidominator on it.
#[inline]
fn least<I: Id>(from: I, node: I, links: &mut [Link<I>], path: &mut Vec<I>) -> I {
    let mut at = from;
    let mut link = links[at.index()];
    while link.up > node {
        path.push(at);
        at = link.up;
        link = links[at.index()];
    }
    let Link { up, mut least } = link;
    while let Some(below) = path.pop() {
        let link = &mut links[below.index()];
        least = least.min(link.least);
        *link = Link { up, least };
    }
    least
}

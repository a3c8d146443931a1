//! Dominators by the algorithm SEMI-NCA (Georgiadis, Tarjan, Werneck: Finding dominators in practice, 2006).
//!
//! The nodes are numbered by a depth-first search, 0 is the root. Of the edges only those are needed that lead to a
//! lower number: what the others say of semidominators, the search has noted when it met them.

use rayon::prelude::*;

use super::super::Id;

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

    /// An edge between nodes that are numbered.
    #[inline]
    pub(super) fn edge(&mut self, from: I, to: I) {
        let semi = &mut self.semi[to.index()];
        // Nothing changes what the root refers to.
        if *semi == I::default() {
            return;
        }
        if from < to {
            *semi = from.min(*semi);
        } else if from > to {
            self.back.push((to, from));
        }
    }

    /// The immediate dominator of each node; of the root itself.
    pub(super) fn dominators(mut self) -> Vec<I> {
        self.sort();
        self.semidominators();
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

    /// Edges in the order of where they lead, each once.
    fn sort(&mut self) {
        let semi = &self.semi;
        self.back.retain(|(to, _)| semi[to.index()] != I::default());
        self.back.par_sort_unstable();
        self.back.dedup();
    }

    /// Makes `semi` what its name says: the least number from which a path leads to the node whose inner nodes are
    /// all of higher numbers than the node's.
    fn semidominators(&mut self) {
        let Forest { parent, semi, back } = self;
        // From each node that was looked at up to one that was not, by what is left of the tree's path, and the
        // least semidominator on what was left out.
        let mut up = parent.clone();
        let mut least = semi.clone();
        let mut path: Vec<I> = Vec::new();
        let mut left = back.len();
        for i in (1..parent.len()).rev() {
            let node = I::of(i as u64);
            let mut lowest = semi[i];
            while left > 0 && back[left - 1].0 == node {
                left -= 1;
                let from = back[left].1;
                shorten(from, node, &mut up, &mut least, &mut path);
                lowest = lowest.min(least[from.index()]);
            }
            semi[i] = lowest;
            least[i] = lowest;
        }
    }
}

/// Makes the path from `from` to the last node above `node` one step, with the least semidominator on it.
#[inline]
fn shorten<I: Id>(from: I, node: I, up: &mut [I], least: &mut [I], path: &mut Vec<I>) {
    let mut at = from;
    while up[at.index()] > node {
        path.push(at);
        at = up[at.index()];
    }
    let (top, mut lowest) = (up[at.index()], least[at.index()]);
    while let Some(below) = path.pop() {
        lowest = lowest.min(least[below.index()]);
        least[below.index()] = lowest;
        up[below.index()] = top;
    }
}

//! The dominator tree from the top down.

use std::iter::successors;

use super::super::{Id, ObjectGraph};
use super::Dominators;

/// Which nodes each node dominates, and where nodes lie. 12 bytes a node with numbers of 4.
#[derive(Clone, Copy)]
pub struct TopDown<'t, I> {
    /// The places of nodes by their numbers; 0 for number 0.
    places: &'t [I],
    links: &'t Links<I>,
}

/// From each node to those that it dominates.
pub(super) struct Links<I> {
    /// Of each node the first that it dominates; 0 for none.
    first: Vec<I>,
    /// The next with the same dominator.
    next: Vec<I>,
}

impl<I> Links<I> {
    /// How many numbers are in it.
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.next.len()
    }
}

impl<G: ObjectGraph, I: Id> Dominators<'_, G, I> {
    /// Turns the tree around, once for all who ask.
    pub fn top_down(&self) -> TopDown<'_, I> {
        let links = self.links.get_or_init(|| {
            let count = self.count() as usize;
            let (mut first, mut next) = (vec![I::default(); count], vec![I::default(); count]);
            for i in (1..count).rev() {
                let dominator = self.dominator(I::of(i as u64)).index();
                next[i] = first[dominator];
                first[dominator] = I::of(i as u64);
            }
            Links { first, next }
        });
        TopDown { places: self.places(), links }
    }
}

impl<I: Id> TopDown<'_, I> {
    /// The place of a node. Of number 0, which is no object, 0.
    #[inline]
    pub fn place(&self, number: I) -> u64 {
        self.places[number.index()].number()
    }

    /// The first node that this one immediately dominates, by number.
    #[inline]
    pub fn first(&self, number: I) -> Option<I> {
        Some(self.links.first[number.index()]).filter(|n| *n != I::default())
    }

    /// The next node with the same immediate dominator.
    #[inline]
    pub fn next(&self, number: I) -> Option<I> {
        Some(self.links.next[number.index()]).filter(|n| *n != I::default())
    }

    /// The nodes that this one immediately dominates, in the order of their numbers; those of number 0 are what no
    /// single object holds.
    pub fn children(&self, number: I) -> impl Iterator<Item = I> + '_ {
        successors(self.first(number), |n| self.next(*n))
    }
}

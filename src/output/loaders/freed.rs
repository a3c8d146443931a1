//! What would be freed with a loader, its classes and all their objects: the sum of what those retain of these that are not
//! within another one of them.

use std::collections::HashMap;

use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph};

/// The loader that an object belongs to: as itself, as one of its classes, as an object of one.
struct Owners<'g, G> {
    graph: &'g G,
    /// By the place of the loader its number.
    loaders: &'g HashMap<u64, usize>,
    /// By class.
    of_class: Vec<Option<usize>>,
    has_mirrors: Vec<bool>,
}

impl<G: ObjectGraph> Owners<'_, G> {
    fn owner(&self, place: u64) -> Option<usize> {
        let class = self.graph.class_of(place) as usize;
        if let Some(owner) = *self.of_class.get(class)? {
            return Some(owner);
        }
        if self.has_mirrors[class] {
            let mirrored = self.graph.mirrored(place)?;
            return *self.of_class.get(mirrored as usize)?;
        }
        self.loaders.get(&place).copied()
    }
}

/// What a walk of the tree adds up.
struct Sums<'t, 'g, G, I> {
    tree: &'t Dominators<'g, G, I>,
    owners: Owners<'t, G>,
    bytes: Vec<u64>,
    /// How many of each loader's objects are above the node at hand.
    above: Vec<u32>,
}

impl<G: ObjectGraph, I: Id> Sums<'_, '_, G, I> {
    /// An object that comes under those above it: whose it is.
    fn enter(&mut self, place: u64, retained: u64) -> Option<usize> {
        let owner = self.owners.owner(place)?;
        if self.above[owner] == 0 {
            self.bytes[owner] += retained;
        }
        self.above[owner] += 1;
        Some(owner)
    }

    fn parts(&mut self, place: u64) {
        let tree = self.tree;
        tree.direct_parts(place, |part| {
            let owner = self.enter(part, tree.part_retained(part));
            self.parts(part);
            self.leave(owner);
        });
    }

    fn leave(&mut self, owner: Option<usize>) {
        if let Some(owner) = owner {
            self.above[owner] -= 1;
        }
    }
}

/// The bytes for each of the loaders whose places are given with numbers from 0. A walk of the whole tree, where there is
/// any: 16 bytes a node with numbers of 4.
pub(super) fn find<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    loaders: &HashMap<u64, usize>,
) -> Vec<u64> {
    let graph = tree.graph();
    if loaders.is_empty() {
        return Vec::new();
    }
    let owner = |class: &crate::graph::Class| loaders.get(&class.loader?).copied();
    let is_class = |c: &crate::graph::Class| c.name == "java.lang.Class" && c.loader.is_none();
    let owners = Owners {
        graph,
        loaders,
        of_class: graph.classes().iter().map(owner).collect(),
        has_mirrors: graph.classes().iter().map(is_class).collect(),
    };
    let none = || vec![0; loaders.len()];
    let mut sums = Sums { tree, owners, bytes: none(), above: vec![0; loaders.len()] };
    let top_down = tree.top_down();
    // The nodes above the one at hand, each with whose it is.
    let mut path: Vec<Option<u32>> = Vec::new();
    let mut at = top_down.first(I::default());
    while let Some(number) = at {
        let place = top_down.place(number);
        let owner = sums.enter(place, tree.retained(number));
        path.push(owner.map(|o| o as u32));
        sums.parts(place);
        at = top_down.first(number);
        let mut above = number;
        while at.is_none() && above != I::default() {
            let owner = path.pop().flatten();
            sums.leave(owner.map(|o| o as usize));
            at = top_down.next(above);
            above = tree.dominator(above);
        }
    }
    sums.bytes
}

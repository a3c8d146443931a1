//! Where a tree is shown from.

use super::Item;
use crate::graph::dominators::Dominators;
use crate::graph::{Bits, Id, ObjectGraph};

/// An object, found in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<I> {
    /// It is held.
    Held(Item<I>),
    /// It is a part of the node that the second is.
    Part(Item<I>, Item<I>),
    /// Nothing holds it.
    Garbage,
}

impl<I: Id> Start<I> {
    /// The object at `place`. Of a part its holder is searched for: a pass over all references.
    pub fn of<G: ObjectGraph>(tree: &Dominators<'_, G, I>, place: u64) -> Start<I> {
        if let Some(number) = tree.number(place) {
            return Start::Held(Item::node(tree, place, number));
        }
        if !tree.is_part(place) {
            return Start::Garbage;
        }
        let Some((holder, number)) = tree.node_of_part(place) else { return Start::Garbage };
        let holder = Item::node(tree, holder, number);
        Start::Part(Item::part(tree, place, holder.strength), holder)
    }
}

/// The objects of the wanted classes that lie below no other of them; `wanted` is by number of class.
pub fn topmost<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    wanted: &[bool],
) -> Vec<Item<I>> {
    let graph = tree.graph();
    let is_wanted =
        |place: u64| wanted.get(graph.class_of(place) as usize).copied().unwrap_or(false);
    let nodes = Bits::new(tree.count());
    tree.each_node(
        || (),
        |(), place, number| {
            if is_wanted(place) {
                nodes.set(number.number());
            }
        },
        |()| {},
    );
    // A dominator's number is lower than those of what it dominates.
    let below = Bits::new(tree.count());
    for i in 1..tree.count() {
        let dominator = tree.dominator(I::of(i)).number();
        if nodes.has(dominator) || below.has(dominator) {
            below.set(i);
        }
    }
    let mut all = Vec::new();
    tree.each_node(
        Vec::new,
        |some: &mut Vec<Item<I>>, place, number| {
            if below.has(number.number()) {
                return;
            }
            if nodes.has(number.number()) {
                some.push(Item::node(tree, place, number));
            } else {
                parts(tree, place, Item::node(tree, place, number), &is_wanted, some);
            }
        },
        |some| all.extend(some),
    );
    all
}

/// The wanted parts of an object. As deep as parts lie in parts: a few levels.
fn parts<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    place: u64,
    holder: Item<I>,
    is_wanted: &impl Fn(u64) -> bool,
    some: &mut Vec<Item<I>>,
) {
    tree.direct_parts(place, |part| match is_wanted(part) {
        true => some.push(Item::part(tree, part, holder.strength)),
        false => parts(tree, part, holder, is_wanted, some),
    });
}

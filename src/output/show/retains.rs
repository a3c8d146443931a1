//! What an object retains, by class.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::Serialize;

use crate::graph::dominators::Dominators;
use crate::graph::{Bits, Id, ObjectGraph};
use crate::output::retained::class_name;

/// Objects of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// The class.
    pub class: String,
    /// How many.
    pub objects: u64,
    /// Their own bytes.
    pub bytes: u64,
}

/// What goes with the object at `place`, itself included: the `top` classes with the most bytes. `number` is its own, or that
/// of the node that it is a part of. A bit for each node.
pub fn retains<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    place: u64,
    number: I,
    top: usize,
) -> Vec<Kind> {
    let mut sums: HashMap<u32, (u64, u64)> = HashMap::new();
    let mut add = |place: u64| {
        let of = sums.entry(tree.graph().class_of(place)).or_default();
        *of = (of.0 + 1, of.1 + tree.size(place));
    };
    let mut whole = |place: u64| {
        add(place);
        tree.parts(place, &mut add);
    };
    whole(place);
    if tree.number(place) == Some(number) {
        // A dominator's number is lower than those of what it dominates.
        let (within, places) = (Bits::new(tree.count()), tree.places());
        let strength = tree.strength(number);
        within.set(number.number());
        for i in number.number() + 1..tree.count() {
            let below = I::of(i);
            let goes = within.has(tree.dominator(below).number());
            if goes && tree.strength(below) == strength {
                within.set(i);
                whole(places[below.index()].number());
            }
        }
    }
    let mut all: Vec<(u32, (u64, u64))> = sums.into_iter().collect();
    all.sort_unstable_by_key(|(class, (objects, bytes))| {
        (Reverse(*bytes), Reverse(*objects), *class)
    });
    let kind =
        |(class, (objects, bytes))| Kind { class: class_name(tree.graph(), class), objects, bytes };
    all.into_iter().take(top).map(kind).collect()
}

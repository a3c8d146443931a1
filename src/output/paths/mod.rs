//! The paths by which roots hold an object, and the paths to many objects of a class as a tree.

mod chain;
mod merge;
pub(in crate::output) mod text;
pub(in crate::output) mod words;

pub use chain::{Chain, Reference, Step, chain};
pub use merge::{Branch, Merged, merged};
pub use text::{chain_table, merged_table};

use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph};

/// The bytes that an object retains; none where nothing holds it.
pub(in crate::output) fn retained<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    place: u64,
) -> Option<u64> {
    match tree.number(place) {
        Some(number) => Some(tree.retained(number)),
        None => tree.is_part(place).then(|| tree.part_retained(place)),
    }
}

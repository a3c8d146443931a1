//! Who holds what: the dominator tree of a graph, and what each object retains.
//!
//! An object *dominates* another where every path from a root to that one leads through it; what it *retains* is itself
//! and all that it dominates: what would be freed if it went. The objects that no root leads to hold nothing.
//!
//! 1. Fold (`fold`): what is simply a part of its one holder is no node. All threads.
//! 2. Search (`search`): nodes are numbered depth first; references are read from the input.
//! 3. Dominators (`semi_nca`).
//! 4. Sizes (`sizes`): all threads, then a sum up the tree.
//!
//! Memory, with numbers of 4 bytes: 12 bytes a node while references are followed, and 8 for each that leads back to a lower
//! number; then 20 a node, and 4 for each such reference; 16 a node in the end. While references are followed, 4 bytes for
//! each that is still to be followed, too. Four bits for each place at first, then three. Twice the bytes for nodes and
//! references with numbers of 8. The same at any number of threads.

mod fold;
mod part_holders;
mod query;
mod search;
mod semi_nca;
mod sizes;
mod stack;
#[cfg(test)]
pub(crate) mod tests;
mod top_down;

pub use super::rule::Rule;
pub use part_holders::PartHolders;
pub use top_down::TopDown;

use std::sync::OnceLock;

use super::rule::Ruled;
use super::{Id, ObjectGraph, Strength};
use crate::error::{Error, Result};
use fold::Folded;
use search::Found;
use sizes::Sizes;
use top_down::Links;

/// How far it is: called by any thread.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// A step begins: its name, and how many objects it will look at at most.
    pub step: &'a (dyn Fn(&'static str, u64) + Sync),
    /// So many objects more are done.
    pub add: &'a (dyn Fn(u64) + Sync),
    /// So many bytes of memory are taken in all from here on, at least; an error ends the work. Called before they are taken,
    /// and again when more are needed.
    pub room: &'a (dyn Fn(u64) -> Result<()> + Sync),
}

/// The dominator tree of a graph. `I` is the kind of number that its nodes have.
pub struct Dominators<'g, G, I> {
    pool: &'g rayon::ThreadPool,
    ruled: Ruled<'g, G>,
    folded: Folded,
    found: Found<I>,
    sizes: Sizes<I>,
    total: u64,
    /// The places of nodes by their numbers, and the tree from the top down, once somebody has asked for them.
    places: OnceLock<Vec<I>>,
    links: OnceLock<Links<I>>,
}

/// Whether numbers of this kind do for a graph's nodes and places.
pub fn fits<I: Id>(graph: &impl ObjectGraph) -> bool {
    let numbers = graph.numbers();
    // Behind the places stand as many nodes as there are at most.
    numbers.places().saturating_add(numbers.len()) < I::MAX
}

/// An error where they do not.
pub(super) fn check_fits<I: Id>(graph: &impl ObjectGraph) -> Result<()> {
    if fits::<I>(graph) {
        return Ok(());
    }
    let places = graph.numbers().places();
    let what = format!("{places} places of objects have no numbers of that size");
    Err(Error::Unsupported(what))
}

impl<'g, G: ObjectGraph, I: Id> Dominators<'g, G, I> {
    /// Finds it, by all threads of `pool` where more than one can work.
    ///
    /// An error where numbers of this kind do not do (see [`fits`]), and where `watch` allows no more memory.
    pub fn find(
        graph: &'g G,
        rule: Rule,
        pool: &'g rayon::ThreadPool,
        watch: Watch<'_>,
    ) -> Result<Dominators<'g, G, I>> {
        check_fits::<I>(graph)?;
        pool.install(|| {
            let numbers = graph.numbers();
            let ruled = Ruled::new(graph, rule);
            // Three bits for each place besides the graph's own, then two.
            let bits = numbers.places() / 8;
            let of_graph = Self::of_graph(graph);
            (watch.room)(of_graph + 3 * bits)?;
            (watch.step)("reading references", numbers.len());
            let folded = Folded::new(&ruled, watch.add);
            let fixed = of_graph + folded.nodes.memory() + bits;
            (watch.room)(fixed + Self::of_nodes(folded.nodes.len()))?;
            (watch.step)("following references", folded.nodes.len());
            let more = |bytes| (watch.room)(fixed + bytes);
            let found = search::search(&ruled, &folded, watch.add, &more)?;
            (watch.step)("adding up", folded.nodes.len());
            let sizes = sizes::sizes(&ruled, &folded, &found, watch.add);
            let total = sizes::total(&ruled);
            let (places, links) = Default::default();
            Ok(Dominators { pool, ruled, folded, found, sizes, total, places, links })
        })
    }

    /// Bytes that a graph's numbers take, and what else it has a bit for each place of.
    fn of_graph(graph: &G) -> u64 {
        let plain = graph.plain().map_or(0, |plain| plain.objects.len() as u64 * 8);
        graph.numbers().memory() + plain
    }

    /// Bytes that dominators of so many nodes take while they are found, besides references that lead back.
    fn of_nodes(nodes: u64) -> u64 {
        nodes.saturating_mul(5 * size_of::<I>() as u64)
    }

    /// Bytes of memory that a tree of a graph may take in all, were every object a node; besides references that lead back.
    pub fn memory_at_most(graph: &G) -> u64 {
        let numbers = graph.numbers();
        let bits = numbers.places() / 8;
        Self::of_graph(graph) + numbers.memory() + bits + Self::of_nodes(numbers.len())
    }

    /// Bytes of memory that the tree takes, now that it is found, with what others have asked it for.
    pub fn memory(&self) -> u64 {
        let numbers = self.graph().numbers();
        let orders = (self.found.order.len() + self.found.idom.len()) * size_of::<I>();
        let asked = self.places.get().map_or(0, Vec::len) + self.links.get().map_or(0, Links::len);
        let sizes = self.sizes.retained.len() * 8 + self.sizes.retained.len() / 8;
        let bytes = orders + sizes + asked * size_of::<I>();
        let of_graph = Self::of_graph(self.graph());
        of_graph + self.folded.nodes.memory() + numbers.places() / 8 + bytes as u64
    }

    /// The graph.
    pub fn graph(&self) -> &'g G {
        self.ruled.graph
    }

    /// The threads that it was found by.
    pub fn pool(&self) -> &'g rayon::ThreadPool {
        self.pool
    }

    /// The rule.
    pub fn rule(&self) -> Rule {
        self.ruled.rule
    }

    /// Bytes of all objects, garbage included, by the rule's sizes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of all objects that are held with just this strength.
    pub fn held(&self, strength: Strength) -> u64 {
        self.sizes.held[strength as usize]
    }
}

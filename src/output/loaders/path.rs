//! What keeps loaders: the shortest paths from roots, up to the first object that is a loader's own.

use std::collections::HashMap;

use crate::error::Result;
use crate::graph::dominators::{Dominators, Watch};
use crate::graph::paths::Paths;
use crate::graph::{Id, NO_CLASS, ObjectGraph, Strength};
use crate::output::paths::{Chain, chain};

/// Whether an object is a loader's own: itself, one of its classes, an object of one.
fn is_own(graph: &impl ObjectGraph, loader: u64, place: u64) -> bool {
    let of = |class: u32| {
        let class = graph.classes().get(class as usize).filter(|_| class != NO_CLASS);
        class.is_some_and(|c| c.loader == Some(loader))
    };
    place == loader || of(graph.class_of(place)) || graph.mirrored(place).is_some_and(of)
}

/// By the place of a loader what keeps it.
pub(super) fn find<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    loaders: &[u64],
    watch: Watch<'_>,
) -> Result<HashMap<u64, Chain>> {
    let graph = tree.graph();
    if loaders.is_empty() {
        return Ok(HashMap::new());
    }
    let paths = Paths::<G, I>::find(graph, Strength::Strong, Some(loaders), tree.pool(), watch)?;
    let of = |loader: &u64| {
        let own = paths.path(*loader).into_iter().find(|place| is_own(graph, *loader, *place));
        Some((*loader, chain(tree, &paths, own?, None)?))
    };
    Ok(loaders.iter().filter_map(of).collect())
}

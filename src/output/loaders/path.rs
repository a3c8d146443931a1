//! What keeps loaders: the shortest paths from roots, up to the first object that is a loader's own.

use std::collections::HashMap;

use serde::Serialize;

use crate::address::Address;
use crate::error::Result;
use crate::graph::dominators::Watch;
use crate::graph::paths::{By, Link, Paths};
use crate::graph::{Id, NO_CLASS, ObjectGraph, Place, RootKind, Strength};
use crate::output::retained::{class_name, label};

/// Steps of a path that are told, from the root and towards the loader.
const STEPS: usize = 40;

/// An object on a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// How it is held by the one before it; of the first, why it is a root.
    pub by_text: String,
    /// The object.
    pub object: Address,
    /// Its class.
    pub class: String,
    /// Of a class object its class, of a thread its name, of a String its text.
    pub label: Option<String>,
}

/// Whether an object is a loader's own: itself, one of its classes, an object of one.
fn is_own(graph: &impl ObjectGraph, loader: u64, place: u64) -> bool {
    let of = |class: u32| {
        let class = graph.classes().get(class as usize).filter(|_| class != NO_CLASS);
        class.is_some_and(|c| c.loader == Some(loader))
    };
    place == loader || of(graph.class_of(place)) || graph.mirrored(place).is_some_and(of)
}

/// By the place of a loader what keeps it, root first.
pub(super) fn find<G: ObjectGraph, I: Id>(
    graph: &G,
    loaders: &[u64],
    pool: &rayon::ThreadPool,
) -> Result<HashMap<u64, Vec<Step>>> {
    if loaders.is_empty() {
        return Ok(HashMap::new());
    }
    let quiet = Watch { step: &|_, _| {}, add: &|_| {} };
    let paths = Paths::<G, I>::find(graph, Strength::Strong, Some(loaders), pool, quiet)?;
    let of = |loader: &u64| {
        let mut places = paths.path(*loader);
        let own = places.iter().position(|place| is_own(graph, *loader, *place));
        places.truncate(own.map_or(0, |i| i + 1));
        (*loader, steps(&paths, &places))
    };
    Ok(loaders.iter().map(of).collect())
}

fn steps<G: ObjectGraph, I: Id>(paths: &Paths<'_, G, I>, places: &[u64]) -> Vec<Step> {
    let graph = paths.graph();
    let mut out = Vec::new();
    let left_out = places.len().saturating_sub(STEPS);
    for (i, place) in places.iter().enumerate() {
        // The middle of a long one (a linked list) tells the least.
        if left_out > 0 && (STEPS / 2..STEPS / 2 + left_out).contains(&i) {
            continue;
        }
        let link = match i {
            0 => paths.root_link(*place),
            _ => paths.link(places[i - 1], *place),
        };
        let mut by_text = text(graph, &link);
        if left_out > 0 && i == STEPS / 2 + left_out {
            by_text = format!("behind {left_out} more, {by_text}");
        }
        out.push(Step {
            by_text,
            object: Address(graph.address(*place)),
            class: class_name(graph, graph.class_of(*place)),
            label: label(graph, *place),
        });
    }
    out
}

/// How an object is held, in words.
fn text(graph: &impl ObjectGraph, link: &Link) -> String {
    let thread = |number: u32| {
        let name = graph.threads().get(number as usize).map_or("?", |t| t.name.as_str());
        format!("thread \"{name}\"")
    };
    match &link.by {
        By::Root { kind: RootKind::Thread, .. } => "a thread".into(),
        By::Root { kind: RootKind::StickyClass, .. } => "a class that is never unloaded".into(),
        By::Root { kind: RootKind::JniGlobal, .. } => "a global JNI handle".into(),
        By::Root { kind, thread: Some(number) } => format!("{kind:?} of {}", thread(*number)),
        By::Root { kind, thread: None } => format!("root {kind:?}"),
        By::Reference(Place::Field(field)) => format!(".{}", field.name),
        By::Reference(Place::Static(field)) => format!("static .{}", field.name),
        By::Reference(Place::Element(i)) => format!("[{i}]"),
        By::Reference(Place::Class(part)) => format!("its class's {part:?}"),
        By::Local { thread: number, frame, .. } => {
            let frames = graph.threads().get(*number as usize).map(|t| &t.frames);
            let at = frames.zip(*frame).and_then(|(f, i)| f.get(i as usize));
            at.map_or_else(|| "native code".into(), |frame| format!("in {frame}"))
        }
        By::OwnClass => "its class".into(),
    }
}

//! Objects with finalizers: those that are registered, and those that wait for theirs to run.

use serde::Serialize;

use super::layout::{Layouts, declared, named, static_field};
use super::queues::{self, Named};
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph};

/// The class of the references to objects with finalizers.
const FINALIZER: &str = "java.lang.ref.Finalizer";

/// Objects with finalizers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Finalizers {
    /// Objects whose finalizer has not run, those that wait for it among them; none where the class cannot be read.
    pub registered: Option<u64>,
    /// By class.
    pub registered_classes: Vec<Named>,
    /// Those that a collection has found dead and that wait for their finalizer to run; none where the queue cannot be
    /// read.
    pub queued: Option<u64>,
    /// Bytes that would be freed once they have.
    pub queued_bytes: Option<u64>,
    /// By class.
    pub queued_classes: Vec<Named>,
    /// Finalizers that are running.
    pub running: Vec<Running>,
}

/// A finalizer that is running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// The thread.
    pub thread: String,
    /// The frame of the finalizer.
    pub finalizer: String,
    /// The innermost frame.
    pub top_frame: String,
}

/// All of them.
pub(super) fn find<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    layouts: &Layouts,
) -> Finalizers {
    let graph = tree.graph();
    let mut out = Finalizers { running: running(graph), ..Finalizers::default() };
    let Some(class) = named(graph, FINALIZER) else { return out };
    let of = |finalizer: u64| {
        let of = layouts.reference(graph.class_of(finalizer));
        let referent = of.and_then(|of| graph.value(finalizer, of.referent?)?.object());
        Some((graph.class_of(referent?), queues::hanging(tree, layouts, finalizer)))
    };
    if let Some(first) = static_field(graph, FINALIZER, &["unfinalized"]) {
        let next = declared(graph, class, class, &["next"]);
        let next = |at: u64| {
            let is_one = graph.class_of(at) == class;
            graph.value(at, next.filter(|_| is_one)?)?.object()
        };
        let all = queues::chain(first.object(), next);
        out.registered = Some(all.len() as u64);
        out.registered_classes = queues::by_class(graph, all.into_iter().filter_map(of));
    }
    let queue = static_field(graph, FINALIZER, &["queue"]).and_then(|queue| queue.object());
    if let Some(queue) = queue {
        let all = queues::members(graph, layouts, queue);
        out.queued = Some(all.len() as u64);
        out.queued_classes = queues::by_class(graph, all.into_iter().filter_map(of));
        out.queued_bytes = Some(out.queued_classes.iter().map(|c| c.retained).sum());
    }
    out
}

/// By the frames of threads: the one that the finalizer's runner has called, through what it takes to call it.
fn running(graph: &impl ObjectGraph) -> Vec<Running> {
    let runner = format!("{FINALIZER}.runFinalizer(");
    let of = |thread: &crate::graph::Thread| {
        let at = thread.frames.iter().position(|f| f.starts_with(&runner))?;
        let inner = thread.frames[..at].iter().rev();
        let frame = inner.into_iter().find(|f| !f.contains(".invokeFinalize("))?;
        Some(Running {
            thread: thread.name.clone(),
            finalizer: frame.to_string(),
            top_frame: thread.frames[0].to_string(),
        })
    };
    graph.threads().iter().filter_map(of).collect()
}

//! References that are weaker than strong: how many there are, whether what they refer to lives, what hangs on them alone;
//! and what waits to be finalized or cleaned.
//!
//! All of it from objects and static fields of java.lang.ref and java.nio, so that a dump tells the same as a core. What
//! only the VM knows (from 9 the head of the pending list) is none.

mod buffers;
mod collect;
mod finalizers;
mod layout;
mod queues;
mod text;

pub use buffers::DirectBuffers;
pub use collect::Counts;
pub use finalizers::{Finalizers, Running};
pub use queues::{Named, Pending, Queue};
pub use text::text;

use std::cmp::Reverse;

use serde::Serialize;

use super::retained::{class_name, share};
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph, Strength};
use collect::Collected;
use layout::Layouts;

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// By strength: soft, weak, final, phantom.
    pub kinds: Vec<Kind>,
    /// The classes of references, those with the most of them first.
    pub classes: Vec<ReferenceClass>,
    /// All that fit the filters, also those that are not listed.
    pub class_count: u64,
    /// What only such references hold, by its class: the objects that hang on them directly.
    pub referents: Vec<Referents>,
    /// All of them, also those that are not listed.
    pub referent_count: u64,
    /// Reference queues with references in them, the longest first.
    pub queues: Vec<Queue>,
    /// All of them, also those that are not listed.
    pub queue_count: u64,
    /// References that a collection has found and that are in no queue yet.
    pub pending: Pending,
    /// Objects with finalizers.
    pub finalizers: Finalizers,
    /// Cleaners, those with the most objects first.
    pub cleaners: Vec<Cleaners>,
    /// Memory of direct byte buffers.
    pub direct_buffers: DirectBuffers,
}

/// References of one strength.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kind {
    /// How they hold.
    #[serde(serialize_with = "super::retained::strength_name")]
    pub strength: Strength,
    /// How many, and what they refer to.
    #[serde(flatten)]
    pub counts: Counts,
    /// Bytes that references of this strength hold, and no stronger ones.
    pub held: u64,
    /// Of all objects, in percent.
    pub share: f64,
}

/// A class of references.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReferenceClass {
    /// Its name.
    pub class: String,
    /// How they hold.
    #[serde(serialize_with = "super::retained::strength_name")]
    pub strength: Strength,
    /// How many, and what they refer to.
    #[serde(flatten)]
    pub counts: Counts,
    /// Bytes that hang on them: that references of this strength hold at most, and these among them.
    pub held: u64,
}

/// Objects that hang on references directly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Referents {
    /// How they are held at most.
    #[serde(serialize_with = "super::retained::strength_name")]
    pub strength: Strength,
    /// Their class.
    pub class: String,
    /// How many.
    pub objects: u64,
    /// Bytes that they retain.
    pub retained: u64,
}

/// Objects that something cleans up after: java.lang.ref.Cleaner's and the JDK's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cleaners {
    /// The class of the cleaner.
    pub class: String,
    /// The class of what it runs; none where that is the cleaner itself.
    pub action_class: Option<String>,
    /// How many, and what they refer to.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What is to be listed.
pub struct Wanted<'a> {
    /// Whether references of this class are, and referents.
    pub name: &'a dyn Fn(&str) -> bool,
    /// So many of each list.
    pub top: usize,
}

/// All about references.
pub fn report<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>, wanted: &Wanted<'_>) -> Report {
    let graph = tree.graph();
    let layouts = Layouts::of(graph);
    let collected = Collected::find(tree, &layouts);
    let mut classes = classes(tree, &layouts, &collected);
    let kinds = kinds(tree, &classes);
    classes.retain(|c| (wanted.name)(&c.class));
    let mut referents = referents(tree, &collected);
    referents.retain(|r| (wanted.name)(&r.class));
    let mut queues = queues::queues(tree, &layouts, &collected.queues);
    queues.retain(|q| q.classes.iter().any(|c| (wanted.name)(&c.name)));
    let mut cleaners = cleaners(tree, &collected);
    cleaners.retain(|c| {
        (wanted.name)(&c.class) || c.action_class.as_deref().is_some_and(|c| (wanted.name)(c))
    });
    let mut finalizers = finalizers::find(tree, &layouts);
    for list in [&mut finalizers.registered_classes, &mut finalizers.queued_classes] {
        list.retain(|c| (wanted.name)(&c.name));
        list.truncate(wanted.top);
    }
    let counts = (classes.len() as u64, referents.len() as u64, queues.len() as u64);
    classes.truncate(wanted.top);
    referents.truncate(wanted.top);
    queues.truncate(wanted.top);
    cleaners.truncate(wanted.top);
    Report {
        kinds,
        classes,
        class_count: counts.0,
        referents,
        referent_count: counts.1,
        queues,
        queue_count: counts.2,
        pending: queues::pending(graph, &layouts, collected.linked),
        finalizers,
        cleaners,
        direct_buffers: buffers::find(graph, &collected),
    }
}

fn classes<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    layouts: &Layouts,
    collected: &Collected<I>,
) -> Vec<ReferenceClass> {
    let of = |(&class, counts): (&u32, &Counts)| {
        let strength = layouts.reference(class)?.strength;
        let first = collected.tops.partition_point(|(c, _)| *c < class);
        let tops = collected.tops[first..].iter().take_while(|(c, _)| *c == class);
        let held = tops.map(|(_, number)| tree.retained(*number)).sum();
        let name = class_name(tree.graph(), class);
        Some(ReferenceClass { class: name, strength, counts: *counts, held })
    };
    let mut all: Vec<ReferenceClass> = collected.counts.iter().filter_map(of).collect();
    all.sort_by(|a, b| {
        let key = |c: &ReferenceClass| (Reverse(c.held), Reverse(c.counts.references));
        (key(a), &a.class).cmp(&(key(b), &b.class))
    });
    all
}

fn kinds<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    classes: &[ReferenceClass],
) -> Vec<Kind> {
    let of = |strength| {
        let mut counts = Counts::default();
        let own = classes.iter().filter(|c| c.strength == strength);
        own.for_each(|c| counts.add(&c.counts));
        let held = tree.held(strength);
        Kind { strength, counts, held, share: share(held, tree.total()) }
    };
    Strength::ALL[1..].iter().map(|s| of(*s)).collect()
}

fn referents<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    collected: &Collected<I>,
) -> Vec<Referents> {
    let of = |(&(strength, class), &(objects, retained)): (&(Strength, u32), &(u64, u64))| {
        Referents { strength, class: class_name(tree.graph(), class), objects, retained }
    };
    let mut all: Vec<Referents> = collected.referents.iter().map(of).collect();
    all.sort_by(|a, b| {
        let key = |r: &Referents| (Reverse(r.retained), r.strength);
        (key(a), &a.class).cmp(&(key(b), &b.class))
    });
    all
}

fn cleaners<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    collected: &Collected<I>,
) -> Vec<Cleaners> {
    let name = |class| class_name(tree.graph(), class);
    let of = |(&(class, action), counts): (&(u32, Option<u32>), &Counts)| Cleaners {
        class: name(class),
        action_class: action.map(name),
        counts: *counts,
    };
    let mut all: Vec<Cleaners> = collected.cleaners.iter().map(of).collect();
    all.sort_by(|a, b| {
        let key = |c: &Cleaners| Reverse(c.counts.references);
        (key(a), &a.class, &a.action_class).cmp(&(key(b), &b.class, &b.action_class))
    });
    all
}

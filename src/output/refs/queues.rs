//! Reference queues and the pending list.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::layout::{Layouts, Role, static_field};
use crate::address::Address;
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph, Strength, Value};
use crate::output::retained::{class_name, static_names};

/// A reference queue that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// The java.lang.ref.ReferenceQueue.
    pub object: Address,
    /// Its class.
    pub class: String,
    /// The static field that holds it, where there is one.
    pub name: Option<String>,
    /// How many references are in it, followed one by one.
    pub length: u64,
    /// How many it says itself.
    pub own_length: Option<u64>,
    /// The classes of the references, those with the most first.
    pub classes: Vec<Named>,
}

/// Objects of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The class.
    pub name: String,
    /// How many.
    pub objects: u64,
    /// Bytes that they retain, which go once they are out of the way; 0 of those that others hold as well.
    pub retained: u64,
}

/// References between a collection and their queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// The length of the list; none from 9 on, where only the VM knows its head.
    pub length: Option<u64>,
    /// References that are linked as those of that list are, and those that a collection under way has found. A list of
    /// one cannot be told from none by this.
    pub linked: u64,
}

/// Sums by class, those with the most first.
pub(super) fn by_class<G: ObjectGraph>(
    graph: &G,
    objects: impl Iterator<Item = (u32, u64)>,
) -> Vec<Named> {
    let mut sums: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for (class, retained) in objects {
        let sum = sums.entry(class).or_default();
        *sum = (sum.0 + 1, sum.1 + retained);
    }
    let named = |(class, (objects, retained)): (u32, (u64, u64))| Named {
        name: class_name(graph, class),
        objects,
        retained,
    };
    let mut all: Vec<Named> = sums.into_iter().map(named).collect();
    all.sort_by(|a, b| {
        let key = |n: &Named| (Reverse(n.retained), Reverse(n.objects));
        (key(a), &a.name).cmp(&(key(b), &b.name))
    });
    all
}

/// Bytes that hang on a reference directly: what it refers to is held by no stronger one.
pub(super) fn hanging<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    layouts: &Layouts,
    reference: u64,
) -> u64 {
    let graph = tree.graph();
    let of = layouts.reference(graph.class_of(reference));
    let referent = of.and_then(|of| graph.value(reference, of.referent?)?.object());
    let number = referent.and_then(|r| tree.number(r));
    let is_weak = |n: &I| {
        let strength = tree.strength(*n);
        strength != Strength::Strong && tree.strength(tree.dominator(*n)) != strength
    };
    number.filter(is_weak).map_or(0, |n| tree.retained(n))
}

/// The references in a queue, from its head on.
pub(super) fn members(graph: &impl ObjectGraph, layouts: &Layouts, queue: u64) -> Vec<u64> {
    let Some(Role::Queue(head, _)) = layouts.role(graph.class_of(queue)) else { return Vec::new() };
    let first = head.and_then(|head| graph.value(queue, head)?.object());
    chain(first, |at| {
        let of = layouts.reference(graph.class_of(at))?;
        graph.value(at, of.next?)?.object()
    })
}

/// A list from its first object to its end: the last one leads to itself or nowhere. Each object once.
pub(super) fn chain(first: Option<u64>, next: impl Fn(u64) -> Option<u64>) -> Vec<u64> {
    let (mut all, mut met) = (Vec::new(), HashSet::new());
    let mut at = first;
    while let Some(place) = at.filter(|place| met.insert(*place)) {
        all.push(place);
        at = next(place);
    }
    all
}

/// The queues at these places.
pub(super) fn queues<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    layouts: &Layouts,
    places: &[u64],
) -> Vec<Queue> {
    let graph = tree.graph();
    let names = static_names(graph, |place| places.binary_search(&place).is_ok());
    let of = |place: &u64| {
        let class = graph.class_of(*place);
        let all = members(graph, layouts, *place);
        let own = match layouts.role(class) {
            Some(Role::Queue(_, length)) => length.and_then(|l| graph.value(*place, l)),
            _ => None,
        };
        let objects = all.iter().map(|r| (graph.class_of(*r), hanging(tree, layouts, *r)));
        Queue {
            object: Address(graph.address(*place)),
            class: class_name(graph, class),
            name: names.get(place).cloned(),
            length: all.len() as u64,
            own_length: own.and_then(Value::integer).and_then(|n| u64::try_from(n).ok()),
            classes: by_class(graph, objects),
        }
    };
    let mut all: Vec<Queue> = places.iter().map(of).collect();
    all.sort_by_key(|q| (Reverse(q.length), q.object));
    all
}

/// The pending list. `linked` references are linked by `discovered`.
pub(super) fn pending(graph: &impl ObjectGraph, layouts: &Layouts, linked: u64) -> Pending {
    let head = static_field(graph, "java.lang.ref.Reference", &["pending"]);
    let length = head.map(|head| {
        let all = chain(head.object(), |at| {
            let of = layouts.reference(graph.class_of(at))?;
            graph.value(at, of.discovered?)?.object()
        });
        all.len() as u64
    });
    Pending { length, linked }
}

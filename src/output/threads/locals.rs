//! Thread locals: the entries of the maps that threads have of them.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{KeyGroup, LocalHeld, shares};
use crate::address::Address;
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph, Slot, Strength, field};
use crate::output::retained::{class_name, held_at, static_names};

/// Entries of one thread that are read; more is damage.
const MAX_ENTRIES: usize = 1 << 20;

/// The static fields that hold java.lang.ThreadLocals, by the place of those.
#[derive(Debug)]
pub(super) struct Keys(HashMap<u64, String>);

impl Keys {
    /// Looks through the static fields of all classes.
    pub(super) fn find(graph: &impl ObjectGraph) -> Keys {
        let is_key = graph.subclasses("java.lang.ThreadLocal");
        Keys(static_names(graph, |place| {
            is_key.get(graph.class_of(place) as usize).copied().unwrap_or(false)
        }))
    }
}

/// Where the field of this name leads.
fn object(graph: &impl ObjectGraph, place: u64, name: &str) -> Option<u64> {
    field(graph, place, name)?.object()
}

/// An entry of a ThreadLocalMap: its key and value, where they are not null.
struct Entry {
    place: u64,
    key: Option<u64>,
    value: Option<u64>,
    inheritable: bool,
}

/// The entries of a thread's two maps.
fn entries(graph: &impl ObjectGraph, thread: u64) -> Vec<Entry> {
    let mut out = Vec::new();
    for (map, inheritable) in [("threadLocals", false), ("inheritableThreadLocals", true)] {
        let table = object(graph, thread, map).and_then(|map| object(graph, map, "table"));
        let mut places = Vec::new();
        if let Some(table) = table {
            graph.references(table, |entry, _| {
                if places.len() < MAX_ENTRIES {
                    places.push(entry);
                }
            });
        }
        // All entries are of one class.
        let class = places.first().map(|place| graph.class_of(*place));
        let slot = |name| class.and_then(|class| graph.slot(class, name));
        let (key, value) = (slot("referent"), slot("value"));
        let of = |place, slot: Option<Slot>| {
            graph.value(place, slot.filter(|_| Some(graph.class_of(place)) == class)?)?.object()
        };
        out.extend(places.into_iter().map(|place| Entry {
            place,
            key: of(place, key),
            value: of(place, value),
            inheritable,
        }));
    }
    out
}

/// Bytes that would be freed with an entry: those of its value, where nothing else holds that.
fn retained<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>, entry: &Entry) -> u64 {
    let Some(value) = entry.value else { return 0 };
    if tree.is_part(value) {
        return tree.part_retained(value);
    }
    let number = tree.number(value);
    let own = tree.number(entry.place);
    match number.zip(own).filter(|(value, own)| tree.dominator(*value) == *own) {
        Some((value, own)) if tree.strength(value) == tree.strength(own) => tree.retained(value),
        _ => 0,
    }
}

/// The thread locals of a thread, those that retain the most first.
pub(super) fn of_thread<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    keys: &Keys,
    thread: u64,
) -> Vec<LocalHeld> {
    let graph = tree.graph();
    let strength = tree.number(thread).map_or(Strength::Strong, |n| tree.strength(n));
    let of = |entry: Entry| LocalHeld {
        key_class: entry.key.map(|key| class_name(graph, graph.class_of(key))),
        key: entry.key.map(|key| Address(graph.address(key))),
        key_name: entry.key.and_then(|key| keys.0.get(&key).cloned()),
        inheritable: entry.inheritable,
        value: entry.value.and_then(|value| held_at(tree, value, strength)),
        retained: retained(tree, &entry),
    };
    let mut all: Vec<LocalHeld> = entries(graph, thread).into_iter().map(of).collect();
    all.sort_by_key(|l| (Reverse(l.retained), l.inheritable, l.key));
    all
}

/// The values of each key in all of the threads, those that retain the most first.
pub(super) fn by_key<'a, G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    keys: &Keys,
    threads: impl Iterator<Item = &'a shares::Thread<I>>,
) -> Vec<KeyGroup> {
    let graph = tree.graph();
    let mut all: HashMap<Option<u64>, KeyGroup> = HashMap::new();
    for thread in threads {
        for entry in entries(graph, thread.place) {
            let of = all.entry(entry.key).or_insert_with(|| KeyGroup {
                key_class: entry.key.map(|key| class_name(graph, graph.class_of(key))),
                key: entry.key.map(|key| Address(graph.address(key))),
                key_name: entry.key.and_then(|key| keys.0.get(&key).cloned()),
                threads: 0,
                value_class: None,
                retained: 0,
            });
            of.threads += 1;
            of.retained += retained(tree, &entry);
            let class = entry.value.map(|value| class_name(graph, graph.class_of(value)));
            of.value_class = of.value_class.take().or(class);
        }
    }
    let mut all: Vec<KeyGroup> = all.into_values().collect();
    all.sort_by_key(|g| (Reverse(g.retained), Reverse(g.threads), g.key));
    all
}

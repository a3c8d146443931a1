//! The single objects that retain the most.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::Serialize;

use super::share;
use crate::address::hex;
use crate::graph::dominators::Dominators;
use crate::graph::{Id, NO_CLASS, ObjectGraph, Place, Strength};

/// Characters of a String that are shown of it.
const TEXT: usize = 60;

/// An object and what it retains.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Held {
    /// Its address.
    #[serde(serialize_with = "hex")]
    pub object: u64,
    /// Its class; of a class object `java.lang.Class`.
    pub class: String,
    /// Of a class object the class that it stands for, of a thread its name, of a String its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its own bytes.
    pub shallow: u64,
    /// Bytes that would be freed if it went.
    pub retained: u64,
    /// Of all that is held as strongly, in percent.
    pub share: f64,
    /// Bytes below it that only weaker references hold.
    pub weaker: u64,
    /// How it is held itself.
    #[serde(serialize_with = "strength_name")]
    pub strength: Strength,
}

/// `strong`.
pub(crate) fn strength_name<S: serde::Serializer>(
    strength: &Strength,
    s: S,
) -> Result<S::Ok, S::Error> {
    s.serialize_str(strength.name())
}

/// Describes the object at `place`.
pub(super) fn held<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    place: u64,
    retained: u64,
    weaker: u64,
    strength: Strength,
) -> Held {
    let graph = tree.graph();
    Held {
        object: graph.address(place),
        class: class_name(graph, graph.class_of(place)),
        label: label(graph, place),
        shallow: tree.size(place),
        retained,
        share: share(retained, tree.held(strength)),
        weaker,
        strength,
    }
}

/// Describes the object at `place`; none where nothing leads to it. A part is held as strongly as what it lies in, which
/// is to be given.
pub(crate) fn held_at<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    place: u64,
    part: Strength,
) -> Option<Held> {
    if tree.is_part(place) {
        return Some(held(tree, place, tree.part_retained(place), 0, part));
    }
    let number = tree.number(place)?;
    let strength = tree.strength(number);
    Some(held(tree, place, tree.retained(number), tree.weaker(number), strength))
}

/// Of the objects of which `wanted` says so, the static field that holds each, where there is one: `com.acme.Cache.ALL`.
/// Takes time in the references of all class objects.
pub(crate) fn static_names(
    graph: &impl ObjectGraph,
    wanted: impl Fn(u64) -> bool,
) -> HashMap<u64, String> {
    let mut names = HashMap::new();
    for class in graph.classes() {
        let Some(object) = class.object else { continue };
        graph.describe(object, |reference| {
            if let Place::Static(field) = &reference.place
                && wanted(reference.target)
            {
                let name = || format!("{}.{}", class.name, field.name);
                names.entry(reference.target).or_insert_with(name);
            }
        });
    }
    names
}

/// A class's name, `?` where it is not known.
pub(crate) fn class_name(graph: &impl ObjectGraph, class: u32) -> String {
    let known = graph.classes().get(class as usize).filter(|_| class != NO_CLASS);
    known.map_or_else(|| "?".into(), |c| c.name.clone())
}

/// What tells an object from others of its class.
pub(crate) fn label(graph: &impl ObjectGraph, place: u64) -> Option<String> {
    let thread = graph.threads().iter().find(|t| t.object == Some(place));
    label_of(graph, place, thread.map(|t| t.name.as_str()))
}

/// The same of an object whose thread's name is known, where it is one.
pub(crate) fn label_of(
    graph: &impl ObjectGraph,
    place: u64,
    thread: Option<&str>,
) -> Option<String> {
    if let Some(class) = graph.mirrored(place) {
        return Some(class_name(graph, class));
    }
    let named = thread.filter(|n| !n.is_empty()).map(str::to_owned);
    named.or_else(|| graph.text(place, TEXT))
}

/// The `top` objects that are held with just that strength and retain the most, the most first, then by address. Those
/// of which `wanted` says so, by number of class, and of at least `least` bytes.
pub fn objects<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    strength: Strength,
    top: usize,
    least: u64,
    wanted: &[bool],
) -> Vec<Held> {
    let places = tree.places();
    let is_wanted = |place| {
        let class = tree.graph().class_of(place);
        wanted.get(class as usize).copied().unwrap_or(false)
    };
    // First the bytes that the last of them has at least, by nodes alone.
    let mut counts: Vec<u64> = Vec::new();
    tree.each_number(
        tree.numbers(strength),
        || (Vec::new(), least),
        |(room, floor): &mut (Vec<u64>, u64), number| {
            let retained = tree.retained(number);
            if retained >= *floor && is_wanted(places[number.index()].number()) {
                room.push(retained);
                if cut(room, top, |r| Reverse(*r)) {
                    *floor = room.iter().copied().min().map_or(*floor, |min| min.max(*floor));
                }
            }
        },
        |(room, _)| counts.extend(room),
    );
    counts.sort_unstable_by_key(|r| Reverse(*r));
    let last = top.checked_sub(1).and_then(|i| counts.get(i));
    let floor = last.map_or(least, |last| least.max(*last));
    // A part retains less than who holds it, so only large holders are looked into.
    let mut best: Vec<(u64, u64, Option<I>)> = Vec::new();
    tree.each_number(
        tree.numbers(strength),
        Vec::new,
        |room, number| {
            let retained = tree.retained(number);
            if retained < floor {
                return;
            }
            let place = places[number.index()].number();
            if is_wanted(place) {
                room.push((retained, place, Some(number)));
            }
            tree.parts(place, &mut |part| {
                let retained = tree.part_retained(part);
                if retained >= floor && is_wanted(part) {
                    room.push((retained, part, None));
                }
            });
            cut(room, top, order);
        },
        |room| best.extend(room),
    );
    best.sort_unstable_by_key(order);
    best.truncate(top);
    let of = |(retained, place, number): (u64, u64, Option<I>)| {
        let weaker = number.map_or(0, |n| tree.weaker(n));
        held(tree, place, retained, weaker, strength)
    };
    best.into_iter().map(of).collect()
}

fn order<I>(of: &(u64, u64, Option<I>)) -> (Reverse<u64>, u64) {
    (Reverse(of.0), of.1)
}

/// Leaves the `top` first once there are many more, and answers whether it did.
pub(crate) fn cut<T, K: Ord>(all: &mut Vec<T>, top: usize, key: impl FnMut(&T) -> K) -> bool {
    let many = all.len() > top.saturating_mul(2).saturating_add(1024);
    if many {
        all.select_nth_unstable_by_key(top, key);
        all.truncate(top);
    }
    many
}

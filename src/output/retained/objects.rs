//! The single objects that retain the most.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::share;
use crate::address::hex;
use crate::graph::dominators::Dominators;
use crate::graph::{Bits, Id, NO_CLASS, ObjectGraph, Place, Strength};

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

/// Of each of these strengths the `top` objects that are held with just that one and retain the most, the most first,
/// then by address. Those of which `wanted` says so, by number of class, and of at least `least` bytes.
pub fn objects<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    strengths: &[Strength],
    top: usize,
    least: u64,
    wanted: &[bool],
) -> Vec<Vec<Held>> {
    let is_wanted = |place| {
        let class = tree.graph().class_of(place);
        wanted.get(class as usize).copied().unwrap_or(false)
    };
    if top == 0 {
        return vec![Vec::new(); strengths.len()];
    }
    // First the bytes that the last of them has at least, by nodes alone; where all are wanted, without a look at them.
    let all = wanted.iter().all(|w| *w);
    let exact = |s: &Strength| last_wanted(tree, tree.numbers(*s), top, least, &is_wanted);
    let floor = |s: &Strength| match all {
        true => least.max(last_of(tree, tree.numbers(*s), top)),
        false => exact(s),
    };
    let floors: Vec<_> = strengths.iter().map(|s| (*s, floor(s))).collect();
    let mut best = at_least(tree, &floors, top, &is_wanted);
    // Objects whose class is not known are not wanted: more of others are, then.
    if all && best.iter().zip(&floors).any(|(best, of)| of.1 > least && best.len() < top) {
        let floors: Vec<_> = strengths.iter().map(|s| (*s, exact(s))).collect();
        best = at_least(tree, &floors, top, &is_wanted);
    }
    let of = |(strength, best): (&Strength, Vec<Best<I>>)| {
        let of = |(retained, place, number): Best<I>| {
            let weaker = number.map_or(0, |n| tree.weaker(n));
            held(tree, place, retained, weaker, *strength)
        };
        best.into_iter().map(of).collect()
    };
    strengths.iter().zip(best).map(of).collect()
}

/// Bytes, place, and the number of a node.
type Best<I> = (u64, u64, Option<I>);

/// The bytes that the last of the `top` of these nodes retains that retain the most; 0 where there are fewer.
fn last_of<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    numbers: Range<u64>,
    top: usize,
) -> u64 {
    let (mut most, mut floor) = (Vec::new(), 0);
    for number in numbers {
        let retained = tree.retained(I::of(number));
        if retained >= floor {
            most.push(retained);
            if cut(&mut most, top, |r| Reverse(*r)) {
                floor = most.iter().copied().min().unwrap_or(0);
            }
        }
    }
    most.sort_unstable_by_key(|r| Reverse(*r));
    most.get(top - 1).copied().unwrap_or(0)
}

/// The same of those that are wanted, and at least `least`. Each has to be looked at, but for those that retain less
/// than as many as are known.
fn last_wanted<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    numbers: Range<u64>,
    top: usize,
    least: u64,
    is_wanted: &(impl Fn(u64) -> bool + Sync),
) -> u64 {
    let (mut most, floor): (Vec<u64>, _) = (Vec::new(), AtomicU64::new(least));
    tree.each_node(
        Vec::new,
        |room: &mut Vec<u64>, place, number| {
            let retained = tree.retained(number);
            if numbers.contains(&number.number())
                && retained >= floor.load(Relaxed)
                && is_wanted(place)
            {
                room.push(retained);
                cut(room, top, |r| Reverse(*r));
            }
        },
        |room| {
            most.extend(room);
            if cut(&mut most, top, |r| Reverse(*r)) {
                floor.fetch_max(most.iter().copied().min().unwrap_or(0), Relaxed);
            }
        },
    );
    most.sort_unstable_by_key(|r| Reverse(*r));
    most.get(top - 1).map_or(least, |last| least.max(*last))
}

/// The `top` of those that are wanted and are held with each of these strengths and retain at least so much.
fn at_least<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    floors: &[(Strength, u64)],
    top: usize,
    is_wanted: &(impl Fn(u64) -> bool + Sync),
) -> Vec<Vec<Best<I>>> {
    let large = Bits::new(tree.count());
    for &(strength, floor) in floors {
        for number in tree.numbers(strength).filter(|n| tree.retained(I::of(*n)) >= floor) {
            large.set(number);
        }
    }
    // A part retains less than who holds it, so only large holders are looked into.
    let none = || vec![Vec::new(); floors.len()];
    let mut best: Vec<Vec<Best<I>>> = none();
    tree.each_node(
        none,
        |rooms: &mut Vec<Vec<Best<I>>>, place, number| {
            if !large.has(number.number()) {
                return;
            }
            let strength = tree.strength(number);
            for (room, (_, floor)) in rooms.iter_mut().zip(floors).filter(|r| r.1.0 == strength) {
                if is_wanted(place) {
                    room.push((tree.retained(number), place, Some(number)));
                }
                // Its own bytes are in none of its parts.
                if tree.retained(number).saturating_sub(tree.size(place)) >= *floor {
                    tree.parts(place, &mut |part| {
                        let retained = tree.part_retained(part);
                        if retained >= *floor && is_wanted(part) {
                            room.push((retained, part, None));
                        }
                    });
                }
                cut(room, top, order);
            }
        },
        |rooms| best.iter_mut().zip(rooms).for_each(|(best, room)| best.extend(room)),
    );
    for best in &mut best {
        best.sort_unstable_by_key(order);
        best.truncate(top);
    }
    best
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

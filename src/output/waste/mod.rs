//! `rjcore waste`: memory that does no work. Strings and arrays that are there twice, collections that are empty or
//! mostly so, numbers in boxes, arrays that are longer than what is in them; and which fields hold them.
//!
//! Only what is strongly held counts: garbage costs nothing any more. docs/answers.md says of each kind what could be saved;
//! no byte is saved twice. All passes are by all threads, and over objects in order: `held`, `inspect`, then
//! `duplicates`, then `holders`.

mod duplicates;
mod held;
mod holders;
mod inspect;
pub(in crate::output) mod roles;
#[cfg(test)]
mod tests;
mod text;

pub use text::text;
#[cfg(feature = "cli")]
pub(in crate::output) use text::words;

use std::collections::HashMap;

use rayon::prelude::*;
use serde::Serialize;

use duplicates::{Prints, Same, duplicates};
use held::Held;
use holders::{Fields, INSIDE, NOBODY};
use inspect::{All, inspect};
use roles::Roles;

use super::collections::{Collections, Descriptions};
use super::retained::{class_name, share};
use crate::error::Result;
use crate::graph::dominators::{Dominators, Watch};
use crate::graph::{Bits, Id, ObjectGraph};

/// Characters of a String that are shown of it.
const TEXT: usize = 60;
/// Sizes of objects are multiples of it.
const WORD: u64 = 8;

/// A kind of waste.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// Strings with the text of another.
    DuplicateStrings,
    /// Arrays of primitives with the elements of another.
    DuplicateArrays,
    /// Collections without an entry.
    EmptyCollections,
    /// Collections whose arrays have four times the room that they need, and more.
    SparseCollections,
    /// Other collections whose arrays have more room than they need.
    UnusedHeadroom,
    /// Integers and the like with the value of another.
    BoxedNumbers,
    /// Arrays without elements, but for one of each class.
    ZeroLengthArrays,
    /// Arrays of bytes or chars of which at most half is in use.
    OverlongArrays,
    /// Latin-1 text with two bytes for each character.
    WideStrings,
}

impl Kind {
    /// All, as they are listed where they save the same.
    pub const ALL: [Kind; 9] = [
        Kind::DuplicateStrings,
        Kind::DuplicateArrays,
        Kind::EmptyCollections,
        Kind::SparseCollections,
        Kind::UnusedHeadroom,
        Kind::BoxedNumbers,
        Kind::ZeroLengthArrays,
        Kind::OverlongArrays,
        Kind::WideStrings,
    ];
}

/// An object, and what could be saved by it: 12 bytes with places of 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found<I> {
    place: I,
    /// In words of 8 bytes: arrays of 32 GiB have a number.
    words: u32,
    kind: Kind,
}

impl<I: Id> Found<I> {
    fn new(place: u64, bytes: u64, kind: Kind) -> Found<I> {
        let words = u32::try_from(bytes / WORD).unwrap_or(u32::MAX);
        Found { place: I::of(place), words, kind }
    }

    fn place(&self) -> u64 {
        self.place.number()
    }

    fn bytes(&self) -> u64 {
        u64::from(self.words) * WORD
    }
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Waste {
    /// Strongly held objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that could be saved in all.
    pub saves: u64,
    /// Of all that is strongly held, in percent.
    pub share: f64,
    /// The kinds, those that save the most first.
    pub kinds: Vec<OfKind>,
    /// All numbers in boxes, by class.
    pub boxes: Vec<Boxes>,
    /// Strings and arrays whose contents cannot be read: they are not compared.
    pub unreadable: u64,
}

/// What was found of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfKind {
    /// The kind.
    pub kind: Kind,
    /// Objects by which something could be saved.
    pub objects: u64,
    /// Bytes.
    pub saves: u64,
    /// Of all that is strongly held, in percent.
    pub share: f64,
    /// The fields that hold them, those that could save the most first.
    pub holders: Vec<Holder>,
    /// All of these, also those that are not shown.
    pub holder_count: usize,
    /// What is there several times, the most wasteful first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Repeated>,
}

/// Who holds what could be saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The class that declares the field; empty where no field holds them.
    pub class: String,
    /// The field; in parentheses what is none.
    pub field: String,
    /// They lie in the array or the collection that the field leads to.
    pub inside: bool,
    /// What they are.
    pub of: String,
    /// How many.
    pub objects: u64,
    /// Bytes that could be saved.
    pub saves: u64,
}

/// Contents that several objects have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repeated {
    /// Their class.
    pub class: String,
    /// Of a String its text, of a box its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Of an array its elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Objects that have them.
    pub copies: u64,
    /// Bytes that could be saved.
    pub saves: u64,
}

/// The boxes of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Boxes {
    /// The class.
    pub class: String,
    /// How many there are.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What of it is to be listed.
pub struct Shown<'a> {
    /// Holders and contents of each kind.
    pub top: usize,
    /// Holders that could save so many bytes.
    pub min: u64,
    /// Holders with fields of these classes.
    pub wanted: &'a dyn Fn(&str) -> bool,
}

/// Bits that are kept for each place.
const BITS: u64 = 9;

/// Finds it, by all threads of the tree's pool.
///
/// An error where `watch` allows no more memory.
pub fn find<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    descriptions: &Descriptions,
    shown: &Shown<'_>,
    watch: Watch<'_>,
) -> Result<Waste> {
    let graph = tree.graph();
    let bits = graph.numbers().places() / 8 * BITS;
    (watch.room)(bits)?;
    (watch.step)("looking for waste", graph.numbers().len());
    let collections = Collections::new(graph, descriptions);
    let roles = Roles::new(graph, &collections);
    let containers = holders::containers(graph, &collections);
    let held = Held::of(tree, &roles);
    let mut seen = inspect::<G, I>(tree, &roles, &held, &collections, &containers, (watch, bits))?;
    let boxes = count_boxes(graph, &seen.boxes);
    let (unreadable, counts) = (seen.unreadable, seen.counts.clone());
    let values = compare(tree, &roles, &mut seen, shown.top);
    let mut found = seen.found;
    found.retain(|f| f.words > 0);
    tree.pool().install(|| found.par_sort_unstable_by_key(|f| f.place));
    let fields = Fields::new(graph, &collections, &held);
    let of_found = found.len() * (size_of::<Found<I>>() + 4);
    let containers = tree.pool().install(|| held.containers.count());
    (watch.room)(bits + of_found as u64 + 8 * containers)?;
    let by = holders::holders(tree, &fields, &held, &found);
    let mut waste = Waste {
        objects: counts.objects,
        bytes: counts.bytes,
        boxes,
        unreadable,
        ..Waste::default()
    };
    waste.kinds = kinds(graph, &found, &by, &fields, values, shown, waste.bytes);
    waste.saves = waste.kinds.iter().map(|k| k.saves).sum();
    waste.share = share(waste.saves, waste.bytes);
    Ok(waste)
}

/// Finds what has the same contents, adds all that could be saved to what was found, and answers the contents of each kind
/// that could save the most.
fn compare<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    roles: &Roles,
    seen: &mut All<I>,
    top: usize,
) -> HashMap<Kind, Vec<Repeated>> {
    let graph = tree.graph();
    let gone = Bits::new(graph.numbers().places());
    let size = |place: u64| graph.size(place);
    let never = |_: u64| false;
    let shared = |place: u64| roles.is_shared_box(place);
    let (strings, arrays) = (std::mem::take(&mut seen.strings), std::mem::take(&mut seen.arrays));
    let boxes = std::mem::take(&mut seen.boxes);
    let (text, elements, number) =
        (Kind::DuplicateStrings, Kind::DuplicateArrays, Kind::BoxedNumbers);
    let all = tree.pool().install(|| {
        [
            (text, duplicates(strings, text, top, &gone, never)),
            (elements, duplicates(arrays, elements, top, &gone, never)),
            (number, duplicates(boxes, number, top, &gone, shared)),
        ]
    });
    let mut values = HashMap::new();
    for (kind, of) in all {
        seen.found.extend(of.found);
        values.insert(kind, of.most.iter().map(|s| repeated(graph, roles, s)).collect());
    }
    seen.found.extend(seen.perhaps.iter().filter(|f| !gone.has(f.place())));
    seen.zero.sort_unstable();
    // The first of each class may stay.
    let others = seen.zero.windows(2).filter(|two| two[0].0 == two[1].0);
    let others = others.map(|two| two[1].1.number());
    seen.found.extend(others.map(|p| Found::new(p, size(p), Kind::ZeroLengthArrays)));
    values
}

/// Boxes by class, most bytes first.
fn count_boxes<I: Id>(graph: &impl ObjectGraph, all: &Prints<I>) -> Vec<Boxes> {
    let mut sums = vec![(0, 0); graph.classes().len()];
    for of in all.iter() {
        if let Some(sum) = sums.get_mut(of.tag() as usize) {
            *sum = (sum.0 + 1, sum.1 + of.bytes());
        }
    }
    let sums = (0..).zip(sums).filter(|(_, (objects, _))| *objects > 0);
    let of = |(class, (objects, bytes))| Boxes { class: class_name(graph, class), objects, bytes };
    let mut all: Vec<Boxes> = sums.map(of).collect();
    all.sort_by(|a, b| (b.bytes, &a.class).cmp(&(a.bytes, &b.class)));
    all
}

fn repeated(graph: &impl ObjectGraph, roles: &Roles, same: &Same) -> Repeated {
    let class = graph.class_of(same.kept);
    let number = || {
        let field = crate::graph::field(graph, same.kept, "value")?;
        roles.boxed(graph, class, same.kept).map(|_| text::value(field))
    };
    Repeated {
        class: class_name(graph, class),
        value: graph.text(same.kept, TEXT).or_else(number),
        length: graph.length(same.kept),
        copies: same.copies,
        saves: same.saves,
    }
}

/// Adds up what was found: by kind, and by who holds it.
fn kinds<G: ObjectGraph, I: Id>(
    graph: &G,
    found: &[Found<I>],
    by: &[u32],
    fields: &Fields,
    mut values: HashMap<Kind, Vec<Repeated>>,
    shown: &Shown<'_>,
    all: u64,
) -> Vec<OfKind> {
    let mut sums = [(0u64, 0u64); Kind::ALL.len()];
    let mut holders: HashMap<(Kind, u32, u32), (u64, u64)> = HashMap::new();
    for (of, by) in found.iter().zip(by) {
        let key = (of.kind, *by, graph.class_of(of.place()));
        for sum in [&mut sums[of.kind as usize], holders.entry(key).or_default()] {
            *sum = (sum.0 + 1, sum.1 + of.bytes());
        }
    }
    let mut listed: HashMap<Kind, Vec<Holder>> = HashMap::new();
    for ((kind, by, class), (objects, saves)) in holders {
        let field = fields.all.get((by & !INSIDE) as usize).filter(|_| by != NOBODY);
        let nobody = "(held in another way)".to_owned();
        let (of_class, name) =
            field.map_or((String::new(), nobody), |f| (f.class.clone(), f.name.clone()));
        if saves >= shown.min && (shown.wanted)(&of_class) {
            listed.entry(kind).or_default().push(Holder {
                class: of_class,
                field: name,
                inside: by != NOBODY && by & INSIDE != 0,
                of: class_name(graph, class),
                objects,
                saves,
            });
        }
    }
    let of = |kind: Kind| {
        let (objects, saves) = sums[kind as usize];
        let mut holders = merged(listed.remove(&kind).unwrap_or_default());
        let holder_count = holders.len();
        holders.truncate(shown.top);
        let values = values.remove(&kind).unwrap_or_default();
        OfKind { kind, objects, saves, share: share(saves, all), holders, holder_count, values }
    };
    let mut out: Vec<OfKind> = Kind::ALL.into_iter().map(of).filter(|k| k.objects > 0).collect();
    out.sort_by_key(|k| (std::cmp::Reverse(k.saves), k.kind));
    out
}

/// In order; classes of one name are one.
fn merged(mut all: Vec<Holder>) -> Vec<Holder> {
    let key = |h: &Holder| (h.class.clone(), h.field.clone(), h.inside, h.of.clone());
    all.sort_by_cached_key(key);
    all.dedup_by(|next, kept| {
        let same = key(next) == key(kept);
        if same {
            kept.objects += next.objects;
            kept.saves += next.saves;
        }
        same
    });
    all.sort_by_key(|h| std::cmp::Reverse(h.saves));
    all
}

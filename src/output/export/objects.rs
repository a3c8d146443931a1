//! The tables `objects` and `classes`.

use std::ops::Range;

use rayon::prelude::*;

use super::plan::{even, part, places};
use super::rows::Rows;
use crate::graph::dominators::{Dominators, PartHolders, Rule};
use crate::graph::{Class, ClassKind, Id, NO_CLASS, ObjectGraph, Strength};

/// How what nothing holds is held.
const GARBAGE: &str = "garbage";

/// A run of addresses, and the space that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// The first address.
    pub start: u64,
    /// The end of its last object.
    pub top: u64,
    /// The first address behind it.
    pub end: u64,
    /// As reports name it.
    pub space: &'static str,
}

/// What an object of a class is, as `objects.kind` has it.
pub(super) fn kind(class: &Class) -> &'static str {
    match class.kind {
        ClassKind::Instance if class.name == "java.lang.Class" && class.loader.is_none() => "class",
        ClassKind::Instance => "instance",
        ClassKind::Objects => "object_array",
        ClassKind::Primitives => "primitive_array",
    }
}

/// What rows of `objects` are made of.
pub(super) struct Objects<'t, 'g, G, I: Id> {
    tree: &'t Dominators<'g, G, I>,
    holders: PartHolders<I>,
    /// The places of nodes by their numbers.
    nodes: &'t [I],
    kinds: Vec<&'static str>,
    /// By address.
    regions: Vec<Region>,
}

/// How an object is held.
struct Held {
    retained: u64,
    weaker: u64,
    dominator: Option<u64>,
    strength: Strength,
}

impl<'t, 'g, G: ObjectGraph, I: Id> Objects<'t, 'g, G, I> {
    /// Takes a pass over all references.
    pub(super) fn new(tree: &'t Dominators<'g, G, I>, regions: &[Region]) -> Self {
        let mut regions = regions.to_vec();
        regions.sort_unstable_by_key(|r| r.start);
        Objects {
            tree,
            holders: tree.part_holders(),
            nodes: tree.places(),
            kinds: tree.graph().classes().iter().map(kind).collect(),
            regions,
        }
    }

    /// None where nothing leads to it.
    fn held(&self, place: u64) -> Option<Held> {
        let (tree, graph) = (self.tree, self.tree.graph());
        if !tree.is_part(place) {
            let number = tree.number(place)?;
            let dominator = Some(tree.dominator(number)).filter(|d| *d != I::default());
            return Some(Held {
                retained: tree.retained(number),
                weaker: tree.weaker(number),
                dominator: dominator.map(|d| graph.address(self.nodes[d.index()].number())),
                strength: tree.strength(number),
            });
        }
        let holder = self.holders.holder(place)?;
        let mut node = holder;
        while tree.is_part(node) {
            node = self.holders.holder(node)?;
        }
        Some(Held {
            retained: tree.part_retained(place),
            weaker: 0,
            dominator: Some(graph.address(holder)),
            strength: tree.strength(tree.number(node)?),
        })
    }

    fn space(&self, address: u64) -> Option<&'static str> {
        let behind = self.regions.partition_point(|r| r.start <= address);
        let region = self.regions.get(behind.checked_sub(1)?)?;
        (address < region.top).then_some(region.space)
    }

    /// The rows of the objects with these numbers.
    pub(super) fn fill(&self, objects: &Range<u64>, rows: &mut Rows<'_>) {
        let graph = self.tree.graph();
        for place in places(graph.numbers(), objects) {
            let address = graph.address(place);
            let (class, size) = graph.class_and_size(place);
            let kind = self.kinds.get(class as usize).copied();
            let is_array = matches!(kind, Some("object_array" | "primitive_array"));
            let held = self.held(place);
            rows.long(address);
            rows.int(Some(class).filter(|c| *c != NO_CLASS));
            rows.text(kind);
            rows.long(if is_array { graph.length(place) } else { None });
            rows.long(if self.tree.rule() == Rule::Mat { graph.mat_size(place) } else { size });
            rows.long(held.as_ref().map(|h| h.retained));
            rows.long(held.as_ref().map(|h| h.weaker));
            rows.long(held.as_ref().and_then(|h| h.dominator));
            rows.text(held.as_ref().map_or(GARBAGE, |h| h.strength.name()));
            rows.text(self.space(address));
            rows.end();
        }
    }
}

/// Objects of a class.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    instances: u64,
    bytes: u64,
}

/// Counts the objects of each class in a pass over all, by all threads of the pool that this is called in.
pub(super) fn count<G: ObjectGraph>(
    graph: &G,
    rule: Rule,
    done: impl Fn(u64) + Sync,
) -> Vec<Counted> {
    let numbers = graph.numbers();
    let none = || vec![Counted::default(); graph.classes().len()];
    let count = |mut all: Vec<Counted>, objects: Range<u64>| {
        for place in places(numbers, &objects) {
            let (class, size) = graph.class_and_size(place);
            if let Some(of) = all.get_mut(class as usize) {
                of.instances += 1;
                of.bytes += if rule == Rule::Mat { graph.mat_size(place) } else { size };
            }
        }
        done(objects.end - objects.start);
        all
    };
    let add = |mut a: Vec<Counted>, b: Vec<Counted>| {
        for (a, b) in a.iter_mut().zip(b) {
            a.instances += b.instances;
            a.bytes += b.bytes;
        }
        a
    };
    even(numbers.len()).into_par_iter().fold(none, count).reduce(none, add)
}

/// The rows of these classes, of which all objects were counted.
pub(super) fn classes(
    graph: &impl ObjectGraph,
    counted: &[Counted],
    piece: &Range<u64>,
    rows: &mut Rows<'_>,
) {
    let classes = part(graph.classes(), piece).iter().zip(part(counted, piece));
    for (number, (class, counted)) in (piece.start as u32..).zip(classes) {
        let kind = kind(class);
        // All instances of a class are of one size, but for class objects.
        let is_fixed = kind == "instance" && counted.instances > 0;
        rows.int(number);
        rows.text(class.name.as_str());
        rows.text(kind);
        rows.int(class.super_class);
        rows.long(class.object.map(|o| graph.address(o)));
        rows.long(class.loader.map(|o| graph.address(o)));
        rows.flag(class.is_permanent);
        rows.long(is_fixed.then(|| counted.bytes / counted.instances));
        rows.long(counted.instances);
        rows.long(counted.bytes);
        rows.end();
    }
}

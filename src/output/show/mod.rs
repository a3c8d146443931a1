//! One object: what lies in it, who refers to it, who holds it, and what it retains.

mod retains;
mod text;
mod values;

pub use retains::{Kind, retains};
pub use text::table;
pub use values::{Collection, Contents, Entry, Field, Shown, contents};

use serde::Serialize;

use crate::address::hex;
use crate::graph::dominators::{Dominators, Watch};
use crate::graph::paths::{self, Paths};
use crate::graph::{Id, NO_CLASS, ObjectGraph, Strength};
use crate::output::paths::{Reference, words};
use crate::output::retained::{class_name, label};

/// An object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Object {
    /// Its address.
    #[serde(serialize_with = "hex")]
    pub object: u64,
    /// Its class.
    pub class: String,
    /// Of a class object its class, of a thread its name, of a String its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The loader of its class; null for the boot loader.
    pub loader: Option<Shown>,
    /// Its own bytes.
    pub shallow: u64,
    /// Bytes that would be freed if it went; null where nothing holds it.
    pub retained: Option<u64>,
    /// Bytes below it that only weaker references hold.
    pub weaker: u64,
    /// How it is held: `strong` to `phantom`, `garbage`.
    pub strength: &'static str,
    /// Why it is a root, if it is one.
    pub roots: Vec<String>,
    /// What lies in it.
    #[serde(flatten)]
    pub contents: Contents,
    /// Who refers to it.
    pub referrers: Referrers,
    /// Whether one single object dominates it: every path from a root leads through that.
    pub dominator: Option<Shown>,
    /// What it retains, by class, itself included; the most bytes first.
    pub retains: Vec<Kind>,
}

/// Who refers to an object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Referrers {
    /// How many objects do, garbage too.
    pub objects: u64,
    /// The same by class, those with the most first.
    pub classes: Vec<OfClass>,
    /// The first of them, by address.
    pub first: Vec<Referrer>,
}

/// Referrers of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfClass {
    /// The class.
    pub class: String,
    /// How many.
    pub objects: u64,
}

/// A referrer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Referrer {
    /// It.
    #[serde(flatten)]
    pub object: Shown,
    /// Nothing holds it.
    pub garbage: bool,
    /// Each of its references to the object.
    pub references: Vec<Reference>,
}

/// Shows the object at `place`: of everything the first `top`, of referrers, too.
pub fn object<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    place: u64,
    top: usize,
    watch: Watch<'_>,
) -> crate::error::Result<Object> {
    let graph = tree.graph();
    let node = match tree.number(place) {
        Some(number) => Some((place, number)),
        None if tree.is_part(place) => tree.node_of_part(place),
        None => None,
    };
    let strength = node.map(|(_, number)| tree.strength(number));
    let found = paths::referrers(graph, &[place], top, tree.pool(), watch);
    let found = found.into_iter().next().unwrap_or_default();
    let is_node = tree.number(place).is_some();
    let (retained, weaker) = match node {
        Some((_, number)) if is_node => (Some(tree.retained(number)), tree.weaker(number)),
        Some(_) => (Some(tree.part_retained(place)), 0),
        None => (None, 0),
    };
    let links = Paths::<G, I>::links(graph, Strength::Phantom);
    let dominator = match node {
        // A part has one referrer.
        Some(_) if !is_node => found.first.first().map(|r| r.place),
        Some((_, number)) => {
            let above = tree.dominator(number);
            (above != I::default()).then(|| tree.places()[above.index()].number())
        }
        None => None,
    };
    let class = graph.class_of(place);
    let loader = of_class(graph, place).and_then(|c| graph.classes().get(c as usize)?.loader);
    Ok(Object {
        object: graph.address(place),
        class: class_name(graph, class),
        label: label(graph, place),
        loader: loader.map(|l| Shown::object(graph, l)),
        shallow: tree.size(place),
        retained,
        weaker,
        strength: strength.map_or("garbage", Strength::name),
        roots: roots(&links, place),
        contents: contents(graph, place, top),
        referrers: referrers(tree, &links, place, found, top),
        dominator: dominator.map(|d| Shown::object(graph, d)),
        retains: node.map_or_else(Vec::new, |(_, number)| retains(tree, place, number, top)),
    })
}

/// The class of an object; of a class object the class that it stands for.
fn of_class(graph: &impl ObjectGraph, place: u64) -> Option<u32> {
    let class = graph.mirrored(place).unwrap_or_else(|| graph.class_of(place));
    (class != NO_CLASS).then_some(class)
}

/// Why it is a root, each reason once.
fn roots<G: ObjectGraph, I: Id>(links: &Paths<'_, G, I>, place: u64) -> Vec<String> {
    let graph = links.graph();
    let mut out: Vec<String> = Vec::new();
    for root in graph.roots().iter().filter(|r| r.place == place) {
        let frame = root.thread.and_then(|t| words::frame(graph, t, root.frame));
        let thread = root.thread.and_then(|t| graph.threads().get(t as usize));
        let mut text = words::root(root.kind).to_owned();
        if let Some(frame) = frame {
            text.push_str(&format!(" in {frame}"));
        }
        if let Some(thread) = thread.filter(|t| t.object != Some(place)) {
            text.push_str(&format!(" of the thread \"{}\"", thread.name));
        }
        if !out.contains(&text) {
            out.push(text);
        }
    }
    if out.is_empty() && links.is_root(place) {
        out.push(words::root(crate::graph::RootKind::StickyClass).into());
    }
    out
}

fn referrers<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    links: &Paths<'_, G, I>,
    place: u64,
    found: paths::Referrers,
    top: usize,
) -> Referrers {
    let graph = tree.graph();
    let classes = found.classes.iter().take(top);
    let classes = classes.map(|(c, n)| OfClass { class: class_name(graph, *c), objects: *n });
    let first = found.first.iter().map(|referrer| {
        let all = referrer.references.iter();
        let mut references: Vec<Reference> =
            all.map(|(at, s)| Reference::new(words::place(graph, at), *s)).collect();
        if references.is_empty() {
            let link = links.link_besides(referrer.place, place);
            references.push(Reference::new(words::named(graph, &link.by), link.strength));
        }
        let at = referrer.place;
        let is_held =
            tree.number(at).is_some() || tree.is_part(at) && tree.node_of_part(at).is_some();
        Referrer { object: Shown::object(graph, at), garbage: !is_held, references }
    });
    Referrers { objects: found.objects, classes: classes.collect(), first: first.collect() }
}

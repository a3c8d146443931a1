//! One path, step by step.

use std::collections::VecDeque;

use serde::Serialize;

use super::words::link;
use super::{retained, words};
use crate::address::hex;
use crate::graph::dominators::Dominators;
use crate::graph::paths::{By, Link, Paths};
use crate::graph::{Id, ObjectGraph, Strength};
use crate::output::retained::{class_name, label, strength_name};

/// Steps that are kept of a path: so many of its start and of its end.
const ENDS: usize = 100;

/// A path from a root to an object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chain {
    /// How many references it has.
    pub length: u64,
    /// The kind of root at its start: `thread`, `sticky_class`, `jni_global`.
    pub root: &'static str,
    /// The name of the thread at its start, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The root's object first, the object that is held last.
    pub steps: Vec<Step>,
    /// Steps that are left out in the middle.
    pub left_out: u64,
}

/// How one object holds another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reference {
    /// By what: `root`, `field`, `static`, `element`, `class_part`, `own_class`, `local`, `jni_local`, `monitor` or
    /// another kind of root that a thread has.
    pub by: &'static str,
    /// The field's name; of a root why it is one; of a local the frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The class that declares the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared_by: Option<String>,
    /// Of an array's element its index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// How it holds.
    #[serde(serialize_with = "strength_name")]
    pub strength: Strength,
}

impl Reference {
    /// In words.
    pub(in crate::output) fn new(named: words::Named, strength: Strength) -> Reference {
        let words::Named { kind: by, name, declared_by, index } = named;
        Reference { by, name, declared_by, index, strength }
    }

    /// As a person reads it; how it holds, if that is less than strongly.
    pub(in crate::output) fn text(&self) -> String {
        link(self.by, self.name.as_deref(), self.index, self.strength)
    }
}

/// An object on a path, and how the one before holds it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// How the one before holds it.
    #[serde(flatten)]
    pub reference: Reference,
    /// So many equal steps one behind the other, as of a list; the object is the last one's.
    pub times: u64,
    /// The object's address.
    #[serde(serialize_with = "hex")]
    pub object: u64,
    /// Its class.
    pub class: String,
    /// Of a class object its class, of a thread its name, of a String its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Bytes that would be freed if it went.
    pub retained: Option<u64>,
}

/// What is kept of a path while it is followed.
struct Kept {
    first: Vec<(Link, u64, u64)>,
    last: VecDeque<(Link, u64, u64)>,
    left_out: u64,
}

impl Kept {
    /// One more step: how, to where.
    fn add(&mut self, link: Link, place: u64, same: bool) {
        let last = match self.last.back_mut() {
            Some(last) => Some(last),
            None => self.first.last_mut(),
        };
        if let Some(last) = last.filter(|_| same) {
            (last.1, last.2) = (place, last.2 + 1);
        } else if self.first.len() < ENDS {
            self.first.push((link, place, 1));
        } else {
            self.last.push_back((link, place, 1));
            if self.last.len() > ENDS {
                self.left_out += self.last.pop_front().map_or(0, |s| s.2);
            }
        }
    }
}

/// The path to the object at `place`; and with `to` one reference further, to that object. None where no path leads
/// there. Of a long list the equal steps are one.
pub fn chain<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    paths: &Paths<'_, G, I>,
    place: u64,
    to: Option<u64>,
) -> Option<Chain> {
    let graph = tree.graph();
    let mut places = paths.path(place);
    let root = *places.first()?;
    places.extend(to);
    let mut kept = Kept { first: Vec::new(), last: VecDeque::new(), left_out: 0 };
    let start = paths.root_link(root);
    let By::Root { kind, thread } = start.by else { return None };
    kept.add(start, root, false);
    // The link before, from a class to the same class, and how often it was met.
    let mut run: Option<(Link, u32, u64)> = None;
    for pair in places.windows(2) {
        let link = paths.link(pair[0], pair[1]);
        let class = graph.class_of(pair[1]);
        let is_self = graph.class_of(pair[0]) == class;
        let count = match &run {
            Some((before, of, count)) if is_self && *of == class && *before == link => count + 1,
            _ => u64::from(is_self),
        };
        run = is_self.then(|| (link.clone(), class, count));
        kept.add(link, pair[1], count > 1);
    }
    let step = |(link, place, times): (Link, u64, u64)| Step {
        reference: Reference::new(words::named(graph, &link.by), link.strength),
        times,
        object: graph.address(place),
        class: class_name(graph, graph.class_of(place)),
        label: label(graph, place),
        retained: retained(tree, place),
    };
    let name = thread.and_then(|t| graph.threads().get(t as usize)).map(|t| t.name.clone());
    Some(Chain {
        length: places.len() as u64 - 1,
        root: words::code(kind),
        thread: name.filter(|n| !n.is_empty()),
        steps: kept.first.into_iter().chain(kept.last).map(step).collect(),
        left_out: kept.left_out,
    })
}

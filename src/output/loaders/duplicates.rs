//! Classes of the same name that several loaders have defined.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::Serialize;

use super::{Counts, loader_text};
use crate::address::Address;
use crate::graph::{ClassKind, ObjectGraph};
use crate::output::retained::class_name;

/// Definitions of a class that are listed.
const LISTED: usize = 20;

/// A name that several classes have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// The name.
    pub name: String,
    /// How many loaders have defined a class of that name.
    pub loaders: u64,
    /// Objects of all of them.
    pub instances: u64,
    /// Their own bytes.
    pub bytes: u64,
    /// By loader, those with the most bytes first.
    pub definitions: Vec<Definition>,
}

/// One of those classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Definition {
    /// Its loader; none for the boot loader.
    pub loader: Option<Address>,
    /// The loader's class.
    pub loader_class: Option<String>,
    /// Its objects that can be reached.
    pub instances: u64,
    /// Their own bytes.
    pub bytes: u64,
}

impl Definition {
    /// `com.acme.PluginLoader @ 0x7f00`, `the boot loader`.
    pub(super) fn text(&self) -> String {
        loader_text(self.loader_class.as_deref(), self.loader)
    }
}

/// All of them whose name is wanted, or a loader's class; those with the most bytes first.
pub(super) fn find<G: ObjectGraph>(
    graph: &G,
    counts: &Counts,
    wanted: &dyn Fn(&str) -> bool,
) -> Vec<Duplicate> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (number, class) in graph.classes().iter().enumerate() {
        if class.kind == ClassKind::Instance {
            by_name.entry(&class.name).or_default().push(number);
        }
    }
    let of = |(name, numbers): (&str, Vec<usize>)| {
        let definition = |number: usize| {
            let loader = graph.classes()[number].loader;
            Definition {
                loader: loader.map(|place| Address(graph.address(place))),
                loader_class: loader.map(|place| class_name(graph, graph.class_of(place))),
                instances: counts[number].0,
                bytes: counts[number].1,
            }
        };
        if numbers.len() < 2 {
            return None;
        }
        let mut all: Vec<Definition> = numbers.into_iter().map(definition).collect();
        all.sort_by_key(|d| (Reverse(d.bytes), d.loader));
        let of_loader = |d: &Definition| d.loader_class.as_deref().is_some_and(wanted);
        if !wanted(name) && !all.iter().any(of_loader) {
            return None;
        }
        let (instances, bytes) =
            all.iter().fold((0, 0), |sum, d| (sum.0 + d.instances, sum.1 + d.bytes));
        let loaders = all.len() as u64;
        all.truncate(LISTED);
        Some(Duplicate { name: name.to_owned(), loaders, instances, bytes, definitions: all })
    };
    let mut all: Vec<Duplicate> = by_name.into_iter().filter_map(of).collect();
    all.sort_by(|a, b| {
        let key = |d: &Duplicate| (Reverse(d.bytes), Reverse(d.loaders));
        (key(a), &a.name).cmp(&(key(b), &b.name))
    });
    all
}

//! Collections as what they hold: which classes are collections, where the size, the backing arrays and the entries of
//! each are.
//!
//! One table says it for all (`described`): the JDK's from 6 on, Guava's, fastutil's, Scala's, Eclipse Collections'; a
//! user's file adds more. It asks which fields a class has, never for a version. All that is read comes from the object
//! graph and is bounded: a chain has at most as many nodes as are asked for, and none is followed in a circle.

mod described;
mod entries;
mod plan;
mod read;
#[cfg(test)]
mod tests;

pub use described::Kind;
pub use entries::{Entry, Walked};
pub use read::{Reader, Seen};

use std::collections::HashMap;
use std::sync::RwLock;

use described::{Described, Table};
use plan::{Names, Plan};

use crate::graph::{Class, ObjectGraph, Slot};

/// The built-in table.
const KNOWN: &str = include_str!("known.json");

/// Descriptions of collection classes, before it is known which classes there are.
#[derive(Debug, Default)]
pub struct Descriptions {
    /// A user's first.
    described: Vec<Described>,
    inner: Vec<String>,
}

impl Descriptions {
    /// The built-in ones.
    pub fn known() -> Descriptions {
        Descriptions::default().and(KNOWN).unwrap_or_default()
    }

    /// With those of a table (JSON, as docs/answers.md has it), which go before the others. An error in words.
    pub fn and(mut self, json: &str) -> Result<Descriptions, String> {
        let mut table: Table = serde_json::from_str(json).map_err(|e| e.to_string())?;
        for of in &table.collections {
            plan::check(of).map_err(|why| format!("{}: {why}", of.class))?;
        }
        table.collections.append(&mut self.described);
        self.described = table.collections;
        self.inner.append(&mut table.inner);
        Ok(self)
    }
}

/// The collections among the classes of a graph.
#[derive(Debug)]
pub struct Collections {
    plans: Vec<Plan>,
    /// Of each class its plan's number and one; 0 of those that are no collections.
    of_class: Vec<u32>,
    /// Classes whose fields belong to a collection: what these lead to is within it.
    inner: Vec<bool>,
    names: Names,
    /// What was asked for once: the slot of a class's field.
    slots: RwLock<HashMap<(u32, u32), Option<Slot>>>,
}

impl Collections {
    /// Finds them.
    pub fn new<G: ObjectGraph>(graph: &G, of: &Descriptions) -> Collections {
        let mut names = Names::default();
        let plans: Vec<Plan> =
            of.described.iter().map(|d| Plan::new(d, graph, &mut names)).collect();
        let finder = Finder::new(graph.classes(), &of.described);
        let has = |class: u32, plan: usize| {
            let mut needs = plans[plan].needs.iter();
            needs.all(|name| names.slot(graph, class, *name).is_some())
        };
        let of_class = finder.all(has);
        let inner = finder.inner(&of.inner);
        Collections { plans, of_class, inner, names, slots: RwLock::default() }
    }

    /// What sort of collection the objects of a class are; none where they are none.
    pub fn kind(&self, class: u32) -> Option<Kind> {
        self.plan(class).map(|p| p.kind)
    }

    /// Whether the fields that this class declares belong to a collection: it is one, or its nodes' class.
    pub fn is_inner(&self, class: u32) -> bool {
        self.inner.get(class as usize).is_some_and(|i| *i)
    }

    /// Reads collections; one for each thread.
    pub fn reader<'a, G: ObjectGraph>(&'a self, graph: &'a G) -> Reader<'a, G> {
        Reader::new(self, graph)
    }

    fn plan(&self, class: u32) -> Option<&Plan> {
        let number = *self.of_class.get(class as usize)?;
        self.plans.get((number as usize).checked_sub(1)?)
    }
}

/// Finds which description a class has.
struct Finder<'a> {
    classes: &'a [Class],
    exact: HashMap<&'a str, Vec<usize>>,
    /// What stands before and behind the `*` of a name.
    patterns: Vec<(&'a str, &'a str, usize)>,
}

/// Super classes that are looked at: damage can make a circle of them.
const MAX_SUPERS: usize = 1000;

impl<'a> Finder<'a> {
    fn new(classes: &'a [Class], all: &'a [Described]) -> Finder<'a> {
        let mut exact: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut patterns = Vec::new();
        for (i, of) in all.iter().enumerate() {
            match of.class.split_once('*') {
                Some((first, last)) => patterns.push((first, last, i)),
                None => exact.entry(&of.class).or_default().push(i),
            }
        }
        Finder { classes, exact, patterns }
    }

    /// The descriptions of a class of just this name, in order.
    fn named(&self, name: &str) -> Vec<usize> {
        let mut found = self.exact.get(name).cloned().unwrap_or_default();
        let fits = |(first, last, _): &&(&str, &str, usize)| {
            name.len() >= first.len() + last.len()
                && name.starts_with(first)
                && name.ends_with(last)
        };
        found.extend(self.patterns.iter().filter(fits).map(|p| p.2));
        found.sort_unstable();
        found
    }

    /// Each class, then its supers from the nearest on.
    fn supers(&self, class: usize) -> impl Iterator<Item = usize> + '_ {
        let above = |c: &usize| self.classes.get(*c)?.super_class.map(|s| s as usize);
        std::iter::successors(Some(class), above).take(MAX_SUPERS)
    }

    /// Of each class the number of its plan and one.
    fn all(&self, has: impl Fn(u32, usize) -> bool) -> Vec<u32> {
        let named: Vec<Vec<usize>> = self.classes.iter().map(|c| self.named(&c.name)).collect();
        let of = |class: usize| {
            let mut candidates = self.supers(class).filter_map(|c| named.get(c)).flatten();
            candidates.find(|plan| has(class as u32, **plan)).map_or(0, |plan| *plan as u32 + 1)
        };
        (0..self.classes.len()).map(of).collect()
    }

    /// Of each class whether it is a collection's own: described, named as inner, or nested in such a one.
    fn inner(&self, more: &[String]) -> Vec<bool> {
        let known = |name: &str| more.iter().any(|n| n == name) || !self.named(name).is_empty();
        let is_inner = |name: &str| {
            let ends = name.match_indices('$').map(|(at, _)| at);
            known(name) || ends.filter(|at| *at > 0).any(|at| known(&name[..at]))
        };
        self.classes.iter().map(|c| is_inner(&c.name)).collect()
    }
}

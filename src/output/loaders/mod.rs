//! Class loaders: what they have defined, what they retain, whether they can be unloaded and what keeps them; and classes
//! that several of them have defined.
//!
//! A loader lives as long as itself, one of its classes or an object of one is strongly held. Why it does is told by the
//! shortest path from a root, up to the first object that is its own.

mod duplicates;
mod freed;
mod path;
mod text;

pub use duplicates::{Definition, Duplicate};
pub use text::text;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::paths::Chain;
use super::report::object_name;
use super::retained::{class_name, share};
use crate::address::Address;
use crate::error::Result;
use crate::graph::dominators::{Dominators, Watch};
use crate::graph::{BUILTIN_LOADERS, ClassKind, Id, NO_CLASS, ObjectGraph, Strength, field};

/// Characters of a loader's name.
const NAME: usize = 200;

/// All class loaders.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Of all of them, also those that are not listed.
    pub totals: Totals,
    /// Those with which the most would be freed first; those that are never unloaded behind the others.
    pub loaders: Vec<LoaderHeld>,
    /// All that fit the filters, also those that are not listed.
    pub loader_count: u64,
    /// Classes of the same name that several loaders have defined, those with the most bytes first.
    pub duplicates: Vec<Duplicate>,
    /// All of them, also those that are not listed.
    pub duplicate_count: u64,
}

/// Sums over all loaders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// How many there are, the boot loader among them.
    pub loaders: u64,
    /// Those that the next full collection can unload.
    pub unloadable: u64,
    /// Classes, without those of arrays.
    pub classes: u64,
}

/// Whether a loader and its classes can be unloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// Never: the boot, the platform and the application loader.
    Permanent,
    /// Not now: something strongly holds it.
    Held,
    /// Only soft references hold it: when memory is short.
    SoftlyHeld,
    /// With the next collection that unloads classes.
    Unloadable,
}

/// A class loader.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoaderHeld {
    /// The java.lang.ClassLoader; none for the boot loader.
    pub object: Option<Address>,
    /// Its class; none for the boot loader.
    pub class: Option<String>,
    /// `getName()`, where it has one: from 9.
    pub name: Option<String>,
    /// Its parent: none where that is the boot loader, or where it has none.
    pub parent: Option<Address>,
    /// The parent's class.
    pub parent_class: Option<String>,
    /// Classes that it has defined, without those of arrays.
    pub classes: u64,
    /// Classes of arrays of them.
    pub array_classes: u64,
    /// Objects of all of these that can be reached.
    pub instances: u64,
    /// Their own bytes.
    pub instance_bytes: u64,
    /// Bytes that would be freed if it went, its classes and all their objects; none of one that is never unloaded.
    pub freed: Option<u64>,
    /// Of all that is strongly held, in percent, where it is held so.
    pub share: Option<f64>,
    /// Bytes that would be freed with the loader's object alone; none for the boot loader, which is no object.
    pub retained: Option<u64>,
    /// Whether it can be unloaded.
    pub life: Life,
    /// What keeps it: from a root to the first object that is its own. None where nothing strongly does, or where it is
    /// never unloaded.
    pub path: Option<Chain>,
}

/// What is to be listed.
pub struct Wanted<'a> {
    /// Whether loaders are whose class, name or `CLASS @ ADDRESS` is one of these.
    pub name: &'a dyn Fn(&str) -> bool,
    /// Those that retain fewer bytes are not.
    pub least: u64,
    /// So many loaders and duplicate classes.
    pub top: usize,
}

/// Counts of a class's objects that can be reached, and their bytes.
pub(super) type Counts = Vec<(u64, u64)>;

/// What all class loaders hold. `watch` is for the paths.
pub fn report<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    wanted: &Wanted<'_>,
    watch: Watch<'_>,
) -> Result<Report> {
    let graph = tree.graph();
    let (counts, places) = count(tree);
    let mut all = loaders(tree, &counts, &places);
    free(tree, &mut all);
    let mut totals = Totals { loaders: all.len() as u64, ..Totals::default() };
    for (_, of) in &all {
        totals.classes += of.classes;
        totals.unloadable += u64::from(of.life == Life::Unloadable);
    }
    all.retain(|(_, of)| {
        let names = [of.class.clone(), of.name.clone(), Some(of.text())];
        let is_wanted = names.iter().flatten().any(|n| (wanted.name)(n));
        is_wanted && of.freed.or(of.retained).unwrap_or(u64::MAX) >= wanted.least
    });
    let key = |of: &LoaderHeld| {
        let is_permanent = of.life == Life::Permanent;
        (is_permanent, Reverse(of.freed), Reverse(of.instance_bytes), of.object)
    };
    all.sort_by_key(|(_, of)| key(of));
    let loader_count = all.len() as u64;
    all.truncate(wanted.top);
    let held = all.iter().filter(|(_, of)| of.life == Life::Held).filter_map(|(place, _)| *place);
    let mut paths = path::find(tree, &held.collect::<Vec<_>>(), watch)?;
    for (place, of) in &mut all {
        of.path = place.and_then(|p| paths.remove(&p));
    }
    let mut duplicates = duplicates::find(graph, &counts, wanted.name);
    let duplicate_count = duplicates.len() as u64;
    duplicates.truncate(wanted.top);
    let loaders = all.into_iter().map(|(_, of)| of).collect();
    Ok(Report { totals, loaders, loader_count, duplicates, duplicate_count })
}

impl LoaderHeld {
    /// `com.acme.PluginLoader @ 0x7f00`, `the boot loader`.
    pub(super) fn text(&self) -> String {
        loader_text(self.class.as_deref(), self.object)
    }
}

fn loader_text(class: Option<&str>, object: Option<Address>) -> String {
    match object {
        Some(at) => object_name(class.unwrap_or("?"), at.0, None),
        None => "the boot loader".into(),
    }
}

/// By class, the objects that can be reached and their bytes; and the places of all class loaders among them, in order.
/// By all threads of the tree's pool.
fn count<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>) -> (Counts, Vec<u64>) {
    let graph = tree.graph();
    let is_loader = graph.subclasses("java.lang.ClassLoader");
    let classes = graph.classes().len();
    let (mut sums, mut places) = (vec![(0, 0); classes], Vec::new());
    tree.each_node(
        || (vec![(0, 0); classes], Vec::new()),
        |(sums, loaders): &mut (Counts, Vec<u64>), place, _| {
            let mut add = |place| {
                let class = graph.class_of(place) as usize;
                if let Some((objects, bytes)) = sums.get_mut(class) {
                    *objects += 1;
                    *bytes += tree.size(place);
                    if is_loader[class] {
                        loaders.push(place);
                    }
                }
            };
            add(place);
            tree.parts(place, &mut add);
        },
        |(more, loaders)| {
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum = (sum.0 + more.0, sum.1 + more.1);
            }
            places.extend(loaders);
        },
    );
    places.sort_unstable();
    (sums, places)
}

/// All loaders, each with its place.
fn loaders<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    counts: &Counts,
    places: &[u64],
) -> Vec<(Option<u64>, LoaderHeld)> {
    let graph = tree.graph();
    let mut index: HashMap<Option<u64>, usize> = HashMap::new();
    let mut all: Vec<(Option<u64>, LoaderHeld)> = Vec::new();
    let permanent: HashSet<u64> =
        graph.classes().iter().filter(|c| c.is_permanent).filter_map(|c| c.loader).collect();
    let mut at = |loader: Option<u64>, all: &mut Vec<_>| {
        *index.entry(loader).or_insert_with(|| {
            all.push((loader, describe(tree, loader, &permanent)));
            all.len() - 1
        })
    };
    at(None, &mut all);
    for place in places {
        at(Some(*place), &mut all);
    }
    for (class, (objects, bytes)) in graph.classes().iter().zip(counts) {
        let i = at(class.loader, &mut all);
        let of = &mut all[i].1;
        match class.kind {
            ClassKind::Instance => of.classes += 1,
            ClassKind::Objects | ClassKind::Primitives => of.array_classes += 1,
        }
        of.instances += objects;
        of.instance_bytes += bytes;
    }
    all
}

/// Fills in what would be freed with those that are not there for ever.
fn free<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>, all: &mut [(Option<u64>, LoaderHeld)]) {
    let mortal = all.iter_mut().filter(|(_, of)| of.life != Life::Permanent);
    let mut mortal: Vec<_> = mortal.filter_map(|(place, of)| Some(((*place)?, of))).collect();
    let numbers = mortal.iter().enumerate().map(|(number, (place, _))| (*place, number));
    let freed = freed::find(tree, &numbers.collect());
    for ((_, of), freed) in mortal.iter_mut().zip(freed) {
        of.freed = Some(freed);
        let is_held = of.life == Life::Held;
        of.share = is_held.then(|| share(freed, tree.held(Strength::Strong)));
    }
}

/// A loader without what it has defined.
fn describe<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    loader: Option<u64>,
    permanent: &HashSet<u64>,
) -> LoaderHeld {
    let graph = tree.graph();
    let object = |name| field(graph, loader?, name)?.object();
    let class_of = |place| class_name(graph, graph.class_of(place));
    let parent = object("parent");
    let number = loader.and_then(|place| tree.number(place));
    // One that nothing refers to but what is folded into it is none; what is folded has a holder.
    let is_part = loader.is_some_and(|place| tree.is_part(place));
    let life = match (loader, number.map(|n| tree.strength(n))) {
        (None, _) => Life::Permanent,
        (Some(place), _) if permanent.contains(&place) || is_builtin(graph, place) => {
            Life::Permanent
        }
        (_, Some(Strength::Strong)) => Life::Held,
        (_, Some(Strength::Soft)) => Life::SoftlyHeld,
        (_, None) if is_part => Life::Held,
        _ => Life::Unloadable,
    };
    let retained = |place| match is_part {
        true => tree.part_retained(place),
        false => number.map_or(0, |n| tree.retained(n)),
    };
    LoaderHeld {
        object: loader.map(|place| Address(graph.address(place))),
        class: loader.map(class_of),
        name: object("name").and_then(|name| graph.text(name, NAME)),
        parent: parent.map(|place| Address(graph.address(place))),
        parent_class: parent.map(class_of),
        classes: 0,
        array_classes: 0,
        instances: 0,
        instance_bytes: 0,
        freed: None,
        share: None,
        retained: loader.map(retained),
        life,
        path: None,
    }
}

/// What stands for the boot loader in the JDK's own lists, from 9.
const BOOT_STAND_IN: &str = "jdk.internal.loader.ClassLoaders$BootClassLoader";

/// Whether it is one of those that live as long as the JVM, though it has defined nothing.
fn is_builtin(graph: &impl ObjectGraph, loader: u64) -> bool {
    let number = graph.class_of(loader);
    let class = graph.classes().get(number as usize).filter(|_| number != NO_CLASS);
    let is_one = |name: &str| name == BOOT_STAND_IN || BUILTIN_LOADERS.contains(&name);
    class.is_some_and(|c| c.loader.is_none() && is_one(&c.name))
}

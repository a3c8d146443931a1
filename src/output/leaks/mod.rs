//! Leak suspects: what holds so much memory that it stands out, by which field, and what is in it.
//!
//! Made from a dominator tree (`graph::dominators`), whatever input that was made from. Nothing is drawn at random, and
//! the answer is the same at any number of threads.
//!
//! 1. What is weighed (`weights`): strongly held bytes; those of each weaker strength; those of buffers outside of the
//!    heap, each where there is enough of it to stand out.
//! 2. Where much comes together (`units`): the deepest places of the dominator tree that hold at least the threshold,
//!    and groups of objects of one class that no single object holds.
//! 3. What is in there (`levels`): from kind to kind, through the nodes and arrays of collections (`glue`).
//! 4. Which field it is (`trace`): where shortest paths from roots to the most of it go along together.
//!
//! Memory: 13 bytes a node with numbers of 4, and those of shortest paths; 8 more a node for what is not strongly held.

mod glue;
mod levels;
mod suspects;
#[cfg(test)]
mod tests;
mod text;
mod trace;
mod units;
mod weights;
mod within;

pub use suspects::find;
pub(in crate::output) use suspects::find_outside;
pub use text::show;
#[cfg(feature = "cli")]
pub(in crate::output) use text::told;

use serde::Serialize;

use super::retained::{self, Totals};
use crate::address::hex;

/// From where on memory stands out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limits {
    /// Percent of all that is held.
    pub share: f64,
    /// Bytes: a small heap is mostly the JVM's own, of which large parts are nothing to worry about.
    pub min: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { share: 10.0, min: 10 << 20 }
    }
}

/// The suspects.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Leaks {
    /// All bytes by how they are held.
    pub totals: Totals,
    /// Bytes outside of the heap that direct buffers own.
    pub direct: u64,
    /// From where on memory stands out.
    pub limits: Limits,
    /// The largest first.
    pub suspects: Vec<Suspect>,
    /// Bytes of the heap that all of them hold together.
    pub explained: u64,
    /// The same in percent of all that is held, weakly too.
    pub explained_share: f64,
    /// All that in a few sentences.
    pub text: String,
}

/// What sort of memory a suspect holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Strongly held, by one object.
    Object,
    /// Strongly held, by objects of one class that nothing single holds.
    Group,
    /// Held by soft references at most.
    Soft,
    /// By weak ones.
    Weak,
    /// Waiting for a finalizer.
    Final,
    /// Waiting for a cleaner.
    Phantom,
    /// Outside of the heap: direct buffers.
    Direct,
}

/// What stands out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspect {
    /// What sort of memory.
    pub kind: Kind,
    /// So many bytes that no other suspect has.
    pub bytes: u64,
    /// In percent: of what is strongly held; of what is held at all where that is weakly; of that and the buffers.
    pub share: f64,
    /// How many objects hold it: 1, or those of the group.
    pub objects: u64,
    /// Their class.
    pub class: String,
    /// The one object's address.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_hex")]
    pub object: Option<u64>,
    /// Of a class object its class, of a thread its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The field through which it accumulates: the last one on the path that is not inside of a collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<FieldName>,
    /// The thread at the path's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadName>,
    /// The shortest path from a root to what fills it, as far as it is common.
    pub path: Vec<Step>,
    /// What is in it, from kind to kind: each holds the most of the one before it.
    pub levels: Vec<Level>,
    /// The level of which there are the most for each of the one before: through `field`.
    pub fullest: usize,
    /// All objects of it by class, those with the most bytes first.
    pub classes: Vec<OfClass>,
    /// How many classes these are, also those that are left out.
    pub class_count: u64,
    /// Class loaders in it.
    pub loaders: u64,
    /// What it is, in sentences.
    pub text: String,
    /// What to do next.
    pub next: Vec<String>,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldName {
    /// The class that declares it.
    pub class: String,
    /// Its name.
    pub name: String,
    /// Whether it is static.
    #[serde(rename = "static")]
    pub is_static: bool,
    /// Whether it is a ThreadLocal whose values are meant.
    pub thread_local: bool,
}

/// Who holds it from a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThreadName {
    /// Its name; of several the first one's.
    pub name: String,
    /// How many of the samples' threads there are.
    pub threads: u64,
    /// The frame whose local variable it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<String>,
}

/// A step of a path: a reference, and the object that it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What sort of reference, as a path's steps have it.
    pub by: &'static str,
    /// The field's name, of several links of one structure all of them; of a local the frame; of a root why it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The element's number, where it is the same on all paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The class that declares the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared_by: Option<String>,
    /// How often the same follows on itself.
    pub times: u64,
    /// The class of the object that it leads to.
    pub class: String,
    /// That object, where the paths lead through a single one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_hex")]
    pub object: Option<u64>,
    /// Of a class object its class, of a thread its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// Objects of one kind in what a suspect holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Level {
    /// Their class.
    pub class: String,
    /// How many.
    pub objects: u64,
    /// What they hold of it.
    pub bytes: u64,
    /// By which field of the level before, where that is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<FieldName>,
    /// In how many classes of that name: of several class loaders.
    pub classes: u64,
}

/// Objects of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfClass {
    /// The class.
    pub class: String,
    /// How many.
    pub objects: u64,
    /// Their own bytes.
    pub bytes: u64,
}

fn some_hex<S: serde::Serializer>(address: &Option<u64>, s: S) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => hex(address, s),
        None => s.serialize_none(),
    }
}

/// A share of `all` in percent, with one digit behind the point.
fn share(bytes: u64, all: u64) -> f64 {
    retained::share(bytes, all)
}

//! What objects retain: the bytes that would be freed if they went, one by one and in groups.
//!
//! Made from a dominator tree ([`Dominators`]), whatever input that was made from.

mod groups;
mod objects;
mod text;

pub use groups::{By, Group, groups, of_classes, roots, threads};
pub use objects::{Held, objects};
pub(crate) use objects::{class_name, cut, held_at, label, label_of, static_names, strength_name};
pub use text::{group_table, object_table, summary};

use serde::Serialize;

use super::reader::{Facts, Objects, Reader, Source};
use crate::error::Result;
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph, Strength};
use crate::heap::Heap;
use crate::heap::roots::Stacks;

/// What `retained` reads: the names of classes, their interfaces, and the names of the methods in frames. Of objects what a dump reads.
pub(super) const READER: Reader = Reader {
    name: "retained",
    command: "retained",
    on_request: false,
    facts,
    objects: Objects::AsDump,
};

fn facts(from: &Source) -> Result<Facts> {
    let heap: &Heap = from.heap;
    let names = heap.vm.classes.all().iter().map(|k| heap.vm.external_name(k));
    let (threads, _) = Stacks::new(heap, None)?.running();
    let calls = threads.iter().flat_map(|t| &t.calls);
    let frames = calls.map(|c| crate::heap::frame_text(heap.vm, c));
    let interfaces = heap.vm.classes.all().iter().map(|k| format!("{:x?}", heap.vm.interfaces(k)));
    let bytes = names
        .chain(frames)
        .chain(interfaces)
        .flat_map(|text| [text.into_bytes(), vec![b'\n']].concat());
    Ok(Facts { bytes: bytes.collect(), metadata: None })
}

/// All bytes of a heap by how they are held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Of all objects.
    pub bytes: u64,
    /// Strongly held: what a garbage collection keeps.
    pub strong: u64,
    /// Held by soft references at most.
    pub soft: u64,
    /// By weak ones.
    pub weak: u64,
    /// Waiting for a finalizer.
    #[serde(rename = "final")]
    pub finalizable: u64,
    /// By phantom ones.
    pub phantom: u64,
    /// Held by nothing.
    pub garbage: u64,
}

impl Totals {
    /// Of a tree.
    pub fn of<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>) -> Totals {
        let [strong, soft, weak, finalizable, phantom] = Strength::ALL.map(|s| tree.held(s));
        let held = strong + soft + weak + finalizable + phantom;
        let bytes = tree.total();
        let garbage = bytes.saturating_sub(held);
        Totals { bytes, strong, soft, weak, finalizable, phantom, garbage }
    }
}

/// A share of `all` in percent, with one digit behind the point.
pub(crate) fn share(bytes: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { (bytes as f64 * 1000.0 / all as f64).round() / 10.0 }
}

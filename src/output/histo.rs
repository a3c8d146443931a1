//! Instances and bytes per class, as `jmap -histo` counts them, and per space.

use std::cmp::Reverse;

use serde::Serialize;

use super::reader::{Facts, Objects, Reader, Source};
use crate::address::hex;
use crate::error::Result;
use crate::graph::ObjectGraph;
use crate::heap::{Heap, Object, Visitor, WalkReport, walk};
use crate::hotspot::Vm;
use crate::hotspot::classes::Klass;
use crate::hotspot::gc::Space;
use crate::hprof::Dump;

/// What `histo` reads: names of classes and modules. Of objects the headers, which a dump reads too.
pub(super) const READER: Reader =
    Reader { name: "histo", command: "histo", on_request: false, facts, objects: Objects::AsDump };

fn facts(from: &Source) -> Result<Facts> {
    let vm = from.heap.vm;
    let mut bytes = Vec::new();
    for k in vm.classes.all() {
        bytes.extend_from_slice(class_name(vm, k).as_bytes());
        bytes.extend_from_slice(module_name(vm, k).unwrap_or_default().as_bytes());
        bytes.push(b'\n');
    }
    Ok(Facts { bytes, metadata: None })
}

fn class_name(vm: &Vm, k: &Klass) -> String {
    vm.external_name(k)
}

fn module_name(vm: &Vm, k: &Klass) -> Option<String> {
    vm.module(k).map(|m| m.text())
}

/// Counts of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Objects.
    pub instances: u64,
    /// Their bytes on the heap, header and alignment included.
    pub bytes: u64,
}

impl Count {
    /// Adds another count.
    pub fn add(&mut self, other: &Count) {
        self.instances += other.instances;
        self.bytes += other.bytes;
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// As `jmap -histo` prints it: `[B`, `java.lang.String`.
    pub class: String,
    /// `java.base@17.0.15`, where the class is in a named module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Address of the class's mirror: several classes can share a name.
    #[serde(serialize_with = "hex")]
    pub class_id: u64,
    /// The counts.
    #[serde(flatten)]
    pub count: Count,
    /// The same by space, in `Space::ALL`'s order.
    #[serde(skip)]
    pub spaces: [Count; SPACES],
}

const SPACES: usize = Space::ALL.len();

/// One chunk's counts. A chunk lies in one space, and most classes are not in it.
#[derive(Debug)]
struct Counter {
    space: Space,
    /// By klass.
    counts: Vec<Count>,
    /// Whose counts are not 0.
    met: Vec<u32>,
}

impl Visitor for Counter {
    #[inline(always)]
    fn object(&mut self, object: Object) {
        let count = &mut self.counts[object.klass as usize];
        if count.instances == 0 {
            self.met.push(object.klass);
            self.space = object.space;
        }
        count.instances += 1;
        count.bytes += object.bytes.len() as u64;
    }

    fn clear(&mut self) {
        self.met.drain(..).for_each(|k| self.counts[k as usize] = Count::default());
    }
}

/// Counts the heap's objects; rows in the order of `jcmd GC.class_histogram`: those with the most
/// bytes first, then by name.
pub fn histogram(
    heap: &Heap,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Vec<Row>, WalkReport)> {
    let classes = heap.vm.classes.all();
    let mut total = vec![[Count::default(); SPACES]; classes.len()];
    let make = || Counter {
        space: Space::Eden,
        counts: vec![Count::default(); classes.len()],
        met: Vec::new(),
    };
    let report = walk(heap, threads, make, |counter, bytes| {
        for &klass in &counter.met {
            total[klass as usize][counter.space as usize].add(&counter.counts[klass as usize]);
        }
        progress(bytes);
        Ok(())
    })?;
    let mut rows: Vec<Row> = classes
        .iter()
        .zip(total)
        .map(|(k, spaces)| {
            let mut count = Count::default();
            spaces.iter().for_each(|s| count.add(s));
            (k, count, spaces)
        })
        .filter(|(_, count, _)| count.instances > 0)
        .map(|(k, count, spaces)| Row {
            class: class_name(heap.vm, k),
            module: module_name(heap.vm, k),
            class_id: k.mirror,
            count,
            spaces,
        })
        .collect();
    sort(&mut rows);
    Ok((rows, report))
}

/// In the order of KlassInfoEntry::compare: arrays before other classes.
fn sort(rows: &mut [Row]) {
    let order = |r: &Row| (Reverse(r.count.bytes), !r.class.starts_with('['));
    rows.sort_by(|a, b| (order(a), &a.class, a.class_id).cmp(&(order(b), &b.class, b.class_id)));
}

/// The same of an HPROF file, which says nothing of modules and spaces. Objects of classes that the file does not
/// describe are in no row; its losses count them.
pub fn of_dump(dump: &Dump) -> Vec<Row> {
    let classes = 0..dump.classes().len() as u32;
    let mut rows: Vec<Row> = classes
        .zip(dump.histogram())
        .filter(|(_, (instances, _))| *instances > 0)
        .map(|(class, &(instances, bytes))| Row {
            class: dump.histogram_name(class),
            module: None,
            class_id: dump.class_id(class),
            count: Count { instances, bytes },
            spaces: Default::default(),
        })
        .collect();
    sort(&mut rows);
    rows
}

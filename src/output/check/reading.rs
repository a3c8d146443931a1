//! What the outputs would read of a core before a walk, and which bytes of heap are there for them.
//!
//! Two readings of one core, with and without the files beside it, are compared by their content.

use serde::Serialize;

use crate::address::hex;
use crate::collector::Collector;
use crate::corefile::{CoreFile, Memory};
use crate::error::Result;
use crate::heap::{Caught, DamageKind, Heap, Unread, walk};
use crate::hotspot::Vm;
use crate::hotspot::gc::{Region, Space};
use crate::hotspot::pointers::Pointers;
use crate::hotspot::vm_info::version::Version;
use crate::output::info::{Nothing, SpaceInfo};
use crate::output::reader::{Metadata, Source};
use crate::output::readers::READERS;

/// Stretches of absent heap that are kept one by one; all are counted.
const MAX_KEPT: usize = 1000;

/// A stretch of used heap that is not in the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Absent {
    /// In what space.
    pub space: Space,
    /// First address.
    #[serde(serialize_with = "hex")]
    pub start: u64,
    /// First address after it.
    #[serde(serialize_with = "hex")]
    pub end: u64,
    /// The file that was mapped there: archived objects lie in the CDS archive.
    pub file: Option<String>,
}

/// The heap's bytes: how many there are, and which of them are nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeapCheck {
    /// The collector.
    pub collector: Collector,
    /// The spaces that the heap has.
    pub spaces: Vec<SpaceInfo>,
    /// Bytes below the regions' tops.
    pub used: u64,
    /// Those of them that hold or may hold objects and are not there.
    pub absent: u64,
    /// In how many stretches.
    pub absent_stretches: u64,
    /// The first stretches (up to 1000).
    pub stretches: Vec<Absent>,
}

/// Everything that two readings of one core are compared by.
#[derive(Debug, PartialEq)]
pub(super) struct Reading {
    /// What each output says of all but objects, in the list's order.
    facts: Vec<Vec<u8>>,
    regions: Vec<Region>,
    pointers: Pointers,
    /// Bytes of the CDS archive's metadata that are there: a walk may need them for the sizes
    /// of objects whose class was never loaded.
    archive: u64,
    pub version: Version,
    pub classes: u64,
    pub threads: u64,
    pub roots: u64,
    pub heap: HeapCheck,
    /// A garbage collection that was under way.
    pub caught: Option<Caught>,
    pub damaged: Vec<Unread>,
    pub running: Vec<Unread>,
}

impl Reading {
    /// Reads all but the objects. Where heap is absent from a core that was not cut off, the
    /// heap is walked with `threads` threads: `trim` leaves out what no object needs.
    pub(super) fn of(core: &CoreFile, threads: usize) -> Result<Reading> {
        let vm = Vm::open(core)?;
        let heap = Heap::open(&vm)?;
        let from = Source { core, heap: &heap, threads };
        let (mut facts, mut summary) = (Vec::new(), Metadata::default());
        for reader in READERS {
            let found = (reader.facts)(&from)?;
            facts.push(found.bytes);
            summary = found.metadata.unwrap_or(summary);
        }
        let mut check = bytes(core, &heap);
        if check.absent > 0 && core.truncation().is_none() && !loses_objects(&heap, threads)? {
            check.clear_absent();
        }
        // Whether it was moving objects only a walk can tell.
        let caught = match heap.collected.collecting {
            true => heap.caught(&walk(&heap, threads, || Nothing, |_, _| Ok(()))?),
            false => None,
        };
        let (base, top) = vm.archive.unwrap_or((0, 0));
        Ok(Reading {
            facts,
            regions: heap.collected.regions.clone(),
            pointers: vm.pointers,
            archive: present(vm.mem, base, top),
            version: vm.version.clone(),
            classes: summary.classes,
            threads: heap.threads.len() as u64,
            roots: summary.roots,
            heap: check,
            caught,
            damaged: summary.damaged,
            running: summary.running,
        })
    }

    /// Whether `alone`, a view of the same core with fewer pages, gives the same dump.
    pub(super) fn is_met_by(
        &self,
        mut alone: Reading,
        core: &CoreFile,
        threads: usize,
    ) -> Result<bool> {
        let archive = std::mem::replace(&mut alone.archive, self.archive);
        if alone != *self {
            return Ok(false);
        }
        // Only a walk knows whether an object needs what is absent of the archive.
        Ok(archive == self.archive || {
            let vm = Vm::open(core)?;
            walk(&Heap::open(&vm)?, threads, || Nothing, |_, _| Ok(()))?.damaged == 0
        })
    }
}

impl HeapCheck {
    /// Nothing of what is absent is missed.
    fn clear_absent(&mut self) {
        (self.absent, self.absent_stretches) = (0, 0);
        self.stretches.clear();
        self.spaces.iter_mut().for_each(|s| s.not_in_core = 0);
    }
}

fn loses_objects(heap: &Heap, threads: usize) -> Result<bool> {
    let report = walk(heap, threads, || Nothing, |_, _| Ok(()))?;
    let unsaved = report.damage.iter().any(|d| d.kind == DamageKind::NotSaved);
    Ok(unsaved || report.damaged > report.damage.len() as u64)
}

fn present(mem: &Memory, start: u64, end: u64) -> u64 {
    mem.present(start, end).map(|(from, to)| to - from).sum()
}

/// Sums up the regions, without a look at any object.
fn bytes(core: &CoreFile, heap: &Heap) -> HeapCheck {
    let mut unused: Vec<(u64, u64)> = heap.threads.iter().filter_map(|t| t.tlab_gap).collect();
    unused.sort_unstable();
    let regions = &heap.collected.regions;
    let mut out = HeapCheck {
        collector: heap.collected.collector,
        spaces: Vec::new(),
        used: heap.used(),
        absent: 0,
        absent_stretches: 0,
        stretches: Vec::new(),
    };
    for space in Space::ALL {
        let mut s = SpaceInfo { space, regions: 0, capacity: 0, used: 0, not_in_core: 0 };
        for r in regions.iter().filter(|r| r.space == space) {
            s.regions += 1;
            s.capacity += r.end - r.start;
            s.used += r.top - r.start;
            for (start, end) in absent(heap.vm.mem, r, &unused) {
                s.not_in_core += end - start;
                out.absent_stretches += 1;
                if out.stretches.len() < MAX_KEPT {
                    let file = core.mapping_at(start).map(|m| m.path.clone());
                    out.stretches.push(Absent { space, start, end, file });
                }
            }
        }
        out.absent += s.not_in_core;
        if s.regions > 0 {
            out.spaces.push(s);
        }
    }
    out
}

/// The parts of a region below its top that are not there, but for the unused ends of TLABs
/// (in order), which hold no objects.
fn absent(mem: &Memory, r: &Region, unused: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let first = unused.partition_point(|u| u.1 <= r.start);
    let ends = unused[first..].iter().copied().take_while(|u| u.0 < r.top);
    let mut known: Vec<(u64, u64)> = mem.present(r.start, r.top).chain(ends).collect();
    known.sort_unstable();
    known.push((r.top, r.top));
    let (mut at, mut out) = (r.start, Vec::new());
    for (from, to) in known {
        if at < from {
            out.push((at, from));
        }
        at = at.max(to);
    }
    out
}

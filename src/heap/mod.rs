//! The heap as a stream of objects, walked by all cores in one pass.
//!
//! Sees regions, gaps and the sizes of klasses; knows no collector, no JDK and no output.

mod certain;
mod certain_starts;
mod chunks;
pub mod class_key;
pub(crate) mod class_objects;
pub mod dangling;
mod failures;
pub mod graph;
pub(crate) mod index;
mod klasses;
pub mod layout;
mod marking;
mod marks;
mod model;
mod object_graph;
mod object_values;
pub(crate) mod places;
mod probe;
mod report;
pub mod roots;
pub mod scan;
mod starts;
mod trace;
mod traced;
#[doc(hidden)]
pub mod virtual_threads;
mod walk;

pub use klasses::{KlassTable, NO_KLASS};
pub use marks::Marks;
pub use model::frame as frame_text;
pub(crate) use model::java_name;
pub use object_graph::HeapGraph;
pub use report::{Caught, Damage, DamageKind, Part, SpaceCount, SpaceWalk, Unread, WalkReport};
pub use traced::Traced;
pub use walk::{Object, Visitor, walk};

use std::sync::OnceLock;

use crate::error::{Error, Fault, Result};
use crate::hotspot::Vm;
use crate::hotspot::barrier::Barrier;
use crate::hotspot::gc::{self, CollectedHeap, Moves, Region};
use crate::hotspot::threads::{self, JavaThread};
use layout::Layouts;

/// Threads to work with.
pub fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| Error::Threads { threads, why: e.to_string() })
}

/// Everything that a walk needs to know.
#[derive(Debug)]
pub struct Heap<'a> {
    /// The VM.
    pub vm: &'a Vm<'a>,
    /// Collector and regions.
    pub collected: CollectedHeap,
    /// Java threads; their TLABs' unused ends are no objects.
    pub threads: Vec<JavaThread>,
    /// Sizes by klass.
    pub klasses: KlassTable,
    /// Metadata that could not be read, in words.
    pub damaged: Vec<Unread>,
    /// A collection was moving objects: the old copies are not objects of their own.
    moving: bool,
    /// A collection may have been moving objects, and their headers tell.
    watched: bool,
    /// Where objects have their values, once it was asked for.
    layouts: OnceLock<Layouts>,
    /// What can be reached, once it was looked for.
    traced: OnceLock<Traced>,
    /// Places where an object starts for certain, once they were looked for.
    certain: OnceLock<Vec<u64>>,
}

impl<'a> Heap<'a> {
    /// Finds regions and threads.
    pub fn open(vm: &'a Vm<'a>) -> Result<Heap<'a>> {
        let collected = gc::open(vm)?;
        let mut broken_threads = Vec::new();
        let threads = threads::read(vm, &mut broken_threads)?;
        let classes = Part::Classes.all(vm.damaged.iter().cloned());
        let damaged = classes.chain(Part::Threads.all(broken_threads)).collect();
        let klasses = KlassTable::new(vm);
        let begun = collected.collecting && !vm.barrier.is_none();
        let moving = begun && !collected.reachable_only;
        let watched = begun && collected.moves != Moves::Never;
        Ok(Heap {
            vm,
            moving,
            watched,
            collected,
            threads,
            klasses,
            damaged,
            layouts: OnceLock::new(),
            traced: OnceLock::new(),
            certain: OnceLock::new(),
        })
    }

    /// Whether the process stopped in the middle of a garbage collection, and if so whether a walk
    /// with this report may have met objects that were being moved.
    pub fn caught(&self, report: &WalkReport) -> Option<Caught> {
        let moving = match self.collected.moves {
            Moves::Never => false,
            // The old copies stay until all is moved and no reference leads to them any more.
            Moves::InHeaders => self.watched && (report.moving > 0 || report.damaged > 0),
            Moves::Silently => self.watched,
        };
        let compacting = matches!(self.vm.barrier, Barrier::Compacted(_));
        self.collected.collecting.then_some(Caught { moving, compacting })
    }

    /// Where objects of each class have their values.
    pub fn layouts(&self) -> &Layouts {
        self.layouts.get_or_init(|| Layouts::new(self.vm))
    }

    /// The objects that can be reached, looked for by `threads` threads the first time. None
    /// where all that lies in the regions counts.
    pub fn traced(&self, threads: usize) -> Result<Option<&Traced>> {
        if !self.collected.reachable_only {
            return Ok(None);
        }
        if let Some(traced) = self.traced.get() {
            return Ok(Some(traced));
        }
        let traced = trace::trace(self, threads)?;
        Ok(Some(self.traced.get_or_init(|| traced)))
    }

    /// Places where an object starts for certain, in order; looked for by `threads` threads the first time.
    fn certain(&self, threads: usize) -> Result<&[u64]> {
        if let Some(certain) = self.certain.get() {
            return Ok(certain);
        }
        let certain = certain_starts::find(self, threads)?;
        Ok(self.certain.get_or_init(|| certain))
    }

    /// All metadata that could not be read so far.
    pub fn all_damaged(&self) -> Vec<Unread> {
        let traced = self.traced.get().map_or(&[][..], |t| &t.damaged);
        let traced = Part::Roots.all(traced.iter().cloned());
        self.damaged.iter().cloned().chain(traced).collect()
    }

    /// Fills `out` with the heap's bytes from `addr` on.
    pub fn read(&self, addr: u64, out: &mut [u8]) -> Result<(), Fault> {
        self.vm.mem.read_into(addr, out)
    }

    /// How many bytes of a region's objects are in the core.
    pub fn saved(&self, region: &Region) -> u64 {
        self.vm.mem.present(region.start, region.top).map(|(from, to)| to - from).sum()
    }

    /// Bytes between the bottom and the top of all regions.
    pub fn used(&self) -> u64 {
        self.collected.regions.iter().map(|r| r.top - r.start).sum()
    }
}

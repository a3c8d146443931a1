//! How often a collector has run, and what kinds of regions it has: what a person asks of a heap
//! before its objects.

use serde::Serialize;

use super::super::unexported::memory_managers as managers;
use super::{CollectedHeap, RegionCount, shenandoah, z};
use crate::hotspot::Vm;
use crate::hotspot::barrier::Barrier;
use crate::hotspot::vm_info::perfdata;

/// No heap's own structure is larger.
const MAX_HEAP: u64 = 64 << 10;
/// `sun.gc.collector.N`: HotSpot has three at most.
const MAX_COLLECTORS: usize = 8;

/// Collections of one sort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collections {
    /// The VM's name for it: `ZGC Minor Cycles`, `G1 young collection pauses`.
    pub name: String,
    /// How many there were.
    pub count: u64,
}

/// All collections, and those of each sort.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// None where the VM does not tell.
    pub all: Option<u64>,
    /// As far as it tells.
    pub by_name: Vec<Collections>,
}

/// How often the collector has run. `CollectedHeap::_total_collections` stays 0 in Shenandoah
/// until 25, and counts ZGC's generations each; those two have GCMemoryManagers inside of their
/// heap, which are what Java's own management beans count by.
pub fn collections(vm: &Vm, heap: &CollectedHeap) -> Counted {
    let total = heap.collections.map(u64::from);
    if !heap.reachable_only {
        return Counted { all: total, by_name: counters(vm) };
    }
    let managers = by_managers(vm).unwrap_or_default();
    let cycles = managers.iter().filter(|m| m.whole).map(|m| m.collections.count).sum();
    let all = match managers.is_empty() {
        true => total.filter(|n| *n > 0),
        false => Some(cycles),
    };
    Counted { all, by_name: managers.into_iter().map(|m| m.collections).collect() }
}

/// The regions that ZGC and Shenandoah have, by kind; nothing of other collectors.
pub fn region_kinds(vm: &Vm) -> Vec<RegionCount> {
    match &vm.barrier {
        Barrier::Z(heap) => z::page_kinds(heap, vm.mem),
        Barrier::Shenandoah(..) => shenandoah::region_kinds(vm).unwrap_or_default(),
        Barrier::None | Barrier::Forwarded(_) | Barrier::Compacted(_) => Vec::new(),
    }
}

/// `sun.gc.collector.N` of the jvmstat counters.
fn counters(vm: &Vm) -> Vec<Collections> {
    let all = perfdata::read(vm);
    let one = |i: usize| {
        let of = |what: &str| all.get(&format!("sun.gc.collector.{i}.{what}"));
        Some(Collections {
            name: of("name")?.text()?.to_owned(),
            count: of("invocations")?.number()?,
        })
    };
    (0..MAX_COLLECTORS).filter_map(one).collect()
}

/// What a GCMemoryManager counts.
struct Manager {
    collections: Collections,
    /// Whether these are whole collections, not their pauses.
    whole: bool,
}

/// The GCMemoryManagers that lie in the heap's own structure, in its order: a name that only they
/// have, behind a few MemoryPools.
fn by_managers(vm: &Vm) -> Option<Vec<Manager>> {
    let word = |at: u64| vm.mem.u64(at).ok();
    let heap = word(vm.fields.collected_heap.opt()?)?;
    let sizes = managers::HEAPS.iter().filter_map(|heap| vm.tables.size_of(heap));
    let size = sizes.max()?.min(MAX_HEAP);
    let one = |i: u64| -> Option<Manager> {
        let at = heap + i * 8;
        let name = vm.mem.cstr(word(at)?, managers::MAX_NAME).ok()?;
        let (name, whole) = managers::NAMES.into_iter().find(|(n, _)| n.as_bytes() == name)?;
        let pools = vm.mem.u32(at - managers::NUM_POOLS_BEFORE_NAME).ok()?;
        (1..=managers::MAX_POOLS).contains(&pools).then_some(())?;
        // A flag or a timer's, then a pointer.
        let newer = word(at + managers::LAST_STAT_AFTER_NAME)? <= 1;
        let count = word(at + if newer { managers::NEWER_COUNT } else { managers::COUNT })?;
        Some(Manager { collections: Collections { name: name.to_owned(), count }, whole })
    };
    Some((2..size / 8).filter_map(one).collect())
}

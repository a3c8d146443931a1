//! What an engineer wants to know of a core first: data, and one screen of it.
//!
//! Gathers from the readers below; reads no target memory by itself.

mod death;
mod redact;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;

pub use death::{OutOfMemory, Sender, Signal, Thrown};
pub(super) use text::{encoding, lines, out_of_memory};

use super::collection::{Collection, Task};
use super::reader::{Facts, Objects, Reader, Source};
use super::report::{Cut, MissingFile};
use crate::address::{Address, Range};
use crate::collector::Collector;
use crate::corefile::{CoreFile, Missing};
use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::format::notes::Origin;
use crate::heap::roots::is_shown;
use crate::heap::{Caught, Heap, Object, Part, Unread, Visitor, WalkReport, walk};
use crate::hotspot::gc::{self, Collections, Region, RegionCount, Space};
use crate::hotspot::java::system_properties;
use crate::hotspot::pointers::{KlassForm, Pointers};
use crate::hotspot::vm_info::arguments::Arguments;
use crate::hotspot::vm_info::perfdata;
use crate::hotspot::{Vm, threads};

/// What `info` reads. Of objects it looks at OutOfMemoryErrors only, which a dump reads too.
pub(super) const READER: Reader =
    Reader { name: "info", command: "info", on_request: false, facts, objects: Objects::Few };

fn facts(from: &Source) -> Result<Facts> {
    let heap = from.heap;
    let mut info = Info::of_core(from.core, 0, &[]);
    info.add_vm(heap.vm, true);
    let counted = gc::collections(heap.vm, &heap.collected);
    let kinds = gc::region_kinds(heap.vm);
    let reported = heap.vm.reported_out_of_memory();
    let mut bytes = format!("{counted:?} {kinds:?} {reported:?} ").into_bytes();
    serde_json::to_writer(&mut bytes, &info.vm).map_err(|e| Error::from_write(e.into()))?;
    Ok(Facts { bytes, metadata: None })
}

/// The report.
#[derive(Debug, Clone, Serialize)]
pub struct Info {
    /// The file and the process.
    pub core: CoreInfo,
    /// The VM, where it could be read.
    pub vm: Option<VmInfo>,
    /// The heap, where it could be read.
    pub heap: Option<HeapInfo>,
    /// What a cut-off core lacks.
    pub truncated: Option<Cut>,
    /// Mapped files that rjcore reads and that were not found.
    pub missing_files: Vec<MissingFile>,
    /// Metadata that could not be read.
    pub damaged: Vec<Unread>,
    /// A garbage collection that was under way, and what it costs: nothing here.
    pub collection: Option<Collection>,
    #[serde(skip)]
    caught: Option<Caught>,
}

/// What the core's headers and notes say.
#[derive(Debug, Clone, Serialize)]
pub struct CoreInfo {
    /// As the user named it.
    pub path: String,
    /// Bytes of the file as it lies on the disk.
    pub bytes: u64,
    /// The CPU.
    pub machine: Cpu,
    /// PT_LOADs.
    pub segments: usize,
    /// Process id.
    pub pid: Option<i32>,
    /// The process's name.
    pub process: Option<String>,
    /// Threads in the notes.
    pub threads: usize,
    /// How and when rjcore took the core of the live process; none where others took it.
    pub captured: Option<Origin>,
    /// The signal that killed the process; none where it went on to live.
    pub killed_by: Option<Signal>,
    /// Of a process that aborted: memory that ran out before.
    pub out_of_memory: Option<OutOfMemory>,
}

/// What the VM's metadata says.
#[derive(Debug, Clone, Serialize)]
pub struct VmInfo {
    /// The feature release: 8, 17.
    pub jdk: Option<u32>,
    /// The JDK's own version: `1.8.0_504-8u504-ga-b01`, `17.0.15+6-Debian-1deb12u1`.
    pub java_version: Option<String>,
    /// HotSpot's: `25.504-b01` in JDK 8, the JDK's since.
    pub version: Option<String>,
    /// Build, date, compiler.
    pub build: Option<String>,
    /// What it was started with.
    pub arguments: Arguments,
    /// Flags that are not at their built-in default.
    pub flags: BTreeMap<String, String>,
    /// How references are written.
    pub oops: Encoding,
    /// How class pointers are written.
    pub class_pointers: Encoding,
    /// Loaded classes, array classes included.
    pub classes: usize,
    /// Java threads, the VM's own included.
    pub threads: Option<usize>,
    /// Those that HotSpot's own dumps show.
    pub threads_visible: Option<usize>,
    /// ms since 1970.
    pub started_ms: Option<u64>,
    /// ms from then to the core. Where rjcore did not take it, by the VM's own clock, which is 50
    /// too few at most, and which JDK 25 and later do not have.
    pub uptime_ms: Option<u64>,
    /// VMError::_thread's name: the thread whose crash HotSpot reported.
    pub crashed_thread: Option<CrashedThread>,
    /// System properties, where asked for and readable.
    pub properties: Option<BTreeMap<String, String>>,
}

/// How references of one sort are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Encoding {
    /// Whether as 32 bits or fewer.
    pub compressed: bool,
    /// Whether the class pointer is a part of the mark word (JEP 450).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compact_headers: Option<bool>,
    /// What is added to what is written, once that is shifted.
    pub base: Option<Address>,
    /// By how many bits.
    pub shift: Option<u32>,
}

/// The thread whose crash HotSpot reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CrashedThread {
    /// Thread*.
    pub address: Address,
    /// Its name, if it is a Java thread.
    pub name: Option<String>,
}

/// What the collector's structures say.
#[derive(Debug, Clone, Serialize)]
pub struct HeapInfo {
    /// The collector.
    pub collector: Collector,
    /// Collections so far; none where the VM does not tell.
    pub collections: Option<u64>,
    /// The same by the names that the VM gives them; a cycle may have several pauses.
    pub collections_by_name: Vec<Collections>,
    /// Whether one was under way.
    pub collecting: bool,
    /// CollectedHeap::_reserved.
    pub reserved: Option<Range>,
    /// The spaces that the heap has.
    pub spaces: Vec<SpaceInfo>,
    /// Regions or pages by the names that ZGC and Shenandoah give their kinds.
    pub region_kinds: Vec<RegionCount>,
}

/// One space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpaceInfo {
    /// Which.
    pub space: Space,
    /// Its regions.
    pub regions: u64,
    /// Committed bytes.
    pub capacity: u64,
    /// Bytes below the regions' tops.
    pub used: u64,
    /// Those of them that are not in the core.
    pub not_in_core: u64,
}

impl Info {
    /// What is known without the VM.
    pub fn of_core(core: &CoreFile, bytes: u64, missing: &[Missing]) -> Info {
        Info {
            core: CoreInfo {
                path: core.path().display().to_string(),
                bytes,
                machine: core.cpu(),
                segments: core.segments().len(),
                pid: core.psinfo().map(|p| p.pid),
                process: core.psinfo().map(|p| p.command.clone()),
                threads: core.threads().len(),
                captured: core.origin().cloned(),
                killed_by: Signal::of(core),
                out_of_memory: None,
            },
            vm: None,
            heap: None,
            truncated: core.truncation().map(Cut::from),
            missing_files: missing.iter().map(MissingFile::from).collect(),
            damaged: Vec::new(),
            collection: None,
            caught: None,
        }
    }

    /// Adds what the VM's metadata says.
    pub fn add_vm(&mut self, vm: &Vm, with_properties: bool) {
        let counters = perfdata::read(vm);
        let times = perfdata::times(&counters);
        let mut ignored = Vec::new();
        let threads = threads::read(vm, &mut ignored).ok();
        let name = |t: &threads::JavaThread| t.name.clone();
        let named = |f: &dyn Fn(&threads::JavaThread) -> bool| {
            threads.iter().flatten().find(|t| f(t)).map(name)
        };
        if let Some(signal) = &mut self.core.killed_by
            && let Some(tid) = signal.tid.and_then(|t| u32::try_from(t).ok()).filter(|t| *t != 0)
        {
            signal.thread = named(&|t| t.tid == tid);
        }
        self.damaged = Part::Classes.all(vm.damaged.iter().cloned()).collect();
        self.vm = Some(VmInfo {
            jdk: vm.version.jdk(),
            java_version: vm.version.java().map(str::to_owned),
            version: vm.version.release.clone(),
            build: vm.version.info.clone(),
            arguments: Arguments::read(vm),
            flags: vm.flags.changed().map(|(n, f)| (n.to_owned(), f.value.to_string())).collect(),
            oops: oops(&vm.pointers),
            class_pointers: class_pointers(&vm.pointers),
            classes: vm.classes.all().len(),
            threads: threads.as_ref().map(Vec::len),
            threads_visible: threads.as_ref().map(|t| t.iter().filter(|t| is_shown(t)).count()),
            started_ms: times.map(|t| t.0),
            uptime_ms: times.and_then(|(start, up)| {
                vm.taken_ms.and_then(|taken| taken.checked_sub(start)).or(up)
            }),
            crashed_thread: vm.crashed_thread().map(|addr| CrashedThread {
                address: Address(addr),
                name: named(&|t| t.addr == addr),
            }),
            properties: if with_properties { system_properties(vm) } else { None },
        });
    }

    /// Adds what the collector's structures say. Where part of the used heap is not in the
    /// core, the heap is walked: unused ends of TLABs and dead objects are no loss.
    pub fn add_heap(&mut self, heap: &Heap, threads: usize) -> Result<()> {
        self.add_walked_heap(heap, threads, None)
    }

    /// The same of a heap that was walked, if there is that walk's report.
    pub(crate) fn add_walked_heap(
        &mut self,
        heap: &Heap,
        threads: usize,
        walked: Option<&WalkReport>,
    ) -> Result<()> {
        self.damaged.clone_from(&heap.damaged);
        let regions = &heap.collected.regions;
        let absent = |r: &Region| {
            let present = heap.saved(r);
            (r.top - r.start) - present
        };
        let mut lost = regions.iter().any(|r| absent(r) > 0);
        if lost || heap.collected.collecting {
            let own = match walked {
                Some(_) => None,
                None => Some(walk(heap, threads, || Nothing, |_, _| Ok(()))?),
            };
            if let Some(report) = walked.or(own.as_ref()) {
                lost &= report.damaged > 0;
                self.caught = heap.caught(report);
            }
            self.collection = self.caught.map(|c| Collection::new(c, Task::Facts));
        }
        let spaces = Space::ALL.iter().filter_map(|&space| {
            let mut s = SpaceInfo { space, regions: 0, capacity: 0, used: 0, not_in_core: 0 };
            for r in regions.iter().filter(|r| r.space == space) {
                s.regions += 1;
                s.capacity += r.end - r.start;
                s.used += r.top - r.start;
                s.not_in_core += if lost { absent(r) } else { 0 };
            }
            (s.regions > 0).then_some(s)
        });
        let counted = gc::collections(heap.vm, &heap.collected);
        let reserved = heap.collected.reserved;
        self.heap = Some(HeapInfo {
            collector: heap.collected.collector,
            collections: counted.all,
            collections_by_name: counted.by_name,
            collecting: heap.collected.collecting,
            reserved: reserved
                .map(|(start, end)| Range { start: Address(start), end: Address(end) }),
            spaces: spaces.collect(),
            region_kinds: gc::region_kinds(heap.vm),
        });
        if let Some(signal) = self.core.killed_by.as_ref().filter(|s| s.is_abort()) {
            self.core.out_of_memory = death::out_of_memory(heap, signal, threads)?;
        }
        Ok(())
    }

    /// Whether something that matters is missing.
    pub fn is_whole(&self) -> bool {
        let lost = |h: &HeapInfo| h.spaces.iter().any(|s| s.not_in_core > 0);
        self.damaged.is_empty() && !self.heap.as_ref().is_none_or(lost)
    }
}

/// A walk for its report alone.
pub(super) struct Nothing;

impl Visitor for Nothing {
    fn object(&mut self, _: Object) {}
    fn clear(&mut self) {}
}

fn oops(p: &Pointers) -> Encoding {
    Encoding {
        compressed: p.narrow_oops,
        compact_headers: None,
        base: p.narrow_oops.then_some(Address(p.oop_base)),
        shift: p.narrow_oops.then_some(p.oop_shift),
    }
}

fn class_pointers(p: &Pointers) -> Encoding {
    let compressed = p.klass != KlassForm::Wide;
    Encoding {
        compressed,
        compact_headers: Some(matches!(p.klass, KlassForm::Compact(_))),
        base: compressed.then_some(Address(p.klass_base)),
        shift: compressed.then_some(p.klass_shift),
    }
}

//! HPROF as HotSpot writes it: JAVA PROFILE 1.0.2 with 8-byte ids, which are addresses.
//!
//! Names, classes, threads and roots come first, then the objects in address order. Knows no
//! files and no compression: it writes to what it is given.

mod classes;
mod flat;
mod objects;
pub mod plan;
mod records;
mod redacted;
mod threads;
mod values;

use std::io::{self, Write};

use serde::Serialize;

use crate::error::{Error, Fault, Result};
use crate::heap::dangling::{Dangling, Watch, Watched};
use crate::heap::{Caught, Heap, Part, Traced, Unread, WalkReport, virtual_threads, walk};
use crate::hotspot::barrier::Barrier;
use crate::hotspot::vm_info::perfdata;

use super::reader::{Facts, Metadata, Objects, Progress, Reader, Source, Walked};
use super::redact::{Redaction, Rules, Texts};
use objects::Records;
use plan::Plan;
use records::{Put, tag};

/// What a dump reads: of objects, all.
pub(super) const READER: Reader = Reader {
    name: "hprof",
    command: "dump",
    on_request: false,
    facts,
    objects: Objects::Own(objects),
};

fn facts(from: &Source) -> Result<Facts> {
    let (bytes, summary) = head(from.heap, None, &[], None)?;
    let DumpSummary { classes, roots, damaged, running, .. } = summary;
    Ok(Facts { bytes, metadata: Some(Metadata { classes, roots, damaged, running }) })
}

fn objects(from: &Source, progress: Progress) -> Result<Walked> {
    let dump = write_dump(from.heap, from.threads, &mut io::sink(), progress)?;
    Ok(Walked { walk: dump.walk, unread: dump.damaged, caught: dump.caught })
}

/// What a dump holds and lacks.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DumpSummary {
    /// Classes, array classes included.
    pub classes: u64,
    /// INSTANCE_DUMP and array records.
    pub objects: u64,
    /// Of these, value objects that lie in others (JEP 401): their ids are no addresses.
    pub flat_objects: u64,
    /// Roots of all kinds.
    pub roots: u64,
    /// The objects that they lead to.
    #[serde(skip)]
    pub rooted: Vec<u64>,
    /// References and roots that lead to no object, where they were to be counted and could be.
    #[serde(skip)]
    pub dangling: Option<Dangling>,
    /// Arrays cut short because a record cannot hold them; HotSpot does the same.
    pub truncated_arrays: u64,
    /// The walk's own report.
    pub walk: WalkReport,
    /// A garbage collection that was under way.
    pub caught: Option<Caught>,
    /// Metadata that could not be read.
    pub damaged: Vec<Unread>,
    /// Stacks that end early of threads that ran Java code, where frames cannot always be told
    /// from what else lies there: nothing is missing in the core.
    pub running: Vec<Unread>,
}

/// The dump up to its first object, and its summary so far: all that it holds of the metadata, and
/// of the unmounted virtual threads named. `traced` tells which objects stacks may hold, `rules` which values of static
/// fields are redacted.
pub(crate) fn head(
    heap: &Heap,
    traced: Option<&Traced>,
    unmounted: &[u64],
    rules: Option<&Rules>,
) -> Result<(Vec<u8>, DumpSummary)> {
    let vm = heap.vm;
    let mut summary = DumpSummary { damaged: heap.damaged.clone(), ..DumpSummary::default() };
    let mut out = Vec::new();
    out.extend_from_slice(b"JAVA PROFILE 1.0.2\0");
    out.u4(8);
    // The moment of the core, or else of the VM's start; never the clock, so that the same core
    // gives the same bytes.
    let times = perfdata::times(&perfdata::read(vm));
    let known = times.map_or(0, |(start, up)| start.saturating_add(up.unwrap_or(0)));
    out.u8(vm.taken_ms.unwrap_or(known));
    classes::write(heap, traced, unmounted, rules, &mut out, &mut summary)?;
    Ok((out, summary))
}

/// What a dump is to do besides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'r> {
    /// Count the references and roots that lead to no object. That takes a 32nd of the heap's bytes.
    pub dangling: bool,
    /// What is not to be in it.
    pub redaction: Option<&'r Redaction>,
}

/// Writes the whole dump. `progress` gets the bytes of heap as they are done.
pub fn write_dump(
    heap: &Heap,
    threads: usize,
    out: &mut (dyn Write + Send),
    progress: &(dyn Fn(u64) + Sync),
) -> Result<DumpSummary> {
    write_dump_with(Options::default(), heap, threads, out, progress)
}

/// The same with what is to be done besides.
pub fn write_dump_with(
    options: Options,
    heap: &Heap,
    threads: usize,
    out: &mut (dyn Write + Send),
    progress: &(dyn Fn(u64) + Sync),
) -> Result<DumpSummary> {
    let vm = heap.vm;
    let traced = heap.traced(threads)?;
    // Traces come before segments (VisualVM wants that): so all threads are found first.
    let unmounted = virtual_threads::unmounted(heap, threads)?;
    let rules = options.redaction.map(|r| Rules::new(heap, r));
    let rules = rules.as_ref();
    let texts = options.redaction.map(|r| Texts::new(heap, r, &unmounted));
    let (head, mut summary) = head(heap, traced, &unmounted, rules)?;
    out.write_all(&head).map_err(Error::from_write)?;
    drop(head);
    let untraced = traced.iter().flat_map(|t| t.damaged.iter().cloned());
    summary.damaged.extend(Part::Roots.all(untraced));
    let reference = match &vm.barrier {
        Barrier::Z(_) | Barrier::Compacted(_) => plan::Copy::Barrier,
        Barrier::Shenandoah(..) | Barrier::Forwarded(_) if traced.is_none_or(|t| t.forwarded) => {
            plan::Copy::Barrier
        }
        _ if vm.pointers.narrow_oops => plan::Copy::Narrow,
        _ => plan::Copy::Swap8,
    };
    let numbers = 0..vm.classes.all().len() as u32;
    let plans: Vec<Plan> = numbers.map(|n| Plan::new(heap, n, reference, rules)).collect();
    let values = values::Plans::new(heap, reference, rules);
    let mut ids = values::Ids::new(vm.pointers.alignment);
    let (mut faults, mut short_objects) = (Vec::<Fault>::new(), 0);
    let watch = match options.dangling.then(|| Watch::new(heap)).transpose() {
        Ok(watch) => watch,
        Err(e) => {
            let text = format!("whether references lead to no object was not looked at: {e}");
            summary.damaged.push(Part::References.unread(text));
            None
        }
    };
    let make = || {
        let mut records = Records::new(heap, &plans, &values, texts.as_ref());
        crate::heap::Visitor::clear(&mut records);
        Watched::new(records, watch.as_ref())
    };
    summary.walk = walk(heap, threads, make, |chunk, bytes| {
        if let Some(watch) = &watch {
            watch.pass(chunk);
        }
        let records = &mut chunk.inner;
        records.write(out, &mut ids).map_err(Error::from_write)?;
        summary.objects += records.objects;
        summary.flat_objects += records.flat;
        summary.truncated_arrays += records.truncated;
        short_objects += records.short_objects;
        faults.append(&mut records.faults);
        progress(bytes);
        Ok(())
    })?;
    summary.caught = heap.caught(&summary.walk);
    summary.dangling = watch.map(|w| w.count(threads, &summary.rooted)).transpose()?;
    if short_objects > 0 {
        let text = format!("{short_objects} objects are smaller than their fields");
        summary.damaged.push(Part::Fields.unread(text));
    }
    for fault in &faults {
        let text = format!("part of a large array is written as zeroes: {fault}");
        summary.damaged.push(Part::Elements.unread(text));
    }
    summary.damaged.append(&mut summary.running);
    let mut end = Vec::new();
    end.record(tag::HEAP_DUMP_END, 0);
    out.write_all(&end).map_err(Error::from_write)?;
    out.flush().map_err(Error::from_write)?;
    Ok(summary)
}

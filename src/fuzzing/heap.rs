//! The heap: objects that are the input, of a sample core's classes; and all that is made of a heap.

use std::io::sink;

use super::answers;
use super::input::Input;
use super::stage;
use crate::corefile::CoreFile;
use crate::heap::graph::View;
use crate::heap::{Heap, HeapGraph, Object, Visitor, walk};
use crate::hotspot::gc::Region;
use crate::output::histo::histogram;
use crate::output::hprof::{Options, write_dump_with};
use crate::output::reader::Source;
use crate::output::readers::READERS;

/// Objects of one seed have so many bytes, a little more or less.
const SEED: u64 = 2048;
/// Seeds of one core.
const SEEDS: usize = 8;
/// Bytes of an input that become the heap.
const MOST: usize = 64 << 10;

/// Which core, what is made of it, where the second region begins, then the heap: two regions one behind the other, and
/// no more.
pub(super) fn heap(data: &[u8]) {
    let mut input = Input(data);
    let (core, what) = (input.u8(), input.u8());
    stage::on(core, |s| {
        let Ok(mut heap) = Heap::open(s.vm) else { return };
        let largest = heap.collected.regions.iter().max_by_key(|r| s.vm.mem.contiguous(r.start));
        let Some(largest) = largest.copied() else { return };
        let cut = u64::from(input.u16()) * 8;
        let room = s.vm.mem.contiguous(largest.start).min(largest.top - largest.start);
        let len = (input.0.len().min(MOST) as u64).min(room) & !7;
        let (start, end) = (largest.start, largest.start + len);
        let middle = start + cut.min(len);
        let region = |start, top| Region { start, top, end: top, marked_below: start, ..largest };
        heap.collected.regions = vec![region(start, middle), region(middle, end)];
        heap.threads.clear();
        s.with(&[(start, &input.0[..len as usize])], || match what % 4 {
            0 => objects(&heap),
            1 => graph(&heap, View::Heap),
            2 => graph(&heap, View::Dumped),
            _ => all_of_heap(s.core, &heap),
        });
    });
}

/// What outputs read of all but objects.
pub(super) fn facts(core: &CoreFile, heap: &Heap) {
    for reader in READERS {
        let _ = (reader.facts)(&Source { core, heap, threads: 1 });
    }
}

/// All that is made of a heap.
pub(super) fn all_of_heap(core: &CoreFile, heap: &Heap) {
    facts(core, heap);
    objects(heap);
    graph(heap, View::Heap);
    graph(heap, View::Dumped);
}

/// What is made of objects one by one.
fn objects(heap: &Heap) {
    if let Ok((rows, report)) = histogram(heap, 1, &|_| {}) {
        let _ = serde_json::to_writer(sink(), &rows);
        // What rjcore itself failed on is no damage of the target's.
        let failed = report.damage.iter().find(|d| d.kind == crate::heap::DamageKind::Failed);
        assert!(failed.is_none(), "rjcore failed: {failed:?}");
    }
    let options = Options { dangling: true, redaction: None };
    let _ = write_dump_with(options, heap, 1, &mut sink(), &|_| {});
}

/// What is made of all of them together.
fn graph(heap: &Heap, view: View) {
    if let Ok(graph) = HeapGraph::open(heap, view, 1, &|_| {}) {
        answers::all(&graph);
    }
}

/// Notes the addresses of objects, each some bytes from the one before.
struct Starts(Vec<u64>);

impl Visitor for Starts {
    fn object(&mut self, object: Object) {
        let starts = &mut self.0;
        // Regions come in the order of their addresses.
        if starts.last().is_none_or(|last| object.addr >= last + SEED) {
            starts.push(object.addr);
        }
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let of_core = |core: u8| {
        stage::on(core, |s| {
            let heap = Heap::open(s.vm).expect("a sample core's heap");
            let mut starts = Vec::new();
            walk(
                &heap,
                1,
                || Starts(Vec::new()),
                |visitor, _| {
                    starts.append(&mut visitor.0);
                    Ok(())
                },
            )
            .expect("a sample core's heap");
            let step = (starts.len() / SEEDS).max(1);
            let seed = |(n, (i, at)): (usize, (usize, &u64))| {
                let end = starts.get(i + 1).map_or(SEED, |next| next.saturating_sub(*at));
                let head = [core, (n % 4) as u8, 0x40, 0];
                [&head[..], &s.bytes(*at, end.min(2 * SEED) as usize)].concat()
            };
            starts.iter().enumerate().step_by(step).enumerate().map(seed).collect::<Vec<_>>()
        })
    };
    (0..stage::NAMES.len() as u8).flat_map(of_core).collect()
}

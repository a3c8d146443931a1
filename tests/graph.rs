//! Roots, references and the object graph, as the library gives them, against what the dump of the same core says, by
//! a reader that shares nothing with it.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rjcore::corefile::{CoreFile, OpenOptions};
use rjcore::heap::Heap;
use rjcore::heap::roots::{Root, RootKind, Stacks, WideRoots, global};
use rjcore::hotspot::Vm;
use rjcore::output::hprof::write_dump;
use support::dep;
use support::hprof::{self, Dump};

/// The sample cores.
fn cores() -> Vec<PathBuf> {
    let all = std::fs::read_dir(dep("testdata/cores")).expect("samples");
    let mut all: Vec<PathBuf> = all.map(|e| e.expect("an entry").path()).collect();
    all.retain(|p| p.extension().is_some_and(|e| e == "zst" || e == "core"));
    all.sort();
    assert!(all.len() >= 5, "{all:?}");
    all
}

fn dump(heap: &Heap) -> Dump {
    let mut out = Vec::new();
    write_dump(heap, 2, &mut out, &|_| {}).expect("a dump");
    Dump::parse(out).expect("HPROF")
}

/// Calls `each` with the heap of every sample core, and its dump.
fn with_heaps(each: impl Fn(&str, &Heap, &Dump)) {
    for path in cores() {
        println!("{}", path.display());
        let core = CoreFile::open(&path, &OpenOptions::default()).expect("a core");
        let vm = Vm::open(&core).expect("its JVM");
        let heap = Heap::open(&vm).expect("its heap");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        each(&name, &heap, &dump(&heap));
    }
}

/// All roots that dumps name.
fn dumped_roots(heap: &Heap) -> Vec<Root> {
    let traced = heap.traced(2).expect("a search");
    let stacks = Stacks::new(heap, traced).expect("stacks");
    let (threads, early) = stacks.running();
    assert_eq!(early, [], "stacks that end early");
    let mut all: Vec<Root> = threads.into_iter().flat_map(|t| t.roots).collect();
    all.extend(global(heap.vm, &mut Vec::new()).expect("roots"));
    all
}

/// What a dump says of a root: its tag, and what else names it.
fn as_dumped(r: &Root) -> hprof::Root {
    let serial = u64::from(r.thread.map_or(0, |t| t + 1));
    let frame = r.frame.unwrap_or(u32::MAX);
    let (tag, extra) = match r.kind {
        RootKind::Thread | RootKind::UnmountedThread => {
            (hprof::THREAD_OBJECT, (serial, 1 + serial as u32))
        }
        RootKind::Frame => (hprof::JAVA_FRAME, (serial, frame)),
        RootKind::JniLocal => (hprof::JNI_LOCAL, (serial, frame)),
        RootKind::JniGlobal => (hprof::JNI_GLOBAL, (r.slot.expect("a handle"), 0)),
        RootKind::Monitor => (hprof::MONITOR_USED, (0, 0)),
        RootKind::BootClass => (hprof::STICKY_CLASS, (0, 0)),
        kind => panic!("{kind:?} is in no dump"),
    };
    hprof::Root { tag, id: r.object, extra }
}

#[test]
fn the_dump_has_the_list_of_roots() {
    with_heaps(|name, heap, dump| {
        let mut ours: BTreeMap<hprof::Root, usize> = BTreeMap::new();
        let list = dumped_roots(heap);
        list.iter().for_each(|r| *ours.entry(as_dumped(r)).or_default() += 1);
        for kind in [RootKind::Thread, RootKind::Frame, RootKind::JniGlobal, RootKind::BootClass] {
            assert!(list.iter().any(|r| r.kind == kind), "{name}: no {kind:?}");
        }
        assert_eq!(ours, dump.roots, "{name}");
    });
}

/// The list that a search starts from lacks none of these, but for the values of frames, for which words on stacks
/// stand.
#[test]
fn the_wider_list_has_all_of_them() {
    with_heaps(|name, heap, _| {
        // 8 has no collector that needs it.
        if heap.vm.fields.cld_klasses.opt().is_none() {
            return;
        }
        let mut damaged = Vec::new();
        let wide = WideRoots::read(heap, &mut damaged).expect("roots");
        let objects: BTreeSet<u64> = wide.roots.iter().map(|r| r.object).collect();
        let narrow = dumped_roots(heap);
        let narrow = narrow.iter().filter(|r| r.kind != RootKind::Frame);
        let missing: Vec<&Root> = narrow.filter(|r| !objects.contains(&r.object)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        assert!(wide.roots.iter().any(|r| !r.kind.is_dumped()), "{name}: no wider");
        assert!(!wide.memory.is_empty());
    });
}

//! Roots, references and the object graph, as the library gives them, against what the dump of the same core says, by
//! a reader that shares nothing with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::support::dep;
use crate::support::hprof::{self, Dump, Kind, REF, word};
use rjcore::corefile::{CoreFile, OpenOptions};
use rjcore::heap::Heap;
use rjcore::heap::graph::{ClassPart, Edge, Graph, Place, Scope, View};
use rjcore::heap::layout::Strength;
use rjcore::heap::roots::{Root, RootKind, Stacks, WideRoots, global};
use rjcore::heap::scan;
use rjcore::heap::virtual_threads::unmounted;
use rjcore::hotspot::Vm;
use rjcore::output::hprof::write_dump;

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

/// Calls `each` with the heap of every sample core.
fn with_heaps(each: impl Fn(&str, &Heap)) {
    for path in cores() {
        println!("{}", path.display());
        let core = CoreFile::open(&path, &OpenOptions::default()).expect("a core");
        let vm = Vm::open(&core).expect("its JVM");
        let heap = Heap::open(&vm).expect("its heap");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        each(&name, &heap);
    }
}

/// All roots that dumps name.
fn dumped_roots(heap: &Heap) -> Vec<Root> {
    let traced = heap.traced(2).expect("a search");
    let stacks = Stacks::new(heap, traced.map(|t| &t.marks)).expect("stacks");
    let (threads, early) = stacks.running();
    assert_eq!(early, [], "stacks that end early");
    let running = threads.len();
    let mut all: Vec<Root> = threads.into_iter().flat_map(|t| t.roots).collect();
    for (number, thread) in (running..).zip(unmounted(heap, 2).expect("a walk")) {
        all.extend(stacks.unmounted(thread, number).roots);
    }
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
    with_heaps(|name, heap| {
        let dump = &dump(heap);
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
    with_heaps(|name, heap| {
        // 8 has no collector that needs it.
        if heap.vm.fields.cld_klasses.opt().is_none() {
            return;
        }
        let mut damaged = Vec::new();
        let wide = WideRoots::read(heap, &mut damaged).expect("roots");
        let objects: BTreeSet<u64> = wide.roots.iter().map(|r| r.object).collect();
        let narrow = dumped_roots(heap);
        // Unmounted threads are met on the heap.
        let narrow = narrow
            .iter()
            .filter(|r| !matches!(r.kind, RootKind::Frame | RootKind::UnmountedThread));
        let missing: Vec<&Root> = narrow.filter(|r| !objects.contains(&r.object)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        assert!(wide.roots.iter().any(|r| !r.kind.is_dumped()), "{name}: no wider");
        assert!(!wide.memory.is_empty());
    });
}

fn graph<'h>(heap: &'h Heap<'h>, scope: Scope, view: View, threads: usize) -> Graph<'h, u32> {
    let graph = Graph::open(heap, scope, view, threads, &|_| {}).expect("a graph");
    assert!(graph.damaged.is_empty(), "{:?}", graph.damaged);
    graph
}

/// What an object refers to, by its record; null is nothing.
fn references(d: &Dump, id: u64) -> Vec<u64> {
    let mut out = Vec::new();
    if let Some(c) = d.classes.get(&id) {
        out.extend([c.super_id, c.loader, c.signers, c.domain]);
        out.extend(c.statics.iter().filter(|s| s.ty == REF).map(|s| s.value));
    } else {
        let o = &d.objects[&id];
        match o.kind {
            Kind::Primitives(_) => {}
            Kind::Objects => out.extend(d.bytes(o).chunks_exact(8).map(word)),
            Kind::Instance => {
                let slots = d.layout(o.class).into_iter().filter(|s| s.ty == REF);
                out.extend(slots.map(|s| word(&d.bytes(o)[s.start..s.end])));
            }
        }
    }
    out.retain(|id| *id != 0);
    out.sort_unstable();
    out
}

/// All ids in a dump.
fn ids(d: &Dump) -> BTreeSet<u64> {
    d.objects.keys().chain(d.classes.keys()).copied().collect()
}

/// Objects and their references are the dump's. Mirrors of classes that were never loaded are
/// objects without a record.
#[test]
fn the_graph_is_the_dumps() {
    with_heaps(|name, heap| {
        let dump = &dump(heap);
        let graph = graph(heap, Scope::All, View::Dumped, 2);
        let known = ids(dump);
        let mut bare = 0;
        let mut seen = 0;
        for (number, addr) in (0..).zip(graph.addresses()) {
            assert_eq!((graph.id(addr), graph.address(number)), (Some(number), addr));
            // The one object that 8 hides stands for deleted handles.
            if heap.vm.deleted_handle() == Some(addr) {
                bare += 1;
                continue;
            }
            if !known.contains(&addr) {
                let (klass, _) = graph.klass_and_size(addr).expect("an object");
                let class = &heap.vm.classes.all()[klass as usize].name;
                assert_eq!(
                    (class.as_str(), graph.class_at(addr)),
                    ("java/lang/Class", None),
                    "{name}"
                );
                bare += 1;
                continue;
            }
            seen += 1;
            assert_eq!(graph.class_at(addr).is_some(), dump.classes.contains_key(&addr));
            let mut ours = Vec::new();
            graph.edges(number, |e| {
                // Where the dump has a record, there is a number.
                assert_eq!(e.target.is_some(), graph.id(e.address).is_some());
                assert!(e.target.is_some() || !known.contains(&e.address), "{name}: {e:?}");
                ours.push(e.address);
            });
            ours.sort_unstable();
            assert_eq!(ours, references(dump, addr), "{name}: {addr:#x}");
            if let Some(o) = dump.objects.get(&addr).filter(|o| o.class != 0) {
                let class = graph.own_class(addr).map(|c| graph.address(c));
                assert_eq!(class, Some(o.class), "{name}: {addr:#x}");
            }
        }
        assert_eq!(seen, known.len(), "{name}");
        assert_eq!(graph.len(), seen as u64 + bare, "{name}");
        assert!(seen > 10_000 && graph.lost_roots == 0, "{name}: {seen}");
        // As the index says of itself: 1.7 % of the heap, and 8 bytes for 512 objects.
        let most = heap.used() / 58 + graph.len() / 32 + 4096;
        assert!(graph.memory() < most, "{} bytes of {most}", graph.memory());
    });
}

/// What can be reached in a dump, by its own references: an object reaches its class.
fn reached(d: &Dump) -> BTreeSet<u64> {
    let arrays: BTreeMap<&str, u64> = d.classes.values().map(|c| (c.name.as_str(), c.id)).collect();
    let known = ids(d);
    let mut todo: Vec<u64> = d.roots.keys().map(|r| r.id).collect();
    let mut met = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if !known.contains(&id) || !met.insert(id) {
            continue;
        }
        todo.extend(references(d, id));
        match d.objects.get(&id) {
            None => todo.push(arrays["java/lang/Class"]),
            Some(o) => match o.kind {
                Kind::Primitives(ty) => {
                    let names = ["[Z", "[C", "[F", "[D", "[B", "[S", "[I", "[J"];
                    todo.push(arrays[names[usize::from(ty) - 4]]);
                }
                _ => todo.push(o.class),
            },
        }
    }
    met
}

#[test]
fn what_can_be_reached_is_what_the_dump_says() {
    with_heaps(|name, heap| {
        let dump = &dump(heap);
        let theirs = reached(dump);
        for threads in [1, 3] {
            let graph = graph(heap, Scope::Reachable, View::Dumped, threads);
            // The dump names no mirror that has no class.
            let ours: BTreeSet<u64> = graph.addresses().collect();
            let known = ids(dump);
            let ours: BTreeSet<u64> = ours.intersection(&known).copied().collect();
            assert_eq!(ours.len(), theirs.len(), "{name}");
            assert_eq!(ours, theirs, "{name}");
        }
        let all = graph(heap, Scope::All, View::Dumped, 2);
        assert!(theirs.len() > 1000 && (theirs.len() as u64) < all.len(), "{name}");
        // What dumps have no record for keeps objects, too.
        let whole = graph(heap, Scope::Reachable, View::Heap, 2);
        assert!(theirs.iter().all(|addr| whole.id(*addr).is_some()), "{name}");
        assert!(whole.len() > theirs.len() as u64, "{name}");
        println!("{name}: {} of {} by the dump, {}", theirs.len(), all.len(), whole.len());
    });
}

/// The same numbers, edges and roots at any number of threads.
#[test]
fn threads_make_no_difference() {
    with_heaps(|name, heap| {
        let said = |threads| {
            let graph = graph(heap, Scope::Reachable, View::Heap, threads);
            let mut all = Vec::new();
            for id in 0..graph.len() as u32 {
                graph.edges(id, |e| all.push((id, e)));
            }
            let ids: Vec<u64> = graph.addresses().collect();
            (ids, all, graph.roots().to_vec(), graph.dangling)
        };
        assert_eq!(said(1), said(4), "{name}");
    });
}

/// Numbers of eight bytes, as more than four billion objects need, say the same.
#[test]
fn wide_numbers_say_the_same() {
    with_heaps(|name, heap| {
        let narrow = graph(heap, Scope::All, View::Heap, 2);
        let wide: Graph<u64> =
            Graph::open(heap, Scope::All, View::Heap, 2, &|_| {}).expect("a graph");
        assert_eq!(narrow.len(), wide.len(), "{name}");
        for id in (0..narrow.len()).step_by(7) {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            narrow.edges(id as u32, |e| {
                a.push(Edge { target: e.target.map(u64::from), ..widened(e) })
            });
            wide.edges(id, |e| b.push(e));
            assert_eq!(a, b, "{name}");
        }
    });
}

fn widened(e: Edge<u32>) -> Edge<u64> {
    Edge {
        place: e.place,
        strength: e.strength,
        address: e.address,
        target: e.target.map(u64::from),
    }
}

/// Only the referents of references are weak, and each is as weak as its reference's class says; a class holds its
/// loader.
#[test]
fn references_hold_as_their_classes_say() {
    with_heaps(|name, heap| {
        let dump = &dump(heap);
        let graph = graph(heap, Scope::All, View::Heap, 2);
        let strength = |d: &Dump, mut class: u64| {
            while let Some(c) = d.classes.get(&class) {
                match c.name.as_str() {
                    "java/lang/ref/SoftReference" => return Strength::Soft,
                    "java/lang/ref/WeakReference" => return Strength::Weak,
                    "java/lang/ref/FinalReference" => return Strength::Final,
                    "java/lang/ref/PhantomReference" => return Strength::Phantom,
                    _ => class = c.super_id,
                }
            }
            Strength::Strong
        };
        let mut met: BTreeMap<Strength, usize> = BTreeMap::new();
        for (id, o) in dump.objects.iter().filter(|(_, o)| o.kind == Kind::Instance) {
            let referent = dump
                .layout(o.class)
                .into_iter()
                .find(|s| s.name == "referent" && s.declared_by == "java/lang/ref/Reference");
            let referent = referent.map_or(0, |s| word(&dump.bytes(o)[s.start..s.end]));
            let expected = strength(dump, o.class);
            let (mut weak, mut named) = (0, 0);
            graph.edges(graph.id(*id).expect("an object"), |e| {
                *met.entry(e.strength).or_default() += 1;
                let strong = matches!(e.strength, Strength::Strong | Strength::Injected);
                weak += usize::from(!strong);
                named += usize::from(!strong && e.address == referent && e.strength == expected);
            });
            let is_weak = referent != 0 && expected != Strength::Strong;
            assert_eq!(
                (weak, named),
                (usize::from(is_weak), usize::from(is_weak)),
                "{name}: {id:#x}"
            );
        }
        for kind in [Strength::Soft, Strength::Weak, Strength::Phantom, Strength::Strong] {
            assert!(met.contains_key(&kind), "{name}: no {kind:?}");
        }
        // The application's classes have a loader.
        let of_loader = dump.classes.values().find(|c| c.name == "Sample").expect("its class");
        let mut parts = Vec::new();
        graph.edges(graph.id(of_loader.id).expect("a mirror"), |e| {
            if let Place::Class(part) = e.place {
                parts.push((part, e.address));
            }
            if let Place::Object(scan::Place::Field(i)) = e.place {
                let (class, _) = graph.klass_and_size(of_loader.id).expect("a mirror");
                assert!(graph.layout(class).references.len() > i as usize);
            }
        });
        assert!(parts.contains(&(ClassPart::Loader, of_loader.loader)), "{name}: {parts:?}");
        assert!(parts.contains(&(ClassPart::Super, of_loader.super_id)), "{name}: {parts:?}");
    });
}

//! HPROF files that HotSpot, jhsdb and rjcore wrote, read back as a graph: the same graph as that of the core of the same
//! process, object by object.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use rjcore::corefile::{CoreFile, OpenOptions};
use rjcore::graph::{self, ObjectGraph, RootKind};
use rjcore::heap::Heap;
use rjcore::heap::graph::{Graph, Scope, View};
use rjcore::heap::layout::Strength;
use rjcore::heap::roots;
use rjcore::hotspot::Vm;
use rjcore::hprof::Dump;

use crate::support::child::Command;
use crate::support::{Jvm, PATIENTLY, Scratch, dep, jdk, jdks, rjcore, run, text};

const SMALL: [&str; 4] = [
    "-Xmx64m",
    "-XX:+UseSerialGC",
    "-XX:CompressedClassSpaceSize=16m",
    "-XX:ReservedCodeCacheSize=32m",
];

fn read(path: &Path, threads: usize) -> Dump {
    let file = File::open(path).expect("a file");
    let dump = Dump::from_file(path, &file, None, threads, &|_| {}).expect("HPROF");
    assert!(dump.loss().is_whole(), "{:?}", dump.loss());
    dump
}

fn histo(path: &Path) -> String {
    text(rjcore().arg("histo").arg(path))
}

/// The kinds of roots of the two models.
fn kind(of: roots::RootKind) -> RootKind {
    match of {
        roots::RootKind::Thread => RootKind::Thread,
        roots::RootKind::UnmountedThread => RootKind::UnmountedThread,
        roots::RootKind::Frame => RootKind::Frame,
        roots::RootKind::JniLocal => RootKind::JniLocal,
        roots::RootKind::JniGlobal => RootKind::JniGlobal,
        roots::RootKind::Monitor => RootKind::Monitor,
        roots::RootKind::BootClass => RootKind::StickyClass,
        of => panic!("{of:?} is in no dump"),
    }
}

fn strength(of: Strength) -> graph::Strength {
    match of {
        Strength::Strong | Strength::Injected => graph::Strength::Strong,
        Strength::Soft => graph::Strength::Soft,
        Strength::Weak => graph::Strength::Weak,
        Strength::Final => graph::Strength::Final,
        Strength::Phantom => graph::Strength::Phantom,
    }
}

/// What differs of object sizes, and how many do not.
#[derive(Default)]
struct Sizes {
    same: u64,
    other: BTreeMap<String, (u64, u64, u64)>,
}

/// Every object of the dump is the core's, with the same class and the same references; so are the roots, but those
/// that `differing` says.
fn same_graph(dump: &Dump, core: &Path, differing: &[RootKind]) -> Sizes {
    let core = CoreFile::open(core, &OpenOptions::default()).expect("a core");
    let vm = Vm::open(&core).expect("its JVM");
    let heap = Heap::open(&vm).expect("its heap");
    let graph: Graph<u32> =
        Graph::open(&heap, Scope::All, View::Dumped, 2, &|_| {}).expect("a graph");
    let mut sizes = Sizes::default();
    let mut fillers = 0;
    for place in dump.numbers().iter() {
        let addr = dump.address(place);
        assert_eq!(dump.place(addr), Some(place));
        let class = &dump.classes()[dump.class_of(place) as usize].name;
        let Some(id) = graph.id(addr) else {
            // HotSpot fills the unused ends of TLABs before it dumps.
            assert!(
                class == "int[]" || class.ends_with("FillerObject") || class == "java.lang.Object",
                "{class}"
            );
            fillers += 1;
            continue;
        };
        let (klass, size) = graph.klass_and_size(addr).expect("an object");
        let name = vm.external_name(&vm.classes.all()[klass as usize]);
        let found = dump.histogram_name(dump.class_of(place));
        // From 19 on fillers are int[] with another name, which their record cannot say.
        let is_filler = name == "[Ljdk.internal.vm.FillerElement;";
        // 8's anonymous classes have names with a hash, which is not in the Symbol.
        let is_anonymous = name.strip_prefix(&*found).is_some_and(|rest| rest.starts_with('/'));
        if !is_anonymous {
            assert_eq!(found, if is_filler { "[I" } else { &*name }, "{addr:#x}");
        }
        if class == "int[]" && dump.size(place) != size {
            fillers += 1;
            continue;
        }
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        dump.references(place, |to, strength| theirs.push((dump.address(to), strength)));
        graph.edges(id, |e| {
            if dump.place(e.address).is_some() {
                ours.push((e.address, strength(e.strength)));
            }
        });
        theirs.sort_unstable();
        ours.sort_unstable();
        if dump.mirrored(place).is_some() && !differing.is_empty() {
            // jhsdb does not write all that the VM knows of a class.
            ours.retain(|edge| theirs.contains(edge));
        }
        assert_eq!(theirs, ours, "{name} {addr:#x}");
        match dump.size(place) == size {
            true => sizes.same += 1,
            false => {
                let entry = sizes.other.entry(name).or_insert((0, dump.size(place), size));
                entry.0 += 1;
            }
        }
    }
    assert!(fillers < 40, "{fillers} fillers");
    let missing = graph.addresses().filter(|a| dump.place(*a).is_none()).count() as u64;
    let all = graph.len();
    println!("{} objects, {missing} of {all} only in the core", dump.numbers().len());
    let mut roots: BTreeMap<(RootKind, u64, Option<u32>), i64> = BTreeMap::new();
    for root in graph.roots() {
        *roots.entry((kind(root.root.kind), root.root.object, root.root.frame)).or_default() += 1;
    }
    for root in dump.roots() {
        *roots.entry((root.kind, dump.address(root.place), root.frame)).or_default() -= 1;
    }
    roots.retain(|(kind, object, _), n| {
        *n != 0 && !differing.contains(kind) && dump.place(*object).is_some()
    });
    assert!(roots.is_empty(), "{} roots differ: {:?}", roots.len(), roots.iter().take(9));
    sizes
}

/// The dump of HotSpot and the core of one process.
fn from_hotspot(version: u32, name: &str, flags: &[&str], differing: &[RootKind]) {
    let dir = Scratch::new(&format!("inputs-{version}-{name}"));
    let flags = [&SMALL, flags].concat();
    let jvm = match version {
        17 | 25 => Jvm::start(version, &flags, "Everything", &dir),
        _ => jdks::start(version, &flags, "Everything", &dir),
    };
    let (theirs, ours, core) = (dir.path("theirs"), dir.path("ours"), dir.path("core"));
    jvm.heap_dump(&theirs);
    let packed = dir.path("theirs.gz");
    if version >= 17 {
        jvm.jcmd(&["GC.heap_dump", "-all", "-gz=1", packed.to_str().expect("UTF-8")]);
    }
    run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
    drop(jvm);
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&ours));
    let dump = read(&theirs, 2);
    let sizes = same_graph(&dump, &core, differing);
    println!("{} sizes are right, not: {:?}", sizes.same, sizes.other);
    let wrong: u64 = sizes.other.values().map(|o| o.0).sum();
    assert!(sizes.same > 20_000 && wrong * 1000 < sizes.same, "{wrong}: {:?}", sizes.other);
    assert!(dump.threads().iter().any(|t| t.name == "main" && t.frames.len() > 1));

    let own = same_graph(&read(&ours, 2), &core, &[]);
    println!("ours: {} sizes are right, not: {:?}", own.same, own.other);
    let wrong: u64 = own.other.values().map(|o| o.0).sum();
    assert!(own.same > 20_000 && wrong * 1000 < own.same, "{wrong}: {:?}", own.other);

    // Any number of threads, and every packing.
    assert_eq!(histo(&ours), text(rjcore().args(["histo", "--threads=1"]).arg(&ours)));
    let ours_gz = dir.path("ours.gz");
    run(rjcore().arg("dump").arg(&core).arg("--gz").arg("-o").arg(&ours_gz));
    assert_eq!(histo(&ours_gz), histo(&ours));
    if version >= 17 {
        assert_eq!(histo(&packed).lines().count(), histo(&theirs).lines().count());
    }
}

#[test]
fn hotspot_17() {
    from_hotspot(17, "narrow", &[], &[]);
}

#[test]
fn hotspot_17_wide() {
    from_hotspot(17, "wide", &["-XX:-UseCompressedOops", "-XX:-UseCompressedClassPointers"], &[]);
}

#[test]
fn hotspot_25() {
    from_hotspot(25, "narrow", &[], &[]);
}

#[test]
fn hotspot_25_compact() {
    from_hotspot(25, "compact", &["-XX:+UseCompactObjectHeaders"], &[]);
}

#[test]
fn hotspot_8() {
    from_hotspot(8, "narrow", &[], &[]);
}

/// jhsdb writes the dump from the core itself.
#[test]
fn jhsdb_17() {
    let dir = Scratch::new("inputs-jhsdb");
    let jvm = Jvm::start(17, &SMALL, "Sample", &dir);
    let (core, theirs) = (dir.path("core"), dir.path("theirs"));
    jvm.gcore(&core);
    drop(jvm);
    let home = jdk(17);
    let mut jhsdb = Command::new(home.join("bin/jhsdb"));
    jhsdb.args(["jmap", "--binaryheap", "--dumpfile"]).arg(&theirs);
    run(jhsdb.arg("--exe").arg(home.join("bin/java")).arg("--core").arg(&core));
    let dump = read(&theirs, 2);
    // Its roots are its own: no frames' values, and each class's mirror more than once.
    let every = [
        RootKind::Thread,
        RootKind::Frame,
        RootKind::JniLocal,
        RootKind::JniGlobal,
        RootKind::Monitor,
        RootKind::StickyClass,
    ];
    let sizes = same_graph(&dump, &core, &every);
    let wrong: u64 = sizes.other.values().map(|o| o.0).sum();
    println!("{} sizes are right, not: {:?}", sizes.same, sizes.other);
    assert!(sizes.same > 10_000 && wrong * 1000 < sizes.same, "{wrong}: {:?}", sizes.other);
}

/// hprof-slurp counts as many.
#[test]
fn slurp_counts_as_many() {
    let dir = Scratch::new("inputs-slurp");
    let jvm = Jvm::start(17, &SMALL, "Sample", &dir);
    let file = dir.path("heap.hprof");
    jvm.heap_dump(&file);
    drop(jvm);
    let said = text(Command::new(dep(".test-deps/bin/hprof-slurp")).arg(&file));
    let count = |what: &str| -> u64 {
        let line = said
            .lines()
            .find_map(|l| l.trim_start_matches('.').strip_prefix(what)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("{what}: {said}")).trim().parse().expect("a number")
    };
    let dump = read(&file, 2);
    let objects = ["GC instance dump", "GC object array dump", "GC primitive array dump"];
    let classes = dump.classes().iter().filter(|c| c.object.is_some()).count() as u64;
    assert_eq!(objects.map(count).iter().sum::<u64>() + classes, dump.numbers().len());
    let roots =
        ["thread objects", "JNI global", "sticky class"].map(|r| count(&format!("GC root {r}")));
    let kinds = [RootKind::Thread, RootKind::JniGlobal, RootKind::StickyClass];
    let ours = kinds.map(|k| dump.roots().iter().filter(|r| r.kind == k).count() as u64);
    assert_eq!(roots, ours);
}

//! Value objects that lie flat in others (JEP 401): records like HotSpot's, whatever their ids.

use crate::support::child::Command;
use crate::support::counts::{counted_differently, jcmd_histogram, rjcore_histogram};
use crate::support::hprof::{Dump, Kind, REF, word};
use crate::support::{Jvm, PATIENTLY, Scratch, jdks, rjcore, run};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Below this an id is a number, from here on an address.
const NUMBERS: u64 = 1 << 24;
const EXPORT: &str = "--add-exports=java.base/jdk.internal.value=ALL-UNNAMED";

/// The program, compiled by the JDK that runs it.
fn compiled(dir: &Scratch) -> PathBuf {
    let out = dir.path("classes");
    std::fs::create_dir_all(&out).expect("a directory");
    let source = dir.path("Values.java");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java/preview/Values.java");
    std::fs::copy(here, &source).expect("a copy");
    let newest = jdks::newest();
    let mut cmd: Command = jdks::command(newest, "javac");
    cmd.args(["--enable-preview", "--source", &newest.to_string()]).arg(EXPORT);
    run(cmd.args(["-Xlint:none", "-d"]).arg(&out).arg(&source));
    out
}

/// An object: where it lies (the id of the object that it lies in, and a path of slots), its class, and its values,
/// of which references to flat ones are only said to be some.
type Objects = BTreeMap<(u64, Vec<usize>), (String, Vec<String>)>;

/// All objects of a dump, and the ids of the flat ones in the order of their holders.
fn objects(d: &Dump) -> (Objects, BTreeSet<u64>) {
    let mut out = Objects::new();
    let mut flat = BTreeSet::new();
    for id in d.objects.keys().filter(|id| **id >= NUMBERS) {
        let mut stack = vec![(*id, Vec::new())];
        while let Some((at, path)) = stack.pop() {
            let o = d.objects.get(&at).unwrap_or_else(|| panic!("no object {at}"));
            let bytes = d.bytes(o);
            let mut values = Vec::new();
            let mut reference = |slot: usize, to: u64, values: &mut Vec<String>| {
                if to == 0 || to >= NUMBERS {
                    return values.push(format!("{to:#x}"));
                }
                values.push("flat".into());
                assert!(flat.insert(to), "{to} lies in two objects");
                stack.push((to, [&path[..], &[slot]].concat()));
            };
            match o.kind {
                Kind::Instance => {
                    for (i, slot) in d.layout(o.class).iter().enumerate() {
                        let value = &bytes[slot.start..slot.end];
                        match slot.ty {
                            REF => reference(i, word(value), &mut values),
                            _ => values.push(format!("{value:x?}")),
                        }
                    }
                }
                Kind::Objects => {
                    let elements = bytes.chunks_exact(8).enumerate();
                    elements.for_each(|(i, e)| reference(i, word(e), &mut values));
                }
                _ => values.push(format!("{bytes:x?}")),
            }
            assert!(out.insert((*id, path), (d.class_name(o), values)).is_none());
        }
    }
    (out, flat)
}

fn same(name: &str, flags: &[&str], alignment: u64) {
    let dir = Scratch::new(&format!("values-{name}"));
    let classes = compiled(&dir);
    let common = ["-Xmx96m", "-XX:ReservedCodeCacheSize=32m", "--enable-preview", EXPORT];
    let unlock = ["-XX:+UnlockExperimentalVMOptions", "-XX:-UseDynamicNumberOfCompilerThreads"];
    let flags = [&common[..], &unlock, flags].concat();
    let jvm: Jvm = jdks::start_from(classes, jdks::newest(), &flags, "Values", &dir);
    let (hotspot, ours, core) = (dir.path("h.hprof"), dir.path("o.hprof"), dir.path("core"));
    jvm.heap_dump(&hotspot);
    let live = jcmd_histogram(&jvm.jcmd(&["GC.class_histogram", "-all"]));
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    let sysroot = jdks::root();
    let dump = |out: &Path, threads: &str| {
        // Exit code 0: all of it was understood.
        let mut cmd = rjcore();
        cmd.arg("dump").arg(&core).arg("-o").arg(out).args(["--threads", threads, "--overwrite"]);
        run(cmd.arg("--sysroot").arg(&sysroot));
        std::fs::read(out).expect("the dump")
    };
    let first = dump(&ours, "1");
    for threads in ["2", "5"] {
        assert!(first == dump(&dir.path("more.hprof"), threads), "{threads} threads");
    }
    let (a, b) = (Dump::open(&hotspot), Dump::open(&ours));
    assert_eq!(b.problems, Vec::<String>::new());
    let ((theirs, their_ids), (found, ids)) = (objects(&a), objects(&b));
    let of =
        |class: &str| their_ids.iter().filter(|i| a.class_name(&a.objects[i]) == class).count();
    for (class, least) in [
        ("Values$Small", 10),
        ("Values$Tiny", 50_000),
        ("Values$Nested", 100_000),
        ("Values$Deep", 2),
        ("java/lang/Integer", 100_000),
    ] {
        assert!(of(class) >= least, "{class}: {}", of(class));
    }
    // Every number once, none that could be an address.
    let numbers =
        |n: usize| -> BTreeSet<u64> { (0..).filter(|n| n % alignment != 0).take(n).collect() };
    assert!(their_ids == numbers(their_ids.len()), "HotSpot's ids are others");
    assert!(ids == numbers(ids.len()), "rjcore's ids are others");
    // Where stacks are searched, a dead object with a flat one may stay.
    let flat = |at: &&(u64, Vec<usize>)| !at.1.is_empty();
    let more = found.keys().filter(|at| !theirs.contains_key(*at)).filter(flat).count();
    let fewer = theirs.keys().filter(|at| !found.contains_key(*at)).filter(flat).count();
    assert_eq!((their_ids.len() + more, fewer), (ids.len(), 0));
    let differ: Vec<_> = theirs
        .iter()
        .filter(|(at, what)| found.get(*at) != Some(*what))
        .filter(|(at, what)| !left_out(at, &what.0))
        .take(10)
        .map(|(at, what)| (at, what, found.get(at)))
        .collect();
    assert!(differ.is_empty(), "HotSpot, then rjcore: {differ:x?}");
    let more: Vec<_> = found.keys().filter(|at| !theirs.contains_key(*at)).collect();
    assert!(more.len() < 700, "{} more", more.len());
    let off = counted_differently(
        &live,
        &rjcore_histogram(&core, &["--sysroot", sysroot.to_str().expect("UTF-8")]),
    );
    assert!(
        off.is_empty() || flags.contains(&"-XX:+UseZGC") || flags.contains(&"-XX:+UseShenandoahGC"),
        "{off:#?}"
    );
}

/// What retires a TLAB is there only after HotSpot's dump.
fn left_out(at: &(u64, Vec<usize>), class: &str) -> bool {
    at.1.is_empty() && (class.contains("Filler") || class == "int[]")
}

macro_rules! values {
    ($($name:ident: $alignment:literal $($flag:literal)*;)*) => { $(
        #[test]
        fn $name() { same(stringify!($name), &[$($flag),*], $alignment); }
    )* };
}

values! {
    serial: 8 "-XX:+UseSerialGC";
    parallel_no_compact: 8 "-XX:+UseParallelGC" "-XX:-UseCompactObjectHeaders";
    g1_aligned: 16 "-XX:+UseG1GC" "-XX:ObjectAlignmentInBytes=16";
    g1_wide_oops: 8 "-XX:+UseG1GC" "-XX:-UseCompressedOops";
    zgc: 8 "-XX:+UseZGC" "-XX:-ZProactive";
    shenandoah: 8 "-XX:+UseShenandoahGC" "-XX:ShenandoahGuaranteedGCInterval=0";
}

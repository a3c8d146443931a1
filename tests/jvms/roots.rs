//! What HotSpot keeps for its threads (JavaThread::oops_do and what it calls), each made once by tests/java/Roots
//! and tests/c/roots.c: the same objects and the same root records as in HotSpot's own dump. docs/roots.md has the
//! list.

use crate::support::child::Command;
use crate::support::hprof::{Dump, Kind, THREAD_OBJECT};
use crate::support::{Jvm, PATIENTLY, Scratch, classes, jdks, rjcore, run, tool};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Lengths of the arrays that Roots has native code make.
const MADE: std::ops::Range<usize> = 9100..9200;
/// The one that is deleted again.
const DELETED: usize = 9104;
/// The one that only a monitor has.
const MONITORED: usize = 9187;
/// Those of virtual threads.
const VIRTUAL: [usize; 2] = [9190, 9191];

/// A library of native methods.
pub fn library(source: &str, dir: &Scratch) -> std::path::PathBuf {
    let out = dir.path(&source.replace(".c", ".so"));
    let include = crate::support::jdk(17).join("include");
    run(Command::new(tool("cc"))
        .args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I"])
        .arg(&include)
        .arg("-I")
        .arg(include.join("linux"))
        .arg("-o")
        .arg(&out)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(source))
        .arg("-pthread"));
    out
}

/// The arrays by length, and the addresses of the names of the class that only the VM asked for. HotSpot fills the ends
/// of TLABs with an int[] of any length, which no root has.
fn made(d: &Dump) -> (BTreeMap<usize, u64>, BTreeSet<u64>) {
    let rooted: BTreeSet<u64> = d.roots.keys().map(|r| r.id).collect();
    let mut arrays: BTreeMap<usize, u64> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (id, o) in &d.objects {
        match d.class_name(o).as_str() {
            "int[]" if MADE.contains(&(d.range(o).len() / 4)) => {
                let one = arrays.entry(d.range(o).len() / 4).or_insert(*id);
                if *one != *id && rooted.contains(id) {
                    assert!(!rooted.contains(one), "two of a length");
                    *one = *id;
                }
            }
            "byte[]" if d.bytes(o) == b"held.ByTheVm" => drop(names.insert(*id)),
            "char[]" if d.bytes(o).iter().filter(|b| **b != 0).eq(b"held.ByTheVm") => {
                names.insert(*id);
            }
            _ => {}
        }
    }
    (arrays, names)
}

/// The root records of the arrays, each with its kind, the name of its thread and the number of its frame.
fn roots(d: &Dump, arrays: &BTreeMap<usize, u64>) -> BTreeSet<(usize, u8, u64, u32)> {
    let lengths: BTreeMap<u64, usize> = arrays.iter().map(|(n, id)| (*id, *n)).collect();
    let threads: BTreeMap<u64, u64> =
        d.roots.keys().filter(|r| r.tag == THREAD_OBJECT).map(|r| (r.extra.0, r.id)).collect();
    let of = |r: &crate::support::hprof::Root| {
        let thread = threads.get(&r.extra.0).copied().unwrap_or(r.extra.0);
        Some((*lengths.get(&r.id)?, r.tag, thread, r.extra.1))
    };
    d.roots.keys().filter_map(of).collect()
}

fn same(name: &str, version: u32, flags: &[&str]) {
    let dir = Scratch::new(&format!("roots-{name}"));
    let has_virtual = version >= 21;
    // ZGC collects by itself as soon as 10 % are used (zDirector.cpp, rule_warmup).
    let heap = if flags.contains(&"-XX:+UseZGC") { "-Xmx512m" } else { "-Xmx96m" };
    let common = [heap, "-XX:ReservedCodeCacheSize=32m", "-XX:+UnlockExperimentalVMOptions"];
    let diagnostic = ["-XX:+UnlockDiagnosticVMOptions"];
    // A carrier for each virtual thread that stays on it.
    let carriers: &[&str] =
        if has_virtual { &["-Djdk.virtualThreadScheduler.parallelism=4"] } else { &[] };
    let flags = [&common[..], &diagnostic, carriers, flags].concat();
    let library = library("roots.c", &dir);
    let more = if has_virtual { " virtual" } else { "" };
    let program = format!("Roots {}{more}", library.display());
    let jvm: Jvm = jdks::start_from(classes(), version, &flags, &program, &dir);
    let (hotspot, ours, core) = (dir.path("h.hprof"), dir.path("o.hprof"), dir.path("core"));
    jvm.heap_dump(&hotspot);
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&ours).arg("--sysroot").arg(jdks::root()));
    let (a, b) = (Dump::open(&hotspot), Dump::open(&ours));
    let ((theirs, their_names), (found, names)) = (made(&a), made(&b));
    // What is dead is in HotSpot's dump only where all of the heap is.
    let mut held: BTreeSet<usize> = theirs.keys().copied().collect();
    held.remove(&DELETED);
    let mut all: BTreeSet<usize> = [9101, 9103].into_iter().chain(9110..9180).collect();
    all.extend(9181..=9189);
    all.extend(VIRTUAL.iter().filter(|_| has_virtual));
    // 21's ZGC does not look at weak handles, which a monitor's is.
    if version == 21 && flags.contains(&"-XX:+UseZGC") {
        all.remove(&MONITORED);
    }
    let gone: Vec<_> = all.difference(&held).collect();
    assert!(gone.is_empty(), "not in HotSpot's own dump: {gone:?}");
    assert!(!their_names.is_empty());
    let missing: Vec<_> = held.iter().filter(|n| !found.contains_key(n)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    assert!(names.is_superset(&their_names), "{names:x?}, HotSpot {their_names:x?}");
    // By address, as nothing moved.
    let kept = |n: &usize| (*n, theirs[n], found[n]);
    assert!(held.iter().map(kept).all(|(_, x, y)| x == y), "moved");
    let kind = |d: &Dump| d.objects.values().filter(|o| matches!(o.kind, Kind::Instance)).count();
    assert!(kind(&b) > 1000);
    let threads = |d: &Dump| -> BTreeSet<u64> {
        let all = d.roots.keys().filter(|r| r.tag == THREAD_OBJECT).map(|r| r.id);
        // 21 has no virtual ones.
        let is_virtual = |id: &u64| d.class_name(&d.objects[id]) == "java/lang/VirtualThread";
        all.filter(|id| version != 21 || !is_virtual(id)).collect()
    };
    assert_eq!(threads(&b), threads(&a), "threads: rjcore, then HotSpot");
    let (mut named, mut known) = (roots(&b, &found), roots(&a, &theirs));
    if version == 21 {
        // It gives a mounted virtual thread's frames to the carrier: so the thread is another.
        let any =
            |r: (usize, u8, u64, u32)| if VIRTUAL.contains(&r.0) { (r.0, r.1, 0, r.3) } else { r };
        (named, known) =
            (named.into_iter().map(any).collect(), known.into_iter().map(any).collect());
    }
    let differ: Vec<_> = named.symmetric_difference(&known).collect();
    let ours: Vec<_> = differ.iter().map(|r| named.contains(r)).collect();
    assert!(differ.is_empty(), "length, tag, thread, frame: {differ:?}, ours: {ours:?}");
}

macro_rules! roots {
    ($($name:ident: $version:expr, $($flag:literal)*;)*) => { $(
        #[test]
        fn $name() { same(stringify!($name), $version, &[$($flag),*]); }
    )* };
}

roots! {
    jdk8_parallel: 8, "-XX:+UseParallelGC";
    jdk8_g1: 8, "-XX:+UseG1GC" "-XX:+UseStringDeduplication";
    jdk11_g1: 11, "-XX:+UseG1GC" "-XX:+UseStringDeduplication";
    jdk11_z: 11, "-XX:+UseZGC" "-XX:-ZProactive";
    jdk11_shenandoah: 11, "-XX:+UseShenandoahGC" "-XX:ShenandoahGuaranteedGCInterval=0";
    jdk17_serial: 17, "-XX:+UseSerialGC";
    jdk17_z: 17, "-XX:+UseZGC" "-XX:-ZProactive";
    jdk17_shenandoah: 17, "-XX:+UseShenandoahGC" "-XX:ShenandoahGuaranteedGCInterval=0";
    jdk21_g1: 21, "-XX:+UseG1GC" "-XX:+UseStringDeduplication";
    jdk21_z: 21, "-XX:+UseZGC" "-XX:-ZProactive";
    jdk21_z_generational: 21, "-XX:+UseZGC" "-XX:+ZGenerational" "-XX:-ZProactive";
    jdk21_shenandoah: 21, "-XX:+UseShenandoahGC" "-XX:ShenandoahGuaranteedGCInterval=0";
    jdk25_parallel: 25, "-XX:+UseParallelGC" "-XX:+UseStringDeduplication";
    jdk25_z: 25, "-XX:+UseZGC" "-XX:-ZProactive" "-XX:+UseStringDeduplication";
    jdk25_shenandoah: 25, "-XX:+UseShenandoahGC" "-XX:ShenandoahGuaranteedGCInterval=0";
    jdk26_z: 26, "-XX:+UseZGC" "-XX:-ZProactive";
    jdk26_shenandoah: 26, "-XX:+UseShenandoahGC" "-XX:ShenandoahGuaranteedGCInterval=0";
    jdk17_g1: 17, "-XX:+UseG1GC" "-XX:+UseStringDeduplication";
    newest_serial: jdks::newest(), "-XX:+UseSerialGC" "-XX:+UseStringDeduplication";
    newest_z: jdks::newest(), "-XX:+UseZGC" "-XX:-ZProactive";
    newest_shenandoah: jdks::newest(), "-XX:+UseShenandoahGC" "-XX:+UseStringDeduplication" "-XX:ShenandoahGuaranteedGCInterval=0";
}

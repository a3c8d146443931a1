//! rjcore's dump of a core against HotSpot's own dump of the same process, object by object.
//!
//! Each test starts tests/java/Everything, takes `GC.heap_dump -all` and `GC.class_histogram -all`, then a
//! gcore, and wants no difference between HotSpot's records and rjcore's.

use crate::support::child::Command;
use crate::support::compare::{Difference, compare, everything, tlab_fillers};
use crate::support::counts::{counted_differently, jcmd_histogram, rjcore_histogram};
use crate::support::hprof::Dump;
use crate::support::{Jvm, Scratch, rjcore, run, text};
use std::path::Path;
use std::process::Stdio;

/// Keeps cores small (gdb writes reservations too, in full) and the JVM's threads as they are.
const COMMON: [&str; 4] = [
    "-Xmx64m",
    "-XX:CompressedClassSpaceSize=16m",
    "-XX:ReservedCodeCacheSize=32m",
    "-XX:-UseDynamicNumberOfCompilerThreads",
];

/// What may differ because it demonstrably changed between HotSpot's dump and the core.
///
/// Nothing so far: two `GC.heap_dump -all` in a row of an idle Everything differ in no record at all, on
/// JDK 17 and 25, with Serial and G1 (the first jcmd starts the attach thread before anything is dumped).
/// Whoever adds a case names the object or thread, and what changes it.
fn changed_in_between(_: &Difference) -> bool {
    false
}

fn dump(core: &Path, out: &Path, more: &[&str]) {
    run(rjcore().arg("dump").arg(core).arg("-o").arg(out).arg("--overwrite").args(more));
}

/// Two dumps of one process without a difference but the allowed ones.
fn same_heap(hotspot: &Path, ours: &Path) {
    let (a, b) = everything(hotspot, ours);
    let mut d = compare(&a, &b);
    let fillers = tlab_fillers(&a, &mut d);
    let (theirs, ours) = d.frame_roots;
    println!("TLAB fillers only in HotSpot's: {fillers}");
    println!("roots in frames: HotSpot {theirs}, rjcore {ours}; frames: {:?}", d.frames);
    d.take(changed_in_between);
    assert!(d.is_empty(), "{d}");
}

fn faithful(name: &str, version: u32, flags: &[&str]) {
    let dir = Scratch::new(&format!("fidelity-{name}-{version}"));
    let jvm = Jvm::start(version, &[&COMMON, flags].concat(), "Everything", &dir);
    let (hotspot, ours, core) =
        (dir.path("hotspot.hprof"), dir.path("ours.hprof"), dir.path("gcore"));
    jvm.heap_dump(&hotspot);
    let live = jcmd_histogram(&jvm.jcmd(&["GC.class_histogram", "-all"]));
    jvm.gcore(&core);
    drop(jvm);
    dump(&core, &ours, &[]);
    same_heap(&hotspot, &ours);
    let off = counted_differently(&live, &rjcore_histogram(&core, &[]));
    let few = off[..off.len().min(40)].join("\n");
    assert!(off.is_empty(), "{} classes counted differently:\n{few}", off.len());
}

macro_rules! faithful {
    ($($name:ident: $($flag:literal)*;)*) => { $(mod $name {
        #[test]
        fn jdk17() { super::faithful(stringify!($name), 17, &[$($flag),*]); }
        #[test]
        fn jdk25() { super::faithful(stringify!($name), 25, &[$($flag),*]); }
    })* };
}

// 64 MB lie below 4 GB unless told otherwise: "32-bit" narrow oops. HeapBaseMinAddress 8g gives zero-based
// ones with a shift, 40g a base (as -Xlog:gc+heap+coops=debug says on both JDKs).
faithful! {
    serial: "-XX:+UseSerialGC";
    serial_wide_oops: "-XX:+UseSerialGC" "-XX:-UseCompressedOops";
    serial_zero_based: "-XX:+UseSerialGC" "-XX:HeapBaseMinAddress=8g";
    serial_wide_klass: "-XX:+UseSerialGC" "-XX:-UseCompressedClassPointers";
    serial_wide: "-XX:+UseSerialGC" "-XX:-UseCompressedOops" "-XX:-UseCompressedClassPointers";
    serial_based_no_cds: "-XX:+UseSerialGC" "-XX:HeapBaseMinAddress=40g" "-Xshare:off";
    parallel: "-XX:+UseParallelGC";
    parallel_zero_based: "-XX:+UseParallelGC" "-XX:HeapBaseMinAddress=8g";
    parallel_based_no_cds: "-XX:+UseParallelGC" "-XX:HeapBaseMinAddress=40g" "-Xshare:off";
    parallel_wide_oops: "-XX:+UseParallelGC" "-XX:-UseCompressedOops";
    parallel_wide_klass: "-XX:+UseParallelGC" "-XX:-UseCompressedClassPointers";
    parallel_wide: "-XX:+UseParallelGC" "-XX:-UseCompressedOops" "-XX:-UseCompressedClassPointers";
    g1: "-XX:+UseG1GC";
    g1_zero_based: "-XX:+UseG1GC" "-XX:HeapBaseMinAddress=8g";
    g1_based: "-XX:+UseG1GC" "-XX:HeapBaseMinAddress=40g";
    g1_wide_oops: "-XX:+UseG1GC" "-XX:-UseCompressedOops";
    g1_wide_klass: "-XX:+UseG1GC" "-XX:-UseCompressedClassPointers";
    g1_wide: "-XX:+UseG1GC" "-XX:-UseCompressedOops" "-XX:-UseCompressedClassPointers";
    g1_no_cds: "-XX:+UseG1GC" "-Xshare:off";
    // Dead objects stay in old regions, some of classes that are unloaded: a walk must not trip over them.
    g1_concurrent: "-XX:+UseG1GC" "-XX:+ExplicitGCInvokesConcurrent";
    // As a user starts it: class space, code cache and threads of the default size.
    defaults: "-XX:+UseG1GC" "-XX:CompressedClassSpaceSize=1g" "-XX:ReservedCodeCacheSize=240m" "-Xmx256m";
}

/// JEP 519: the klass lies in the mark word. 25 only.
mod compact_headers {
    #[test]
    fn serial_jdk25() {
        let flags = ["-XX:+UseSerialGC", "-XX:+UseCompactObjectHeaders"];
        super::faithful("compact-serial", 25, &flags);
    }
    #[test]
    fn parallel_jdk25() {
        let flags = ["-XX:+UseParallelGC", "-XX:+UseCompactObjectHeaders"];
        super::faithful("compact-parallel", 25, &flags);
    }
    #[test]
    fn g1_jdk25() {
        let flags = ["-XX:+UseG1GC", "-XX:+UseCompactObjectHeaders"];
        super::faithful("compact-g1", 25, &flags);
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn same_bytes(what: &str, a: &[u8], b: &[u8]) {
    let at = a.iter().zip(b).position(|(x, y)| x != y);
    assert!(
        a.len() == b.len() && at.is_none(),
        "{what}: {} and {} bytes, first difference at {at:?}",
        a.len(),
        b.len()
    );
}

/// Threads, standard output, gzip: the same bytes each way.
fn one_output(version: u32, gc: &str) {
    let dir = Scratch::new(&format!("outputs-{version}"));
    let jvm = Jvm::start(version, &[&COMMON, &[gc][..]].concat(), "Everything", &dir);
    let core = dir.path("gcore");
    jvm.gcore(&core);
    drop(jvm);
    let first = dir.path("first.hprof");
    dump(&core, &first, &["--threads", "1"]);
    let first = bytes(&first);
    assert!(first.len() > 10_000_000, "only {} bytes dumped", first.len());
    for threads in ["2", "5"] {
        let out = dir.path("threads.hprof");
        dump(&core, &out, &["--threads", threads]);
        same_bytes(&format!("--threads {threads}"), &first, &bytes(&out));
    }
    let piped = run(rjcore().arg("dump").arg(&core).args(["-o", "-"])).stdout;
    same_bytes("-o -", &first, &piped);
    for gz in ["--gz", "--gz=9"] {
        let out = dir.path("dump.hprof.gz");
        dump(&core, &out, &[gz]);
        let packed = bytes(&out);
        assert!(
            packed.starts_with(&[0x1f, 0x8b]) && packed.len() < first.len() / 2,
            "{gz}: not gzipped"
        );
        same_bytes(gz, &first, &run(Command::new("gzip").arg("-dc").arg(&out)).stdout);
    }
    // A compressed core is the same core.
    let zst = dir.path("gcore.zst");
    run(Command::new("zstd")
        .args(["-q", "-1"])
        .arg(&core)
        .arg("-o")
        .arg(&zst)
        .stdin(Stdio::null()));
    let out = dir.path("zst.hprof");
    dump(&zst, &out, &[]);
    same_bytes("from a .zst", &first, &bytes(&out));
}

#[test]
fn one_output_jdk17_parallel() {
    one_output(17, "-XX:+UseParallelGC");
}

#[test]
fn one_output_jdk25_g1() {
    one_output(25, "-XX:+UseG1GC");
}

/// The kernel's core (SIGABRT) of a process shows what gdb's core of it showed, and what HotSpot said.
fn kernel_core(version: u32) {
    let dir = Scratch::new(&format!("kernel-{version}"));
    let jvm = Jvm::start(version, &[&COMMON, &["-XX:+UseG1GC"][..]].concat(), "Everything", &dir);
    let (hotspot, theirs, ours) =
        (dir.path("hotspot.hprof"), dir.path("g.hprof"), dir.path("k.hprof"));
    jvm.heap_dump(&hotspot);
    let gcore = dir.path("gdb.gcore");
    jvm.gcore(&gcore);
    let core = jvm.abort(&dir);
    dump(&gcore, &theirs, &[]);
    dump(&core, &ours, &[]);
    same_heap(&hotspot, &ours);
    assert_eq!(Dump::open(&theirs).objects.len(), Dump::open(&ours).objects.len());
    // rjcore info names the signal.
    let info = text(rjcore().arg("info").arg(&core));
    assert!(info.contains("SIGABRT"), "no SIGABRT in:\n{info}");
}

#[test]
fn kernel_core_jdk17() {
    kernel_core(17);
}

#[test]
fn kernel_core_jdk25() {
    kernel_core(25);
}

/// The comparison itself: nothing between two dumps in a row, and every kind of damage is seen.
#[test]
fn comparison_can_fail() {
    let dir = Scratch::new("comparison");
    let jvm = Jvm::start(17, &[&COMMON, &["-XX:+UseSerialGC"][..]].concat(), "Everything", &dir);
    let (one, two) = (dir.path("1.hprof"), dir.path("2.hprof"));
    jvm.heap_dump(&one);
    jvm.heap_dump(&two);
    same_heap(&one, &two);

    let a = Dump::open(&one);
    let good = bytes(&one);
    let kinds = |data: Vec<u8>| {
        let d = compare(&a, &Dump::parse(data).expect("still readable"));
        d.list.iter().map(|d| d.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(good.clone()), Vec::<&str>::new());
    for (class, kind) in [
        ("Everything$Bottom", "field"),
        ("byte[]", "array bytes"),
        ("[[Ljava/lang/String;", "element"),
    ] {
        let o = a.objects.values().find(|o| a.class_name(o) == class && !a.range(o).is_empty());
        let last = a.range(o.unwrap_or_else(|| panic!("no {class}"))).end - 1;
        let mut bad = good.clone();
        bad[last] ^= 1;
        let found = kinds(bad);
        assert!(found.contains(&kind), "{class}: {found:?}");
    }
    // A class under another name, and an object under another id.
    let name = b"Everything$Bottom";
    let at = good.windows(name.len()).position(|w| w == name).expect("its UTF8 record");
    let mut bad = good.clone();
    bad[at] = b'e';
    assert!(kinds(bad).contains(&"class name"));
    let o = a.objects.values().find(|o| a.class_name(o) == "Everything$Primitives").expect("one");
    let mut bad = good.clone();
    bad[a.range(o).start - 4 - 8 - 4 - 1] ^= 1; // the id's last byte
    let found = kinds(bad);
    for kind in ["object left only", "object right only", "dangling right only"] {
        assert!(found.contains(&kind), "{found:?}");
    }
}

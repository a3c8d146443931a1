//! Objects that only compiled code and a debugger's leavings hold: what HotSpot can reach of them is in the dump.
//! tests/java/Unseen and tests/c/unseen.c make each once.

use std::collections::BTreeSet;

use super::roots::library;
use crate::support::hprof::Dump;
use crate::support::{Jvm, PATIENTLY, Scratch, classes, jdks, rjcore, run};

/// A constant of code that has a frame; of code without; a tagged object; what a thread is stopped by; a local that is
/// to be set; what a method is to return; a constant of a frame on the heap.
const MADE: std::ops::RangeInclusive<usize> = 9201..=9207;
const NOWHERE: usize = 9202;
const TAGGED: usize = 9203;
const ON_HEAP: usize = 9207;

fn made(d: &Dump) -> BTreeSet<usize> {
    let arrays = d.objects.values().filter(|o| d.class_name(o) == "int[]");
    arrays.map(|o| d.range(o).len() / 4).filter(|n| MADE.contains(n)).collect()
}

fn same(name: &str, version: u32, compiler: &str, flags: &[&str]) {
    let dir = Scratch::new(&format!("unseen-{name}"));
    let agent = format!("-agentpath:{}", library("unseen.c", &dir).display());
    // ZGC collects by itself as soon as 10 % are used (zDirector.cpp, rule_warmup).
    let heap = if flags.contains(&"-XX:+UseZGC") { "-Xmx512m" } else { "-Xmx96m" };
    let common = [heap, "-XX:ReservedCodeCacheSize=32m", "-Xbatch", compiler, &agent];
    let unlock = ["-XX:+UnlockExperimentalVMOptions", "-XX:+UnlockDiagnosticVMOptions"];
    let flags = [&common[..], &unlock, flags].concat();
    let program = if version >= 21 { "Unseen virtual" } else { "Unseen" };
    let jvm: Jvm = jdks::start_from(classes(), version, &flags, program, &dir);
    let (hotspot, ours, core) = (dir.path("h.hprof"), dir.path("o.hprof"), dir.path("core"));
    jvm.heap_dump(&hotspot);
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&ours).arg("--sysroot").arg(jdks::root()));
    let (theirs, found) = (made(&Dump::open(&hotspot)), made(&Dump::open(&ours)));
    // All of them can be reached, but for what HotSpot says.
    let z = flags.contains(&"-XX:+UseZGC");
    let mut all: BTreeSet<usize> = MADE.collect();
    // It looks at all code where it unloads no classes.
    let all_code = !z || version == 11 || flags.contains(&"-XX:-ClassUnloading");
    all.retain(|n| match *n {
        NOWHERE | ON_HEAP => all_code,
        _ => true,
    });
    assert_eq!(theirs, all, "HotSpot's own dump");
    let mut missing = &theirs - &found;
    // docs/roots.md: until 15 the tags lie on the C heap.
    assert_eq!(missing.remove(&TAGGED), version < 16);
    assert!(missing.is_empty(), "missing: {missing:?}");
}

macro_rules! unseen {
    ($($name:ident: $version:expr, $compiler:literal $(, $flag:literal)*;)*) => { $(
        #[test]
        fn $name() { same(stringify!($name), $version, $compiler, &[$($flag),*]); }
    )* };
}

unseen! {
    jdk11_z: 11, "-XX:TieredStopAtLevel=1", "-XX:+UseZGC", "-XX:-ZProactive";
    jdk11_shenandoah: 11, "-XX:TieredStopAtLevel=1", "-XX:+UseShenandoahGC", "-XX:ShenandoahGuaranteedGCInterval=0";
    jdk17_z: 17, "-XX:TieredStopAtLevel=1", "-XX:+UseZGC", "-XX:-ZProactive";
    jdk17_z_all_code: 17, "-XX:TieredStopAtLevel=1", "-XX:+UseZGC", "-XX:-ZProactive", "-XX:-ClassUnloading";
    jdk17_shenandoah: 17, "-XX:TieredStopAtLevel=1", "-XX:+UseShenandoahGC", "-XX:ShenandoahGuaranteedGCInterval=0";
    jdk21_z: 21, "-XX:TieredStopAtLevel=1", "-XX:+UseZGC", "-XX:-ZProactive";
    jdk21_z_generational: 21, "-XX:TieredStopAtLevel=1", "-XX:+UseZGC", "-XX:+ZGenerational", "-XX:-ZProactive";
    jdk21_shenandoah: 21, "-XX:TieredStopAtLevel=1", "-XX:+UseShenandoahGC", "-XX:ShenandoahGuaranteedGCInterval=0";
    jdk25_z: 25, "-XX:TieredStopAtLevel=1", "-XX:+UseZGC", "-XX:-ZProactive";
    jdk25_shenandoah: 25, "-XX:TieredStopAtLevel=1", "-XX:+UseShenandoahGC", "-XX:ShenandoahGuaranteedGCInterval=0";
    jdk25_shenandoah_c2: 25, "-XX:-TieredCompilation", "-XX:+UseShenandoahGC", "-XX:ShenandoahGuaranteedGCInterval=0";
    jdk26_z: 26, "-XX:TieredStopAtLevel=1", "-XX:+UseZGC", "-XX:-ZProactive";
    newest_z: jdks::newest(), "-XX:TieredStopAtLevel=1", "-XX:+UseZGC", "-XX:-ZProactive";
    newest_shenandoah: jdks::newest(), "-XX:TieredStopAtLevel=1", "-XX:+UseShenandoahGC", "-XX:ShenandoahGuaranteedGCInterval=0";
}

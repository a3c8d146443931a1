//! Early updates of feature releases against the dumps, histograms and stacks of their own HotSpot. Names and
//! layouts of a release's first update are not always those of its last, which the other tests run.

use crate::support::child::Command;
use crate::support::compare::{compare, everything, tlab_fillers};
use crate::support::counts::{counted_differently, jcmd_histogram, rjcore_histogram};
use crate::support::graph::pair;
use crate::support::threads::same;
use crate::support::{Jvm, PATIENTLY, Scratch, classes, dep, jdk, rjcore, run, text};

const FLAGS: [&str; 5] = [
    "-Xmx64m",
    "-XX:CompressedClassSpaceSize=16m",
    "-XX:ReservedCodeCacheSize=32m",
    "-XX:-UseDynamicNumberOfCompilerThreads",
    "-XX:+UnlockDiagnosticVMOptions",
];

fn start(version: &str, flags: &[&str], program: &str, dir: &Scratch) -> Jvm {
    let mut cmd = Command::new(dep(&format!(".test-deps/updates/{version}/bin/java")));
    cmd.args(FLAGS).args(flags).arg("-cp").arg(classes()).args(program.split(' '));
    // Not all of these runtimes have one; the attach protocol is the same.
    Jvm::launch(cmd, vec![jdk(17).join("bin/jcmd").into()], dir)
}

/// The same objects, roots and counts. `reachable_only`: HotSpot leaves out what the other may keep, because a
/// word on a stack seems to refer to it.
fn faithful(version: &str, flags: &[&str], reachable_only: bool) {
    let dir = Scratch::new(&format!("update-{version}-{}", flags[0].replace(':', "")));
    // Generations are a kind of ZGC there, and not the default one.
    let z: &[&str] = if flags[0] == "-XX:+ZGenerational" { &["-XX:+UseZGC"] } else { &[] };
    let jvm = start(version, &[flags, z].concat(), "Everything", &dir);
    let (hotspot, ours, core) = (dir.path("h.hprof"), dir.path("o.hprof"), dir.path("core"));
    jvm.heap_dump(&hotspot);
    let live = jcmd_histogram(&jvm.jcmd(&["GC.class_histogram", "-all"]));
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    // Exit code 0: all of it was understood.
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&ours));
    run(rjcore().arg("info").arg(&core));
    let (a, b) = everything(&hotspot, &ours);
    if reachable_only {
        let p = pair(&a, &b);
        assert!(p.differences.is_empty(), "{:#?}", &p.differences[..p.differences.len().min(40)]);
        assert!(p.objects * 10 > a.objects.len() * 9, "{} of {}", p.objects, a.objects.len());
        return;
    }
    let mut d = compare(&a, &b);
    tlab_fillers(&a, &mut d);
    // 21 knows no unmounted virtual threads; rjcore has them as 25 does.
    d.take(|d| d.kind == "root thread" && d.class == "java/lang/VirtualThread" && d.left == "0");
    assert!(d.is_empty(), "{d}");
    let off = counted_differently(&live, &rjcore_histogram(&core, &[]));
    assert!(off.is_empty(), "{} classes counted differently: {off:#?}", off.len());
}

/// Each thread's stack as HotSpot prints it.
fn stacks(version: &str, program: &str) {
    let dir = Scratch::new(&format!("update-stacks-{version}"));
    let jvm = start(version, &["-XX:+UseSerialGC"], program, &dir);
    let core = dir.path("core");
    let theirs = jvm.jcmd(&["Thread.print", "-l", "-e"]);
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    // 21 prints no mounted virtual threads.
    let also = |name: &str| name.starts_with("ForkJoinPool");
    let equal = same(&theirs, &text(rjcore().arg("stack").arg(&core)), &also);
    assert!(equal > 30, "{equal} threads compared");
}

macro_rules! updates {
    ($($name:ident: $version:literal $gc:literal $reachable:literal;)*) => { $(
        #[test]
        fn $name() { faithful($version, &[$gc], $reachable); }
    )* };
}

updates! {
    jdk11_serial: "11.0.5" "-XX:+UseSerialGC" false;
    jdk11_g1: "11.0.5" "-XX:+UseG1GC" false;
    jdk17_parallel: "17.0.2" "-XX:+UseParallelGC" false;
    jdk17_g1: "17.0.2" "-XX:+UseG1GC" false;
    jdk17_z: "17.0.2" "-XX:+UseZGC" true;
    jdk17_shenandoah: "17.0.2" "-XX:+UseShenandoahGC" true;
    jdk21_serial: "21.0.2" "-XX:+UseSerialGC" false;
    jdk21_g1: "21.0.2" "-XX:+UseG1GC" false;
    jdk21_z: "21.0.2" "-XX:+UseZGC" true;
    jdk21_z_generational: "21.0.2" "-XX:+ZGenerational" true;
    jdk21_shenandoah: "21.0.2" "-XX:+UseShenandoahGC" true;
}

#[test]
fn jdk11_stacks() {
    stacks("11.0.5", "Stacks");
}

#[test]
fn jdk17_stacks() {
    stacks("17.0.2", "Stacks");
}

#[test]
fn jdk21_stacks() {
    stacks("21.0.2", "Stacks virtual");
}

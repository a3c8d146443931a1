//! ZGC and Shenandoah, which HotSpot dumps by searching from the roots: rjcore's dump of a core against HotSpot's
//! own of the same process.
//!
//! While nothing runs, objects stay where they are, and the dumps are compared by address. After a collection
//! they are compared along the references (`support::graph`).

use std::path::Path;
use std::time::Duration;

use crate::support::child::Command;
use crate::support::compare::{compare, everything};
use crate::support::graph::pair;
use crate::support::hprof::{Dump, word};
use crate::support::stress::caught_collecting;
use crate::support::{Jvm, PATIENTLY, Scratch, rjcore, text};

const COMMON: [&str; 4] = [
    "-Xmx64m",
    "-XX:CompressedClassSpaceSize=16m",
    "-XX:ReservedCodeCacheSize=32m",
    "-XX:-UseDynamicNumberOfCompilerThreads",
];
/// Of an idle Everything's 35,000 objects: those to which only a word left over on a stack leads. HotSpot knows
/// from the compiler's tables that it is no reference any more.
const LEFT_ON_STACKS: usize = 700;

fn dump(core: &Path, out: &Path) {
    let said =
        text(rjcore().arg("dump").arg(core).arg("-o").arg(out).args(["--overwrite", "--json"]));
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["whole"], true, "{said}");
}

/// The total of `rjcore histo`.
fn counted(core: &Path) -> u64 {
    let json = text(rjcore().arg("histo").arg(core).arg("--json"));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    json["total"]["instances"].as_u64().expect("a number")
}

/// All of HotSpot's objects at their addresses, and few more.
fn same_heap(hotspot: &Path, ours: &Path) {
    let (a, b) = everything(hotspot, ours);
    let mut d = compare(&a, &b);
    let left = d.take(|d| d.kind == "object right only").len();
    // The attach listener's own strings, which its stack held while it dumped.
    let gone = d.take(|d| {
        d.kind == "object left only" && matches!(d.class.as_str(), "java/lang/String" | "byte[]")
    });
    println!("left on stacks: {left} of {}; attach listener's: {}", b.objects.len(), gone.len());
    assert!(d.is_empty(), "{d}");
    assert!(left <= LEFT_ON_STACKS, "{left} objects only in rjcore's");
    assert!(gone.len() <= 4, "{gone:?}");
}

/// Along the references: every object that a name leads to, wherever it is now.
fn same_graph(hotspot: &Path, ours: &Path) -> usize {
    let (a, b) = (Dump::open(hotspot), Dump::open(ours));
    let p = pair(&a, &b);
    let few = p.differences[..p.differences.len().min(40)].join("\n");
    println!("{} objects paired, {} of them moved", p.objects, p.moved);
    assert!(p.differences.is_empty(), "{} differences:\n{few}", p.differences.len());
    assert!(p.objects * 10 > a.objects.len() * 9, "{} of {} paired", p.objects, a.objects.len());
    assert!(p.classes * 10 > a.classes.len() * 9, "{} of {} paired", p.classes, a.classes.len());
    p.moved
}

fn faithful(name: &str, version: u32, flags: &[&str]) {
    let dir = Scratch::new(&format!("collectors-{name}-{version}"));
    // Collections of the JVM's own accord would move objects between HotSpot's dump and the core: by the clock, and
    // ZGC's first three, to warm up, as soon as 10, 20 and 30 % are used (zDirector.cpp, rule_warmup).
    let of_own_accord: &[&str] = match flags[0] {
        "-XX:+UseZGC" => &["-XX:-ZProactive", "-Xmx256m"],
        _ => &["-XX:ShenandoahGuaranteedGCInterval=0"],
    };
    let unlock = ["-XX:+UnlockDiagnosticVMOptions", "-XX:+UnlockExperimentalVMOptions"];
    let flags = [&COMMON, &unlock[..], of_own_accord, flags].concat();
    let jvm = Jvm::start(version, &flags, "Everything", &dir);
    let (hotspot, ours, core) =
        (dir.path("hotspot.hprof"), dir.path("ours.hprof"), dir.path("core"));
    let capture = |core: &Path| {
        let pid = jvm.pid().to_string();
        captured(rjcore().args(["capture", PATIENTLY, &pid, "--overwrite", "-o"]).arg(core));
    };
    jvm.heap_dump(&hotspot);
    capture(&core);
    dump(&core, &ours);
    same_heap(&hotspot, &ours);
    same_graph(&hotspot, &ours);
    // Mirrors are objects to a histogram only; all else is the same set.
    let (objects, classes) =
        (Dump::open(&ours).objects.len() as u64, Dump::open(&ours).classes.len() as u64);
    let all = counted(&core);
    assert!(all >= objects && all <= objects + classes, "{all} counted, {objects} dumped");
    // Collections move what they can: the same graph at other places.
    for _ in 0..3 {
        jvm.jcmd(&["GC.run"]);
    }
    jvm.heap_dump(&hotspot);
    jvm.jcmd(&["GC.run"]);
    capture(&core);
    dump(&core, &ours);
    same_graph(&hotspot, &ours);
    // The kernel's core of the same.
    let core = jvm.abort(&dir);
    dump(&core, &dir.path("kernel.hprof"));
    same_graph(&hotspot, &dir.path("kernel.hprof"));
}

macro_rules! faithful {
    ($($name:ident: $version:literal $($flag:literal)*;)*) => { $(
        #[test]
        fn $name() { faithful(stringify!($name), $version, &[$($flag),*]); }
    )* };
}

faithful! {
    z_jdk17: 17 "-XX:+UseZGC";
    z_jdk25: 25 "-XX:+UseZGC";
    z_wide_klass_jdk17: 17 "-XX:+UseZGC" "-XX:-UseCompressedClassPointers";
    z_compact_headers_jdk25: 25 "-XX:+UseZGC" "-XX:+UseCompactObjectHeaders";
    shenandoah_jdk17: 17 "-XX:+UseShenandoahGC";
    shenandoah_jdk25: 25 "-XX:+UseShenandoahGC";
    shenandoah_zero_based_jdk17: 17 "-XX:+UseShenandoahGC" "-XX:HeapBaseMinAddress=8g";
    shenandoah_based_jdk25: 25 "-XX:+UseShenandoahGC" "-XX:HeapBaseMinAddress=40g";
    shenandoah_wide_oops_jdk17: 17 "-XX:+UseShenandoahGC" "-XX:-UseCompressedOops";
    shenandoah_wide_oops_jdk25: 25 "-XX:+UseShenandoahGC" "-XX:-UseCompressedOops";
    shenandoah_wide_jdk17: 17 "-XX:+UseShenandoahGC" "-XX:-UseCompressedOops" "-XX:-UseCompressedClassPointers";
    shenandoah_compact_headers_jdk25: 25 "-XX:+UseShenandoahGC" "-XX:+UseCompactObjectHeaders";
    shenandoah_generational_jdk25: 25 "-XX:+UseShenandoahGC" "-XX:ShenandoahGCMode=generational";
}

/// How many cores of JVMs in motion: few, or as many as RJCORE_CAPTURES says.
fn count(in_ci: usize) -> usize {
    let n = std::env::var("RJCORE_CAPTURES").ok().and_then(|n| n.parse().ok());
    n.unwrap_or(in_ci)
}

/// Runs a capture to its end. 3: it fell into a pause. What is in the core is compared by the callers.
fn captured(cmd: &mut Command) {
    let out = cmd.output().expect("rjcore");
    let said = String::from_utf8_lossy(&out.stderr);
    let told = caught_collecting(&said);
    let fine = out.status.success() || (out.status.code() == Some(3) && told);
    assert!(fine, "{cmd:?}: {}\n{said}", out.status);
}

/// Takes a core at once, and dumps it. Whether it says that it was taken in a pause.
fn take(jvm: &Jvm, i: usize, core: &Path, ours: &Path) -> bool {
    let method = ["fork", "precopy", "stop"][i % 3];
    let mut cmd = rjcore();
    cmd.args([
        "capture",
        PATIENTLY,
        &jvm.pid().to_string(),
        "--overwrite",
        "--snapshot",
        method,
        "-o",
    ]);
    captured(cmd.arg(core));
    let mut cmd = rjcore();
    cmd.arg("dump").arg(core).arg("-o").arg(ours).args(["--overwrite", "--json"]);
    let said = cmd.output().expect("rjcore");
    let json: serde_json::Value = serde_json::from_slice(&said.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&said.stderr)));
    println!("{i} {method}: {:?} {}", said.status.code(), json["gaps"]);
    let gaps = &json["gaps"];
    let pause = gaps["collection"]["affected"] == true;
    assert!(json["whole"] == true || pause, "{gaps}");
    pause
}

/// Collections that never end move an idle program's objects about. Whatever the moment, its graph is the same.
fn in_motion(version: u32) {
    let dir = Scratch::new(&format!("motion-{version}"));
    let flags = ["-XX:+UnlockDiagnosticVMOptions", "-XX:ShenandoahGCHeuristics=aggressive"];
    let flags = [&COMMON[..], &["-XX:+UseShenandoahGC"], &flags].concat();
    let jvm = Jvm::start(version, &flags, "Everything", &dir);
    let (before, after) = (dir.path("before.hprof"), dir.path("after.hprof"));
    let (ours, core) = (dir.path("ours.hprof"), dir.path("core"));
    let n = count(4);
    let (mut moved, mut pauses, mut torn) = (0, 0, 0);
    for i in 0..n {
        jvm.heap_dump(&before);
        std::thread::sleep(Duration::from_millis(37 * (i as u64 % 11)));
        let pause = take(&jvm, i, &core, &ours);
        pauses += usize::from(pause);
        // Weak maps lose an entry now and then.
        jvm.heap_dump(&after);
        let p = [&before, &after].map(|d| pair(&Dump::open(d), &Dump::open(&ours)));
        // A full collection moves objects where others still are: rjcore says that it was one.
        if pause && p.iter().all(|p| !p.differences.is_empty()) {
            torn += 1;
            continue;
        }
        let best = if p[0].differences.is_empty() { &before } else { &after };
        moved += usize::from(same_graph(best, &ours) > 100);
    }
    println!("{version}: {n} cores, {moved} moved, {pauses} in a pause, {torn} of them torn");
    assert!(moved > 0 && torn * 2 <= n, "{n} cores, {moved} moved, {torn} torn");
}

#[test]
fn shenandoah_in_motion_jdk17() {
    in_motion(17);
}

#[test]
fn shenandoah_in_motion_jdk25() {
    in_motion(25);
}

/// Threads of Churn that make chains, and how many of what.
const CHAINS: usize = 64;
const LENGTH: u32 = 400;

/// Every chain that Churn published is whole, in HotSpot's numbers of nodes.
fn chains_are_whole(ours: &Path) {
    let d = Dump::open(ours);
    assert!(d.problems.is_empty(), "{:?}", d.problems);
    let class = |name: &str| d.classes.values().find(|c| c.name == name).expect(name);
    let (churn, node) = (class("Churn"), class("Churn$Node").id);
    let layout = d.layout(node);
    let field = |id: u64, name: &str| {
        let o = &d.objects[&id];
        assert_eq!(d.class_name(o), "Churn$Node", "{id:#x}");
        let s = layout.iter().find(|s| s.name == name).expect(name);
        word(&d.bytes(o)[s.start..s.end])
    };
    let array = |id: u64, class: &str| {
        let o = d.objects.get(&id).unwrap_or_else(|| panic!("no {class} at {id:#x}"));
        assert_eq!(d.class_name(o), class, "{id:#x}");
        d.bytes(o)
    };
    let of_static = |name: &str| churn.statics.iter().find(|s| s.name == name).expect(name).value;
    let mut nodes = 0;
    let heads = array(of_static("HEADS"), "[LChurn$Node;");
    assert_eq!(heads.len(), CHAINS * 8);
    for head in heads.chunks_exact(8) {
        let mut at = word(head);
        for number in (0..LENGTH).rev() {
            assert!(d.objects.contains_key(&at), "node {number} is not there: {at:#x}");
            assert_eq!(field(at, "number"), u64::from(number), "{at:#x}");
            let bytes = array(field(at, "bytes"), "byte[]");
            assert!(bytes.len() as u32 == number % 97 && bytes.iter().all(|b| *b == number as u8));
            let longs = array(field(at, "longs"), "long[]");
            let value = 0x0123_4567_89ab_cdef_u64.wrapping_mul(u64::from(number) + 1);
            assert_eq!(longs.len() as u32, number % 13 * 8);
            assert!(longs.chunks_exact(8).all(|l| word(l) == value), "{at:#x}");
            at = field(at, "next");
            nodes += 1;
        }
        assert_eq!(at, 0);
    }
    assert_eq!(nodes, CHAINS * LENGTH as usize);
    for other in array(of_static("OTHERS"), "[Ljava/lang/Object;").chunks_exact(8) {
        let all = array(word(other), "[Ljava/lang/Object;");
        assert!(all.len() == 80 || all.len() == 480_000, "{}", all.len());
        assert!(all.chunks_exact(8).all(|n| n == &all[..8]));
        assert_eq!(field(word(all), "number"), u64::from(LENGTH) - 1);
    }
    // Nothing leads to what is no object.
    let dangling = d.dangling();
    assert!(dangling.is_empty(), "{} dangle: {:x?}", dangling.len(), dangling.iter().next());
}

/// Cores of a JVM that makes garbage on all cores and collects it all the time.
fn churning(name: &str, version: u32, flags: &[&str]) {
    let dir = Scratch::new(&format!("churn-{name}-{version}"));
    let flags = [&COMMON[1..], &["-Xmx96m"], flags].concat();
    let jvm = Jvm::start(version, &flags, "Churn 2 0", &dir);
    let (ours, core) = (dir.path("ours.hprof"), dir.path("core"));
    let n = count(4);
    let mut pauses = 0;
    for i in 0..n {
        std::thread::sleep(Duration::from_millis(100 + 37 * (i as u64 % 11)));
        match take(&jvm, i, &core, &ours) {
            // What a pause had half moved is told, and no object to judge by.
            true => pauses += 1,
            false => chains_are_whole(&ours),
        }
    }
    println!("{name} {version}: {n} cores, {pauses} in a pause");
    assert!(pauses * 2 <= n, "{pauses} of {n} in a pause");
}

macro_rules! churning {
    ($($name:ident: $version:literal $($flag:literal)*;)*) => { $(
        #[test]
        fn $name() { churning(stringify!($name), $version, &[$($flag),*]); }
    )* };
}

churning! {
    churning_z_jdk17: 17 "-XX:+UseZGC";
    churning_z_jdk25: 25 "-XX:+UseZGC";
    churning_shenandoah_jdk17: 17 "-XX:+UseShenandoahGC";
    churning_shenandoah_jdk25: 25 "-XX:+UseShenandoahGC";
    churning_shenandoah_compact_headers_jdk25: 25 "-XX:+UseShenandoahGC" "-XX:+UseCompactObjectHeaders";
    churning_shenandoah_generational_jdk25: 25 "-XX:+UseShenandoahGC" "-XX:ShenandoahGCMode=generational";
}

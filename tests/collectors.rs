//! ZGC and Shenandoah, which HotSpot dumps by searching from the roots: rjcore's dump of a core against HotSpot's
//! own of the same process.
//!
//! While nothing runs, objects stay where they are, and the dumps are compared by address. After a collection
//! they are compared along the references (`support::graph`).

mod support;

use std::path::Path;

use support::compare::compare;
use support::graph::pair;
use support::hprof::Dump;
use support::{Jvm, Scratch, rjcore, run, text};

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
    let (a, b) = (Dump::open(hotspot), Dump::open(ours));
    assert!(a.objects.len() > 20_000 && a.classes.len() > 500, "HotSpot's dump is too small");
    for class in ["Everything$Primitives", "Everything$Bottom", "Everything$Größe漢字"] {
        assert!(a.class_names().contains(class), "no {class} in HotSpot's dump");
    }
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
    let jvm = Jvm::start(version, &[&COMMON, flags].concat(), "Everything", &dir);
    let (hotspot, ours, core) =
        (dir.path("hotspot.hprof"), dir.path("ours.hprof"), dir.path("core"));
    let capture = |core: &Path| {
        let pid = jvm.pid().to_string();
        run(rjcore().args(["capture", &pid, "--overwrite", "-o"]).arg(core));
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

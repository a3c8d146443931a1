//! The malloc heap of a JVM's core, against what glibc says of itself while the JVM runs: malloc_info's figures for each
//! arena, and mallinfo2's for all.
//!
//! JDK 25 of the set-up runs with the machine's glibc, those of the JDKs' root with a newer one.

use crate::support::{Jvm, Scratch, child::Command, jdk, jdks, rjcore, run};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What the JVM's own threads may take or free, per arena, between glibc's words and the core.
const TOLERANCE: u64 = 512 << 10;
/// Without a compiler there is little of that.
const FLAGS: [&str; 4] =
    ["-Xmx48m", "-Xint", "-XX:ReservedCodeCacheSize=24m", "--enable-native-access=ALL-UNNAMED"];

/// tests/java/foreign/Malloc needs a newer JDK than the other programs.
fn classes(dir: &Scratch) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java/foreign/Malloc.java");
    let out = dir.path("classes");
    run(jdks::command(25, "javac").arg("-d").arg(&out).arg(source));
    out
}

fn malloc(core: &Path) -> Value {
    let mut cmd = rjcore();
    cmd.arg("memory").arg(core).arg("--json").arg("--sysroot").arg(jdks::root());
    let out = cmd.output().expect("rjcore");
    let json: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    json["malloc"].clone()
}

fn number(v: &Value) -> u64 {
    v.as_u64().unwrap_or_else(|| panic!("{v} is no number"))
}

fn address(v: &Value) -> u64 {
    let text = v.as_str().and_then(|t| t.strip_prefix("0x")).expect("an address");
    u64::from_str_radix(text, 16).expect("an address")
}

/// Every byte of every piece is told, and none is damaged.
fn is_whole(malloc: &Value) {
    assert_eq!(malloc["allocator"], "glibc");
    assert_eq!(malloc["problems"], Value::Array(Vec::new()));
    let arenas = malloc["arenas"].as_array().expect("arenas");
    assert!(arenas.len() > 2, "{arenas:?}");
    for (i, a) in arenas.iter().enumerate() {
        assert_eq!(a["is_main"], i == 0);
        let pieces = a["pieces"].as_array().expect("pieces").iter();
        let pieces: u64 = pieces.map(|p| address(&p["end"]) - address(&p["start"])).sum();
        let sums = number(&a["in_use"]["bytes"]) + number(&a["free"]["bytes"]);
        assert_eq!(pieces, sums + number(&a["top"]) + number(&a["overhead"]), "{a}");
        assert_eq!(pieces, number(&a["system"]), "{a}");
        assert_eq!((&a["damaged"], &a["absent"]), (&0.into(), &0.into()), "{a}");
        let sizes = a["sizes"].as_array().expect("sizes").iter();
        let sizes: u64 = sizes.map(|s| number(&s["chunks"])).sum();
        assert_eq!(sizes, number(&a["in_use"]["chunks"]));
    }
}

/// What malloc_info says of an arena, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Told {
    system: u64,
    /// Top, too.
    free: u64,
}

/// The arenas' figures, in the order of the list of arenas.
fn told(xml: &str) -> Vec<Told> {
    let attribute = |line: &str, name: &str| -> u64 {
        let (_, rest) = line.split_once(&format!("{name}=\"")).expect("an attribute");
        rest.split('"').next().and_then(|n| n.parse().ok()).expect("a number")
    };
    let heaps = xml.split("<heap nr=").skip(1).map(|h| h.split("</heap>").next().unwrap_or(""));
    let heap = |heap: &str| {
        let mut told = Told::default();
        for line in heap.lines() {
            if line.contains("<total type=\"fast\"") {
                told.free += attribute(line, "size");
            } else if line.contains("<total type=\"rest\"") {
                // It adds up the size fields of the chunks in bins, each with its flag of 1; top is one more chunk.
                told.free += attribute(line, "size") - (attribute(line, "count") - 1);
            } else if line.contains("<system type=\"current\"") {
                told.system = attribute(line, "size");
            }
        }
        told
    };
    heaps.map(heap).collect()
}

fn agrees(jvm: &Jvm, figures: &Path, dir: &Scratch) {
    let core = dir.path("core");
    jvm.gcore(&core);
    let malloc = malloc(&core);
    is_whole(&malloc);
    let read = |a: &Value| Told {
        system: number(&a["system"]),
        free: number(&a["free"]["bytes"]) + number(&a["top"]),
    };
    let arenas: Vec<Told> = malloc["arenas"].as_array().expect("arenas").iter().map(read).collect();
    let told = told(&std::fs::read_to_string(figures).expect("glibc's figures"));
    assert_eq!(arenas.len(), told.len());
    let near = |a: u64, b: u64| a.abs_diff(b) <= TOLERANCE;
    for (core, glibc) in arenas.iter().zip(&told) {
        let in_use = near(core.system - core.free, glibc.system - glibc.free);
        let all = near(core.system, glibc.system) && near(core.free, glibc.free) && in_use;
        assert!(all, "{core:?} {glibc:?}");
    }
    // Threads that sleep take nothing: theirs are the same to a byte.
    let same = arenas.iter().zip(&told).filter(|(core, glibc)| core == glibc).count();
    assert!(same * 2 > told.len(), "{same} of {}: {arenas:?} {told:?}", told.len());
    // The three threads' pieces that they did not free: 24 MB each.
    assert!(arenas.iter().filter(|a| a.system - a.free > 20 << 20).count() >= 1, "{arenas:?}");

    let more = std::fs::read_to_string(figures.with_extension("xml.more")).expect("mallinfo2");
    let says = |name: &str| -> u64 {
        let line = more.lines().find_map(|l| l.strip_prefix(name)).expect("a figure");
        line.trim().parse().expect("a number")
    };
    let room = TOLERANCE * told.len() as u64;
    let sum = |f: fn(&Told) -> u64| arenas.iter().map(f).sum::<u64>();
    assert!(sum(|a| a.system).abs_diff(says("arena ")) <= room, "{more}");
    assert!(sum(|a| a.free).abs_diff(says("fordblks ")) <= room, "{more}");
    assert!(sum(|a| a.system - a.free).abs_diff(says("uordblks ")) <= room, "{more}");
}

#[test]
fn arenas_are_what_the_machines_glibc_says() {
    let dir = Scratch::new("malloc");
    let (classes, figures) = (classes(&dir), dir.path("figures.xml"));
    let mut cmd = Command::new(jdk(25).join("bin/java"));
    cmd.args(FLAGS).arg("-cp").arg(classes).arg("Malloc").arg(&figures);
    let jvm = Jvm::launch(cmd, vec![jdk(25).join("bin/jcmd").into()], &dir);
    agrees(&jvm, &figures, &dir);
}

#[test]
fn arenas_are_what_a_newer_glibc_says() {
    let dir = Scratch::new("malloc-newer");
    let (classes, figures) = (classes(&dir), dir.path("figures.xml"));
    let program = format!("Malloc {}", figures.display());
    let jvm = jdks::start_from(classes, 25, &FLAGS, &program, &dir);
    agrees(&jvm, &figures, &dir);
}

#[test]
fn arenas_of_jdk_8_are_whole() {
    let dir = Scratch::new("malloc8");
    let jvm = jdks::start(8, &["-Xmx48m"], "Sample", &dir);
    let core = dir.path("core");
    jvm.gcore(&core);
    is_whole(&malloc(&core));
}

//! `rjcore memory`: the guilty row comes first with the figure that the program itself states, and the sum is the kernel's.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Jvm, PATIENTLY, Scratch, jdks, rjcore, text};

/// The most that a row may be off, and the sum.
const ROW: f64 = 0.02;
const SUM: f64 = 0.01;

fn off(found: u64, truth: u64) -> f64 {
    (found as f64 - truth as f64).abs() / truth as f64
}

/// A JVM of `Guilty`, and its own figure.
struct Guilty {
    jvm: Jvm,
    truth: u64,
    dir: Scratch,
}

impl Guilty {
    fn start(jdk: u32, flags: &[&str], kind: &str, mb: u32) -> Guilty {
        let dir = Scratch::new(&format!("memory-{jdk}-{kind}"));
        let flags = [&["-XX:MaxDirectMemorySize=1g"], flags].concat();
        let jvm = jdks::start(jdk, &flags, &format!("Guilty {kind} {mb}"), &dir);
        let truth = fs::read_to_string(dir.path("truth")).expect("what it says");
        Guilty { jvm, truth: truth.parse().expect("a number"), dir }
    }

    /// VmRSS as the kernel adds it up from the page tables.
    fn resident(&self) -> u64 {
        let rollup = format!("/proc/{}/smaps_rollup", self.jvm.pid());
        let rollup = fs::read_to_string(rollup).expect("smaps_rollup");
        let line = rollup.lines().find_map(|l| l.strip_prefix("Rss:")).expect("Rss");
        line.trim_end_matches("kB").trim().parse::<u64>().expect("a number") << 10
    }

    /// What is said of its core, which must add up.
    fn memory(&self) -> Value {
        let before = self.resident();
        let core = self.dir.path("guilty.core");
        let pid = self.jvm.pid().to_string();
        text(rjcore().args(["capture", PATIENTLY, &pid, "-o"]).arg(&core));
        let said = memory(&core, &[]);
        let sum = said["total"]["resident_bytes"].as_u64().expect("a sum");
        assert!(off(sum, before) < SUM, "{sum} in rows, {before} by smaps_rollup");
        let parts = said["parts"].as_array().expect("parts");
        let rows = parts.iter().flat_map(|p| p["rows"].as_array().expect("rows"));
        let rows: u64 = rows.map(|r| r["resident_bytes"].as_u64().expect("bytes")).sum();
        assert_eq!(rows, sum);
        assert_eq!(said["whole"], true, "{}", said["gaps"]);
        said
    }
}

/// What `rjcore memory` says of a core.
fn memory(core: &Path, more: &[&str]) -> Value {
    let said = text(rjcore().arg("memory").arg(core).arg("--json").args(more));
    serde_json::from_str(&said).expect("JSON")
}

fn bytes(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("no {name} in {of}"))
}

/// The first part is the guilty one, and `figure` of its first row is what the program says.
fn guilty(g: &Guilty, part: &str, figure: &str) -> Value {
    let said = g.memory();
    let first = &said["parts"][0];
    assert_eq!(first["part"], part, "{first:#}");
    let found = bytes(&first["rows"][0], figure);
    assert!(off(found, g.truth) < ROW, "{found} found, {} true: {first:#}", g.truth);
    said
}

/// What stands out of it.
fn finding<'v>(said: &'v Value, matter: &str) -> &'v Value {
    let all = said["findings"].as_array().expect("findings");
    all.iter().find(|f| f["matter"] == matter).unwrap_or_else(|| panic!("no {matter} in {all:#?}"))
}

/// The VM's own share of malloc is small: without C2, whose arenas come and go.
const SMALL: [&str; 3] = ["-Xmx32m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

#[test]
fn direct_buffers() {
    for jdk in [8, 17, jdks::newest()] {
        let g = Guilty::start(jdk, &SMALL, "direct", 256);
        let said = guilty(&g, "buffers", "resident_bytes");
        assert_eq!(said["parts"][0]["rows"][0]["count"], 256);
        assert!(off(bytes(finding(&said, "direct_buffers"), "bytes"), g.truth) < ROW);
    }
}

/// A null of generational ZGC's has a colour: it is a buffer of its own all the same.
#[test]
fn direct_buffers_with_zgc() {
    let g = Guilty::start(25, &["-Xmx64m", "-XX:+UseZGC"], "direct", 256);
    guilty(&g, "buffers", "resident_bytes");
}

#[test]
fn native_memory() {
    for jdk in [8, jdks::newest()] {
        let g = Guilty::start(jdk, &SMALL, "malloc", 512);
        let said = guilty(&g, "malloc", "used_bytes");
        let found = finding(&said, "native_memory");
        assert!(off(bytes(found, "bytes"), g.truth) < ROW, "{found}");
        assert!(found["text"].as_str().expect("text").contains("at most 2.0 KB"), "{found}");
        let arenas = said["malloc"]["arenas"].as_array().expect("arenas");
        let damaged: u64 = arenas.iter().map(|a| bytes(a, "damaged")).sum();
        assert_eq!(damaged, 0);
    }
}

/// Chunks that malloc maps by themselves.
#[test]
fn large_chunks() {
    let g = Guilty::start(17, &SMALL, "chunks", 256);
    guilty(&g, "malloc", "resident_bytes");
}

#[test]
fn fragmented_arenas() {
    for jdk in [8, 21] {
        let g = Guilty::start(jdk, &SMALL, "fragments", 256);
        let said = g.memory();
        assert_eq!(said["parts"][0]["part"], "malloc");
        let found = finding(&said, "free_malloc");
        assert!(off(bytes(found, "bytes"), g.truth) < ROW, "{found} {}", g.truth);
    }
}

#[test]
fn mapped_files() {
    for jdk in [8, 25] {
        let g = Guilty::start(jdk, &SMALL, "mapped", 256);
        let said = guilty(&g, "files", "resident_bytes");
        let name = said["parts"][0]["rows"][0]["name"].as_str().expect("a name");
        assert!(name.ends_with(".index"), "{name}");
    }
}

#[test]
fn deep_stacks() {
    for jdk in [8, 11, jdks::newest()] {
        let g = Guilty::start(jdk, &SMALL, "stacks", 256);
        let said = guilty(&g, "stacks", "resident_bytes");
        let threads = said["threads"].as_array().expect("threads");
        let deep = threads.iter().filter(|t| bytes(t, "stack_resident_bytes") > 1 << 20).count();
        assert_eq!(deep, 128);
        assert_eq!(threads[0]["name"], "guilty");
    }
}

#[test]
fn class_loaders() {
    for jdk in [8, 17, jdks::newest()] {
        let g = Guilty::start(jdk, &SMALL, "loaders", 4000);
        let said = g.memory();
        let first = &said["parts"][0];
        assert_eq!(first["part"], "metaspace", "{first:#}");
        let rows = first["rows"].as_array().expect("rows");
        let found = rows.iter().map(|r| bytes(r, "used_bytes")).sum();
        assert!(off(found, g.truth) < ROW, "{found} found, {} true", g.truth);
        let loaders = said["loaders"].as_array().expect("loaders");
        assert!(loaders.len() > 4000, "{} loaders", loaders.len());
        let text = finding(&said, "metaspace")["text"].as_str().expect("text").to_owned();
        assert!(text.contains("none is unloaded"), "{text}");
    }
}

/// Compiled methods of classes that are all the same, and not unloaded.
#[test]
fn compiled_code() {
    let only = "-XX:CompileCommand=compileonly,Guilty.busy";
    let flags = ["-Xcomp", only, "-XX:CICompilerCount=2", "-XX:TieredStopAtLevel=1"];
    let flags = [&flags[..], &["-XX:ReservedCodeCacheSize=240m", "-Xmx64m"]].concat();
    for jdk in [11, 25] {
        let g = Guilty::start(jdk, &flags, "code", 1000);
        let said = g.memory();
        let of = said["parts"].as_array().expect("parts").iter().find(|p| p["part"] == "code");
        let row = &of.expect("the code cache")["rows"][0];
        let found = bytes(row, "used_bytes");
        assert!(off(found, g.truth) < ROW, "{found} found, {} true", g.truth);
        assert!(bytes(row, "count") > 1000, "{row}");
    }
}

#[test]
fn objects_on_the_heap() {
    for (jdk, collector) in
        [(8, "-XX:+UseParallelGC"), (11, "-XX:+UseG1GC"), (17, "-XX:+UseShenandoahGC")]
    {
        let g = Guilty::start(jdk, &["-Xmx512m", collector], "heap", 256);
        let said = g.memory();
        assert_eq!(said["parts"][0]["part"], "java_heap");
        let rows = said["parts"][0]["rows"].as_array().expect("rows");
        let used: u64 = rows.iter().filter_map(|r| r["used_bytes"].as_u64()).sum();
        assert!(off(used, g.truth) < ROW, "{used} found, {} true", g.truth);
        finding(&said, "objects");
    }
}

/// Each page of its heap counts as often as it is mapped, and that is said.
#[test]
fn zgc_maps_its_heap_three_times() {
    let g = Guilty::start(17, &["-Xmx512m", "-XX:+UseZGC"], "heap", 256);
    let said = g.memory();
    assert_eq!(said["parts"][0]["part"], "java_heap");
    let rows = said["parts"][0]["rows"].as_array().expect("rows");
    let views =
        rows.iter().find(|r| r["name"].as_str().is_some_and(|n| n.contains("mapped again")));
    assert!(bytes(views.expect("views"), "resident_bytes") > 1 << 20);
}

/// A heap of huge pages; what is kept for new objects is said.
#[test]
fn huge_pages_and_an_empty_heap() {
    let flags = ["-Xms256m", "-Xmx256m", "-XX:+AlwaysPreTouch", "-XX:+UseTransparentHugePages"];
    let g = Guilty::start(17, &[&flags[..], &["-XX:+UseParallelGC"]].concat(), "heap", 8);
    let said = g.memory();
    assert_eq!(said["parts"][0]["part"], "java_heap");
    assert!(off(bytes(&said["parts"][0], "resident_bytes"), 256 << 20) < ROW);
    let found = finding(&said, "unused_heap");
    assert!(bytes(found, "bytes") > 230 << 20, "{found}");
}

/// Another's core does not say which pages were in memory: what it holds, and is not all zeros, counts.
#[test]
fn a_core_of_gcore() {
    let g = Guilty::start(17, &SMALL, "malloc", 512);
    let core = g.dir.path("gcore.core");
    g.jvm.gcore(&core);
    let said = memory(&core, &[]);
    assert_eq!((&said["source"], &said["kernel"]), (&json!("saved"), &Value::Null));
    // gdb saves mapped files, too.
    let parts = said["parts"].as_array().expect("parts");
    let malloc = parts.iter().find(|p| p["part"] == "malloc").expect("the malloc heap");
    for figure in ["used_bytes", "resident_bytes"] {
        let found = bytes(&malloc["rows"][0], figure);
        assert!(off(found, g.truth) < ROW, "{found} {figure} found, {} true", g.truth);
    }
}

/// Which row grew.
#[test]
fn what_grew() {
    let small = Guilty::start(17, &SMALL, "direct", 32);
    let large = Guilty::start(17, &SMALL, "direct", 96);
    small.memory();
    large.memory();
    let before = small.dir.path("guilty.core");
    let said = memory(&large.dir.path("guilty.core"), &["--diff", before.to_str().expect("UTF-8")]);
    let first = &said["diff"]["rows"][0];
    assert_eq!(first["part"], "buffers", "{first}");
    assert_eq!(first["grown"].as_i64(), Some(64 << 20));
    assert_eq!(first["counts"], json!({ "before": 32, "now": 96 }));
}

/// A trimmed core says the same where it was asked to keep what it takes.
#[test]
fn trimmed_for_memory() {
    let g = Guilty::start(17, &SMALL, "malloc", 32);
    let whole = g.memory();
    let (core, small) = (g.dir.path("guilty.core"), g.dir.path("small.core"));
    text(rjcore().arg("trim").arg(&core).arg("-o").arg(&small).args(["--for", "memory"]));
    let said = memory(&small, &[]);
    for name in ["total", "parts", "malloc", "threads", "loaders", "findings"] {
        assert_eq!(said[name], whole[name], "{name}");
    }
}

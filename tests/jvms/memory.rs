//! `rjcore memory`: the guilty row comes first with the figure that the program itself states, and the sum is the kernel's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::cgroup::Group;
use crate::support::child::Command;
use crate::support::{Jvm, PATIENTLY, Scratch, jdks, library, rjcore, run, text};

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
        if kind == "jni" {
            library("leak.c", &dir);
        }
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
        // Where the debug files are, too.
        let root = jdks::root();
        let said = memory(&core, &["--sysroot", root.to_str().expect("UTF-8")]);
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

fn text_of(core: &Path, more: &[&str]) -> String {
    text(rjcore().arg("memory").arg(core).args(more))
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
        assert!(off(bytes(finding(&said, "stacks"), "bytes"), g.truth) < 2.0 * ROW);
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
        assert!(text.ends_with("4,000 of these loaders are of one class, Guilty$Own"), "{text}");
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
        let rows = of.expect("the code cache")["rows"].as_array().expect("rows");
        let sum = |field: &str| rows.iter().filter_map(|r| r[field].as_u64()).sum::<u64>();
        let found = sum("used_bytes");
        assert!(off(found, g.truth) < ROW, "{found} found, {} true", g.truth);
        assert!(sum("count") > 1000, "{rows:?}");
        // Methods of C1's, one for each class.
        let segments = said["code"].as_array().expect("segments");
        let kinds = segments.iter().flat_map(|s| s["kinds"].as_array().expect("kinds"));
        let of_c1: u64 = kinds.filter(|k| k["kind"] == "c1").map(|k| bytes(k, "blobs")).sum();
        assert!((1000..1100).contains(&of_c1), "{segments:?}");
    }
}

/// Segments by the VM's own names for them.
#[test]
fn segments_of_the_code_cache() {
    for jdk in [11, 17, 25, jdks::newest()] {
        let g = Guilty::start(jdk, &["-Xmx32m", "-XX:+SegmentedCodeCache"], "heap", 8);
        let said = g.memory();
        let segments = said["code"].as_array().expect("segments");
        let mut names: Vec<&str> = segments.iter().filter_map(|s| s["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["non-nmethods", "non-profiled nmethods", "profiled nmethods"]);
        for s in segments {
            let kinds: Vec<&str> = s["kinds"]
                .as_array()
                .expect("kinds")
                .iter()
                .filter_map(|k| k["kind"].as_str())
                .collect();
            let fits = |kind: &&str| match s["name"].as_str() {
                Some("non-nmethods") => ["adapter", "stub", "native_wrapper"].contains(kind),
                Some("profiled nmethods") => *kind == "c1",
                _ => ["c1", "c2", "native_wrapper"].contains(kind),
            };
            assert!(kinds.iter().all(fits), "{jdk}: {s}");
        }
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
    let g = Guilty::start(17, &TRACKED, "malloc", 32);
    let whole = g.memory();
    let (core, small) = (g.dir.path("guilty.core"), g.dir.path("small.core"));
    text(rjcore().arg("trim").arg(&core).arg("-o").arg(&small).args(["--for", "memory"]));
    let said = memory(&small, &[]);
    assert_eq!(whole["tracking"]["state"], "kept");
    for name in ["total", "parts", "malloc", "tracking", "code", "threads", "loaders", "findings"] {
        assert_eq!(said[name], whole[name], "{name}");
    }
}

const TRACKED: [&str; 4] =
    ["-Xmx32m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:NativeMemoryTracking=summary"];

/// What jcmd says of a category in KB: reserved, committed, malloc, arenas.
type Told = BTreeMap<String, [u64; 4]>;

/// `- Class (reserved=1KB, committed=2KB)`, and below it `(mmap: reserved=1KB, committed=2KB)`, `(malloc=1KB ...)`, `(arena=1KB ...)`.
fn told(summary: &str) -> Told {
    let number = |line: &str, before: &str| {
        let rest = line.split_once(before)?.1;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let (mut all, mut name) = (Told::new(), String::new());
    for line in summary.lines() {
        if let Some((of, _)) = line.strip_prefix('-').and_then(|l| l.split_once(" (reserved")) {
            name = of.trim().to_owned();
            all.insert(name.clone(), [0; 4]);
            continue;
        }
        let (Some(of), line) = (all.get_mut(&name), line.trim_start()) else { continue };
        let found = [("(malloc=", 2), ("(arena=", 3)];
        for (before, place) in found.into_iter().filter(|(b, _)| line.starts_with(b)) {
            of[place] = number(line, before).expect("a number");
        }
        if line.starts_with("(mmap:") {
            of[0] = number(line, "reserved=").expect("a number");
            of[1] = number(line, "committed=").expect("a number");
        }
        if line.to_lowercase().starts_with("(stack:") {
            let stacks = number(line, "reserved=").expect("a number");
            all.insert("Thread Stack".into(), [stacks, 0, 0, 0]);
        }
    }
    all
}

/// What the VM has booked is what jcmd prints of the same JVM.
#[test]
fn what_the_vm_has_booked() {
    for jdk in [8, 11, 17, 21, 25, jdks::newest()] {
        let g = Guilty::start(jdk, &TRACKED, "malloc", 64);
        // The first answer takes memory by itself.
        g.jvm.jcmd(&["VM.native_memory", "summary", "scale=KB"]);
        let theirs = told(&g.jvm.jcmd(&["VM.native_memory", "summary", "scale=KB"]));
        let said = g.memory();
        assert_eq!(said["tracking"]["state"], "kept", "{jdk}: {}", said["tracking"]["why"]);
        let categories = said["tracking"]["categories"].as_array().expect("categories");
        let named: BTreeMap<&str, &Value> =
            categories.iter().map(|c| (c["name"].as_str().expect("a name"), c)).collect();
        assert!(theirs.len() > 9, "{theirs:?}");
        for (name, [reserved, committed, malloc, arena]) in theirs {
            let ours = named.get(name.as_str()).unwrap_or_else(|| panic!("{jdk}: no {name}"));
            let near = |field: &str, theirs: u64| {
                let theirs = theirs << 10;
                let Some(found) = ours[field].as_u64() else { return };
                // Compilers come and go, and jcmd's answer itself takes some while it is made.
                let off = found.abs_diff(theirs);
                let own = if name == "Internal" { 2048 } else { 256 };
                assert!(off < theirs / 50 + (own << 10), "{jdk} {name} {field}: {found} {theirs}");
            };
            near("reserved_bytes", reserved);
            near("committed_bytes", committed);
            near("malloc_bytes", malloc);
            near("arena_bytes", arena);
        }
        let most = categories.iter().max_by_key(|c| bytes(c, "malloc_bytes")).expect("some");
        assert_eq!(most["name"], if jdk == 8 { "Internal" } else { "Other" });
        assert!(off(bytes(most, "malloc_bytes"), g.truth) < ROW + 0.01, "{most}");
    }
}

/// What native libraries have taken is in no book of the VM's, and that is said.
#[test]
fn native_libraries_beside_what_the_vm_has_booked() {
    for jdk in [8, jdks::newest()] {
        let g = Guilty::start(jdk, &TRACKED, "jni", 256);
        let said = guilty(&g, "malloc", "used_bytes");
        let text = finding(&said, "native_memory")["text"].as_str().expect("text").to_owned();
        let of_libraries = text.split("at most ").last().expect("what libraries have");
        let mb: f64 = of_libraries.split(' ').next().expect("a number").parse().expect("a number");
        assert!((mb - 256.0).abs() < 256.0 * ROW, "{text}");
        let root = jdks::root();
        let root = ["--sysroot", root.to_str().expect("UTF-8")];
        let shown = text_of(&g.dir.path("guilty.core"), &root);
        let head = shown.lines().position(|l| l.ends_with("NativeMemoryTracking's"));
        let last = shown.lines().position(|l| l.ends_with("all of malloc"));
        assert!(head.is_some() && head < last, "{shown}");
    }
}

/// A VM of 8 and 11 can be told to keep no more books: what they say is old from then on.
#[test]
fn books_that_the_vm_has_closed() {
    for jdk in [8, 11] {
        let g = Guilty::start(jdk, &TRACKED, "malloc", 8);
        g.jvm.jcmd(&["VM.native_memory", "shutdown"]);
        let said = g.memory();
        assert_eq!(said["tracking"]["state"], "stopped");
        assert_eq!(said["tracking"]["categories"], json!([]));
        assert_eq!(said["whole"], true);
    }
}

/// JDK 8's libjvm has no symbols of its own, and here no debug file is at hand: that is said, and all else is as it was.
#[test]
fn books_that_cannot_be_found() {
    let g = Guilty::start(8, &TRACKED, "malloc", 8);
    let found = g.memory();
    assert_eq!(found["tracking"]["state"], "kept");
    let core = g.dir.path("guilty.core");
    let said = memory(&core, &[]);
    assert_eq!(said["tracking"]["state"], "unread");
    let why = "neither libjvm.so nor a debug file of its build-id has symbols";
    assert_eq!(said["tracking"]["why"]["text"], why);
    assert_eq!((&said["parts"], &said["whole"]), (&found["parts"], &json!(true)));
    let out = rjcore().arg("memory").arg(&core).output().expect("rjcore starts");
    assert_eq!(out.status.code(), Some(0));
    let told = String::from_utf8(out.stderr).expect("UTF-8");
    assert!(
        told.contains(&format!(
            "NativeMemoryTracking is on, and what it has booked cannot be read: {why}"
        )),
        "{told}"
    );
}

/// Which field holds the buffers, and what a thread alone holds.
#[test]
fn who_holds_direct_buffers() {
    for jdk in [8, 25] {
        let g = Guilty::start(jdk, &SMALL, "held", 128);
        g.memory();
        let said = memory(&g.dir.path("guilty.core"), &["--holders"]);
        let holders = said["direct_holders"].as_array().expect("holders");
        assert_eq!(bytes(&holders[0], "bytes"), 96 << 20, "{holders:#?}");
        let field = &holders[0]["field"];
        assert_eq!((&field["class"], &field["name"]), (&json!("Guilty$Arena"), &json!("chunks")));
        let threads = said["threads"].as_array().expect("threads");
        let own: Vec<(&str, u64)> = threads
            .iter()
            .filter_map(|t| Some((t["name"].as_str()?, t["direct_bytes"].as_u64()?)))
            .filter(|t| t.1 > 0)
            .collect();
        assert_eq!(own, [("guilty", 32 << 20)]);
        let text = finding(&said, "direct_buffers")["text"].as_str().expect("text").to_owned();
        assert!(text.contains("96.0 MB are held by Guilty$Arena.chunks"), "{text}");
        let page = g.dir.path("page.md");
        let core = g.dir.path("guilty.core");
        run(rjcore().args(["report", "--md"]).arg(&core).arg("-o").arg(&page));
        let page = fs::read_to_string(&page).expect("a page");
        assert!(page.contains("are held by Guilty&#36;Arena"), "{page}");
    }
}

/// In a control group of its own with little room left: what the group says is in the core, and the first sentence.
#[test]
fn a_control_group_with_little_room() {
    let dir = Scratch::new("memory-group");
    let group = Group::new(&dir, "memory");
    let [limit, usage] = group.memory_files();
    let mut cmd = Command::new("sh");
    cmd.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(group.path("cgroup.procs"));
    let flags = [&SMALL[..], &["-XX:MaxDirectMemorySize=1g"]].concat();
    let jvm = jdks::start_by(cmd, 17, &flags, "Guilty direct 192", &dir);
    let g = Guilty { jvm, truth: 192 << 20, dir };
    let used: u64 = group.read(usage).trim().parse().expect("a number");
    // Whole pages, as the kernel has them.
    let most = (used + (12 << 20)) & !4095;
    group.write(limit, &most.to_string());
    let said = g.memory();
    let told = &said["groups"][0];
    assert_eq!(told["limit"], most, "{told}");
    assert!(off(bytes(told, "usage"), used) < 0.05, "{told}, {used} used");
    let first = &said["findings"][0];
    assert_eq!(first["matter"], "limit", "{first}");
    let text = first["text"].as_str().expect("text");
    assert!(text.contains(told["path"].as_str().expect("a path")), "{text}");
    assert_eq!(said["findings"][1]["matter"], "direct_buffers");
}

/// A library that stands in malloc's place is named by what is mapped.
#[test]
fn another_malloc_is_named() {
    let dir = Scratch::new("memory-jemalloc");
    let other = dir.path("libjemalloc.so.2");
    fs::rename(library("leak.c", &dir), &other).expect("another name");
    let mut cmd = Command::new("env");
    cmd.arg(format!("LD_PRELOAD={}", other.display()));
    let jvm = jdks::start_by(cmd, 17, &SMALL, "Guilty direct 8", &dir);
    let g = Guilty { jvm, truth: 8 << 20, dir };
    let said = g.memory();
    assert_eq!(said["malloc"]["allocator"], "jemalloc");
    let shown = text_of(&g.dir.path("guilty.core"), &[]);
    assert!(shown.contains("libjemalloc.so.2: what it holds is among what is unknown"), "{shown}");
}

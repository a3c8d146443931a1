//! Readers that others wrote: they must open rjcore's dumps and count what rjcore counts.
//!
//! VisualVM's heap library and hprof-slurp read the dump; jhsdb of JDK 17 reads the same core.

use crate::support::child::Command;
use crate::support::hprof::{Dump, Kind};
use crate::support::{Jvm, PATIENTLY, Scratch, classes, dep, jdk, jdks, rjcore, run, text};
use std::collections::BTreeMap;
use std::path::Path;

const SMALL: [&str; 3] =
    ["-Xmx64m", "-XX:CompressedClassSpaceSize=16m", "-XX:ReservedCodeCacheSize=32m"];

/// A number in words like "52,188 objects" counts as 52188.
fn numbers(text: &str) -> Vec<u64> {
    let plain: String = text.chars().filter(|c| !matches!(c, ',' | '_' | '\'')).collect();
    plain.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

/// Dumps a core of Everything; rjcore's summary must name the number of objects in the dump.
fn dumped(version: u32, gc: &str, dir: &Scratch) -> Dump {
    let jvm = Jvm::start(version, &[&SMALL, &[gc][..]].concat(), "Everything", dir);
    jvm.gcore(&dir.path("gcore"));
    drop(jvm);
    let out =
        run(rjcore().arg("dump").arg(dir.path("gcore")).arg("-o").arg(dir.path("ours.hprof")));
    let summary = [out.stdout, out.stderr].concat();
    let summary = String::from_utf8_lossy(&summary);
    let dump = Dump::open(&dir.path("ours.hprof"));
    assert_eq!(dump.problems, Vec::<String>::new());
    let objects = dump.objects.len() as u64;
    assert!(objects > 20_000, "{objects} objects");
    assert!(
        numbers(&summary).contains(&objects),
        "the summary does not say {objects} objects:\n{summary}"
    );
    dump
}

/// Instances of the one class of a name, as the tests' own reader finds them.
fn instances(dump: &Dump, class: &str) -> u64 {
    dump.objects.values().filter(|o| dump.class_name(o) == class).count() as u64
}

fn visualvm(dump: &Dump, file: &Path) {
    let jar = dep(".test-deps/visualvm/org-graalvm-visualvm-lib-jfluid-heap.jar");
    let path = std::env::join_paths([classes(), jar]).expect("a class path");
    let few = [
        "java.lang.String",
        "Everything$Node",
        "Everything$Bottom",
        "Everything17$Point",
        "Everything$Empty",
    ];
    // The library keeps its index beside the dump unless told to use another place.
    let said = text(
        Command::new(jdk(17).join("bin/java"))
            .arg("-cp")
            .arg(path)
            .arg("VisualVmCount")
            .arg(file)
            .args(few),
    );
    let said: BTreeMap<&str, i64> = said
        .lines()
        .filter_map(|l| l.split_once(' '))
        .map(|(k, v)| (k, v.parse().expect("a number")))
        .collect();
    assert_eq!(said["instances"], dump.objects.len() as i64, "VisualVM's instances");
    assert_eq!(said["summary-instances"], dump.objects.len() as i64, "VisualVM's summary");
    assert_eq!(said["classes"], dump.classes.len() as i64, "VisualVM's classes");
    for class in few {
        let n = instances(dump, &class.replace('.', "/"));
        assert!(n > 0, "no {class} in the dump");
        assert_eq!(said[class], n as i64, "VisualVM's {class}");
    }
}

fn slurp(dump: &Dump, file: &Path) {
    let said = text(Command::new(dep(".test-deps/bin/hprof-slurp")).arg(file));
    let count = |what: &str| -> usize {
        let line = said
            .lines()
            .find_map(|l| l.trim_start_matches('.').strip_prefix(what)?.strip_prefix(": "));
        let line = line.unwrap_or_else(|| panic!("hprof-slurp says no {what:?}:\n{said}"));
        line.trim().parse().unwrap_or_else(|e| panic!("{what}: {line:?}: {e}"))
    };
    let of = |f: fn(&Kind) -> bool| dump.objects.values().filter(|o| f(&o.kind)).count();
    assert_eq!(count("GC instance dump"), of(|k| *k == Kind::Instance));
    assert_eq!(count("GC object array dump"), of(|k| *k == Kind::Objects));
    assert_eq!(count("GC primitive array dump"), of(|k| matches!(k, Kind::Primitives(_))));
    assert_eq!(count("GC class dump"), dump.classes.len());
    let roots =
        |tag: u8| dump.roots.iter().filter(|(r, _)| r.tag == tag).map(|(_, n)| n).sum::<usize>();
    for (what, tag) in
        [("thread objects", 8), ("JNI global", 1), ("sticky class", 5), ("monitor used", 7)]
    {
        assert_eq!(count(&format!("GC root {what}")), roots(tag), "{what}");
    }
    assert!(roots(5) > 100 && roots(8) > 5, "hardly any roots");
}

fn others_open_it(version: u32, gc: &str) {
    let dir = Scratch::new(&format!("readers-{version}"));
    let dump = dumped(version, gc, &dir);
    visualvm(&dump, &dir.path("ours.hprof"));
    slurp(&dump, &dir.path("ours.hprof"));
}

/// The readers that docs/hprof.md names, and whether they take a file: VisualVM, hprof-slurp, jhat of JDK 8.
fn who_opens(file: &Path) -> [bool; 3] {
    let jar = dep(".test-deps/visualvm/org-graalvm-visualvm-lib-jfluid-heap.jar");
    let path = std::env::join_paths([classes(), jar]).expect("a class path");
    let mut visualvm = Command::new(jdk(17).join("bin/java"));
    visualvm.arg("-cp").arg(path).arg("VisualVmCount").arg(file).arg("java.lang.String");
    let mut slurp = Command::new(dep(".test-deps/bin/hprof-slurp"));
    let mut jhat = jdks::command(8, "jhat");
    let commands = [&mut visualvm, slurp.arg(file), jhat.args(["-parseonly", "true"]).arg(file)];
    commands.map(|cmd| {
        let out = cmd.output().unwrap_or_else(|e| panic!("{cmd:?}: {e}"));
        println!("{cmd:?}: {}", String::from_utf8_lossy(&out.stderr));
        out.status.success()
    })
}

/// What --help and docs/hprof.md say of --gz: these readers open no gzipped dump, be it HotSpot's or ours, and
/// what gunzip makes of ours they all do.
#[test]
fn gzipped_dumps_are_unpacked_first() {
    let dir = Scratch::new("readers-gz");
    let jvm = Jvm::start(17, &SMALL, "Sample", &dir);
    let (theirs, ours) = (dir.path("theirs.hprof.gz"), dir.path("ours.hprof.gz"));
    jvm.jcmd(&["GC.heap_dump", "-all", "-gz=1", theirs.to_str().expect("UTF-8")]);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
    drop(jvm);
    run(rjcore().arg("dump").arg(&core).arg("--gz").arg("-o").arg(&ours));
    assert_eq!([who_opens(&theirs), who_opens(&ours)], [[false; 3]; 2]);
    run(Command::new("gunzip").arg("-k").arg(&ours));
    assert_eq!(who_opens(&dir.path("ours.hprof")), [true; 3]);
    let help = text(rjcore().args(["dump", "--help"]));
    assert!(help.contains("gunzip"), "{help}");
}

#[test]
fn others_open_jdk17_serial() {
    others_open_it(17, "-XX:+UseSerialGC");
}

#[test]
fn others_open_jdk25_g1() {
    others_open_it(25, "-XX:+UseG1GC");
}

/// jhsdb of the same JDK counts the same core: name -> (instances, bytes), names as in Java source.
fn jhsdb(core: &Path) -> BTreeMap<String, (u64, u64)> {
    let said = text(
        Command::new(jdk(17).join("bin/jhsdb"))
            .args(["jmap", "--histo", "--exe"])
            .arg(jdk(17).join("bin/java"))
            .arg("--core")
            .arg(core),
    );
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = words
            .first()
            .and_then(|w| w.strip_suffix(':'))
            .is_some_and(|w| w.parse::<u32>().is_ok());
        if number && words.len() >= 4 {
            // The address of a hidden class stands behind "+" here, behind "/" with jmap -histo.
            let c = counts.entry(words[3].replace("+0x", "/0x")).or_default();
            c.0 += words[1].parse::<u64>().expect("instances");
            c.1 += words[2].parse::<u64>().expect("bytes");
        }
    }
    assert!(counts.len() > 50, "jhsdb printed no histogram:\n{said}");
    counts
}

/// "[[Ljava.lang.Object;" -> "java.lang.Object[][]", the way jhsdb writes it.
fn as_in_source(name: &str) -> String {
    let element = name.trim_start_matches('[');
    let dims = name.len() - element.len();
    if dims == 0 {
        return name.to_owned();
    }
    let element = match element {
        "Z" => "boolean",
        "B" => "byte",
        "C" => "char",
        "S" => "short",
        "I" => "int",
        "J" => "long",
        "F" => "float",
        "D" => "double",
        e => e.trim_start_matches('L').trim_end_matches(';'),
    };
    format!("{element}{}", "[]".repeat(dims))
}

#[test]
fn jhsdb_counts_the_same() {
    let dir = Scratch::new("jhsdb");
    let core = dir.path("gcore");
    let jvm =
        Jvm::start(17, &[&SMALL, &["-Xmx16m", "-XX:+UseSerialGC"][..]].concat(), "Sample", &dir);
    jvm.gcore(&core);
    drop(jvm);
    let json: serde_json::Value =
        serde_json::from_str(&text(rjcore().arg("histo").arg(&core).arg("--json"))).expect("JSON");
    let mut ours: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for c in json["classes"].as_array().expect("classes") {
        let e = ours.entry(as_in_source(c["name"].as_str().expect("name"))).or_default();
        e.0 += c["instances"].as_u64().expect("instances");
        e.1 += c["bytes"].as_u64().expect("bytes");
    }
    let theirs = jhsdb(&core);
    let off: Vec<String> = theirs
        .keys()
        .chain(ours.keys())
        .filter(|n| theirs.get(*n) != ours.get(*n))
        .map(|n| format!("{n}: jhsdb {:?}, rjcore {:?}", theirs.get(n), ours.get(n)))
        .collect();
    assert!(off.is_empty(), "counted differently:\n{}", off.join("\n"));
}

/// What VisualVM's library says of a thread: its frames in order; what they hold.
type ItsThread = (Vec<String>, BTreeMap<String, usize>);

fn visualvm_stacks(file: &Path) -> BTreeMap<u64, ItsThread> {
    let jar = dep(".test-deps/visualvm/org-graalvm-visualvm-lib-jfluid-heap.jar");
    let path = std::env::join_paths([classes(), jar]).expect("a class path");
    let mut cmd = Command::new(jdk(17).join("bin/java"));
    let said = text(cmd.arg("-cp").arg(path).arg("VisualVmStacks").arg(file));
    let mut out: BTreeMap<u64, ItsThread> = BTreeMap::new();
    for line in said.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let ["thread", id, kind, what] = words[..] else { panic!("{line:?}") };
        let thread = out.entry(id.parse().expect("an id")).or_default();
        match kind {
            "frame" => thread.0.push(what.to_owned()),
            "thread" => {}
            _ => *thread.1.entry(format!("{kind} {what}")).or_default() += 1,
        }
    }
    out
}

/// VisualVM shows the same stacks and the same locals, whoever wrote the dump; and they are those in it.
fn stacks_in_visualvm(version: u32) {
    let dir = Scratch::new(&format!("readers-stacks-{version}"));
    let jvm = Jvm::start(version, &SMALL, "Stacks", &dir);
    let (hotspot, core, ours) =
        (dir.path("hotspot.hprof"), dir.path("core"), dir.path("ours.hprof"));
    jvm.heap_dump(&hotspot);
    jvm.gcore(&core);
    drop(jvm);
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&ours));
    let (theirs, seen) = (visualvm_stacks(&hotspot), visualvm_stacks(&ours));
    let dump = Dump::open(&ours);
    let (mut threads, mut frames, mut held) = (0, 0, 0);
    for (id, (stack, objects)) in &theirs {
        let (ours, ours_hold) = seen.get(id).unwrap_or_else(|| panic!("no thread {id:#x}"));
        // Each ends where the others' do, but it runs.
        if stack.iter().any(|f| f.contains("Stacks.lambda$main$") && spins(f)) {
            continue;
        }
        assert_eq!(stack, ours, "VisualVM's stack of {id:#x}: HotSpot's dump, then rjcore's");
        assert_eq!(objects, ours_hold, "VisualVM's locals of {id:#x}");
        let (_, written) = &dump.threads()[id];
        let method = |f: &String| f.split(['(', ' ']).next().unwrap_or("").replace('/', ".");
        let methods = |s: &[String]| s.iter().map(method).collect::<Vec<_>>();
        assert_eq!(methods(ours), methods(written), "VisualVM's stack of {id:#x}");
        threads += 1;
        frames += stack.len();
        held += objects.values().sum::<usize>();
    }
    println!("{threads} threads, {frames} frames, {held} objects that they hold");
    assert!(threads >= 30 && frames > 700 && held > 400, "{threads}, {frames}, {held}");
}

/// A frame of a thread that runs.
fn spins(frame: &str) -> bool {
    ["$19 ", "$20 ", "$21 "].iter().any(|l| frame.contains(l))
}

#[test]
fn visualvm_shows_the_stacks_of_jdk17() {
    stacks_in_visualvm(17);
}

#[test]
fn visualvm_shows_the_stacks_of_jdk25() {
    stacks_in_visualvm(25);
}

/// JDK 8's jhat reads a file once, from its start to its end, and says what it could not look up.
#[test]
fn jhat_finds_the_stacks_of_unmounted_virtual_threads() {
    let dir = Scratch::new("readers-jhat");
    let jvm = Jvm::start(25, &SMALL, "Stacks virtual", &dir);
    let (core, ours) = (dir.path("core"), dir.path("ours.hprof"));
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&ours));
    let dump = Dump::open(&ours);
    let is_virtual = |id: &&u64| dump.class_name(&dump.objects[id]) == "java/lang/VirtualThread";
    assert!(dump.threads().keys().filter(is_virtual).count() > 6);
    assert_eq!(dump.problems, Vec::<String>::new());
    let out = run(jdks::command(8, "jhat").args(["-J-Xmx512m", "-parseonly", "true"]).arg(&ours));
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(said.contains("Snapshot resolved."), "{said}");
    let warnings: Vec<&str> = said.lines().filter(|l| l.contains("WARNING")).take(5).collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
}

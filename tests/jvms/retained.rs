//! What objects retain, of programs of which it is known: the strong rule says what a collection would free.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Jvm, PATIENTLY, Scratch, rjcore, run, text};

/// Bytes of an array of bytes with so many, and of an object with so many references, with compressed ones.
const fn array(length: u64) -> u64 {
    (16 + length).next_multiple_of(8)
}
const fn object(references: u64) -> u64 {
    (12 + 4 * references).next_multiple_of(8)
}
/// A java.lang.ref.Reference: referent, queue, next, discovered.
const REFERENCE: u64 = object(4);
/// A SoftReference has a timestamp of 8 bytes as well.
const SOFT: u64 = REFERENCE + 8;
const fn payload(length: u64) -> u64 {
    object(1) + array(length)
}

/// Of each class of tests/java/Holders.java its objects: what goes with each, and what hangs below it weakly.
fn truth() -> BTreeMap<&'static str, Vec<(u64, u64)>> {
    let second = object(2) + array(1_410_000);
    let inner = object(2) + array(2_300_000);
    BTreeMap::from([
        ("Plain", vec![(payload(1_000_000), 0)]),
        // A weak reference elsewhere takes nothing away, and no dead object does.
        ("WeakToo", vec![(payload(2_000_000), 0)]),
        ("GarbageToo", vec![(payload(3_000_000), 0)]),
        // The Finalizer refers to what it owns.
        ("Owner", vec![(object(1) + payload(4_000_000), 0)]),
        ("WeakCache", vec![(object(1) + REFERENCE, array(5_000_000))]),
        ("Soft", vec![(SOFT, payload(1_100_000))]),
        ("Phantom", vec![(REFERENCE, payload(1_150_000))]),
        // Softly held is more than weakly held.
        ("SoftAndWeak", vec![(object(2) + SOFT + REFERENCE, payload(1_200_000))]),
        ("SharedA", vec![(object(1), 0)]),
        ("SharedB", vec![(object(1), 0)]),
        ("Ring", vec![(object(2) + array(1_400_000) + second, 0), (second, 0)]),
        ("Twice", vec![(object(1) + object(1 + 3) + array(1_500_000), 0)]),
        ("Outer", vec![(object(2) + inner + array(10_000), 0)]),
        ("Outer$Inner", vec![(inner, 0)]),
        ("OfThread", vec![(payload(2_100_000), 0)]),
        ("Local", vec![(payload(3_100_000), 0), (payload(2_500_000), 0)]),
    ])
}

fn ask(core: &std::path::Path, args: &[&str]) -> Value {
    let said = text(rjcore().arg("retained").arg(core).args(args).args(["--json", "--top", "200"]));
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["whole"], true, "{said}");
    said
}

fn bytes(of: &Value, field: &str) -> u64 {
    of[field].as_u64().unwrap_or_else(|| panic!("{field} of {of}"))
}

/// What is listed of a group or an object with that name.
fn named<'a>(all: &'a Value, list: &str, field: &str, name: &str) -> &'a Value {
    let all = all[list].as_array().expect("a list");
    let is_it = |v: &&Value| v[field].as_str().is_some_and(|n| n.starts_with(name));
    all.iter().find(is_it).unwrap_or_else(|| panic!("no {name} in {all:?}"))
}

fn holders(name: &str, version: u32, flags: &[&str]) {
    let dir = Scratch::new(&format!("retained-{name}"));
    let common = ["-Xmx128m", "-XX:ReservedCodeCacheSize=32m", "-Xint"];
    let jvm = Jvm::start(version, &[&common, flags].concat(), "Holders", &dir);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    let objects = ask(&core, &["--class", "Holders$*"]);
    let mut found: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    for of in objects["objects"].as_array().expect("objects") {
        let class = of["class"].as_str().and_then(|c| c.strip_prefix("Holders$"));
        let class = class.expect("one of the program's");
        found.entry(class).or_default().push((bytes(of, "retained"), bytes(of, "weaker")));
    }
    for (class, truth) in truth() {
        assert_eq!(found.get(class), Some(&truth), "{class}");
    }
    // A dead object is none of those that are held, nor is what only weaker references hold.
    assert!(!found.contains_key("Dead"), "{found:?}");
    let weaker = |class: &str| {
        let of = named(&objects, "weaker_objects", "class", class);
        (of["strength"].as_str().expect("a word").to_owned(), bytes(of, "retained"))
    };
    let payloads = objects["weaker_objects"].as_array().expect("objects");
    let mut payloads: Vec<(String, u64)> = payloads
        .iter()
        .filter(|o| o["class"] == "Holders$Payload")
        .map(|o| (o["strength"].as_str().expect("a word").to_owned(), bytes(o, "retained")))
        .collect();
    payloads.sort();
    let expected = [
        ("phantom".to_owned(), payload(1_150_000)),
        ("soft".into(), payload(1_100_000)),
        ("soft".into(), payload(1_200_000)),
    ];
    assert_eq!(payloads, expected);
    assert_eq!(weaker("Holders$Payload").0, "soft");
    // An object whose class can be unloaded holds that, its loader, and all that those hold, which is little more.
    let (plugin, least) = (found["Plugin"][0].0, array(1_600_000) + array(1_700_000));
    assert!(plugin > least && plugin < least + 60_000, "{plugin}, {least}");
    let all = ask(&core, &[]);
    let of_class = named(&all, "objects", "label", "Holders$Statics");
    let statics = bytes(of_class, "retained") - bytes(of_class, "shallow");
    assert!((array(1_900_000)..array(1_902_000)).contains(&statics), "{of_class}");
    // Threads hold their locals and thread locals, and little else.
    let threads = ask(&core, &["--by", "thread"]);
    let main = bytes(named(&threads, "groups", "name", "\"main\""), "retained");
    let least = payload(3_100_000) + payload(2_100_000);
    assert!((least..least + 50_000).contains(&main), "{main}, {least}");
    let holder = bytes(named(&threads, "groups", "name", "\"holder\""), "retained");
    assert!((payload(2_500_000)..payload(2_550_000)).contains(&holder), "{holder}");
    // What all of a class hold is what the first of a ring does.
    let classes = ask(&core, &["--by", "class", "--class", "Holders$*"]);
    for class in ["Ring", "Outer", "Local"] {
        let group =
            bytes(named(&classes, "groups", "name", &format!("Holders${class}")), "retained");
        let all = &truth()[class];
        let alone = if class == "Ring" { all[0].0 } else { all.iter().map(|t| t.0).sum() };
        assert_eq!(group, alone, "{class}");
    }
    // The sums are those of the roots' parts.
    let roots = ask(&core, &["--by", "root"]);
    let sum: u64 =
        roots["groups"].as_array().expect("groups").iter().map(|g| bytes(g, "retained")).sum();
    assert_eq!(sum, bytes(&roots["totals"], "strong"));
    // MAT's rule: a weak reference holds as any other does.
    let mat = ask(&core, &["--like", "mat", "--class", "Holders$*"]);
    for (class, retained) in [
        ("Plain", payload(1_000_000)),
        ("WeakToo", object(1)),
        ("Owner", object(1)),
        ("WeakCache", object(1) + REFERENCE + array(5_000_000)),
    ] {
        let of = named(&mat, "objects", "class", &format!("Holders${class}"));
        assert_eq!(bytes(of, "retained"), retained, "{class} like MAT");
    }
    for threads in ["1", "3"] {
        let again = ask(&core, &["--class", "Holders$*", "--threads", threads]);
        assert!(again == objects, "{threads} threads");
    }
}

#[test]
fn jdk17_g1() {
    holders("jdk17-g1", 17, &["-XX:+UseG1GC"]);
}

#[test]
fn jdk17_serial() {
    holders("jdk17-serial", 17, &["-XX:+UseSerialGC"]);
}

#[test]
fn jdk25_g1() {
    holders("jdk25-g1", 25, &["-XX:+UseG1GC"]);
}

#[test]
fn jdk25_parallel() {
    holders("jdk25-parallel", 25, &["-XX:+UseParallelGC"]);
}

/// Of a snapshot nothing is written, so that a signal ends the work at once, wherever it is.
#[test]
fn a_signal_ends_it_at_once() {
    let dir = Scratch::new("retained-signal");
    let jvm = Jvm::start(17, &["-Xmx512m"], "BigHeap 200 small", &dir);
    let mut cmd = rjcore();
    cmd.args(["retained", "--threads", "1", &jvm.pid().to_string()]);
    let mut child = cmd.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("rjcore");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("stood still") {
        line.clear();
        assert!(said.read_line(&mut line).expect("text") > 0, "ended before it was captured");
    }
    child.signal(Signal::INT);
    let out = child.wait_with_output().expect("its end");
    // By the signal; or by its exit code, if it came before that was settled.
    let ended = out.status.signal() == Some(Signal::INT.as_raw()) || out.status.code() == Some(130);
    assert!(ended && out.stdout.is_empty(), "{:?}", out.status);
}

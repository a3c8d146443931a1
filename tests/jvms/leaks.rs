//! Programs that leak, each in one of the ways that programs do (tests/java/Leaks.java): the first suspect names the
//! field that is to blame. And healthy ones, of which there is nothing to say.

use std::path::Path;

use serde_json::Value;

use crate::support::{Jvm, PATIENTLY, Scratch, rjcore, run, text};

/// A program, the field that it leaks by, and words that a colleague would use.
const LEAKS: [(&str, &str, &[&str]); 12] = [
    ("static-map", "Leaks$Registry.ENTRIES", &["The static field", "24,000 byte[]"]),
    ("listeners", "Leaks$Bus.listeners", &["Leaks$Bus.BUS leads there", "3,000 Leaks$Listener"]),
    (
        "thread-local",
        "Leaks$PerThread.CONTEXT",
        &["thread local", "8 java.lang.Thread", "12,000 byte[]"],
    ),
    ("class-loader", "Leaks$Hooks.AT_END", &["8 class loaders", "a leak of class loaders"]),
    ("queue", "Leaks$Jobs.WORKER", &["ThreadPoolExecutor", "Leaks$Job"]),
    (
        "cache",
        "Leaks$Prices.cache",
        &["24,000 Leaks$Price", "thread \"main\", in Leaks.serve(Leaks.java:"],
    ),
    ("statements", "Leaks$Connection.open", &["in 5 Leaks$Connection", "12,000 Leaks$Statement"]),
    ("interned", "Leaks$Names.KNOWN", &["120,000 java.lang.String"]),
    // No field is to blame, but a class.
    (
        "finalizers",
        "",
        &["wait for finalizers", "Leaks$Slow", "in Leaks$Slow.finalize(Leaks.java:"],
    ),
    (
        "inner",
        "Leaks$Window.CALLBACKS",
        &["Leaks$Screen$1.this$0", "an inner class keeps its outer object"],
    ),
    (
        "direct",
        "Leaks$Buffers.USED",
        &["30.0 MB outside of the heap", "30 java.nio.DirectByteBuffer"],
    ),
    ("sessions", "Leaks$Sessions.OPEN", &["3,000 Leaks$Session", "By Leaks$Session.attributes"]),
];
/// Not among the twelve, and like them.
const OTHERS: [(&str, &str, &[&str]); 2] = [
    ("soft-cache", "Leaks$Images.CACHE", &["soft references at most", "3,000 byte[]"]),
    ("chain", "Leaks$Chain.first", &["800,000 Leaks$Link", "one held by the other"]),
];
/// What an idle JVM holds, a server all of whose parts are small, much garbage, and strings that only the JVM's table of
/// interned strings leads to.
const HEALTHY: [&str; 4] = ["idle", "spread", "garbage", "interned-only"];

fn ask(input: &Path, args: &[&str]) -> Value {
    let said = text(rjcore().arg("leaks").arg(input).args(args).arg("--json"));
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["whole"], true, "{said}");
    said
}

fn capture(version: u32, program: &str, dir: &Scratch) -> std::path::PathBuf {
    let flags = ["-Xmx128m", "-XX:ReservedCodeCacheSize=32m", "-Xint"];
    let jvm = Jvm::start(version, &flags, &format!("Leaks {program}"), dir);
    let core = dir.path("core");
    run(rjcore()
        .args(["capture", PATIENTLY, &jvm.pid().to_string(), "--overwrite", "-o"])
        .arg(&core));
    core
}

/// Whether the first suspect is the one.
fn is_named(answer: &Value, field: &str, words: &[&str]) {
    let first = &answer["suspects"][0];
    let text = first["text"].as_str().unwrap_or_else(|| panic!("no suspect: {answer}"));
    let found = match first["field"].is_object() {
        true => format!("{}.{}", first["field"]["class"], first["field"]["name"]).replace('"', ""),
        false => String::new(),
    };
    if !field.is_empty() {
        assert_eq!(found, field, "{first:#}");
    }
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert_eq!(answer["suspect_count"], 1, "{answer:#}");
    assert!(first["share"].as_f64().is_some_and(|s| s > 80.0), "{first:#}");
    assert!(!first["next"].as_array().expect("advice").is_empty());
}

fn all(version: u32, programs: &[(&str, &str, &[&str])]) {
    let dir = Scratch::new(&format!("leaks-{version}-{}", programs[0].0));
    for (program, field, words) in programs {
        let core = capture(version, program, &dir);
        let of_core = ask(&core, &[]);
        is_named(&of_core, field, words);
        if ["listeners", "thread-local", "direct"].contains(program) {
            let again = ask(&core, &["--threads", "1"]);
            assert!(again == of_core, "{program}: one thread");
            let dump = dir.path("heap.hprof");
            run(rjcore().arg("dump").arg(&core).args(["--overwrite", "-o"]).arg(&dump));
            is_named(&ask(&dump, &[]), field, words);
        }
    }
}

fn healthy(version: u32) {
    let dir = Scratch::new(&format!("leaks-healthy-{version}"));
    for program in HEALTHY {
        let core = capture(version, program, &dir);
        let answer = ask(&core, &[]);
        assert_eq!(answer["suspect_count"], 0, "{program}: {answer:#}");
        let said = answer["text"].as_str().expect("a text");
        assert!(said.contains("Nothing stands out"), "{said}");
        if program == "spread" {
            // Not only for being small.
            assert_eq!(ask(&core, &["--min", "1M"])["suspect_count"], 0, "{program}");
        }
    }
}

macro_rules! programs {
    ($($name:ident: $version:literal, $of:expr;)*) => { $(
        #[test]
        fn $name() {
            all($version, $of);
        }
    )* };
}

programs! {
    jdk17_first: 17, &LEAKS[..6];
    jdk17_second: 17, &LEAKS[6..];
    jdk17_others: 17, &OTHERS;
    jdk25_first: 25, &LEAKS[..6];
    jdk25_second: 25, &LEAKS[6..];
}

/// Of a JVM that runs on, of which a snapshot is taken: the suspect, and what is shown of it by its address.
fn of_a_live_one(version: u32) {
    let dir = Scratch::new(&format!("leaks-live-{version}"));
    let flags = ["-Xmx128m", "-XX:ReservedCodeCacheSize=32m", "-XX:+UseSerialGC", "-Xint"];
    let jvm = Jvm::start(version, &flags, "Leaks static-map", &dir);
    let pid = jvm.pid().to_string();
    let (_, field, words) = LEAKS[0];
    let found = ask(Path::new(&pid), &[]);
    is_named(&found, field, words);
    let path = found["suspects"][0]["path"].as_array().expect("a path");
    let map = path.iter().find(|s| s["class"] == "java.util.HashMap").expect("the map");
    let address = map["object"].as_str().expect("an address");
    // It stands still: the map is where it was.
    let shown = text(rjcore().args(["show", &pid, address, "--json"]));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&shown["class"], &shown["whole"]), (&map["class"], &true.into()), "{shown}");
    assert_eq!(shown["collection"]["size"], 24_000, "{shown}");
    assert!(shown["retained"].as_u64().is_some_and(|b| b > 24_000_000), "{shown}");
}

#[test]
fn jdk17_live() {
    of_a_live_one(17);
}

#[test]
fn jdk25_live() {
    of_a_live_one(25);
}

#[test]
fn jdk17_healthy() {
    healthy(17);
}

#[test]
fn jdk25_healthy() {
    healthy(25);
}

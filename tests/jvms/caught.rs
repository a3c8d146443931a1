//! Cores that were taken in the middle of a garbage collection: each command says so and what it costs, and
//! answers 3 only where its own answer is touched.
//!
//! Threads of tests/java/Churn make the JVM collect all the time; gdb takes cores until one is caught.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{Jvm, Scratch, rjcore};
use serde_json::Value;

const FLAGS: [&str; 2] = ["-Xmx48m", "-XX:ReservedCodeCacheSize=32m"];
/// Every second core is caught, as a rule.
const CORES: usize = 40;

fn answer(core: &Path, args: &[&str]) -> Output {
    rjcore().arg(args[0]).arg(core).args(&args[1..]).output().expect("rjcore")
}

fn json(core: &Path, args: &[&str]) -> (Option<i32>, Value) {
    let out = answer(core, args);
    let json = serde_json::from_slice(&out.stdout).expect("JSON");
    (out.status.code(), json)
}

/// A core of a JVM that was moving objects, or none where that is not met with.
fn caught(gc: &str, dir: &Scratch) -> PathBuf {
    let jvm = Jvm::start(17, &[&FLAGS[..], &[gc]].concat(), "Churn 2 0", dir);
    let core = dir.path("core");
    for _ in 0..CORES {
        jvm.gcore(&core);
        let (_, check) = json(&core, &["check", "--json"]);
        if check["collection"]["objects_moving"] == true {
            return core;
        }
        std::fs::remove_file(&core).expect("the core");
    }
    panic!("none of {CORES} cores was taken while {gc} moved objects");
}

fn costs(gc: &str) {
    let dir = Scratch::new(&format!("caught{}", gc.replace(':', "")));
    let core = caught(gc, &dir);
    let (code, check) = json(&core, &["check", "--json"]);
    assert_eq!((code, &check["verdict"]), (Some(3), &"gaps".into()));
    assert_eq!(check["damaged"], Value::Array(Vec::new()), "a collection is no damage");
    let line = check["text"].as_str().expect("a line");
    assert!(line.starts_with("gaps: caught in the middle of a garbage collection; "), "{line}");

    let out = dir.path("out");
    let out = out.to_str().expect("UTF-8");
    for (args, affected) in [
        (&["histo", "--json"][..], true),
        (&["dump", "--json", "-o", out], true),
        (&["stack", "--json"], false),
        (&["stack", "--json", "--no-heap"], false),
    ] {
        let (code, said) = json(&core, args);
        let collection = &said["gaps"]["collection"];
        assert_eq!(collection["affected"], affected, "{args:?}: {collection}");
        assert_eq!(said["whole"], !affected, "{args:?}: {}", said["gaps"]);
        assert_eq!(code, Some(if affected { 3 } else { 0 }), "{args:?}");
        let message = collection["text"].as_str().expect("a message");
        assert!(message.contains("the middle of a garbage collection: "), "{message}");
    }
    // The threads stand at a safepoint: their stacks are whole.
    let (_, stacks) = json(&core, &["stack", "--json"]);
    let churning = stacks["threads"].as_array().expect("threads").iter();
    let churning = churning.filter(|t| t["name"].as_str().is_some_and(|n| n.starts_with("churn ")));
    let ends: Vec<_> = churning
        .map(|t| {
            let frames = t["stack"]["frames"].as_array().expect("frames");
            (t["stack"]["broken"].clone(), frames.last().expect("a frame")["method"].clone())
        })
        .collect();
    assert_eq!(ends, [(Value::Null, "run".into()), (Value::Null, "run".into())]);

    let info = answer(&core, &["info"]);
    let text = String::from_utf8_lossy(&info.stdout);
    assert_eq!(info.status.code(), Some(0), "{text}");
    assert!(text.contains("the middle of a garbage collection; what that costs\n"), "{text}");
    let trimmed = dir.path("small");
    let trim = answer(&core, &["trim", "-o", trimmed.to_str().expect("UTF-8")]);
    assert_eq!(trim.status.code(), Some(0), "{trim:?}");
    // It is no less than it was.
    let objects = |core: &Path| json(core, &["histo", "--json"]).1["total"].clone();
    assert_eq!(objects(&trimmed), objects(&core));
}

#[test]
fn serial() {
    costs("-XX:+UseSerialGC");
}

#[test]
fn parallel() {
    costs("-XX:+UseParallelGC");
}

#[test]
fn g1() {
    costs("-XX:+UseG1GC");
}

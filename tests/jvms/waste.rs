//! Memory that does no work, of a program of which it is known: tests/java/Waste.java.

use std::path::Path;

use serde_json::Value;

use crate::support::{Jvm, PATIENTLY, Scratch, jdks, rjcore, run, text};

/// Bytes of an array with so many elements of so many bytes, and of an object with so many bytes of fields, with
/// compressed references.
const fn array(length: u64, each: u64) -> u64 {
    (16 + length * each).next_multiple_of(8)
}
const fn object(fields: u64) -> u64 {
    (12 + fields).next_multiple_of(8)
}

/// Who holds what by a field of this program: kind, class and field, whether it lies in what that leads to, how many objects,
/// and how many bytes they could save; none where JDKs differ. `char_bytes` are those of a Latin-1 character in a String.
fn truth(char_bytes: u64) -> Vec<(&'static str, &'static str, bool, u64, Option<u64>)> {
    let string = object(if char_bytes == 1 { 10 } else { 8 });
    let text = string + array("duplicate !!".len() as u64, char_bytes);
    let list = object(12);
    // "built " and a number: ten of one digit, ninety of two.
    let built = 10 * array(7, char_bytes) + 90 * array(8, char_bytes);
    let mut all = vec![
        ("duplicate_strings", "Order.repeated", false, 99, Some(99 * text)),
        ("duplicate_arrays", "Order.blob", false, 99, Some(99 * array(64, 1))),
        ("empty_collections", "Order.untouched", false, 100, Some(100 * list)),
        ("empty_collections", "Order.emptied", false, 100, Some(100 * (list + array(10, 4)))),
        ("empty_collections", "Empties.all", true, 30, None),
        ("empty_collections", "Nested.lists", true, 50, Some(50 * list)),
        ("empty_collections", "View.map", false, 1, Some(object(36))),
        ("empty_collections", "View.wrapped", false, 1, None),
        (
            "sparse_collections",
            "Order.sparse",
            false,
            100,
            Some(100 * (array(16, 4) - array(2, 4))),
        ),
        ("unused_headroom", "Order.roomy", false, 100, Some(100 * (array(10, 4) - array(7, 4)))),
        ("boxed_numbers", "Order.boxed", false, 99, Some(99 * 16)),
        ("zero_length_arrays", "Order.none", false, 99, Some(99 * 16)),
        (
            "overlong_arrays",
            "Order.overlong",
            false,
            100,
            Some(100 * (array(1000, 1) - array(100, 1))),
        ),
        (
            "overlong_arrays",
            "Order.builder",
            false,
            100,
            Some(100 * array(1000, char_bytes) - built),
        ),
        ("overlong_arrays", "Order.stream", false, 100, Some(100 * (array(512, 1) - array(1, 1)))),
    ];
    if char_bytes == 2 {
        // One of the texts stays, and of the others each.
        all.push(("wide_strings", "Order.single", false, 100, None));
        all.push(("wide_strings", "Order.repeated", false, 1, Some(array(12, 2) - array(12, 1))));
    }
    all
}

fn ask(input: &Path, args: &[&str]) -> Value {
    let mut cmd = rjcore();
    cmd.arg("waste").arg(input).args(["--json", "--top", "1000", "--class", "Waste*"]).args(args);
    let said: Value = serde_json::from_str(&text(&mut cmd)).expect("JSON");
    assert_eq!(said["whole"], true, "{said}");
    said
}

/// Kind, class and field, inside or not, objects and bytes; the classes of the wasteful objects together.
fn held(said: &Value) -> Vec<(String, String, bool, u64, u64)> {
    let list = |v: &Value| v.as_array().expect("a list").clone();
    let number = |v: &Value| v.as_u64().expect("a number");
    let mut all: Vec<(String, String, bool, u64, u64)> = Vec::new();
    for kind in list(&said["kinds"]) {
        for holder in list(&kind["holders"]) {
            let class = holder["class"].as_str().expect("a class");
            let class = class.strip_prefix("Waste$").unwrap_or(class);
            let field = format!("{class}.{}", holder["field"].as_str().expect("a field"));
            let kind = kind["kind"].as_str().expect("a kind").to_owned();
            let inside = holder["inside"].as_bool().expect("yes or no");
            let (objects, saves) = (number(&holder["objects"]), number(&holder["saves"]));
            match all.iter_mut().find(|h| (&h.0, &h.1, h.2) == (&kind, &field, inside)) {
                Some(of) => (of.3, of.4) = (of.3 + objects, of.4 + saves),
                None => all.push((kind, field, inside, objects, saves)),
            }
        }
    }
    all.sort();
    all
}

fn waste(name: &str, jvm: impl FnOnce(&Scratch) -> Jvm, char_bytes: u64, root: Option<&Path>) {
    let dir = Scratch::new(&format!("waste-{name}"));
    let jvm = jvm(&dir);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    let sysroot: Vec<&str> =
        root.into_iter().flat_map(|r| ["--sysroot", r.to_str().expect("a path")]).collect();
    let said = ask(&core, &sysroot);
    let found = held(&said);
    for (kind, field, inside, objects, saves) in truth(char_bytes) {
        let of = found.iter().find(|f| (f.0.as_str(), f.1.as_str(), f.2) == (kind, field, inside));
        let of = of.unwrap_or_else(|| panic!("no {kind} of {field} in {found:#?}"));
        assert_eq!(of.3, objects, "{kind} of {field}");
        if let Some(saves) = saves {
            assert_eq!(of.4, saves, "{kind} of {field}");
        }
    }
    // What does its work is not told of.
    for (kind, field) in [
        ("duplicate_strings", "Order.single"),
        ("duplicate_arrays", "Order.own"),
        ("duplicate_arrays", "Order.overlong"),
        ("boxed_numbers", "Order.cached"),
        ("unused_headroom", "Order.full"),
        ("sparse_collections", "Order.full"),
        ("empty_collections", "Filled.all"),
        ("empty_collections", "View.seen"),
    ] {
        assert!(!found.iter().any(|f| f.0 == kind && f.1 == field), "{kind} of {field}");
    }
    // The whole is the sum of the kinds.
    let kinds = said["kinds"].as_array().expect("kinds");
    let sum: u64 = kinds.iter().map(|k| k["saves"].as_u64().expect("bytes")).sum();
    assert_eq!(said["saves"].as_u64(), Some(sum));
    assert!(sum < said["bytes"].as_u64().expect("bytes"));
    let repeated = kinds.iter().find(|k| k["kind"] == "duplicate_strings").expect("some");
    let texts = repeated["values"].as_array().expect("texts").iter();
    assert_eq!(texts.filter(|t| t["value"] == "duplicate !!" && t["copies"] == 100).count(), 1);
    for threads in ["1", "3"] {
        let again = ask(&core, &[&sysroot[..], &["--threads", threads]].concat());
        assert!(again == said, "{threads} threads");
    }
    // The dump of it says the same.
    let dump = dir.path("heap.hprof");
    run(rjcore().arg("dump").arg(&core).args(&sysroot).arg("-o").arg(&dump));
    assert_eq!(held(&ask(&dump, &[])), found);
}

const FLAGS: [&str; 4] = ["-Xmx128m", "-XX:ReservedCodeCacheSize=32m", "-Xint", "-XX:+UseSerialGC"];

#[test]
fn jdk8() {
    let root = jdks::root();
    waste("jdk8", |dir| jdks::start(8, &FLAGS, "Waste", dir), 2, Some(&root));
}

#[test]
fn jdk17() {
    waste("jdk17", |dir| Jvm::start(17, &FLAGS, "Waste", dir), 1, None);
}

#[test]
fn jdk25() {
    let g1 = ["-Xmx128m", "-XX:ReservedCodeCacheSize=32m", "-Xint", "-XX:+UseG1GC"];
    waste("jdk25", |dir| Jvm::start(25, &g1, "Waste", dir), 1, None);
}

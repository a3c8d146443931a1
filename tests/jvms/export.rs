//! `rjcore export`, read by DuckDB: each query of docs/cookbook.md, against what rjcore itself says.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

use crate::support::child::Command;
use crate::support::{Jvm, PATIENTLY, Scratch, dep, rjcore, run, text, tool};

/// What DuckDB answers to the cookbook's queries, by their names.
fn cookbook(tables: &Path, fleet: &Path) -> BTreeMap<String, Vec<Json>> {
    let mut cmd = Command::new(tool("python3"));
    cmd.env("PYTHONPATH", dep(".test-deps/duckdb")).env("PYTHONDONTWRITEBYTECODE", "1");
    cmd.arg(dep("tests/duckdb/cookbook.py")).arg(dep("docs/cookbook.md")).arg(tables).arg(fleet);
    serde_json::from_str(&text(&mut cmd)).expect("JSON")
}

fn ask(core: &Path, words: &str) -> Json {
    let said = text(rjcore().args(words.split(' ')).arg(core).arg("--json"));
    let said: Json = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["whole"], true, "{words}");
    said
}

fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().expect("a list").iter()
}

/// The values of these fields of all rows, in order.
fn sorted<'a>(rows: impl Iterator<Item = &'a Json>, fields: &[&str]) -> Vec<Vec<String>> {
    let of = |row: &Json| fields.iter().map(|f| row[f].to_string()).collect();
    let mut all: Vec<Vec<String>> = rows.map(of).collect();
    all.sort();
    all
}

fn queries_agree(version: u32, gc: &str) {
    let dir = Scratch::new(&format!("export-{version}"));
    let jvm = Jvm::start(version, &[gc, "-Xmx64m"], "Waste", &dir);
    let (core, tables, fleet) = (dir.path("core"), dir.path("tables"), dir.path("fleet"));
    let pid = jvm.pid().to_string();
    run(rjcore().args(["capture", &pid, "--retries", "20", PATIENTLY, "-o"]).arg(&core));
    // Of the live JVM, too: host and name are its own.
    run(rjcore().args(["export", &pid, "--partition", "-o"]).arg(&fleet));
    run(rjcore().arg("export").arg(&core).args(["--text", "-o"]).arg(&tables));
    let of_core = ["--partition", "--host", "other", "--name", "core of a", "-o"];
    run(rjcore().arg("export").arg(&core).args(of_core).arg(&fleet));
    drop(jvm);
    let found = cookbook(&tables, &fleet);

    let histo = ask(&core, "histo --by-space");
    assert_eq!(
        sorted(found["classes_by_bytes"].iter(), &["instances", "shallow"]),
        sorted(list(&histo["classes"]), &["instances", "bytes"])
    );
    let mut by_space: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for row in &found["classes_by_space"] {
        let sums = by_space.entry(row["space"].as_str().expect("a space")).or_default();
        for (sum, field) in sums.iter_mut().zip(["instances", "bytes"]) {
            *sum += row[field].as_u64().expect("a number");
        }
    }
    let spaces = histo["spaces"].as_object().expect("spaces").iter();
    let told = spaces.map(|(space, of)| (space.as_str(), ["instances", "bytes"].map(|f| &of[f])));
    let ours = by_space.into_iter().map(|(space, sums)| (space, sums.map(Json::from)));
    let ours: Vec<_> = ours.collect();
    assert!(ours.iter().map(|(space, [n, b])| (*space, [n, b])).eq(told), "{ours:?}");

    let retained = ask(&core, "retained --top 100");
    assert_eq!(
        sorted(
            found["objects_by_retained"].iter(),
            &["object", "name", "shallow", "retained", "retained_weak"]
        ),
        sorted(list(&retained["objects"]), &["object", "class", "shallow", "retained", "weaker"])
    );
    for row in &found["bytes_by_reach"] {
        let reach = row["reach"].as_str().expect("a word");
        assert_eq!(row["bytes"], retained["totals"][reach], "{reach}");
    }
    let garbage = found["garbage"].iter().map(|r| r["bytes"].as_u64().expect("bytes")).sum::<u64>();
    assert_eq!(retained["totals"]["garbage"], garbage);

    let by_class = ask(&core, "retained --by class --top 1000000");
    let strong = list(&by_class["groups"]).filter(|g| g["retained"] != 0);
    assert_eq!(
        sorted(found["classes_by_retained"].iter(), &["name", "retained"]),
        sorted(strong, &["name", "retained"])
    );
    let threads = ask(&core, "retained --by thread --top 1000000");
    assert_eq!(
        sorted(found["threads_by_retained"].iter(), &["retained", "retained_weak"]),
        sorted(list(&threads["groups"]).filter(|g| g["retained"] != 0), &["retained", "weaker"])
    );

    let waste = ask(&core, "waste --top 1000000");
    let kind = |name: &str| list(&waste["kinds"]).find(|k| k["kind"] == name).cloned();
    let duplicates = kind("duplicate_strings").expect("duplicates");
    let copies = found["duplicate_strings"].iter().map(|r| r["copies"].as_u64().expect("a count"));
    assert_eq!(duplicates["objects"], copies.map(|n| n - 1).sum::<u64>());
    let repeated = found["duplicate_strings"].iter().find(|r| r["text"] == "duplicate !!");
    assert_eq!(repeated.expect("the program's own")["copies"], 100);

    // Each of the program's orders has one.
    let field = |field: &str, class: &str| {
        let mut rows = found["referrers"].iter();
        rows.find(|r| r["field"] == field && r["class"] == class).cloned().expect("a field")
    };
    let repeated = field("repeated", "Waste$Order");
    assert_eq!((&repeated["refs"], &repeated["objects"]), (&100.into(), &100.into()));
    let stack = ask(&core, "stack");
    let states = found["threads_by_state"].iter().filter(|r| r["state"] != Json::Null);
    let states = states.map(|r| r["threads"].as_u64().expect("a count")).sum::<u64>();
    let told = list(&stack["threads"]).filter(|t| t["state"] != Json::Null).count() as u64;
    assert!(states > 3 && states <= told, "{states} of {told} threads");
    for query in ["dominated", "roots_by_kind", "longest_strings", "array_fill"] {
        assert!(!found[query].is_empty(), "{query} answers nothing");
    }
    for row in &found["array_fill"] {
        assert!(row["used"].as_u64() <= row["elements"].as_u64(), "{row}");
    }

    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let of = |host: &str, dump: &str| {
        let rows = found["fleet"].iter().filter(|r| r["host"] == host && r["dump"] == dump);
        rows.filter(|r| r["name"] == "Waste$Order")
            .map(|r| r["instances"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(host.trim(), &pid), [Json::from(100)]);
    assert_eq!(of("other", "core of a"), [Json::from(100)]);
}

#[test]
fn duckdb_and_rjcore_agree_jdk17_g1() {
    queries_agree(17, "-XX:+UseG1GC");
}

#[test]
fn duckdb_and_rjcore_agree_jdk25_serial() {
    queries_agree(25, "-XX:+UseSerialGC");
}

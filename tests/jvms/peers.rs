//! What objects retain, beside what other analysers say of the same dump of HotSpot's. VisualVM's library: equal where no
//! garbage and no weak reference leads to what an object holds. hprof-analyzer: by `--like mat`, whose rule it takes.
//! docs/answers.md says where they differ, and why.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::child::Command;
use crate::support::{Jvm, Scratch, classes, dep, jdk, rjcore, run, text};

/// The largest that are asked for.
const LARGEST: &str = "400";

/// Bytes by the address of the object, of those that tests/java/Shapes.java makes.
type Retained = BTreeMap<u64, u64>;

/// Maps of the JDK's own are small.
fn is_shape(class: &str, bytes: u64) -> bool {
    class.starts_with("Shapes$") || class == "java.util.HashMap" && bytes > 1_000_000
}

fn ask(dump: &Path, words: &[&str]) -> Value {
    let mut cmd = rjcore();
    cmd.arg("retained").arg(dump).arg("--json").args(words);
    serde_json::from_str(&text(&mut cmd)).expect("JSON")
}

/// HotSpot's dump of a JVM that runs a program of ours.
fn dump(program: &str, dir: &Scratch) -> PathBuf {
    let jvm = Jvm::start(17, &["-Xmx128m", "-XX:+UseSerialGC"], program, dir);
    let dump = dir.path("heap.hprof");
    jvm.heap_dump(&dump);
    dump
}

fn ours(dump: &Path) -> Retained {
    let said = ask(dump, &["--top", LARGEST]);
    let all = said["objects"].as_array().expect("objects").iter();
    let bytes = |o: &Value| o["retained"].as_u64().expect("bytes");
    let shapes = all.filter(|o| is_shape(o["class"].as_str().expect("a class"), bytes(o)));
    let address = |o: &Value| {
        let hex = o["object"].as_str().and_then(|a| a.strip_prefix("0x")).expect("an address");
        u64::from_str_radix(hex, 16).expect("a number")
    };
    shapes.map(|o| (address(o), bytes(o))).collect()
}

fn visualvm(dump: &Path, dir: &Scratch) -> Retained {
    let library = dep(".test-deps/visualvm/org-graalvm-visualvm-lib-jfluid-heap.jar");
    let path = std::env::join_paths([classes(), library]).expect("a class path");
    let mut cmd = Command::new(jdk(17).join("bin/java"));
    // It writes its index beside temporary files.
    cmd.arg(format!("-Djava.io.tmpdir={}", dir.path("").display())).arg("-cp").arg(path);
    let said = text(cmd.arg("VisualVmRetained").arg(dump).arg(LARGEST));
    let one = |line: &str| {
        let [id, class, bytes] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let id = u64::from_str_radix(id, 16).expect("an id");
        let bytes = bytes.parse().expect("bytes");
        is_shape(class, bytes).then_some((id, bytes))
    };
    said.lines().filter_map(one).collect()
}

fn same_as_visualvm(shape: &str, least: usize) {
    let dir = Scratch::new(&format!("peers-{}", shape.replace(' ', "-")));
    let dump = dump(&format!("Shapes {shape}"), &dir);
    let (ours, theirs) = (ours(&dump), visualvm(&dump, &dir));
    let both: Vec<u64> = ours.keys().filter(|o| theirs.contains_key(o)).copied().collect();
    assert!(both.len() >= least, "{} of {} and {}", both.len(), ours.len(), theirs.len());
    for object in both {
        assert_eq!(ours[&object], theirs[&object], "{shape}: {object:#x}");
    }
}

#[test]
fn a_list_retains_what_visualvm_says() {
    same_as_visualvm("list 30000", 300);
}

#[test]
fn a_list_of_both_ways_retains_what_visualvm_says() {
    same_as_visualvm("double 30000", 1);
}

#[test]
fn a_map_retains_what_visualvm_says() {
    same_as_visualvm("map 30000", 1);
}

#[test]
fn a_tree_retains_what_visualvm_says() {
    same_as_visualvm("tree 30000", 100);
}

#[test]
fn a_mesh_retains_what_visualvm_says() {
    same_as_visualvm("mesh 5000", 1);
}

#[test]
fn a_ladder_retains_what_visualvm_says() {
    same_as_visualvm("ladder 5000", 1);
}

/// What hprof-analyzer lists has no addresses: its largest objects, with the class, own and retained bytes; a class object has
/// its class's name. And the objects that hold one another from the first suspect down, without their own bytes.
struct Analyzer {
    largest: Vec<(String, u64, u64)>,
    chain: Vec<(String, u64)>,
    /// By class: objects, own and retained bytes; the class object's with the last.
    classes: BTreeMap<String, [u64; 3]>,
}

fn hprof_analyzer(dump: &Path, dir: &Scratch) -> Analyzer {
    let file = dir.path("report.json");
    let mut cmd = Command::new(dep(".test-deps/bin/hprof-analyzer"));
    run(cmd.args(["--detail", "max"]).arg(dump).arg(&file));
    let said = std::fs::read(&file).expect("a report");
    let said: Value = serde_json::from_slice(&said).expect("JSON");
    let list = |of: &Value| of.as_array().expect("a list").clone();
    let name = |of: &Value, field: &str| of[field].as_str().expect("a name").to_owned();
    let bytes = |of: &Value, field: &str| of[field].as_u64().expect("bytes");
    let largest = list(&said["top"]["biggest_objects"]);
    let chain = list(&said["leaks"]["suspects"][0]["path"]);
    let classes = list(&said["overview"]["histogram"]);
    Analyzer {
        largest: largest
            .iter()
            .map(|o| (name(o, "display_class"), bytes(o, "shallow"), bytes(o, "retained")))
            .collect(),
        chain: chain.iter().map(|o| (name(o, "display_class"), bytes(o, "retained"))).collect(),
        classes: classes
            .iter()
            .map(|c| {
                (name(c, "pretty_class"), ["instances", "shallow", "retained"].map(|f| bytes(c, f)))
            })
            .collect(),
    }
}

/// The largest, all of the chain, of which there are so many, and the program's classes.
fn same_as_hprof_analyzer(program: &str, links: usize) {
    let dir = Scratch::new(&format!("analyzer-{}", program.replace(' ', "-")));
    let dump = dump(program, &dir);
    let theirs = hprof_analyzer(&dump, &dir);
    let (mut objects, mut pairs, mut mirrors) = (HashSet::new(), HashSet::new(), BTreeMap::new());
    let said = ask(&dump, &["--like", "mat", "--top", "1000000"]);
    for of in said["objects"].as_array().expect("objects") {
        let is_class = of["class"] == "java.lang.Class";
        let name = if is_class { &of["label"] } else { &of["class"] };
        let name = name.as_str().unwrap_or_default().to_owned();
        let bytes = |field: &str| of[field].as_u64().expect("bytes");
        if is_class {
            mirrors.insert(name.clone(), bytes("retained"));
        }
        pairs.insert((name.clone(), bytes("retained")));
        objects.insert((name, bytes("shallow"), bytes("retained")));
    }
    assert!(theirs.largest.len() == 100 && theirs.chain.len() >= links, "{program}");
    // It reads no protection domains, so these hang on the loader alone.
    let loader = "jdk.internal.loader.ClassLoaders$AppClassLoader";
    for of in theirs.largest.iter().filter(|o| o.0 != loader) {
        assert!(objects.contains(of), "{program}: {of:?}");
    }
    for of in &theirs.chain {
        assert!(pairs.contains(of), "{program}: {of:?}");
    }
    let own = format!("{}$", program.split(' ').next().unwrap_or_default());
    let said = ask(&dump, &["--like", "mat", "--by", "class", "--top", "1000000"]);
    let is_own = |name: &str| name.starts_with(&own) && !name.ends_with("[]");
    let mut ours = BTreeMap::new();
    for group in said["groups"].as_array().expect("groups") {
        let name = group["name"].as_str().expect("a name");
        if is_own(name) {
            let mut of =
                ["objects", "shallow", "retained"].map(|f| group[f].as_u64().expect("bytes"));
            of[2] += mirrors.get(name).unwrap_or(&0);
            ours.insert(name.to_owned(), of);
        }
    }
    let theirs = theirs.classes.into_iter().filter(|(n, c)| is_own(n) && c[0] > 0).collect();
    assert_eq!(ours, theirs, "{program}");
}

#[test]
fn a_list_retains_what_hprof_analyzer_says() {
    same_as_hprof_analyzer("Shapes list 30000", 1000);
}

#[test]
fn a_list_of_both_ways_retains_what_hprof_analyzer_says() {
    same_as_hprof_analyzer("Shapes double 30000", 1000);
}

#[test]
fn a_map_retains_what_hprof_analyzer_says() {
    same_as_hprof_analyzer("Shapes map 30000", 3);
}

#[test]
fn a_tree_retains_what_hprof_analyzer_says() {
    same_as_hprof_analyzer("Shapes tree 30000", 2);
}

#[test]
fn a_mesh_retains_what_hprof_analyzer_says() {
    same_as_hprof_analyzer("Shapes mesh 5000", 2);
}

#[test]
fn a_ladder_retains_what_hprof_analyzer_says() {
    same_as_hprof_analyzer("Shapes ladder 5000", 2);
}

#[test]
fn small_objects_retain_what_hprof_analyzer_says() {
    same_as_hprof_analyzer("BigHeap 8 small", 2);
}

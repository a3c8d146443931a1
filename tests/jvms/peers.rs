//! What objects retain, beside what other analysers say of the same dump of HotSpot's: equal where no garbage and no weak
//! reference leads to what an object holds. docs/answers.md says where they differ, and why.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::child::Command;
use crate::support::{Jvm, Scratch, classes, dep, jdk, rjcore, text};

/// The largest that are asked for.
const LARGEST: &str = "400";

/// Bytes by the address of the object, of those that tests/java/Shapes.java makes.
type Retained = BTreeMap<u64, u64>;

/// Maps of the JDK's own are small.
fn is_shape(class: &str, bytes: u64) -> bool {
    class.starts_with("Shapes$") || class == "java.util.HashMap" && bytes > 1_000_000
}

fn ours(dump: &Path) -> Retained {
    let mut cmd = rjcore();
    cmd.arg("retained").arg(dump).args(["--json", "--top", LARGEST]);
    let said: Value = serde_json::from_str(&text(&mut cmd)).expect("JSON");
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
    let jvm = Jvm::start(17, &["-Xmx128m", "-XX:+UseSerialGC"], &format!("Shapes {shape}"), &dir);
    let dump = dir.path("heap.hprof");
    jvm.heap_dump(&dump);
    drop(jvm);
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

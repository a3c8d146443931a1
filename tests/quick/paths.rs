//! Shortest paths in the sample cores, against a search written down here; and what the commands say of hostile input.

use std::process::Stdio;

use rjcore::corefile::{CoreFile, OpenOptions};
use rjcore::graph::dominators::{Dominators, Rule, Watch};
use rjcore::graph::paths::{By, Paths, referrers};
use rjcore::graph::{ObjectGraph, RootKind, Strength};
use rjcore::heap::graph::View;
use rjcore::heap::{Heap, HeapGraph, pool};
use rjcore::hotspot::Vm;
use serde_json::Value;

use super::support::schema::Checker;
use super::support::{Scratch, dep, rjcore, run, text};

fn quiet() -> Watch<'static> {
    Watch { step: &|_, _| {}, add: &|_| {}, room: &|_| Ok(()) }
}

/// What each object holds, by dense numbers, and the roots.
fn written(graph: &HeapGraph, weakest: Strength) -> (Vec<Vec<u64>>, Vec<u64>) {
    let numbers = graph.numbers();
    let mut holds: Vec<Vec<u64>> = Vec::new();
    for place in numbers.iter() {
        let mut of = Vec::new();
        let class = graph.references(place, |target, strength| {
            if strength <= weakest && numbers.has(target) {
                of.push(numbers.rank(target));
            }
        });
        of.extend(graph.class_object(class).map(|o| numbers.rank(o)));
        holds.push(of);
    }
    let mut roots = Vec::new();
    for root in graph.roots() {
        let thread = root.thread.and_then(|t| graph.threads()[t as usize].object);
        match (root.kind, thread) {
            (RootKind::UnmountedThread, _) => {}
            (RootKind::Frame | RootKind::JniLocal, Some(thread)) => {
                holds[numbers.rank(thread) as usize].push(numbers.rank(root.place));
            }
            _ => roots.push(numbers.rank(root.place)),
        }
    }
    let permanent = graph.classes().iter().filter(|c| c.is_permanent);
    roots.extend(permanent.filter_map(|c| c.object).map(|o| numbers.rank(o)));
    (holds, roots)
}

fn distances(holds: &[Vec<u64>], roots: &[u64]) -> Vec<Option<u64>> {
    let mut away = vec![None; holds.len()];
    let mut level: Vec<u64> = roots.to_vec();
    for distance in 0.. {
        level.retain(|o| away[*o as usize].is_none());
        if level.is_empty() {
            break;
        }
        level.iter().for_each(|o| away[*o as usize] = Some(distance));
        level = level.iter().flat_map(|o| holds[*o as usize].iter().copied()).collect();
    }
    away
}

fn shortest(core: &str, strengths: &[Strength]) {
    let path = dep(&format!("testdata/cores/{core}.core.zst"));
    let core = CoreFile::open(&path, &OpenOptions::default()).expect("a core");
    let vm = Vm::open(&core).expect("its JVM");
    let heap = Heap::open(&vm).expect("its heap");
    let graph = HeapGraph::open(&heap, View::Heap, 2, &|_| {}).expect("a graph");
    let numbers = graph.numbers();
    for weakest in strengths.iter().copied() {
        let (holds, roots) = written(&graph, weakest);
        let away = distances(&holds, &roots);
        let found = [1, 2].map(|threads| {
            let pool = pool(threads).expect("threads");
            let paths = Paths::<_, u32>::find(&graph, weakest, None, &pool, quiet());
            let paths = paths.expect("paths");
            let all: Vec<Vec<u64>> = numbers.iter().map(|p| paths.path(p)).collect();
            for (i, path) in all.iter().enumerate() {
                assert_eq!(path.len().checked_sub(1).map(|n| n as u64), away[i]);
                let Some(last) = path.len().checked_sub(2) else { continue };
                let holder = numbers.rank(path[last]) as usize;
                assert!(holds[holder].contains(&(i as u64)));
                // There is such a reference, or it is a local, or its class.
                let link = paths.link(path[last], path[last + 1]);
                let mut is_there = !matches!(link.by, By::Reference(_));
                graph.describe(path[last], |r| {
                    let same = By::Reference(r.place.clone().into_owned()) == link.by;
                    is_there |= same && r.target == path[last + 1] && r.strength == link.strength;
                });
                assert!(is_there, "{link:?}");
            }
            all
        });
        assert!(found[0] == found[1]);
        assert!(found[0].iter().filter(|p| p.len() > 4).count() > 500);
    }
    // Who refers to each of some objects.
    let pool = pool(2).expect("threads");
    let places: Vec<u64> = numbers.iter().step_by(97).collect();
    let found = referrers(&graph, &places, usize::MAX, &pool, quiet());
    for (place, found) in places.iter().zip(found) {
        let refers = |from: &u64| {
            let mut refers = false;
            graph.references(*from, |target, _| refers |= target == *place);
            refers
        };
        let expected: Vec<u64> = numbers.iter().filter(refers).collect();
        let found = found.first.iter().filter(|r| !r.references.is_empty()).map(|r| r.place);
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn shortest_jdk17_g1() {
    shortest("jdk17-g1", &[Strength::Phantom]);
}

#[test]
fn shortest_jdk25_serial() {
    shortest("jdk25-serial", &[Strength::Strong]);
}

fn asked(core: &str, args: &[&str]) -> Value {
    let said = text(rjcore().arg(args[0]).arg(dep(core)).args(&args[1..]).arg("--json"));
    serde_json::from_str(&said).expect("JSON")
}

/// Each object that retains much is shown, whatever it is, and its paths; by the schemas.
#[test]
fn what_is_shown_keeps_to_the_schemas() {
    let mut schemas = Checker::new();
    for core in ["testdata/cores/jdk17-g1.core.zst", "testdata/cores/jdk25-g1.core.zst"] {
        let held = asked(core, &["retained", "--top", "25"]);
        for list in ["objects", "weaker_objects"] {
            for of in held[list].as_array().expect("objects").iter().step_by(9) {
                let address = of["object"].as_str().expect("an address");
                let shown = asked(core, &["show", address]);
                schemas.check("show", &shown, address);
                assert_eq!((&shown["class"], &shown["retained"]), (&of["class"], &of["retained"]));
                assert_eq!(shown["strength"], of["strength"]);
                let classes = shown["retains"].as_array().expect("classes").len();
                let sum = shown["retains"].as_array().expect("classes").iter();
                let sum: u64 = sum.map(|k| k["bytes"].as_u64().expect("bytes")).sum();
                assert!(classes == 20 || shown["retained"] == sum, "{shown}");
                let paths = asked(core, &["paths", address, "--weak"]);
                schemas.check("paths", &paths, address);
                assert!(!paths["paths"].as_array().expect("paths").is_empty(), "{paths}");
            }
        }
        let tree = asked(core, &["paths", "java.lang.*", "--top", "3"]);
        schemas.check("paths", &tree, core);
        let tree = &tree["tree"];
        let roots = tree["branches"].as_array().expect("branches").iter();
        let shown = roots.filter(|b| b["depth"] == 0).map(|b| b["objects"].as_u64().unwrap_or(0));
        assert!(shown.sum::<u64>() <= tree["objects"].as_u64().expect("a number"));
    }
}

/// What was merged is all there is: each class's objects that paths lead to, once.
#[test]
fn a_tree_has_all_objects_of_a_class() {
    let core = "testdata/cores/jdk17-serial.core.zst";
    let classes = asked(core, &["retained", "--by", "class", "--top", "40"]);
    let mut checked = 0;
    for class in classes["groups"].as_array().expect("groups").iter().step_by(3) {
        let name = class["name"].as_str().expect("a name");
        let tree = &asked(core, &["paths", name, "--top", "100000"])["tree"];
        if tree.is_null() || class["weaker"] != 0 {
            continue;
        }
        checked += 1;
        assert_eq!(tree["objects"], class["objects"], "{name}");
        assert_eq!(tree["retained"], class["retained"], "{name}");
        let branches = tree["branches"].as_array().expect("branches");
        let roots = branches.iter().filter(|b| b["depth"] == 0);
        let sum: u64 = roots.map(|b| b["objects"].as_u64().expect("objects")).sum();
        assert_eq!(tree["objects"], sum, "{name}");
    }
    assert!(checked > 5, "{checked}");
}

#[test]
fn a_dump_has_the_same_paths() {
    let core = dep("testdata/cores/jdk17-g1.core.zst");
    let dir = Scratch::new("paths-dump");
    let dump = dir.path("heap.hprof");
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&dump));
    let tree = |input: &std::path::Path| {
        let said = text(rjcore().arg("paths").arg(input).args(["Sample$Item", "--json"]));
        let said: Value = serde_json::from_str(&said).expect("JSON");
        said["tree"].clone()
    };
    let of_core = tree(&core);
    assert_eq!(of_core["objects"], 300);
    assert_eq!(of_core, tree(&dump));
}

/// Garbage, and what lies in it alone.
#[test]
fn garbage_is_told_as_such() {
    let name = "testdata/cores/jdk17-g1.core.zst";
    let core = CoreFile::open(&dep(name), &OpenOptions::default()).expect("a core");
    let vm = Vm::open(&core).expect("its JVM");
    let heap = Heap::open(&vm).expect("its heap");
    let graph = HeapGraph::open(&heap, View::Heap, 2, &|_| {}).expect("a graph");
    let pool = pool(2).expect("threads");
    let tree = Dominators::<_, u32>::find(&graph, Rule::Strong, &pool, quiet()).expect("a tree");
    let paths = Paths::<_, u32>::find(&graph, Strength::Phantom, None, &pool, quiet());
    let paths = paths.expect("paths");
    let garbage = || graph.numbers().iter().filter(|p| !paths.is_reached(*p));
    let part = garbage().find(|p| tree.is_part(*p)).expect("a part");
    let whole = garbage().find(|p| !tree.is_part(*p)).expect("an object");
    for place in [part, whole] {
        assert_eq!(tree.node_of_part(place), None);
        let address = format!("{:#x}", graph.address(place));
        let shown = asked(name, &["show", &address]);
        assert_eq!((&shown["strength"], &shown["retained"]), (&"garbage".into(), &Value::Null));
        let found = asked(name, &["paths", &address, "--weak"]);
        assert!(found.get("object").is_none() && found["paths"] == Value::Array(Vec::new()));
    }
    // Of what is held each part lies in a node.
    let held = graph.numbers().iter().filter(|p| paths.is_reached(*p) && tree.is_part(*p));
    for part in held.step_by(500) {
        let (node, number) = tree.node_of_part(part).expect("a node");
        assert_eq!(tree.number(node), Some(number));
    }
}

#[test]
fn what_is_not_there_is_said() {
    let core = dep("testdata/cores/jdk17-g1.core.zst");
    for (args, said) in [
        (["paths", "0x1"], "no object begins at 0x1"),
        (["show", "0xzz"], "no hexadecimal digits"),
        (["show", "12"], "starts with 0x"),
        (["paths", "com.acme.Nothing"], "no class has the name com.acme.Nothing"),
        (["paths", "0x"], "no hexadecimal digits"),
    ] {
        let mut cmd = rjcore();
        let out = cmd.arg(args[0]).arg(&core).arg(args[1]).stdin(Stdio::null()).output();
        let out = out.expect("rjcore starts");
        let err = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(2) && err.contains(said), "{args:?}: {err}");
    }
}

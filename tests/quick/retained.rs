//! What objects of the sample cores retain, against brute force: take an object away, and mark again. And from an HPROF
//! dump of the same heap.

use std::collections::BTreeMap;
use std::path::Path;

use rjcore::corefile::{CoreFile, OpenOptions};
use rjcore::graph::dominators::{Dominators, Rule, Watch};
use rjcore::graph::{ObjectGraph, RootKind, Strength};
use rjcore::heap::graph::View;
use rjcore::heap::{Heap, HeapGraph, pool};
use rjcore::hotspot::Vm;
use rjcore::hprof::Dump;
use serde_json::Value;

use crate::support::{Scratch, dep, rjcore, run, text};

/// Objects of each core that are taken away by each rule: those that retain the most, and every so many-th.
const LARGEST: usize = 150;
const OTHERS: usize = 450;

/// The whole graph, written down from what the graph answers of each object: what each holds, by dense numbers.
struct Written {
    holds: Vec<Vec<u32>>,
    roots: Vec<u32>,
    sizes: Vec<u64>,
}

fn written(graph: &HeapGraph, rule: Rule) -> Written {
    let numbers = graph.numbers();
    let dense = |place: u64| numbers.rank(place) as u32;
    let mut holds = Vec::new();
    let mut sizes = Vec::new();
    for place in numbers.iter() {
        let mut of: Vec<u32> = Vec::new();
        let class = graph.references(place, |target, strength| {
            if numbers.has(target) && (rule == Rule::Mat || strength == Strength::Strong) {
                of.push(dense(target));
            }
        });
        of.extend(graph.class_object(class).map(dense));
        holds.push(of);
        sizes.push(if rule == Rule::Mat { graph.mat_size(place) } else { graph.size(place) });
    }
    let mut roots = Vec::new();
    for root in graph.roots() {
        let thread = root.thread.and_then(|t| graph.threads()[t as usize].object);
        match (root.kind, thread) {
            (RootKind::UnmountedThread, _) if rule == Rule::Strong => {}
            (RootKind::Frame | RootKind::JniLocal, Some(thread)) => {
                holds[dense(thread) as usize].push(dense(root.place));
            }
            _ => roots.push(dense(root.place)),
        }
    }
    if rule == Rule::Strong {
        let permanent = graph.classes().iter().filter(|c| c.is_permanent);
        roots.extend(permanent.filter_map(|c| c.object).map(dense));
    }
    Written { holds, roots, sizes }
}

impl Written {
    /// Bytes that can be reached without one object, or with all.
    fn reached(&self, gone: Option<u32>) -> u64 {
        let mut met = vec![false; self.holds.len()];
        if let Some(gone) = gone {
            met[gone as usize] = true;
        }
        let (mut bytes, mut todo) = (0, Vec::new());
        let mut meet = |object: u32, todo: &mut Vec<u32>| {
            if !std::mem::replace(&mut met[object as usize], true) {
                bytes += self.sizes[object as usize];
                todo.push(object);
            }
        };
        self.roots.iter().for_each(|r| meet(*r, &mut todo));
        while let Some(object) = todo.pop() {
            self.holds[object as usize].iter().for_each(|o| meet(*o, &mut todo));
        }
        bytes
    }
}

fn brute_force(core: &str, rule: Rule, view: View) {
    let path = dep(&format!("testdata/cores/{core}.core.zst"));
    let core = CoreFile::open(&path, &OpenOptions::default()).expect("a core");
    let vm = Vm::open(&core).expect("its JVM");
    let heap = Heap::open(&vm).expect("its heap");
    let graph = HeapGraph::open(&heap, view, 2, &|_| {}).expect("a graph");
    let written = written(&graph, rule);
    let all = written.reached(None);
    let quiet = Watch { step: &|_, _| {}, add: &|_| {}, room: &|_| Ok(()) };
    let mut first = None;
    for threads in [1, 2] {
        let pool = pool(threads).expect("threads");
        let tree = Dominators::<_, u32>::find(&graph, rule, &pool, quiet).expect("a tree");
        assert_eq!(tree.held(Strength::Strong), all);
        let mut found = Vec::new();
        for place in graph.numbers().iter() {
            let strong = |n: &u32| tree.strength(*n) == Strength::Strong;
            if let Some(number) = tree.number(place).filter(strong) {
                found.push((tree.retained(number), place));
                tree.parts(place, &mut |part| found.push((tree.part_retained(part), part)));
            }
        }
        found.sort_unstable_by_key(|of| std::cmp::Reverse(*of));
        assert!(found.len() > 5000, "{} objects", found.len());
        if first.is_some() {
            assert!(first.as_ref() == Some(&found), "{threads} threads");
            continue;
        }
        let step = (found.len() - LARGEST) / OTHERS;
        let others = found[LARGEST..].iter().step_by(step);
        for (retained, place) in found[..LARGEST].iter().chain(others) {
            let gone = graph.numbers().rank(*place) as u32;
            let left = written.reached(Some(gone));
            assert_eq!(all - left, *retained, "{:#x}", graph.address(*place));
        }
        first = Some(found);
    }
}

macro_rules! brute_force {
    ($($name:ident: $core:literal;)*) => { $(
        #[test]
        fn $name() {
            brute_force($core, Rule::Strong, View::Heap);
            brute_force($core, Rule::Mat, View::Dumped);
        }
    )* };
}

brute_force! {
    jdk17_serial: "jdk17-serial";
    jdk17_g1: "jdk17-g1";
    jdk17_g1_aarch64: "jdk17-g1-aarch64";
    jdk25_serial: "jdk25-serial";
    jdk25_g1: "jdk25-g1";
}

/// The program's own classes of an answer, without the shares of all that is held: a dump lacks what the VM added to
/// objects, and class objects of classes that are not loaded.
fn own_classes(input: &Path, by: &str, like: &[&str]) -> Value {
    let mut cmd = rjcore();
    cmd.arg("retained").arg(input).args(["--by", by, "--class", "Sample*", "--json"]);
    let json = text(cmd.args(["--top", "100000"]).args(like));
    let mut answer: Value = serde_json::from_str(&json).expect("JSON");
    let list = if by == "object" { "objects" } else { "groups" };
    assert_eq!(answer["whole"], true);
    assert_eq!(
        answer["sizes"].is_string(),
        input.extension() == Some("hprof".as_ref()),
        "{input:?}"
    );
    let mut all = answer[list].take();
    for one in all.as_array_mut().expect("a list") {
        one.as_object_mut().expect("an object").remove("share");
    }
    all
}

fn same_from_a_dump(core: &str) {
    let core = dep(&format!("testdata/cores/{core}.core.zst"));
    let dir = Scratch::new(&format!("retained-{}", core.file_name().unwrap().to_string_lossy()));
    let dump = dir.path("heap.hprof");
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&dump));
    for (by, least) in [("object", 400), ("class", 5)] {
        for like in [&[][..], &["--like", "mat"]] {
            let [of_core, of_dump] = [&core, &dump].map(|input| own_classes(input, by, like));
            assert!(of_core.as_array().is_some_and(|all| all.len() >= least), "{of_core}");
            assert_eq!(of_core, of_dump, "{by} {like:?}");
        }
    }
    // All bytes are those of all objects, by the sizes of the rule.
    let file = std::fs::File::open(&dump).expect("the dump");
    let graph = Dump::from_file(&dump, &file, None, 2, &|_| {}).expect("a graph");
    let quiet = Watch { step: &|_, _| {}, add: &|_| {}, room: &|_| Ok(()) };
    let pool = pool(2).expect("threads");
    let total = |rule| {
        let tree = Dominators::<_, u32>::find(&graph, rule, &pool, quiet).expect("a tree");
        let held: u64 = Strength::ALL.map(|s| tree.held(s)).iter().sum();
        assert!(held < tree.total(), "{rule:?}: garbage");
        tree.total()
    };
    let sum = |size: &dyn Fn(u64) -> u64| graph.numbers().iter().map(size).sum::<u64>();
    assert_eq!(total(Rule::Strong), sum(&|place| graph.size(place)));
    assert_eq!(total(Rule::Mat), sum(&|place| graph.mat_size(place)));
}

#[test]
fn a_dump_says_the_same_of_jdk17() {
    same_from_a_dump("jdk17-g1");
}

#[test]
fn a_dump_says_the_same_of_jdk25() {
    same_from_a_dump("jdk25-serial");
}

/// More memory than is allowed is not taken: the error says how much it would be.
#[test]
fn memory_has_a_limit() {
    let core = dep("testdata/cores/jdk17-g1.core.zst");
    let ask =
        |limit| rjcore().arg("retained").arg(&core).args(["--memory", limit]).output().unwrap();
    let refused = ask("100K");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains(" KB of memory at least") && said.contains("--memory"), "{said}");
    assert!(refused.stdout.is_empty());
    assert_eq!(ask("100M").status.code(), Some(0));
}

/// By MAT's rule a core's objects are those of its dump: each of the same size, and retains the same.
fn like_mat(name: &str) {
    let path = dep(&format!("testdata/cores/{name}.core.zst"));
    let dir = Scratch::new(&format!("retained-mat-{name}"));
    let dump = dir.path("heap.hprof");
    run(rjcore().arg("dump").arg(&path).arg("-o").arg(&dump));
    let file = std::fs::File::open(&dump).expect("the dump");
    let of_dump = Dump::from_file(&dump, &file, None, 2, &|_| {}).expect("a graph");
    let core = CoreFile::open(&path, &OpenOptions::default()).expect("a core");
    let vm = Vm::open(&core).expect("its JVM");
    let heap = Heap::open(&vm).expect("its heap");
    let of_core = HeapGraph::open(&heap, View::Dumped, 2, &|_| {}).expect("a graph");
    let sizes = all_like_mat(&of_core);
    let expected = all_like_mat(&of_dump);
    assert!(expected.len() > 5000);
    let mut differ = Vec::new();
    for (address, of) in &expected {
        if sizes.get(address) != Some(of) {
            differ.push(format!("{address:#x} {of:?}: {:?}", sizes.get(address)));
        }
    }
    // What a dump does not have are class objects of classes that are not loaded.
    for (address, of) in sizes.iter().filter(|(a, _)| !expected.contains_key(a)) {
        if of.1 != 0 {
            differ.push(format!("{address:#x} is not in the dump: {of:?}"));
        }
    }
    let (count, first) = (differ.len(), differ.iter().take(20).collect::<Vec<_>>());
    assert!(differ.is_empty(), "{name}: {count} of {}: {first:#?}", expected.len());
}

/// Of each object, by address, its class, its own bytes and those that it retains, where something holds it.
fn all_like_mat<G: ObjectGraph>(graph: &G) -> BTreeMap<u64, (String, u64, Option<u64>)> {
    let pool = pool(2).expect("threads");
    let quiet = Watch { step: &|_, _| {}, add: &|_| {}, room: &|_| Ok(()) };
    let tree = Dominators::<_, u32>::find(graph, Rule::Mat, &pool, quiet).expect("a tree");
    let mut all = BTreeMap::new();
    let mut add = |place: u64, retained: Option<u64>| {
        let class = graph.classes().get(graph.class_of(place) as usize);
        let class = class.map_or("?", |c| &c.name).to_owned();
        all.insert(graph.address(place), (class, graph.mat_size(place), retained));
    };
    graph.numbers().iter().for_each(|place| add(place, None));
    for place in graph.numbers().iter() {
        if let Some(number) = tree.number(place) {
            add(place, Some(tree.retained(number)));
            tree.parts(place, &mut |part| add(part, Some(tree.part_retained(part))));
        }
    }
    all
}

macro_rules! like_mat {
    ($($name:ident: $core:literal;)*) => { $(
        #[test]
        fn $name() { like_mat($core); }
    )* };
}

like_mat! {
    mat_jdk17_serial: "jdk17-serial";
    mat_jdk17_g1: "jdk17-g1";
    mat_jdk17_g1_aarch64: "jdk17-g1-aarch64";
    mat_jdk25_serial: "jdk25-serial";
    mat_jdk25_g1: "jdk25-g1";
}

//! HPROF files, and all answers about who holds the memory, whatever they are asked about.

use std::io::sink;
use std::path::Path;

use super::dumps;
use super::synth::file;
use crate::error::Result;
use crate::graph::dominators::{Dominators, Rule, Watch};
use crate::graph::{Id, ObjectGraph};
use crate::heap::pool;
use crate::hprof::Dump;
use crate::output::collections::Descriptions;
use crate::output::find::Query;
use crate::output::histo::of_dump;
use crate::output::leaks::{self, Limits};
use crate::output::show::object;
use crate::output::waste::{Shown, find};
use crate::output::{loaders, refs, threads};

/// A file that says that it is one.
pub(super) fn hprof(data: &[u8]) {
    if let Ok(dump) = Dump::from_file(Path::new("fuzzed"), &file(data), None, 1, &|_| {}) {
        let _ = (dump.loss().notes(), dump.size_note(), of_dump(&dump));
        all(&dump);
    }
}

/// Nobody watches.
fn watch() -> Watch<'static> {
    Watch { step: &|_, _| {}, add: &|_| {}, room: &|_| Ok(()) }
}

/// All answers.
pub(super) fn all<G: ObjectGraph>(graph: &G) {
    // Threads that work take longer to start than inputs are worked on.
    let Ok(pool) = pool(1) else { return };
    for rule in [Rule::Strong, Rule::Mat] {
        if let Ok(tree) = Dominators::<G, u32>::find(graph, rule, &pool, watch()) {
            let _ = of_tree(&tree);
        }
    }
    if let Ok(tree) = Dominators::<G, u64>::find(graph, Rule::Strong, &pool, watch()) {
        let _ = tree.memory();
    }
}

fn of_tree<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>) -> Result<()> {
    let graph = tree.graph();
    let any = |_: &str| true;
    let limits = Limits { share: 1.0, min: 16 };
    let _ = serde_json::to_writer(sink(), &leaks::find(tree, limits, watch())?);
    let shown = Shown { top: 5, min: 0, wanted: &any };
    let _ = serde_json::to_writer(sink(), &find(tree, &Descriptions::known(), &shown, watch())?);
    let wanted = loaders::Wanted { name: &any, least: 0, top: 5 };
    let _ = serde_json::to_writer(sink(), &loaders::report(tree, &wanted, watch())?);
    let wanted = refs::Wanted { name: &any, top: 5 };
    let _ = serde_json::to_writer(sink(), &refs::report(tree, &wanted));
    let wanted = threads::Wanted { name: &any, least: 0, top: 5, detailed: 2 };
    let _ = serde_json::to_writer(sink(), &threads::report(tree, None, &wanted));
    for place in graph.numbers().iter().step_by(29).take(4) {
        let _ = serde_json::to_writer(sink(), &object(tree, place, 3, watch())?);
    }
    for words in ["class=java.* and retained>100 or size<17", "text=*a*", "length>3"] {
        if let Ok(query) = Query::parse(words, 5) {
            let _ = serde_json::to_writer(sink(), &query.in_tree(tree));
        }
    }
    Ok(())
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (version, id) in [("1.0.2", 8), ("1.0.2", 4), ("1.0.1", 8), ("1.0.3", 4)] {
        for segments in [true, false] {
            seeds.push(dumps::of(version, id, segments).bytes);
        }
    }
    seeds
}

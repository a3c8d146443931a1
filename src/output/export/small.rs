//! The tables of few rows that graphs of cores and HPROF files have alike: `dump`, `roots`, `frames`.

use std::ops::Range;

use super::plan::{ROWS, part};
use super::rows::Rows;
use super::schema::VERSION;
use crate::graph::ObjectGraph;
use crate::graph::dominators::Rule;
use crate::output::paths::words::code;

/// What is known of the input besides its objects. None is what is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The input as the user named it.
    pub file: String,
    /// `core`, `hprof` or `live`.
    pub input: &'static str,
    /// The machine that it is of.
    pub host: Option<String>,
    /// The process.
    pub pid: Option<u64>,
    /// When the process was like this, in ms since 1970.
    pub time_ms: Option<u64>,
    /// The feature release.
    pub jdk: Option<u32>,
    /// The JDK's own version.
    pub java_version: Option<String>,
    /// HotSpot's.
    pub vm_version: Option<String>,
    /// The collector.
    pub collector: Option<String>,
    /// Main class or jar, and the program's arguments.
    pub command: Option<String>,
    /// The VM's arguments, as a list in JSON.
    pub vm_arguments: Option<String>,
    /// Flags that are not at their built-in default, as an object in JSON.
    pub flags: Option<String>,
    /// When the VM was started, in ms since 1970.
    pub started_ms: Option<u64>,
    /// Whether all was read.
    pub whole: bool,
}

/// The row of `dump`; `rule` is that of what is retained, where that was asked for.
pub(super) fn dump(
    graph: &impl ObjectGraph,
    rule: Option<Rule>,
    facts: &Facts,
    rows: &mut Rows<'_>,
) {
    rows.int(VERSION as u32);
    rows.text(env!("CARGO_PKG_VERSION"));
    rows.text(facts.file.as_str());
    rows.text(facts.input);
    rows.text(facts.host.as_deref());
    rows.long(facts.pid);
    rows.long(facts.time_ms);
    rows.int(facts.jdk);
    rows.text(facts.java_version.as_deref());
    rows.text(facts.vm_version.as_deref());
    rows.text(facts.collector.as_deref());
    rows.text(facts.command.as_deref());
    rows.text(facts.vm_arguments.as_deref());
    rows.text(facts.flags.as_deref());
    rows.long(facts.started_ms);
    rows.text(rule.map(|rule| match rule {
        Rule::Strong => "strong",
        Rule::Mat => "mat",
    }));
    rows.long(graph.numbers().len());
    rows.long(graph.total_size());
    rows.flag(facts.whole);
    rows.long(graph.unread().bytes);
    rows.long(graph.unread().lost_roots);
    rows.end();
}

/// The rows of these roots.
pub(super) fn roots(graph: &impl ObjectGraph, piece: &Range<u64>, rows: &mut Rows<'_>) {
    for root in part(graph.roots(), piece) {
        rows.long(graph.address(root.place));
        rows.text(code(root.kind));
        rows.int(root.thread);
        rows.int(root.frame);
        rows.end();
    }
}

/// Threads whose frames fall into one row group.
pub(super) fn with_frames(graph: &impl ObjectGraph) -> Vec<Range<u64>> {
    let mut pieces: Vec<Range<u64>> = Vec::new();
    let mut rows = 0;
    for (number, thread) in (0..).zip(graph.threads()) {
        rows += thread.frames.len() as u64;
        match pieces.last_mut() {
            Some(last) if rows <= ROWS => last.end = number + 1,
            _ => {
                pieces.push(number..number + 1);
                rows = thread.frames.len() as u64;
            }
        }
    }
    pieces
}

/// The rows of these threads' frames.
pub(super) fn frames(graph: &impl ObjectGraph, piece: &Range<u64>, rows: &mut Rows<'_>) {
    for (number, thread) in (piece.start as u32..).zip(part(graph.threads(), piece)) {
        for (frame, text) in (0..).zip(&thread.frames) {
            rows.int(number);
            rows.int(frame);
            rows.text(&**text);
            rows.end();
        }
    }
}

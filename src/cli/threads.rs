//! `rjcore threads`: what each thread alone holds.

use std::collections::HashMap;
use std::io;

use super::Outcome;
use super::cost::GraphSource;
use super::ending::end;
use super::holders::{self, Job, OfInput, OpenCore, Pattern, Reading, Text};
use crate::error::Result;
use crate::graph::dominators::{Dominators, Rule};
use crate::graph::{Id, ObjectGraph};
use crate::output::threads::{self, VmFacts, Wanted};

const EXAMPLES: &str = "\
Examples:
  rjcore threads core.1234
  rjcore threads core.1234 --thread 'http-nio-*' --details 50
  rjcore threads heap.hprof.gz --min 1M
  rjcore threads core.1234 --json | jq '.names[] | {name, threads, retained}'

A thread holds what would be freed if it ended: what only its frames, its thread locals or other
fields of its java.lang.Thread lead to. What two threads have in their frames is held by neither
alone. A frame holds what would be freed when it returns.";

/// Show what each thread alone holds, by frames and thread locals
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// Show threads of these names only, `*` stands for any characters
    #[arg(long, value_name = "PATTERN")]
    thread: Option<Pattern>,
    /// Show the N threads that retain the most, as many groups of names, and as many thread locals
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Show frames and thread locals of the first N of them
    #[arg(long, value_name = "N", default_value_t = 5)]
    details: usize,
    /// Show only threads that retain so many bytes; K, M, G stand for powers of 1024
    #[arg(long, value_name = "BYTES", value_parser = holders::bytes, default_value = "0")]
    min: u64,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Text for threads::Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(threads::text(self).as_bytes())
    }
}

/// The job, with what a core tells of threads by the address of their objects.
struct Threads<'a> {
    args: &'a Args,
    facts: Option<HashMap<u64, VmFacts>>,
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let job = Threads { args: self, facts: None };
        let report = holders::with_tree(&self.source, Rule::Strong, job)?;
        end(&report, self.json)
    }
}

impl Job for Threads<'_> {
    type Answer = OfInput<threads::Report>;

    fn read_core(&mut self, core: &OpenCore<'_>) -> Result<()> {
        let heap = core.heap;
        let of = |t| VmFacts { allocated: heap.vm.allocated_bytes(t), tlab: heap.vm.tlab(t) };
        self.facts = Some(heap.threads.iter().map(|t| (t.object, of(t))).collect());
        Ok(())
    }

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> OfInput<threads::Report> {
        let pattern = self.args.thread.as_ref();
        let name = |name: &str| pattern.is_none_or(|p| p.fits(name));
        let wanted = Wanted {
            name: &name,
            least: self.args.min,
            top: self.args.top,
            detailed: self.args.details,
        };
        input.with(threads::report(tree, self.facts.as_ref(), &wanted))
    }
}

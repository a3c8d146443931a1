//! `rjcore refs`: references that are weaker than strong, finalizers and cleaners.

use std::io;

use super::Outcome;
use super::cost::GraphSource;
use super::ending::end;
use super::holders::{self, Job, OfInput, Pattern, Reading, Text};
use crate::error::Result;
use crate::graph::dominators::{Dominators, Rule};
use crate::graph::{Id, ObjectGraph};
use crate::output::refs::{self, Wanted};

const EXAMPLES: &str = "\
Examples:
  rjcore refs core.1234
  rjcore refs core.1234 --class 'com.acme.*'
  rjcore refs heap.hprof.gz --json | jq '.finalizers | {queued, queued_bytes}'

Of each reference: is it cleared, is what it refers to strongly held elsewhere, or do such
references alone hold it? What they alone hold goes with a collection (soft ones: when memory is
short; objects with a finalizer: once that has run).";

/// Show soft, weak and phantom references, finalizers and cleaners, and what hangs on them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// Show classes of these names only, of references and of what they refer to; `*` stands for
    /// any characters
    #[arg(long, value_name = "PATTERN")]
    class: Option<Pattern>,
    /// Show the first N of each list
    #[arg(long, value_name = "N", default_value_t = 15)]
    top: usize,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Text for refs::Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(refs::text(self).as_bytes())
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let report = holders::with_tree(&self.source, Rule::Strong, self)?;
        end(&report, self.json)
    }
}

impl Job for &Args {
    type Answer = OfInput<refs::Report>;

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> OfInput<refs::Report> {
        let name = |name: &str| self.class.as_ref().is_none_or(|p| p.fits(name));
        input.with(refs::report(tree, &Wanted { name: &name, top: self.top }))
    }
}

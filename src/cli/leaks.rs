//! `rjcore leaks`: what holds so much memory that it stands out.

use std::io;

use serde::Serialize;

use super::Outcome;
use super::cost::GraphSource;
use super::ending::end;
use super::holders::{self, Job, OfInput, Reading, Text};
use crate::error::Result;
use crate::graph::dominators::{Dominators, Rule};
use crate::graph::{Id, ObjectGraph};
use crate::output::leaks::{self, Leaks, Limits};

const EXAMPLES: &str = "\
Examples:
  rjcore leaks core.1234
  rjcore leaks heap.hprof.gz
  rjcore leaks core.1234 --share 5 --min 1M
  rjcore leaks core.1234 --json | jq '.suspects[0].field'

A suspect holds at least 10 % of the memory and at least 10 MB: one object, at the place where
the memory comes together, or all objects of a class that no single object holds. Only strong
references hold; what soft, weak, final and phantom references hold at most, and direct buffers
outside of the heap, are suspects of their own kinds where there is as much of it. A cache that
is meant to be large is a suspect, too: rjcore sees what there is, not what grows.";

/// Name what holds so much memory that it stands out: by which field, from which root, what is in
/// it, and what to do
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// Show the N largest suspects
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// A suspect holds so many percent of what is held
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "10")]
    share: f64,
    /// A suspect holds at least so many bytes; K, M, G stand for powers of 1024
    #[arg(long, value_name = "BYTES", value_parser = holders::bytes, default_value = "10M")]
    min: u64,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    match (0.0..=100.0).contains(&number) {
        true => Ok(number),
        false => Err("it is from 0 to 100".into()),
    }
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    leaks: Leaks,
    /// All of them, also those that are not shown.
    suspect_count: usize,
}

impl Text for Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(leaks::show(&self.leaks, self.suspect_count).as_bytes())
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let report = holders::with_tree(&self.source, Rule::Strong, self)??;
        end(&report, self.json)
    }
}

impl Job for &Args {
    type Answer = Result<OfInput<Report>>;

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> Result<OfInput<Report>> {
        let limits = Limits { share: self.share, min: self.min };
        let cost = self.source.cost();
        let mut leaks =
            holders::watched(&cost, tree.memory(), |watch| leaks::find(tree, limits, watch))?;
        let suspect_count = leaks.suspects.len();
        leaks.suspects.truncate(self.top);
        Ok(input.with(Report { leaks, suspect_count }))
    }
}

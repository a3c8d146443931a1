//! `rjcore waste`: memory that does no work, and who holds it.

use std::io;
use std::path::PathBuf;

use super::Outcome;
use super::cost::GraphSource;
use super::ending::end;
use super::holders::{self, Job, OfInput, Pattern, Reading, Text};
use crate::error::{Error, Result};
use crate::graph::dominators::{Dominators, Rule, Watch};
use crate::graph::{Id, ObjectGraph};
use crate::output::collections::Descriptions;
use crate::output::waste::{Shown, Waste, find, text};

const EXAMPLES: &str = "\
Examples:
  rjcore waste core.1234
  rjcore waste core.1234 --class 'com.acme.*' --min 1M
  rjcore waste heap.hprof.gz --top 3
  rjcore waste core.1234 --collections our-collections.json
  rjcore waste core.1234 --json | jq '.kinds[] | {kind, saves}'

Only what is strongly held counts: garbage is no waste. Each kind says what it could save, no byte
is counted twice, and the fields that hold it come first. `Order.lines[]` are what lies in the
array or the collection that the field leads to.";

/// Show memory that does no work: duplicates, empty and sparse collections, boxed numbers
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// Show of each kind the N holders, and the N contents, that could save the most
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Show only holders whose fields are declared by these classes, `*` stands for any characters
    #[arg(long, value_name = "PATTERN")]
    class: Option<Pattern>,
    /// Show only holders that could save so many bytes; K, M, G stand for powers of 1024
    #[arg(long, value_name = "BYTES", value_parser = holders::bytes, default_value = "0")]
    min: u64,
    /// Know these collections, too: JSON, as docs/answers.md has it. Those of the JDK, Guava,
    /// fastutil, Scala and Eclipse Collections are known
    #[arg(long, value_name = "FILE")]
    collections: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Text for Waste {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(text(self).as_bytes())
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let mut known = Descriptions::known();
        if let Some(file) = &self.collections {
            let json = std::fs::read_to_string(file).map_err(Error::io(file))?;
            known = known.and(&json).map_err(|why| {
                let why = io::Error::new(io::ErrorKind::InvalidData, why);
                Error::io(file)(why)
            })?;
        }
        let report = holders::with_tree(&self.source, Rule::Strong, Ask { args: self, known })??;
        end(&report, self.json)
    }
}

struct Ask<'a> {
    args: &'a Args,
    known: Descriptions,
}

impl Job for Ask<'_> {
    type Answer = Result<OfInput<Waste>>;

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> Result<OfInput<Waste>> {
        let wanted = |class: &str| self.args.class.as_ref().is_none_or(|p| p.fits(class));
        let shown = Shown { top: self.args.top, min: self.args.min, wanted: &wanted };
        let cost = self.args.source.cost();
        let find = |watch: Watch<'_>| find(tree, &self.known, &shown, watch);
        Ok(input.with(holders::watched(&cost, tree.memory(), find)?))
    }
}

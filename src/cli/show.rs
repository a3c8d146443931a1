//! `rjcore show`: one object, with all that is known of it.

use std::io;

use super::Outcome;
use super::cost::GraphSource;
use super::ending::end;
use super::holders::{self, Job, OfInput, Reading, Text};
use crate::error::Result;
use crate::graph::dominators::{Dominators, Rule};
use crate::graph::{Id, ObjectGraph};
use crate::output::show::{Object, object, table};

const EXAMPLES: &str = "\
Examples:
  rjcore show core.1234 0x7f3a12c80
  rjcore show heap.hprof.gz 0x7f3a12c80 --top 50
  rjcore show core.1234 0x7f3a12c80 --json | jq -r '.fields[] | \"\\(.name) \\(.value)\"'

Addresses are those that retained, paths, tree and find print. Who refers to the object is told by
one pass over all objects, so garbage that refers to it is listed, too, and marked.";

/// Entries, elements and referrers that are shown at most.
const MOST: u64 = 1_000_000;

/// Show an object: its fields, what a collection holds, who refers to it, what it retains
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// The object's address, such as 0x7f0012345678
    #[arg(value_name = "OBJ", value_parser = holders::address)]
    object: u64,
    /// Show the first N elements, entries, referrers and classes
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    top: u64,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Text for Object {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(table(self).as_bytes())
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let report = holders::with_tree(&self.source, Rule::Strong, self)??;
        end(&report, self.json)
    }
}

impl Job for &Args {
    type Answer = Result<OfInput<Object>>;

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> Result<OfInput<Object>> {
        let place = holders::object(tree.graph(), self.object)?;
        let (cost, top) = (self.source.cost(), self.top as usize);
        let object =
            holders::watched(&cost, tree.memory(), |watch| object(tree, place, top, watch))?;
        Ok(input.with(object))
    }
}

//! `rjcore loaders`: class loaders, what they retain and what keeps them.

use std::io;

use super::Outcome;
use super::cost::GraphSource;
use super::ending::end;
use super::holders::{self, Job, OfInput, Pattern, Reading, Text};
use crate::error::Result;
use crate::graph::dominators::{Dominators, Rule};
use crate::graph::{Id, ObjectGraph};
use crate::output::loaders::{self, Wanted};

const EXAMPLES: &str = "\
Examples:
  rjcore loaders core.1234
  rjcore loaders core.1234 --loader 'org.apache.catalina.loader.*'
  rjcore loaders heap.hprof.gz --json | jq '.duplicates[] | {name, loaders}'

What would be freed is told of a loader with its classes and all their objects, and what is
retained of the loader's object alone. They are unloaded together: when nothing strongly holds the loader, one of its
classes or an object of one. What keeps a loader is the shortest path from a root up to the first
object that is its own; there may be others.";

/// Show class loaders: their classes, what goes with them, and why they are not unloaded
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// Show loaders of these classes or names only, and classes of these names that several have
    /// defined; `*` stands for any characters
    #[arg(long, value_name = "PATTERN")]
    loader: Option<Pattern>,
    /// Show the N loaders with which the most would be freed, and as many duplicate classes
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Show only loaders with which so many bytes would be freed; K, M, G stand for powers of 1024
    #[arg(long, value_name = "BYTES", value_parser = holders::bytes, default_value = "0")]
    min: u64,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Text for loaders::Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(loaders::text(self).as_bytes())
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let report = holders::with_tree(&self.source, Rule::Strong, self)??;
        end(&report, self.json)
    }
}

impl Job for &Args {
    type Answer = Result<OfInput<loaders::Report>>;

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> Result<OfInput<loaders::Report>> {
        let name = |name: &str| self.loader.as_ref().is_none_or(|p| p.fits(name));
        let wanted = Wanted { name: &name, least: self.min, top: self.top };
        let loaders = holders::watched(&self.source.cost(), tree.memory(), |watch| {
            loaders::report(tree, &wanted, watch)
        })?;
        Ok(input.with(loaders))
    }
}

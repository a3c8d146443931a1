//! `rjcore tree`: the dominator tree, from the top or from an object.

use std::io;

use serde::Serialize;

use super::Outcome;
use super::cost::GraphSource;
use super::ending::end;
use super::holders::{self, Job, OfInput, Pattern, Reading, Text};
use crate::error::{Error, Result};
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph};
use crate::output::retained::{Totals, summary};
use crate::output::tree::{Level, Limits, Line, Lines, Start, path, table, topmost};

const EXAMPLES: &str = "\
Examples:
  rjcore tree core.1234
  rjcore tree core.1234 0x7f0012345678 --depth 5
  rjcore tree core.1234 --class 'com.acme.Session' --top 5
  rjcore tree heap.hprof.gz --expand --min 1M
  rjcore tree core.1234 --json | jq '.children[0]'

Below each line stands what only it holds: what would be freed if it went. Objects that are large
beside the others are lines of their own; the many small ones of a class are one line, below which
stands what all of them hold. What several objects hold together, and none alone, is below what
holds those.";

/// Levels: JSON's readers have limits.
const MAX_DEPTH: u64 = 50;
/// Lines of what holds an object.
const ABOVE: usize = 20;
/// Of what is shown a line has such a part at least, unless --min says more.
const SHOWN: u64 = 1000;

/// Show the tree of who holds what: below each object what would be freed with it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// Start at the object at this address, such as 0x7f0012345678
    #[arg(value_name = "OBJ", value_parser = holders::address, conflicts_with = "class")]
    object: Option<u64>,
    /// Show so many levels
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=MAX_DEPTH))]
    depth: u64,
    /// Show the N lines of each level that retain the most
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Start at the objects of these classes, `*` stands for any characters
    #[arg(long, value_name = "PATTERN")]
    class: Option<Pattern>,
    /// Show only what retains so many bytes; K, M, G stand for powers of 1024 [default: a thousandth
    /// of what is shown]
    #[arg(long, value_name = "BYTES", value_parser = holders::bytes)]
    min: Option<u64>,
    /// Show each object by itself, and do not count those of a class as one
    #[arg(long)]
    expand: bool,
    #[command(flatten)]
    like: holders::Like,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    rule: &'static str,
    totals: Totals,
    /// The object that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Line>,
    /// What dominates it, the nearest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    above: Option<Vec<Line>>,
    /// From the top, or of the classes that were asked for.
    #[serde(flatten)]
    level: Option<Level>,
}

impl Text for Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        match &self.object {
            None => writeln!(out, "{}", summary(&self.totals))?,
            Some(_) => {
                let above = self.above.as_deref().unwrap_or_default();
                out.write_all(path(above).as_bytes())?;
            }
        }
        let object = self.object.as_slice();
        out.write_all(table(object, self.level.as_ref()).as_bytes())
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let report = holders::with_tree(&self.source, self.like.rule(), self)??;
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
        let totals = Totals::of(tree);
        let mut report =
            Report { rule: self.like.name(), totals, object: None, above: None, level: None };
        let lines = |shown: u64| {
            let least = self.min.unwrap_or(shown / SHOWN);
            let (depth, top) = (self.depth as usize, self.top);
            Lines::new(tree, Limits { depth, top, least, expand: self.expand })
        };
        if let Some(address) = self.object {
            let (item, holder) = find(tree, address)?;
            let lines = lines(item.retained);
            report.object = Some(lines.below(item));
            let mut above = lines.above(&holder.unwrap_or(item), ABOVE);
            if let Some(holder) = holder {
                above.insert(0, lines.single(holder));
            }
            report.above = Some(above);
        } else if let Some(pattern) = &self.class {
            let classes = tree.graph().classes().iter();
            let wanted: Vec<bool> = classes.map(|c| pattern.fits(&c.name)).collect();
            let items = topmost(tree, &wanted);
            report.level = Some(lines(items.iter().map(|i| i.retained).sum()).of(items));
        } else {
            report.level = Some(lines(totals.strong).top());
        }
        Ok(input.with(report))
    }
}

type Found<I> = (crate::output::tree::Item<I>, Option<crate::output::tree::Item<I>>);

/// The object at an address, and the node that it is a part of, if it is one.
fn find<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>, address: u64) -> Result<Found<I>> {
    let place = holders::object(tree.graph(), address)?;
    match Start::of(tree, place) {
        Start::Held(item) => Ok((item, None)),
        Start::Part(item, holder) => Ok((item, Some(holder))),
        Start::Garbage => {
            let what = format!(
                "the object at {address:#x} is garbage: nothing holds it, and it holds nothing"
            );
            Err(Error::usage(what))
        }
    }
}

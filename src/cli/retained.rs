//! `rjcore retained`: what objects hold, one by one and in groups.

use std::io;

use serde::Serialize;

use super::Outcome;
use super::cost::GraphSource;
use super::ending::end;
use super::holders::{self, Grouped, Job, OfInput, Pattern, Reading, Text};
use crate::error::Result;
use crate::graph::dominators::{Dominators, Rule};
use crate::graph::{Id, ObjectGraph, Strength};
use crate::output::report::count;
use crate::output::retained::{Group, Held, Totals, group_table, object_table, objects, summary};

const EXAMPLES: &str = "\
Examples:
  rjcore retained core.1234
  rjcore retained core.1234 --by class --top 30
  rjcore retained heap.hprof.gz --class 'com.acme.*' --min 1M
  rjcore retained core.1234 --by thread --json | jq '.groups[0]'

An object retains what would be freed if it went: itself, and all that only it holds by strong
references. What soft, weak, final and phantom references hold at most is told apart; what
nothing holds is garbage, and holds nothing. With --like mat every reference counts, and the
figures are those of Eclipse MAT.";

/// Show which objects hold the memory: what would be freed if they went
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// What to list: single objects, or what those of a class, a package or a class loader, a
    /// thread or a kind of root retain together
    #[arg(long, value_enum, default_value_t = Listed::Object)]
    by: Listed,
    /// Show the N that retain the most
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Show objects of these classes only, `*` stands for any characters (with --by class and
    /// package: groups of these names)
    #[arg(long, value_name = "PATTERN")]
    class: Option<Pattern>,
    /// Show only what retains so many bytes; K, M, G stand for powers of 1024
    #[arg(long, value_name = "BYTES", value_parser = holders::bytes, default_value = "0")]
    min: u64,
    #[command(flatten)]
    like: holders::Like,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Listed {
    Object,
    Class,
    Package,
    Loader,
    Thread,
    Root,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    by: Listed,
    rule: &'static str,
    totals: Totals,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<Vec<Held>>,
    /// Those that only weaker references hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    weaker_objects: Option<Vec<Held>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Group>>,
    /// All of them, also those that are not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_count: Option<usize>,
}

impl Text for Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        writeln!(out, "{}", summary(&self.totals))?;
        if let Some(objects) = &self.objects {
            out.write_all(object_table(objects).as_bytes())?;
        }
        if let Some(weaker) = self.weaker_objects.as_ref().filter(|w| !w.is_empty()) {
            writeln!(out, "\nHeld by soft, weak, final or phantom references at most:")?;
            out.write_all(object_table(weaker).as_bytes())?;
        }
        if let (Some(groups), Some(by)) = (&self.groups, self.by.grouped()) {
            out.write_all(group_table(groups, by.name()).as_bytes())?;
            let left = self.group_count.unwrap_or(0).saturating_sub(groups.len()) as u64;
            if left > 0 {
                writeln!(out, "and {} more", count(left, "group", "groups"))?;
            }
        }
        Ok(())
    }
}

impl Listed {
    /// None for single objects.
    fn grouped(self) -> Option<Grouped> {
        Some(match self {
            Listed::Object => return None,
            Listed::Class => Grouped::Class,
            Listed::Package => Grouped::Package,
            Listed::Loader => Grouped::Loader,
            Listed::Thread => Grouped::Thread,
            Listed::Root => Grouped::Root,
        })
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let report = holders::with_tree(&self.source, self.like.rule(), self)?;
        end(&report, self.json)
    }
}

impl Job for &Args {
    type Answer = OfInput<Report>;

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> OfInput<Report> {
        let mut report = Report {
            by: self.by,
            rule: self.like.name(),
            totals: Totals::of(tree),
            objects: None,
            weaker_objects: None,
            groups: None,
            group_count: None,
        };
        let Some(by) = self.by.grouped() else {
            self.objects(tree, &mut report);
            return input.with(report);
        };
        let mut groups = by.groups(tree);
        groups.retain(|g| g.retained >= self.min);
        if let Some(pattern) = &self.class {
            groups.retain(|g| pattern.fits(&g.name));
        }
        report.group_count = Some(groups.len());
        groups.truncate(self.top);
        report.groups = Some(groups);
        input.with(report)
    }
}

impl Args {
    fn objects<G: ObjectGraph, I: Id>(&self, tree: &Dominators<'_, G, I>, report: &mut Report) {
        let classes = tree.graph().classes().iter();
        let is_wanted = |name: &str| self.class.as_ref().is_none_or(|p| p.fits(name));
        let wanted: Vec<bool> = classes.map(|c| is_wanted(&c.name)).collect();
        let strengths = match tree.rule() {
            Rule::Strong => &Strength::ALL[..],
            Rule::Mat => &[Strength::Strong],
        };
        let mut all = objects(tree, strengths, self.top, self.min, &wanted).into_iter();
        report.objects = all.next();
        if tree.rule() == Rule::Strong {
            let mut weaker: Vec<Held> = all.flatten().collect();
            weaker.sort_by_key(|h| (std::cmp::Reverse(h.retained), h.object));
            weaker.truncate(self.top);
            report.weaker_objects = Some(weaker);
        }
    }
}

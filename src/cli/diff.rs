//! `rjcore diff`: what changed between two heaps.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Outcome;
use super::cost::GraphSource;
use super::ending::{Answer, end};
use super::holders::{self, Grouped, Job, Like, OfInput, Pattern, Reading};
use super::source::Files;
use crate::error::{Error, Result};
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph};
use crate::output::diff::{self, Branch, Diff, Gate, Side};
use crate::output::retained::{Group, Totals, of_classes};

const EXAMPLES: &str = "\
Examples:
  rjcore diff core.monday core.tuesday
  rjcore diff before.hprof core.1234 --by package
  rjcore diff core.1234 4711                          # a live JVM's process id does, too
  rjcore diff before.hprof after.hprof --class 'com.acme.*' --json | jq '.groups[0]'
  rjcore diff base.hprof new.hprof --fail-if 'retained(com.acme.*) > +10%'

The two may be of one process, or of two runs of one program: classes, fields and threads are told
by their names, nothing by its address. First stands where it grew: from what nothing else holds
down to the objects that became many more. A limit of --fail-if is one of retained, shallow or
objects, of classes that fit, `*` or all: > 1G for what there may be, > +100M or > +10% for what may
come. Where one is exceeded, the exit code is 1.";

/// Compare two heaps: what grew, and who holds it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The earlier heap: a core, an HPROF file, or a live JVM's process id or main class
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// The later one
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    #[command(flatten)]
    files: Files,
    /// What to list: what objects of a class, a package or a class loader, a thread or a kind of
    /// root retain together
    #[arg(long, value_enum, default_value_t = Grouped::Class)]
    by: Grouped,
    /// Show the N largest changes
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Show groups with these names only, `*` stands for any characters
    #[arg(long, value_name = "PATTERN")]
    class: Option<Pattern>,
    /// Show only what grew or shrank by so many bytes; K, M, G stand for powers of 1024
    #[arg(long, value_name = "BYTES", value_parser = holders::bytes, default_value = "0")]
    min: u64,
    /// End with exit code 1 where this limit is exceeded; may be repeated
    #[arg(long, value_name = "LIMIT")]
    fail_if: Vec<Gate>,
    #[command(flatten)]
    like: Like,
    /// Take no more memory than this for objects and who holds them, of one heap at a time; K, M, G
    /// stand for powers of 1024 [default: what the machine and its control groups have]
    #[arg(long, value_name = "BYTES", value_parser = holders::bytes)]
    memory: Option<u64>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    by: Grouped,
    rule: &'static str,
    before: OfInput<Side>,
    after: OfInput<Side>,
    #[serde(flatten)]
    diff: Diff,
    whole: bool,
}

/// What is kept of one heap.
struct Read {
    groups: Vec<Group>,
    holders: Branch,
    /// What each limit is about.
    measured: Vec<u64>,
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let stdin = Path::new("-");
        if self.before == stdin && self.after == stdin {
            return Err(Error::usage("only one of the two can come from standard input"));
        }
        let (before, old) = self.read(&self.before)?;
        let (after, new) = self.read(&self.after)?;
        let strong_change =
            diff::change(before.answer().totals.strong, after.answer().totals.strong);
        // What is less than a thousandth of the larger heap says nothing.
        let larger = before.answer().totals.strong.max(after.answer().totals.strong);
        let mut grown = diff::grown(&old.holders, &new.holders, self.min.max(larger / 1000));
        let mut groups = diff::changes(&old.groups, &new.groups);
        groups.retain(|g| {
            g.retained_change.unsigned_abs() >= self.min
                && self.class.as_ref().is_none_or(|p| p.fits(&g.name))
        });
        let (grown_count, group_count) = (grown.len(), groups.len());
        grown.truncate(self.top);
        groups.truncate(self.top);
        let measured = old.measured.iter().zip(&new.measured);
        let gates = self.fail_if.iter().zip(measured).map(|(g, (b, a))| g.pass(*b, *a)).collect();
        let diff = Diff { strong_change, grown, grown_count, groups, group_count, gates };
        let whole = [&before, &after].iter().all(|of| of.is_whole());
        let (by, rule) = (self.by, self.like.name());
        end(&Report { by, rule, before, after, diff, whole }, self.json)
    }

    /// Reads one heap, and lets go of it.
    fn read(&self, file: &Path) -> Result<(OfInput<Side>, Read)> {
        let source = GraphSource::of(file.to_owned(), self.files.clone(), self.memory);
        holders::with_tree(&source, self.like.rule(), OneHeap { args: self, source: &source })?
    }
}

/// Reads one of the two.
struct OneHeap<'a> {
    args: &'a Args,
    source: &'a GraphSource,
}

impl Job for OneHeap<'_> {
    type Answer = Result<(OfInput<Side>, Read)>;

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> Self::Answer {
        let cost = self.source.cost();
        let holders = holders::watched(&cost, tree.memory(), |watch| diff::holders(tree, watch))?;
        let gates = self.args.fail_if.iter();
        let measured = gates.map(|gate| gate.measure(&of_classes(tree, |name| gate.is_of(name))));
        let measured = measured.collect();
        let read = Read { groups: self.args.by.groups(tree), holders, measured };
        let file = self.source.source.core.display().to_string();
        Ok((input.with(Side { file, totals: Totals::of(tree) }), read))
    }
}

impl Answer for Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let sides = [self.before.answer(), self.after.answer()];
        out.write_all(diff::text(sides, &self.diff, self.by.name()).as_bytes())
    }

    fn remarks(&self) -> String {
        let of = |name: &str, input: &OfInput<Side>| {
            let remarks = input.remarks_of_input();
            if remarks.is_empty() { remarks } else { format!("{name}:\n{remarks}") }
        };
        of("before", &self.before) + &of("after", &self.after)
    }

    fn outcome(&self) -> Outcome {
        match self.diff.gates.iter().any(|g| g.exceeded) {
            true => Outcome::Failed,
            false => Outcome::of(self.whole),
        }
    }
}

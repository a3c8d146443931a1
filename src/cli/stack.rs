//! `rjcore stack`: threads, their stacks and locks.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::ending::{Answer, end};
use super::progress::Progress;
use super::redact::RedactArgs;
use super::source::{Source, check_output};
use super::{Outcome, advice};
use crate::error::Result;
use crate::native::Unwinder;
use crate::output::collection::Task;
use crate::output::report::Gaps;
use crate::output::sink::{Sink, Target};
use crate::output::stack::group::{Group, group_text, groups};
use crate::output::stack::{Options, ThreadDump, collect, flame, folded, text::text};

const EXAMPLES: &str = "\
Examples:
  rjcore stack core.1234
  rjcore stack core.1234 --group
  rjcore stack core.1234 --locals --no-heap
  rjcore stack core.1234 --locals --redact all
  rjcore stack core.1234 --mixed
  rjcore stack core.1234 --flame threads.svg
  rjcore stack core.1234 --folded > threads.folded
  rjcore stack core.1234 --json | jq -r '.threads[].name'";

/// Print all threads with their stacks and locks, as `jstack -l` does
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: Source,
    /// Show threads with the same stack together, the largest groups first
    #[arg(long)]
    group: bool,
    /// Show each frame's local variables and expression stack; they may hold secrets, see --redact
    #[arg(long, conflicts_with = "group")]
    locals: bool,
    #[command(flatten)]
    redact: RedactArgs,
    /// Show native frames too, and the stacks of the VM's own threads
    #[arg(long, conflicts_with = "group")]
    mixed: bool,
    /// Show N virtual threads without carriers at most; all are counted
    #[arg(long = "virtual", value_name = "N", default_value_t = 1000)]
    virtual_threads: usize,
    /// Do not search the heap: no ownable synchronizers, no virtual threads without carriers
    #[arg(long)]
    no_heap: bool,
    /// Draw a flame graph of all stacks as SVG, too; those of a pool that wait at the same place are
    /// as wide as one
    #[arg(long, value_name = "FILE")]
    flame: Option<PathBuf>,
    /// Draw each of the threads that wait at the same place, not one for their pool
    #[arg(long, requires = "flame")]
    flame_all: bool,
    /// Replace an existing FILE
    #[arg(long, requires = "flame")]
    overwrite: bool,
    /// Print a line for each thread, `name;outermost;...;innermost 1`, as FlameGraph, inferno and
    /// speedscope read them
    #[arg(long, conflicts_with_all = ["group", "json", "locals"])]
    folded: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'d> {
    #[serde(flatten)]
    dump: Option<&'d ThreadDump>,
    #[serde(flatten)]
    grouped: Option<Grouped<'d>>,
    whole: bool,
    gaps: Gaps,
    /// As text: a line for each thread.
    #[serde(skip)]
    folded: bool,
}

/// Groups of threads, and of what.
#[derive(Serialize)]
struct Grouped<'d> {
    vm: &'d str,
    taken_ms: Option<u64>,
    groups: Vec<Group<'d>>,
}

impl<'d> Grouped<'d> {
    fn new(dump: &'d ThreadDump) -> Grouped<'d> {
        Grouped { vm: &dump.vm, taken_ms: dump.taken_ms, groups: groups(dump) }
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let flame = self.flame.as_ref().map(|f| Target::new(f.as_os_str(), self.overwrite));
        if let Some(target) = &flame {
            check_output(Some(&self.source.core), target)?;
        }
        let redaction = self.redact.redaction()?;
        self.source.in_memory.set(redaction.is_some());
        let opened = self.source.open()?.restored();
        let unwinder = self.mixed.then(|| Unwinder::new(&opened.core, self.source.files.sysroot()));
        let (dump, walk, metadata, caught) = opened.with_heap(|heap| {
            let used = if self.no_heap { 0 } else { heap.used() };
            let progress = Progress::new("searching", used);
            let options = Options {
                heap: !self.no_heap,
                virtual_threads: self.virtual_threads,
                values: self.locals,
                redaction: redaction.as_ref(),
                native: unwinder.as_ref(),
                workers: self.source.threads(),
            };
            let (dump, walk) = collect(&opened.core, heap, options, &|n| progress.add(n))?;
            let mut metadata = heap.all_damaged();
            metadata.extend(dump.broken());
            let caught = heap.caught(&walk);
            Ok((dump, walk, metadata, caught))
        })?;
        if let Some(target) = &flame {
            let mut sink = Sink::open(target, false)?;
            flame::write(&dump, self.flame_all, &mut sink)?;
            sink.finish()?;
        }
        let gaps = Gaps::new(&walk, &metadata, opened.core.truncation(), &opened.missing)
            .caught(caught, if self.no_heap { Task::Frames } else { Task::Threads });
        let report = Report {
            dump: (!self.group).then_some(&dump),
            grouped: self.group.then(|| Grouped::new(&dump)),
            whole: gaps.is_whole(),
            gaps,
            folded: self.folded,
        };
        end(&report, self.json)
    }
}

impl Answer for Report<'_> {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        match (self.dump, &self.grouped) {
            (Some(dump), _) if self.folded => folded::write(dump, out),
            (Some(dump), _) => text(dump, advice::words, out),
            (None, Some(g)) => out.write_all(group_text(g.vm, &g.groups).as_bytes()),
            (None, None) => Ok(()),
        }
    }

    fn remarks(&self) -> String {
        self.gaps.text(advice::words)
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(self.whole)
    }
}

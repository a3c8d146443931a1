//! `rjcore memory`: where the process's memory went.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::cost::GraphSource;
use super::ending::{Answer, end};
use super::holders::{self, Job, OpenCore, Reading};
use super::progress::Progress;
use super::source::{Opened, Source};
use super::{Outcome, advice};
use crate::error::{Error, Result};
use crate::graph::dominators::{Dominators, Rule, Watch};
use crate::graph::{Id, ObjectGraph};
use crate::heap::{Heap, Part, Unread};
use crate::output::collection::Task;
use crate::output::memory::{self, Grown, grown, grown_text};
use crate::output::report::Gaps;

const EXAMPLES: &str = "\
Examples:
  rjcore memory core.1234
  rjcore memory 4711                                  # a live JVM: a snapshot is taken and not kept
  rjcore memory core.1234 --threads-top 20
  rjcore memory core.1234 --holders                   # who holds the direct buffers
  rjcore memory core.tuesday --diff core.monday       # which row grew
  rjcore memory core.1234 --json | jq '.parts[] | {part, resident_bytes}'

Each byte of the process is in exactly one row, so the rows add up to what was in memory (RSS). Which
pages were in memory is known of cores that rjcore took; of others, pages that the core holds and
that are not all zeros count.";

/// Show where the process's memory went: heap, metaspace, stacks, direct buffers, malloc, files
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: Source,
    /// Show what each row has more than in this earlier core of the process
    #[arg(long, value_name = "BEFORE")]
    diff: Option<PathBuf>,
    /// Find who holds direct buffers, too, and what threads hold of them: takes the time and the memory
    /// of `rjcore retained`
    #[arg(long)]
    holders: bool,
    /// Take no more memory than this for who holds them; K, M, G stand for powers of 1024
    #[arg(long, value_name = "BYTES", value_parser = holders::bytes, requires = "holders")]
    memory: Option<u64>,
    /// List the N threads with the most stack in memory, too
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads_top: usize,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    memory: memory::Report,
    /// What grew since another core.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<Grown>,
    whole: bool,
    gaps: Gaps,
    /// Those of the other core.
    #[serde(skip_serializing_if = "Option::is_none")]
    before_gaps: Option<Gaps>,
    #[serde(skip)]
    threads_top: usize,
}

impl Answer for Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let text = match &self.diff {
            Some(grown) => grown_text(grown),
            None => memory::text(&self.memory, self.threads_top),
        };
        out.write_all(text.as_bytes())
    }

    fn remarks(&self) -> String {
        let text = |gaps: &Gaps| gaps.text(advice::words);
        let before = self.before_gaps.as_ref().map(text).filter(|t| !t.is_empty());
        let mut out = before.map_or(String::new(), |t| format!("before:\n{t}now:\n"));
        out += &text(&self.gaps);
        if let Some(why) = &self.memory.tracking.why {
            let of = "NativeMemoryTracking is on, and what it has booked cannot be read";
            let advice = why.advice.map_or(String::new(), |a| format!("; {}", advice::words(a)));
            out += &format!("{of}: {}{advice}\n", why.text);
        }
        out
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(self.whole)
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let stdin = Path::new("-");
        if self.diff.as_deref() == Some(stdin) && self.source.core == stdin {
            return Err(Error::usage("only one of the two can come from standard input"));
        }
        let before = self
            .diff
            .as_ref()
            .map(|path| read(&Source::of(path.clone(), self.source.files.clone())))
            .transpose()?;
        let (memory, gaps) = match self.holders {
            true => self.with_holders()?,
            false => read(&self.source)?,
        };
        let diff = before.as_ref().map(|(before, _)| grown(before, &memory));
        let before_gaps = before.map(|(_, gaps)| gaps);
        let whole = gaps.is_whole() && before_gaps.as_ref().is_none_or(Gaps::is_whole);
        let threads_top = self.threads_top;
        end(&Report { memory, diff, whole, gaps, before_gaps, threads_top }, self.json)
    }

    fn with_holders(&self) -> Result<(memory::Report, Gaps)> {
        let Source { core, files, .. } = &self.source;
        let source = GraphSource::of(core.clone(), files.clone(), self.memory);
        let job = Holders { source: &source, found: None };
        holders::with_tree(&source, Rule::Strong, job)?
    }
}

/// The answer, and then who holds direct buffers.
struct Holders<'a> {
    source: &'a GraphSource,
    /// With what besides objects could not be read.
    found: Option<(memory::Report, Vec<Unread>)>,
}

impl Job for Holders<'_> {
    type Answer = Result<(memory::Report, Gaps)>;

    fn read_core(&mut self, core: &OpenCore<'_>) -> Result<()> {
        let (memory, lost) = find(&self.source.source, core.opened, core.heap)?;
        self.found = Some((memory, Part::Memory.all(lost.words).collect()));
        Ok(())
    }

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> Result<(memory::Report, Gaps)> {
        let Some((mut memory, lost)) = self.found else {
            return Err(Error::usage(
                "an HPROF file has nothing of the process's memory: give a core",
            ));
        };
        let add = |watch: Watch<'_>| memory.add_holders(tree, watch);
        holders::watched(&self.source.cost(), tree.memory(), add)?;
        let mut gaps = input.gaps;
        gaps.metadata.extend(lost);
        Ok((memory, gaps))
    }
}

fn read(source: &Source) -> Result<(memory::Report, Gaps)> {
    let opened = source.open()?.restored();
    opened.with_heap(|heap| {
        let (found, lost) = find(source, &opened, heap)?;
        let caught = heap.caught(&lost.walk);
        let mut words: Vec<_> = heap.all_damaged();
        words.extend(Part::Memory.all(lost.words));
        let gaps = Gaps::new(&lost.walk, &words, opened.core.truncation(), &opened.missing);
        Ok((found, gaps.caught(caught, Task::Counts)))
    })
}

fn find(
    source: &Source,
    opened: &Opened,
    heap: &Heap<'_>,
) -> Result<(memory::Report, memory::Lost)> {
    let progress = Progress::new("looking for direct buffers", heap.used());
    let add = |n| progress.add(n);
    memory::find(&opened.core, heap, &source.files.sysroot(), source.threads(), &add)
}

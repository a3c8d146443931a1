//! `rjcore report`: all that the input says, on one page.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::time::Instant;

use serde::Serialize;

use super::cost::GraphSource;
use super::ending::{Answer, end};
use super::holders::{self, Job, OpenCore, Reading};
use super::progress::Progress;
use super::source::{check_output, plain_name, refuse_two_streams};
use super::{Outcome, advice};
use crate::error::{Error, Result};
use crate::graph::dominators::{Dominators, Rule, Watch};
use crate::graph::{Id, ObjectGraph};
use crate::heap::{Part, Unread};
use crate::output::collections::Descriptions;
use crate::output::info::Info;
use crate::output::interrupt;
use crate::output::leaks::{self, Limits};
use crate::output::memory::{self, Matter};
use crate::output::page::{CoreFacts, Findings, Form, Page};
use crate::output::report::{Gaps, number, size_exact};
use crate::output::sink::{Sink, Target};
use crate::output::stack::{Options, collect};
use crate::output::waste::{self, Shown};

/// Bytes of a page at most, where nobody says otherwise. GitHub takes 65,536 characters in an issue.
const HTML: u64 = 10 << 20;
const MARKDOWN: u64 = 60_000;
/// Fields and values of each kind of waste.
const WASTE: usize = 25;
/// Virtual threads without carriers whose stacks are on the page.
const VIRTUAL_THREADS: usize = 1000;

const EXAMPLES: &str = "\
Examples:
  rjcore report core.1234                        # writes core.1234.html
  rjcore report core.1234 -o report.html
  rjcore report heap.hprof.gz -o - > report.html
  rjcore report 4711 --md                        # of a live JVM, for an issue tracker
  rjcore report core.1234 --max-size 1M -o to-mail.html

The page needs nothing but itself: no network, no other file; and without a script it has all but
the click-through. It shows names of classes, threads and properties, and the beginnings of texts:
look at it before it goes to others.";

/// Write all that there is to say on one page: HTML, or Markdown for an issue tracker
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// Where to write the page [default: CORE.html in this directory, with --md CORE.md]; `-` is
    /// standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<OsString>,
    /// Replace OUT if it exists
    #[arg(long)]
    overwrite: bool,
    /// Write Markdown
    #[arg(long)]
    md: bool,
    /// Write so many bytes at most [default: 10M, with --md 60000]; K, M, G stand for powers of
    /// 1024. Where it is little, pictures get coarser and tables shorter
    #[arg(long, value_name = "BYTES", value_parser = holders::bytes)]
    max_size: Option<u64>,
    /// Write the summary as JSON to standard output
    #[arg(long)]
    json: bool,
}

/// The summary as JSON has it.
#[derive(Serialize)]
struct Summary {
    /// Where the page went.
    file: String,
    bytes_written: u64,
    /// Boxes of the picture of who holds the memory that there are, and that are on the page.
    boxes: usize,
    boxes_shown: usize,
    /// Rows that a table has at most.
    rows: usize,
    seconds: f64,
    /// How the sizes of objects were found, where the input does not have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    sizes: Option<String>,
    whole: bool,
    gaps: Gaps,
}

/// Gathers the page.
struct Gathering<'a> {
    args: &'a Args,
    core: Option<CoreFacts>,
    /// What the section on memory could not read.
    lost: Vec<Unread>,
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let target = Target::new(&self.output_name(), self.overwrite);
        refuse_two_streams(self.json, &target)?;
        let started = Instant::now();
        check_output(Some(&self.source.source.core), &target)?;
        interrupt::install().map_err(Error::io("signal handlers".as_ref()))?;
        let gathering = Gathering { args: self, core: None, lost: Vec::new() };
        let page = holders::with_tree(&self.source, Rule::Strong, gathering)??;
        let form = if self.md { Form::Markdown } else { Form::Html };
        let limit = self.max_size.unwrap_or(if self.md { MARKDOWN } else { HTML });
        let written = page.write(form, limit as usize, advice::words)?;
        let mut sink = Sink::open(&target, false)?;
        sink.write_all(written.text.as_bytes()).map_err(Error::from_write)?;
        let bytes_written = sink.finish()?;
        let summary = Summary {
            file: target.name(),
            bytes_written,
            boxes: written.boxes.0,
            boxes_shown: written.boxes.1,
            rows: written.rows,
            seconds: started.elapsed().as_secs_f64(),
            sizes: page.sizes().map(str::to_owned),
            whole: page.gaps().is_whole(),
            gaps: page.gaps().clone(),
        };
        end(&summary, self.json)
    }

    /// The name that was asked for, or the input's own with another end.
    fn output_name(&self) -> OsString {
        if let Some(name) = &self.output {
            return name.clone();
        }
        let plain = plain_name(&self.source.source.core);
        let plain = match plain.as_encoded_bytes().strip_suffix(b".hprof") {
            Some(_) => plain_stem(plain),
            None => plain,
        };
        let mut name = plain.to_owned();
        name.push(if self.md { ".md" } else { ".html" });
        name
    }
}

fn plain_stem(name: &OsStr) -> &OsStr {
    std::path::Path::new(name).file_stem().unwrap_or(name)
}

impl Job for Gathering<'_> {
    type Answer = Result<Page>;

    fn read_core(&mut self, core: &OpenCore<'_>) -> Result<()> {
        let &OpenCore { opened, heap, redaction } = core;
        let source = &self.args.source.source;
        let progress = Progress::new("searching", heap.used());
        let options = Options {
            heap: true,
            virtual_threads: VIRTUAL_THREADS,
            values: false,
            redaction: None,
            native: None,
            workers: source.threads(),
        };
        let (threads, walked) = collect(&opened.core, heap, options, &|n| progress.add(n))?;
        let mut info = Info::of_core(&opened.core, source.bytes(), &opened.missing);
        info.add_vm(heap.vm, true);
        info.add_walked_heap(heap, source.threads(), Some(&walked))?;
        if let Some(redaction) = redaction {
            info.redact(redaction);
        }
        let memory =
            memory::find_told(&opened.core, heap, &source.files.sysroot(), source.threads())?;
        let memory = memory.map(|(memory, lost)| {
            self.lost.extend(Part::Memory.all(lost.words));
            memory
        });
        self.core = Some(CoreFacts { info, threads, memory });
        Ok(())
    }

    fn work<G: ObjectGraph, I: Id>(
        mut self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> Result<Page> {
        let mut gaps = input.gaps;
        gaps.metadata.extend(self.core.iter().flat_map(|core| core.threads.broken()));
        gaps.metadata.append(&mut self.lost);
        let source = &self.args.source;
        let find = |watch: Watch<'_>| leaks::find(tree, Limits::default(), watch);
        let leaks = holders::watched(&source.cost(), tree.memory(), find)?;
        let shown = Shown { top: WASTE, min: 1, wanted: &|_| true };
        let find = |watch: Watch<'_>| waste::find(tree, &Descriptions::known(), &shown, watch);
        let waste = holders::watched(&source.cost(), tree.memory(), find)?;
        let memory = self.core.as_mut().and_then(|core| core.memory.as_mut());
        let of_buffers = |m: &memory::Report| m.stands_out(Matter::DirectBuffers);
        if let Some(memory) = memory.filter(|m| of_buffers(m)) {
            let add = |watch: Watch<'_>| memory.add_holders(tree, watch);
            holders::watched(&source.cost(), tree.memory(), add)?;
        }
        let name = source.source.core.display().to_string();
        let found = Findings { leaks, waste };
        Ok(Page::of_tree(name, tree, self.core, found, gaps, input.sizes))
    }
}

impl Answer for Summary {
    fn summary(&self) -> String {
        let mut out = format!("{}: {} written\n", self.file, size_exact(self.bytes_written));
        if self.boxes_shown < self.boxes && self.boxes_shown > 0 {
            let (shown, all) = (number(self.boxes_shown as u64), number(self.boxes as u64));
            out += &format!(
                "{shown} of the treemap's {all} boxes are in it: --max-size has no room for more\n"
            );
        }
        out + &advice::remarks(self.sizes.as_deref(), &self.gaps)
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(self.whole)
    }
}

//! `--report` and `--strict` of the commands that make an answer of a heap's objects.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::ending::SCHEMA;
use super::source::check_output;
use crate::error::{Error, Result};
use crate::heap::{Heap, WalkReport};
use crate::output::collection::Task;
use crate::output::fidelity::{Loss, SpaceFidelity, lines, losses};
use crate::output::report::Gaps;
use crate::output::sink::{Sink, Target};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Write to FILE, as JSON, what the answer lacks and what that costs it: bytes walked, skipped,
    /// unparsable and absent by space, metadata that could not be read. The report of a dump, or of
    /// an HPROF file, also counts the references that lead to no object, and from which fields; a
    /// dump takes a 32nd of the heap's bytes of memory for that. If there are any, the exit code is 3
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Fail (exit code 1) instead of an answer that lacks something; nothing is written then but
    /// the report
    #[arg(long)]
    strict: bool,
}

/// What an answer lacks.
#[derive(Debug)]
pub(super) struct Fidelity {
    spaces: Vec<SpaceFidelity>,
    losses: Vec<Loss>,
    pub whole: bool,
}

/// The report's form.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    /// Of what input.
    input: String,
    /// Where the answer went; none where it is no file, or was refused.
    file: Option<&'a str>,
    whole: bool,
    spaces: &'a [SpaceFidelity],
    losses: &'a [Loss],
    gaps: &'a Gaps,
}

impl Fidelity {
    pub(super) fn new(spaces: Vec<SpaceFidelity>, gaps: &Gaps, unreadable: u64) -> Fidelity {
        let losses = losses(&spaces, gaps, unreadable);
        Fidelity { spaces, losses, whole: gaps.is_whole() && unreadable == 0 }
    }

    /// What it costs, a line each; none where nothing is lost.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for line in lines(&self.losses) {
            out += &format!("lost: {line}\n");
        }
        out
    }
}

impl Args {
    /// Whether references that lead to no object are to be counted.
    pub(super) fn counts(&self) -> bool {
        self.report.is_some()
    }

    fn target(&self, overwrite: bool) -> Option<Target> {
        self.report.as_ref().map(|r| Target::new(r.as_os_str(), overwrite))
    }

    /// Refuses what cannot be meant, before any work is done. `output` is where a file goes.
    pub(super) fn check(
        &self,
        core: Option<&Path>,
        output: Option<&Target>,
        overwrite: bool,
    ) -> Result<()> {
        if self.strict && matches!(output, Some(Target::Stdout)) {
            let what =
                "--strict: what went to standard output cannot be taken back; give a file with -o";
            return Err(Error::usage(what));
        }
        let Some(report) = self.target(overwrite) else { return Ok(()) };
        if let Some(Target::File { path, .. }) = output
            && Some(path) == self.report.as_ref()
        {
            return Err(Error::usage("the report needs another name than the answer"));
        }
        if matches!(report, Target::Stdout) {
            let what =
                "--report: give a file; standard output has the answer, with --json its gaps too";
            return Err(Error::usage(what));
        }
        check_output(core, &report)
    }

    /// With --strict: an error for what is known to be lost before the walk.
    pub(super) fn foresee(&self, heap: &Heap, task: Task, unreadable: u64) -> Result<()> {
        if !self.strict {
            return Ok(());
        }
        let none = WalkReport::default();
        let gaps = Gaps::new(&none, &heap.damaged, None, &[]).caught(heap.caught(&none), task);
        self.judge(&Fidelity::new(Vec::new(), &gaps, unreadable))
    }

    fn judge(&self, found: &Fidelity) -> Result<()> {
        match found.whole || !self.strict {
            true => Ok(()),
            false => Err(Error::NotWhole(lines(&found.losses).collect::<Vec<_>>().join("; "))),
        }
    }

    /// Writes the report; then `finish` gives the answer, unless --strict refuses it.
    pub(super) fn end<T>(
        &self,
        input: String,
        file: Option<&str>,
        overwrite: bool,
        found: &Fidelity,
        gaps: &Gaps,
        finish: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let judged = self.judge(found);
        let sink = match self.target(overwrite) {
            None => None,
            Some(target) => {
                let report = Report {
                    schema: SCHEMA,
                    input,
                    file: file.filter(|_| judged.is_ok()),
                    whole: found.whole,
                    spaces: &found.spaces,
                    losses: &found.losses,
                    gaps,
                };
                let mut text =
                    serde_json::to_vec_pretty(&report).map_err(|e| Error::from_write(e.into()))?;
                text.push(b'\n');
                let mut sink = Sink::open(&target, false)?;
                sink.write_all(&text).map_err(Error::from_write)?;
                sink.flush().map_err(Error::from_write)?;
                Some(sink)
            }
        };
        let answer = judged.and_then(|()| finish());
        // It is there also where the answer was refused: it says why.
        if matches!(&answer, Ok(_) | Err(Error::NotWhole(_)))
            && let Some(sink) = sink
        {
            sink.finish()?;
        }
        answer
    }
}

//! The end of every command: its answer as text or JSON, its report, and the exit code.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::advice;
use super::allocator::no_thread;
use crate::error::{Error, REPORT, Result};
use crate::mapped::end_on_lost_pages;
use crate::output::interrupt;
use crate::panics;

/// The number of the JSON's form. Fields are only ever added under one number: docs/json.md.
pub(super) const SCHEMA: u32 = 1;

/// The exit codes, as the help and docs/json.md have them.
pub(super) const EXIT: &str = "\
Exit codes:
  0  all of it was read and written
  1  it failed, or --strict refused an answer with gaps; no file was written
  2  wrong usage
  3  there is an answer or a file, but parts of the core could not be read (they are listed)
  4  rjcore itself failed; please report it
  128 + signal  interrupted (130: Ctrl-C)";

/// How a command that came to its end ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of it was read.
    Whole,
    /// There is an answer, and something is missing in it.
    Gaps,
    /// What was asked was answered, and the answer is no.
    Failed,
}

impl Outcome {
    /// By whether all was read.
    pub(super) fn of(whole: bool) -> Outcome {
        if whole { Outcome::Whole } else { Outcome::Gaps }
    }
}

/// What a command answers. Its fields are the JSON.
pub(super) trait Answer: Serialize {
    /// The answer as text on standard output; none where the command writes a file.
    fn text(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// What is said of a text on standard error; JSON has it among its fields.
    fn remarks(&self) -> String {
        String::new()
    }

    /// What is said on standard error in any case: of a command that wrote a file, its summary.
    fn summary(&self) -> String {
        String::new()
    }

    /// How it ended.
    fn outcome(&self) -> Outcome;
}

/// An answer as JSON has it.
#[derive(Serialize)]
struct Numbered<'a, A> {
    schema: u32,
    #[serde(flatten)]
    answer: &'a A,
}

/// Shows an answer: text, or JSON where that was asked for.
pub(super) fn end(answer: &impl Answer, json: bool) -> Result<Outcome> {
    tell(&answer.summary());
    if json {
        let numbered = Numbered { schema: SCHEMA, answer };
        print_by(|mut out| {
            serde_json::to_writer_pretty(&mut out, &numbered).map_err(io::Error::from)?;
            out.write_all(b"\n")
        })?;
    } else {
        print_by(|out| answer.text(out))?;
        tell(&answer.remarks());
    }
    Ok(answer.outcome())
}

/// The exit code of a command; tells what its error is.
pub(super) fn exit_code(result: Result<Outcome>) -> ExitCode {
    match result {
        Ok(Outcome::Whole) => ExitCode::SUCCESS,
        Ok(Outcome::Gaps) => ExitCode::from(3),
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(e) => {
            tell(&format!("rjcore: {}\n", e.text(advice::words)));
            ExitCode::from(match e {
                Error::Usage { .. } => 2,
                Error::Failed(_) => 4,
                _ => interrupt::exit_code().unwrap_or(1),
            })
        }
    }
}

/// Runs a command. Whatever it does, it ends with words and an exit code: after a panic, and when a mapped file loses
/// pages.
pub fn guarded(run: impl FnOnce() -> ExitCode) -> ExitCode {
    panics::note_all(no_thread);
    if let Err(e) = end_on_lost_pages().and_then(|()| interrupt::survive_size_limit()) {
        return exit_code(Err(Error::io(Path::new("signal handlers"))(e)));
    }
    let ended = panics::caught(run);
    if let Some((count, first)) = panics::survived() {
        let times =
            if count == 1 { String::new() } else { format!("{count} times, the first time: ") };
        tell(&format!(
            "rjcore: it failed on a part of the core, and went on: {times}{first}. {REPORT}\n"
        ));
    }
    // Another thread's is the cause of one that waited for it.
    match (ended, panics::uncaught()) {
        (Ok(code), None) => code,
        (_, Some(panicked)) | (Err(panicked), None) => exit_code(Err(Error::Failed(panicked))),
    }
}

/// Writes text to standard output. A reader that has seen enough (`| head`) is no error.
pub(super) fn print(text: &[u8]) -> Result<()> {
    print_by(|out| out.write_all(text))
}

/// Writes to standard output what `write` does, piece by piece. Who reads it may stop early.
pub(super) fn print_by(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Error::io(Path::new("standard output"))),
    }
}

/// Writes a message to standard error. It may be closed: then there is nobody left to tell.
pub(super) fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

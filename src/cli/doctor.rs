//! `rjcore doctor`: whether a JVM's attach door will open, and why not.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::ending::{Answer, end};
use super::snapshot::{How, foresight_text};
use super::source::Opened;
use super::vm_memory::look;
use super::who::Who;
use super::{Outcome, advice};
use crate::capture::Foresight;
use crate::error::{Error, Result};
use crate::live::diagnosis::{Diagnosis, Verdict};
use crate::live::doctor::examine;
use crate::output::interrupt;
use crate::output::report::clean;
use crate::output::sink::Target;
use crate::output::stack::text::thread_text;
use crate::output::stack::{Options, collect};

const EXAMPLES: &str = "\
Examples:
  rjcore doctor 1234
  rjcore doctor 1234 --stack
  rjcore doctor 1234 --capture
  rjcore doctor 1234 --json | jq -r '.findings[].reason, .next'

It looks at /proc and the file system only, and watches the threads for half a second: no signal,
no connection, no file. The last line is the command to run next.

Exit codes:
  0  attach will work
  1  it will not
  2  wrong usage";

/// Say whether jmap, jcmd and rjcore attach can reach a JVM, and if not, exactly why
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The JVM's process id, or its main class
    #[arg(value_name = "PID")]
    pid: Who,
    /// If a safepoint is not reached, take a snapshot as rjcore capture does, which stops the JVM
    /// for a moment, and show where the threads are that hold it up
    #[arg(long)]
    stack: bool,
    /// Say as well which way rjcore capture would take to a core in this directory, for how long the
    /// JVM would stand still, and what is missing for a shorter stop
    #[arg(long)]
    capture: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'d> {
    #[serde(flatten)]
    diagnosis: &'d Diagnosis,
    /// The stacks of the holders, as a thread dump has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    stacks: Option<String>,
    /// What a capture would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<Foresight>,
    /// The command to run next.
    next: String,
}

impl Answer for Report<'_> {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        // What a process calls itself must not steer a terminal.
        let text = self.diagnosis.text(self.stacks.as_deref().unwrap_or_default(), &self.next);
        let lines: Vec<String> = text.lines().map(clean_line).collect();
        let capture = self.capture.as_ref().map_or(String::new(), foresight_text);
        writeln!(out, "{capture}{}", lines.join("\n"))
    }

    fn outcome(&self) -> Outcome {
        match self.diagnosis.verdict {
            Verdict::Attach => Outcome::Whole,
            Verdict::Mend | Verdict::Capture | Verdict::Neither => Outcome::Failed,
        }
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let diagnosis = examine(self.pid.pid()?, true, look).diagnosis;
        let stacks = match self.stack && !diagnosis.holders.is_empty() {
            true => Some(self.stacks(&diagnosis)?),
            false => None,
        };
        let capture = match self.capture && diagnosis.no_capture.is_none() {
            true => Some(How::default().foresee(diagnosis.pid, Path::new("."))?),
            false => None,
        };
        let next = advice::command(&diagnosis.next, advice::DUMP);
        end(&Report { diagnosis: &diagnosis, stacks, capture, next }, self.json)
    }

    /// The holders' Java stacks, from a snapshot that goes away again.
    fn stacks(&self, diagnosis: &Diagnosis) -> Result<String> {
        interrupt::install().map_err(Error::io("signal handlers".as_ref()))?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (file, _) =
            How::default().capture_unlinked(diagnosis.pid, threads, &Target::Stdout, false)?;
        let opened = Opened::captured(Path::new("the snapshot"), file)?;
        opened.with_heap(|heap| {
            let options = Options {
                heap: false,
                virtual_threads: 0,
                values: false,
                redaction: None,
                workers: threads,
                native: None,
            };
            let (dump, _) = collect(&opened.core, heap, options, &|_| ())?;
            let holds =
                |nid: u32| diagnosis.holders.iter().any(|h| u32::try_from(h.inner) == Ok(nid));
            let held = dump.threads.iter().filter(|t| holds(t.nid));
            Ok(held.map(|t| thread_text(t, &dump, advice::words)).collect())
        })
    }
}

/// Without control characters, but for the tabs of stacks.
fn clean_line(line: &str) -> String {
    line.split('\t').map(clean).collect::<Vec<_>>().join("\t")
}

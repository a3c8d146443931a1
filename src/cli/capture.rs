//! `rjcore capture`: a live JVM becomes a core.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::ending::{Answer, end};
use super::redact::NoRedaction;
use super::snapshot::{How, report_text};
use super::source::{names_zstd, refuse_two_streams};
use super::who::Who;
use super::{Outcome, advice, tell};
use crate::capture::Report;
use crate::corefile::{CoreFile, OpenOptions, Sysroot};
use crate::error::{Error, Result};
use crate::output::check::{Check, Verdict};
use crate::output::interrupt;
use crate::output::report::{clean, first_lines, size, size_exact};
use crate::output::sink::{Sink, Target};

/// While a JVM waits for its snapshot's end, speed counts.
const ZSTD_LEVEL: i32 = 1;

const EXAMPLES: &str = "\
Examples:
  rjcore capture 1234                             # writes core.1234
  rjcore capture 1234 -o core.1234.zst            # compressed
  rjcore capture 1234 -o - | ssh host 'cat > core.1234'
  rjcore capture 1234 --json | jq .pause_ms

The core needs no JDK and no libjvm.so beside it: rjcore dump reads it on any machine. It holds
the Java heap with all that is in it, secrets too: `rjcore dump --pid PID --redact all` writes what
may leave.";

/// Take a core of a live JVM, with the shortest possible stop
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The JVM's process id, or its main class
    #[arg(value_name = "PID")]
    pid: Who,
    /// Where to write the core, compressed if the name ends in .zst [default: core.PID, with --zstd
    /// core.PID.zst]; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<OsString>,
    /// Replace FILE if it exists
    #[arg(long)]
    overwrite: bool,
    /// Compress with zstd while writing; level 1 (the default) to 19
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "1", value_parser = clap::value_parser!(i32).range(1..=19))]
    zstd: Option<i32>,
    /// Write the report as JSON to standard output
    #[arg(long)]
    json: bool,
    /// Do not check afterwards that the core can be read
    #[arg(long)]
    no_check: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    no_redaction: NoRedaction,
}

/// The report as JSON has it.
#[derive(Serialize)]
struct Summary {
    file: String,
    #[serde(flatten)]
    report: Report,
    /// Bytes that went to the file or stream.
    bytes: u64,
    /// Bytes that it takes on the disk.
    disk_bytes: Option<u64>,
    seconds: f64,
    /// Bytes of memory a second.
    rate: f64,
    #[serde(flatten)]
    checked: Checked,
    whole: bool,
}

/// What `rjcore check` says of the file.
#[derive(Serialize)]
struct Checked {
    /// Its verdict, if it was asked.
    check: Option<Verdict>,
    /// Why it was not asked.
    not_checked: Option<NotChecked>,
    /// The same in words.
    check_text: String,
}

/// Why a core was not checked.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum NotChecked {
    /// The user did not want it.
    AsAskedFor,
    /// It went to a stream.
    Stream,
    /// There was no room to unpack it.
    NoRoom,
}

impl Checked {
    fn said(verdict: Verdict, text: String) -> Checked {
        Checked { check: Some(verdict), not_checked: None, check_text: text }
    }

    fn not(why: NotChecked, text: String) -> Checked {
        Checked { check: None, not_checked: Some(why), check_text: text }
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        self.no_redaction.refuse("rjcore dump --pid PID")?;
        let started = Instant::now();
        let pid = self.pid.pid()?;
        let name = self.output.clone().unwrap_or_else(|| {
            let end = if self.zstd.is_some() { ".zst" } else { "" };
            format!("core.{pid}{end}").into()
        });
        let zstd = self.zstd.or(names_zstd(&name).then_some(ZSTD_LEVEL));
        let target = Target::new(&name, self.overwrite);
        refuse_two_streams(self.json, &target)?;
        interrupt::install().map_err(Error::io("signal handlers".as_ref()))?;
        let mut sink = Sink::open(&target, true)?;
        let directory = match &target {
            Target::File { path, .. } => path.parent().filter(|p| !p.as_os_str().is_empty()),
            Target::Stdout => None,
        };
        let directory = directory.map_or_else(|| PathBuf::from("."), Path::to_owned);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let report = self.how.capture(pid, zstd, threads, &directory, &mut sink)?;
        sink.sync()?;
        let mut checked = self.check(&sink, &name, threads);
        if checked.check == Some(Verdict::SelfContained) && !report.unreadable.is_empty() {
            let text =
                "gaps: what could not be read is not in the core; rjcore dump does not need it";
            checked = Checked::said(Verdict::Gaps, text.into());
        }
        let disk_bytes = sink.disk_bytes();
        // A heap that this rjcore cannot read yet is in the core all the same.
        let fine =
            matches!(checked.check, None | Some(Verdict::SelfContained | Verdict::Unsupported));
        let whole = fine && report.unreadable.is_empty();
        let (bytes, beside) = match whole {
            true => (sink.finish()?, None),
            false => sink.finish_beside()?,
        };
        let seconds = started.elapsed().as_secs_f64();
        let name = target.name();
        if let Some(beside) = &beside {
            tell(&format!(
                "rjcore: {} is as it was: it holds an earlier file, and a core with gaps does not \
                 replace it; the new one is {}\n",
                clean(&name),
                clean(&beside.display().to_string())
            ));
        }
        let summary = Summary {
            file: beside.map_or(name, |p| p.display().to_string()),
            bytes,
            disk_bytes,
            seconds,
            rate: report.data_bytes as f64 / seconds.max(0.001),
            checked,
            report,
            whole,
        };
        end(&summary, self.json)
    }

    /// What `rjcore check` says of the file alone, before it gets its name.
    fn check(&self, sink: &Sink, name: &OsStr, threads: usize) -> Checked {
        if self.no_check {
            return Checked::not(NotChecked::AsAskedFor, "not checked, as asked for".into());
        }
        let Some(hidden) = sink.hidden() else {
            let text = "not checked: it went to a stream; run rjcore check on it";
            return Checked::not(NotChecked::Stream, text.into());
        };
        let checked = || -> Result<Check> {
            let file = File::open(hidden).map_err(Error::io(hidden))?;
            let mut core = CoreFile::from_file(Path::new(name), file, &OpenOptions::default())?;
            let alone = Sysroot { alone: true, ..Sysroot::default() };
            Ok(match core.lay_backing_files(&alone) {
                Ok(missing) => Check::of(&core, &missing, threads),
                Err(e) => Check::unreadable(&core, &e),
            })
        };
        match checked() {
            Ok(check) => {
                let damaged = check.damaged.iter().map(|u| u.text.clone());
                let problems = first_lines(damaged, check.damaged.len() as u64);
                let says = std::iter::once(check.line(advice::words)).chain(problems);
                let says: Vec<String> = says.collect();
                Checked::said(check.verdict(), says.join("\n  "))
            }
            Err(e @ Error::NoRoom { .. }) => {
                let text = format!("not checked: {}", e.text(advice::words));
                Checked::not(NotChecked::NoRoom, text)
            }
            Err(e) => Checked::said(Verdict::Unreadable, e.text(advice::words)),
        }
    }
}

impl Answer for Summary {
    fn summary(&self) -> String {
        let r = &self.report;
        let out = format!(
            "{}: {} of memory in {:.1} s, {}/s; {} on the disk\n",
            clean(&self.file),
            size_exact(r.data_bytes),
            self.seconds,
            size(self.rate as u64),
            size(self.disk_bytes.unwrap_or(self.bytes)),
        );
        let check: Vec<String> =
            self.checked.check_text.lines().map(|l| clean(l).to_string()).collect();
        format!("{out}{}{}\n", report_text(r), check.join("\n"))
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(self.whole)
    }
}

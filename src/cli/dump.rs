//! `rjcore dump`: the heap as HPROF, of a core or of a live JVM.

use std::cell::Cell;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::ending::{Answer, end};
use super::fidelity::{self, Fidelity};
use super::progress::Progress;
use super::redact::RedactArgs;
use super::snapshot::{How, report_text};
use super::source::{Files, Opened, Source, check_output, plain_name, refuse_two_streams};
use super::who::{self, Who};
use super::{Outcome, advice, tell};
use crate::capture::Report;
use crate::error::{Error, Result};
use crate::heap::Heap;
use crate::output::collection::Task;
use crate::output::dangling::DanglingReferences;
use crate::output::fidelity::{SpaceFidelity, spaces};
use crate::output::gzip::GzWriter;
use crate::output::hprof::{DumpSummary, Options, write_dump_with};
use crate::output::interrupt;
use crate::output::redact::{Redacted, Redaction};
use crate::output::report::{Gaps, count, size, size_exact};
use crate::output::sink::{Sink, Target};

const EXAMPLES: &str = "\
Examples:
  rjcore dump core.1234                           # writes core.1234.hprof
  rjcore dump core.1234 -o heap.hprof
  rjcore dump core.1234.zst --gz -o heap.hprof.gz # to store or send; `gunzip` it for VisualVM
  rjcore dump --pid 1234 -o heap.hprof
  rjcore dump core.1234 --redact all -o no-secrets.hprof
  rjcore dump core.1234 --redact strings --redact-key key.bin --keep 'com.acme.Config*'
  rjcore dump core.1234 --redact-pattern '[0-9]{13,19}' -o no-cards.hprof
  rjcore dump core.1234 --sysroot /mnt/image -o heap.hprof
  rjcore dump core.1234 --strict --report lost.json  # a whole dump or none, and what is lost
  rjcore dump core.1234 -o - | zstd > heap.hprof.zst";

/// Write the heap as an HPROF dump, as HotSpot's own `jcmd PID GC.heap_dump -all` does
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The core: gcore's or the kernel's, plain or compressed (zstd, gzip, xz, lz4, bzip2), or a
    /// bundle with it (tar, also compressed, or zip); `-` is standard input. A number or a main
    /// class without such a file is --pid
    #[arg(value_name = "CORE", required_unless_present = "pid")]
    core: Option<PathBuf>,
    /// Dump a live JVM, by process id or main class: take a snapshot, dump that, keep no core
    #[arg(long, value_name = "PID", conflicts_with_all = ["core", "jvm", "sysroot"])]
    pid: Option<Who>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    redact: RedactArgs,
    /// Where to write the dump [default: CORE.hprof in this directory, with --pid
    /// java_pidPID.hprof]; `-` is standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<OsString>,
    /// Replace OUT if it exists
    #[arg(long)]
    overwrite: bool,
    /// Compress with gzip, in blocks that readers can seek to; level 1 (the default) to 9. Eclipse
    /// MAT opens such a dump; VisualVM, hprof-slurp and jhat do not, HotSpot's own neither: unpack it
    /// for them with `gunzip -k FILE.hprof.gz`
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "1", value_parser = clap::value_parser!(u8).range(1..=9))]
    gz: Option<u8>,
    #[command(flatten)]
    fidelity: fidelity::Args,
    /// Write the summary as JSON to standard output
    #[arg(long)]
    json: bool,
}

/// The summary as JSON has it.
#[derive(Serialize)]
struct Summary {
    /// Where the dump went.
    file: String,
    /// How a live JVM was captured.
    capture: Option<Report>,
    objects: u64,
    heap_bytes: u64,
    classes: u64,
    roots: u64,
    truncated_arrays: u64,
    /// What was redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted: Option<Redacted>,
    bytes_written: u64,
    seconds: f64,
    whole: bool,
    gaps: Gaps,
    /// What is lost, in words.
    #[serde(skip)]
    lost: String,
}

/// A dump that has no name yet.
struct Written {
    summary: DumpSummary,
    sink: Sink,
    spaces: Vec<SpaceFidelity>,
    dangling: Option<DanglingReferences>,
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let pid = match (&self.pid, &self.core) {
            (Some(who), _) => Some(who.pid()?),
            (None, Some(core)) => who::live(core)?,
            (None, None) => None,
        };
        let redaction = self.redact.redaction()?;
        let target = Target::new(&self.output_name(pid), self.overwrite);
        refuse_two_streams(self.json, &target)?;
        let started = Instant::now();
        check_output(self.core.as_deref(), &target)?;
        self.fidelity.check(self.core.as_deref(), Some(&target), self.overwrite)?;
        interrupt::install().map_err(Error::io("signal handlers".as_ref()))?;
        let (opened, capture) = self.open(pid, &target, redaction.is_some())?;
        let opened = opened.restored();
        let unreadable = capture.as_ref().map_or(0, |r| r.unreadable.len() as u64);
        let written = opened.with_heap(|heap| {
            self.fidelity.foresee(heap, Task::Objects, unreadable)?;
            self.write(heap, redaction.as_ref(), &target)
        })?;
        let Written { summary, sink, spaces, dangling } = written;
        let (core, missing) = (&opened.core, &opened.missing);
        let gaps = Gaps::new(&summary.walk, &summary.damaged, core.truncation(), missing)
            .caught(summary.caught, Task::Objects);
        let gaps = Gaps { dangling, ..gaps };
        let found = Fidelity::new(spaces, &gaps, unreadable);
        let input = core.path().display().to_string();
        let file = target.name();
        let (args, overwrite) = (&self.fidelity, self.overwrite);
        let bytes_written =
            args.end(input, Some(&file), overwrite, &found, &gaps, || sink.finish())?;
        let summary = Summary {
            file,
            capture,
            objects: summary.objects,
            heap_bytes: summary.walk.bytes(),
            classes: summary.classes,
            roots: summary.roots,
            truncated_arrays: summary.truncated_arrays,
            redacted: redaction.as_ref().map(Redaction::summary),
            bytes_written,
            seconds: started.elapsed().as_secs_f64(),
            whole: found.whole,
            gaps,
            lost: found.text(),
        };
        end(&summary, self.json)
    }

    /// The name that was asked for, or the core's own with another end; of a live JVM the one that
    /// HotSpot itself takes. The current directory is as good a place as for a core.
    fn output_name(&self, pid: Option<i32>) -> OsString {
        if let Some(name) = &self.output {
            return name.clone();
        }
        let mut name = match (pid, &self.core) {
            (Some(pid), _) => format!("java_pid{pid}").into(),
            (None, core) => OsString::from(plain_name(core.as_deref().unwrap_or("".as_ref()))),
        };
        name.push(if self.gz.is_some() { ".hprof.gz" } else { ".hprof" });
        name
    }

    /// The core, and how it was taken if that was done just now; `in_memory` says that nothing must reach a disk.
    fn open(
        &self,
        pid: Option<i32>,
        target: &Target,
        in_memory: bool,
    ) -> Result<(Opened, Option<Report>)> {
        match (&self.core, pid) {
            (_, Some(pid)) => {
                let (file, report) =
                    self.how.capture_unlinked(pid, self.files.threads(), target, in_memory)?;
                tell(&report_text(&report));
                let name = format!("the snapshot of process {pid}");
                Ok((Opened::captured(Path::new(&name), file)?, Some(report)))
            }
            (Some(core), None) => {
                let (core, files) = (core.clone(), self.files.clone());
                let source =
                    Source { core, files, snapshot: Cell::new(0), in_memory: Cell::new(in_memory) };
                Ok((source.open()?, None))
            }
            (None, None) => Err(Error::usage("give a CORE, or --pid PID")),
        }
    }

    /// Writes the dump; it has no name yet.
    fn write(
        &self,
        heap: &Heap,
        redaction: Option<&Redaction>,
        target: &Target,
    ) -> Result<Written> {
        let mut sink = Sink::open(target, true)?;
        let threads = self.files.threads();
        let progress = Progress::new("dumping", heap.used());
        let options = Options { dangling: self.fidelity.counts(), redaction };
        let run = |out: &mut (dyn Write + Send)| {
            write_dump_with(options, heap, threads, out, &|n| progress.add(n))
        };
        let summary = match self.gz {
            None => run(&mut sink)?,
            Some(level) => {
                let gz = GzWriter::new(sink, level, threads);
                let mut gz = gz.map_err(Error::from_write)?;
                let summary = run(&mut gz)?;
                sink = gz.finish().map_err(Error::from_write)?;
                summary
            }
        };
        let dangling = summary.dangling.as_ref().map(|d| DanglingReferences::of(heap, d));
        Ok(Written { spaces: spaces(heap, &summary.walk), summary, sink, dangling })
    }
}

impl Answer for Summary {
    fn summary(&self) -> String {
        let rate = (self.heap_bytes as f64 / self.seconds.max(0.001)) as u64;
        let mut out = format!(
            "{}: {}, {}, {}\n{} written for {} of heap in {:.1} s, {}/s\n",
            self.file,
            count(self.objects, "object", "objects"),
            count(self.classes, "class", "classes"),
            count(self.roots, "root", "roots"),
            size_exact(self.bytes_written),
            size(self.heap_bytes),
            self.seconds,
            size(rate)
        );
        if let Some(redacted) = &self.redacted {
            out += &format!("{}\n", redacted.words());
        }
        if self.truncated_arrays > 0 {
            let n = count(self.truncated_arrays, "array is", "arrays are");
            out +=
                &format!("{n} cut short: the format has no room for more, HotSpot does the same\n");
        }
        out + &self.gaps.text(advice::words) + &self.lost
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(self.whole)
    }
}

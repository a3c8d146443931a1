//! `rjcore capture`: a live JVM becomes a core; and the snapshot for `dump --pid`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;

use super::progress::Progress;
use super::who::Who;
use super::{Outcome, print_json, tell};
use crate::capture::{self, Method, Options, Report};
use crate::corefile::{CoreFile, OpenOptions, Sysroot};
use crate::error::{Error, Result};
use crate::format::out::CoreOut;
use crate::hotspot::collecting::Collecting;
use crate::output::check::{Check, Verdict};
use crate::output::interrupt;
use crate::output::report::{clean, count, first_lines, size, size_exact};
use crate::output::sink::{Sink, Target};
use crate::process::maps;
use crate::process::peek::Probe;

const EXAMPLES: &str = "\
Examples:
  rjcore capture 1234                             # writes core.1234
  rjcore capture 1234 --zstd -o core.1234.zst
  rjcore capture 1234 -o - | ssh host 'cat > core.1234'
  rjcore capture 1234 --json | jq .pause_ms

The core needs no JDK and no libjvm.so beside it: rjcore dump reads it on any machine. It holds
the Java heap with all that is in it, secrets too.";

/// How to take the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Snapshot {
    /// Choose what stops the JVM the shortest
    Auto,
    /// A forked child holds the memory while it is read; stops the JVM for milliseconds
    Fork,
    /// Copy while the JVM runs, and the rest within the stop; for ZGC
    Precopy,
    /// Copy all within the stop
    Stop,
}

/// Take a core of a live JVM, with the shortest possible stop
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The JVM's process id, or its main class
    #[arg(value_name = "PID")]
    pid: Who,
    /// Where to write the core [default: core.PID, with --zstd core.PID.zst]; `-` is standard output
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
}

/// Defaults of the options below.
const STOP_TIMEOUT: u64 = 1000;
const RETRIES: u32 = 5;
const ROUNDS: u32 = 8;
const DIRTY_LIMIT: u64 = 256;

/// How the snapshot is taken: shared with `dump --pid`.
#[derive(Debug, clap::Args)]
pub struct How {
    /// How to take the snapshot
    #[arg(long, value_enum, default_value_t = Snapshot::Auto, help_heading = "Capture")]
    snapshot: Snapshot,
    /// Let the JVM stand still for no longer than so many ms, and take no core where that does not
    /// do [default: 1000 for its threads to stop, and then as long as it takes]
    #[arg(long, value_name = "MS", help_heading = "Capture")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600_000))]
    stop_timeout: Option<u64>,
    /// How often to give a stop up that falls into a garbage collection, and try again
    #[arg(long, value_name = "N", default_value_t = RETRIES, help_heading = "Capture")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1000))]
    retries: u32,
    /// Save the pages of all mapped files, also those that no reader needs
    #[arg(long, help_heading = "Capture")]
    full: bool,
    /// Most rounds of copying before the stop, for precopy
    #[arg(long, value_name = "N", default_value_t = ROUNDS, help_heading = "Capture")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Refuse precopy where a fork would do if the JVM writes to more MB than this in a round
    #[arg(long, value_name = "MB", default_value_t = DIRTY_LIMIT, help_heading = "Capture")]
    dirty_limit: u64,
}

impl Default for How {
    /// What the options say where none is given.
    fn default() -> How {
        How {
            snapshot: Snapshot::Auto,
            stop_timeout: None,
            retries: RETRIES,
            full: false,
            rounds: ROUNDS,
            dirty_limit: DIRTY_LIMIT,
        }
    }
}

impl How {
    /// Takes a core of `pid`; `directory` has room for a copy that memory has no room for.
    pub fn capture(
        &self,
        pid: i32,
        zstd: Option<i32>,
        threads: usize,
        directory: &Path,
        out: &mut dyn CoreOut,
    ) -> Result<Report> {
        let bar: Mutex<Option<Progress>> = Mutex::new(None);
        let progress = |p: capture::Progress| {
            let mut bar = bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match p {
                capture::Progress::Total(n) => *bar = Some(Progress::new("capturing", n)),
                capture::Progress::Done(n) => {
                    if let Some(bar) = &*bar {
                        bar.add(n);
                    }
                }
            }
        };
        // Without the right to look, the capture itself says so.
        let probe = File::open(format!("/proc/{pid}/mem")).ok().and_then(|memory| {
            let read = |addr, buf: &mut [u8]| memory.read_exact_at(buf, addr);
            Collecting::find(&maps::read(pid).ok()?, &read)
        });
        let options = Options {
            method: match self.snapshot {
                Snapshot::Auto => None,
                Snapshot::Fork => Some(Method::Fork),
                Snapshot::Precopy => Some(Method::Precopy),
                Snapshot::Stop => Some(Method::Stop),
            },
            full: self.full,
            zstd,
            threads,
            stop_timeout: Duration::from_millis(self.stop_timeout.unwrap_or(STOP_TIMEOUT)),
            stop_limit: self.stop_timeout.map(Duration::from_millis),
            probe: probe.as_ref().map(|p| p as &dyn Probe),
            retries: self.retries,
            rounds: self.rounds,
            dirty_limit: self.dirty_limit.saturating_mul(1 << 20),
            directory,
            cancelled: &interrupt::requested,
            progress: &progress,
        };
        capture::capture(pid, &options, out)
    }

    /// Takes a core of `pid` to a file without a name, which goes away with its descriptor;
    /// `target` is what will be made of it.
    pub fn capture_unlinked(
        &self,
        pid: i32,
        threads: usize,
        target: &Target,
    ) -> Result<(File, Report)> {
        let directory = env::temp_dir();
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Usage(format!(
                "no room in {} for a snapshot of process {pid}; set TMPDIR to a directory with more",
                directory.display()
            )),
            _ => Error::Io { path: directory.clone(), source: e },
        };
        let file = tempfile::tempfile_in(&directory).map_err(failed)?;
        let mut out = Unlinked { file: BufWriter::new(file), target };
        let report = self.capture(pid, None, threads, &directory, &mut out);
        let report = report.map_err(|e| match e {
            Error::Io { source, .. } => failed(source),
            e => e,
        })?;
        let file = out.file.into_inner().map_err(|e| failed(e.into_error()))?;
        // Zeros at its end were skipped.
        file.set_len(report.core_bytes).map_err(failed)?;
        Ok((file, report))
    }
}

/// A core without a name, for `dump --pid`.
struct Unlinked<'t> {
    file: BufWriter<File>,
    target: &'t Target,
}

impl Write for Unlinked<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let name = match self.target {
            Target::File { path, .. } => path,
            Target::Stdout => Path::new("standard output"),
        };
        interrupt::check(name).map_err(Error::into_io)?;
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl CoreOut for Unlinked<'_> {
    fn skip(&mut self, zeros: u64) -> io::Result<()> {
        let ahead = i64::try_from(zeros).map_err(io::Error::other)?;
        self.file.seek(SeekFrom::Current(ahead)).map(drop)
    }

    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<bool> {
        self.file.flush()?;
        self.file.get_ref().write_all_at(bytes, at).map(|()| true)
    }

    fn restart(&mut self) -> io::Result<bool> {
        self.file.rewind()?;
        self.file.get_ref().set_len(0).map(|()| true)
    }
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
    /// What `rjcore check` says of the file, if it was asked.
    check: Option<Verdict>,
    /// The same in words, or why it was not asked.
    check_says: String,
}

impl Args {
    pub fn run(&self) -> Result<Outcome> {
        let started = Instant::now();
        let pid = self.pid.pid()?;
        let name = self.output.clone().unwrap_or_else(|| {
            let end = if self.zstd.is_some() { ".zst" } else { "" };
            format!("core.{pid}{end}").into()
        });
        let target = Target::new(&name, self.overwrite);
        if self.json && target == Target::Stdout {
            return Err(Error::Usage(
                "--json and `-o -` both want standard output; give a file with -o FILE".into(),
            ));
        }
        interrupt::install().map_err(Error::io("signal handlers".as_ref()))?;
        let mut sink = Sink::open(&target, true)?;
        let directory = match &target {
            Target::File { path, .. } => path.parent().filter(|p| !p.as_os_str().is_empty()),
            Target::Stdout => None,
        };
        let directory = directory.map_or_else(|| PathBuf::from("."), Path::to_owned);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let report = self.how.capture(pid, self.zstd, threads, &directory, &mut sink)?;
        sink.sync()?;
        let (mut check, mut check_says) = self.check(&sink, &name, threads);
        if check == Some(Verdict::SelfContained) && !report.unreadable.is_empty() {
            check = Some(Verdict::Gaps);
            check_says =
                "gaps: what could not be read is not in the core; rjcore dump does not need it"
                    .into();
        }
        let disk_bytes = sink.disk_bytes();
        // A heap that this rjcore cannot read yet is in the core all the same.
        let fine = matches!(check, None | Some(Verdict::SelfContained | Verdict::Unsupported));
        let whole = fine && report.unreadable.is_empty();
        let (bytes, beside) = match whole {
            true => (sink.finish()?, None),
            false => sink.finish_beside()?,
        };
        let seconds = started.elapsed().as_secs_f64();
        let name = match &target {
            Target::File { path, .. } => path.display().to_string(),
            Target::Stdout => "standard output".into(),
        };
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
            check,
            check_says,
            report,
        };
        tell(&summary.text());
        if self.json {
            print_json(&summary)?;
        }
        Ok(Outcome::of(whole))
    }

    /// What `rjcore check` says of the file alone, before it gets its name.
    fn check(&self, sink: &Sink, name: &OsStr, threads: usize) -> (Option<Verdict>, String) {
        if self.no_check {
            return (None, "not checked, as asked for".into());
        }
        let Some(hidden) = sink.hidden() else {
            return (None, "not checked: it went to a stream; run rjcore check on it".into());
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
                let problems =
                    first_lines(check.damaged.iter().cloned(), check.damaged.len() as u64);
                let says = std::iter::once(check.line.clone()).chain(problems);
                (Some(check.verdict()), says.collect::<Vec<_>>().join("\n  "))
            }
            // No room to unpack it.
            Err(e @ Error::Usage(_)) => (None, format!("not checked: {e}")),
            Err(e) => (Some(Verdict::Unreadable), e.to_string()),
        }
    }
}

impl Summary {
    fn text(&self) -> String {
        let r = &self.report;
        let out = format!(
            "{}: {} of memory in {:.1} s, {}/s; {} on the disk\n",
            clean(&self.file),
            size_exact(r.data_bytes),
            self.seconds,
            size(self.rate as u64),
            size(self.disk_bytes.unwrap_or(self.bytes)),
        );
        let check: Vec<String> = self.check_says.lines().map(|l| clean(l).to_string()).collect();
        format!("{out}{}{}\n", report_text(r), check.join("\n"))
    }
}

/// How a snapshot was taken, in lines for people.
pub fn report_text(r: &Report) -> String {
    let mut out = String::new();
    for refused in &r.refused {
        out += &format!("not by {}: {}\n", refused.method.name(), clean(&refused.why));
    }
    out += &format!(
        "the JVM stood still for {:.1} ms ({}), by {}: {}\n",
        r.pause_ms,
        count(r.threads as u64, "thread", "threads"),
        r.method.name(),
        clean(&r.reason)
    );
    let given_up = r.given_up_ms.len() as u64;
    if given_up > 0 {
        let longest = r.given_up_ms.iter().copied().fold(0.0, f64::max);
        let busy = match given_up - u64::from(r.retries) {
            0 => String::new(),
            n => format!("{n} because it was just writing to much memory"),
        };
        let collecting = match r.retries {
            0 => String::new(),
            n => format!("{n} because it was in a garbage collection"),
        };
        let why = [collecting, busy].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>();
        out += &format!(
            "given up before that: {} of at most {longest:.1} ms, {}\n",
            count(given_up, "stop", "stops"),
            why.join(" and ")
        );
    }
    if r.collecting == Some(true) {
        out += "it is in the middle of a garbage collection: objects are being moved in the core; \
                more --retries, or a capture at another time, may find it outside of one\n";
    }
    if r.huge_split > 0 {
        let bytes = size(r.huge_split);
        out += &format!("{bytes} of its huge pages stayed split; {}\n", r.huge_split_why);
    }
    if !r.unreadable.is_empty() {
        let bytes = r.unreadable.iter().map(|u| u.1 - u.0).sum();
        out += &format!("not readable: {} of its memory\n", size_exact(bytes));
    }
    out
}

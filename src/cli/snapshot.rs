//! The snapshot of a live JVM: its options, how it is taken, and what is said of it. Shared by
//! `capture`, which keeps it as a core, and the commands that read it and let it go.

use std::env;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use clap::ValueEnum;

use super::progress::Progress;
use crate::capture::{self, Foresight, Method, Options, Prediction, Refused, Report};
use crate::error::{Advice, Error, Result, is_no_room};
use crate::format::memory_map::MemoryMap;
use crate::format::out::CoreOut;
use crate::hotspot::running::Collecting;
use crate::output::interrupt;
use crate::output::report::{clean, count, size, size_exact};
use crate::output::sink::Target;
use crate::process::maps;
use crate::process::peek::Probe;

/// How to take the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Snapshot {
    /// Choose what stops the JVM the shortest
    Auto,
    /// A forked child holds the memory while it is read; stops the JVM for some 30 ms per GB
    Fork,
    /// Copy while the JVM runs, and the rest within the stop; takes as much memory as the JVM has
    Precopy,
    /// Copy all within the stop
    Stop,
}

/// Where Linux has files that lie in memory.
const SHARED_MEMORY: &str = "/dev/shm";

/// Defaults of the options below.
const STOP_TIMEOUT: u64 = 1000;
const RETRIES: u32 = 5;
const ROUNDS: u32 = 8;
const DIRTY_LIMIT: u64 = 256;

/// How the snapshot is taken: shared with `dump --pid`.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// How to take the snapshot
    #[arg(long, value_enum, default_value_t = Snapshot::Auto, help_heading = "Capture")]
    snapshot: Snapshot,
    /// Longest time in ms that the JVM may stand still. A way that is expected to take longer is not
    /// begun, one that does is given up; where none is left, no core is taken [default: 1000 for its
    /// threads to stop, and then as long as it takes]
    #[arg(long, value_name = "MS", alias = "stop-timeout", help_heading = "Capture")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600_000))]
    max_pause: Option<u64>,
    /// Where a stop falls into a garbage collection, let the JVM run on and stop it again, at most N
    /// times
    #[arg(long, value_name = "N", default_value_t = RETRIES, help_heading = "Capture")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1000))]
    retries: u32,
    /// Save the pages of all mapped files, also those that no reader needs
    #[arg(long, help_heading = "Capture")]
    full: bool,
    /// For precopy: at most N rounds of copying before the stop
    #[arg(long, value_name = "N", default_value_t = ROUNDS, help_heading = "Capture")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Take a fork rather than precopy if the JVM writes to more MB than this in a round of copying
    #[arg(long, value_name = "MB", default_value_t = DIRTY_LIMIT, help_heading = "Capture")]
    dirty_limit: u64,
}

impl Default for How {
    /// What the options say where none is given.
    fn default() -> How {
        How {
            snapshot: Snapshot::Auto,
            max_pause: None,
            retries: RETRIES,
            full: false,
            rounds: ROUNDS,
            dirty_limit: DIRTY_LIMIT,
        }
    }
}

impl How {
    /// Takes a core of `pid`; `directory` has room for a copy that memory has no room for.
    pub(super) fn capture(
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
        let memory = capture::memory_map(pid);
        // Without the right to look, the capture itself says so.
        let probe = File::open(format!("/proc/{pid}/mem")).ok().and_then(|memory| {
            let read = |addr, buf: &mut [u8]| memory.read_exact_at(buf, addr);
            Collecting::find(&maps::read(pid).ok()?, &read)
        });
        let options = Options {
            zstd,
            threads,
            probe: probe.as_ref().map(|p| p as &dyn Probe),
            progress: &progress,
            ..self.options(&memory, directory)
        };
        capture::capture(pid, &options, out)
    }

    /// What a capture of `pid` to a file in `directory` would do.
    pub(super) fn foresee(&self, pid: i32, directory: &Path) -> Result<Foresight> {
        capture::foresee(pid, &self.options(&MemoryMap::default(), directory))
    }

    /// What was asked for; the rest is whoever captures' to say.
    fn options<'a>(&self, memory: &'a MemoryMap, directory: &'a Path) -> Options<'a> {
        Options {
            method: match self.snapshot {
                Snapshot::Auto => None,
                Snapshot::Fork => Some(Method::Fork),
                Snapshot::Precopy => Some(Method::Precopy),
                Snapshot::Stop => Some(Method::Stop),
            },
            full: self.full,
            zstd: None,
            threads: 1,
            stop_timeout: Duration::from_millis(self.max_pause.unwrap_or(STOP_TIMEOUT)),
            stop_limit: self.max_pause.map(Duration::from_millis),
            probe: None,
            retries: self.retries,
            rounds: self.rounds,
            dirty_limit: self.dirty_limit.saturating_mul(1 << 20),
            memory,
            directory,
            cancelled: &interrupt::requested,
            progress: &|_| (),
        }
    }

    /// Takes a core of `pid` to a file without a name, which goes away with its descriptor: in the temporary directory, or
    /// `in_memory`. `target` is what will be made of it.
    pub(super) fn capture_unlinked(
        &self,
        pid: i32,
        threads: usize,
        target: &Target,
        in_memory: bool,
    ) -> Result<(File, Report)> {
        let directory = if in_memory { PathBuf::from(SHARED_MEMORY) } else { env::temp_dir() };
        let no_room = || Error::NoRoom {
            what: format!("no room in {} for a snapshot of process {pid}", directory.display()),
            advice: if in_memory { Advice::AllowMemory } else { Advice::MoveTemporary },
        };
        let failed = |e: io::Error| match is_no_room(&e) {
            true => no_room(),
            false => Error::Io { path: directory.clone(), source: e },
        };
        let file = tempfile::tempfile_in(&directory).map_err(failed)?;
        let mut out = Unlinked { file: BufWriter::new(file), target };
        let report = self.capture(pid, None, threads, &directory, &mut out);
        let report = report.map_err(|e| match e {
            Error::Io { source, .. } => failed(source),
            Error::NoRoom { .. } => no_room(),
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

/// Why not by other methods, a line each.
fn refused_text(refused: &[Refused]) -> String {
    let line = |r: &Refused| format!("not by {}: {}\n", r.method.name(), clean(&r.text));
    refused.iter().map(line).collect()
}

/// What a capture would do, in lines for people.
pub(super) fn foresight_text(f: &Foresight) -> String {
    let expected = |p: &Prediction| format!("about {:.0} ms by {}", p.pause_ms, p.method.name());
    let expected: Vec<String> = f.predicted.iter().map(expected).collect();
    let expected = match expected.is_empty() {
        true => String::new(),
        false => format!("expected stop: {}\n", expected.join(", ")),
    };
    let first =
        format!("a capture would try {} first: {}\n", f.method.name(), clean(&f.reason_text));
    format!("{first}{expected}{}", refused_text(&f.refused))
}

/// How a snapshot was taken, in lines for people.
pub(super) fn report_text(r: &Report) -> String {
    let mut out = refused_text(&r.refused);
    let predicted = r.predicted.iter().find(|p| p.method == r.method);
    let predicted = predicted.map_or(String::new(), |p| format!("; {:.0} expected", p.pause_ms));
    out += &format!(
        "the JVM stood still for {:.1} ms ({}{predicted}), by {}: {}\n",
        r.pause_ms,
        count(r.threads as u64, "thread", "threads"),
        r.method.name(),
        clean(&r.reason_text)
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
    if let Some(why) = r.huge_split_reason {
        let bytes = size(r.huge_split);
        out += &format!("{bytes} of its huge pages stayed split; {}\n", why.text());
    }
    if !r.unreadable.is_empty() {
        let bytes = r.unreadable.iter().map(|u| u.1 - u.0).sum();
        out += &format!("not readable: {} of its memory\n", size_exact(bytes));
    }
    out
}

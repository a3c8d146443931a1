//! `rjcore trim`: a smaller core that holds what rjcore reads.

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::Instant;

use clap::builder::PossibleValuesParser;
use serde::Serialize;

use super::ending::{Answer, end};
use super::progress::Progress;
use super::redact::NoRedaction;
use super::source::{Opened, Source, check_output, names_zstd, refuse_two_streams};
use super::{Outcome, advice};
use crate::corefile::{CoreFile, Segment, ThreadNote, write_core};
use crate::error::{Error, Result};
use crate::output::collection::Task;
use crate::output::interrupt;
use crate::output::reader::{self, Objects, Reader, Walked};
use crate::output::readers::READERS;
use crate::output::report::{Gaps, clean, size_exact};
use crate::output::sink::{Sink, Target};

/// The x86-64 ABI's red zone and signal frames lie below the stack pointer.
const BELOW_SP: u64 = 64 << 10;
/// The frames that matter most lie above it.
const ABOVE_SP: u64 = 256 << 10;
/// zstd's own default. 19 is some percent smaller and takes fifty times as long.
const ZSTD_LEVEL: i32 = 3;

/// The command whose reader reads all objects.
const DUMP: &str = "dump";

const EXAMPLES: &str = "\
Examples:
  rjcore trim core.1234 -o small.core
  rjcore trim core.1234 -o small.core.zst
  rjcore trim core.1234 --for memory,stack -o small.core
  rjcore trim core.1234 --zstd=19 -o for-the-bug-report.zst

The new core needs no libjvm.so and no CDS archive beside it. It holds the Java heap with all
that is in it, secrets too: `rjcore dump CORE --redact all` writes what may leave.";

/// Write a smaller core that holds all that rjcore reads of this one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    no_redaction: NoRedaction,
    /// Where to write the new core; compressed if the name ends in .zst; `-` is standard output
    #[arg(short, long, value_name = "SMALL")]
    output: OsString,
    /// Compress with zstd, by all threads; level 1 to 19 [default: 3 if the name ends in .zst]
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "3", value_parser = clap::value_parser!(i32).range(1..=19))]
    zstd: Option<i32>,
    /// Keep what these commands read [default: all but memory, which reads the malloc heap]
    #[arg(long = "for", value_name = "COMMANDS", value_delimiter = ',', value_parser = commands())]
    wanted: Vec<String>,
    /// Replace SMALL if it exists
    #[arg(long)]
    overwrite: bool,
    /// Write the summary as JSON to standard output
    #[arg(long)]
    json: bool,
}

/// Commands that read a core, as far as they read different things of it.
fn commands() -> PossibleValuesParser {
    PossibleValuesParser::new(READERS.map(|r| r.command))
}

/// The summary as JSON has it.
#[derive(Serialize)]
struct Summary {
    /// Where the new core went.
    file: String,
    /// Bytes of the new core.
    bytes: u64,
    /// Bytes of the old one.
    core_bytes: u64,
    seconds: f64,
    whole: bool,
    gaps: Gaps,
}

impl Answer for Summary {
    fn summary(&self) -> String {
        format!(
            "{}: {} of {} in {:.1} s\n{}",
            clean(&self.file),
            size_exact(self.bytes),
            size_exact(self.core_bytes),
            self.seconds,
            self.gaps.text(advice::words)
        )
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(self.whole)
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        self.no_redaction.refuse("rjcore dump CORE")?;
        let started = Instant::now();
        let target = Target::new(&self.output, self.overwrite);
        refuse_two_streams(self.json, &target)?;
        check_output(Some(&self.source.core), &target)?;
        let mut opened = self.source.open()?;
        opened.core.memory_mut().record_touched();
        let gaps = self.read_all(&opened)?;
        let core = &opened.core;
        let mut ranges = core.memory().touched_ranges();
        ranges.extend(stacks(core));
        // Without all of it nothing is found for certain.
        ranges.extend(core.libjvm_data());
        interrupt::install().map_err(Error::io("signal handlers".as_ref()))?;
        let bytes = self.write(core, &ranges, &target)?;
        let summary = Summary {
            file: target.name(),
            bytes,
            core_bytes: self.source.bytes(),
            seconds: started.elapsed().as_secs_f64(),
            whole: gaps.is_whole(),
            gaps,
        };
        end(&summary, self.json)
    }

    /// Whether what a reader reads is kept: it was asked for, or one that leaves all objects to it.
    fn wants(&self, reader: &Reader) -> bool {
        if self.wanted.is_empty() {
            return !reader.on_request;
        }
        let asked = |r: &Reader| self.wanted.iter().any(|w| w == r.command);
        let as_dump = |r: &Reader| asked(r) && matches!(r.objects, Objects::AsDump);
        asked(reader) || reader.command == DUMP && READERS.iter().any(as_dump)
    }

    /// Has the wanted outputs read: what they touch is kept.
    fn read_all(&self, opened: &Opened) -> Result<Gaps> {
        let (core, missing) = (&opened.core, &opened.missing[..]);
        opened.with_heap(|heap| {
            let from = reader::Source { core, heap, threads: self.source.threads() };
            let progress = Progress::new("reading", heap.used());
            let mut walked = Walked::default();
            for reader in READERS.into_iter().filter(|r| self.wants(r)) {
                (reader.facts)(&from)?;
                if let Objects::Own(objects) = reader.objects {
                    let before = std::mem::take(&mut walked.unread);
                    walked = objects(&from, &|n| progress.add(n))?;
                    walked.unread.splice(..0, before);
                }
            }
            let gaps = Gaps::new(&walked.walk, &walked.unread, core.truncation(), missing);
            Ok(gaps.caught(walked.caught, Task::Memory))
        })
    }

    fn write(&self, core: &CoreFile, ranges: &[(u64, u64)], target: &Target) -> Result<u64> {
        let mut sink = Sink::open(target, true)?;
        let total = ranges.iter().map(|r| r.1 - r.0).sum();
        let progress = Progress::new("writing", total);
        let by_name = names_zstd(&self.output).then_some(ZSTD_LEVEL);
        if let Some(level) = self.zstd.or(by_name) {
            let mut zst = zstd::Encoder::new(&mut sink, level).map_err(Error::from_write)?;
            zst.include_checksum(true).map_err(Error::from_write)?;
            // The bytes do not depend on how many there are.
            let threads = self.source.threads() as u32;
            zst.multithread(threads).map_err(Error::from_write)?;
            let mut out = Counted { out: zst, progress: &progress };
            write_core(&mut out, core, ranges).map_err(named)?;
            out.out.finish().map_err(Error::from_write)?;
        } else {
            let mut out = Counted { out: &mut sink, progress: &progress };
            write_core(&mut out, core, ranges).map_err(named)?;
        }
        sink.finish()
    }
}

/// `write_core` does not know the name of what it writes; the sink's own error does.
fn named(e: Error) -> Error {
    match e {
        Error::Io { source, .. } => Error::from_write(source),
        e => e,
    }
}

struct Counted<'p, W> {
    out: W,
    progress: &'p Progress,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // In pieces: a compressor takes long over a whole segment.
        let n = self.out.write(&buf[..buf.len().min(1 << 20)])?;
        self.progress.add(n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The top of each thread's stack, within its segment.
fn stacks(core: &CoreFile) -> Vec<(u64, u64)> {
    let around = |t: &ThreadNote| {
        let (sp, _) = t.registers();
        let segments = core.segments();
        let i = segments.partition_point(|s| s.start <= sp).checked_sub(1)?;
        let Segment { start, memsz, .. } = segments[i];
        let end = start.saturating_add(memsz);
        let from = sp.saturating_sub(BELOW_SP).max(start);
        (sp < end).then(|| (from, sp.saturating_add(ABOVE_SP).min(end)))
    };
    core.threads().iter().filter_map(around).collect()
}

//! A live process becomes a core, and hardly notices.
//!
//! Knows Linux: threads, memory maps, page tables, ELF notes. Knows nothing of Java beyond the
//! names of the files that a reader of the core needs.

mod choose;
mod copied;
mod copy;
mod foresee;
mod fork;
mod forking;
mod freeze;
pub(crate) mod huge;
mod image;
mod inject;
mod memory_map;
mod notes;
mod pages;
mod plan;
mod predict;
mod priority;
mod registers;
mod report;
mod rescue;
mod rest;
mod save;
mod shared;
mod sleepers;
mod stopped;
mod target;
mod track;
mod watch;
mod writer;
mod x86_64;

pub(crate) use foresee::{Foresight, foresee};
pub(crate) use memory_map::memory_map;
pub(crate) use report::{Method, Prediction, Refused, Report, WhyNot};

use std::path::Path;
use std::time::Duration;

use crate::error::{Advice, Error, Result};
use crate::format::memory_map::MemoryMap;
use crate::format::out::CoreOut;
use crate::process::peek::Probe;
use crate::process::room::Room;
use target::Target;

/// What must be free, on the machine and for rjcore, beside a copy of the process's memory: so much, and a part of it.
const BESIDE_COPY: u64 = 64 << 20;
const BESIDE_PART: u64 = 8;

/// What the caller wants.
#[derive(Clone, Copy)]
pub(crate) struct Options<'a> {
    /// The method; chosen by itself if `None`.
    pub method: Option<Method>,
    /// Save the pages of all mapped files.
    pub full: bool,
    /// zstd level, if the core is to be compressed.
    pub zstd: Option<i32>,
    /// Threads to work with.
    pub threads: usize,
    /// How long the threads may take to stop.
    pub stop_timeout: Duration,
    /// How long they may stand still in all; for as long as it takes if `None`.
    pub stop_limit: Option<Duration>,
    /// Who can tell that it is in the middle of a collection.
    pub probe: Option<&'a dyn Probe>,
    /// How often a stop is given up that falls into a collection.
    pub retries: u32,
    /// Most rounds of a pre-copy.
    pub rounds: u32,
    /// Bytes written to during a round above which a pre-copy that was asked for is refused,
    /// where a fork would do.
    pub dirty_limit: u64,
    /// What Linux says of its memory, to be kept in the core.
    pub memory: &'a MemoryMap,
    /// Where a copy goes that memory has no room for.
    pub directory: &'a Path,
    /// Whether the user asked for the end.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Called once it is known how much memory will be written, then with bytes done.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

/// How far a capture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The process runs on; so many bytes are to be written.
    Total(u64),
    /// So many more are.
    Done(u64),
}

/// Writes a core of `pid` to `out`.
///
/// Whatever happens, the process runs on with its own registers, and nothing of rjcore stays in
/// it; see docs/capture.md for what is left if rjcore is killed.
/// Errors: [`Error::Capture`] says why it cannot be; errors of `out` come as they are.
pub(crate) fn capture(pid: i32, options: &Options<'_>, out: &mut dyn CoreOut) -> Result<Report> {
    let mut refused = Vec::new();
    loop {
        match attempt(pid, options, &mut refused, out) {
            Ok(report) => return Ok(Report { refused, ..report }),
            Err(AttemptError::Failed(e)) => return Err(e),
            Err(AttemptError::Snapshot(method, why)) => {
                let again = options.method.is_none() && out.restart().map_err(Error::from_write)?;
                if !again {
                    let advice = Some(Advice::AnyMethodToFile);
                    return Err(Error::Capture { pid, what: why, advice });
                }
                refused.push(Refused { method, code: WhyNot::Lost, text: why });
            }
        }
    }
}

/// Why there is no core.
enum AttemptError {
    /// The snapshot ended or proved not to be one before it was read: another way may do.
    Snapshot(Method, String),
    /// There will be none.
    Failed(Error),
}

/// The process, what room there is for a snapshot, and the bytes of its own that it has in memory.
fn opened<'a>(pid: i32, options: &'a Options<'a>) -> Result<(Target<'a>, Room, u64)> {
    let mut target = Target::open(pid, options)?;
    let room = Room::read(pid);
    let anonymous = target.facts.status.rssanon.unwrap_or(0) << 10;
    let shared = target.facts.status.rssshmem.unwrap_or(0) << 10;
    let copied = anonymous + shared;
    if room.for_copy() < copied.saturating_add(copied / BESIDE_PART + BESIDE_COPY) {
        target.staging = Some(options.directory);
    }
    Ok((target, room, anonymous))
}

/// Takes a snapshot in a way that was not refused yet, and writes it.
fn attempt(
    pid: i32,
    options: &Options<'_>,
    refused: &mut Vec<Refused>,
    out: &mut dyn CoreOut,
) -> Result<Report, AttemptError> {
    let (target, room, anonymous) = opened(pid, options).map_err(AttemptError::Failed)?;
    let huge = huge::stretches(&target.maps, &target.pages);
    let taken = target.take(&room, anonymous, refused).map_err(AttemptError::Failed);
    let written = taken.and_then(|(way, taken)| target.write(way, taken, out));
    // The snapshot is gone by now: pages are no longer shared with it. Also after an error.
    let collapsed = huge::collapse(pid, &huge, &target.pages);
    fork::clear_left_over(pid);
    let report = written?;
    Ok(Report {
        huge_again: collapsed.again,
        huge_split: collapsed.left,
        huge_split_reason: collapsed.why,
        ..report
    })
}

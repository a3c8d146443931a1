//! A live process becomes a core, and hardly notices.
//!
//! Knows Linux: threads, memory maps, page tables, ELF notes. Knows nothing of Java beyond the
//! names of the files that a reader of the core needs.

mod copy;
mod fork;
mod forking;
mod freeze;
pub mod huge;
mod image;
mod inject;
mod notes;
mod pages;
mod plan;
mod shared;
mod target;
mod track;
mod watch;
mod writer;
mod x86_64;

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use crate::error::{Advice, Error, Result};
use crate::format::notes::{Origin, ThreadName};
use crate::format::out::CoreOut;
use crate::process::maps::Mapping;
use crate::process::peek::Probe;
use crate::process::room::Room;
use fork::Child;
use notes::ThreadState;
use plan::SharedPlan;
use shared::Object;
use target::{Failure, SMALL_SHARED, Snapshot, Target};
use watch::Least;

/// What must be free, on the machine and for rjcore, beside a copy of the process's memory.
const BESIDE_COPY: u64 = 64 << 20;

/// How the snapshot is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A child of the target holds its memory as it was.
    Fork,
    /// Copied while it runs, the rest within the stop.
    Precopy,
    /// Copied within the stop.
    Stop,
}

impl Method {
    /// Its name in words and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Method::Fork => "fork",
            Method::Precopy => "precopy",
            Method::Stop => "stop",
        }
    }
}

/// What the caller wants.
#[derive(Clone, Copy)]
pub struct Options<'a> {
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
    /// Where a copy goes that memory has no room for.
    pub directory: &'a Path,
    /// Whether the user asked for the end.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Called once it is known how much memory will be written, then with bytes done.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

/// How far a capture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The process runs on; so many bytes are to be written.
    Total(u64),
    /// So many more are.
    Done(u64),
}

/// A method that was tried or ruled out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The method.
    pub method: Method,
    /// Why it did not do.
    pub code: WhyNot,
    /// The same for people, with what was seen.
    pub text: String,
}

/// Why a method does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyNot {
    /// Much of its memory is shared: a fork's child sees what is written to that.
    SharedMemory,
    /// There is no room for copies of the pages that it writes to.
    NoRoom,
    /// It was tried, and the process or the kernel did not let it.
    Failed,
    /// The snapshot was lost before all of it was read.
    Lost,
}

/// Why a method was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The user wanted it.
    AsAskedFor,
    /// It stops the process the shortest.
    ShortestStop,
    /// Others do not do: see what was refused.
    OthersRefused,
}

/// What a capture did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The process.
    pub pid: i32,
    /// How.
    pub method: Method,
    /// Why this way.
    pub reason: Reason,
    /// The same for people.
    pub reason_text: String,
    /// What was tried before.
    pub refused: Vec<Refused>,
    /// From the first thread's stop to the last one's release.
    pub pause_ms: f64,
    /// The same of stops before that one, which were given up.
    pub given_up_ms: Vec<f64>,
    /// How many of them because a collection was under way.
    pub retries: u32,
    /// Whether one is under way in the core; `None` if that could not be told.
    pub collecting: Option<bool>,
    /// Threads that were stopped.
    pub threads: usize,
    /// Bytes of the core, zeros and all, before compression.
    pub core_bytes: u64,
    /// Bytes of pages in it that are not zero.
    pub data_bytes: u64,
    /// Bytes that the process had in memory (VmRSS and swap), for comparison.
    pub resident_bytes: u64,
    /// Bytes copied while it stood still.
    pub copied_in_stop: u64,
    /// Bytes of each round of a pre-copy.
    pub rounds: Vec<u64>,
    /// Bytes of huge pages that the snapshot split and that are huge again.
    pub huge_again: u64,
    /// Bytes of huge pages that stayed split.
    pub huge_split: u64,
    /// Why they did; none if none did.
    pub huge_split_reason: Option<huge::StaySplit>,
    /// Stretches of memory that could not be read: (first address, first after it).
    #[serde(serialize_with = "crate::address::ranges")]
    pub unreadable: Vec<(u64, u64)>,
}

/// Writes a core of `pid` to `out`.
///
/// Whatever happens, the process runs on with its own registers, and nothing of rjcore stays in
/// it; see docs/capture.md for what is left if rjcore is killed.
/// Errors: [`Error::Capture`] says why it cannot be; errors of `out` come as they are.
pub fn capture(pid: i32, options: &Options<'_>, out: &mut dyn CoreOut) -> Result<Report> {
    let mut refused = Vec::new();
    loop {
        match attempt(pid, options, &mut refused, out) {
            Ok(report) => return Ok(Report { refused, ..report }),
            Err(Lost::Failed(e)) => return Err(e),
            Err(Lost::Snapshot(method, why)) => {
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
enum Lost {
    /// The snapshot ended or proved not to be one before it was read: another way may do.
    Snapshot(Method, String),
    /// There will be none.
    Failed(Error),
}

/// Takes a snapshot in a way that was not refused yet, and writes it.
fn attempt(
    pid: i32,
    options: &Options<'_>,
    refused: &mut Vec<Refused>,
    out: &mut dyn CoreOut,
) -> Result<Report, Lost> {
    let mut target = Target::open(pid, options).map_err(Lost::Failed)?;
    let room = Room::read(pid);
    let anonymous = target.facts.status.rssanon.unwrap_or(0) << 10;
    let shared = target.facts.status.rssshmem.unwrap_or(0) << 10;
    if room.for_copy() < (anonymous + shared).saturating_add(BESIDE_COPY) {
        target.staging = Some(options.directory);
    }
    let target = target;
    let huge = huge::stretches(&target.maps, &target.pages);
    let taken = target.take(&room, anonymous, refused).map_err(Lost::Failed);
    let written = taken.and_then(|(method, why, taken)| target.write(method, why, taken, out));
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

impl Target<'_> {
    /// Takes the snapshot by the first method that does.
    fn take(
        &self,
        room: &Room,
        anonymous: u64,
        refused: &mut Vec<Refused>,
    ) -> Result<(Method, String, Snapshot)> {
        let shared = self.shared_bytes();
        let least = Least::for_fork(anonymous, room.all_die);
        let fork_why = "a fork stops it for the copy of its page tables only";
        let precopy_why = "copied while it ran, and again what it wrote to meanwhile";
        let stop_why = "copied while it stood still";
        let order: Vec<(Method, String)> = match self.options.method {
            Some(method) => vec![(method, "as asked for".into())],
            None if shared > SMALL_SHARED => {
                let heap =
                    format!("{} MB of shared memory are not isolated by a fork", shared >> 20);
                if refused.is_empty() {
                    let text = heap.clone();
                    let code = WhyNot::SharedMemory;
                    refused.push(Refused { method: Method::Fork, code, text });
                }
                vec![
                    (Method::Precopy, format!("{heap}; {precopy_why}")),
                    (Method::Stop, format!("{heap}; {stop_why}")),
                ]
            }
            None => vec![
                (Method::Fork, fork_why.into()),
                (Method::Precopy, precopy_why.into()),
                (Method::Stop, stop_why.into()),
            ],
        };
        // A pre-copy that was asked for may turn out not to end.
        let asked = self.options.method.is_some();
        let earlier: Vec<Method> = refused.iter().map(|r| r.method).collect();
        for (method, reason) in order.into_iter().filter(|o| !earlier.contains(&o.0)) {
            self.check()?;
            let result = match method {
                // Also where it was asked for: it may cost the process its life.
                Method::Fork => match least.missing(room) {
                    Some(short) => {
                        let text = short.to_string();
                        refused.push(Refused { method, code: WhyNot::NoRoom, text });
                        continue;
                    }
                    None => self.fork(least),
                },
                Method::Precopy => copy::precopy(self),
                Method::Stop => copy::stop(self),
            };
            match result {
                Ok(snapshot) => return Ok((method, reason, snapshot)),
                Err(Failure::Failed(e)) => return Err(e),
                Err(Failure::Refused(text)) => {
                    refused.push(Refused { method, code: WhyNot::Failed, text });
                }
            }
        }
        let whys: Vec<String> =
            refused.iter().map(|r| format!("{}: {}", r.method.name(), r.text)).collect();
        Err(Error::Capture {
            pid: self.pid,
            what: format!("no snapshot could be taken ({})", whys.join("; ")),
            advice: asked.then_some(Advice::AnyMethod),
        })
    }

    /// Writes the core and lets the snapshot go.
    fn write(
        &self,
        method: Method,
        reason_text: String,
        snapshot: Snapshot,
        out: &mut dyn CoreOut,
    ) -> Result<Report, Lost> {
        let at = snapshot.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let named = |t: &ThreadState| ThreadName { tid: t.facts.inner, name: t.facts.name.clone() };
        let origin = Origin {
            version: env!("CARGO_PKG_VERSION").into(),
            captured_ms: at.as_millis() as u64,
            method: method.name().into(),
            pid: self.pid,
            threads: snapshot.threads.iter().map(named).collect(),
        };
        let Snapshot { maps, threads, shared, image, child, bad, .. } = snapshot;
        let mappings: Vec<Mapping> = maps.iter().map(|m| m.0.clone()).collect();
        let notes = notes::notes(self.cpu, &self.facts, &threads, &mappings, &origin);
        let plans: Vec<SharedPlan> = shared.iter().map(Object::plan).collect();
        let layout = plan::lay(self.cpu, notes.len() as u64, &maps, &plans);
        let total = layout.pieces.iter().map(|p| p.len).sum();
        (self.options.progress)(Progress::Total(total));
        let progress = |n| (self.options.progress)(Progress::Done(n));
        let how = writer::Writing {
            zstd: self.options.zstd,
            threads: self.options.threads,
            progress: &progress,
        };
        let memory = child.as_ref().map_or(&self.memory, |c| &c.memory);
        let source = |holder: plan::Holder, addr: u64, buf: &mut [u8]| match holder {
            plan::Holder::Memory => std::os::unix::fs::FileExt::read_exact_at(memory, buf, addr),
            plan::Holder::Image => image.read(addr, buf),
            plan::Holder::Shared(i) => shared[i].image.read(addr, buf),
        };
        let pages = writer::Pages {
            read: &source,
            ended: &|| child.as_ref().and_then(Child::ended),
            lost: &|| child.as_ref().map_or(Ok(Vec::new()), |c| self.lost_by(c)),
        };
        let written = writer::write(out, &layout, &notes, &bad, &pages, &how);
        // Now, not later: until then the process pays for each page that it writes to.
        drop(child);
        let written = written.map_err(|e| match e.downcast::<writer::Failed>() {
            Ok(writer::Failed::SourceLost(why)) => Lost::Snapshot(method, why),
            Ok(writer::Failed::CannotCorrect(what)) => Lost::Failed(Error::Capture {
                pid: self.pid,
                what,
                advice: Some(Advice::UncompressedFile),
            }),
            Err(e) => Lost::Failed(Error::from_write(e)),
        })?;
        let given_up = self.given_up().clone();
        let status = &self.facts.status;
        let resident = status.vmrss.unwrap_or(0) + status.vmswap.unwrap_or(0);
        Ok(Report {
            pid: self.pid,
            method,
            reason: match (self.options.method, method) {
                (Some(_), _) => Reason::AsAskedFor,
                (None, Method::Fork) => Reason::ShortestStop,
                (None, Method::Precopy | Method::Stop) => Reason::OthersRefused,
            },
            reason_text,
            refused: Vec::new(),
            pause_ms: ms(snapshot.pause),
            given_up_ms: given_up.pauses.iter().copied().map(ms).collect(),
            retries: given_up.collecting,
            collecting: given_up.caught,
            threads: threads.len(),
            core_bytes: layout.size,
            data_bytes: written.data,
            resident_bytes: resident << 10,
            copied_in_stop: snapshot.in_stop,
            rounds: snapshot.rounds,
            huge_again: 0,
            huge_split: 0,
            huge_split_reason: None,
            unreadable: written.bad,
        })
    }
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

//! The process that is captured, as it was before the stop, and what a snapshot of it is.
//!
//! Knows how to ask it, and whether it is a JVM at all; knows nothing of how memory is copied.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::cgroup::frozen;
use super::fork::Child;
use super::freeze::{self, Patience, Stopped};
use super::image::Image;
use super::maps::{self, Mapping, libjvms};
use super::notes::ThreadState;
use super::pages::PageMap;
use super::plan::{Holder, Saved};
use super::process::{Facts, Thread};
use super::ranges::Ranges;
use super::refusal::{self, Unfit};
use super::shared::{Object, objects};
use super::{Options, sys, x86_64};
use crate::error::{Error, Result};

/// Shared memory below this (HotSpot's counters, say) is copied within the stop of a fork.
pub(super) const SMALL_SHARED: u64 = 16 << 20;

/// Why a method did not do.
pub(super) enum Failure {
    /// It cannot be done this way; nothing was changed, another way may do.
    Refused(String),
    /// It cannot be done at all.
    Failed(Error),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure::Failed(e)
    }
}

/// The process, as it was before the stop.
pub(super) struct Target<'a> {
    pub(super) pid: i32,
    pub(super) options: &'a Options<'a>,
    pub(super) maps: Vec<Mapping>,
    pub(super) memory: File,
    pub(super) pages: PageMap,
    pub(super) facts: Facts,
    /// Where copies go, if not to memory.
    pub(super) staging: Option<&'a Path>,
}

/// The process's memory and threads at one instant.
pub(super) struct Snapshot {
    /// When it was.
    pub(super) at: SystemTime,
    pub(super) pause: Duration,
    pub(super) threads: Vec<ThreadState>,
    pub(super) maps: Vec<(Mapping, Saved, Holder)>,
    pub(super) shared: Vec<Object>,
    pub(super) image: Image,
    pub(super) child: Option<Child>,
    pub(super) in_stop: u64,
    pub(super) rounds: Vec<u64>,
    /// Addresses that could not be read.
    pub(super) bad: Ranges,
}

impl<'a> Target<'a> {
    pub(super) fn open(pid: i32, options: &'a Options<'a>) -> Result<Target<'a>> {
        let denied = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => {
                refusal::explain(pid, pid, &io::Error::from_raw_os_error(libc::ESRCH))
            }
            io::ErrorKind::PermissionDenied => {
                refusal::explain(pid, pid, &io::Error::from_raw_os_error(libc::EPERM))
            }
            _ => Error::Capture { pid, what: e.to_string() },
        };
        if pid == std::process::id() as i32 {
            return Err(Error::Capture { pid, what: "that is rjcore itself".into() });
        }
        if let Some(what) = refusal::by_page_size(sys::page_size()) {
            return Err(Error::Capture { pid, what });
        }
        let facts = Facts::read(pid).map_err(denied)?;
        if let Some(unfit) = Unfit::of(&facts) {
            let what = match unfit {
                Unfit::Thread(of) => format!("{unfit}; give that: rjcore capture {of}"),
                _ => unfit.to_string(),
            };
            return Err(Error::Capture { pid, what });
        }
        if let Some(frozen) = frozen(pid) {
            let what =
                format!("{}; thaw it first: docker unpause, or {}", refusal::FROZEN, frozen.thaw);
            return Err(Error::Capture { pid, what });
        }
        let maps = maps::read(pid).map_err(denied)?;
        let memory = File::open(format!("/proc/{pid}/mem")).map_err(denied)?;
        let pages = PageMap::open(pid).map_err(denied)?;
        if libjvms(&maps).next().is_none() {
            let what = refusal::no_jvm(&facts.stat.comm);
            let what = format!("{what}; for another program use gdb's gcore");
            return Err(Error::Capture { pid, what });
        }
        Ok(Target { pid, options, maps, memory, pages, facts, staging: None })
    }

    pub(super) fn patience(&self) -> Patience<'a> {
        Patience { timeout: self.options.stop_timeout, cancelled: self.options.cancelled }
    }

    pub(super) fn error(&self, what: &str) -> Error {
        Error::Capture { pid: self.pid, what: what.into() }
    }

    /// Whether it still has memory: one that was killed has none.
    pub(super) fn has_memory(&self) -> bool {
        maps::read(self.pid).is_ok_and(|maps| !maps.is_empty())
    }

    /// The error for memory that cannot be read.
    pub(super) fn lost(&self, what: &str) -> Error {
        match self.has_memory() {
            true => self.error(&format!("its memory cannot be read: {what}")),
            false => self.error("it ended before its memory was read"),
        }
    }

    /// `maps` are still those of the program that was looked at.
    pub(super) fn same_program(&self, maps: &[Mapping]) -> Result<()> {
        let libjvm = |maps: &[Mapping]| libjvms(maps).next().map(|m| m.start);
        match libjvm(maps) == libjvm(&self.maps) {
            true => Ok(()),
            false => Err(self.error("it has become another program meanwhile (execve)")),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match (self.options.cancelled)() {
            true => Err(self.error("interrupted; the process runs on")),
            false => Ok(()),
        }
    }

    /// Bytes of memory that a fork does not isolate.
    pub(super) fn shared_bytes(&self) -> u64 {
        let data = |o: &Object| {
            // It only helps to choose; what cannot be read is told when it is to be copied.
            let data = o.data(&o.extents, &self.maps, &self.pages).unwrap_or_default();
            data.iter().map(|r| r.1 - r.0).sum::<u64>()
        };
        objects(self.pid, &self.maps).iter().map(data).sum()
    }

    /// Whether a fork freezes all that matters.
    pub(super) fn fork_isolates(&self) -> bool {
        self.shared_bytes() <= SMALL_SHARED
    }

    /// What /proc says of the threads, read before the stop so that it need not be in it.
    pub(super) fn thread_facts(&self) -> HashMap<i32, Thread> {
        let tids = freeze::tasks(self.pid).unwrap_or_default();
        tids.into_iter().filter_map(|tid| Some((tid, Thread::read(self.pid, tid)?))).collect()
    }

    /// The threads' registers.
    pub(super) fn thread_states(
        &self,
        stopped: &[Stopped],
        mut known: HashMap<i32, Thread>,
    ) -> Vec<ThreadState> {
        let state = |t: &Stopped| {
            let facts = known.remove(&t.tid).or_else(|| Thread::read(self.pid, t.tid))?;
            let set = |kind, max| sys::registers(t.tid, kind, max).unwrap_or_default();
            let signal = match t.signal() {
                0 => None,
                signal => sys::signal_info(t.tid).ok().map(|info| (signal, info)),
            };
            Some(ThreadState {
                facts,
                general: sys::registers(t.tid, sys::NT_PRSTATUS, 1024).ok()?,
                floating: set(sys::NT_FPREGSET, 4096),
                extended: set(sys::NT_X86_XSTATE, x86_64::MAX_XSTATE),
                signal,
            })
        };
        stopped.iter().filter_map(state).collect()
    }
}

//! The process that is captured, as it was before the stop, and what a snapshot of it is.
//!
//! Knows how to ask it, and whether it is a JVM at all; knows nothing of how memory is copied.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Options;
use super::fork::{Child, flagged_in};
use super::freeze::{self, Frozen, StopLimits};
use super::image::Image;
use super::inject::CannotBorrow;
use super::notes::ThreadState;
use super::pages::PageMap;
use super::plan::{Holder, Saved};
use super::report::Prediction;
use super::shared::{Object, objects};
use super::sleepers::Sleepers;
use super::stopped::Registers;
use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::format::ranges::{Ranges, minus};
use crate::process::cgroup::frozen;
use crate::process::facts::{Facts, Thread};
use crate::process::maps::{self, Mapping, libjvms};
use crate::process::refusal::{self, NotAProcess};
use crate::process::sys;

/// Shared memory below this (HotSpot's counters, say) is copied within the stop of a fork.
pub(super) const SMALL_SHARED: u64 = 16 << 20;

/// To stop fewer threads than these takes some 4 ms, and there is nothing to be gained by not stopping them.
const MANY: usize = 100;
/// So many that sleep are stopped like the others: one of them may make system calls for us.
const LENDERS: usize = 8;

/// How long the end of a collection is waited for, before each stop.
const COLLECTION: Duration = Duration::from_millis(300);
/// How often it is looked for.
const LOOK: Duration = Duration::from_micros(500);

/// Why a method did not do.
pub(super) enum Failure {
    /// It cannot be done this way; nothing was changed, another way may do.
    Refused(String),
    /// It can, but another way stops the process for less.
    Longer(String),
    /// rjcore does not know how to do it on this CPU, in words; another way may do.
    UnknownCpu(String),
    /// It cannot be done at all.
    Failed(Error),
}

impl From<CannotBorrow> for Failure {
    fn from(why: CannotBorrow) -> Failure {
        match why {
            CannotBorrow::Cpu => Failure::UnknownCpu(why.to_string()),
            CannotBorrow::Process(why) => Failure::Refused(why),
        }
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure::Failed(e)
    }
}

/// The process, as it was before the stop.
pub(super) struct Target<'a> {
    pub(super) pid: i32,
    pub(super) cpu: Cpu,
    pub(super) options: &'a Options<'a>,
    pub(super) maps: Vec<Mapping>,
    pub(super) memory: File,
    pub(super) pages: PageMap,
    pub(super) facts: Facts,
    /// Where copies go, if not to memory.
    pub(super) staging: Option<&'a Path>,
    /// Faults in some of its memory are handled (userfaultfd): what is not there then is not zero, and a
    /// fork may wait for the handler.
    pub(super) handles_faults: bool,
    /// First addresses of the mappings that it does so for, where absent pages are not zero.
    handled: BTreeSet<u64>,
    /// Stops that were given up.
    pub(super) given_up: Mutex<GivenUpStops>,
    /// How long it would stand still.
    predicted: Mutex<Vec<Prediction>>,
}

/// Stops that were ended before the memory was frozen.
#[derive(Debug, Default, Clone)]
pub(super) struct GivenUpStops {
    /// How long each was.
    pub(super) pauses: Vec<Duration>,
    /// How many of them because a collection was under way.
    pub(super) collecting: u32,
    /// Whether one was under way in the stop that was kept; `None` if nobody can tell.
    pub(super) caught: Option<bool>,
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
            _ => Error::capture(pid, e.to_string()),
        };
        if pid == std::process::id() as i32 {
            return Err(Error::capture(pid, "that is rjcore itself"));
        }
        let Some(cpu) = Cpu::HOST else {
            let what = format!("rjcore captures on {} only so far", Cpu::names());
            return Err(Error::capture(pid, what));
        };
        if let Some(what) = refusal::by_page_size(sys::page_size()) {
            return Err(Error::capture(pid, what));
        }
        let facts = Facts::read(pid).map_err(denied)?;
        if let Some(unfit) = NotAProcess::of(&facts) {
            let what = match unfit {
                NotAProcess::Thread(of) => format!("{unfit}; give that: rjcore capture {of}"),
                _ => unfit.to_string(),
            };
            return Err(Error::capture(pid, what));
        }
        if let Some(frozen) = frozen(pid) {
            let what =
                format!("{}; thaw it first: docker unpause, or {}", refusal::FROZEN, frozen.thaw);
            return Err(Error::capture(pid, what));
        }
        let maps = maps::read(pid).map_err(denied)?;
        let memory = File::open(format!("/proc/{pid}/mem")).map_err(denied)?;
        let pages = PageMap::open(pid).map_err(denied)?;
        if libjvms(&maps).next().is_none() {
            let what = refusal::no_jvm(&facts.stat.comm);
            let what = format!("{what}; for another program use gdb's gcore");
            return Err(Error::capture(pid, what));
        }
        // Only then: it costs 25 ms and more for each GB.
        let smaps = match Target::has_fault_handler(pid) {
            true => fs::read(format!("/proc/{pid}/smaps")).map_err(denied)?,
            false => Vec::new(),
        };
        // A descriptor alone, which a capture that was killed may have left, handles nothing.
        let handles_faults = ["um", "ui", "uw"].iter().any(|f| !flagged_in(&smaps, f).is_empty());
        // Missing pages are made up; minor faults are of shared memory that has its pages.
        let handled = flagged_in(&smaps, "um");
        let (staging, given_up, predicted) = (None, Mutex::default(), Mutex::default());
        Ok(Target {
            pid,
            cpu,
            options,
            maps,
            memory,
            pages,
            facts,
            staging,
            handles_faults,
            handled,
            given_up,
            predicted,
        })
    }

    pub(super) fn patience(&self) -> StopLimits<'a> {
        let (timeout, limit) = (self.options.stop_timeout, self.options.stop_limit);
        StopLimits { timeout, limit, cancelled: self.options.cancelled }
    }

    pub(super) fn error(&self, what: &str) -> Error {
        Error::capture(self.pid, what)
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
            // A process that was killed has no mappings.
            false if maps.is_empty() => Err(self.error("it ended before its memory was read")),
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

    /// Whether one of its threads, or another process for it, may handle faults in its memory
    /// (userfaultfd).
    fn has_fault_handler(pid: i32) -> bool {
        let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut links = links.filter_map(|e| fs::read_link(e.path()).ok());
        links.any(|l| l.as_os_str() == "anon_inode:[userfaultfd]")
    }

    /// The addresses of `maps` whose pages are made when they are first touched (userfaultfd), and
    /// were not when the snapshot was taken: nobody knows what is in them.
    pub(super) fn unmade<'m>(
        &self,
        saved: impl Iterator<Item = (&'m Mapping, &'m [(u64, u64)])>,
    ) -> Ranges {
        let made = |(m, runs): (&Mapping, &[(u64, u64)])| match self.handled.contains(&m.start) {
            true => minus(&[(m.start, m.end)], runs),
            false => Ranges::new(),
        };
        saved.flat_map(made).collect()
    }

    /// Whether a fork freezes all that matters.
    pub(super) fn fork_isolates(&self) -> bool {
        self.shared_bytes() <= SMALL_SHARED
    }

    pub(super) fn given_up(&self) -> MutexGuard<'_, GivenUpStops> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn predicted(&self) -> MutexGuard<'_, Vec<Prediction>> {
        self.predicted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is in the middle of a collection, if that can be told.
    fn is_collecting(&self) -> Option<bool> {
        let read = |addr, buf: &mut [u8]| self.memory.read_exact_at(buf, addr);
        self.options.probe?.is_collecting(&read)
    }

    /// Stops all threads; where a collection is under way then, lets them run on and waits for
    /// another moment, up to `retries` times. `last` is what is to be done just before
    /// the stop.
    pub(super) fn freeze(
        &self,
        known: &HashMap<i32, Thread>,
        last: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<Frozen, Failure> {
        loop {
            let deadline = Instant::now() + COLLECTION;
            while self.is_collecting() == Some(true) && Instant::now() < deadline {
                self.check()?;
                std::thread::sleep(LOOK);
            }
            let patience = self.patience();
            let tids = freeze::stoppable(self.pid, &patience)?;
            let held = self.may_be_held(known);
            let sleepers = if held.is_empty() { None } else { Sleepers::watch(self.cpu, held) };
            // Before any other thread is ours: from then on one that meets a signal stands still.
            last()?;
            let mut frozen = Frozen::seized(self.pid, &tids, sleepers, &patience)?;
            frozen.stop(&patience)?;
            let caught = self.is_collecting();
            if caught == Some(true) && self.given_up().collecting < self.options.retries {
                self.give_up(frozen, true);
                self.check()?;
                continue;
            }
            self.given_up().caught = caught;
            return Ok(frozen);
        }
    }

    /// Where there are many threads: those that sleep, but for some that may be borrowed.
    pub(super) fn may_be_held(&self, known: &HashMap<i32, Thread>) -> Vec<i32> {
        if known.len() < MANY {
            return Vec::new();
        }
        let asleep = known.values().filter(|t| t.stat.state == 'S').map(|t| t.tid);
        let mut asleep: Vec<i32> = asleep.filter(|tid| *tid != self.pid).collect();
        asleep.sort_unstable();
        asleep.split_off(LENDERS.min(asleep.len()))
    }

    /// Lets all threads run on before the memory was frozen.
    pub(super) fn give_up(&self, frozen: Frozen, collecting: bool) {
        let pause = frozen.release();
        let mut given_up = self.given_up();
        given_up.pauses.push(pause);
        given_up.collecting += u32::from(collecting);
    }

    /// Refuses a method by which it would stand still for too long.
    pub(super) fn refuse_too_long(&self, predicted: Duration) -> Result<(), Failure> {
        match self.options.stop_limit {
            Some(limit) if predicted > limit => Err(self.too_long()),
            _ => Ok(()),
        }
    }

    /// Why a method did not do that would have stopped it for too long.
    pub(super) fn too_long(&self) -> Failure {
        let limit = self.options.stop_limit.unwrap_or_default().as_millis();
        Failure::Refused(format!("it would have stood still for more than {limit} ms"))
    }

    /// What /proc says of the threads, read before the stop so that it need not be in it.
    pub(super) fn thread_facts(&self) -> HashMap<i32, Thread> {
        let tids = freeze::tasks(self.pid).unwrap_or_default();
        tids.into_iter().filter_map(|tid| Some((tid, Thread::read(self.pid, tid)?))).collect()
    }

    /// The threads as they stand. What is `known` of them need not be read within the stop.
    pub(super) fn threads(&self, frozen: &Frozen, mut known: HashMap<i32, Thread>) -> Threads {
        let mut buf = Registers::buffer();
        let stopped = frozen.threads.iter();
        let stopped = stopped.map(|t| Some((t.tid, Registers::read(self.cpu, t, &mut buf)?)));
        let mut registers: Vec<(i32, Registers)> = stopped.flatten().collect();
        registers.extend(frozen.sleepers.iter().flat_map(Sleepers::registers));
        for &(tid, _) in &registers {
            if !known.contains_key(&tid)
                && let Some(facts) = Thread::read(self.pid, tid)
            {
                known.insert(tid, facts);
            }
        }
        Threads { registers, known }
    }
}

/// Threads as they stood, and what /proc says of them.
pub(super) struct Threads {
    registers: Vec<(i32, Registers)>,
    known: HashMap<i32, Thread>,
}

impl Threads {
    /// For the notes: the process's first one first, then by their ids.
    pub(super) fn states(mut self, pid: i32) -> Vec<ThreadState> {
        self.registers.sort_by_key(|t| (t.0 != pid, t.0));
        let state =
            |(tid, registers)| Some(ThreadState { facts: self.known.remove(&tid)?, registers });
        self.registers.into_iter().filter_map(state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::inject::Injector;
    use super::*;

    /// A CPU whose table does not say how, and one that has no table: refused before anything is looked at.
    #[test]
    fn other_cpus_are_refused() {
        let own = std::process::id() as i32;
        for cpu in [None, Some(Cpu::Aarch64)] {
            let refused = Injector::new(cpu, own, &[]).expect_err("no table");
            assert_eq!(refused, CannotBorrow::Cpu);
            assert!(matches!(refused.into(), Failure::UnknownCpu(_)));
        }
        let why = Injector::new(Some(Cpu::X86_64), own, &[]).expect_err("no code");
        assert!(matches!(why, CannotBorrow::Process(_)));
    }
}

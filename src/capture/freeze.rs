//! All threads of a process at a standstill, for as long as a guard lives.
//!
//! Knows how ptrace stops and releases threads; knows nothing of what is done meanwhile.
//! If rjcore dies, the kernel detaches all threads and they run on.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use super::priority::HighPriority;
use super::sleepers::Sleepers;
use super::stopped::Stopped;
use crate::error::{Advice, Error, Result};
use crate::process::facts::ids;
use crate::process::refusal;
use crate::process::sys::{self, Status};

/// How often threads in uninterruptible sleep are looked at before the stop.
const LOOK: Duration = Duration::from_millis(5);

/// What bounds a stop.
#[derive(Clone, Copy)]
pub(super) struct StopLimits<'a> {
    /// How long the threads may take to stop, once before they are asked and once after.
    pub timeout: Duration,
    /// How long they may stand still in all.
    pub limit: Option<Duration>,
    /// Whether the user asked for the end.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl StopLimits<'_> {
    /// How long the threads may take to stop once they are asked.
    fn allowed(&self) -> Duration {
        self.limit.map_or(self.timeout, |limit| limit.min(self.timeout))
    }
}

/// Threads that stand still; dropped, they run on.
#[derive(Debug)]
pub(super) struct Frozen {
    pid: i32,
    /// All that stopped, the leader first.
    pub threads: Vec<Stopped>,
    /// Seized ones that have not stopped yet.
    waiting: BTreeSet<i32>,
    /// All that were seized, here or among the sleepers.
    seized: HashSet<i32>,
    /// How many threads are no more.
    gone: usize,
    /// Those that are held without being stopped.
    pub sleepers: Option<Sleepers>,
    /// When the first was asked to stop.
    began: Option<Instant>,
    limit: Option<Duration>,
    hurry: Option<HighPriority>,
}

impl Frozen {
    /// Attaches to every thread of `pid`, which stops none: all that can be done before the stop. Those that are among
    /// the `sleepers` stay there; the stop begins here for each of them that wakes up.
    ///
    /// `tids` are threads that it had a moment ago, see [`stoppable`].
    /// Errors: [`Error::Capture`] if it may not be traced or has ended.
    pub(super) fn seized(
        pid: i32,
        tids: &[i32],
        sleepers: Option<Sleepers>,
        patience: &StopLimits<'_>,
    ) -> Result<Frozen> {
        let mut frozen = Frozen::none(pid);
        frozen.limit = patience.limit;
        if let Some(sleepers) = sleepers {
            frozen.hurry = HighPriority::new();
            frozen.began = Some(Instant::now());
            // Without a tracer that answers they are nobody's, and stopped as the others are.
            if let Some(held) = sleepers.hold(patience.allowed()) {
                if !held.stuck.is_empty() {
                    return Err(will_not_stop(pid, &held.stuck, patience.allowed()));
                }
                frozen.seized = held.tids;
                frozen.sleepers = Some(sleepers);
            }
        }
        // Seizing stops nobody.
        let mut new = frozen.seize_new(tids)?;
        while new > 0 {
            new = frozen.seize_new(&frozen.new_tasks()?)?;
        }
        if frozen.waiting.is_empty() {
            return Err(gone(pid));
        }
        Ok(frozen)
    }

    /// Stops every thread, those too that are made meanwhile.
    ///
    /// Errors: [`Error::Capture`] if they do not stop in time or have ended; then all run on.
    pub(super) fn stop(&mut self, patience: &StopLimits<'_>) -> Result<()> {
        if self.hurry.is_none() {
            self.hurry = HighPriority::new();
        }
        self.began.get_or_insert_with(Instant::now);
        self.interrupt_and_wait(patience)?;
        // A thread that was being made when its maker was asked is in the list by now.
        loop {
            let new = self.new_tasks()?;
            if self.seize_new(&new)? == 0 {
                break;
            }
            self.interrupt_and_wait(patience)?;
        }
        if self.threads.is_empty() {
            return Err(gone(self.pid));
        }
        let pid = self.pid;
        self.threads.sort_by_key(|t| (t.tid != pid, t.tid));
        Ok(())
    }

    /// Whether they will have stood still for too long once `more` has passed.
    pub(super) fn is_overdue(&self, more: Duration) -> bool {
        self.limit.is_some_and(|limit| self.stood_still() + more > limit)
    }

    /// When they will have stood still for too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.began? + self.limit?)
    }

    /// For how long so far.
    fn stood_still(&self) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// Stops one thread only; the others run on.
    pub(super) fn one(pid: i32, tid: i32, patience: &StopLimits<'_>) -> Result<Frozen> {
        let mut frozen = Frozen::none(pid);
        sys::seize(tid).map_err(|e| refusal::explain(pid, tid, &e))?;
        frozen.waiting.insert(tid);
        frozen.began = Some(Instant::now());
        frozen.interrupt_and_wait(patience)?;
        if frozen.threads.is_empty() { Err(gone(pid)) } else { Ok(frozen) }
    }

    fn none(pid: i32) -> Frozen {
        let (threads, waiting, seized) = (Vec::new(), BTreeSet::new(), HashSet::new());
        let (began, limit, hurry, sleepers) = (None, None, None, None);
        Frozen { pid, threads, waiting, seized, gone: 0, sleepers, began, limit, hurry }
    }

    /// Threads that may not be ours yet: none where there are as many as we have, since to list ten thousand takes some
    /// ms.
    fn new_tasks(&self) -> Result<Vec<i32>> {
        let count = fs::metadata(format!("/proc/{}/task", self.pid)).map(|m| m.nlink());
        match count {
            // Beside one for each thread there are two.
            Ok(n) if n == (self.seized.len() - self.gone) as u64 + 2 => Ok(Vec::new()),
            _ => tasks(self.pid).map_err(|_| gone(self.pid)),
        }
    }

    /// Seizes those of `tids` that are not ours yet; answers how many.
    fn seize_new(&mut self, tids: &[i32]) -> Result<usize> {
        let mut new = 0;
        for &tid in tids {
            if self.seized.contains(&tid) {
                continue;
            }
            match sys::seize(tid) {
                Ok(()) => {
                    self.seized.insert(tid);
                    self.waiting.insert(tid);
                    new += 1;
                }
                // It ended, or is a zombie that the process has not yet let go.
                Err(e) if e.raw_os_error() == Some(libc::ESRCH) || is_dead(self.pid, tid) => {}
                Err(e) => return Err(refusal::explain(self.pid, tid, &e)),
            }
        }
        Ok(new)
    }

    fn interrupt_and_wait(&mut self, patience: &StopLimits<'_>) -> Result<()> {
        let pid = self.pid;
        let before = self.waiting.len();
        self.waiting.retain(|&tid| sys::interrupt(tid).is_ok() || !is_dead(pid, tid));
        self.gone += before - self.waiting.len();
        let allowed = patience.allowed();
        let deadline = Instant::now() + allowed;
        let deadline = self.deadline().map_or(deadline, |limit| limit.min(deadline));
        let mut turn = 0;
        while !self.waiting.is_empty() {
            let before = self.waiting.len();
            let (threads, gone) = (&mut self.threads, &mut self.gone);
            self.waiting.retain(|&tid| match sys::wait(tid, false) {
                Ok(None) => true,
                Ok(Some(Status::Gone)) | Err(_) => {
                    *gone += 1;
                    false
                }
                Ok(Some(status)) => {
                    threads.push(Stopped { tid, status });
                    false
                }
            });
            if self.waiting.len() < before {
                turn = 0;
                continue;
            }
            if (patience.cancelled)() {
                return Err(Error::capture(pid, "interrupted before it was read"));
            }
            if Instant::now() > deadline {
                let stuck: Vec<i32> = self.waiting.iter().copied().collect();
                return Err(will_not_stop(pid, &stuck, allowed));
            }
            sys::relax(turn);
            turn += 1;
        }
        Ok(())
    }

    /// Lets all threads run on; answers how long they stood still.
    pub(super) fn release(mut self) -> Duration {
        self.detach_all();
        self.hurry = None;
        self.stood_still()
    }

    fn detach_all(&mut self) {
        for t in self.threads.drain(..) {
            // One that was killed meanwhile is gone; it must still be waited for.
            if sys::detach(t.tid, t.signal()).is_err() {
                let _ = sys::wait(t.tid, false);
            }
        }
        if let Some(sleepers) = &self.sleepers {
            sleepers.let_go();
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.detach_all();
        // Those that have not stopped cannot be detached before they do. Most do at once; the
        // kernel lets go of the others when rjcore ends.
        let deadline = Instant::now() + Duration::from_millis(20);
        while !self.waiting.is_empty() && Instant::now() < deadline {
            self.waiting.retain(|&tid| match sys::wait(tid, false) {
                Ok(None) => true,
                Ok(Some(Status::Gone)) | Err(_) => false,
                Ok(Some(status)) => sys::detach(tid, Stopped { tid, status }.signal()).is_err(),
            });
            sys::relax(20);
        }
    }
}

/// The threads of a process.
pub(super) fn tasks(pid: i32) -> io::Result<Vec<i32>> {
    ids(&format!("/proc/{pid}/task"))
}

/// The state letter of a thread, proc_pid_stat(5).
fn state(pid: i32, tid: i32) -> Option<char> {
    let stat = fs::read(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    let end = stat.iter().rposition(|b| *b == b')')?;
    stat.get(end + 2).map(|b| char::from(*b))
}

/// Whether a thread has ended, reaped or not.
pub(super) fn is_dead(pid: i32, tid: i32) -> bool {
    matches!(state(pid, tid), None | Some('Z' | 'X'))
}

/// All threads, once none has been in uninterruptible sleep (state D) all the time: such a one cannot be stopped, and all
/// others would stand still until it could.
///
/// Errors: [`Error::Capture`] if one is for longer than `patience` has, or there are none.
pub(super) fn stoppable(pid: i32, patience: &StopLimits<'_>) -> Result<Vec<i32>> {
    let asleep = |tid: &i32| state(pid, *tid) == Some('D');
    let deadline = Instant::now() + patience.timeout;
    let all = tasks(pid).map_err(|_| gone(pid))?;
    let mut stuck: Vec<i32> = all.iter().copied().filter(asleep).collect();
    while !stuck.is_empty() {
        if Instant::now() > deadline {
            return Err(will_not_stop(pid, &stuck, patience.timeout));
        }
        if (patience.cancelled)() {
            return Err(Error::capture(pid, "interrupted before it was stopped"));
        }
        std::thread::sleep(LOOK);
        stuck.retain(asleep);
    }
    Ok(all)
}

fn gone(pid: i32) -> Error {
    let what = "the process has ended; if it crashed, look for the kernel's core \
                (coredumpctl, /proc/sys/kernel/core_pattern)";
    Error::capture(pid, what)
}

fn will_not_stop(pid: i32, stuck: &[i32], timeout: Duration) -> Error {
    const SHOWN: usize = 3;
    let name = |tid: &i32| {
        let file = |f: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{f}"));
        let comm = file("comm").unwrap_or_default();
        let state = state(pid, *tid).unwrap_or('?');
        let sleeps = file("wchan").ok().filter(|w| w.len() > 1);
        let sleeps = sleeps.map_or(String::new(), |w| format!(" in {w}"));
        format!("{tid} \"{}\" (state {state}{sleeps})", comm.trim_end())
    };
    let names: Vec<String> = stuck.iter().take(SHOWN).map(name).collect();
    let more = match stuck.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let what = format!(
        "not stopped within {} ms: thread {}{more}; state D is the kernel waiting for a disk, a \
         network file system or a child that vfork made. All threads run on",
        timeout.as_millis(),
        names.join(", ")
    );
    Error::Capture { pid, what, advice: Some(Advice::WaitForThreads) }
}

//! The snapshot by fork: a child of the target that never runs, whose memory is read at leisure.
//!
//! Knows how such a child is made, kept and cleared away; knows nothing of what is read of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::freeze::{Frozen, StopLimits, tasks};
use super::inject::{Injector, suspend_filter};
use super::pages::{PageMap, Run};
use super::rescue::ORPHAN_EXIT;
use super::watch::{MemoryNeeded, MemoryWatch};
use crate::cpu::Cpu;
use crate::error::Result;
use crate::format::ranges::{Ranges, minus, union};
use crate::process::facts::is_ending;
use crate::process::maps::{self, Kind, Mapping};
use crate::process::sys;

/// CLOSE_RANGE_UNSHARE: close in a descriptor table of its own.
const UNSHARE: u64 = 2;
/// __WALL | WNOHANG: see children without an exit signal, do not wait.
const REAP: u64 = 0x4000_0001;
/// How many threads of the target are tried for clearing a child away.
const REAPERS: usize = 8;
/// The oom_score_adj of a snapshot: the first to go; also the mark that it is one.
const EXPENDABLE: &str = "1000";

/// A snapshot; dropped, it is killed, and nothing of it stays in the target.
#[derive(Debug)]
pub(super) struct Child {
    /// The target.
    parent: i32,
    /// Its id as this process sees it.
    pub pid: i32,
    /// Its id as the target sees it.
    inner: i32,
    /// Its memory. /proc/PID/mem does not pin pages; process_vm_readv would, and so copy them.
    pub memory: File,
    /// Its pages.
    pub pages: PageMap,
    /// The pages of its own that it held when it was made, by mapping.
    held: Vec<(Mapping, Ranges)>,
    /// Ends it when memory gets short. `None` while it is being ended: its id may be another's.
    watch: Option<MemoryWatch>,
}

/// Mappings of a child by the flags of proc_pid_smaps(5): their first addresses.
#[derive(Debug)]
pub(super) struct Flags {
    /// Wiped in a child (MADV_WIPEONFORK): secrets such as random states, not to be copied.
    pub wiped: BTreeSet<u64>,
    /// Huge pages of the pool (hugetlbfs).
    pub pool: BTreeSet<u64>,
}

/// Why a process with private memory from the pool of huge pages is not forked.
pub(super) const POOL: &str = "its memory lies in huge pages of the pool (hugetlbfs, \
                        -XX:+UseLargePages), which the kernel takes out of a child when the \
                        process writes to them and the pool is empty";

impl Child {
    /// Takes over a child that [`super::inject::BorrowedThread::fork`] made. From here on it dies with
    /// us, and ends when less than half of `least` is free; it gives up all descriptors.
    pub(super) fn adopt(
        parent: i32,
        (pid, inner): (i32, i32),
        injector: &Injector,
        least: MemoryNeeded,
    ) -> io::Result<Child> {
        let opened = || -> io::Result<(File, PageMap, MemoryWatch)> {
            let watch = MemoryWatch::start(parent, pid, least)?;
            sys::wait(pid, true)?;
            // Marked first: if we die in between, its end must still be seen as a snapshot's.
            let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), EXPENDABLE);
            sys::set_options(pid, suspend_filter(pid) | sys::EXITKILL)?;
            // It shares the target's descriptors, so it keeps none open that the target closes;
            // only if the target ends would they stay open for as long as it lives. Kernels
            // before 5.9 do not know the call.
            let all = injector.calls().close_range;
            injector.call_in_child(pid, all, &[0, u64::from(u32::MAX), UNSHARE])?;
            Ok((File::open(format!("/proc/{pid}/mem"))?, PageMap::open(pid)?, watch))
        };
        match opened() {
            Ok((memory, pages, watch)) => {
                let (held, watch) = (Vec::new(), Some(watch));
                Ok(Child { parent, pid, inner, memory, pages, held, watch })
            }
            Err(e) => {
                end(pid);
                reap(parent, &[inner]);
                Err(e)
            }
        }
    }

    /// A mapping of the target that it did not inherit (MADV_DONTFORK), if there is one. `before`
    /// are the target's mappings before the fork, `own` the child's.
    pub(super) fn lacks(&self, before: &[Mapping], own: &[Mapping]) -> Option<Mapping> {
        let inherited = |m: &Mapping| {
            let i = own.partition_point(|o| o.end <= m.start);
            own.get(i).is_some_and(|o| o.start < m.end)
        };
        let private = |m: &&Mapping| m.kind() == Kind::Anonymous && m.flags & 2 != 0;
        let mut suspects = before.iter().filter(private).filter(|m| !inherited(m)).peekable();
        // Most were unmapped before the fork, such as the stacks of threads that ended.
        suspects.peek()?;
        let kept_back = flagged(self.parent, "dc");
        suspects.find(|m| kept_back.contains(&m.start)).cloned()
    }

    /// Its mappings' flags: reading them takes no lock of the target's.
    pub(super) fn flags(&self) -> Flags {
        let smaps = fs::read(format!("/proc/{}/smaps", self.pid)).unwrap_or_default();
        Flags { wiped: flagged_in(&smaps, "wf"), pool: flagged_in(&smaps, "ht") }
    }

    /// Remembers the pages of its own that it holds of a mapping.
    pub(super) fn holds(&mut self, m: &Mapping, present: &[Run]) {
        let own: Ranges = present.iter().filter(|r| !r.file).map(|r| (r.start, r.end)).collect();
        if !own.is_empty() {
            self.held.push((m.clone(), union(own)));
        }
    }

    /// What it held and does not hold any more: it never runs, so the kernel took it.
    pub(super) fn lost(&self) -> io::Result<Ranges> {
        let mut out = Ranges::new();
        for (m, held) in &self.held {
            let now = self.pages.present(m)?;
            out.extend(minus(held, &union(now.iter().map(|r| (r.start, r.end)).collect())));
        }
        Ok(out)
    }

    /// Why it ended, if it did: what is read of it from then on counts for nothing.
    pub(super) fn ended(&self) -> Option<String> {
        if !is_ending(self.pid) {
            return None;
        }
        let short = self.watch.as_ref().and_then(MemoryWatch::short);
        Some(match short {
            Some(what) => format!("the snapshot was given up: {what}"),
            None => "the snapshot was killed before its memory was read".into(),
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.watch = None;
        end(self.pid);
        reap(self.parent, &[self.inner]);
    }
}

/// The first addresses of mappings with a flag of proc_pid_smaps(5).
fn flagged(pid: i32, flag: &str) -> BTreeSet<u64> {
    flagged_in(&fs::read(format!("/proc/{pid}/smaps")).unwrap_or_default(), flag)
}

pub(super) fn flagged_in(smaps: &[u8], flag: &str) -> BTreeSet<u64> {
    let (mut start, mut out) = (0, BTreeSet::new());
    for line in String::from_utf8_lossy(smaps).lines() {
        let (first, rest) = line.split_once([' ', '-']).unwrap_or((line, ""));
        if first == "VmFlags:" {
            if rest.split_whitespace().any(|f| f == flag) {
                out.insert(start);
            }
        } else if let Ok(address) = u64::from_str_radix(first, 16) {
            start = address;
        }
    }
    out
}

/// Kills it and waits for its end, as its tracer.
fn end(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
    while let Ok(Some(status)) = sys::wait(pid, true) {
        if status == sys::Status::Gone {
            break;
        }
    }
}

/// Clears away what killed captures left in the target.
pub(super) fn clear_left_over(parent: i32) {
    let dead = left_over(parent);
    if !dead.is_empty() {
        reap(parent, &dead);
    }
}

/// Zombies of snapshots whose rjcore was killed, by their ids in the target: they are marked, or
/// ended by themselves before they could be.
fn left_over(parent: i32) -> Vec<i32> {
    let children = tasks(parent).unwrap_or_default().into_iter().flat_map(|tid| {
        let path = format!("/proc/{parent}/task/{tid}/children");
        let list = fs::read_to_string(path).unwrap_or_default();
        list.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<i32>>()
    });
    let snapshot = |pid: &i32| {
        let stat = procfs::process::Process::new(*pid).and_then(|p| p.stat()).ok();
        let mark = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap_or_default();
        stat.is_some_and(|s| {
            let orphan = s.exit_code == Some((ORPHAN_EXIT as i32) << 8);
            s.state == 'Z' && s.exit_signal == Some(0) && (mark.trim() == EXPENDABLE || orphan)
        })
    };
    let inner = |pid: i32| Some(crate::process::facts::Facts::read(pid).ok()?.inner);
    children.filter(snapshot).filter_map(inner).collect()
}

/// Makes the target take note of the end of children that it knows nothing of: a dead child
/// stays a zombie until its parent asks for it.
///
/// Stops one thread for the time of a system call. What cannot be done is left: the zombie goes
/// with the target, and the next capture tries again.
fn reap(parent: i32, dead: &[i32]) {
    let Ok(maps) = maps::read(parent) else { return };
    let Ok(injector) = Injector::new(Cpu::HOST, parent, &maps) else { return };
    let mut tids = tasks(parent).unwrap_or_default();
    tids.sort_by_key(|tid| (*tid != parent, *tid));
    for tid in tids.into_iter().take(REAPERS) {
        if reap_by(parent, tid, &maps, &injector, dead).is_ok_and(|done| done) {
            return;
        }
    }
}

/// Whether the thread could be borrowed for it.
fn reap_by(
    parent: i32,
    tid: i32,
    maps: &[Mapping],
    injector: &Injector,
    dead: &[i32],
) -> Result<bool> {
    let patience =
        StopLimits { timeout: Duration::from_millis(200), limit: None, cancelled: &|| false };
    let frozen = Frozen::one(parent, tid, &patience)?;
    let Ok(mut thread) = injector.borrow_one(&frozen.threads, maps) else { return Ok(false) };
    let wait = injector.calls().wait4;
    let called = dead.iter().map(|child| thread.call(wait, &[*child as u64, 0, REAP, 0]));
    let done = called.collect::<io::Result<Vec<i64>>>().is_ok();
    let back = thread.give_back().is_ok();
    frozen.release();
    Ok(done && back)
}

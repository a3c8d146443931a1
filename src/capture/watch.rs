//! What keeps a snapshot from costing the process its life.
//!
//! While it lives, each page that the process writes to is copied, and charged to its cgroup. At the limit the kernel
//! kills the snapshot first, but where its memory is not free at once (it may be being read) the process next, within
//! milliseconds. So the snapshot is given up before the limit is reached.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use rustix::process::{Pid, Signal, kill_process};

use super::priority::HighPriority;
use crate::process::room::{MemoryGauge, Room};

/// How often it is looked: in this time two CPUs copy some 10 MB of pages.
const EVERY: Duration = Duration::from_millis(2);

/// A fork is refused where less than this part of the process's memory is free for the copies.
const PART: u64 = 10;
/// And at least so much must be free on the machine.
const LEAST_ON_MACHINE: u64 = 64 << 20;
/// And in a cgroup with a limit, if the process has not less.
const LEAST_IN_GROUP: u64 = 256 << 20;

/// The memory, in bytes, that must be free for a snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryNeeded {
    machine: u64,
    group: u64,
}

impl MemoryNeeded {
    /// For a process with so many bytes of memory of its own.
    pub(super) fn for_fork(anonymous: u64, all_die: bool) -> MemoryNeeded {
        let all = anonymous.max(LEAST_ON_MACHINE);
        let part = anonymous / PART;
        // Where all are killed, the snapshot's end would be that of the process: room for all that it may write to.
        let group = if all_die { all } else { part.max(LEAST_IN_GROUP).min(all) };
        MemoryNeeded { machine: part.max(LEAST_ON_MACHINE), group }
    }

    /// What there is too little of, if there is.
    pub(super) fn missing(&self, room: &Room) -> Option<MemoryShort> {
        Self::short(self, room.target, room.machine)
    }

    fn short(&self, group: u64, machine: u64) -> Option<MemoryShort> {
        match () {
            () if group < self.group => Some(MemoryShort::Group(group)),
            () if machine < self.machine => Some(MemoryShort::Machine(machine)),
            () => None,
        }
    }
}

/// What is short, and how many bytes are left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemoryShort {
    /// Up to the limit of the process's cgroup.
    Group(u64),
    /// On the machine.
    Machine(u64),
}

impl fmt::Display for MemoryShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryShort::Group(left) => write!(
                f,
                "its cgroup has {} MB left, to which copies of the pages that it writes to would be charged",
                left >> 20
            ),
            MemoryShort::Machine(left) => {
                write!(f, "the machine has {} MB of memory left", left >> 20)
            }
        }
    }
}

/// Ends a snapshot when memory gets short, until it is dropped.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    over: Arc<AtomicBool>,
    short: Arc<OnceLock<MemoryShort>>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    /// Watches over the snapshot `child` of `parent`: it is killed when only half of `least` is left.
    pub(super) fn start(parent: i32, child: i32, least: MemoryNeeded) -> io::Result<MemoryWatch> {
        let half = MemoryNeeded { machine: least.machine / 2, group: least.group / 2 };
        let (over, short) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()));
        let (is_over, found) = (over.clone(), short.clone());
        let watch = move || {
            // The threads that write to the memory would take the CPU.
            let _hurry = HighPriority::new();
            let gauge = MemoryGauge::of(parent);
            while !is_over.load(Ordering::Acquire) {
                if let Some(what) = half.short(gauge.group(), gauge.machine()) {
                    let _ = found.set(what);
                    if let Some(pid) = Pid::from_raw(child) {
                        let _ = kill_process(pid, Signal::KILL);
                    }
                    return;
                }
                thread::park_timeout(EVERY);
            }
        };
        let thread = thread::Builder::new().name("memory watch".into()).spawn(watch)?;
        Ok(MemoryWatch { over, short, thread: Some(thread) })
    }

    /// Why the snapshot was ended, if it was.
    pub(super) fn short(&self) -> Option<MemoryShort> {
        self.short.get().copied()
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn the_least_grows_with_the_process() {
        let group = |mb: u64, all_die| MemoryNeeded::for_fork(mb * MB, all_die).group / MB;
        assert_eq!([10, 130, 1000, 40_000].map(|mb| group(mb, false)), [64, 130, 256, 4000]);
        assert_eq!([10, 130, 1000, 40_000].map(|mb| group(mb, true)), [64, 130, 1000, 40_000]);
        let least = MemoryNeeded::for_fork(1000 * MB, false);
        let room = |machine, target| Room { machine, target, own: 0, all_die: false };
        assert_eq!(least.missing(&room(100 * MB, 256 * MB)), None);
        assert_eq!(least.missing(&room(99 * MB, 256 * MB)), Some(MemoryShort::Machine(99 * MB)));
        assert_eq!(least.missing(&room(99 * MB, 255 * MB)), Some(MemoryShort::Group(255 * MB)));
    }

    #[test]
    fn it_ends_what_there_is_no_room_for() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("sleep");
        let (own, pid) = (std::process::id() as i32, child.id() as i32);
        let watch =
            MemoryWatch::start(own, pid, MemoryNeeded { machine: 1, group: 1 }).expect("a watch");
        thread::sleep(EVERY * 3);
        assert_eq!((watch.short(), child.try_wait().expect("its state")), (None, None));
        drop(watch);
        let watch = MemoryWatch::start(own, pid, MemoryNeeded { machine: u64::MAX, group: 0 })
            .expect("a watch");
        assert!(!child.wait().expect("its end").success());
        assert!(matches!(watch.short(), Some(MemoryShort::Machine(1..))));
    }
}

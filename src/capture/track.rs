//! Which pages the target writes to while it runs: asynchronous write-protection by a
//! userfaultfd of its own.
//!
//! Knows how to ask for it and to end it; knows nothing of what is copied. Nothing in the
//! target ever waits for us: the kernel lifts the protection at the first write and notes it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::freeze::{Frozen, StopLimits, tasks};
use super::inject::{CannotBorrow, Injector};
use crate::cpu::{Calls, Cpu};
use crate::error::Error;
use crate::format::ranges::{minus, union};
use crate::process::maps::{Kind, Mapping};
use crate::process::sys::uffd;

/// Unregistering takes the lock of the target's memory map: so much at a time.
const UNREGISTER: u64 = 2 << 20;
/// How many threads of the target are tried.
const LENDERS: usize = 8;

/// Why it cannot be watched.
pub(super) const OLD_KERNEL: &str = "the kernel has no asynchronous write-protection (6.7)";
pub(super) const FILTERED: &str = "it has a seccomp filter, which might end it for the call of userfaultfd; rjcore could \
                                   set it aside with CAP_SYS_ADMIN";

/// The protection; dropped, it is lifted.
#[derive(Debug)]
pub(super) struct Tracker {
    fd: OwnedFd,
    registered: Vec<(u64, u64)>,
    /// Those of them that can still be relied on.
    watched: Vec<(u64, u64)>,
}

impl Tracker {
    /// Has a thread of the target make the descriptor, takes it over, and closes the target's.
    ///
    /// Answers why that is not possible.
    pub(super) fn new(
        pid: i32,
        maps: &[Mapping],
        patience: &StopLimits<'_>,
    ) -> Result<Tracker, CannotBorrow> {
        let injector = Injector::new(Cpu::HOST, pid, maps)?;
        let mut tids = tasks(pid).map_err(|e| e.to_string())?;
        tids.sort_by_key(|tid| (*tid != pid, *tid));
        let mut why = String::new();
        for tid in tids.into_iter().take(LENDERS) {
            let frozen = match Frozen::one(pid, tid, patience) {
                Ok(frozen) => frozen,
                Err(Error::Capture { what, .. }) => {
                    why = what;
                    continue;
                }
                Err(e) => return Err(e.to_string().into()),
            };
            let mut thread = match injector.borrow_one(&frozen.threads, maps) {
                Ok(thread) => thread,
                Err(e) => {
                    why = e;
                    continue;
                }
            };
            if thread.is_filtered() {
                return Err(FILTERED.to_owned().into());
            }
            let fd = fetch(pid, injector.calls(), &mut |call, args| thread.call(call, args));
            let back = thread.give_back();
            frozen.release();
            back.map_err(|e| format!("a borrowed thread could not be given back: {e}"))?;
            let fd = fd.map_err(|e| format!("userfaultfd: {e}"))?;
            uffd::handshake(fd.as_fd()).map_err(|e| format!("{OLD_KERNEL}: {e}"))?;
            return Ok(Tracker { fd, registered: Vec::new(), watched: Vec::new() });
        }
        Err(why.into())
    }

    /// Watches what can be written to of `maps`; what cannot be watched is copied in the stop.
    pub(super) fn watch(&mut self, maps: &[Mapping]) {
        for m in maps.iter().filter(|m| can_be_watched(m)) {
            if uffd::register(self.fd.as_fd(), m.start, m.end).is_ok() {
                self.registered.push((m.start, m.end));
            }
        }
        self.watched.clone_from(&self.registered);
    }

    /// Watches a mapping that came since, or of which something was replaced: nothing that was
    /// copied of it counts any more. Whether that is possible.
    pub(super) fn watch_again(&mut self, m: &Mapping) -> bool {
        if !can_be_watched(m) || uffd::register(self.fd.as_fd(), m.start, m.end).is_err() {
            return false;
        }
        self.registered.push((m.start, m.end));
        // What lies side by side the kernel may join.
        self.watched = union([&self.watched[..], &[(m.start, m.end)]].concat());
        true
    }

    /// Whether all of the mapping was watched since it was copied; another one may lie there now,
    /// which [`super::pages::PageMap`] tells.
    pub(super) fn watches(&self, m: &Mapping) -> bool {
        let i = self.watched.partition_point(|r| r.1 <= m.start);
        self.watched.get(i).is_some_and(|r| r.0 <= m.start && m.end <= r.1)
    }

    /// Something of it is not known any more: it counts as not watched from here on.
    pub(super) fn distrust(&mut self, m: &Mapping) {
        self.watched = minus(&self.watched, &[(m.start, m.end)]);
    }
}

fn can_be_watched(m: &Mapping) -> bool {
    match m.kind() {
        Kind::Anonymous | Kind::PrivateFile | Kind::SharedMemory => m.flags & 2 != 0,
        Kind::SharedFile | Kind::Vdso | Kind::Foreign => false,
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        for &(start, end) in &self.registered {
            let mut at = start;
            while at < end {
                let next = (at + UNREGISTER).min(end);
                // What was unmapped meanwhile is not registered any more.
                let _ = uffd::unregister(self.fd.as_fd(), at, next);
                at = next;
            }
        }
    }
}

fn fetch(
    pid: i32,
    calls: &Calls,
    call: &mut dyn FnMut(u64, &[u64]) -> io::Result<i64>,
) -> io::Result<OwnedFd> {
    let flags = libc::O_CLOEXEC as u64 | libc::O_NONBLOCK as u64 | uffd::USER_MODE_ONLY;
    let number = call(calls.userfaultfd, &[flags])?;
    if number < 0 {
        return Err(io::Error::from_raw_os_error(-number as i32));
    }
    let taken = || -> io::Result<OwnedFd> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?;
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(pidfd_getfd(&process, number as i32, PidfdGetfdFlags::empty())?)
    };
    let taken = taken();
    // From here on our death frees the target: the last descriptor is ours.
    call(calls.close, &[number as u64])?;
    taken
}

//! What /proc says of a process and its threads, as the notes of a core need it.
//!
//! Knows numbers and names; knows nothing of ELF's layout of them.

use std::fs;
use std::io;

use procfs::process::{Process, Stat, Status};
use procfs::{ProcError, ProcResult};

/// The process.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Its id as this process sees it.
    pub pid: i32,
    /// Its id in its own PID namespace.
    pub inner: i32,
    /// proc_pid_stat(5) of the process.
    pub stat: Stat,
    /// proc_pid_status(5) of the process.
    pub status: Status,
    /// The command line, its arguments separated by spaces.
    pub command: Vec<u8>,
    /// The auxiliary vector, raw.
    pub auxv: Vec<u8>,
}

/// One thread.
#[derive(Debug)]
pub(crate) struct Thread {
    /// Its id as this process sees it.
    pub tid: i32,
    /// Its id in its own PID namespace: what HotSpot calls it by.
    pub inner: i32,
    /// proc_pid_stat(5) of the thread.
    pub stat: Stat,
    /// Its name.
    pub name: String,
    /// Signals that it blocks.
    pub blocked: u64,
    /// Signals that wait for it.
    pub pending: u64,
    /// How often it gave the processor away by itself, to wait for something.
    pub waits: u64,
}

/// The ids of processes, or of a process's threads, in a directory of /proc; in no order.
pub(crate) fn ids(directory: &str) -> io::Result<Vec<i32>> {
    let names = fs::read_dir(directory)?.flatten().map(|e| e.file_name());
    Ok(names.filter_map(|n| n.to_str()?.parse().ok()).collect())
}

/// The innermost of the ids of a process or thread.
fn inner(status: &Status) -> i32 {
    status.nspid.as_ref().and_then(|ids| ids.last().copied()).unwrap_or(status.pid)
}

/// As an error of the system.
pub(crate) fn io_error(e: ProcError) -> io::Error {
    match e {
        ProcError::Io(e, _) => e,
        ProcError::NotFound(_) => io::ErrorKind::NotFound.into(),
        ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied.into(),
        e => io::Error::other(e.to_string()),
    }
}

/// PF_EXITING, among the flags in proc_pid_stat(5).
pub(crate) const EXITING: u32 = 4;

/// Whether the process is on its way out or gone: killed, even if it has not noticed yet, without
/// memory, or a zombie. What is read of its memory from then on counts for nothing.
pub(crate) fn is_ending(pid: i32) -> bool {
    const SIGKILL: u64 = 1 << (libc::SIGKILL - 1);
    let Ok(process) = Process::new(pid) else { return true };
    let (Ok(stat), Ok(status)) = (process.stat(), process.status()) else { return true };
    matches!(stat.state, 'Z' | 'X')
        || stat.flags & EXITING != 0
        || (status.sigpnd | status.shdpnd) & SIGKILL != 0
        // All threads but a leader that ended may live on; the memory is then another thread's.
        || status.vmsize.is_none()
}

impl Facts {
    /// Reads them.
    pub(crate) fn read(pid: i32) -> io::Result<Facts> {
        let all = || -> ProcResult<(Stat, Status)> {
            let process = Process::new(pid)?;
            Ok((process.stat()?, process.status()?))
        };
        let (stat, status) = all().map_err(io_error)?;
        let mut command = fs::read(format!("/proc/{pid}/cmdline"))?;
        command.iter_mut().filter(|b| **b == 0).for_each(|b| *b = b' ');
        command.truncate(command.trim_ascii_end().len());
        // Empty for a process that may not be looked at; the core is readable without.
        let auxv = fs::read(format!("/proc/{pid}/auxv")).unwrap_or_default();
        Ok(Facts { pid, inner: inner(&status), stat, status, command, auxv })
    }
}

impl Thread {
    /// Reads them; `None` if the thread has ended.
    pub(crate) fn read(pid: i32, tid: i32) -> Option<Thread> {
        let all = || -> ProcResult<Thread> {
            let task = Process::new(pid)?.task_from_tid(tid)?;
            let (stat, status) = (task.stat()?, task.status()?);
            let (blocked, pending) = (status.sigblk, status.sigpnd);
            let waits = status.voluntary_ctxt_switches.unwrap_or(0);
            let inner = inner(&status);
            Ok(Thread { tid, inner, stat, name: status.name, blocked, pending, waits })
        };
        all().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that was killed is on its way out, waited for or not.
    #[test]
    fn a_process_that_ends() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("sleep");
        let pid = child.id() as i32;
        assert!(!is_ending(pid));
        child.kill().expect("kill");
        assert!(is_ending(pid));
        child.wait().expect("its end");
        assert!(is_ending(pid));
    }

    #[test]
    fn facts_of_ourselves() {
        let own = std::process::id() as i32;
        let facts = Facts::read(own).expect("facts");
        assert_eq!((facts.pid, facts.stat.pid), (own, own));
        assert!(!facts.auxv.is_empty() && facts.auxv.len().is_multiple_of(16));
        let argument = std::env::args().next().expect("a name");
        assert!(facts.command.starts_with(argument.as_bytes()));
        let thread = Thread::read(own, own).expect("the leader");
        assert_eq!((thread.tid, thread.name.is_empty()), (own, false));
        assert!(Thread::read(own, 1 << 22).is_none());
    }
}

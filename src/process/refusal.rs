//! Why a process may not be traced, said with the evidence and with what to run instead.
//!
//! Knows the kernel's rules for ptrace (ptrace(2), "Ptrace access mode checking"); changes
//! nothing.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::cgroup::frozen;
use super::facts::{EXITING, Facts as Process};
use super::maps::PAGE;
use super::sys;
use crate::error::Error;

/// CAP_SYS_PTRACE in capability masks.
const SYS_PTRACE: u64 = 1 << 19;
const CONTAINERS: &str = "in a container, allow it: docker run --cap-add=SYS_PTRACE, or for a \
                          running pod: kubectl debug --profile=sysadmin (docs/containers.md)";

/// Where the right is that root of a container may lack.
pub(crate) const ELSEWHERE: &str = "with CAP_SYS_PTRACE: from the host, by docker exec --privileged, or \
                             kubectl debug --profile=sysadmin";

/// The error for a thread that could not be seized.
pub(crate) fn explain(pid: i32, tid: i32, e: &io::Error) -> Error {
    let what = match e.raw_os_error() {
        Some(libc::ESRCH) => match is_hidden(pid) {
            true => HIDDEN.into(),
            false => "there is no such process; rjcore ps lists the JVMs".into(),
        },
        Some(libc::EPERM | libc::EACCES) => reason(pid, tid),
        _ => format!("thread {tid} cannot be traced: {e}"),
    };
    Error::capture(pid, what)
}

/// What there is to say of a process that [`is_hidden`].
pub(crate) const HIDDEN: &str = "/proc does not show it: it is another user's, and /proc is mounted with \
                          hidepid; run rjcore as root (sudo)";

/// Whether there is such a process, of which /proc shows nothing.
pub(crate) fn is_hidden(pid: i32) -> bool {
    let known = Pid::from_raw(pid).map(test_kill_process);
    matches!(known, Some(Ok(()) | Err(Errno::PERM))) && !Path::new(&format!("/proc/{pid}")).exists()
}

/// PF_KTHREAD, among the flags in proc_pid_stat(5).
const KERNEL_THREAD: u32 = 0x20_0000;

/// What has an id and is no running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotAProcess {
    /// A thread of the process with this id.
    Thread(i32),
    /// It has ended and was not waited for.
    Zombie,
    /// It was killed or is exiting: its memory is gone, or goes any moment.
    Ending,
    /// A kernel thread of this name.
    Kernel(String),
}

impl NotAProcess {
    /// Which of them it is, if any.
    pub(crate) fn of(facts: &Process) -> Option<NotAProcess> {
        if facts.status.tgid != facts.pid {
            Some(NotAProcess::Thread(facts.status.tgid))
        } else if matches!(facts.stat.state, 'Z' | 'X') {
            Some(NotAProcess::Zombie)
        } else if facts.stat.flags & KERNEL_THREAD != 0 {
            Some(NotAProcess::Kernel(facts.stat.comm.clone()))
        } else if facts.stat.flags & EXITING != 0 || facts.status.vmsize.is_none() {
            Some(NotAProcess::Ending)
        } else {
            None
        }
    }
}

impl fmt::Display for NotAProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAProcess::Thread(of) => write!(f, "it is a thread of process {of}"),
            NotAProcess::Zombie => f.write_str("it has ended and is a zombie: its memory is gone"),
            NotAProcess::Ending => f.write_str("it is ending: its memory is gone already"),
            NotAProcess::Kernel(name) => write!(f, "\"{name}\" is a kernel thread, not a process"),
        }
    }
}

/// What a process named `comm` without a libjvm.so is.
pub(crate) fn no_jvm(comm: &str) -> String {
    format!("\"{comm}\" is not a HotSpot JVM: it has no libjvm.so mapped")
}

/// Why a JVM that is frozen cannot be reached. ptrace would wait for it until it is thawed.
pub(crate) const FROZEN: &str = "it is frozen with its cgroup, as docker pause does";

/// Why a capture of `pid` would be refused; `None` if it would be allowed. Asks for the same right
/// (PTRACE_MODE_ATTACH) by opening the process's memory, which changes nothing.
pub(crate) fn foreseen(pid: i32) -> Option<String> {
    if frozen(pid).is_some() {
        return Some(FROZEN.into());
    }
    let traced = facts(&pid.to_string()).is_some_and(|f| f.tracer != 0);
    let open = fs::File::open(format!("/proc/{pid}/mem"));
    let barred = traced || open.is_err() || !sys::ptrace_is_allowed();
    barred.then(|| reason(pid, pid))
}

/// Why a machine with such pages is refused: the kernel counts in them where rjcore counts in 4 KB.
pub(crate) fn by_page_size(page: u64) -> Option<String> {
    (page != PAGE).then(|| {
        format!(
            "this machine has pages of {page} bytes, and rjcore captures where they have {PAGE} \
             only so far; take the core with gdb (scripts/gcore.sh) or by kill -ABRT, rjcore \
             reads both"
        )
    })
}

/// What /proc says of a process.
struct Facts {
    tracer: i32,
    uids: [u32; 3],
    gids: [u32; 3],
    effective: u64,
    user_namespace: Option<String>,
}

fn facts(who: &str) -> Option<Facts> {
    let text = fs::read_to_string(format!("/proc/{who}/status")).ok()?;
    let status = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)).map(str::trim);
    let ids = |key| -> [u32; 3] {
        let mut words = status(key).unwrap_or("").split_whitespace();
        std::array::from_fn(|_| words.next().and_then(|w| w.parse().ok()).unwrap_or(u32::MAX))
    };
    let link = fs::read_link(format!("/proc/{who}/ns/user")).ok();
    Some(Facts {
        tracer: status("TracerPid:").and_then(|t| t.parse().ok()).unwrap_or(0),
        uids: ids("Uid:"),
        gids: ids("Gid:"),
        effective: status("CapEff:").and_then(|c| u64::from_str_radix(c, 16).ok()).unwrap_or(0),
        user_namespace: link.map(|l| l.to_string_lossy().into_owned()),
    })
}

/// Why the kernel does not show what a process has mapped or open (PTRACE_MODE_READ).
pub(crate) fn unseen(pid: i32) -> String {
    let (Some(own), Some(other)) = (facts("self"), facts(&pid.to_string())) else {
        return "the process has ended".into();
    };
    let is_same = own.uids[1] == other.uids[1] && own.gids[1] == other.gids[1];
    match own.effective & SYS_PTRACE != 0 {
        true => "the kernel does not show it even to CAP_SYS_PTRACE: it lives in another user \
                 namespace, or a security module forbids it"
            .into(),
        false if is_same => "it has rights that rjcore has not, or changed its user, and rjcore \
                             runs without CAP_SYS_PTRACE"
            .into(),
        false => format!(
            "it runs as uid {} gid {}, and rjcore as uid {} gid {} without CAP_SYS_PTRACE",
            other.uids[1], other.gids[1], own.uids[1], own.gids[1]
        ),
    }
}

fn reason(pid: i32, tid: i32) -> String {
    let (Some(own), Some(other)) = (facts("self"), facts(&format!("{pid}/task/{tid}"))) else {
        return "the process has ended".into();
    };
    let name = |pid: i32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if other.tracer != 0 {
        return format!(
            "process {} \"{}\" traces it already (a debugger or strace); end that first",
            other.tracer,
            name(other.tracer).trim_end()
        );
    }
    if !sys::ptrace_is_allowed() {
        return format!(
            "a seccomp filter forbids ptrace to rjcore, as Docker's default profile did before \
             kernel 4.8; {CONTAINERS}"
        );
    }
    let may = own.effective & SYS_PTRACE != 0;
    // All three of the target's ids must be our own one; the file system's id is the effective.
    let same = |own: &[u32; 3], other: &[u32; 3]| other.iter().all(|id| *id == own[1]);
    if !may && (!same(&own.uids, &other.uids) || !same(&own.gids, &other.gids)) {
        return format!(
            "it runs as uid {} gid {} and rjcore as uid {} gid {} without CAP_SYS_PTRACE; run \
             rjcore as {}; {CONTAINERS}",
            other.uids[1],
            other.gids[1],
            own.uids[1],
            own.gids[1],
            match own.uids[1] {
                0 => "that user and group, or give it that capability",
                _ => "root (sudo), or as that user and group",
            }
        );
    }
    let yama = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    match yama.trim() {
        "3" => {
            return "yama forbids ptrace to everyone until the next boot \
                    (kernel.yama.ptrace_scope = 3); let the kernel write a core: kill -ABRT"
                .into();
        }
        scope @ ("1" | "2") if !may => {
            return format!(
                "yama forbids it (kernel.yama.ptrace_scope = {scope}) without CAP_SYS_PTRACE; run \
                 rjcore as root (sudo), or sysctl kernel.yama.ptrace_scope=0; {CONTAINERS}"
            );
        }
        _ => {}
    }
    // A namespace that is not shown is not another one for that.
    let others = own.user_namespace.as_ref().zip(other.user_namespace.as_ref());
    if may && others.is_some_and(|(own, other)| own != other) {
        return "it lives in another user namespace, over which rjcore has no CAP_SYS_PTRACE; run \
                rjcore as root of the host, or within that namespace (nsenter --user --target PID)"
            .into();
    }
    format!(
        "the kernel does not let rjcore trace it: its memory is marked as not dumpable (it changed \
         its user, or its program file cannot be read), or a security module forbids it (see \
         dmesg for apparmor or selinux); run rjcore as root with CAP_SYS_PTRACE; {CONTAINERS}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_4_kb() {
        assert_eq!(by_page_size(4096), None);
        let said = by_page_size(65536).expect("a refusal");
        assert!(said.contains("65536") && said.contains("gcore.sh"), "{said}");
    }
}

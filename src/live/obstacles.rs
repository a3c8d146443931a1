//! Whether HotSpot's attach door can be opened: asks for each thing that this needs, a VM that
//! lets in, its user, its signal handler, a place for its socket, and the way to that.
//!
//! What cannot be seen is said so; it is never taken for absent or different.

use std::io;

use rustix::fs::{Access, AtFlags, accessat, fstatfs, fstatvfs};

use super::diagnosis::{Findings, Reason, Weight};
use super::identity::Identity;
use super::jvm::JvmFacts;
use super::socket::Socket;
use super::target::{Hotspot, ReachedDirectory, Target, VM_THREAD};
use super::vm_memory::VmMemory;

/// SIGQUIT in the masks of proc_pid_status(5).
const QUIT: u64 = 1 << 2;
/// TMPFS_MAGIC: a full one still takes new names.
const TMPFS: u64 = 0x0102_1994;
/// CAP_SYS_RESOURCE: the reserve of a full file system is for this.
const SYS_RESOURCE: u64 = 1 << 24;

/// Whether a VM runs in the process at all.
pub(super) fn vm(target: &Target, inside: Option<&VmMemory>, f: &mut Findings) {
    if !matches!(target.hotspot, Hotspot::Mapped(_)) || target.thread(VM_THREAD).is_some() {
        return;
    }
    let (what, seen) = match inside {
        Some(i) if i.has_made_vm => (
            "its VM was destroyed (DestroyJavaVM): nobody is left to open the door",
            "no thread \"VM Thread\", and libjvm.so's memory has a heap",
        ),
        Some(_) => (
            "it has loaded libjvm.so, and made no VM with it, at least not yet",
            "no thread \"VM Thread\", and libjvm.so's memory has no heap",
        ),
        None => (
            "no VM runs in it: it has made none yet, or destroyed it",
            "no thread \"VM Thread\"; its memory could not be read",
        ),
    };
    f.obstacle(Reason::NoVm, what.into(), seen.into(), "rjcore ps lists the JVMs".into());
}

pub(super) fn user(target: &Target, f: &mut Findings) {
    let (own, other, pid) = (Identity::own(), target.effective, target.pid());
    if own == other {
        return;
    }
    let seen = format!(
        "it runs as euid {} egid {}, rjcore as euid {} egid {}",
        other.uid, other.gid, own.uid, own.gid
    );
    if other.is_ours_to_take() {
        f.add(
            Weight::Note,
            Reason::OtherUser,
            "it runs as another user, whose ids rjcore takes on for the connection".into(),
            seen,
            String::new(),
        );
        return;
    }
    f.obstacle(
        Reason::OtherUser,
        "it runs as another user or group, and answers to that one and to root alone".into(),
        seen,
        format!(
            "sudo rjcore attach {pid} ..., or as that one: sudo -u '#{}' -g '#{}' rjcore attach \
             {pid} ...",
            other.uid, other.gid
        ),
    );
}

/// Whether SIGQUIT would make the JVM look for an attach file, and nothing worse: without a
/// handler it would end the process.
pub(super) fn signals(target: &Target, facts: &JvmFacts, open: bool, f: &mut Findings) -> bool {
    let status = &target.facts.status;
    let pid = target.pid();
    let weight = if open { Weight::Note } else { Weight::Obstacle };
    if status.sigcgt & QUIT == 0 {
        let seen = format!("SigCgt {:016x} in /proc/{pid}/status", status.sigcgt);
        if let Some(reduced) = facts
            .options
            .plain("-Xrs")
            .or_else(|| facts.options.switch("ReduceSignalUsage").filter(|s| s.0).map(|s| s.1))
        {
            f.add(
                weight,
                Reason::ReducedSignals,
                match open {
                    true => "it handles no SIGQUIT, but has listened since it started".into(),
                    false => "it handles no SIGQUIT, which would end it, and its socket of old is \
                              gone: nothing opens the door again"
                        .into(),
                },
                format!("{reduced}; {seen}"),
                if open { String::new() } else { "a core needs no signal".into() },
            );
        } else if status.sigign & QUIT != 0 {
            let what = "it ignores SIGQUIT";
            let seen = format!("SigIgn {:016x} in /proc/{pid}/status", status.sigign);
            f.add(weight, Reason::Ignored, what.into(), seen, String::new());
        } else {
            f.add(
                weight,
                Reason::NoHandler,
                "it handles no SIGQUIT, which would end it: it has just started, or its program \
                 took the handler away"
                    .into(),
                seen,
                "ask again in a moment".into(),
            );
        }
        return false;
    }
    let blocked = target.threads.iter().filter(|t| t.blocked & QUIT != 0).count();
    if !target.threads.is_empty() && blocked == target.threads.len() {
        f.add(
            weight,
            Reason::Blocked,
            "all its threads block SIGQUIT: its program or its starter set the mask".into(),
            format!("SigBlk of all {blocked} threads in /proc/{pid}/task"),
            String::new(),
        );
        return false;
    }
    !f.has(Reason::Disabled) && !f.has(Reason::NoVm)
}

/// Whether the VM lets nobody in: by its own memory, else by what options can be seen.
pub(super) fn options(facts: &JvmFacts, inside: Option<&VmMemory>, open: bool, f: &mut Findings) {
    let seen = facts.options.switch("DisableAttachMechanism");
    let is_disabled = inside.map_or(seen.as_ref().is_some_and(|s| s.0), |i| i.is_disabled);
    if open {
        return;
    }
    if is_disabled {
        let own = || "DisableAttachMechanism is true in its memory".into();
        f.obstacle(
            Reason::Disabled,
            "it was started with -XX:+DisableAttachMechanism, and lets nobody in".into(),
            seen.filter(|s| s.0).map_or_else(own, |s| s.1),
            "a core needs no help of the JVM".into(),
        );
    } else if inside.is_none() && !facts.options.unread.is_empty() {
        f.add(
            Weight::Warning,
            Reason::UnseenOptions,
            "whether it was started with -XX:+DisableAttachMechanism could not be seen; if so, it \
             prints a thread dump when it is asked to listen, and does not"
                .into(),
            format!("{}; its memory could not be read", facts.options.unread.join("; ")),
            "run rjcore with the right to ptrace it (as root), which reads the flag itself".into(),
        );
    }
}

/// Whether its socket is there and alive, or can be made.
pub(super) fn socket(target: &Target, socket: &Socket, may_signal: bool, f: &mut Findings) {
    let (path, here) = (&socket.path, socket.here.display());
    match &socket.directory {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            return unseen(target, socket, e, f);
        }
        Err(e) => return no_directory(socket, e, f),
        Ok(_) => {}
    }
    let names = match socket.alive {
        Some(false) => "; nobody listens at it",
        Some(true) | None => "",
    };
    let is_anothers = "another process listens there: two containers share this directory, and each \
                       deletes the other's socket";
    match socket.file {
        None if socket.listens == Some(true) => f.add(
            if may_signal { Weight::Warning } else { Weight::Obstacle },
            Reason::LostSocket,
            format!("it listens, but {path} is gone: something cleans its /tmp"),
            format!("no {here}; /proc/{}/net/unix has its socket", target.pid()),
            "JDKs from 14 on, and later updates of 8 and 11, make a new one when asked; older ones \
             print a thread dump to their standard output instead: take a core"
                .into(),
        ),
        None => {}
        Some(file) if !socket.is_owned(target) || !file.is_socket => f.obstacle(
            Reason::ForeignSocket,
            format!(
                "{path} is in its way: {} of uid {}",
                if file.is_socket { "a socket" } else { "no socket, but a file" },
                file.uid
            ),
            format!("{here}{names}"),
            match (socket.alive, file.is_socket) {
                (Some(true), _) => is_anothers.into(),
                (None, true) => "whether anybody listens there could not be seen".into(),
                (Some(false), _) | (None, false) => format!("safe to delete: sudo rm {here}"),
            },
        ),
        Some(_) if socket.alive == Some(true) && socket.listens == Some(false) => f.obstacle(
            Reason::ForeignSocket,
            format!("{path} is another's: this JVM does not listen there, and somebody does"),
            format!("{here}; this JVM's listeners in /proc/{}/net/unix", target.pid()),
            is_anothers.into(),
        ),
        Some(_) if socket.alive == Some(false) => {
            let remedy = match may_signal {
                true => format!(
                    "rjcore attach has the JVM replace it; jcmd and its like need it deleted \
                     first, which is safe: rm {here}"
                ),
                false => format!("safe to delete: rm {here}"),
            };
            let what = format!("{path} is left over from an earlier JVM with this id");
            f.add(Weight::Warning, Reason::StaleSocket, what, format!("{here}{names}"), remedy);
        }
        Some(_) if socket.listens == Some(false) => f.add(
            Weight::Warning,
            Reason::StaleSocket,
            format!("{path} is not this JVM's; whether another process listens there could not be seen"),
            here.to_string(),
            "rjcore attach makes sure who answers; do not delete it".into(),
        ),
        // jcmd looks at the mode before it connects; rjcore at who answers.
        Some(file) if file.mode & 0o066 != 0 => f.add(
            Weight::Warning,
            Reason::LooseSocket,
            format!("others may read or write {path}: jcmd and its like refuse it, rjcore attach does not"),
            format!("mode {:o} of {here}", file.mode),
            format!("chmod 600 {here}"),
        ),
        Some(_) => {}
    }
    if let (Ok(directory), false) = (&socket.directory, socket.is_open(target))
        && target.effective.is_ours_to_take()
    {
        place(target, socket, directory, f);
    }
}

/// Its temporary directory is not shown: there is no way to a socket.
fn unseen(target: &Target, socket: &Socket, e: &io::Error, f: &mut Findings) {
    f.obstacle(
        Reason::UnseenFiles,
        format!("its files could not be seen, and so there is no way to {}", socket.path),
        format!("/proc/{}/root: {e}, and mountinfo shows other mounts than rjcore's", target.pid()),
        "run rjcore with CAP_SYS_PTRACE (root of the host has it), or where the JVM runs, as its \
         user"
            .into(),
    );
}

fn no_directory(socket: &Socket, e: &io::Error, f: &mut Findings) {
    let directory = socket.path.rsplit_once('/').map_or("", |p| p.0);
    f.obstacle(
        Reason::NoSocket,
        format!("it has no directory {directory}, where it would make its socket: {e}"),
        socket.here.display().to_string(),
        format!("make it one, or take a core, which needs none: mkdir {directory} where it runs"),
    );
}

/// Whether the JVM can make its socket, and rjcore the file that it looks for, in `directory`.
fn place(target: &Target, socket: &Socket, directory: &ReachedDirectory, f: &mut Findings) {
    let name = &directory.inside;
    let shown = directory.path.display();
    let may_write = || {
        accessat(&directory.directory, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
    };
    let why = match target.rights.run(may_write) {
        Ok(Err(rustix::io::Errno::ROFS)) => "it is on a read-only file system".into(),
        Ok(Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM)) => {
            format!("uid {} gid {} may not write there", target.effective.uid, target.effective.gid)
        }
        Ok(Ok(())) => match fstatvfs(&directory.directory) {
            // Names of files that are there already need no inode.
            Ok(fs) if fs.f_files > 0 && fs.f_favail == 0 => "no inode is left there".into(),
            _ => return room(target, socket, directory, f),
        },
        // A kernel before 5.8, or a filter: the attempt will show.
        _ => return,
    };
    f.obstacle(
        Reason::NoSocket,
        format!("it cannot make its socket in {name}: {why}"),
        format!("{shown}, asked as the JVM's user"),
        "mend that (a writable tmpfs does), or take a core, which needs none".into(),
    );
}

/// On a full file system a name goes where its directory has room by chance.
fn room(target: &Target, socket: &Socket, directory: &ReachedDirectory, f: &mut Findings) {
    let Ok(fs) = fstatvfs(&directory.directory) else { return };
    let has_reserve = target.rights.capabilities & SYS_RESOURCE != 0;
    let free = if has_reserve { fs.f_bfree } else { fs.f_bavail };
    let is_tmpfs = fstatfs(&directory.directory).is_ok_and(|s| s.f_type as u64 == TMPFS);
    if free == 0 && fs.f_blocks > 0 && !is_tmpfs {
        f.add(
            Weight::Warning,
            Reason::NoSocket,
            format!("{} is full: it may be unable to make {} there", directory.inside, socket.path),
            format!("{} has no free block", directory.path.display()),
            "free some space".into(),
        );
    }
}

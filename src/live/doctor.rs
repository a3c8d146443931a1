//! Why a JVM's attach door will or will not open: every reason that can be seen from outside.
//!
//! Reads /proc and the file system, and watches the threads for less than half a second. Sends no
//! signal, opens no connection, makes no file: the JVM notices nothing.

use std::fs;
use std::path::Path;

use super::diagnosis::{Diagnosis, Finding, Findings, Reason, Verdict, Weight};
use super::door::Socket;
use super::identity::Identity;
use super::jvm::Told;
use super::safepoint::{self, Holder};
use super::surroundings::{places, room};
use super::target::{Hotspot, Target};
use crate::capture::cgroup::frozen;
use crate::capture::refusal::{self, Unfit};

/// SIGQUIT in the masks of proc_pid_status(5).
const QUIT: u64 = 1 << 2;
/// An examination: the findings, and what they were made from.
pub struct Examined {
    /// What was found.
    pub diagnosis: Diagnosis,
    /// The process, unless there is none.
    pub target: Option<Target>,
    /// What it tells of itself, if it is a JVM.
    pub told: Option<Told>,
    /// Whether SIGQUIT would be handled, and nothing else.
    pub may_signal: bool,
}

/// Examines a process. `watch` says whether to watch its threads for a moment, too.
pub fn examine(pid: i32, watch: bool) -> Examined {
    let target = match Target::read(pid) {
        Ok(target) => target,
        Err(e) => return absent(pid, &e),
    };
    if let Some(unfit) = Unfit::of(&target.facts) {
        return unfit_for(pid, &unfit);
    }
    let mut f = Findings::default();
    if target.hotspot == Hotspot::No {
        not_a_jvm(&target, &mut f);
        return conclude(target, f, None, false, false);
    }
    let told = Told::of(&target);
    user(&target, &mut f);
    let socket = Socket::of(&target);
    let named = matches!(socket.file, Some((_, true)));
    // What may not be looked at counts as open: the connection will show.
    let open = named && socket.listens != Some(false) && owned(&target, &socket);
    options(&told, open, &mut f);
    let may_signal = signals(&target, &told, open, &mut f);
    sockets(&target, &socket, may_signal, &mut f);
    states(&target, &mut f);
    let still = f.has(Reason::Stopped) || f.has(Reason::Traced) || f.has(Reason::Frozen);
    let holders = if watch && !still { threads(&target, &mut f) } else { Vec::new() };
    places(&target, &mut f);
    room(&target, &told, &mut f);
    let mut examined = conclude(target, f, Some(told), open, may_signal);
    examined.diagnosis.holders = holders;
    examined
}

/// Nothing of it can be had.
fn nothing(pid: i32, reason: Reason, what: String, evidence: &str, next: String) -> Examined {
    let mut f = Findings::default();
    f.obstacle(reason, what, evidence.into(), String::new());
    let diagnosis = Diagnosis {
        pid,
        namespace_pid: None,
        main: None,
        version: None,
        verdict: Verdict::Neither,
        open: false,
        findings: f.0,
        holders: Vec::new(),
        no_capture: None,
        next,
    };
    Examined { diagnosis, target: None, told: None, may_signal: false }
}

fn absent(pid: i32, e: &std::io::Error) -> Examined {
    let next = "rjcore ps".into();
    match Path::new(&format!("/proc/{pid}")).exists() {
        true => nothing(pid, Reason::Hidden, format!("it may not be looked at: {e}"), "", next),
        false => nothing(
            pid,
            Reason::NoProcess,
            "there is no such process; ids inside a container are others than outside".into(),
            &format!("no /proc/{pid}"),
            next,
        ),
    }
}

fn unfit_for(pid: i32, unfit: &Unfit) -> Examined {
    let (reason, next) = match unfit {
        Unfit::Thread(of) => (Reason::Thread, format!("rjcore doctor {of}")),
        Unfit::Zombie | Unfit::Ending => (Reason::Zombie, "rjcore ps".into()),
        Unfit::Kernel(_) => (Reason::KernelThread, "rjcore ps".into()),
    };
    nothing(pid, reason, unfit.to_string(), &format!("/proc/{pid}/status"), next)
}

fn not_a_jvm(target: &Target, f: &mut Findings) {
    let pid = target.pid();
    match fs::read(format!("/proc/{pid}/maps")) {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => f.obstacle(
            Reason::Hidden,
            format!("it belongs to uid {}, and may not be looked at", target.effective.uid),
            format!("/proc/{pid}/maps: {e}; none of its threads is called as HotSpot's"),
            format!("run as that user or as root: sudo rjcore doctor {pid}"),
        ),
        _ => f.obstacle(
            Reason::NotAJvm,
            refusal::no_jvm(&target.facts.stat.comm),
            format!("/proc/{pid}/maps"),
            "it may be the shell or the init that started it: rjcore ps lists the JVMs".into(),
        ),
    }
}

fn user(target: &Target, f: &mut Findings) {
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

fn options(told: &Told, open: bool, f: &mut Findings) {
    if let Some((true, seen)) = told.options.switch("DisableAttachMechanism")
        && !open
    {
        f.obstacle(
            Reason::Disabled,
            "it was started with -XX:+DisableAttachMechanism, and lets nobody in".into(),
            seen,
            "a core needs no help of the JVM".into(),
        );
    }
}

/// Whether SIGQUIT would make the JVM look for an attach file, and nothing worse: without a
/// handler it would end the process.
fn signals(target: &Target, told: &Told, open: bool, f: &mut Findings) -> bool {
    let status = &target.facts.status;
    let pid = target.pid();
    let weight = if open { Weight::Note } else { Weight::Obstacle };
    if status.sigcgt & QUIT == 0 {
        let seen = format!("SigCgt {:016x} in /proc/{pid}/status", status.sigcgt);
        if let Some(reduced) = told
            .options
            .plain("-Xrs")
            .or_else(|| told.options.switch("ReduceSignalUsage").filter(|s| s.0).map(|s| s.1))
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
    !f.has(Reason::Disabled)
}

fn owned(target: &Target, socket: &Socket) -> bool {
    socket.file.is_some_and(|(uid, _)| uid == target.effective.uid || uid == 0)
}

fn sockets(target: &Target, socket: &Socket, may_signal: bool, f: &mut Findings) {
    let (path, here) = (&socket.path, socket.here.display());
    let unheard = format!("no process in its network namespace listens at {path}");
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
        Some((uid, is_socket)) if !owned(target, socket) || !is_socket => f.obstacle(
            Reason::ForeignSocket,
            format!(
                "{path} is in its way: {} of uid {uid}",
                if is_socket { "a socket" } else { "no socket, but a file" }
            ),
            format!("{here}{}", if socket.anyone { "" } else { "; nobody listens at it" }),
            match socket.anyone {
                true => "another process listens there: two containers share this /tmp".into(),
                false => format!("safe to delete: sudo rm {here}"),
            },
        ),
        Some(_) if socket.listens == Some(false) => {
            let (weight, remedy) = match (socket.anyone, may_signal) {
                (true, _) => (
                    Weight::Obstacle,
                    "another process listens there: two containers share this /tmp, and each \
                     deletes the other's socket"
                        .into(),
                ),
                (false, true) => (
                    Weight::Warning,
                    format!(
                        "rjcore attach has the JVM replace it; jcmd and its like need it deleted \
                         first, which is safe: rm {here}"
                    ),
                ),
                (false, false) => (Weight::Warning, format!("safe to delete: rm {here}")),
            };
            let evidence = match socket.anyone {
                true => format!("{here}; the listener in /proc/{}/net/unix is another's", target.pid()),
                false => format!("{here}; {unheard}"),
            };
            let what = format!("{path} is left over from an earlier JVM with this id");
            f.add(weight, Reason::StaleSocket, what, evidence, remedy);
        }
        Some(_) => {}
    }
}

fn states(target: &Target, f: &mut Findings) {
    let (pid, state) = (target.pid(), target.facts.stat.state);
    if let Some(frozen) = frozen(pid) {
        f.obstacle(
            Reason::Frozen,
            refusal::FROZEN.into(),
            frozen.file.display().to_string(),
            format!("thaw it: docker unpause, or {}", frozen.thaw),
        );
    }
    let tracer = target.facts.status.tracerpid;
    match state {
        'T' => f.obstacle(
            Reason::Stopped,
            "it is stopped (SIGSTOP, SIGTSTP or a shell's Ctrl-Z)".into(),
            format!("state T in /proc/{pid}/stat"),
            format!("kill -CONT {pid}; a core can be taken as it is, and leaves it stopped"),
        ),
        't' => f.obstacle(
            Reason::Traced,
            format!("process {tracer} traces it and has stopped it: a debugger"),
            format!("state t and TracerPid {tracer} in /proc/{pid}"),
            format!("let it go on there, or end process {tracer}"),
        ),
        _ => {}
    }
    let stuck = target.threads.iter().filter(|t| t.stat.state == 'D');
    let stuck: Vec<String> = stuck.map(|t| format!("{} \"{}\"", t.tid, t.name)).collect();
    if let Some(first) = stuck.first() {
        // One that waits for a disk for a moment is no reason.
        f.add(
            Weight::Warning,
            Reason::Uninterruptible,
            "threads are in uninterruptible sleep: a disk or a network file system does not answer"
                .into(),
            format!("{} in state D: {first}", stuck.len()),
            format!(
                "see /proc/{pid}/task/*/stack as root; neither a signal nor a stop gets through"
            ),
        );
    }
}

/// What its threads do for a moment; answers who holds up a safepoint.
fn threads(target: &Target, f: &mut Findings) -> Vec<Holder> {
    let seen = safepoint::watch(target);
    let pid = target.pid();
    if seen.waiting {
        let name = |h: &Holder| {
            format!("thread {} \"{}\" (nid {:#x}), {} % CPU", h.tid, h.name, h.inner, h.cpu_percent)
        };
        let (who, remedy) = match seen.holders.first() {
            Some(holder) => (
                format!(": {}", name(holder)),
                "it computes in a loop without a safepoint poll, or in a long copy; a core's stack \
                 shows where"
                    .into(),
            ),
            None => (
                String::new(),
                "no thread computes: one may be in a page fault, or wait for a CPU".into(),
            ),
        };
        f.obstacle(
            Reason::Safepoint,
            format!("it waits for a safepoint that is not reached{who}"),
            format!(
                "the VM Thread slept and looked again {} times in {} ms{}",
                seen.polls,
                seen.watched_ms,
                match seen.holders.len() {
                    0 | 1 => String::new(),
                    n => format!("; {n} threads compute"),
                }
            ),
            remedy,
        );
    } else if seen.listener_busy {
        f.add(
            Weight::Warning,
            Reason::Busy,
            "its Attach Listener works at an earlier request, and takes one at a time".into(),
            format!(
                "it was not in accept() for {} ms: /proc/{pid}/task/*/syscall",
                seen.watched_ms
            ),
            "wait for the other tool, or end it".into(),
        );
    }
    if seen.waiting { seen.holders } else { Vec::new() }
}

fn conclude(
    target: Target,
    mut f: Findings,
    told: Option<Told>,
    open: bool,
    may_signal: bool,
) -> Examined {
    let pid = target.pid();
    f.0.sort_by_key(|f| f.weight);
    let obstacles: Vec<&Finding> = f.0.iter().filter(|f| f.weight == Weight::Obstacle).collect();
    let no_capture = told.as_ref().and_then(|_| refusal::foreseen(pid));
    let has = |reason| obstacles.iter().any(|f| f.reason == reason);
    let attach = format!("rjcore attach {pid} heap.hprof");
    let capture = format!("rjcore capture {pid}");
    let (verdict, next) = if obstacles.is_empty() {
        (Verdict::Attach, attach)
    } else if has(Reason::NotAJvm) {
        (Verdict::Neither, "rjcore ps".into())
    } else if has(Reason::Hidden) {
        (Verdict::Mend, format!("sudo rjcore doctor {pid}"))
    } else if has(Reason::Traced) {
        let tracer = target.facts.status.tracerpid;
        (Verdict::Mend, format!("kill {tracer}  # then: {attach}"))
    } else if let Some(frozen) = frozen(pid) {
        (Verdict::Mend, format!("{}  # then: {attach}", frozen.thaw))
    } else if obstacles.iter().all(|f| f.reason == Reason::Stopped) {
        (Verdict::Mend, format!("kill -CONT {pid} && {attach}"))
    } else if obstacles.iter().all(|f| f.reason == Reason::OtherUser) {
        (Verdict::Mend, format!("sudo {attach}"))
    } else if no_capture.is_some() {
        (Verdict::Mend, format!("sudo {capture}"))
    } else {
        (Verdict::Capture, capture)
    };
    let diagnosis = Diagnosis {
        pid,
        namespace_pid: Some(target.facts.inner),
        main: told.as_ref().and_then(|t| t.jvm.main.clone()),
        version: told.as_ref().and_then(|t| t.jvm.version.clone()).map(|v| format!("JDK {v}")),
        verdict,
        open,
        holders: Vec::new(),
        no_capture,
        next,
        findings: f.0,
    };
    Examined { diagnosis, target: Some(target), told, may_signal }
}

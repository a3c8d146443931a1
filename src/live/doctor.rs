//! Why a JVM's attach door will or will not open: every reason that can be seen from outside.
//!
//! Reads /proc and the file system, and watches the threads for less than half a second. Sends no
//! signal, opens no connection, makes no file: the JVM notices nothing.

use std::fs;
use std::path::Path;

use super::diagnosis::{Diagnosis, Finding, Findings, NextStep, Reason, Step, Verdict, Weight};
use super::files::FilePlace;
use super::identity::Identity;
use super::jvm::JvmFacts;
use super::obstacles;
use super::safepoint::{self, Holder};
use super::socket::{Socket, listening_directory};
use super::surroundings::{places, room};
use super::target::{Hotspot, Target};
use super::vm_memory::{ReadVmMemory, VmMemory};
use crate::process::cgroup::frozen;
use crate::process::refusal::{self, NotAProcess};

/// Where HotSpot has its temporary files, unless -XX:AltTempDir says otherwise.
const TMP: &str = "/tmp";

/// An examination: the findings, and what they were made from.
pub(crate) struct Examined {
    /// What was found.
    pub diagnosis: Diagnosis,
    /// The process, unless there is none.
    pub target: Option<Target>,
    /// What it tells of itself, if it is a JVM.
    pub facts: Option<JvmFacts>,
    /// Whether SIGQUIT would be handled, and nothing else.
    pub may_signal: bool,
    /// Where the JVM has its temporary files, as it names it.
    pub tmp: String,
}

/// Examines a process. `watch` says whether to watch its threads for a moment, too; `look` reads
/// what the VM's memory says.
pub(crate) fn examine(pid: i32, watch: bool, look: ReadVmMemory) -> Examined {
    let mut target = match Target::read(pid) {
        Ok(target) => target,
        Err(e) => return absent(pid, &e),
    };
    if let Some(unfit) = NotAProcess::of(&target.facts) {
        return unfit_for(pid, &unfit);
    }
    let mut f = Findings::default();
    if target.hotspot == Hotspot::No {
        not_a_jvm(&target, &mut f);
        return conclude(target, f, None);
    }
    let inside = look(&target);
    if let Some(inside) = &inside {
        target.choose(inside.libjvm);
    }
    let facts = JvmFacts::read(&target);
    obstacles::vm(&target, inside.as_ref(), &mut f);
    obstacles::user(&target, &mut f);
    let tmp = temp(&target, &facts, inside.as_ref());
    let socket = Socket::of(&target, &tmp);
    let open = socket.is_open(&target);
    obstacles::options(&facts, inside.as_ref(), open, &mut f);
    let mut may_signal = false;
    if !f.has(Reason::NoVm) {
        may_signal = obstacles::signals(&target, &facts, open, &mut f);
        obstacles::socket(&target, &socket, may_signal, &mut f);
    }
    states(&target, &mut f);
    let still = f.has(Reason::Stopped) || f.has(Reason::Traced) || f.has(Reason::Frozen);
    let holders = if watch && !still { threads(&target, &mut f) } else { Vec::new() };
    places(&target, &tmp, &mut f);
    room(&target, &facts, &mut f);
    let mut examined = conclude(target, f, Some(facts));
    examined.diagnosis.holders = holders;
    examined.diagnosis.open = open;
    Examined { may_signal, tmp, ..examined }
}

/// The directory of the JVM's temporary files: where it listens, as its memory or its options say.
fn temp(target: &Target, facts: &JvmFacts, inside: Option<&VmMemory>) -> String {
    let asked = || match inside {
        Some(inside) => inside.temp.clone(),
        None => facts.options.value(&["-XX:AltTempDir="]).map(str::to_owned),
    };
    let found = listening_directory(target).or_else(asked).filter(|d| !d.is_empty());
    let Some(found) = found else { return TMP.into() };
    let link = format!("/proc/{}/cwd", target.pid());
    match Path::new(&found).is_absolute() {
        true => found,
        false => {
            let cwd = target.look(|| fs::read_link(&link)).unwrap_or_default();
            cwd.join(found).to_string_lossy().into_owned()
        }
    }
}

/// Nothing of it can be had.
fn nothing(pid: i32, reason: Reason, what: String, evidence: &str, next: NextStep) -> Examined {
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
    Examined { diagnosis, target: None, facts: None, may_signal: false, tmp: TMP.into() }
}

fn absent(pid: i32, e: &std::io::Error) -> Examined {
    let next = NextStep::new(pid, Step::ListJvms);
    match (Path::new(&format!("/proc/{pid}")).exists(), refusal::is_hidden(pid)) {
        (true, _) => {
            nothing(pid, Reason::Hidden, format!("it may not be looked at: {e}"), "", next)
        }
        (false, true) => nothing(
            pid,
            Reason::Hidden,
            refusal::HIDDEN.into(),
            &format!("no /proc/{pid}, and kill(2) knows it"),
            NextStep::new(pid, Step::DoctorAsRoot),
        ),
        (false, _) => nothing(
            pid,
            Reason::NoProcess,
            "there is no such process; ids inside a container are others than outside".into(),
            &format!("no /proc/{pid}"),
            next,
        ),
    }
}

fn unfit_for(pid: i32, unfit: &NotAProcess) -> Examined {
    let (reason, next) = match unfit {
        NotAProcess::Thread(of) => (Reason::Thread, NextStep::new(*of, Step::Doctor)),
        NotAProcess::Zombie | NotAProcess::Ending => {
            (Reason::Zombie, NextStep::new(pid, Step::ListJvms))
        }
        NotAProcess::Kernel(_) => (Reason::KernelThread, NextStep::new(pid, Step::ListJvms)),
    };
    nothing(pid, reason, unfit.to_string(), &format!("/proc/{pid}/status"), next)
}

fn not_a_jvm(target: &Target, f: &mut Findings) {
    let pid = target.pid();
    match fs::read(format!("/proc/{pid}/maps")) {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => f.obstacle(
            Reason::Hidden,
            format!(
                "whether \"{}\" is a JVM could not be seen: {}",
                target.facts.stat.comm,
                refusal::unseen(pid)
            ),
            format!("/proc/{pid}/maps: {e}; none of its threads is called as HotSpot's"),
            match Identity::own().uid {
                0 => format!(
                    "it is hardly one: rjcore ps lists the JVMs; else {}",
                    refusal::ELSEWHERE
                ),
                _ => format!("run as that user or as root: sudo rjcore doctor {pid}"),
            },
        ),
        _ => f.obstacle(
            Reason::NotAJvm,
            refusal::no_jvm(&target.facts.stat.comm),
            format!("/proc/{pid}/maps"),
            "it may be the shell or the init that started it: rjcore ps lists the JVMs".into(),
        ),
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

fn conclude(target: Target, mut f: Findings, facts: Option<JvmFacts>) -> Examined {
    let pid = target.pid();
    f.0.sort_by_key(|f| f.weight);
    let obstacles: Vec<&Finding> = f.0.iter().filter(|f| f.weight == Weight::Obstacle).collect();
    let no_capture = facts.as_ref().and_then(|_| refusal::foreseen(pid));
    let has = |reason| obstacles.iter().any(|f| f.reason == reason);
    // Where its user may not write here, the dump has to be brought.
    let place = FilePlace::of(&target, Path::new("heap.hprof")).ok().filter(|_| facts.is_some());
    let fetch = place.and_then(|p| p.may_be_made(&target)) == Some(false);
    let (verdict, step) = if obstacles.is_empty() {
        (Verdict::Attach, Step::Attach)
    } else if has(Reason::NotAJvm) || has(Reason::NoVm) {
        (Verdict::Neither, Step::ListJvms)
    } else if has(Reason::Hidden) {
        match Identity::own().uid {
            0 => (Verdict::Neither, Step::ListJvms),
            _ => (Verdict::Mend, Step::DoctorAsRoot),
        }
    } else if has(Reason::Traced) {
        (Verdict::Mend, Step::EndTracer(target.facts.status.tracerpid))
    } else if let Some(frozen) = frozen(pid) {
        (Verdict::Mend, Step::Thaw(frozen.thaw))
    } else if obstacles.iter().all(|f| f.reason == Reason::Stopped) {
        (Verdict::Mend, Step::Continue)
    } else if obstacles.iter().all(|f| f.reason == Reason::OtherUser) {
        (Verdict::Mend, Step::AttachAsRoot)
    } else if no_capture.is_some() {
        match Identity::own().uid {
            // Of what root lacks, none can be had from here.
            0 => (Verdict::Neither, Step::CaptureElsewhere),
            _ => (Verdict::Mend, Step::CaptureAsRoot),
        }
    } else {
        (Verdict::Capture, Step::Capture)
    };
    let diagnosis = Diagnosis {
        pid,
        namespace_pid: Some(target.facts.inner),
        main: facts.as_ref().and_then(|t| t.jvm.main.clone()),
        version: facts.as_ref().and_then(|t| t.jvm.version.clone()).map(|v| format!("JDK {v}")),
        verdict,
        open: false,
        holders: Vec::new(),
        no_capture,
        next: NextStep { pid, step, fetch },
        findings: f.0,
    };
    Examined { diagnosis, target: Some(target), facts, may_signal: false, tmp: TMP.into() }
}

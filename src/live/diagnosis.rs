//! What doctor found: reasons with their evidence and remedy, a verdict, and what to run next.
//!
//! Plain data and its text; knows nothing of how it is found.

use std::fmt::Write;

use serde::Serialize;

use super::safepoint::Holder;

/// What may stand between a client and a JVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    /// There is no such process.
    NoProcess,
    /// The id is a thread's.
    Thread,
    /// It has ended and was not waited for.
    Zombie,
    /// A thread of the kernel.
    KernelThread,
    /// It has no libjvm.so.
    NotAJvm,
    /// It has libjvm.so, and no VM runs in it.
    NoVm,
    /// It may not be looked at.
    Hidden,
    /// Another effective user or group.
    OtherUser,
    /// -XX:+DisableAttachMechanism.
    Disabled,
    /// Options lie where they could not be read.
    UnseenOptions,
    /// SIGQUIT is not handled: -Xrs.
    ReducedSignals,
    /// SIGQUIT is not handled: the VM has not come that far, or someone took the handler away.
    NoHandler,
    /// SIGQUIT is ignored.
    Ignored,
    /// SIGQUIT is blocked in all threads.
    Blocked,
    /// Another mount namespace, root or /tmp.
    OtherFiles,
    /// Its root or its /tmp may not be looked at.
    UnseenFiles,
    /// Another PID namespace.
    OtherPids,
    /// A socket file that nobody listens at.
    StaleSocket,
    /// The file is no socket, another user's, or another process listens there.
    ForeignSocket,
    /// Others than its owner may use it, which jcmd refuses.
    LooseSocket,
    /// It cannot be made: no such directory, not writable, read-only, full.
    NoSocket,
    /// The JVM listens, but its file is gone.
    LostSocket,
    /// Stopped by a signal.
    Stopped,
    /// Stopped by a debugger.
    Traced,
    /// Threads in uninterruptible sleep.
    Uninterruptible,
    /// Frozen by its cgroup (docker pause).
    Frozen,
    /// A safepoint that is not reached.
    Safepoint,
    /// The Attach Listener works at another request.
    Busy,
    /// Too little memory.
    Memory,
    /// Too little room for the dump.
    Disk,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Weight {
    /// Attach will not work.
    Obstacle,
    /// It may fail, or not give all.
    Warning,
    /// Good to know.
    Note,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Which.
    pub reason: Reason,
    /// How much it matters.
    pub weight: Weight,
    /// The same for people.
    pub text: String,
    /// Where it was seen.
    pub evidence: String,
    /// What to do; empty where nothing is to be done.
    pub remedy: String,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Attach will work.
    Attach,
    /// It will once what stands in the way is mended.
    Mend,
    /// It will not, a capture will.
    Capture,
    /// Neither.
    Neither,
}

/// What to do next, as data: the command line words it as a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NextStep {
    /// The process that it is about.
    pub pid: i32,
    /// What to do.
    pub step: Step,
    /// Of an attach: its user may not write here, so that a file has to be brought.
    pub fetch: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Step {
    /// Attach.
    Attach,
    /// Attach as root.
    AttachAsRoot,
    /// Have it go on (SIGCONT), then attach.
    Continue,
    /// End the debugger of this id, then attach.
    EndTracer(i32),
    /// Thaw its cgroup with this command, then attach.
    Thaw(String),
    /// Capture.
    Capture,
    /// Capture as root.
    CaptureAsRoot,
    /// Capture from where the right to is to be had.
    CaptureElsewhere,
    /// Examine it.
    Doctor,
    /// Examine it as root.
    DoctorAsRoot,
    /// See which JVMs there are.
    ListJvms,
}

impl NextStep {
    /// A step about a process.
    pub(crate) fn new(pid: i32, step: Step) -> NextStep {
        NextStep { pid, step, fetch: false }
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnosis {
    /// The id that was asked for.
    pub pid: i32,
    /// Its id in its own namespace.
    pub namespace_pid: Option<i32>,
    /// Main class or jar.
    pub main: Option<String>,
    /// The JDK.
    pub version: Option<String>,
    /// What follows.
    pub verdict: Verdict,
    /// Whether the JVM listens already.
    pub open: bool,
    /// The reasons, the gravest first.
    pub findings: Vec<Finding>,
    /// Threads that compute while a safepoint is waited for.
    pub holders: Vec<Holder>,
    /// Why a capture would be refused, for people; null if it would not.
    #[serde(rename = "no_capture_text")]
    pub no_capture: Option<String>,
    /// What to do next.
    #[serde(skip)]
    pub next: NextStep,
}

impl Diagnosis {
    /// The obstacles.
    pub(crate) fn obstacles(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.weight == Weight::Obstacle)
    }

    /// Why attach does not work, in one line for an error; `None` without an obstacle.
    pub(crate) fn why(&self) -> Option<String> {
        in_one_line(self.obstacles())
    }

    /// What may be why a JVM does not answer: warnings, too.
    pub(crate) fn suspects(&self) -> Option<String> {
        let room = |f: &&Finding| matches!(f.reason, Reason::Memory | Reason::Disk);
        in_one_line(self.findings.iter().filter(|f| f.weight != Weight::Note && !room(f)))
    }

    /// Lines for people; the last one is `next`, the command to run next. `more` comes before it.
    pub(crate) fn text(&self, more: &str, next: &str) -> String {
        let mut out = format!("process {}", self.pid);
        if let Some(inner) = self.namespace_pid.filter(|n| *n != self.pid) {
            let _ = write!(out, " ({inner} in its namespace)");
        }
        for part in [&self.main, &self.version].into_iter().flatten() {
            let _ = write!(out, ", {part}");
        }
        out.push_str(match (self.verdict, self.open) {
            (Verdict::Attach, true) => ": attach will work, it listens already\n",
            (Verdict::Attach, false) => ": attach will work\n",
            (Verdict::Mend | Verdict::Capture | Verdict::Neither, _) => ": attach will not work\n",
        });
        for f in &self.findings {
            let mark = match f.weight {
                Weight::Obstacle => "x",
                Weight::Warning => "!",
                Weight::Note => "-",
            };
            let _ = writeln!(out, "{mark} {}", f.text);
            for (name, text) in [("seen", &f.evidence), ("do", &f.remedy)] {
                if !text.is_empty() {
                    let _ = writeln!(out, "    {name}: {text}");
                }
            }
        }
        if let Some(why) = self.no_capture.as_ref().filter(|_| self.verdict != Verdict::Attach) {
            let _ = writeln!(out, "! a capture would be refused, too: {why}");
        }
        out.push_str(more);
        let _ = writeln!(out, "{next}");
        out
    }
}

/// Findings as they are collected.
#[derive(Debug, Default)]
pub(super) struct Findings(pub Vec<Finding>);

impl Findings {
    /// One more.
    pub(super) fn add(
        &mut self,
        weight: Weight,
        reason: Reason,
        what: String,
        evidence: String,
        remedy: String,
    ) {
        self.0.push(Finding { reason, weight, text: what, evidence, remedy });
    }

    /// One that stands in the way.
    pub(super) fn obstacle(
        &mut self,
        reason: Reason,
        what: String,
        evidence: String,
        remedy: String,
    ) {
        self.add(Weight::Obstacle, reason, what, evidence, remedy);
    }

    /// Whether this reason is among them.
    pub(super) fn has(&self, reason: Reason) -> bool {
        self.0.iter().any(|f| f.reason == reason)
    }
}

fn in_one_line<'f>(findings: impl Iterator<Item = &'f Finding>) -> Option<String> {
    let of = |f: &Finding| match f.evidence.is_empty() {
        true => f.text.clone(),
        false => format!("{} ({})", f.text, f.evidence),
    };
    let all: Vec<String> = findings.map(of).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

//! rjcore killed at each step of a capture: the JVM goes on as if nothing had been.
//!
//! strace kills it (SIGKILL) at the entry of one of its system calls, or while it waits for what comes of one. Every
//! call that changes the JVM or comes between two that do is tried, each once; of the many calls that seize, stop, look at and release threads,
//! and of those while memory is read, some. `RJCORE_KILLS=200` is the full run: so many of those, and so
//! many at random times, for each method.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::child::Command;
use crate::support::proc::{children, state, until, userfaultfds};
use crate::support::stress::{SMALL, Stress, capture, names, taken};
use crate::support::{Jvm, Scratch, jdk, library, rjcore, run, tool};
use rustix::process::{Pid, Signal, kill_process};

/// A system call of rjcore in strace's log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    /// What it is, with its number among those: "PTRACE_SYSCALL 3". `None` for those made once a thread.
    step: Option<String>,
    /// The system call, and its number among all of it.
    name: String,
    number: usize,
}

/// Where of a call rjcore is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// At its entry: it is not made.
    Before,
    /// Once it was made: while rjcore waits for what comes of it.
    Behind,
}

const TRACED: &str = "trace=ptrace,wait4,kill,pwrite64,pidfd_getfd,ioctl,openat";
/// Made for each thread, for each mapping or more often; the others are the steps.
const MANY: [&str; 8] = [
    "wait4",
    "PTRACE_SEIZE",
    "PTRACE_INTERRUPT",
    "PTRACE_GETREGSET",
    "PTRACE_DETACH",
    "PTRACE_GETSIGINFO",
    "ioctl",
    "openat",
];

/// The calls of the thread of rjcore that traces.
fn calls(log: &Path) -> Vec<Call> {
    let log = fs::read_to_string(log).expect("strace's log");
    // It starts as the first thread, and that one traces.
    let tracer = log.split(' ').next().expect("a word");
    let mut out: Vec<Call> = Vec::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let Some((name, rest)) = rest.trim().split_once('(') else { continue };
        if pid != tracer || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let number = out.iter().filter(|c| c.name == name).count() + 1;
        let kind = match name {
            "ptrace" => rest.split([',', ')']).next().unwrap_or(""),
            // The mark of a snapshot.
            "openat" if rest.contains("/oom_score_adj") && rest.contains("O_WRONLY") => "mark",
            name => name,
        };
        let before =
            out.iter().flat_map(|c| &c.step).filter(|s| s.starts_with(&format!("{kind} ")));
        let before = before.count();
        let step = (!MANY.contains(&kind)).then(|| format!("{kind} {}", before + 1));
        out.push(Call { step, name: name.into(), number });
    }
    assert!(!out.is_empty(), "no calls in strace's log: {log}");
    out
}

struct Kills<'a> {
    stress: Stress,
    method: &'static str,
    dir: &'a Scratch,
    /// What was tried: step or call.
    steps: BTreeSet<String>,
    others: usize,
    /// Kills that left a userfaultfd in the JVM, by step.
    left: Vec<String>,
}

impl Kills<'_> {
    /// One run under strace, killed at the `number`th of its `name` calls if one is given. Answers its calls, of
    /// which the last is the one at which it was killed; `None` if it came to its end before.
    fn run(&mut self, at: Option<(&str, usize, When)>) -> Option<Vec<Call>> {
        let (log, out) = (self.dir.path("strace"), self.dir.path("out"));
        let _ = fs::remove_dir_all(&out);
        fs::create_dir(&out).expect("a directory");
        let mut cmd = Command::new(tool("strace"));
        cmd.args(["-f", "-qq", "-a1", "-e", TRACED, "-o"]).arg(&log);
        if let Some((name, number, when)) = at {
            let what = match when {
                When::Before => "signal=KILL",
                When::Behind => "delay_exit=60000000",
            };
            cmd.args(["-e", &format!("inject={name}:{what}:when={number}")]);
        }
        let rjcore = capture(self.stress.pid(), &out.join("core"), &["--snapshot", self.method]);
        cmd.arg(rjcore.get_program()).args(rjcore.get_args());
        fs::write(&log, "").expect("the log");
        let mut child = cmd.stderr(Stdio::piped()).spawn().expect("strace starts");
        let behind = at.filter(|a| a.2 == When::Behind);
        if behind.is_some() {
            until("the call was made", || {
                child.try_wait().expect("strace").is_some()
                    || fs::read_to_string(&log).expect("the log").contains("(DELAYED)")
            });
            if let Some(&rjcore) = children(child.id() as i32).first() {
                let pid = Pid::from_raw(rjcore).expect("a process");
                kill_process(pid, Signal::KILL).expect("a signal");
                // strace would keep it, dead, until the delay is over.
                child.kill().expect("strace");
                until("the end of rjcore", || matches!(state(rjcore), None | Some('Z' | 'X')));
            }
        }
        let answer = child.wait_with_output().expect("strace");
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        if matches!(answer.status.code(), Some(0 | 3)) {
            assert_eq!(names(&out), ["core"], "{said}");
            self.stress.is_well(&format!("a whole {}", self.method));
            return at.is_none().then(|| calls(&log));
        }
        // strace ends as rjcore did.
        assert_eq!(answer.status.signal(), Some(9), "{at:?}: {} {said}", answer.status);
        let calls = calls(&log);
        let hit = calls.last().expect("a call").clone();
        let mut step = hit.step.clone().unwrap_or(format!("{} {}", hit.name, hit.number));
        if behind.is_some() {
            step = format!("behind {step}");
        }
        let when = format!("a kill at {step} of {}", self.method);
        // What it wrote has a hidden name; the next run does not mind it.
        assert!(names(&out).iter().all(|n| n.starts_with('.')), "{when}: {:?}", names(&out));
        self.stress.is_well(&when);
        if hit.step.is_some() {
            self.steps.insert(step.clone());
        } else {
            self.others += 1;
        }
        let now = userfaultfds(self.stress.pid());
        for _ in self.left.len()..now {
            self.left.push(step.clone());
        }
        Some(calls)
    }

    /// Kills it at every step of `whole`.
    fn every_step(&mut self, whole: &[Call]) {
        // Threads that have a signal in hand or are just made shift the count of calls.
        const TRIES: usize = 120;
        let wanted: Vec<Call> = whole.iter().filter(|c| c.step.is_some()).cloned().collect();
        assert!(!wanted.is_empty(), "no steps");
        // rjcore waits for a thread to make a call, or for the end of a snapshot.
        let waits = |w: &&Call| {
            let step = w.step.as_ref().expect("a step");
            step.starts_with("PTRACE_SYSCALL") || step.starts_with("kill")
        };
        let before = wanted.iter().map(|w| (w, When::Before));
        let behind = wanted.iter().filter(waits).map(|w| (w, When::Behind));
        for (want, when) in before.chain(behind) {
            let mut step = want.step.clone().expect("a step");
            if when == When::Behind {
                step = format!("behind {step}");
            }
            let mut at = want.number;
            for _ in 0..TRIES {
                if self.steps.contains(&step) {
                    break;
                }
                let Some(got) = self.run(Some((&want.name, at, when))) else {
                    at -= 1;
                    continue;
                };
                // Threads come and go, and with them calls. Where this run made that step, and more, its number is known.
                let same = |c: &&Call| c.name == want.name && c.step.is_some();
                if let Some(made) = got.iter().filter(same).find(|c| c.step == want.step) {
                    at = made.number;
                    continue;
                }
                // It ended too early: count from the last step that both runs made, but always further on.
                let further = got.iter().rev().filter(same).find_map(|c| {
                    let there = wanted.iter().find(|w| w.step == c.step && w.name == c.name)?;
                    (want.number + c.number).checked_sub(there.number)
                });
                at = further.filter(|n| *n > at).unwrap_or(at + 1);
            }
            let hit = self.steps.contains(&step);
            assert!(hit, "{step} of {} was not hit in {TRIES} runs", self.method);
        }
    }

    /// Kills it at some of the other calls, spread over all.
    fn some_others(&mut self, whole: &[Call], n: usize) {
        let others: Vec<&Call> = whole.iter().filter(|c| c.step.is_none()).collect();
        for i in 0..n {
            let call = others[i * others.len() / n];
            // Not every run makes so many of them; each makes the first.
            let mut at = call.number;
            while self.run(Some((&call.name, at, When::Before))).is_none() {
                assert!(at > 1, "no {} was made", call.name);
                at = at * 3 / 4;
            }
        }
    }

    /// After all kills, a capture is whole and clears away what is left of the killed ones.
    fn end(self) {
        println!(
            "{}: killed at {} steps and {} other calls; userfaultfd left at {:?}; left to be reaped: {:?}",
            self.method,
            self.steps.len(),
            self.others,
            self.left,
            crate::support::proc::snapshots(self.stress.pid()),
        );
        let core = self.dir.path("core");
        taken(&mut capture(self.stress.pid(), &core, &["--snapshot", "fork"]));
        let said = rjcore().arg("histo").arg(&core).output().expect("rjcore starts");
        assert!(matches!(said.status.code(), Some(0 | 3)), "{said:?}");
        assert!(String::from_utf8_lossy(&said.stdout).contains("java.lang.String"), "{said:?}");
        self.stress.ends_well("all kills");
    }
}

/// How many kills of those that are not each tried.
fn some(in_ci: usize) -> usize {
    let n = std::env::var("RJCORE_KILLS").ok().and_then(|n| n.parse().ok());
    n.unwrap_or(in_ci)
}

/// Threads that come and go would shift the count of calls: StopStress makes none.
const STILL: &str = "20 0";

fn killed(
    name: &str,
    stress: Stress,
    method: &'static str,
    steps: usize,
    others: usize,
    dir: &Scratch,
) -> Vec<String> {
    let (empty, none) = (BTreeSet::new(), Vec::new());
    let mut kills = Kills { stress, method, dir, steps: empty, others: 0, left: none };
    let whole = kills.run(None).expect("a whole run");
    let made: Vec<&String> = whole.iter().filter_map(|c| c.step.as_ref()).collect();
    let count = made.len();
    // Fewer would mean that the log is not understood.
    assert!(count >= steps, "{name}: {made:?}");
    if count > 0 {
        kills.every_step(&whole);
    }
    kills.some_others(&whole, some(others));
    let left = kills.left.clone();
    kills.end();
    left
}

/// A JVM whose first thread is that of tests/c/leader.c.
fn with_leader(how: &str, version: u32, flags: &[&str], dir: &Scratch) -> Stress {
    let mut env = Command::new("env");
    env.arg(format!("LD_PRELOAD={}", library("leader.c", dir).display()));
    env.arg(format!("LEADER={how}"));
    let flags = [&SMALL[..], flags].concat();
    let jvm = Jvm::start_by(env, &jdk(version), &flags, &format!("StopStress {STILL}"), dir);
    Stress::of(jvm)
}

#[test]
fn at_each_step_of_a_fork() {
    let dir = Scratch::new("kill-fork");
    let stress = with_leader("read", 17, &[], &dir);
    let left = killed("fork", stress, "fork", 25, 12, &dir);
    assert_eq!(left, [""; 0], "userfaultfds");
}

#[test]
fn at_each_step_of_a_precopy() {
    let dir = Scratch::new("kill-precopy");
    let stress = with_leader("read", 25, &[], &dir);
    let left = killed("precopy", stress, "precopy", 12, 20, &dir);
    // Only from where a thread of the JVM is set to make it to where the thread is set to close it: it makes the
    // call that it is set to when rjcore dies.
    let window = [
        "PTRACE_SETSIGMASK 1",
        "PTRACE_SYSCALL 1",
        "behind PTRACE_SYSCALL 1",
        "PTRACE_SYSCALL 2",
        "behind PTRACE_SYSCALL 2",
        "pidfd_getfd 1",
        "PTRACE_SETREGSET 2",
    ];
    assert!(left.iter().all(|s| window.contains(&s.as_str())), "userfaultfds left at {left:?}");
}

#[test]
fn at_some_calls_of_a_stop() {
    let dir = Scratch::new("kill-stop");
    let stress = Stress::start(17, &["-XX:+UseSerialGC"], STILL, &dir);
    assert_eq!(killed("stop", stress, "stop", 0, 12, &dir), [""; 0], "userfaultfds");
}

/// The thread that is borrowed is not the process's first one, but one that reads standard input.
#[test]
fn at_each_step_with_another_thread_borrowed() {
    let dir = Scratch::new("kill-other");
    let stress = with_leader("sleep", 17, &["-XX:+UseSerialGC"], &dir);
    let left = killed("other", stress, "fork", 25, 4, &dir);
    assert_eq!(left, [""; 0], "userfaultfds");
}

/// Without strace: at random times, most of them while memory is read and written.
#[test]
fn at_random_times() {
    killed_at_random_times("random", &["-XX:+UseParallelGC"]);
}

/// The same where those that sleep are not stopped but held, by a second tracer.
#[test]
fn at_random_times_with_many_threads() {
    killed_at_random_times("many", &["-XX:+UseParallelGC", "-Dsleepers=300"]);
}

fn killed_at_random_times(name: &str, flags: &[&str]) {
    let dir = Scratch::new(&format!("kill-{name}"));
    let mut stress = Stress::start(17, flags, "", &dir);
    // A generator of our own: the same times in each run.
    let mut seed = 88172645463325252u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for method in ["fork", "precopy", "stop"] {
        let core = dir.path("core");
        // The shortest of some: how long one takes varies with the machine's load.
        let took = (0..3).map(|_| {
            let start = Instant::now();
            taken(&mut capture(stress.pid(), &core, &["--snapshot", method, "--zstd=1"]));
            start.elapsed()
        });
        let mut took = took.min().expect("a time");
        fs::remove_file(&core).expect("the core");
        let (n, mut tries, mut hit) = (some(10), 0, 0);
        // On a loaded machine more of them come too late: then more are tried.
        while tries < n || (hit * 2 < n && tries < 4 * n) {
            tries += 1;
            let mut cmd = capture(stress.pid(), &core, &["--snapshot", method, "--zstd=1"]);
            let start = Instant::now();
            let mut child = cmd.stderr(Stdio::null()).spawn().expect("rjcore starts");
            std::thread::sleep(Duration::from_micros(random() % took.as_micros() as u64));
            child.kill().expect("kill");
            let whole = matches!(child.wait().expect("its end").code(), Some(0 | 3));
            hit += usize::from(!whole);
            if whole {
                // The machine has become quicker.
                took = took.min(start.elapsed());
            }
            assert_eq!(core.exists(), whole, "a core under its name after a kill");
            let _ = fs::remove_file(&core);
            stress.is_well(&format!("a kill within {took:?} of {method}"));
        }
        println!("{method}: killed {hit} of {tries} captures at random times");
        assert!(hit * 2 >= n, "only {hit} kills of {method} came in time");
    }
    let core = dir.path("core");
    taken(&mut capture(stress.pid(), &core, &["--snapshot", "fork"]));
    run(rjcore().arg("info").arg(&core));
    stress.ends_well("kills at random times");
}

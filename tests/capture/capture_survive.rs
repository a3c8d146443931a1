//! Captures of a JVM in an unusual state, or to which something happens meanwhile: it is as it was afterwards, and
//! rjcore ends, with a whole core or an error.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::child::{Child, Command};
use crate::support::proc::{children, snapshots, state, status, tasks, traces, until};
use crate::support::stress::{Stress, capture, caught_collecting, names, taken, when};
use crate::support::{Jvm, PATIENTLY, Scratch, jdk, rjcore, tool};
use rustix::process::{Pid, Signal, kill_process};

const METHODS: [&str; 3] = ["fork", "precopy", "stop"];

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process"), signal).expect("a signal");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The core can be read, and is one of a JVM; it may have been caught in the middle of a collection.
fn is_a_core(core: &Path) {
    let out = rjcore().arg("info").arg(core).output().expect("rjcore runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{}: {text} {}", out.status, said(&out));
    assert!(text.contains("OpenJDK"), "{text}");
}

fn states(pid: i32) -> Vec<char> {
    let state = |t| status(pid, t)?["State"].chars().next();
    tasks(pid).into_iter().filter_map(state).collect()
}

#[test]
fn a_stopped_jvm_stays_stopped() {
    let dir = Scratch::new("survive-stopped");
    let mut stress = Stress::start(17, &["-XX:+UseSerialGC"], "", &dir);
    let (pid, core) = (stress.pid(), dir.path("core"));
    for method in METHODS {
        signal(pid, Signal::STOP);
        until("all threads are stopped", || states(pid).iter().all(|s| *s == 'T'));
        taken(&mut capture(pid, &core, &["--snapshot", method]));
        // The kernel lets a thread run for a moment before it stops again.
        let mut looks = 0;
        until("all threads are stopped again, and stay so", || {
            looks = if states(pid).iter().all(|s| *s == 'T') { looks + 1 } else { 0 };
            looks == 25
        });
        is_a_core(&core);
        signal(pid, Signal::CONT);
        until("all threads run again", || states(pid).iter().all(|s| *s != 'T'));
        stress.is_clean(&format!("{method} of a stopped JVM"));
    }
    stress.ends_well("captures while it was stopped");
}

/// A collection waits for a thread that does not come to a safepoint: jmap would wait too.
fn hanging(how: &str) {
    let dir = Scratch::new(&format!("survive-{how}"));
    let flags = ["-Xmx64m", "-XX:+UseSerialGC", "-XX:LoopStripMiningIter=0"];
    let jvm = Jvm::start(17, &flags, &format!("Spin {how}"), &dir);
    let (pid, core) = (jvm.pid() as i32, dir.path("core"));
    for method in METHODS {
        taken(&mut capture(pid, &core, &["--snapshot", method]));
        is_a_core(&core);
        assert_eq!((traces(pid), snapshots(pid)), (vec![], vec![]));
        // It goes on with what it was at.
        let ticks = || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the JVM");
            let user = stat.rsplit(')').next().and_then(|s| s.split_whitespace().nth(11));
            user.expect("ticks").parse::<u64>().expect("a number")
        };
        let before = ticks();
        until("the JVM goes on", || ticks() > before + 5);
    }
}

#[test]
fn a_loop_without_a_safepoint() {
    hanging("java");
}

#[test]
fn native_code_that_keeps_collections_away() {
    hanging("native");
}

#[test]
fn a_jvm_that_refuses_attach() {
    let dir = Scratch::new("survive-attach");
    let mut stress = Stress::start(17, &["-XX:+DisableAttachMechanism"], "", &dir);
    let (pid, core) = (stress.pid(), dir.path("core"));
    let jcmd =
        Command::new(jdk(17).join("bin/jcmd")).args([&pid.to_string(), "VM.version"]).output();
    assert!(!jcmd.expect("jcmd starts").status.success(), "jcmd must be refused");
    for method in METHODS {
        taken(&mut capture(pid, &core, &["--snapshot", method]));
        is_a_core(&core);
        stress.is_clean(method);
    }
}

/// strace's log of the ptrace calls of a capture that fails.
fn refused_under_strace(
    pid: i32,
    dir: &Scratch,
    method: &str,
    more: &[&str],
    at_once: impl FnOnce(i32, &Path),
) -> (String, String) {
    let (log, out) = (dir.path("strace"), dir.path("out"));
    let _ = fs::create_dir(&out);
    fs::write(&log, "").expect("the log");
    let args = ["--snapshot", method, "--max-pause", "300"];
    let rjcore = capture(pid, &out.join("core"), &args);
    let mut cmd = Command::new(tool("strace"));
    cmd.args(["-f", "-qq", "-e", "trace=ptrace,wait4", "-o"]).arg(&log).args(more);
    cmd.arg(rjcore.get_program()).args(rjcore.get_args());
    let child = cmd.stderr(Stdio::piped()).spawn().expect("strace starts");
    let mut rjcore = None;
    until("strace has started rjcore", || {
        // strace has others first, to try what the kernel can do.
        let named =
            |p: &i32| fs::read_to_string(format!("/proc/{p}/comm")).is_ok_and(|c| c == "rjcore\n");
        rjcore = children(child.id() as i32).into_iter().find(named);
        rjcore.is_some()
    });
    at_once(rjcore.expect("a process"), &log);
    let answer = child.wait_with_output().expect("its end");
    assert_eq!(answer.status.code(), Some(1), "{method}: {}", said(&answer));
    assert_eq!(names(&out), [""; 0], "{method}");
    (fs::read_to_string(&log).expect("the log"), said(&answer))
}

fn names_the_sleeper(method: &str, said: &str) {
    for word in ["not stopped within 300 ms", "\"waits for file\"", "state D", "--max-pause"] {
        assert!(said.contains(word), "{method}: no {word:?} in {said}");
    }
}

fn sleeper(pid: i32) -> Option<char> {
    let named = |t: &i32| status(pid, *t).is_some_and(|s| s["Name"] == "waits for file");
    status(pid, tasks(pid).into_iter().find(named)?)?["State"].chars().next()
}

/// A thread sleeps where nothing can stop it: the others are not stopped in vain.
#[test]
fn a_thread_in_uninterruptible_sleep() {
    for method in ["fork", "stop"] {
        let dir = Scratch::new(&format!("survive-sleep-{method}"));
        let (mut stress, file, done) = when("vfork", 17, &dir);
        let pid = stress.pid();
        fs::write(&file, "").expect("the file");
        until("the thread sleeps", || sleeper(pid) == Some('D'));
        let (log, said) = refused_under_strace(pid, &dir, method, &[], |_, _| {});
        assert_eq!(sleeper(pid), Some('D'), "it must sleep for all of the capture");
        names_the_sleeper(method, &said);
        assert!(!log.contains("PTRACE_INTERRUPT"), "{method} stopped a thread: {log}");
        stress.is_clean(&format!("{method} refused"));
        fs::write(&done, "").expect("the file");
        until("the thread is awake", || sleeper(pid) != Some('D'));
        taken(&mut capture(pid, &dir.path("core"), &["--snapshot", method]));
        stress.ends_well("a thread in uninterruptible sleep");
    }
}

/// The same, but the sleep begins when threads are being stopped already.
#[test]
fn a_thread_that_falls_asleep_meanwhile() {
    // A pre-copy has borrowed one thread before, by 18 calls.
    for (method, call) in [("fork", 15), ("precopy", 33)] {
        let dir = Scratch::new(&format!("survive-asleep-{method}"));
        let (mut stress, file, done) = when("vfork", 17, &dir);
        let pid = stress.pid();
        // rjcore is stopped while it seizes the threads, until the thread sleeps.
        let hold = format!("inject=ptrace:signal=STOP:when={call}");
        let (log, said) = refused_under_strace(pid, &dir, method, &["-e", &hold], |rjcore, log| {
            until("rjcore is stopped", || {
                fs::read_to_string(log).expect("the log").contains("stopped by SIGSTOP")
            });
            fs::write(&file, "").expect("the file");
            until("the thread sleeps", || sleeper(pid) == Some('D'));
            signal(rjcore, Signal::CONT);
        });
        names_the_sleeper(method, &said);
        let (before, after) = log.split_once("stopped by SIGSTOP").expect("it was stopped");
        assert!(
            before.matches("PTRACE_SEIZE").count() > 10,
            "{method}: the sleep came too early: {log}"
        );
        assert!(after.contains("PTRACE_INTERRUPT"), "{method}: no thread was stopped: {log}");
        stress.is_clean(&format!("{method} given up"));
        fs::write(&done, "").expect("the file");
        stress.ends_well("a thread that fell asleep");
    }
}

/// A capture to a pipe: the snapshot is there, and most of it is unread until `drain`.
struct Slow {
    child: Child,
    first: Vec<u8>,
}

impl Slow {
    fn start(pid: i32, method: &str) -> Slow {
        let mut cmd = rjcore();
        cmd.args(["capture", PATIENTLY, &pid.to_string(), "-o", "-", "--snapshot", method]);
        let mut child = cmd.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("rjcore");
        let mut first = vec![0; 4096];
        let out = child.stdout.as_mut().expect("piped");
        if out.read_exact(&mut first).is_err() {
            let answer = child.wait_with_output().expect("its end");
            panic!("no capture: {}", said(&answer));
        }
        Slow { child, first }
    }

    /// Takes the rest, into a file; answers the exit code.
    fn drain(mut self, core: &Path) -> Option<i32> {
        let mut file = fs::File::create(core).expect("a file");
        std::io::Write::write_all(&mut file, &self.first).expect("room");
        std::io::copy(self.child.stdout.as_mut().expect("piped"), &mut file).expect("room");
        self.child.wait().expect("its end").code()
    }
}

/// While a snapshot lives: descriptors that the JVM closes are closed.
#[test]
fn a_port_is_free_while_a_snapshot_lives() {
    let dir = Scratch::new("survive-port");
    let mut stress = Stress::start(17, &[], "", &dir);
    let (pid, core) = (stress.pid(), dir.path("core"));
    stress.rebind("its start");
    for method in METHODS {
        let slow = Slow::start(pid, method);
        for child in snapshots(pid) {
            let open = fs::read_dir(format!("/proc/{}/fd", child.0)).expect("descriptors").count();
            assert_eq!(open, 0, "descriptors of the snapshot");
        }
        assert_eq!(snapshots(pid).len(), usize::from(method == "fork"), "{method}");
        for _ in 0..3 {
            stress.rebind(&format!("a slow {method}"));
        }
        stress.check(&format!("a slow {method}"));
        assert_eq!(slow.drain(&core), Some(0), "{method}");
        is_a_core(&core);
        stress.is_clean(method);
    }
    stress.ends_well("slow captures");
}

/// The JVM is killed while the snapshot is read: by then nothing more is needed of it.
#[test]
fn the_jvm_is_killed_while_memory_is_written() {
    let dir = Scratch::new("survive-gone");
    for method in METHODS {
        let mut stress = Stress::start(17, &["-XX:+UseSerialGC"], "", &dir);
        let (pid, core) = (stress.pid(), dir.path("core"));
        let slow = Slow::start(pid, method);
        let child = snapshots(pid);
        signal(pid, Signal::KILL);
        stress.child().wait().expect("its end");
        assert_eq!(slow.drain(&core), Some(0), "{method}");
        is_a_core(&core);
        // Whoever is the parent now gets it out of the way, or rjcore's own end did.
        let lives = |c: &(i32, char)| !matches!(state(c.0), None | Some('Z' | 'X'));
        assert!(!child.iter().any(lives), "{method}: a snapshot lives on: {child:?}");
    }
}

/// What came of a capture during which the JVM ended.
fn ended(answer: &Output, out: &Path) -> bool {
    match answer.status.code() {
        Some(0 | 3) => {
            is_a_core(&out.join("core"));
            true
        }
        Some(1) => {
            assert_eq!(names(out), [""; 0], "{}", said(answer));
            assert!(said(answer).contains("cannot capture process"), "{}", said(answer));
            false
        }
        code => panic!("{code:?}: {}", said(answer)),
    }
}

/// Waits for a child, not for ever.
fn output(mut child: Child) -> Output {
    until("rjcore ends", || child.try_wait().expect("rjcore").is_some());
    child.wait_with_output().expect("rjcore")
}

/// The JVM ends at times spread over the capture.
#[test]
fn the_jvm_ends_meanwhile() {
    const TIMES: u32 = 5;
    let dir = Scratch::new("survive-ends");
    let out = dir.path("out");
    for method in METHODS {
        let mut whole = 0;
        let mut took = Duration::ZERO;
        // The first one is left alone, to know how long it takes.
        for i in 0..=TIMES {
            let _ = fs::remove_dir_all(&out);
            fs::create_dir(&out).expect("a directory");
            let jvm = Jvm::start(17, &["-Xmx64m", "-XX:+UseSerialGC"], "Sample", &dir);
            let pid = jvm.pid() as i32;
            let start = Instant::now();
            let mut cmd = capture(pid, &out.join("core"), &["--snapshot", method]);
            let child = cmd.stderr(Stdio::piped()).spawn().expect("rjcore starts");
            if i > 0 {
                std::thread::sleep(took * (i - 1) / TIMES);
                drop(jvm);
            }
            let answer = output(child);
            if i == 0 {
                took = start.elapsed();
            }
            let is_whole = ended(&answer, &out);
            assert!(is_whole || i > 0, "{method}: {}", said(&answer));
            whole += usize::from(is_whole && i > 0);
        }
        println!("{method}: killed {TIMES} JVMs meanwhile, {whole} cores whole");
    }
}

/// The process becomes another program while its threads are stopped or borrowed.
#[test]
fn the_jvm_becomes_another_program_meanwhile() {
    let dir = Scratch::new("survive-exec");
    let out = dir.path("out");
    for method in METHODS {
        // With the calls of ptrace slowed down: while threads are seized, and while they are stopped.
        for calls in [30, 80] {
            let (mut stress, file, _) = when("exec", 17, &dir);
            let pid = stress.pid();
            let log = dir.path("strace");
            let _ = fs::remove_dir_all(&out);
            fs::create_dir(&out).expect("a directory");
            fs::write(&log, "").expect("the log");
            let rjcore = capture(pid, &out.join("core"), &["--snapshot", method]);
            let mut cmd = Command::new(tool("strace"));
            cmd.args(["-f", "-qq", "-e", "trace=ptrace,wait4", "-e"]);
            cmd.args(["inject=ptrace:delay_enter=4000", "-o"]).arg(&log);
            cmd.arg(rjcore.get_program()).args(rjcore.get_args());
            let child = cmd.stderr(Stdio::piped()).spawn().expect("strace starts");
            until("calls of ptrace", || {
                let text = fs::read_to_string(&log).expect("the log");
                text.matches("ptrace(").count() >= calls
            });
            fs::write(&file, "").expect("the file");
            let answer = output(child);
            let whole = ended(&answer, &out);
            println!(
                "{method}, exec after {calls} calls: {}",
                if whole { "a core" } else { "an error" }
            );
            until("another program", || {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c == "sleep\n")
            });
            let left = traces(pid);
            assert!(left.is_empty(), "{method}: {left:?}");
            until("the end of snapshots", || snapshots(pid).iter().all(|s| s.1 == 'Z'));
            fs::remove_file(&file).expect("the file");
            stress.child().kill().expect("kill");
        }
    }
}

/// Each SIGQUIT that arrives gives one list of threads, captured or not.
#[test]
fn signals_meanwhile_arrive() {
    let dir = Scratch::new("survive-signals");
    let mut stress = Stress::start(17, &["-XX:+UseSerialGC"], "", &dir);
    let (pid, core) = (stress.pid(), dir.path("core"));
    for method in METHODS {
        let mut captured = 0;
        let mut child: Option<Child> = None;
        let mut sent = 0;
        while captured < 4 {
            if let Some(running) = &mut child {
                if let Some(status) = running.try_wait().expect("rjcore") {
                    let mut said = String::new();
                    let mut err = running.stderr.take().expect("piped");
                    err.read_to_string(&mut said).expect("text");
                    let caught = status.code() == Some(3) && caught_collecting(&said);
                    assert!(status.success() || caught, "{method}: {status}\n{said}");
                    is_a_core(&core);
                    captured += 1;
                    child = None;
                }
            } else {
                let mut cmd = capture(pid, &core, &["--snapshot", method]);
                child = Some(cmd.stderr(Stdio::piped()).spawn().expect("rjcore starts"));
            }
            signal(pid, Signal::QUIT);
            stress.says("Full thread dump");
            sent += 1;
        }
        println!("{method}: {sent} signals during {captured} captures");
        stress.is_clean(&format!("{sent} signals during {method}"));
    }
    assert!(children(pid).iter().all(|c| state(*c) != Some('T')));
    stress.ends_well("signals");
}

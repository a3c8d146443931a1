//! What cannot be captured is refused with the reason, and what to do; nothing of it is stopped.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};

use crate::support::child::Command;
use crate::support::proc::{self, until};
use crate::support::stress::{SMALL, Stress, capture, names};
use crate::support::{Jvm, Scratch, jdk, rjcore, tool};

const METHODS: [&str; 3] = ["fork", "precopy", "stop"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A capture that must fail with all of `words`, and leave no file.
fn refused(cmd: &mut Command, dir: &Scratch, words: &[&str]) {
    let out = dir.path("refused");
    fs::create_dir(&out).expect("a directory");
    let answer = cmd.arg("-o").arg(out.join("core")).output().expect("rjcore starts");
    let said = said(&answer);
    assert_eq!(answer.status.code(), Some(1), "{cmd:?}: {said}");
    assert!(said.starts_with("rjcore: cannot capture process "), "{said}");
    for word in words {
        assert!(said.contains(word), "{cmd:?}: no {word:?} in {said}");
    }
    assert_eq!(names(&out), [""; 0], "{cmd:?}");
    fs::remove_dir(&out).expect("an empty directory");
}

fn of(pid: i32) -> Command {
    let mut cmd = rjcore();
    cmd.args(["capture", &pid.to_string()]);
    cmd
}

#[test]
fn what_is_no_jvm() {
    let dir = Scratch::new("refused-what");
    let mut sleep = Command::new("sleep").arg("600").spawn().expect("sleep");
    refused(&mut of(sleep.id() as i32), &dir, &["\"sleep\" is not a HotSpot JVM", "gcore"]);
    assert_eq!(proc::traces(sleep.id() as i32), [""; 0]);
    // Killed and not waited for.
    sleep.kill().expect("kill");
    let pid = sleep.id() as i32;
    until("a zombie", || proc::state(pid) == Some('Z'));
    refused(&mut of(pid), &dir, &["is a zombie"]);
    sleep.wait().expect("its end");
    refused(&mut of(pid), &dir, &["there is no such process"]);
    // kthreadd. Where this machine is a container, there is none.
    if fs::read_to_string("/proc/2/comm").is_ok_and(|c| c == "kthreadd\n") {
        refused(&mut of(2), &dir, &["kernel thread"]);
    }
    // What can be no process is misuse; a name may be one that no JVM has.
    for (pid, code) in [("0", 2), ("-1", 2), ("x", 1), ("", 2), ("99999999999999", 2)] {
        let answer = rjcore().args(["capture", pid]).output().expect("rjcore starts");
        assert_eq!(answer.status.code(), Some(code), "{pid:?}: {}", said(&answer));
    }
}

#[test]
fn a_thread_of_a_jvm() {
    let dir = Scratch::new("refused-thread");
    let jvm = Jvm::start(17, &["-Xmx16m", "-XX:+UseSerialGC"], "Sample", &dir);
    let pid = jvm.pid() as i32;
    let tid = proc::tasks(pid).into_iter().find(|t| *t != pid).expect("a thread");
    let hint = format!("rjcore capture {pid}");
    refused(&mut of(tid), &dir, &[&format!("a thread of process {pid}"), &hint]);
}

#[test]
fn a_jvm_that_is_traced() {
    let dir = Scratch::new("refused-traced");
    let mut stress = Stress::start(17, &["-XX:+UseSerialGC"], "", &dir);
    let pid = stress.pid();
    let mut strace = Command::new(tool("strace"));
    strace.args(["-f", "-e", "trace=none", "-o", "/dev/null", "-p", &pid.to_string()]);
    let mut strace = strace.stderr(Stdio::null()).spawn().expect("strace starts");
    let tracer = strace.id().to_string();
    let is_traced = |tid: &i32| proc::status(pid, *tid).is_none_or(|s| s["TracerPid"] == tracer);
    until("all threads are traced", || proc::tasks(pid).iter().all(is_traced));
    for method in METHODS {
        let mut cmd = of(pid);
        cmd.args(["--snapshot", method]);
        refused(&mut cmd, &dir, &[&format!("process {tracer} \"strace\" traces it")]);
        assert!(proc::tasks(pid).iter().all(is_traced), "strace still traces it");
    }
    stress.check("captures that are refused");
    // Not SIGINT: strace would let go of one thread after the other, and wait for ever for one that waits in
    // vfork for a child which strace itself holds. At its end the kernel lets go of all.
    strace.kill().expect("strace");
    strace.wait().expect("its end");
    until("nothing traces it", || proc::traces(pid).is_empty());
    stress.ends_well("refusals and strace");
}

/// A seccomp filter that answers `action` to the system call `number` of x86-64, for `cmd` and all that it starts.
#[allow(unsafe_code, reason = "what is done between fork and exec")]
fn filter(cmd: &mut Command, number: u32, action: u32) {
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let program = [
        // The number, at offset 0 of struct seccomp_data.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, action),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let mut program = program;
        let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        // SAFETY: prctl reads `filter`, which lives until it has returned.
        let answer = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
        };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: prctl may be called between fork and exec.
    unsafe { cmd.pre_exec(install) };
}

const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;

#[test]
fn a_seccomp_filter_around_rjcore() {
    let dir = Scratch::new("refused-seccomp");
    let mut stress = Stress::start(17, &["-XX:+UseSerialGC"], "", &dir);
    for method in METHODS {
        let mut cmd = of(stress.pid());
        cmd.args(["--snapshot", method]);
        filter(&mut cmd, libc::SYS_ptrace as u32, EPERM);
        refused(&mut cmd, &dir, &["a seccomp filter forbids ptrace", "SYS_PTRACE", "docker"]);
        stress.is_clean(method);
    }
    stress.ends_well("refusals");
}

/// A JVM under a filter of its own, run by `by`.
fn filtered(mut by: Command, call: i64, action: u32, dir: &Scratch) -> Stress {
    filter(&mut by, call as u32, action);
    let stress = Stress::of(Jvm::start_by(by, &jdk(17), &SMALL, "StopStress", dir));
    let status = proc::status(stress.pid(), stress.pid()).expect("the JVM");
    assert_eq!(status["Seccomp"], "2", "it has no filter");
    stress
}

/// What a filter may answer: an error, SIGSYS, and the end.
const ACTIONS: [u32; 3] = [EPERM, libc::SECCOMP_RET_TRAP, libc::SECCOMP_RET_KILL_PROCESS];

/// Root sets the JVM's filter aside for the calls that it needs. No filter for clone here that kills: posix_spawn
/// needs it.
#[test]
fn a_seccomp_filter_around_the_jvm() {
    let dir = Scratch::new("refused-filter");
    for (i, action) in ACTIONS.into_iter().enumerate() {
        let call = [libc::SYS_clone, libc::SYS_userfaultfd, libc::SYS_userfaultfd][i];
        let mut stress = filtered(Command::new("env"), call, action, &dir);
        for method in METHODS {
            let core = dir.path("core");
            crate::support::stress::taken(&mut capture(
                stress.pid(),
                &core,
                &["--snapshot", method],
            ));
            stress.is_clean(&format!("{method} through a filter"));
            let status = proc::status(stress.pid(), stress.pid()).expect("the JVM");
            assert_eq!(status["Seccomp"], "2", "it lost its filter");
        }
        stress.ends_well("captures through a filter");
    }
}

/// Without rights, the method that needs a call that is filtered is refused, another one takes its place, and the JVM
/// learns of neither.
#[test]
fn a_seccomp_filter_that_cannot_be_set_aside() {
    let cases = [
        ("fork", libc::SYS_clone, ACTIONS[0], "the fork failed"),
        ("fork", libc::SYS_clone, ACTIONS[1], "the fork failed"),
        ("precopy", libc::SYS_userfaultfd, ACTIONS[0], "seccomp"),
        ("precopy", libc::SYS_userfaultfd, ACTIONS[1], "seccomp"),
        ("precopy", libc::SYS_userfaultfd, ACTIONS[2], "seccomp"),
    ];
    let open = tempfile::tempdir().expect("a directory");
    let rjcore = open.path().join("rjcore");
    fs::copy(env!("CARGO_BIN_EXE_rjcore"), &rjcore).expect("a copy");
    for path in [open.path(), &rjcore] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    for (method, call, action, words) in cases {
        let dir = Scratch::new(&format!("refused-aside-{method}"));
        let mut stress = filtered(crate::support::as_nobody(), call, action, &dir);
        let asked = |method: Option<&str>| {
            let mut cmd = crate::support::as_nobody();
            cmd.arg(&rjcore).args(["capture", &stress.pid().to_string(), "-o", "-"]);
            cmd.args(method.map(|m| format!("--snapshot={m}"))).stdout(Stdio::null());
            cmd.output().expect("rjcore starts")
        };
        if method == "precopy" {
            let mut cmd = crate::support::as_nobody();
            let doctor =
                cmd.arg(&rjcore).args(["doctor", "--capture"]).arg(stress.pid().to_string());
            let says = String::from_utf8(doctor.output().expect("rjcore starts").stdout);
            let says = says.expect("text");
            let first = "a capture would try fork first: ";
            assert!(
                says.contains(first) && says.contains("not by precopy: it has a seccomp"),
                "{says}"
            );
        }
        let answer = asked(Some(method));
        assert_eq!(answer.status.code(), Some(1), "{method} {action:x}: {}", said(&answer));
        assert!(said(&answer).contains(words), "{method} {action:x}: {}", said(&answer));
        let chosen = asked(None);
        assert!(chosen.status.success(), "{method} {action:x}: {}", said(&chosen));
        let gave_way = said(&chosen).contains("not by fork: ");
        assert_eq!(gave_way, method == "fork", "{}", said(&chosen));
        stress.is_clean(&format!("{method} against a filter"));
        stress.ends_well(&format!("captures around a filter for {method}"));
    }
}

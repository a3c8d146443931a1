//! Captures that cannot be written to their end: interrupted, no room, nobody who reads. The file appears
//! whole or not at all, the JVM goes on, and no snapshot of it stays.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::support::child::{Child, Command};
use crate::support::proc::{is_pending, snapshots, until};
use crate::support::stress::{Stress, capture, names};
use crate::support::{PATIENTLY, Scratch, rjcore, tool};
use rustix::process::{Pid, Signal, kill_process};

const METHODS: [&str; 3] = ["fork", "precopy", "stop"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A capture that takes half a minute unless it is interrupted.
fn slow(pid: i32, out: &Path, method: &str) -> Child {
    let mut cmd = capture(pid, out, &["--snapshot", method, "--zstd=19"]);
    cmd.stderr(Stdio::piped()).spawn().expect("rjcore starts")
}

/// Sends a signal, and once more when it has come.
fn twice(child: &Child, signal: Signal) {
    child.signal(signal);
    let pid = child.id() as i32;
    until("the first signal has come", || !is_pending(pid, signal.as_raw()));
    child.signal(signal);
}

/// Some bytes of the core are in the hidden file.
fn is_being_written(dir: &Path) -> bool {
    let files = fs::read_dir(dir).expect("a directory").flatten();
    files.filter_map(|e| e.metadata().ok()).any(|m| m.len() > 0)
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    let dir = Scratch::new("output-signal");
    let mut stress = Stress::start(17, &[], "", &dir);
    let out = dir.path("out");
    fs::create_dir(&out).expect("a directory");
    for (method, sig, code) in [
        ("fork", Signal::INT, 130),
        ("precopy", Signal::TERM, 143),
        ("stop", Signal::INT, 130),
        ("fork", Signal::TERM, 143),
    ] {
        let child = slow(stress.pid(), &out.join("core"), method);
        until("a capture writes", || is_being_written(&out));
        child.signal(sig);
        let answer = child.wait_with_output().expect("its end");
        let said = said(&answer);
        assert_eq!(answer.status.code(), Some(code), "{method}: {said}");
        assert!(said.contains("interrupted") && said.contains("core"), "{method}: {said}");
        assert_eq!(names(&out), [""; 0], "{method}");
        stress.is_clean(&format!("{sig:?} while {method} writes"));
    }
    // The second one ends it at once. What is left of the snapshot then is for the next capture.
    let mut child = slow(stress.pid(), &out.join("core"), "fork");
    until("a capture writes", || is_being_written(&out));
    twice(&child, Signal::INT);
    let end = child.wait().expect("its end");
    assert!(end.signal() == Some(2) || end.code() == Some(130), "{end}");
    assert_eq!(names(&out), [""; 0]);
    stress.is_well("two signals");
    crate::support::stress::taken(&mut capture(
        stress.pid(),
        &out.join("core"),
        &["--snapshot", "fork"],
    ));
    stress.ends_well("signals to rjcore");
}

/// rjcore is stopped (by strace) while it stops the threads, until the signal has been sent.
#[test]
fn a_signal_while_threads_are_stopped() {
    let dir = Scratch::new("output-stopping");
    let mut stress = Stress::start(17, &["-XX:+UseSerialGC"], "", &dir);
    let (out, log) = (dir.path("out"), dir.path("strace"));
    fs::create_dir(&out).expect("a directory");
    for method in METHODS {
        let rjcore = capture(stress.pid(), &out.join("core"), &["--snapshot", method]);
        let mut cmd = Command::new(tool("strace"));
        // By then all threads are seized, or nearly, and are being stopped.
        cmd.args(["-f", "-qq", "-e", "trace=ptrace,wait4", "-e"]);
        cmd.args(["inject=ptrace:signal=STOP:when=80", "-o"]).arg(&log);
        cmd.arg(rjcore.get_program()).args(rjcore.get_args());
        fs::write(&log, "").expect("the log");
        let child = cmd.stderr(Stdio::piped()).spawn().expect("strace starts");
        let mut calls = String::new();
        until("rjcore is stopped", || {
            calls = fs::read_to_string(&log).expect("the log");
            calls.contains("stopped by SIGSTOP")
        });
        assert!(calls.contains("PTRACE_INTERRUPT"), "{method}: no thread was being stopped yet");
        let rjcore = crate::support::proc::children(child.id() as i32);
        let rjcore = rjcore.first().and_then(|p| Pid::from_raw(*p)).expect("rjcore");
        kill_process(rjcore, Signal::TERM).expect("a signal");
        kill_process(rjcore, Signal::CONT).expect("a signal");
        let answer = child.wait_with_output().expect("its end");
        let said = said(&answer);
        assert_eq!(answer.status.code(), Some(143), "{method}: {said}");
        assert_eq!(names(&out), [""; 0], "{method}: {said}");
        stress.is_clean(&format!("SIGTERM while {method} stops threads"));
    }
    stress.ends_well("signals while threads are stopped");
}

#[test]
fn a_reader_that_goes_away() {
    let dir = Scratch::new("output-pipe");
    let mut stress = Stress::start(25, &[], "", &dir);
    for method in METHODS {
        for zstd in [false, true] {
            let mut cmd = rjcore();
            cmd.args([
                "capture",
                PATIENTLY,
                &stress.pid().to_string(),
                "-o",
                "-",
                "--snapshot",
                method,
            ]);
            cmd.args(zstd.then_some("--zstd")).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = cmd.spawn().expect("rjcore starts");
            let mut first = [0; 1000];
            child.stdout.take().expect("piped").read_exact(&mut first).expect("some bytes");
            let answer = child.wait_with_output().expect("its end");
            let said = said(&answer);
            assert_eq!(answer.status.code(), Some(1), "{method}: {said}");
            assert!(said.contains("was closed by its reader"), "{method}: {said}");
            let magic: &[u8] = if zstd { &[0x28, 0xb5, 0x2f, 0xfd] } else { b"\x7fELF" };
            assert_eq!(&first[..4], magic, "{method}");
            stress.is_clean(&format!("a closed pipe, {method}"));
        }
    }
    stress.ends_well("readers that went away");
}

/// Standard output that nobody reads for now: the second signal ends it all the same.
#[test]
fn a_reader_that_does_not_read() {
    let dir = Scratch::new("output-blocked");
    let mut stress = Stress::start(17, &[], "", &dir);
    for method in METHODS {
        let mut cmd = rjcore();
        cmd.args([
            "capture",
            PATIENTLY,
            &stress.pid().to_string(),
            "-o",
            "-",
            "--snapshot",
            method,
        ]);
        let mut child = cmd.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("rjcore");
        let mut first = [0; 4];
        child.stdout.as_mut().expect("piped").read_exact(&mut first).expect("some bytes");
        stress.check(&format!("{method} into a pipe that is full"));
        twice(&child, Signal::TERM);
        let end = child.wait().expect("its end");
        assert!(end.signal() == Some(15) || end.code() == Some(143), "{method}: {end}");
        stress.is_well(&format!("two signals to {method} into a full pipe"));
    }
    let core = dir.path("core");
    crate::support::stress::taken(&mut capture(stress.pid(), &core, &["--snapshot", "fork"]));
    stress.ends_well("pipes that nobody read");
}

/// A file system of 8 MB of its own, in a mount namespace that ends with rjcore.
#[test]
fn a_disk_that_is_full() {
    let dir = Scratch::new("output-full");
    let mut stress = Stress::start(17, &["-XX:+UseParallelGC"], "", &dir);
    let out = dir.path("out");
    fs::create_dir(&out).expect("a directory");
    for method in METHODS {
        let mut cmd = Command::new(tool("unshare"));
        cmd.args(["--mount", "--propagation", "private", "sh", "-c"]);
        cmd.arg(
            "cd \"$1\" && mount -t tmpfs -o size=8m none . && cd \"$1\" || exit 99
            \"$2\" capture \"$3\" -o core --snapshot \"$4\" \"$5\"
            echo $?; ls -A",
        );
        let program = rjcore();
        cmd.arg("sh").arg(&out).arg(program.get_program());
        cmd.args([&stress.pid().to_string(), method, PATIENTLY]);
        let answer = cmd.output().expect("unshare starts");
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert_eq!(text, "1\n", "{method}: exit code and files; {}", said(&answer));
        assert!(said(&answer).contains("No space left"), "{method}: {}", said(&answer));
        assert_eq!(snapshots(stress.pid()), [], "{method}");
        stress.is_clean(&format!("a full disk, {method}"));
    }
    stress.ends_well("full disks");
}

#[test]
fn a_place_that_cannot_be_written_to() {
    let dir = Scratch::new("output-place");
    let stress = Stress::start(17, &["-XX:+UseSerialGC"], "", &dir);
    let there = dir.path("there");
    fs::write(&there, "mine").expect("a file");
    let cases = [
        (dir.path("no-such-directory/core"), 2, "is not a directory"),
        (Path::new("/proc/core").to_owned(), 1, "/proc/core: "),
        (there.clone(), 2, "exists already"),
    ];
    for (path, code, words) in cases {
        let mut cmd = rjcore();
        cmd.args(["capture", PATIENTLY, &stress.pid().to_string(), "-o"]).arg(&path);
        let answer = cmd.output().expect("rjcore starts");
        assert_eq!(answer.status.code(), Some(code), "{path:?}: {}", said(&answer));
        assert!(said(&answer).contains(words), "{path:?}: {}", said(&answer));
    }
    assert_eq!(fs::read(&there).expect("the file"), b"mine");
    stress.ends_well("places that cannot be written to");
}

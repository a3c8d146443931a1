//! JVMs that wait for a safepoint.

use super::*;

/// A loop that no safepoint can stop, and a collection that waits for one.
fn a_safepoint_that_is_never_reached(version: u32) {
    let dir = Scratch::new(&format!("doctor-safepoint-{version}"));
    let flags =
        [&FLAGS[..], &["-XX:LoopStripMiningIter=0", "-XX:-UseCountedLoopSafepoints"]].concat();
    let jvm = Jvm::start(version, &flags, "Spin java", &dir);
    let pid = jvm.pid() as i32;
    let mut value = Value::Null;
    // Each look names the thread if that had a CPU meanwhile.
    until("a JVM that waits for the thread that spins", || {
        value = told(rjcore(), pid);
        let found = || finding(&value, "safepoint", "obstacle")["text"].to_string();
        obstacles(&value) == ["safepoint"] && found().contains("spins")
    });
    assert_eq!(value["next"], format!("rjcore capture {pid}"));
    let mut answer = String::new();
    until("an answer that names the thread", || {
        let mut cmd = rjcore();
        cmd.args(["attach", "--timeout", "1", &pid.to_string(), "stack"]);
        answer = refused(cmd, pid, &["within 1 s", "safepoint", "rjcore capture"]);
        answer.contains("\"spins\"")
    });
    let mut shown = String::new();
    until("its stack", || {
        let mut cmd = rjcore();
        let said = cmd.args(["doctor", "--stack", &pid.to_string()]).output();
        shown = String::from_utf8_lossy(&said.expect("rjcore starts").stdout).into_owned();
        shown.contains("\n\"spins\" ")
    });
    assert!(shown.contains("\tat Spin.numbers("), "{shown}");
    assert_eq!(shown.lines().last(), value["next"].as_str(), "{shown}");

    // Ctrl-C in the middle leaves nothing either.
    let mut cmd = attach(pid, &["stack"]);
    let child = cmd.args([""; 0]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn();
    let child = child.expect("rjcore starts");
    // Its handlers' own pipe is a pair of sockets, there before they are.
    let handles = |pid: i32| {
        let caught =
            proc::status(pid, pid).and_then(|s| u64::from_str_radix(&s["SigCgt"], 16).ok());
        caught.is_some_and(|c| c & (1 << 1) != 0)
    };
    let child_id = child.id() as i32;
    until("it waits", || {
        handles(child_id) && (!attach_files(pid).is_empty() || is_connected(child_id))
    });
    signal(child.id() as i32, Signal::INT);
    let answer = child.wait_with_output().expect("its end");
    assert_eq!(answer.status.code(), Some(130), "{}", said(&answer));
    assert!(said(&answer).contains("interrupted"), "{}", said(&answer));
    assert_eq!(attach_files(pid), Vec::<PathBuf>::new());
}

/// Whether a process has a socket open.
fn is_connected(pid: i32) -> bool {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut links = fds.filter_map(|e| fs::read_link(e.path()).ok());
    links.any(|l| l.to_string_lossy().starts_with("socket:"))
}

#[test]
fn a_safepoint_that_is_never_reached_jdk17() {
    a_safepoint_that_is_never_reached(17);
}

#[test]
fn a_safepoint_that_is_never_reached_jdk25() {
    a_safepoint_that_is_never_reached(25);
}

//! Each reason of `rjcore doctor`, produced for real: it is named with its remedy, attach says the same, and the JVM
//! is none the worse for it.

mod limits;
mod safepoint;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::support::cgroup::Group;
use crate::support::child::{Child, Command};
use crate::support::container::{Container, container};
use crate::support::proc::{self, until};
use crate::support::schema::Checker;
use crate::support::stress::{SMALL, when};
use crate::support::{Jvm, Scratch, as_nobody, jdk, jdks, rjcore, text, tool};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const FLAGS: [&str; 2] = ["-Xmx16m", "-XX:+UseSerialGC"];

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process"), signal).expect("a signal");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What doctor says by the command `by`, which may be another user's rjcore.
fn told(mut by: Command, pid: i32) -> Value {
    let json = by.args(["doctor", &pid.to_string(), "--json"]).output().expect("rjcore starts");
    let value: Value =
        serde_json::from_slice(&json.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&json)));
    let code = if value["verdict"] == "attach" { 0 } else { 1 };
    Checker::new().check("doctor", &value, "doctor");
    assert_eq!(json.status.code(), Some(code), "{value:#}");
    value
}

fn doctor(pid: i32) -> Value {
    let value = told(rjcore(), pid);
    let shown = rjcore().args(["doctor", &pid.to_string()]).output().expect("rjcore starts");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(shown.lines().last(), value["next"].as_str(), "{shown}");
    // It changes nothing: neither a file nor a listener is there because of it.
    assert_eq!(attach_files(pid), Vec::<PathBuf>::new());
    value
}

/// The finding of this reason, which must be there with this weight.
fn finding<'v>(value: &'v Value, reason: &str, weight: &str) -> &'v Value {
    let all = value["findings"].as_array().expect("findings");
    let found = all.iter().find(|f| f["reason"] == reason);
    let found = found.unwrap_or_else(|| panic!("no {reason} in {value:#}"));
    assert_eq!(found["weight"], weight, "{value:#}");
    found
}

fn obstacles(value: &Value) -> Vec<&str> {
    let all = value["findings"].as_array().expect("findings").iter();
    let all = all.filter(|f| f["weight"] == "obstacle");
    all.map(|f| f["reason"].as_str().expect("a reason")).collect()
}

fn attach(pid: i32, words: &[&str]) -> Command {
    let mut cmd = rjcore();
    cmd.args(["attach", "--timeout", "300", &pid.to_string()]).args(words);
    cmd
}

fn attach_files(pid: i32) -> Vec<PathBuf> {
    let inner = proc::status(pid, pid).and_then(|s| s.get("NSpid").cloned()).unwrap_or_default();
    let inner = inner.split_whitespace().last().unwrap_or("").to_owned();
    let file = |place| PathBuf::from(format!("/proc/{pid}/{place}/.attach_pid{inner}"));
    ["cwd", "root/tmp"].map(file).into_iter().filter(|f| f.exists()).collect()
}

/// Attach works, and the JVM says what it is.
fn answers(pid: i32) {
    let said = text(&mut attach(pid, &["jcmd", "VM.version"]));
    assert!(said.contains("64-Bit Server VM version"), "{said}");
    assert_eq!(attach_files(pid), Vec::<PathBuf>::new());
}

/// Attach fails, with these words, and leaves nothing. Answers all that it said.
fn refused(mut cmd: Command, pid: i32, words: &[&str]) -> String {
    let answer = cmd.output().expect("rjcore starts");
    assert_eq!(answer.status.code(), Some(1), "{}", said(&answer));
    for word in words {
        assert!(said(&answer).contains(word), "no {word:?} in {}", said(&answer));
    }
    assert_eq!(attach_files(pid), Vec::<PathBuf>::new());
    said(&answer)
}

fn socket(pid: i32) -> PathBuf {
    format!("/tmp/.java_pid{pid}").into()
}

fn sample(flags: &[&str], dir: &Scratch) -> (Jvm, i32) {
    let jvm = Jvm::start(17, &[&FLAGS, flags].concat(), "Sample", dir);
    let pid = jvm.pid() as i32;
    (jvm, pid)
}

#[test]
fn a_healthy_one() {
    let dir = Scratch::new("doctor-healthy");
    let (_jvm, pid) = sample(&[], &dir);
    let value = doctor(pid);
    assert_eq!((obstacles(&value), &value["open"]), (vec![], &false.into()), "{value:#}");
    assert_eq!(value["next"], format!("rjcore attach {pid} heap.hprof"));
    assert!(!socket(pid).exists(), "doctor made it listen");
    answers(pid);
    assert_eq!(doctor(pid)["open"], true);
}

#[test]
fn what_is_no_jvm() {
    let mut sleep = Command::new("sleep").arg("600").spawn().expect("sleep");
    let pid = sleep.id() as i32;
    assert_eq!(obstacles(&doctor(pid)), ["not-a-jvm"]);
    // SIGQUIT would end it.
    refused(attach(pid, &["stack"]), pid, &["\"sleep\" is not a HotSpot JVM", "rjcore ps"]);
    assert!(sleep.try_wait().expect("sleep").is_none(), "it was killed");
    sleep.kill().expect("kill");
    until("a zombie", || proc::state(pid) == Some('Z'));
    assert_eq!(obstacles(&doctor(pid)), ["zombie"]);
    sleep.wait().expect("its end");
    assert_eq!(obstacles(&doctor(pid)), ["no-process"]);
    refused(attach(pid, &["stack"]), pid, &["there is no such process"]);
    let dir = Scratch::new("doctor-thread");
    let (_jvm, pid) = sample(&[], &dir);
    let thread = proc::tasks(pid).into_iter().find(|t| *t != pid).expect("a thread");
    let value = doctor(thread);
    assert_eq!(obstacles(&value), ["thread"]);
    assert_eq!(value["next"], format!("rjcore doctor {pid}"));
}

#[test]
fn attach_is_disabled() {
    let dir = Scratch::new("doctor-disabled");
    let (_jvm, pid) = sample(&["-XX:+DisableAttachMechanism"], &dir);
    let value = doctor(pid);
    let found = finding(&value, "disabled", "obstacle");
    let evidence = found["evidence"].as_str().expect("evidence");
    assert!(evidence.contains("-XX:+DisableAttachMechanism in its"), "{value:#}");
    assert_eq!(value["next"], format!("rjcore capture {pid}"));
    let words = ["-XX:+DisableAttachMechanism", "rjcore capture"];
    refused(attach(pid, &["stack"]), pid, &words);
}

/// SIGQUIT would end such a JVM; it listens from its start on.
#[test]
fn signals_are_reduced() {
    let dir = Scratch::new("doctor-xrs");
    let (_jvm, pid) = sample(&["-Xrs"], &dir);
    let value = doctor(pid);
    finding(&value, "reduced-signals", "note");
    assert_eq!((&value["verdict"], &value["open"]), (&"attach".into(), &true.into()));
    answers(pid);
    fs::remove_file(socket(pid)).expect("its socket");
    let value = doctor(pid);
    let found = finding(&value, "reduced-signals", "obstacle");
    assert!(found["evidence"].as_str().is_some_and(|e| e.contains("-Xrs in its")), "{value:#}");
    assert_eq!(value["next"], format!("rjcore capture {pid}"));
    refused(attach(pid, &["stack"]), pid, &["-Xrs", "rjcore capture"]);
    assert_eq!(proc::state(pid).map(|s| "SR".contains(s)), Some(true), "it is dead");
}

#[test]
fn it_is_stopped() {
    let dir = Scratch::new("doctor-stopped");
    let (_jvm, pid) = sample(&[], &dir);
    signal(pid, Signal::STOP);
    until("a stopped JVM", || proc::state(pid) == Some('T'));
    let value = doctor(pid);
    assert_eq!(obstacles(&value), ["stopped"]);
    assert_eq!(value["next"], format!("kill -CONT {pid} && rjcore attach {pid} heap.hprof"));
    refused(attach(pid, &["stack"]), pid, &["is stopped", "kill -CONT", "rjcore capture"]);
    signal(pid, Signal::CONT);
    answers(pid);
}

#[test]
fn a_debugger_has_it() {
    let dir = Scratch::new("doctor-traced");
    let (_jvm, pid) = sample(&[], &dir);
    let mut gdb = Command::new(tool("gdb"));
    gdb.args(["-q", "-nx", "-p", &pid.to_string()]);
    let mut gdb: Child = gdb
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("gdb starts");
    until("a traced JVM", || proc::state(pid) == Some('t'));
    let value = doctor(pid);
    assert_eq!(obstacles(&value), ["traced"]);
    let tracer = gdb.id().to_string();
    let what = finding(&value, "traced", "obstacle")["text"].as_str().expect("words");
    assert!(what.contains(&tracer), "{value:#}");
    assert!(value["no_capture_text"].as_str().is_some_and(|w| w.contains(&tracer)), "{value:#}");
    refused(attach(pid, &["stack"]), pid, &["traces it", &tracer]);
    gdb.kill().expect("kill");
    gdb.wait().expect("its end");
    until("a free JVM", || proc::state(pid) != Some('t'));
    // gdb stops what it attaches to by a signal, which it may not have taken back yet.
    signal(pid, Signal::CONT);
    until("a JVM that runs", || proc::state(pid) != Some('T'));
    answers(pid);
}

/// gdb has the JVM call signal(2), as its own program could by a library.
#[test]
fn its_handler_is_gone() {
    for (disposition, reason, words) in
        [(0, "no-handler", "handles no SIGQUIT"), (1, "ignored", "ignores SIGQUIT")]
    {
        let dir = Scratch::new(&format!("doctor-{reason}"));
        let (_jvm, pid) = sample(&[], &dir);
        let call = format!("call ((void *(*)(int, long)) signal)(3, {disposition})");
        let mut gdb = Command::new(tool("gdb"));
        text(gdb.args(["-q", "-nx", "-batch", "-p", &pid.to_string(), "-ex", &call]));
        let value = doctor(pid);
        assert_eq!(obstacles(&value), [reason]);
        finding(&value, reason, "obstacle");
        assert_eq!(value["next"], format!("rjcore capture {pid}"));
        refused(attach(pid, &["stack"]), pid, &[words, "rjcore capture"]);
        assert_eq!(proc::state(pid).map(|s| "SR".contains(s)), Some(true), "it is dead");
    }
}

#[test]
fn a_kernel_thread() {
    let of_kernel = |pid: &i32| {
        let status = proc::status(*pid, *pid).unwrap_or_default();
        status.get("Kthread").is_some_and(|k| k.trim() == "1")
            || status.get("PPid").is_some_and(|p| p.trim() == "2")
    };
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let mut all = all.filter_map(|e| e.file_name().to_str()?.parse().ok());
    let pid = all.find(of_kernel).expect("a kernel thread: not in a container");
    assert_eq!(obstacles(&doctor(pid)), ["kernel-thread"]);
    refused(attach(pid, &["stack"]), pid, &["kernel"]);
}

/// rjcore where another user can run it.
fn open_to_all() -> (tempfile::TempDir, PathBuf) {
    let open = tempfile::tempdir().expect("a directory");
    let rjcore = open.path().join("rjcore");
    fs::copy(env!("CARGO_BIN_EXE_rjcore"), &rjcore).expect("a copy");
    for path in [open.path(), &rjcore] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    (open, rjcore)
}

#[test]
fn it_is_another_users() {
    let dir = Scratch::new("doctor-user");
    let (_open, path) = open_to_all();
    let nobodys = || {
        let mut cmd = as_nobody();
        cmd.arg(&path);
        cmd
    };
    let (_jvm, pid) = sample(&[], &dir);
    let value = told(nobodys(), pid);
    assert_eq!(obstacles(&value), ["other-user"]);
    let found = finding(&value, "other-user", "obstacle");
    let evidence = found["evidence"].as_str().expect("evidence");
    assert!(evidence.contains("euid 0 egid 0") && evidence.contains("65534"), "{value:#}");
    assert_eq!(value["next"], format!("sudo rjcore attach {pid} heap.hprof"));
    let mut cmd = nobodys();
    cmd.args(["attach", &pid.to_string(), "stack"]);
    refused(cmd, pid, &["euid 0 egid 0", "sudo"]);
    // It sees that it is a JVM all the same.
    let mut cmd = nobodys();
    let all: Value = serde_json::from_str(&text(cmd.args(["ps", "--json"]))).expect("JSON");
    Checker::new().check("ps", &all, "ps");
    let row =
        all["jvms"].as_array().expect("rows").iter().find(|r| r["pid"] == pid).expect("the JVM");
    let seen = (&row["attach"], &row["reasons"][0], &row["version"], &row["heap_used"]);
    assert_eq!(seen, (&false.into(), &"other-user".into(), &Value::Null, &Value::Null));

    // Root takes on nobody's ids; nobody needs to take on none.
    let jvm = Jvm::start_by(as_nobody(), &jdk(17), &FLAGS, "Sample", &dir);
    let pid = jvm.pid() as i32;
    let value = doctor(pid);
    finding(&value, "other-user", "note");
    answers(pid);
    let mut cmd = nobodys();
    text(cmd.args(["attach", &pid.to_string(), "stack"]));
}

/// JDK 8 refuses even root, so the ids count that rjcore had when it connected.
#[test]
fn root_takes_on_the_ids_for_jdk8() {
    let dir = Scratch::new("doctor-user-8");
    let mut cmd = jdks::command(8, "/usr/sbin/chroot");
    cmd.args([
        "--userspec=65534:65534",
        "/",
        "/usr/bin/env",
        "sh",
        "-c",
        "cd /tmp; exec \"$0\" \"$@\"",
    ]);
    let home = Path::new("/usr/lib/jvm/java-8-openjdk-amd64");
    let jvm = Jvm::start_by(cmd, home, &FLAGS, "Sample", &dir);
    let pid = jvm.pid() as i32;
    assert!(proc::status(pid, pid).is_some_and(|s| s["Uid"].starts_with("65534")));
    finding(&doctor(pid), "other-user", "note");
    answers(pid);
}

/// A file of a JVM that is gone: jcmd takes it for this one's.
#[test]
fn a_stale_socket() {
    let dir = Scratch::new("doctor-stale");
    let (jvm, pid) = sample(&[], &dir);
    drop(UnixListener::bind(socket(pid)).expect("a socket"));
    let value = doctor(pid);
    let found = finding(&value, "stale-socket", "warning");
    assert!(found["remedy"].as_str().is_some_and(|r| r.contains("is safe: rm ")), "{value:#}");
    assert_eq!(value["verdict"], "attach");
    let mut jcmd = Command::new(jdk(17).join("bin/jcmd"));
    let jcmd = jcmd.args([&pid.to_string(), "VM.version"]).output().expect("jcmd starts");
    assert!(!jcmd.status.success(), "jcmd must be misled");
    // The JVM itself replaces it.
    answers(pid);
    assert_eq!(doctor(pid)["open"], true);
    jvm.jcmd(&["VM.version"]);
    // And makes a new one if that is gone.
    fs::remove_file(socket(pid)).expect("its socket");
    finding(&doctor(pid), "lost-socket", "warning");
    answers(pid);
}

#[test]
fn something_else_is_in_the_way() {
    let dir = Scratch::new("doctor-foreign");
    let (_jvm, pid) = sample(&[], &dir);
    fs::write(socket(pid), "").expect("a file");
    let value = doctor(pid);
    assert_eq!(obstacles(&value), ["foreign-socket"]);
    refused(attach(pid, &["stack"]), pid, &["no socket, but a file"]);
    fs::remove_file(socket(pid)).expect("the file");
    // Another process listens there, as a JVM with this id in a container with the same /tmp would.
    let other = UnixListener::bind(socket(pid)).expect("a socket");
    let value = doctor(pid);
    // It is not left over: to delete it would shut the other one's door.
    assert_eq!(obstacles(&value), ["foreign-socket"]);
    let found = finding(&value, "foreign-socket", "obstacle");
    assert!(found["remedy"].as_str().is_some_and(|r| r.contains("another process")), "{value:#}");
    assert!(!value.to_string().contains("rm /"), "{value:#}");
    refused(attach(pid, &["stack"]), pid, &["is another's"]);
    drop(other);
    answers(pid);
}

#[test]
fn it_is_busy() {
    let dir = Scratch::new("doctor-busy");
    let (_jvm, pid) = sample(&[], &dir);
    answers(pid);
    // A client that says nothing keeps the Attach Listener.
    let silent = UnixStream::connect(socket(pid)).expect("a connection");
    let value = doctor(pid);
    finding(&value, "busy", "warning");
    let mut cmd = rjcore();
    cmd.args(["attach", "--timeout", "1", &pid.to_string(), "stack"]);
    refused(cmd, pid, &["no answer within 1 s", "Attach Listener", "rjcore capture"]);
    drop(silent);
    answers(pid);
}

#[test]
fn it_sleeps_uninterruptibly() {
    let dir = Scratch::new("doctor-sleep");
    let (stress, file, done) = when("vfork", 17, &dir);
    let pid = stress.pid();
    fs::write(&file, "").expect("the file");
    let mut value = Value::Null;
    until("it is told", || {
        value = told(rjcore(), pid);
        value["findings"]
            .as_array()
            .is_some_and(|f| f.iter().any(|f| f["reason"] == "uninterruptible"))
    });
    let found = finding(&value, "uninterruptible", "warning");
    assert!(found["evidence"].as_str().is_some_and(|e| e.contains("waits for file")), "{value:#}");
    fs::write(&done, "").expect("the file");
    stress.ends_well("a look at it");
}

#[test]
fn no_room_for_the_dump() {
    let dir = Scratch::new("doctor-room");
    let small = dir.path("small");
    fs::create_dir(&small).expect("a directory");
    let mut cmd = Command::new(tool("unshare"));
    cmd.args(["--mount", "--propagation", "private", "sh", "-c"]);
    cmd.arg("mount -t tmpfs -o size=64k none \"$0\" && cd \"$0\" && exec \"$@\"").arg(&small);
    let jvm = Jvm::start_by(cmd, &jdk(17), &FLAGS, "Sample", &dir);
    let pid = jvm.pid() as i32;
    text(&mut attach(pid, &["jcmd", "GC.run"]));
    // From here, the dump goes to the JVM's own directory: ours under that name is another one.
    let mut here = rjcore();
    here.current_dir(&small);
    let value = told(here, pid);
    let found = finding(&value, "disk", "warning");
    assert!(found["text"].as_str().is_some_and(|w| w.contains("0 MB are free")), "{value:#}");
    finding(&value, "other-files", "note");
    // The JVM writes what fits, and says why not the rest.
    let answer = attach(pid, &["heap.hprof"]).current_dir(&small).output().expect("rjcore starts");
    assert_eq!(answer.status.code(), Some(1), "{}", said(&answer));
}

/// Processes, files and /tmp of its own: from outside and from inside.
#[test]
fn it_lives_in_a_container() {
    let dir = Scratch::new("doctor-container");
    let Container { jvm: _jvm, pid, root } = container(17, &SMALL, "StopStress", &dir);
    let value = doctor(pid);
    assert_eq!((obstacles(&value), &value["namespace_pid"]), (vec![], &1.into()), "{value:#}");
    let what = finding(&value, "other-files", "note")["text"].as_str().expect("words");
    assert!(what.contains("mount namespace, root, /tmp"), "{what}");
    finding(&value, "other-pids", "note");
    answers(pid);
    let answer = attach(pid, &["/heap.hprof"]).output().expect("rjcore starts");
    assert!(answer.status.success(), "{}", said(&answer));
    assert!(said(&answer).contains(&format!("/proc/{pid}/root/heap.hprof")), "{}", said(&answer));
    assert!(root.join("heap.hprof").metadata().is_ok_and(|m| m.len() > 1 << 20));
    let mut cmd = Command::new(tool("nsenter"));
    cmd.args(["--target", &pid.to_string(), "--mount", "--pid", "--root", "--wd", "/rjcore"]);
    let inside = text(cmd.args(["attach", "1", "jcmd", "VM.version"]));
    assert!(inside.contains("64-Bit Server VM version"), "{inside}");
    let all: Value = serde_json::from_str(&text(rjcore().args(["ps", "--json"]))).expect("JSON");
    let row =
        all["jvms"].as_array().expect("rows").iter().find(|r| r["pid"] == pid).expect("the JVM");
    let seen = (&row["namespace_pid"], &row["attach"], &row["main"]);
    assert_eq!(seen, (&1.into(), &true.into(), &"StopStress".into()));
    assert!(row["version"].as_str().is_some_and(|v| v.starts_with("17.")), "{row}");
}

/// HotSpot's VM Thread lets SIGQUIT in whatever its starter blocked.
#[test]
#[allow(unsafe_code, reason = "what is done between fork and exec")]
fn a_starter_that_blocks_signals() {
    let dir = Scratch::new("doctor-blocked");
    let mut cmd = Command::new("env");
    let block = || -> io::Result<()> {
        // SAFETY: `set` is initialised by sigemptyset before it is used.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGQUIT);
            libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        }
        Ok(())
    };
    // SAFETY: sigprocmask may be called between fork and exec.
    unsafe { cmd.pre_exec(block) };
    let jvm = Jvm::start_by(cmd, &jdk(17), &FLAGS, "Sample", &dir);
    let pid = jvm.pid() as i32;
    assert_eq!(obstacles(&doctor(pid)), [""; 0]);
    answers(pid);
}

//! What HotSpot's attach door needs, each thing taken away for real: doctor says so before anybody waits, attach says
//! the same, and what could not be seen is called that.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;

use crate::support::child::{Child, Command};
use crate::support::proc;
use crate::support::{Jvm, Scratch, as_nobody, classes, jdk, jdks, rjcore, text, tool};
use serde_json::Value;

const FLAGS: [&str; 2] = ["-Xmx16m", "-XX:+UseSerialGC"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What doctor says by a command that runs rjcore.
fn doctor(mut by: Command, pid: i32) -> Value {
    let out = by.args(["doctor", &pid.to_string(), "--json"]).output().expect("rjcore starts");
    let value: Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&out)));
    assert_eq!(out.status.code(), Some(i32::from(value["verdict"] != "attach")), "{value:#}");
    value
}

fn reasons(value: &Value, weight: &str) -> Vec<String> {
    let all = value["findings"].as_array().expect("findings").iter();
    let all = all.filter(|f| f["weight"] == weight);
    all.map(|f| f["reason"].as_str().expect("a reason").to_owned()).collect()
}

fn what(value: &Value, reason: &str) -> String {
    let all = value["findings"].as_array().expect("findings");
    let found = all.iter().find(|f| f["reason"] == reason);
    found.unwrap_or_else(|| panic!("no {reason} in {value:#}")).to_string()
}

fn attach(by: Command, pid: i32, words: &[&str]) -> Output {
    attach_within("300", by, pid, words)
}

fn attach_within(seconds: &str, mut by: Command, pid: i32, words: &[&str]) -> Output {
    by.args(["attach", "--timeout", seconds, &pid.to_string()]).args(words);
    by.output().expect("rjcore starts")
}

/// The JVM answers to rjcore run by this.
fn answers(by: Command, pid: i32) {
    let out = attach(by, pid, &["jcmd", "VM.version"]);
    assert!(out.status.success(), "{}", said(&out));
    assert!(String::from_utf8_lossy(&out.stdout).contains("Server VM version"), "{out:?}");
}

/// Attach refuses before it waits, with these words; the JVM is not signalled.
fn refused(by: Command, pid: i32, words: &[&str]) {
    let out = attach(by, pid, &["stack"]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    for word in words {
        assert!(said(&out).contains(word), "no {word:?} in {}", said(&out));
    }
    assert!(!said(&out).contains("within 300 s"), "it waited: {}", said(&out));
}

/// rjcore where other users can run it.
struct Open(#[allow(dead_code, reason = "removed when dropped")] tempfile::TempDir, PathBuf);

impl Open {
    fn new() -> Open {
        let open = tempfile::tempdir().expect("a directory");
        let rjcore = open.path().join("rjcore");
        fs::copy(env!("CARGO_BIN_EXE_rjcore"), &rjcore).expect("a copy");
        for path in [open.path(), &rjcore] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
        }
        Open(open, rjcore)
    }

    fn by(&self, mut cmd: Command) -> Command {
        cmd.arg(&self.1);
        cmd
    }
}

/// Runs a command as root with the capabilities that Docker leaves it.
fn without_ptrace() -> Command {
    const DOCKERS: &str = "+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,\
                           +net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap";
    let mut cmd = Command::new(tool("setpriv"));
    cmd.arg(format!("--bounding-set=-all,{DOCKERS}")).arg("--inh-caps=-all");
    cmd
}

fn weak() -> Command {
    let mut cmd = without_ptrace();
    cmd.arg(env!("CARGO_BIN_EXE_rjcore"));
    cmd
}

/// Runs a command as nobody with one capability, which it keeps (systemd's AmbientCapabilities).
fn with_ambient() -> Command {
    let mut cmd = Command::new(tool("setpriv"));
    cmd.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    cmd.args(["--inh-caps=-all,+net_bind_service", "--ambient-caps=+net_bind_service"]);
    cmd
}

fn start(by: Command, dir: &Scratch) -> (Jvm, i32) {
    let jvm = Jvm::start_by(by, &jdk(17), &FLAGS, "Sample", dir);
    let pid = jvm.pid() as i32;
    (jvm, pid)
}

/// A command that runs another in a mount namespace of its own, which this shell text has changed.
fn with_mounts(script: &str) -> Command {
    let mut cmd = Command::new(tool("unshare"));
    cmd.args(["--mount", "--propagation", "private", "sh", "-euc"]);
    cmd.arg(format!("{script}\nexec \"$@\"")).arg("sh");
    cmd
}

/// The kernel shows root without the capability nothing of another user's JVM; as that user it does.
#[test]
fn without_cap_sys_ptrace() {
    let dir = Scratch::new("door-ptrace");
    for by in [as_nobody(), with_ambient()] {
        let (_jvm, pid) = start(by, &dir);
        for _ in 0..2 {
            let value = doctor(weak(), pid);
            assert_eq!(reasons(&value, "obstacle"), [""; 0], "{value:#}");
            assert_eq!(reasons(&value, "note"), ["other-user"], "{value:#}");
            answers(weak(), pid);
        }
        // The maps were read, too.
        assert!(doctor(weak(), pid)["version"].as_str().is_some_and(|v| v.contains("17.")));
    }
}

/// A JVM that changed its user is shown to nobody without the capability: then its mounts tell that /tmp is the same.
#[test]
fn a_jvm_that_may_not_be_looked_at() {
    let dir = Scratch::new("door-undumpable");
    let (_jvm, pid) = start(without_ptrace(), &dir);
    // gdb has it call prctl(PR_SET_DUMPABLE, 0), which is what setuid(2) does to it.
    let mut gdb = Command::new(tool("gdb"));
    let call = "call (int) prctl(4, 0, 0, 0, 0)";
    text(gdb.args(["-q", "-nx", "-batch", "-p", &pid.to_string(), "-ex", call]));
    let value = doctor(weak(), pid);
    assert_eq!(reasons(&value, "obstacle"), [""; 0], "{value:#}");
    // Nothing is called another one that was not seen.
    assert_eq!(reasons(&value, "note"), [""; 0], "{value:#}");
    answers(weak(), pid);

    // With another /tmp there is no way to its socket, and that is said.
    let dir = Scratch::new("door-unseen");
    let by = with_mounts("mount -t tmpfs -o mode=1777 none /tmp; mkdir /tmp/x; cd /tmp/x");
    let (_jvm, pid) = start(by, &dir);
    let value = doctor(weak(), pid);
    assert_eq!(reasons(&value, "obstacle"), ["unseen-files"], "{value:#}");
    assert!(what(&value, "unseen-files").contains("could not be seen"), "{value:#}");
    assert!(value["no_capture_text"].is_string(), "{value:#}");
    let next = value["next"].as_str().expect("a command");
    assert!(!next.contains("sudo") && next.contains("with CAP_SYS_PTRACE"), "{next}");
    refused(weak(), pid, &["could not be seen", "CAP_SYS_PTRACE"]);
    let value = doctor(rjcore(), pid);
    assert_eq!(reasons(&value, "note"), ["other-files"], "{value:#}");
    answers(rjcore(), pid);
}

/// No place for the socket: told before the JVM is asked.
#[test]
fn a_socket_that_cannot_be_made() {
    for (name, mounts, words) in [
        ("read-only", "mount --bind /tmp /tmp; mount -o remount,bind,ro /tmp", "read-only"),
        ("not-writable", "mount -t tmpfs -o mode=755 none /tmp", "may not write"),
        ("no-inodes", "mount -t tmpfs -o nr_inodes=2,mode=1777 none /tmp; : > /tmp/x", "no inode"),
    ] {
        let dir = Scratch::new(&format!("door-{name}"));
        let mut by = with_mounts(mounts);
        by.arg(tool("setpriv")).args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        by.args(["--inh-caps=-all", "--bounding-set=-all"]);
        let jvm = Jvm::start_by(
            by,
            &jdk(17),
            &[&FLAGS[..], &["-XX:-UsePerfData"]].concat(),
            "Sample",
            &dir,
        );
        let pid = jvm.pid() as i32;
        let value = doctor(rjcore(), pid);
        assert_eq!(reasons(&value, "obstacle"), ["no-socket"], "{name}: {value:#}");
        assert!(what(&value, "no-socket").contains(words), "{name}: {value:#}");
        assert_eq!(value["next"], format!("rjcore capture {pid}"));
        refused(rjcore(), pid, &[words, "rjcore capture"]);
    }
}

/// A root of its own without any /tmp.
#[test]
fn no_directory_for_the_socket() {
    let dir = Scratch::new("door-no-tmp");
    let root = dir.path("root");
    fs::create_dir(&root).expect("a directory");
    let mut by = with_mounts(
        "root=$1 classes=$2; shift 2; cd \"$root\"; mkdir -p usr etc proc dev \".$classes\"\n\
         for d in usr etc proc dev; do mount --rbind /$d $d; done\n\
         for d in bin lib lib64; do [ ! -L /$d ] || ln -s \"$(readlink /$d)\" $d; done\n\
         mount --bind \"$classes\" \".$classes\"; [ ! -e tmp ] || exit 9; set -- chroot . \"$@\"",
    );
    by.arg(&root).arg(classes());
    let (_jvm, pid) = start(by, &dir);
    let value = doctor(rjcore(), pid);
    assert_eq!(reasons(&value, "obstacle"), ["no-socket"], "{value:#}");
    assert!(what(&value, "no-socket").contains("no directory /tmp"), "{value:#}");
    refused(rjcore(), pid, &["no directory /tmp", "rjcore capture"]);
}

/// A full file system takes a name where its directory has room by chance: doctor warns, attach tries, and does not
/// wait for what cannot come.
#[test]
fn a_full_file_system() {
    let dir = Scratch::new("door-full");
    let image = dir.path("image");
    fs::File::create(&image).and_then(|f| f.set_len(4 << 20)).expect("a file");
    // Names until the directory has no room.
    let by = with_mounts(&format!(
        "mkfs.ext4 -q -m 0 {0}; mount -o loop {0} /tmp; chmod 1777 /tmp\n\
         dd if=/dev/zero of=/tmp/x bs=1k 2>/dev/null || :\n\
         for n in 200 40 9; do\n\
         i=0; while touch /tmp/$(printf %0${{n}}d $i) 2>/dev/null; do i=$((i+1)); done\n\
         done",
        image.display()
    ));
    let jvm =
        Jvm::start_by(by, &jdk(17), &[&FLAGS[..], &["-XX:-UsePerfData"]].concat(), "Sample", &dir);
    let pid = jvm.pid() as i32;
    let value = doctor(rjcore(), pid);
    assert_eq!(reasons(&value, "warning").first().map(String::as_str), Some("no-socket"));
    assert!(what(&value, "no-socket").contains("is full"), "{value:#}");
    refused(rjcore(), pid, &["/tmp", "No space left", "rjcore capture"]);
}

/// Two that are process 1 of their own namespaces and share /tmp: the other's live socket is not left over.
#[test]
fn two_containers_with_one_tmp() {
    let dir = Scratch::new("door-two");
    let shared = dir.path("shared");
    fs::create_dir(&shared).expect("a directory");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).expect("its mode");
    let one = || {
        let mut cmd = Command::new(tool("unshare"));
        cmd.args([
            "--mount",
            "--pid",
            "--net",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
        ]);
        cmd.args(["sh", "-euc"]);
        cmd.arg(format!(
            "mount -t proc proc /proc; mount --bind {} /tmp; exec \"$@\"",
            shared.display()
        ));
        cmd.arg("sh");
        let jvm = Jvm::start_by(cmd, &jdk(17), &FLAGS, "Sample", &dir);
        let pid = *proc::children(jvm.pid() as i32).first().expect("a child of unshare");
        (jvm, pid)
    };
    let ((jvm, first), (_second, second)) = (one(), one());
    // A JVM that starts deletes the file of that name: the first listens after the second's start.
    answers(rjcore(), first);
    assert_eq!(doctor(rjcore(), first)["open"], true);
    let value = doctor(rjcore(), second);
    assert_eq!(reasons(&value, "obstacle"), ["foreign-socket"], "{value:#}");
    assert!(!value.to_string().contains("rm /"), "{value:#}");
    refused(rjcore(), second, &["is another's"]);
    // Once the first is gone, it is.
    drop(jvm);
    proc::until("it is gone", || proc::status(first, first).is_none());
    let value = doctor(rjcore(), second);
    assert_eq!(reasons(&value, "warning"), ["stale-socket"], "{value:#}");
    answers(rjcore(), second);
}

/// The door lies elsewhere with -XX:AltTempDir, which came with 28: before and after it listens, and where only the
/// flag itself or a file of arguments tells.
#[test]
fn another_temporary_directory() {
    let dir = Scratch::new("door-alt");
    let alt = dir.path("alt");
    fs::create_dir(&alt).expect("a directory");
    let flag = format!("-XX:AltTempDir={}", alt.display());
    let arguments = dir.path("arguments");
    fs::write(&arguments, format!("# its options\n{flag}\n-XX:-UsePerfData\n")).expect("a file");
    for by in [flag, format!("@{}", arguments.display())] {
        let flags = [&FLAGS[..], &[by.as_str()]].concat();
        let jvm = jdks::start(jdks::newest(), &flags, "Sample", &dir);
        let pid = jvm.pid() as i32;
        assert_eq!(reasons(&doctor(rjcore(), pid), "obstacle"), [""; 0]);
        answers(rjcore(), pid);
        assert!(alt.join(format!(".java_pid{pid}")).exists());
        assert_eq!(doctor(rjcore(), pid)["open"], true);
    }
}

/// Switched off where the command line does not show it: the flag itself is read; without the right to, the file.
#[test]
fn switched_off_out_of_sight() {
    let dir = Scratch::new("door-off");
    let arguments = dir.path("arguments");
    fs::write(&arguments, "-XX:+DisableAttachMechanism -XX:-UsePerfData\n").expect("a file");
    let at = format!("@{}", arguments.display());
    let start = |version| {
        let flags = [&FLAGS[..], &[at.as_str()]].concat();
        let jvm = Jvm::start(version, &flags, "Sample", &dir);
        let pid = jvm.pid() as i32;
        (jvm, pid)
    };
    let (_jvm, pid) = start(17);
    // By the file of arguments, and by memory alone.
    let value = doctor(rjcore(), pid);
    assert_eq!(reasons(&value, "obstacle"), ["disabled"], "{value:#}");
    assert!(what(&value, "disabled").contains(&format!("in {at}")), "{value:#}");
    refused(rjcore(), pid, &["DisableAttachMechanism", "rjcore capture"]);
    fs::remove_file(&arguments).expect("the file");
    let value = doctor(rjcore(), pid);
    assert_eq!(reasons(&value, "obstacle"), ["disabled"], "{value:#}");
    assert!(what(&value, "disabled").contains("in its memory"), "{value:#}");
    refused(rjcore(), pid, &["DisableAttachMechanism", "rjcore capture"]);
    // Neither: a doubt, and said before a signal is sent. gdb's own trace bars others from the memory, too.
    let mut gdb = Command::new(tool("gdb"));
    let call = "call (int) prctl(4, 0, 0, 0, 0)";
    text(gdb.args(["-q", "-nx", "-batch", "-p", &pid.to_string(), "-ex", call]));
    let value = doctor(weak(), pid);
    assert_eq!(reasons(&value, "warning"), ["unseen-options"], "{value:#}");
    assert!(what(&value, "unseen-options").contains("could not be read"), "{value:#}");
    let out = attach_within("5", weak(), pid, &["stack"]);
    assert_eq!(out.status.code(), Some(1));
    let (doubt, end) = (said(&out).find("could not be seen"), said(&out).find("within 5 s"));
    assert!(doubt.is_some() && doubt < end, "{}", said(&out));
}

/// jcmd refuses a socket that others may use.
#[test]
fn a_socket_open_to_all() {
    let dir = Scratch::new("door-666");
    let (_jvm, pid) = start(Command::new("env"), &dir);
    answers(rjcore(), pid);
    let socket = format!("/tmp/.java_pid{pid}");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("its mode");
    let mut jcmd = Command::new(jdk(17).join("bin/jcmd"));
    let jcmd = jcmd.args([&pid.to_string(), "VM.version"]).output().expect("jcmd starts");
    assert!(!jcmd.status.success(), "jcmd does not mind: {jcmd:?}");
    let value = doctor(rjcore(), pid);
    assert_eq!(reasons(&value, "warning"), ["loose-socket"], "{value:#}");
    answers(rjcore(), pid);
}

/// A /proc that hides others' processes altogether.
#[test]
fn a_process_that_is_hidden() {
    let open = Open::new();
    let own = std::process::id() as i32;
    let nobodys = || {
        let mut cmd = with_mounts("mount -t proc -o hidepid=invisible proc /proc; cd /tmp");
        cmd.arg(tool("setpriv")).args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        cmd.args(["--inh-caps=-all", "--bounding-set=-all"]);
        open.by(cmd)
    };
    let value = doctor(nobodys(), own);
    assert_eq!(reasons(&value, "obstacle"), ["hidden"], "{value:#}");
    assert_eq!(value["next"], format!("sudo rjcore doctor {own}"));
    refused(nobodys(), own, &["hidepid"]);
    let mut cmd = nobodys();
    let out = cmd.args(["capture", "-o", "-", &own.to_string()]).output().expect("rjcore starts");
    assert!(said(&out).contains("hidepid"), "{}", said(&out));
}

/// The first process of a machine or a container, which root may not always look at.
#[test]
fn what_root_is_not_shown() {
    struct Sleep(Child);
    impl Drop for Sleep {
        fn drop(&mut self) {
            self.0.kill().expect("kill");
            self.0.wait().expect("its end");
        }
    }
    let sleep = Sleep(Command::new("sleep").arg("600").spawn().expect("sleep"));
    let pid = sleep.0.id() as i32;
    // It has a capability that rjcore has not.
    let value = doctor(weak(), pid);
    assert_eq!(reasons(&value, "obstacle"), ["hidden"], "{value:#}");
    assert!(what(&value, "hidden").contains("without CAP_SYS_PTRACE"), "{value:#}");
    assert!(!value.to_string().contains("sudo") && !value.to_string().contains("another /tmp"));
    let open = Open::new();
    let value = doctor(open.by(as_nobody()), pid);
    assert_eq!(reasons(&value, "obstacle"), ["hidden"], "{value:#}");
    assert!(!value.to_string().contains("another /tmp"), "{value:#}");
}

//! Captures across users and namespaces: of a JVM of another user, by a user without rights, of a JVM in a
//! container, and from within that container.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use crate::support::child::Command;
use crate::support::container::{Container, container};
use crate::support::proc::{status, until};
use crate::support::stress::{SMALL, Stress, capture, taken};
use crate::support::{Jvm, PATIENTLY, Scratch, as_nobody, jdk, rjcore, tool};

const METHODS: [&str; 3] = ["fork", "precopy", "stop"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn jvm_of_nobody(version: u32, dir: &Scratch) -> Stress {
    let jvm = Jvm::start_by(as_nobody(), &jdk(version), &SMALL, "StopStress", dir);
    let stress = Stress::of(jvm);
    let pid = stress.pid();
    assert!(status(pid, pid).is_some_and(|s| s["Uid"].starts_with("65534")), "it is not nobody's");
    stress
}

/// A directory that everyone may write to, with rjcore in it.
fn open_to_all() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let rjcore = dir.path().join("rjcore");
    fs::copy(env!("CARGO_BIN_EXE_rjcore"), &rjcore).expect("a copy of rjcore");
    fs::set_permissions(&rjcore, fs::Permissions::from_mode(0o755)).expect("its mode");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("its mode");
    (dir, rjcore)
}

/// A core that rjcore reads in full or, in the middle of something, nearly.
fn is_readable(core: &Path) {
    let answer = rjcore().arg("histo").arg(core).output().expect("rjcore starts");
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(matches!(answer.status.code(), Some(0 | 3)), "{}", said(&answer));
    assert!(text.contains("StopStress$Marker"), "{text} {}", said(&answer));
}

#[test]
fn root_captures_a_jvm_of_another_user() {
    let dir = Scratch::new("elsewhere-root");
    let mut stress = jvm_of_nobody(17, &dir);
    let core = dir.path("core");
    for method in METHODS {
        taken(&mut capture(stress.pid(), &core, &["--snapshot", method]));
        is_readable(&core);
        stress.is_clean(method);
    }
    stress.ends_well("captures by root");
}

#[test]
fn a_user_captures_their_own_jvm() {
    let dir = Scratch::new("elsewhere-own");
    let (open, rjcore) = open_to_all();
    for version in [17, 25] {
        let mut stress = jvm_of_nobody(version, &dir);
        let core = open.path().join("core");
        for method in METHODS {
            let mut cmd = as_nobody();
            cmd.arg(&rjcore).args([
                "capture",
                PATIENTLY,
                &stress.pid().to_string(),
                "--overwrite",
                "-o",
            ]);
            taken(cmd.arg(&core).args(["--snapshot", method]));
            is_readable(&core);
            stress.is_clean(method);
        }
        stress.ends_well("captures by its user");
    }
}

#[test]
fn a_user_may_not_capture_a_jvm_of_root() {
    let dir = Scratch::new("elsewhere-refused");
    let (open, rjcore) = open_to_all();
    let mut stress = Stress::start(17, &["-XX:+UseSerialGC"], "", &dir);
    let core = open.path().join("core");
    for method in METHODS {
        let mut cmd = as_nobody();
        cmd.arg(&rjcore).args(["capture", PATIENTLY, &stress.pid().to_string(), "-o"]).arg(&core);
        let answer = cmd.args(["--snapshot", method]).output().expect("rjcore starts");
        assert_eq!(answer.status.code(), Some(1), "{}", said(&answer));
        for words in ["uid 0 gid 0", "uid 65534 gid 65534", "CAP_SYS_PTRACE", "sudo", "SYS_PTRACE"]
        {
            assert!(said(&answer).contains(words), "no {words:?} in {}", said(&answer));
        }
        assert_eq!(fs::read_dir(open.path()).expect("the directory").count(), 1, "only rjcore");
        stress.is_clean(method);
    }
    // Nor may they write where they may not.
    let own = jvm_of_nobody(17, &dir);
    let mut cmd = as_nobody();
    cmd.arg(&rjcore)
        .args(["capture", PATIENTLY, &own.pid().to_string(), "-o"])
        .arg(dir.path("core"));
    let answer = cmd.output().expect("rjcore starts");
    assert_eq!(answer.status.code(), Some(1), "{}", said(&answer));
    assert!(said(&answer).contains("Permission denied"), "{}", said(&answer));
    own.ends("a refused output");
    stress.ends_well("refusals");
}

fn in_a_container(version: u32) {
    let dir = Scratch::new(&format!("elsewhere-container-{version}"));
    let Container { jvm, pid, root } = container(version, &SMALL, "StopStress", &dir);
    let mut stress = Stress::of_pid(jvm, pid);
    let core = dir.path("core");
    for method in METHODS {
        taken(&mut capture(pid, &core, &["--snapshot", method]));
        // The host has no such file: all that is needed is in the core.
        assert!(!Path::new("/opt/hidden-jdk").exists());
        is_readable(&core);
        let dump = dir.path("heap.hprof");
        let mut cmd = rjcore();
        let dumped = cmd.arg("dump").arg(&core).arg("-o").arg(&dump).arg("--overwrite").output();
        let dumped = dumped.expect("rjcore starts");
        assert!(matches!(dumped.status.code(), Some(0 | 3)), "{}", said(&dumped));
        stress.is_clean(&format!("{method} from the host"));
    }
    // From within, it is process 1, and rjcore sees the container only.
    for method in METHODS {
        let mut cmd = Command::new(tool("nsenter"));
        cmd.args(["--target", &pid.to_string(), "--mount", "--pid", "--root", "--wd", "/rjcore"]);
        taken(cmd.args([
            "capture",
            PATIENTLY,
            "1",
            "-o",
            "/core",
            "--overwrite",
            "--snapshot",
            method,
        ]));
        is_readable(&root.join("core"));
        stress.is_clean(&format!("{method} from within"));
    }
    stress.ends("captures in a container");
    until("the end of the namespace", || status(pid, pid).is_none());
}

#[test]
fn a_jvm_in_a_container_17() {
    in_a_container(17);
}

#[test]
fn a_jvm_in_a_container_25() {
    in_a_container(25);
}

//! A program that has more than one libjvm.so: the VM that lives is the one that is meant. And one with a libjvm.so
//! and no VM, not yet or not any more.

use std::path::{Path, PathBuf};

use crate::support::child::Command;
use crate::support::{Jvm, PATIENTLY, Scratch, classes, jdk, rjcore, run, text, tool};
use serde_json::Value;

fn launcher(dir: &Scratch) -> PathBuf {
    let out = dir.path("launcher");
    let include = jdk(17).join("include");
    run(Command::new(tool("cc"))
        .args(["-O1", "-Wall", "-Werror", "-o"])
        .arg(&out)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/launcher.c"))
        .arg("-I")
        .arg(&include)
        .arg("-I")
        .arg(include.join("linux"))
        .arg("-ldl"));
    out
}

fn libjvm(version: u32) -> PathBuf {
    jdk(version).join("lib/server/libjvm.so")
}

fn start(mode: &str, version: u32, other: u32, dir: &Scratch) -> Jvm {
    let mut cmd = Command::new(launcher(dir));
    cmd.arg(mode).args([libjvm(version), libjvm(other)]).arg(classes()).arg("Sample");
    Jvm::launch(cmd, Vec::new(), dir)
}

fn doctor(pid: u32) -> Value {
    let out = rjcore().args(["doctor", "--json", &pid.to_string()]).output().expect("rjcore");
    serde_json::from_slice(&out.stdout).expect("JSON")
}

#[test]
fn of_two_the_one_that_lives() {
    for (version, other) in [(17, 25), (25, 17)] {
        let dir = Scratch::new(&format!("launcher-two-{version}"));
        let jvm = start("two", version, other, &dir);
        let pid = jvm.pid().to_string();
        let value = doctor(jvm.pid());
        assert_eq!(value["verdict"], "attach", "{value:#}");
        let named = value["version"].as_str().expect("a version").to_owned();
        assert!(named.starts_with(&format!("JDK {version}")), "{named}");
        // No command line, no counters have a main class: the program is named.
        assert_eq!(value["main"], "launcher", "{value:#}");
        let said = text(rjcore().args(["attach", &pid, "VM.version"]));
        assert!(said.contains(&format!("JDK {version}")), "{said}");
        // The same objects as the JVM counts itself.
        let core = dir.path("core");
        let out = run(rjcore().args(["capture", PATIENTLY, &pid, "-o"]).arg(&core));
        assert_eq!(out.status.code(), Some(0));
        let histogram = text(rjcore().arg("histo").arg(&core));
        assert!(histogram.contains(" java.lang.String"), "{histogram}");
        let info: Value = serde_json::from_str(&text(rjcore().args(["info", "--json"]).arg(&core)))
            .expect("JSON");
        assert!(info.to_string().contains(&format!("\"{version}.")), "{info:#}");
        // Each of both is right for its own mapping; a third one is not.
        for right in [version, other] {
            run(rjcore().args(["histo", "--top", "1", "--jvm"]).arg(libjvm(right)).arg(&core));
        }
    }
}

#[test]
fn a_library_without_a_vm() {
    for (mode, words) in [("none", "made no VM"), ("destroyed", "was destroyed")] {
        let dir = Scratch::new(&format!("launcher-{mode}"));
        let jvm = start(mode, 17, 25, &dir);
        let pid = jvm.pid();
        let value = doctor(pid);
        let found = &value["findings"][0];
        assert_eq!(found["reason"], "no-vm", "{value:#}");
        assert!(found["text"].as_str().is_some_and(|w| w.contains(words)), "{value:#}");
        assert_eq!(value["next"], "rjcore ps");
        let out = rjcore().args(["attach", &pid.to_string(), "stack"]).output().expect("rjcore");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(1) && said.contains(words), "{said}");
        if mode == "none" {
            let out = rjcore().args(["histo", &pid.to_string()]).output().expect("rjcore");
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(out.status.code() == Some(1) && said.contains("no VM was made"), "{said}");
        }
    }
}

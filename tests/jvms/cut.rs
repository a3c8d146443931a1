//! Cores that lost their end: to a full disk, to a limit, on the way from another machine.

use crate::support::child::Command;
use crate::support::{Jvm, PATIENTLY, Scratch, rjcore, text};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Instances by class, and the exit code.
fn histogram(core: &Path) -> (BTreeMap<String, u64>, Option<i32>) {
    let out = rjcore().args(["histo", "--json"]).arg(core).output().expect("rjcore");
    let said = String::from_utf8_lossy(&out.stderr);
    let json: serde_json::Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    let classes = json["classes"].as_array().expect("classes").iter();
    let count = |c: &serde_json::Value| {
        (c["name"].as_str().expect("a name").to_owned(), c["instances"].as_u64().expect("a number"))
    };
    (classes.map(count).collect(), out.status.code())
}

/// The first `percent` of a file.
fn cut(file: &Path, percent: u64, dir: &Scratch) -> PathBuf {
    let to = dir.path("cut");
    crate::support::run(Command::new("cp").arg("--sparse=always").arg(file).arg(&to));
    let len = fs::metadata(file).expect("the core").len() * percent / 100;
    fs::File::options().write(true).open(&to).and_then(|f| f.set_len(len)).expect("to cut");
    to
}

/// What leads to the heap comes before it, in captured cores and in those that `trim` writes.
#[test]
fn what_is_left_of_our_own_cores_is_read() {
    let dir = Scratch::new("cut-own");
    let flags = ["-XX:+UseSerialGC", "-Xms256m", "-Xmx256m"];
    let jvm = Jvm::start(17, &flags, "Growing regions 100", &dir);
    let (core, small) = (dir.path("own.core"), dir.path("small.core"));
    text(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    text(rjcore().arg("trim").arg(&core).arg("-o").arg(&small));
    for core in [core, small] {
        let (all, code) = histogram(&core);
        assert_eq!(code, Some(0));
        let mut before = 0;
        for percent in [20, 50, 80] {
            let part = cut(&core, percent, &dir);
            let (found, _) = histogram(&part);
            // A class that is found has no more instances than there were.
            for (class, n) in &found {
                assert!(all.get(class).is_some_and(|all| n <= all), "{class}: {n}");
            }
            let objects: u64 = found.values().sum();
            assert!(objects >= before && objects > 0, "{percent} %: {objects}");
            before = objects;
            let whole = all.values().sum::<u64>() == objects;
            let mut dump = rjcore();
            dump.args(["dump", "--overwrite", "-o"]).arg(dir.path("hprof")).arg(&part);
            let code = dump.output().expect("rjcore").status.code();
            assert_eq!(code, Some(if whole { 0 } else { 3 }), "{percent} %");
            let stack = rjcore().arg("stack").arg(&part).output().expect("rjcore");
            let stack = String::from_utf8_lossy(&stack.stdout).into_owned();
            assert!(stack.contains("Growing.ready"), "{percent} %: {stack}");
        }
    }
}

/// The kernel writes by address: libjvm's data lies far behind.
#[test]
fn lost_data_is_not_called_a_lost_file() {
    let dir = Scratch::new("cut-kernel");
    let flags = ["-XX:+UseSerialGC", "-Xms64m", "-Xmx64m"];
    let jvm = Jvm::start(17, &flags, "Growing regions 10", &dir);
    let core = jvm.abort(&dir);
    let part = cut(&core, 60, &dir);
    for command in [&["histo"][..], &["stack"], &["dump", "-o", "/dev/null"]] {
        let out = rjcore().args(command).arg(&part).output().expect("rjcore");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains("of libjvm's data") && said.contains("cut off"), "{said}");
        assert!(said.contains("ulimit -c") && !said.contains("--jvm"), "{said}");
    }
    for command in ["check", "info"] {
        let out = rjcore().arg(command).arg(&part).output().expect("rjcore");
        let said = [out.stdout, out.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("of libjvm's data") && !said.contains("--jvm"), "{said}");
        assert!(!said.contains("the process had /"), "{said}");
    }
}

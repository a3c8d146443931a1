//! How the tests start other programs, which is by `support::child` alone.

use std::fs;
use std::path::Path;

use crate::support::child::Command;

#[test]
fn signals_are_those_of_a_terminal() {
    const TEST: &str = "children::signals_are_those_of_a_terminal";
    // As nohup and a background job of a shell do it, for a process that is this test again.
    let own = std::env::current_exe().expect("this program");
    if std::env::var_os("RJCORE_TEST_IGNORED").is_none() {
        let mut ignoring = Command::new("sh");
        ignoring
            .args(["-c", "trap '' INT QUIT HUP TERM; RJCORE_TEST_IGNORED=1 exec \"$0\" \"$@\""]);
        let out = ignoring.arg(own).args(["--exact", TEST, "--nocapture"]).output().expect("sh");
        let said = [out.stdout, out.stderr].map(|s| String::from_utf8_lossy(&s).into_owned());
        assert!(out.status.success() && said[0].contains("1 passed"), "{said:?}");
        return;
    }
    let ignored = |status: &str| {
        let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:\t")).expect("a mask");
        // 32 and 33 are the C library's own, which it lets nobody change.
        u64::from_str_radix(mask, 16).expect("hexadecimal") & !(3 << 31)
    };
    let here = fs::read_to_string("/proc/self/status").expect("our own");
    assert_ne!(ignored(&here), 0);
    let there = Command::new("cat").arg("/proc/self/status").output().expect("cat");
    assert_eq!(ignored(&String::from_utf8_lossy(&there.stdout)), 0);
}

/// Also how a test that fails leaves nothing: what it started is gone with it.
#[test]
fn a_child_that_is_dropped_is_gone() {
    let child = Command::new("sleep").arg("1000").spawn().expect("sleep");
    let proc = format!("/proc/{}", child.id());
    assert!(Path::new(&proc).exists());
    drop(child);
    assert!(!Path::new(&proc).exists());
}

#[test]
fn all_tests_start_children_this_way() {
    fn sources(dir: &Path, out: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut all);
    assert!(all.len() > 50, "{}", all.len());
    let taken = |line: &str| {
        let at = line.split_once(concat!("std::", "process::")).map_or("", |(_, names)| names);
        ["Command", "Child"].iter().any(|name| {
            let is = |word: &str| word == *name;
            at.split(|c: char| !c.is_alphanumeric()).any(is)
        })
    };
    assert!(taken("use std::process::{Child, Output};") && taken("x = std::process::Command::new"));
    assert!(!taken("use std::process::{ChildStdin, Stdio};"));
    for path in
        all.iter().filter(|p| !p.ends_with("support/child.rs") && !p.ends_with("quick/children.rs"))
    {
        let text = fs::read_to_string(path).expect("a source");
        let line = text.lines().position(taken);
        assert_eq!(line, None, "{}: std's Command or Child (line from 0)", path.display());
    }
}

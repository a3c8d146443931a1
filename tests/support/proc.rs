//! What /proc says of a JVM: whether anything of a capture is left in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::child::LIMIT;

/// Waits until `done` holds; panics with `what` once `LIMIT` is over.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A number in the name of each entry of a directory of /proc.
fn numbers(dir: &str) -> Vec<i32> {
    let entries = fs::read_dir(dir).map(|d| d.flatten().collect()).unwrap_or_else(|_| Vec::new());
    entries.iter().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

/// The threads of a process.
pub fn tasks(pid: i32) -> Vec<i32> {
    numbers(&format!("/proc/{pid}/task"))
}

/// proc_pid_status(5) of a thread; `None` once it has ended.
pub fn status(pid: i32, tid: i32) -> Option<BTreeMap<String, String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    let pair = |l: &str| l.split_once(':').map(|(k, v)| (k.to_owned(), v.trim().to_owned()));
    Some(text.lines().filter_map(pair).collect())
}

/// A process's fields in proc_pid_stat(5) from the third (state) on.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// The state letter of a process.
pub fn state(pid: i32) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// The processes whose parent is `pid`.
pub fn children(pid: i32) -> Vec<i32> {
    let parent = pid.to_string();
    numbers("/proc").into_iter().filter(|p| stat(*p).is_some_and(|s| s[1] == parent)).collect()
}

/// The snapshots that a capture made of `pid`, alive or not: its children without an exit signal, which
/// no JVM has of its own. With each its state.
pub fn snapshots(pid: i32) -> Vec<(i32, char)> {
    // Field 38 is the exit signal.
    let made_by_us = |p: &i32| stat(*p).is_some_and(|s| s[35] == "0");
    children(pid).into_iter().filter(made_by_us).filter_map(|p| Some((p, state(p)?))).collect()
}

/// The descriptors of `pid` that are a userfaultfd.
pub fn userfaultfds(pid: i32) -> usize {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).expect("the descriptors").flatten();
    let links = links.filter_map(|e| fs::read_link(e.path()).ok());
    links.filter(|l| l == Path::new("anon_inode:[userfaultfd]")).count()
}

/// Whether a signal that was sent to a process has not come to it yet: a second one would be lost.
pub fn is_pending(pid: i32, signal: i32) -> bool {
    let pending = status(pid, pid).and_then(|s| u64::from_str_radix(s.get("ShdPnd")?, 16).ok());
    pending.is_some_and(|p| p & 1 << (signal - 1) != 0)
}

/// The signals that each thread blocks, by thread and name.
pub fn masks(pid: i32) -> BTreeMap<(i32, String), String> {
    let mask = |tid| {
        let mut s = status(pid, tid)?;
        Some(((tid, s.remove("Name")?), s.remove("SigBlk")?))
    };
    tasks(pid).into_iter().filter_map(mask).collect()
}

/// What a capture left in a process that it is done with; empty if nothing.
pub fn traces(pid: i32) -> Vec<String> {
    let mut out = Vec::new();
    for tid in tasks(pid) {
        let Some(s) = status(pid, tid) else { continue };
        let (name, state) = (&s["Name"], &s["State"]);
        if state.starts_with(['t', 'T']) {
            out.push(format!("thread {tid} \"{name}\" is in state {state}"));
        }
        if s["TracerPid"] != "0" {
            out.push(format!("thread {tid} \"{name}\" is traced by {}", s["TracerPid"]));
        }
    }
    out
}

/// Asserts that no snapshot of `pid` lives; a killed one may take a moment to end.
pub fn no_snapshot_lives(pid: i32) {
    let living = || snapshots(pid).into_iter().filter(|s| !matches!(s.1, 'Z' | 'X')).count();
    until("the end of all snapshots", || living() == 0);
}

//! Many captures of one JVM in a row, while its threads do all they can: each core is read, and the JVM is well
//! after each.
//!
//! `RJCORE_CAPTURES=200` is the full run: so many captures in a row, instead of 20 with G1 on JDK 17 and 4
//! with each of the others.

use std::path::Path;

use crate::support::child::{Child, Command};
use crate::support::proc::{snapshots, userfaultfds};
use crate::support::stress::{Stress, capture, caught_collecting, taken};
use crate::support::{Scratch, gcore, rjcore};

const METHODS: [&str; 3] = ["fork", "precopy", "stop"];
/// StopStress rests so little that its threads keep all CPUs busy.
const BUSY: &str = "5";
/// StopStress has so many of its markers from before its READY on.
const MARKERS: u64 = 1234;

/// What rjcore's histogram says of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Whole,
    /// Threads had taken memory for an object and not yet written its header, as they do at any time.
    Making,
    /// Taken in the middle of a collection.
    Collecting,
}

/// Threads of StopStress that make objects, and the largest that they make.
const MAKERS: u64 = 30;
const LARGEST: u64 = 256 << 10;

fn histogram(core: &Path) -> Seen {
    let said = rjcore().arg("histo").arg(core).arg("--json").output().expect("rjcore starts");
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    let json: serde_json::Value = serde_json::from_slice(&said.stdout)
        .unwrap_or_else(|e| panic!("{}: {e}: {} {err}", core.display(), said.status));
    let gaps = &json["gaps"];
    let seen = match said.status.code() {
        Some(0) => Seen::Whole,
        Some(3) if gaps["collection"]["affected"] == true => Seen::Collecting,
        // Nothing else may be missing in the core of a process that stood still.
        Some(3) => {
            let of_all = [&gaps["metadata"], &gaps["missing_files"]];
            assert!(of_all.iter().all(|a| a.as_array().is_some_and(Vec::is_empty)), "{gaps}");
            assert!(gaps["truncated"].is_null(), "{gaps}");
            let stretches = gaps["damaged_stretches"].as_u64().expect("a number");
            let bytes = gaps["damaged_bytes"].as_u64().expect("a number");
            assert!((1..=MAKERS).contains(&stretches) && bytes <= stretches * LARGEST, "{gaps}");
            Seen::Making
        }
        code => panic!("rjcore histo answers {code:?}: {err}"),
    };
    if seen != Seen::Collecting {
        let classes = json["classes"].as_array().expect("classes");
        let markers = classes.iter().find(|c| c["name"] == "StopStress$Marker");
        let markers = markers.and_then(|c| c["instances"].as_u64());
        assert_eq!(markers, Some(MARKERS), "markers in {}: {gaps}", core.display());
    }
    seen
}

/// "17 Whole, 2 Making, 1 Collecting".
fn tally(seen: &[Seen]) -> String {
    let all = [Seen::Whole, Seen::Making, Seen::Collecting];
    let count = |s: &Seen| format!("{} {s:?}", seen.iter().filter(|o| *o == s).count());
    all.iter().map(count).collect::<Vec<_>>().join(", ")
}

/// How many captures in a row.
fn count(in_ci: usize) -> usize {
    let n = std::env::var("RJCORE_CAPTURES").ok().and_then(|n| n.parse().ok());
    n.unwrap_or(in_ci)
}

fn in_a_row(name: &str, version: u32, flags: &[&str], arguments: &str, n: usize) {
    let dir = Scratch::new(&format!("many-{name}-{version}"));
    let mut stress = Stress::start(version, flags, arguments, &dir);
    let core = dir.path("core");
    let mut seen = Vec::new();
    for i in 0..n {
        let method = METHODS[i % METHODS.len()];
        taken(&mut capture(stress.pid(), &core, &["--snapshot", method]));
        seen.push(histogram(&core));
        stress.is_clean(&format!("capture {i}, {method}"));
        assert_eq!(userfaultfds(stress.pid()), 0, "after capture {i}, {method}");
    }
    let whole = seen.iter().filter(|s| **s == Seen::Whole).count();
    // Some cores by gdb for comparison: they too are of whatever the JVM was at.
    let mut by_gdb = Vec::new();
    for _ in 0..n / 6 {
        let core = dir.path("gcore");
        gcore(stress.pid() as u32, &core);
        by_gdb.push(histogram(&core));
    }
    println!("{name} {version}: {n} captures, {}; gcore: {}", tally(&seen), tally(&by_gdb));
    // Four of five are; of few in a row, one at least.
    assert!(whole >= (n / 3).max(1), "only {whole} of {n} cores are whole");
    // Nothing is left that this one would have to clear away.
    assert_eq!(snapshots(stress.pid()), []);
    stress.ends_well(&format!("{n} captures"));
}

#[test]
fn g1_17() {
    in_a_row("g1", 17, &["-XX:+UseG1GC"], BUSY, count(20));
}

#[test]
fn g1_25() {
    in_a_row("g1", 25, &["-XX:+UseG1GC"], BUSY, count(4));
}

#[test]
fn serial_17_with_fork() {
    let flags = ["-XX:+UseSerialGC", "-Djdk.lang.Process.launchMechanism=FORK"];
    in_a_row("serial", 17, &flags, BUSY, count(4));
}

#[test]
fn serial_25() {
    in_a_row("serial", 25, &["-XX:+UseSerialGC"], BUSY, count(4));
}

#[test]
fn parallel_17_with_vfork() {
    let flags = ["-XX:+UseParallelGC", "-Djdk.lang.Process.launchMechanism=VFORK"];
    in_a_row("parallel", 17, &flags, BUSY, count(4));
}

#[test]
fn parallel_25() {
    in_a_row("parallel", 25, &["-XX:+UseParallelGC"], BUSY, count(4));
}

/// Threads are made and end all the time, more than a thousand a second.
#[test]
fn while_threads_come_and_go() {
    in_a_row("threads", 17, &["-XX:+UseSerialGC"], "1 60", count(9));
}

/// More threads than are each stopped: those that sleep are held, and some of them wake up meanwhile.
#[test]
fn with_many_threads() {
    in_a_row("sleepers", 17, &["-XX:+UseG1GC", "-Dsleepers=300"], BUSY, count(6));
}

/// Two at a time: one is refused or waits, none harms the other or the JVM.
#[test]
fn two_at_a_time() {
    let dir = Scratch::new("many-two");
    let mut stress = Stress::start(17, &[], "", &dir);
    let (one, two) = (dir.path("one"), dir.path("two"));
    let mut whole = 0;
    for i in 0..count(6) {
        let method = METHODS[i % METHODS.len()];
        let start = |out: &Path| -> (Child, std::path::PathBuf) {
            let mut cmd: Command = capture(stress.pid(), out, &["--snapshot", method]);
            (cmd.stderr(std::process::Stdio::piped()).spawn().expect("rjcore"), out.to_owned())
        };
        for (child, core) in [start(&one), start(&two)] {
            let answer = child.wait_with_output().expect("its end");
            let said = String::from_utf8_lossy(&answer.stderr);
            match answer.status.code() {
                Some(0 | 3) if answer.status.success() || caught_collecting(&said) => {
                    histogram(&core);
                    whole += 1;
                }
                Some(1) => {
                    assert!(!core.exists() && said.contains("cannot capture process"), "{said}");
                }
                code => panic!("{code:?}: {said}"),
            }
            let _ = std::fs::remove_file(&core);
        }
        stress.is_well(&format!("two captures at a time, {method}"));
    }
    println!("two at a time: {whole} of {} whole", 2 * count(6));
    assert!(whole > 0, "no capture of two at a time is whole");
    taken(&mut capture(stress.pid(), &one, &["--snapshot", "fork"]));
    stress.ends_well("two captures at a time");
}

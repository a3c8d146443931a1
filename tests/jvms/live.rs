//! What `rjcore attach` gets from a live JVM, against what the tools of that JDK print, on JDK 8 to 25; and `ps`.
//!
//! Each test starts tests/java/Everything, lets the JDK's own tool ask first (so that the door is open and its classes
//! are loaded), and then compares rjcore's answer with the tool's.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::support::child::Command;
use crate::support::compare::{compare, everything, tlab_fillers};
use crate::support::counts::jcmd_histogram;
use crate::support::{Jvm, Scratch, jdks, library, rjcore, run, text};

/// An idle JVM whose threads stay the same.
const FLAGS: [&str; 5] = [
    "-Xmx64m",
    "-XX:+UseSerialGC",
    "-XX:ReservedCodeCacheSize=32m",
    "-XX:CompressedClassSpaceSize=16m",
    "-Xint",
];

fn attach(pid: u32, words: &[&str]) -> Command {
    let mut cmd = rjcore();
    cmd.arg("attach").arg(pid.to_string()).args(words);
    cmd
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a tool of the JDK prints of the JVM.
fn tool(version: u32, program: &str, words: &[&str], pid: u32) -> String {
    text(jdks::command(version, program).args(words).arg(pid.to_string()))
}

/// Lines of a thread dump without what changes by itself: the time in its head, times of threads, counts of handles,
/// and the addresses of the lists of threads.
fn still(dump: &str) -> Vec<String> {
    let line = |l: &str| -> String {
        let moves =
            |w: &&str| ["cpu=", "elapsed=", "_java_thread_list="].iter().any(|p| w.starts_with(p));
        l.split(' ').filter(|w| !moves(w)).collect::<Vec<_>>().join(" ")
    };
    dump.lines().skip(1).filter(|l| !l.starts_with("JNI global ref")).map(line).collect()
}

/// Asks both until they say the same: a process is never wholly still.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, theirs: impl Fn() -> T, ours: impl Fn() -> T) {
    let mut last = None;
    for _ in 0..4 {
        let (a, b) = (theirs(), ours());
        if a == b {
            return;
        }
        last = Some((a, b));
    }
    let (a, b) = last.expect("four differences");
    panic!("{what} differ:\ntheirs {a:#?}\nours {b:#?}");
}

/// No file of the handshake is left where the JVM runs.
fn tidy(pid: u32) {
    for place in ["cwd", "root/tmp"] {
        let file = format!("/proc/{pid}/{place}/.attach_pid{pid}");
        assert!(!Path::new(&file).exists(), "{file} was left");
    }
}

fn answers(version: u32) {
    let dir = Scratch::new(&format!("live-{version}"));
    let jvm = jdks::start(version, &FLAGS, "Everything", &dir);
    let pid = jvm.pid();
    // The first knock is ours: the JVM does not listen yet.
    assert!(!Path::new(&format!("/proc/{pid}/root/tmp/.java_pid{pid}")).exists());
    let first = text(&mut attach(pid, &["jcmd", "VM.version"]));
    tidy(pid);
    assert_eq!(format!("{pid}:\n{first}"), jvm.jcmd(&["VM.version"]), "jcmd VM.version");

    let flag = |name: &str| text(&mut attach(pid, &["printflag", name]));
    let theirs = tool(version, "jinfo", &["-flag", "MaxHeapSize"], pid);
    assert_eq!(flag("MaxHeapSize"), theirs);
    assert_eq!(flag("HeapDumpOnOutOfMemoryError"), "-XX:-HeapDumpOnOutOfMemoryError\n");
    run(&mut attach(pid, &["setflag", "HeapDumpOnOutOfMemoryError", "1"]));
    assert_eq!(flag("HeapDumpOnOutOfMemoryError"), "-XX:+HeapDumpOnOutOfMemoryError\n");
    let refused = attach(pid, &["setflag", "MaxHeapSize", "1"]).output().expect("rjcore starts");
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));

    // The first line is jcmd's own, the second is the time.
    let sorted = |text: &str, skip: usize| {
        let mut lines: Vec<String> = text.lines().skip(skip).map(str::to_owned).collect();
        lines.sort();
        assert!(lines.iter().any(|l| l.starts_with("java.vm.name=")), "{lines:?}");
        lines
    };
    same(
        "properties",
        || sorted(&jvm.jcmd(&["VM.system_properties"]), 2),
        || sorted(&text(&mut attach(pid, &["properties"])), 1),
    );
    same(
        "thread dumps",
        || still(&tool(version, "jstack", &["-l"], pid)),
        || still(&text(&mut attach(pid, &["stack"]))),
    );
    same(
        "histograms",
        || jcmd_histogram(&tool(version, "jmap", &["-histo:live"], pid)),
        || jcmd_histogram(&text(&mut attach(pid, &["inspectheap", "-live"]))),
    );

    let (theirs, ours) = (dir.path("theirs.hprof"), dir.path("ours.hprof"));
    jvm.heap_dump(&theirs);
    let answer = run(attach(pid, &["ours.hprof"]).current_dir(dir.path("")));
    assert!(String::from_utf8_lossy(&answer.stdout).contains("Heap dump file created"));
    assert!(said(&answer).contains("ours.hprof: "), "{}", said(&answer));
    let (a, b) = everything(&theirs, &ours);
    let mut d = compare(&a, &b);
    tlab_fillers(&a, &mut d);
    assert!(d.is_empty(), "{d}");
    // It is not replaced.
    let again = attach(pid, &["ours.hprof"]).current_dir(dir.path("")).output();
    let again = again.expect("rjcore starts");
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    let live = dir.path("live.hprof");
    run(&mut attach(pid, &["dumpheap", live.to_str().expect("UTF-8"), "-live"]));
    assert!(live.metadata().expect("a dump").len() <= ours.metadata().expect("a dump").len());

    let unknown = attach(pid, &["jcmd", "No.such"]).output().expect("rjcore starts");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stdout).contains("Unknown diagnostic command"));
    let agent = attach(pid, &["load", "no_such_agent"]).output().expect("rjcore starts");
    assert_eq!(agent.status.code(), Some(1), "{}", said(&agent));
    agents(pid, &dir);
    long_commands(version, pid);
    listed(version, pid);
    tidy(pid);
}

/// One that is loaded with its options, and says no to others.
fn agents(pid: u32, dir: &Scratch) {
    let (agent, word) = (library("agent.c", dir), dir.path("word"));
    let load = |options: &Path| {
        let mut cmd = attach(pid, &["load"]);
        cmd.arg(&agent).arg(options);
        cmd
    };
    run(&mut load(&word));
    assert_eq!(fs::read_to_string(&word).expect("the agent's word"), "attached");
    let refused = load(Path::new("/no/such/directory/word")).output().expect("rjcore starts");
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(String::from_utf8_lossy(&refused.stdout).contains('7'), "{refused:?}");
}

/// More than version 1 of the protocol takes: version 2 has come with 24.
fn long_commands(version: u32, pid: u32) {
    let long = format!("help {}", "VM.version ".repeat(200));
    let answer = attach(pid, &["jcmd", &long]).output().expect("rjcore starts");
    match version {
        24.. => {
            // The JVM itself has read all of it, and says what it thinks of so many words.
            assert_ne!(answer.status.code(), Some(2), "{}", said(&answer));
            assert!(!answer.stdout.is_empty(), "{}", said(&answer));
        }
        _ => {
            assert_eq!(answer.status.code(), Some(2), "{}", said(&answer));
            assert!(said(&answer).contains("too long for this JVM"), "{}", said(&answer));
        }
    }
}

fn listed(version: u32, pid: u32) {
    let all: serde_json::Value =
        serde_json::from_str(&text(rjcore().args(["ps", "--json"]))).expect("JSON");
    let all = all["jvms"].as_array().expect("rows");
    let row = all.iter().find(|r| r["pid"] == pid).expect("our JVM");
    let release = row["version"].as_str().expect("a version");
    let start = if version == 8 { "1.8.0".into() } else { version.to_string() };
    assert!(release.starts_with(&start), "{row}");
    for (key, value) in [("collector", "Serial"), ("main", "Everything"), ("user", "root")] {
        assert_eq!(row[key], value, "{row}");
    }
    assert_eq!((&row["heap_limit"], &row["attach"]), (&(64 << 20).into(), &true.into()), "{row}");
    // There was a collection.
    let used = row["heap_used"].as_u64().expect("a number");
    assert!((1 << 20..64 << 20).contains(&used), "{row}");
    assert!(row["uptime_ms"].as_u64().is_some_and(|ms| ms > 100), "{row}");
    let table = text(rjcore().arg("ps"));
    let lines: Vec<&str> = table.lines().collect();
    let main = lines[0].find("MAIN").expect("a head");
    let ours = lines.iter().find(|l| l.trim_start().starts_with(&format!("{pid} ")));
    assert_eq!(ours.map(|l| &l[main..]), Some("Everything"), "columns do not line up:\n{table}");
}

macro_rules! answers {
    ($($name:ident: $version:literal;)*) => { $(
        #[test]
        fn $name() { answers($version); }
    )* };
}

answers! {
    answers_jdk8: 8;
    answers_jdk11: 11;
    answers_jdk17: 17;
    answers_jdk21: 21;
    answers_jdk25: 25;
}

#[test]
fn wrong_words_reach_no_jvm() {
    let dir = Scratch::new("live-usage");
    let jvm = Jvm::start(17, &["-Xmx16m", "-XX:+UseSerialGC"], "Sample", &dir);
    for words in [
        &["heapdump"][..],
        &["dumpheap"],
        &["dumpheap", "x", "-some"],
        &["stack", "--timeout", "5"],
        &["inspectheap", "x"],
        &["printflag"],
        &[],
    ] {
        let answer = attach(jvm.pid(), words).output().expect("rjcore starts");
        assert_eq!(answer.status.code(), Some(2), "{words:?}: {}", said(&answer));
    }
    let socket = format!("/tmp/.java_pid{}", jvm.pid());
    assert!(!Path::new(&socket).exists(), "the JVM was asked");
}

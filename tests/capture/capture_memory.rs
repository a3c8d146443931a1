//! Memory that is not like other memory, and snapshots that end too early: what was there is in the core or told as
//! missing, and never a zero.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::support::cgroup::Group;
use crate::support::child::Command;
use crate::support::epoch::{epochs, of_one_instant};
use crate::support::proc::{snapshots, until};
use crate::support::{Jvm, PATIENTLY, Scratch, jdk, library, rjcore, tool};
use rjcore::corefile::{CoreFile, OpenOptions, Sysroot};
use rjcore::hotspot::{Vm, barrier};
use rjcore::vmstructs::Fields;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub const SMALL: [&str; 4] = [
    "-Xmx24m",
    "-XX:+UseSerialGC",
    "-XX:CompressedClassSpaceSize=16m",
    "-XX:ReservedCodeCacheSize=24m",
];
pub const TEXT: &[u8] = b"made for rjcore: made for rjcore";

/// `rjcore capture PID --json --overwrite -o OUT ARGS`, whatever comes of it.
pub fn capture(pid: u32, out: &Path, args: &[&str]) -> Output {
    let mut cmd = rjcore();
    cmd.args(["capture", &pid.to_string(), "--json", "--overwrite", "-o"]).arg(out).args(args);
    cmd.args((!args.contains(&"--max-pause")).then_some(PATIENTLY));
    cmd.output().expect("rjcore starts")
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(output)))
}

pub fn open(core: &Path) -> CoreFile {
    CoreFile::open(core, &OpenOptions::default()).expect("a core")
}

/// A JVM with tests/c/memory.c.
pub fn with_memory(how: &str, program: &str, dir: &Scratch) -> Jvm {
    with_memory_by(Command::new("env"), how, program, dir)
}

/// The same, started by another command.
pub fn with_memory_by(mut cmd: Command, how: &str, program: &str, dir: &Scratch) -> Jvm {
    cmd.env("LD_PRELOAD", library("memory.c", dir)).env("MEMORY", how);
    cmd.env("FILE", dir.path("file"));
    Jvm::start_by(cmd, &jdk(17), &SMALL, program, dir)
}

/// Huge pages in the machine's pool, for one test at a time; none when dropped.
struct Pool(#[allow(dead_code, reason = "its lock ends when it is dropped")] File);

const NR: &str = "/proc/sys/vm/nr_hugepages";

fn meminfo(key: &str) -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("meminfo");
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':')).expect(key);
    line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

impl Pool {
    fn new(pages: u64) -> Pool {
        let lock = File::create("/tmp/hugetlb.lock").expect("a lock");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("the lock");
        fs::write(NR, pages.to_string()).expect("the pool's size, for root only");
        assert_eq!(meminfo("HugePages_Total"), pages, "no memory for huge pages");
        Pool(lock)
    }

    /// Leaves none to spare.
    fn shrink(&self) {
        let used = meminfo("HugePages_Total") - meminfo("HugePages_Free");
        fs::write(NR, (used + meminfo("HugePages_Rsvd")).to_string()).expect("the pool's size");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = fs::write(NR, "0");
    }
}

/// Pages that the JVM writes to while a child lives would be taken out of the child.
fn huge_pages_of_an_empty_pool(version: u32, gc: &str) {
    let dir = Scratch::new(&format!("memory-pool-{version}{gc}"));
    let pool = Pool::new(200);
    let flags = ["-Xms128m", "-Xmx128m", "-XX:+UseLargePages", "-XX:+AlwaysPreTouch", gc];
    let flags = [&flags[..], &["-XX:ReservedCodeCacheSize=24m"]].concat();
    let jvm = Jvm::start(version, &flags, "Epoch 48", &dir);
    // Those of the array that is written to.
    assert!(meminfo("HugePages_Total") - meminfo("HugePages_Free") >= 24, "not in use");
    pool.shrink();
    let core = dir.path("core");
    let forked = capture(jvm.pid(), &core, &["--snapshot", "fork"]);
    assert_eq!(forked.status.code(), Some(1), "{}", said(&forked));
    assert!(said(&forked).contains("huge pages of the pool"), "{}", said(&forked));
    assert!(!core.exists());
    for args in [&[][..], &["--snapshot", "precopy"], &["--snapshot", "stop"]] {
        let out = capture(jvm.pid(), &core, args);
        assert_eq!(out.status.code(), Some(0), "{args:?}: {}", said(&out));
        assert_eq!(json(&out)["check"], "self_contained");
        if args.is_empty() {
            assert_eq!(json(&out)["refused"][0]["method"], "fork", "{}", json(&out));
        }
        of_one_instant(&format!("{args:?}"), &epochs(&open(&core), 48));
    }
}

#[test]
fn huge_pages_of_an_empty_pool_serial_jdk17() {
    huge_pages_of_an_empty_pool(17, "-XX:+UseSerialGC");
}

#[test]
fn huge_pages_of_an_empty_pool_g1_jdk25() {
    huge_pages_of_an_empty_pool(25, "-XX:+UseG1GC");
}

/// Its heap is shared memory, which lies in the pool as well.
#[test]
fn huge_pages_of_an_empty_pool_z_jdk17() {
    huge_pages_of_an_empty_pool(17, "-XX:+UseZGC");
}

/// The runs of TEXT in a core, in pages.
pub fn pages_with_text(core: &CoreFile) -> Vec<u64> {
    let mut out = Vec::new();
    for (start, end) in core.memory().present(0, u64::MAX) {
        let bytes = core.memory().slice(start, end - start).expect("present");
        let pages = bytes.chunks(4096).enumerate().filter(|(_, p)| p.starts_with(TEXT));
        out.extend(pages.map(|(i, _)| start + i as u64 * 4096));
    }
    out
}

/// An address as JSON has it.
pub fn address(value: &Value) -> u64 {
    let text = value.as_str().and_then(|t| t.strip_prefix("0x")).expect("an address");
    u64::from_str_radix(text, 16).expect("an address")
}

/// Pages that a handler of the JVM's would make at the first touch are not zero before that.
#[test]
fn pages_that_are_made_when_touched() {
    let dir = Scratch::new("memory-handled");
    let jvm = with_memory("handled", "Sample", &dir);
    let core = dir.path("core");
    let forked = capture(jvm.pid(), &core, &["--snapshot", "fork"]);
    assert!(said(&forked).contains("userfaultfd"), "{}", said(&forked));
    assert_eq!((forked.status.code(), core.exists()), (Some(1), false));
    for args in [&[][..], &["--snapshot", "stop"]] {
        let _ = fs::remove_file(&core);
        let out = capture(jvm.pid(), &core, args);
        assert_eq!(out.status.code(), Some(3), "{args:?}: {}", said(&out));
        assert_eq!(json(&out)["check"], "gaps", "{}", said(&out));
        assert!(!said(&out).contains("whole"), "{}", said(&out));
        let lost = json(&out)["unreadable"].as_array().expect("a list").clone();
        let bytes: u64 = lost.iter().map(|r| address(&r["end"]) - address(&r["start"])).sum();
        assert_eq!(bytes, 56 * 4096, "{lost:?}");
        let core = open(&core);
        let first = address(&lost[0]["start"]) - 8 * 4096;
        let made: Vec<u64> = pages_with_text(&core)
            .into_iter()
            .filter(|a| (first..first + (64 << 12)).contains(a))
            .collect();
        assert_eq!(made, (0..8).map(|i| first + i * 4096).collect::<Vec<_>>(), "{args:?}");
        assert!(core.memory().u8(first + 8 * 4096).is_err(), "{args:?}: it is not known");
    }
    // One that is there already is not replaced by a core with gaps.
    fs::write(&core, "an older core").expect("a file");
    let out = capture(jvm.pid(), &core, &[]);
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    assert_eq!(fs::read_to_string(&core).expect("the file"), "an older core");
    let beside = PathBuf::from(json(&out)["file"].as_str().expect("a name"));
    assert_eq!(beside, dir.path("core.gaps"));
    assert!(said(&out).contains("core.gaps") && !pages_with_text(&open(&beside)).is_empty());
}

/// What nobody can write to is no heap, and no reader wants it.
#[test]
fn deleted_files() {
    let dir = Scratch::new("memory-deleted");
    let jvm = with_memory("deleted", "Sample", &dir);
    let core = dir.path("core");
    let out = capture(jvm.pid(), &core, &[]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let report = json(&out);
    assert_eq!((&report["method"], &report["refused"]), (&"fork".into(), &serde_json::json!([])));
    let has = |core: &CoreFile| pages_with_text(core).len() as u64;
    assert!(has(&open(&core)) < 16, "{} pages of the file", has(&open(&core)));
    let out = capture(jvm.pid(), &core, &["--full"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert!(has(&open(&core)) >= 12288, "--full has all: {}", has(&open(&core)));
}

/// Kills the snapshots of `pid` as they come, until `done`; answers how many.
fn kill_snapshots(pid: i32, mut done: impl FnMut() -> bool) -> usize {
    let mut killed = 0;
    until("the end of the capture", || {
        for (child, state) in snapshots(pid) {
            if !matches!(state, 'Z' | 'X') {
                let child = Pid::from_raw(child).expect("a process");
                killed += usize::from(kill_process(child, Signal::KILL).is_ok());
            }
        }
        done()
    });
    killed
}

/// A snapshot that is killed, as a cgroup's limit does it, is no end: another way follows. Where one
/// was asked for, there is no core, and an older one is as it was.
#[test]
fn a_snapshot_that_is_killed() {
    let dir = Scratch::new("memory-killed");
    let jvm = Jvm::start(17, &["-Xmx300m", "-XX:+UseSerialGC"], "Epoch 96", &dir);
    let core = dir.path("core");
    for args in [&[][..], &["--snapshot", "fork"]] {
        // It may be too quick for us.
        for turn in 0.. {
            assert!(turn < 50, "no snapshot could be killed in 50 captures");
            fs::write(&core, "an older core").expect("a file");
            let mut cmd = rjcore();
            cmd.args(["capture", PATIENTLY, &jvm.pid().to_string(), "--json", "--overwrite", "-o"])
                .arg(&core);
            cmd.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = cmd.spawn().expect("rjcore starts");
            kill_snapshots(jvm.pid() as i32, || child.try_wait().expect("rjcore").is_some());
            let out = child.wait_with_output().expect("its output");
            if out.status.success() && json(&out)["method"] == "fork" {
                of_one_instant("fork", &epochs(&open(&core), 96));
                continue;
            }
            if args.is_empty() {
                assert_eq!(out.status.code(), Some(0), "{}", said(&out));
                let report = json(&out);
                assert_eq!(report["refused"][0]["method"], "fork", "{report}");
                let why = report["refused"][0]["text"].to_string();
                assert!(why.contains("snapshot was"), "{why}");
                of_one_instant("another way", &epochs(&open(&core), 96));
            } else {
                assert_eq!(out.status.code(), Some(1), "{}", said(&out));
                assert_eq!(fs::read_to_string(&core).expect("the file"), "an older core");
            }
            break;
        }
    }
}

/// The same by the kernel: the copies of pages that the JVM writes to are charged to its cgroup, and at the limit
/// the snapshot goes first.
#[test]
fn a_cgroup_at_its_limit() {
    let dir = Scratch::new("memory-cgroup");
    let group = Group::new(&dir, "memory");
    let [limit, usage] = group.memory_files();
    let jvm = Jvm::start(17, &["-Xmx300m", "-XX:+UseSerialGC"], "Epoch 128", &dir);
    group.write("cgroup.procs", &jvm.pid().to_string());
    // What it has is charged where it was made: it makes the array again by writing to a snapshot's.
    let core = dir.path("core");
    for turn in 0.. {
        assert!(turn < 20, "the limit was never met");
        let used: u64 = group.read(usage).trim().parse().expect("a number");
        // Not so little that the JVM alone would meet it: all of its array and then some.
        group.write(limit, &(used + (80 << 20)).max(176 << 20).to_string());
        let out = capture(jvm.pid(), &core, &[]);
        assert_eq!(out.status.code(), Some(0), "{}", said(&out));
        of_one_instant("at the limit", &epochs(&open(&core), 128));
        let report = json(&out);
        if report["method"] != "fork" {
            let why = report["refused"][0]["text"].to_string();
            // Refused, or given up; on a busy machine the kernel may have been there first.
            assert!(why.contains("its cgroup has") || why.contains("snapshot was"), "{why}");
            break;
        }
    }
    assert_eq!(crate::support::proc::traces(jvm.pid() as i32), [""; 0]);
    assert_eq!(snapshots(jvm.pid() as i32), [], "a zombie");
}

/// A limit of a millisecond is one for all that is done within the stop.
#[test]
fn a_stop_that_would_be_too_long() {
    let dir = Scratch::new("memory-limit");
    let jvm = Jvm::start(17, &["-Xmx300m", "-XX:+UseSerialGC"], "Epoch 192", &dir);
    let core = dir.path("core");
    for args in [&["--snapshot", "stop"][..], &["--snapshot", "fork"], &[]] {
        let out = capture(jvm.pid(), &core, &[args, &["--max-pause", "1"]].concat());
        assert_eq!(out.status.code(), Some(1), "{args:?}: {}", said(&out));
        let why = said(&out);
        assert!(why.contains("more than 1 ms") || why.contains("within 1 ms"), "{args:?}: {why}");
        assert!(!core.exists() && crate::support::proc::traces(jvm.pid() as i32).is_empty());
    }
    // Without one it is stopped for as long as it takes.
    let out = capture(jvm.pid(), &core, &["--snapshot", "stop", "--no-check"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
}

/// Whether the core says that a collection was under way.
fn collecting(core: &Path) -> bool {
    let mut core = open(core);
    core.lay_backing_files(&Sysroot::default()).expect("libjvm");
    let (_, tables) = Vm::tables(&core).expect("the VM's tables");
    barrier::collecting(core.memory(), &Fields::load(&tables))
}

/// What the VM's own flag says in the stop is what the core says; where it says that a collection is
/// under way, another stop is tried, as often as it was asked for.
fn told_of_a_collection(version: u32, gc: &str) {
    let dir = Scratch::new(&format!("memory-collecting-{version}{gc}"));
    let flags = ["-Xmx40m", gc, "-XX:ReservedCodeCacheSize=24m"];
    let jvm = Jvm::start(version, &flags, "Churn 2 0", &dir);
    let core = dir.path("core");
    let _ = fs::remove_file(&core);
    let mut caught = 0;
    for turn in 0.. {
        assert!(turn < 100, "no collection in 100 captures");
        let out = capture(jvm.pid(), &core, &["--retries", "0", "--no-check"]);
        let report = json(&out);
        assert_eq!(report["collecting"], collecting(&core), "{report}");
        assert_eq!(report["retries"], 0);
        caught += u32::from(report["collecting"] == true);
        if caught == 1 {
            assert!(said(&out).contains("middle of a garbage collection"), "{}", said(&out));
            break;
        }
    }
    for _ in 0..5 {
        let report = json(&capture(jvm.pid(), &core, &["--retries", "30", "--no-check"]));
        assert_eq!(report["collecting"], collecting(&core), "{report}");
        let stops = report["given_up_ms"].as_array().expect("a list").len() as u64;
        assert!(stops >= report["retries"].as_u64().expect("a number"), "{report}");
        assert!(report["collecting"] == false || report["retries"] == 30, "{report}");
    }
}

#[test]
fn told_of_a_collection_serial_jdk17() {
    told_of_a_collection(17, "-XX:+UseSerialGC");
}

#[test]
fn told_of_a_collection_parallel_jdk25() {
    told_of_a_collection(25, "-XX:+UseParallelGC");
}

/// rjcore's own notes are no threads to readers that look at their types alone.
#[test]
fn the_own_note_is_nobody_elses() {
    let dir = Scratch::new("memory-note");
    let jvm = Jvm::start(17, &SMALL, "Sample", &dir);
    let core = dir.path("core");
    let out = capture(jvm.pid(), &core, &[]);
    let notes = crate::support::text(Command::new(tool("readelf")).arg("-nW").arg(&core));
    let own: Vec<&str> = notes.lines().filter(|l| l.trim_start().starts_with("rjcore")).collect();
    // How it came about, and what Linux said of the memory.
    assert_eq!(own.len(), 2, "{notes}");
    assert!(own.iter().all(|o| o.contains("Unknown note type")), "{own:?}");
    let threads = notes.lines().filter(|l| l.contains("NT_PRSTATUS")).count();
    assert_eq!(Some(threads as u64), json(&out)["threads"].as_u64());
    assert!(open(&core).origin().is_some());
}

//! Kinds of memory that come and go while precopy's rounds run, or that nobody else may read: what is in the core was
//! there at the stop.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::capture_memory::{
    TEXT, address, capture, json, open, pages_with_text, said, with_memory, with_memory_by,
};
use crate::support::cgroup::Group;
use crate::support::child::Command;
use crate::support::hprof::Dump;
use crate::support::proc::{snapshots, until};
use crate::support::{PATIENTLY, Scratch, jdks, rjcore, run};

/// Steps that a page of "punched" lives (tests/c/memory.c).
const LIFE: u64 = 128;

/// A page that was taken away between its copy and the stop is not in the core, and one that came is: shared memory, as
/// ZGC's heap is where it gives memory back.
#[test]
fn pages_that_are_taken_away() {
    let dir = Scratch::new("kinds-punched");
    let jvm = with_memory("punched", "Sample", &dir);
    let core = dir.path("core");
    for method in ["precopy", "fork", "stop", "precopy"] {
        let out = capture(jvm.pid(), &core, &["--snapshot", method, "--no-check"]);
        assert_eq!(out.status.code(), Some(0), "{method}: {}", said(&out));
        let core = open(&core);
        let step = |page: &u64| core.memory().u64(page + TEXT.len() as u64).expect("a page");
        let mut steps: Vec<u64> = pages_with_text(&core).iter().map(step).collect();
        steps.sort_unstable();
        let last = *steps.last().expect("pages");
        // The one at hand may be written to, or not yet.
        let old: Vec<_> = steps.iter().filter(|s| **s + LIFE < last).collect();
        assert!(old.is_empty(), "{method}: gone before step {last}: {old:?}");
        let missing: Vec<_> = (last - LIFE + 2..=last).filter(|s| !steps.contains(s)).collect();
        assert!(missing.is_empty(), "{method}: missing at step {last}: {missing:?}");
    }
}

/// What the kernel lets nobody read is told, and no zero.
#[test]
fn memory_that_nobody_can_read() {
    let dir = Scratch::new("kinds-secret");
    let jvm = with_memory("secret", "Sample", &dir);
    let core = dir.path("core");
    for method in ["fork", "precopy", "stop"] {
        let _ = fs::remove_file(&core);
        let out = capture(jvm.pid(), &core, &["--snapshot", method]);
        assert_eq!(out.status.code(), Some(3), "{method}: {}", said(&out));
        let report = json(&out);
        let lost = report["unreadable"].as_array().expect("a list");
        assert_eq!(lost.len(), 1, "{lost:?}");
        let (start, end) = (address(&lost[0]["start"]), address(&lost[0]["end"]));
        assert_eq!(end - start, 64 * 4096);
        assert!(open(&core).memory().u8(start).is_err(), "{method}: it is not known");
    }
}

/// The mapping of "freed".
fn freed(pid: i32) -> (u64, u64) {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("its mappings");
    let number = |t: &str| u64::from_str_radix(t, 16).expect("an address");
    let mut all = maps.lines().filter_map(|l| l.split(' ').next()?.split_once('-'));
    let found = all.find(|(start, end)| number(end) - number(start) == 4099 << 12);
    found.map(|(start, end)| (number(start), number(end))).expect("the mapping")
}

/// How many of the mapping's pages are in memory.
fn present(pid: i32, (start, end): (u64, u64)) -> usize {
    let mut map = vec![0; ((end - start) / 4096 * 8) as usize];
    let Ok(file) = File::open(format!("/proc/{pid}/pagemap")) else { return 0 };
    let _ = file.read_exact_at(&mut map, start / 4096 * 8);
    map.as_chunks::<8>().0.iter().filter(|e| e[7] & 0x80 != 0).count()
}

/// Pages that were given back lazily are taken out of a snapshot once its cgroup wants memory: those are lost, and the
/// snapshot is no core, or one with gaps; they are no zeros.
#[test]
fn pages_that_the_kernel_drops_from_a_snapshot() {
    let dir = Scratch::new("kinds-freed");
    let group = Group::new(&dir, "memory");
    let mut cmd = Command::new("sh");
    cmd.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(group.path("cgroup.procs"));
    let jvm = with_memory_by(cmd, "freed", "Sample", &dir);
    let (pid, core) = (jvm.pid() as i32, dir.path("core"));
    let mapping = freed(pid);
    for args in [&["--snapshot", "fork"][..], &[]] {
        // It may have read them already.
        for turn in 0.. {
            assert!(turn < 40, "{args:?}: no snapshot lost pages");
            let _ = fs::remove_file(&core);
            let mut cmd = rjcore();
            cmd.args(["capture", PATIENTLY, &pid.to_string(), "--json", "--no-check", "-o"]);
            cmd.arg(&core).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = cmd.spawn().expect("rjcore starts");
            let capturing = Pid::from_raw(child.id() as i32).expect("a process");
            let mut had = None;
            until("a snapshot, or the end of the capture", || {
                // Once it writes, it knows what there was.
                let all = fs::read_dir(dir.path("")).expect("the directory").flatten();
                let part = |e: &fs::DirEntry| e.file_name().to_string_lossy().ends_with(".part");
                let writes = all.filter(part).any(|e| e.metadata().is_ok_and(|m| m.len() > 0));
                let mut those = snapshots(pid).into_iter().filter(|s| writes && s.1 != 'Z');
                if let Some((snapshot, _)) = those.next() {
                    kill_process(capturing, Signal::STOP).expect("to hold rjcore");
                    let before = present(snapshot, mapping);
                    group.reclaim();
                    had = Some((before, present(snapshot, mapping)));
                    kill_process(capturing, Signal::CONT).expect("to let it go on");
                }
                had.is_some() || child.try_wait().expect("rjcore").is_some()
            });
            let out = child.wait_with_output().expect("its output");
            let Some((before, after)) = had.filter(|(before, after)| after < before) else {
                continue;
            };
            let is_whole = out.status.code() == Some(0);
            if is_whole && json(&out)["method"] == "fork" {
                // They had been read before that.
                let within = |a: &u64| (mapping.0..mapping.1).contains(a);
                let saved = pages_with_text(&open(&core)).iter().filter(|a| within(a)).count();
                assert!(saved + 1 >= before, "{saved} pages of {before}, of which {after} stayed");
                continue;
            }
            let report = json(&out);
            if args.is_empty() {
                assert!(is_whole, "{}", said(&out));
                assert_eq!(report["refused"][0]["method"], "fork", "{report}");
            } else {
                assert_eq!(out.status.code(), Some(3), "{}", said(&out));
                let core = open(&core);
                for lost in report["unreadable"].as_array().expect("a list") {
                    let start = address(&lost["start"]);
                    assert!((mapping.0..mapping.1).contains(&start), "{report}");
                    assert!(core.memory().u8(start).is_err(), "{start:#x} is not known");
                }
            }
            break;
        }
    }
}

/// A heap that ZGC maps more of while rounds run, and gives back: each array as it was at the stop.
fn grows(version: u32, flags: &[&str]) {
    let dir = Scratch::new(&format!("kinds-grows-{version}-{}", flags.len()));
    let common = ["-Xms16m", "-Xmx300m", "-XX:+UseZGC", "-XX:ZUncommitDelay=1"];
    let jvm = jdks::start(version, &[&common[..], flags].concat(), "Grow 4", &dir);
    let core = dir.path("core");
    for _ in 0..3 {
        let out = capture(jvm.pid(), &core, &["--snapshot", "precopy", "--no-check"]);
        assert_eq!(out.status.code(), Some(0), "{}", said(&out));
        let dump = dir.path("dump");
        run(rjcore().arg("dump").arg(&core).arg("--overwrite").arg("-o").arg(&dump));
        let dump = Dump::open(&dump);
        let mut mixed = BTreeMap::new();
        let mut whole = 0;
        for (id, o) in dump.objects.iter().filter(|(_, o)| dump.class_name(o) == "long[]") {
            let values = dump.bytes(o).as_chunks::<8>().0;
            if values.len() == 131_070 {
                match values.iter().all(|v| v == &values[0]) && values[0] != [0; 8] {
                    true => whole += 1,
                    false => drop(mixed.insert(*id, (values[0], values[values.len() - 1]))),
                }
            }
        }
        // The one that is being filled, and none behind the place where that has come to.
        assert!(mixed.len() <= 1, "{whole} whole ones, and {mixed:?}");
    }
}

#[test]
fn a_heap_that_grows_z_jdk17() {
    grows(17, &[]);
}

#[test]
fn a_heap_that_grows_z_jdk21() {
    grows(21, &["-XX:+ZGenerational"]);
}

#[test]
fn a_heap_that_grows_z_jdk25() {
    grows(25, &[]);
}

//! Kinds of memory that come and go while precopy's rounds run, or that nobody else may read: what is in the core was
//! there at the stop.

use std::collections::BTreeMap;

use super::capture_memory::{
    TEXT, address, capture, json, open, pages_with_text, said, with_memory,
};
use crate::support::hprof::Dump;
use crate::support::{Scratch, jdks, rjcore, run};

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
        let _ = std::fs::remove_file(&core);
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

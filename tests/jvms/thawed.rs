//! Virtual threads that slept and run again: their innermost frames are on the carrier's stack, the rest are still
//! in the chunk of their continuation. Their stacks against HotSpot's own prints, and these and their roots
//! against its dumps.
//!
//! tests/java/Thawed has one for each of several depths.

use crate::support::hprof::{Dump, JAVA_FRAME, JNI_LOCAL, Root};
use crate::support::threads::same;
use crate::support::{PATIENTLY, Scratch, jdks, rjcore, run, text};
use serde_json::Value;
use std::collections::BTreeMap;

const FLAGS: [&str; 3] =
    ["-Xmx64m", "-XX:ReservedCodeCacheSize=32m", "-Djdk.virtualThreadScheduler.parallelism=8"];
/// The interpreter, C1, and C2.
const MODES: [&str; 3] = ["-Xint", "-XX:TieredStopAtLevel=1", "-XX:+TieredCompilation"];
/// How deep they recurse: `Thawed.DEPTHS`.
const DEPTHS: [usize; 7] = [0, 1, 2, 3, 7, 60, 600];
/// Those that compute: `Thawed.SPINNING`.
const SPINNING: [usize; 2] = [2, 600];

/// The carriers' and the virtual threads' stacks, by what the program's source says of them.
fn whole(printed: &str, depths: &[usize]) {
    let dump: Value = serde_json::from_str(printed).expect("JSON");
    let methods = |stack: &Value| -> Vec<String> {
        assert_eq!(stack["broken"], Value::Null, "{stack}");
        let frames = stack["frames"].as_array().expect("frames");
        frames.iter().map(|f| f["method"].as_str().expect("a name").to_owned()).collect()
    };
    let mut found = Vec::new();
    for t in dump["threads"].as_array().expect("threads") {
        if t["carries"].is_null() {
            continue;
        }
        let carrier = methods(&t["stack"]);
        assert!(carrier.starts_with(&["run".into(), "runContinuation".into()]), "{carrier:?}");
        assert!(carrier.ends_with(&["runWorker".into(), "run".into()]), "{carrier:?}");
        let own = methods(&t["carries"]["stack"]);
        assert!(own.ends_with(&["run".into(), "enter0".into(), "enter".into()]), "{own:?}");
        found.push(own.iter().filter(|m| ["deep", "wide"].contains(&m.as_str())).count() - 1);
    }
    found.sort_unstable();
    assert_eq!(found, depths);
}

/// The number of the object in `frame` that only this frame holds: `n` in `mine`.
fn is_numbered(dump: &Dump, object: u64, n: usize) -> bool {
    let found = dump.objects.get(&object).filter(|o| dump.class_name(o) == "int[]");
    found.is_some_and(|o| dump.bytes(o) == (n as i32).to_be_bytes())
}

/// What HotSpot's dump has of each thread ours has, too, frame by frame and root by root. HotSpot's ends at the
/// return barrier, and in 21 a carrier has its virtual thread's frames as its own. Answers how many frames are
/// ours alone.
fn same_in_dumps(version: u32, hotspot: &Dump, ours: &Dump) -> usize {
    let roots = |dump: &Dump, serial: u32, below: usize| {
        let own = |r: &&Root| {
            [JNI_LOCAL, JAVA_FRAME].contains(&r.tag)
                && r.extra.0 == u64::from(serial)
                && (r.extra.1 as usize) < below
        };
        let roots = dump.roots.iter().filter(|(r, _)| own(r));
        roots.map(|(r, n)| ((r.tag, r.extra.1, r.id), *n)).collect::<BTreeMap<_, _>>()
    };
    let (theirs, own) = (hotspot.threads(), ours.threads());
    let mut more = 0;
    for (id, (serial, frames)) in &theirs {
        let (our_serial, our_frames) = &own[id];
        if version == 21 && frames.len() != our_frames.len() {
            assert!(frames.ends_with(our_frames), "{frames:#?} {our_frames:#?}");
            continue;
        }
        assert!(our_frames.starts_with(frames), "{frames:#?} {our_frames:#?}");
        more += our_frames.len() - frames.len();
        let (a, b) =
            (roots(hotspot, *serial, frames.len()), roots(ours, *our_serial, frames.len()));
        assert_eq!(a, b, "{frames:#?}");
    }
    more
}

/// The array that each frame of `deep` has made and still needs is a root of it.
fn rooted(ours: &Dump) {
    let mut found = 0;
    for (serial, frames) in ours.threads().values() {
        let deep = |f: &String| f.starts_with("Thawed.deep(") || f.starts_with("Thawed.wide(");
        let own = frames.iter().enumerate().filter(|(_, f)| deep(f));
        for (n, (number, frame)) in own.enumerate() {
            if n > 0 && frame.starts_with("Thawed.deep(") {
                let is = |r: &Root| {
                    r.tag == JAVA_FRAME
                        && r.extra == (u64::from(*serial), number as u32)
                        && is_numbered(ours, r.id, n)
                };
                assert!(ours.roots.keys().any(is), "{n}: {frames:#?}");
                found += 1;
            }
        }
    }
    // Of three frames one is `wide`, which makes none.
    let all: usize = DEPTHS.iter().sum();
    assert!(found * 3 > all, "{found} of {all}");
}

fn faithful(version: u32) {
    for mode in MODES {
        let dir = Scratch::new(&format!("thawed-{version}"));
        let flags: Vec<&str> = FLAGS.into_iter().chain([mode]).collect();
        let jvm = jdks::start(version, &flags, "Thawed", &dir);
        let (hotspot, core, ours) = (dir.path("hotspot"), dir.path("core"), dir.path("ours"));
        jvm.heap_dump(&hotspot);
        let theirs = jvm.jcmd(&["Thread.print", "-l", "-e"]);
        run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
        drop(jvm);
        let stack = |more: &[&str]| {
            let mut cmd = rjcore();
            text(cmd.arg("stack").arg(&core).arg("--sysroot").arg(jdks::root()).args(more))
        };
        // 21 prints no mounted virtual threads.
        let also = |name: &str| name.starts_with("ForkJoinPool") && version == 21;
        let equal = same(&theirs, &stack(&[]), &also);
        whole(&stack(&["--json"]), &DEPTHS);
        whole(&stack(&["--json", "--mixed"]), &DEPTHS);
        run(rjcore().arg("dump").arg(&core).arg("-o").arg(&ours));
        let (hotspot, ours) = (Dump::open(&hotspot), Dump::open(&ours));
        let more = same_in_dumps(version, &hotspot, &ours);
        rooted(&ours);
        println!("{version} {mode}: {equal} threads equal, {more} frames more than HotSpot's dump");
    }
}

/// Some of them while they compute, each mode captured by another method.
fn spinning(version: u32) {
    for (mode, method) in MODES.into_iter().zip(["stop", "precopy", "fork"]) {
        let dir = Scratch::new(&format!("thawed-spinning-{version}"));
        let flags: Vec<&str> = FLAGS.into_iter().chain([mode]).collect();
        let jvm = jdks::start(version, &flags, "Thawed spin", &dir);
        let core = dir.path("core");
        let mut cmd = rjcore();
        cmd.args(["capture", PATIENTLY, &jvm.pid().to_string(), "--snapshot", method, "-o"]);
        run(cmd.arg(&core));
        drop(jvm);
        for more in [&["--json"][..], &["--json", "--mixed"]] {
            let mut cmd = rjcore();
            cmd.arg("stack").arg(&core).arg("--sysroot").arg(jdks::root());
            whole(&text(cmd.args(more)), &SPINNING);
        }
    }
}

#[test]
fn jdk21_spinning() {
    spinning(21);
}

#[test]
fn newest_spinning() {
    spinning(jdks::newest());
}

#[test]
fn jdk21() {
    faithful(21);
}

#[test]
fn jdk25() {
    faithful(25);
}

#[test]
fn newest() {
    faithful(jdks::newest());
}

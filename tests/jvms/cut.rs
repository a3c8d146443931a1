//! Cores that lost their end: to a full disk, to a limit, on the way from another machine.

use crate::support::child::Command;
use crate::support::compare::compare;
use crate::support::hprof::Dump;
use crate::support::{Jvm, PATIENTLY, Scratch, rjcore, text};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rjcore::corefile::{CoreFile, OpenOptions, Sysroot};

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

/// The core without what comes from libjvm's data on: a kernel that has no more room writes so.
fn cut_before_data(core: &Path, dir: &Scratch) -> PathBuf {
    let mut whole = CoreFile::open(core, &OpenOptions::default()).expect("a core");
    whole.lay_backing_files(&Sysroot::default()).expect("its files");
    let data = whole.libjvm_data()[0].0;
    let segment = whole.segments().iter().find(|s| s.start >= data).expect("its data");
    let to = dir.path("cut");
    crate::support::run(Command::new("cp").arg("--sparse=always").arg(core).arg(&to));
    fs::File::options()
        .write(true)
        .open(&to)
        .and_then(|f| f.set_len(segment.offset))
        .expect("to cut");
    to
}

/// The lines of all stacks, with each thread's state and its locks.
fn stacks(core: &Path) -> (Vec<String>, Option<i32>) {
    let out = rjcore().arg("stack").arg(core).output().expect("rjcore");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let is_of_stack = |l: &&str| l.starts_with("   ") || l.starts_with('\t');
    (text.lines().filter(is_of_stack).map(str::to_owned).collect(), out.status.code())
}

/// The heap is read all the same, object by object, and what is not known is told.
fn heap_without_data(version: u32, collector: &str) {
    let dir = Scratch::new(&format!("cut-{version}-{collector}"));
    let flags = [&format!("-XX:+Use{collector}"), "-Xms32m", "-Xmx32m"];
    // Where the kernel found room for main's stack behind libjvm, the cut takes that, too.
    let has_stacks = |part: &Path| {
        let part = CoreFile::open(part, &OpenOptions::default()).expect("a core");
        let lost = |sp| part.memory().u8(sp).is_err();
        // But for the process's first thread, which runs no Java.
        part.threads().iter().filter(|t| lost(t.registers().0)).count() <= 1
    };
    let mut tries = 0;
    let (core, part) = loop {
        let core = Jvm::start(version, &flags, "Growing regions 10", &dir).abort(&dir);
        let part = cut_before_data(&core, &dir);
        if has_stacks(&part) {
            break (core, part);
        }
        let out = rjcore().arg("stack").arg(&part).output().expect("rjcore");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(said.contains("\"main\" ends early") && said.contains("not in the core"), "{said}");
        tries += 1;
        assert!(tries < 20, "main's stack was always behind libjvm");
        fs::remove_file(core).expect("to remove the core");
    };
    let (whole, code) = histogram(&core);
    assert_eq!(code, Some(0));
    let (found, code) = histogram(&part);
    assert_eq!((found, code), (whole, Some(3)));
    // Nor is anything taken for heap that is none.
    let out = rjcore().args(["histo", "--json"]).arg(&part).output().expect("rjcore");
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(json["gaps"]["damaged_bytes"], 0, "{}", json["gaps"]);
    let (want, have) = (dir.path("want.hprof"), dir.path("have.hprof"));
    crate::support::run(rjcore().arg("dump").arg(&core).arg("-o").arg(&want));
    let out = rjcore().arg("dump").arg(&part).arg("-o").arg(&have).output().expect("rjcore");
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(3), "{said}");
    for words in
        ["of libjvm's data", "cut off", "were rebuilt of libjvm.so", "compiled code by its blobs"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("--jvm"), "{said}");
    let mut d = compare(&Dump::open(&want), &Dump::open(&have));
    // Roots in statics are not known.
    d.take(|d| d.kind.starts_with("root"));
    assert!(d.is_empty(), "{d}");
    let ((whole, code), (found, cut)) = (stacks(&core), stacks(&part));
    assert!(whole.iter().any(|l| l.contains("Growing.ready")), "{whole:?}");
    assert_eq!((code, cut), (Some(0), Some(3)));
    assert_eq!(found, whole);
}

#[test]
fn a_heap_of_serial_is_read_without_libjvms_data() {
    heap_without_data(17, "SerialGC");
}

#[test]
fn a_heap_of_parallel_is_read_without_libjvms_data() {
    heap_without_data(17, "ParallelGC");
}

#[test]
fn a_heap_of_g1_is_read_without_libjvms_data() {
    heap_without_data(17, "G1GC");
    heap_without_data(25, "G1GC");
}

/// Collectors whose heaps are not found so are refused as ever, and why is said.
#[test]
fn what_cannot_be_proven_is_refused() {
    let dir = Scratch::new("cut-z");
    let jvm = Jvm::start(17, &["-XX:+UseZGC", "-Xmx32m"], "Growing regions 10", &dir);
    let core = jvm.abort(&dir);
    let part = cut_before_data(&core, &dir);
    // Of another build: nothing may be rebuilt of it.
    let other = crate::support::jdk(25).join("lib/server/libjvm.so");
    for (files, words) in
        [(&[][..], "no heap of Serial, Parallel, G1 or Epsilon"), (&["--jvm"], "build-id")]
    {
        let mut histo = rjcore();
        histo.arg("histo").args(files);
        if !files.is_empty() {
            histo.arg(&other);
        }
        let out = histo.arg(&part).output().expect("rjcore");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(out.stdout.is_empty() && said.contains(words), "{said}");
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

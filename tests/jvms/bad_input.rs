//! What users give rjcore by mistake or by bad luck: each ends in a message that says what, where and
//! what next, with the right exit code, and leaves no half file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::support::child::Command;
use crate::support::{Jvm, Scratch, dep, gcore, jdk, rjcore, run};

/// A sample core that lies in the repository.
fn sample() -> PathBuf {
    dep("testdata/cores/jdk17-serial.core.zst")
}

/// Exit code and standard error of `rjcore ARGS`.
fn answer(args: &[&str]) -> (i32, String) {
    said(rjcore().args(args).stdin(Stdio::null()).output().expect("rjcore runs"))
}

fn said(out: Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    (out.status.code().unwrap_or_else(|| panic!("killed: {text}")), text)
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// `dump` of this core fails with exit code 1, every word in its message, and no file left.
fn refused(dir: &Scratch, core: &Path, more: &[&str], words: &[&str]) {
    let out = dir.path("refused.hprof");
    let (code, text) = answer(&[&["dump", utf8(core), "-o", utf8(&out)], more].concat());
    assert_eq!(code, 1, "{text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
    let parent = out.parent().expect("a parent");
    let left: Vec<_> = fs::read_dir(parent)
        .expect("the scratch directory")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|n| n.contains("refused.hprof"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn not_a_core() {
    let dir = Scratch::new("not-a-core");
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    refused(&dir, &dir.path("none"), &[], &["none", "No such file"]);
    refused(&dir, &file("empty", b""), &[], &["empty"]);
    refused(&dir, &file("text", b"hello, I am no core\n"), &[], &["text"]);
    refused(&dir, Path::new(env!("CARGO_BIN_EXE_rjcore")), &[], &["rjcore"]);
}

#[test]
fn a_process_without_a_jvm() {
    let dir = Scratch::new("no-jvm");
    let mut sleep = Command::new("sleep").arg("100").spawn().expect("sleep");
    let core = dir.path("core");
    gcore(sleep.id(), &core);
    sleep.kill().expect("kill");
    sleep.wait().expect("wait");
    refused(&dir, &core, &[], &["libjvm.so"]);
}

#[test]
fn wrong_and_missing_libjvm() {
    let dir = Scratch::new("libjvm");
    // A JDK that is gone when the core is read, and a core without libjvm's read-only pages.
    let home = dir.path("jdk");
    run(Command::new("cp").arg("-aL").arg(jdk(25)).arg(&home));
    let jvm = Jvm::start_from(&home, &["-Xmx16m", "-XX:+UseSerialGC"], "Sample", &dir);
    fs::write(format!("/proc/{}/coredump_filter", jvm.pid()), "0x33").expect("coredump_filter");
    let core = jvm.abort(&dir);
    let kept = dir.path("kept");
    fs::rename(&home, &kept).expect("rename");
    refused(&dir, &core, &[], &["libjvm.so", "--jvm"]);
    // Another build, and something else altogether.
    let other = jdk(17).join("lib/server/libjvm.so");
    refused(&dir, &core, &["--jvm", utf8(&other)], &["build-id", "libjvm.so"]);
    refused(&dir, &core, &["--jvm", "/nowhere/libjvm.so"], &["/nowhere/libjvm.so"]);
    // The right one, and the right root, make it whole.
    let out = dir.path("whole.hprof");
    let libjvm = kept.join("lib/server/libjvm.so");
    for how in [["--jvm", utf8(&libjvm)], ["--sysroot", utf8(libjvm.parent().expect("server"))]] {
        let args = [&["dump", utf8(&core), "--overwrite", "-o", utf8(&out)], &how[..]].concat();
        let (code, text) = answer(&args);
        assert!(code == 0 || code == 3, "{text}");
        assert!(out.metadata().expect("a dump").len() > 500_000);
    }
}

#[test]
fn cut_cores() {
    let dir = Scratch::new("cut");
    let jvm = Jvm::start(17, &["-Xmx16m", "-XX:+UseSerialGC"], "Sample", &dir);
    let core = jvm.abort(&dir);
    let len = core.metadata().expect("the core").len();
    for percent in [90, 50, 10] {
        let file = fs::OpenOptions::new().write(true).open(&core).expect("the core");
        file.set_len(len / 100 * percent).expect("truncate");
        let out = dir.path("cut.hprof");
        let args = ["dump", utf8(&core), "--overwrite", "-o", utf8(&out)];
        let (code, text) = answer(&args);
        // Never whole: what can still be read is, or the reason is given.
        assert!(code == 1 || code == 3, "{percent} %: {code} {text}");
        assert!(text.contains("bytes"), "{percent} %: {text}");
        assert!(text.contains("cut") || text.contains("truncated"), "{percent} %: {text}");
        assert_eq!(out.exists(), code == 3, "{percent} %: {text}");
        let _ = fs::remove_file(&out);
    }
}

#[test]
fn bad_outputs() {
    let dir = Scratch::new("outputs");
    let core = sample();
    let core = utf8(&core);
    let there = dir.path("there.hprof");
    fs::write(&there, "mine").expect("a file");
    let (code, text) = answer(&["dump", core, "-o", utf8(&there)]);
    assert!(code != 0 && text.contains("--overwrite"), "{code} {text}");
    assert_eq!(fs::read(&there).expect("kept"), b"mine");
    let (code, text) = answer(&["dump", core, "-o", "/nowhere/a.hprof"]);
    assert!(code == 2 && text.contains("/nowhere"), "{code} {text}");
    let (code, text) = answer(&["dump", core, "-o", "/dev/full", "--overwrite"]);
    assert!(code == 1 && text.contains("No space left"), "{code} {text}");
    let (code, text) = answer(&["dump", core, "-o", "x", "--no-such-flag"]);
    assert!(code == 2 && text.contains("--no-such-flag"), "{code} {text}");
}

#[test]
fn a_closed_pipe() {
    let mut child = rjcore()
        .args(["dump", utf8(&sample()), "-o", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rjcore runs");
    drop(child.stdout.take());
    let (code, text) = said(child.wait_with_output().expect("its end"));
    assert!(code == 1 && text.contains("closed"), "{code} {text}");
}

/// Every sample core is whole, and says what it is.
#[test]
fn samples() {
    for (name, collector, release, machine) in [
        ("jdk17-serial", "Serial", "17.", "x86-64"),
        ("jdk17-g1", "G1", "17.", "x86-64"),
        ("jdk25-serial", "Serial", "25.", "x86-64"),
        ("jdk25-g1", "G1", "25.", "x86-64"),
        ("jdk17-g1-aarch64", "G1", "17.", "aarch64"),
    ] {
        let core = dep(&format!("testdata/cores/{name}.core.zst"));
        let info = rjcore().args(["info", utf8(&core), "--json"]).output().expect("rjcore runs");
        let text = String::from_utf8_lossy(&info.stdout);
        assert!(info.status.success(), "{name}: {}", String::from_utf8_lossy(&info.stderr));
        for word in [collector, release, machine] {
            assert!(text.contains(word), "no {word} in {name}: {text}");
        }
        let histo = run(rjcore().args(["histo", utf8(&core)]));
        assert!(String::from_utf8_lossy(&histo.stdout).contains("java.lang.String"), "{name}");
    }
}

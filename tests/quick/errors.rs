//! Errors by the running program: the exit code, what it says, and the flag that helps. 2 is misuse and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::support::child::Command;
use super::support::{Scratch, rjcore, tool};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cores/jdk17-serial.core.zst")
}

#[track_caller]
fn fails(out: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?}: {said}");
    }
}

/// A file system of 1 MB of its own, in a mount namespace that ends with rjcore; `$1` is its directory.
fn on_a_small_disk(dir: &Scratch, script: &str) -> Output {
    let small = dir.path("small");
    fs::create_dir_all(&small).expect("a directory");
    let mut cmd = Command::new(tool("unshare"));
    cmd.args(["--mount", "--propagation", "private", "sh", "-c"]);
    cmd.arg(format!("mount -t tmpfs -o size=1m none \"$1\" && cd \"$1\" && {script}"));
    cmd.arg(rjcore().get_program()).arg(&small).arg(sample());
    cmd.output().expect("unshare starts")
}

/// `$0` is rjcore, `$2` the core.
#[test]
fn a_full_disk_is_no_misuse() {
    let dir = Scratch::new("errors-full");
    let room = [
        "No space left on device",
        "free some space, or name another place with -o; `-o -` streams a file",
    ];
    let nothing = "nothing is left behind under that name";
    for command in ["dump", "trim"] {
        // TMPDIR is elsewhere: to unpack there is room.
        let script = format!("\"$0\" {command} \"$2\" -o out; code=$?; ls -A >&2; exit $code");
        let out = on_a_small_disk(&dir, &script);
        fails(&out, 1, &room);
        fails(&out, 1, &[nothing]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!said.contains("\nout"), "a file was left: {said}");
    }
    // What an older file holds stays.
    let script =
        "echo mine > out; \"$0\" dump \"$2\" -o out --overwrite; code=$?; cat out >&2; exit $code";
    fails(
        &on_a_small_disk(&dir, script),
        1,
        &["the file under that name is as it was", "\nmine\n"],
    );
    // To unpack.
    let out = on_a_small_disk(&dir, "TMPDIR=$1 \"$0\" histo \"$2\"");
    fails(&out, 1, &["no room in", "set TMPDIR to a directory with more room"]);
    // What streams write to is full.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let out = rjcore().arg("histo").arg(sample()).stdout(full).output().expect("rjcore");
    fails(&out, 1, &["standard output: No space left on device"]);
}

/// A user who may have one task only: rjcore itself.
#[test]
fn threads_that_cannot_be_started() {
    let core = Scratch::new("errors-threads");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(core.path(""), open).expect("its mode");
    let mut cmd = Command::new(tool("setpriv"));
    cmd.args(["--reuid=64213", "--regid=64213", "--clear-groups", "--inh-caps=-all"]);
    cmd.args(["--bounding-set=-all", "prlimit", "--nproc=1"]);
    cmd.arg(rjcore().get_program()).args(["histo", "--threads", "2"]).arg(sample());
    let out = cmd.output().expect("setpriv starts");
    fails(&out, 1, &["cannot start 2 threads", "give a smaller number with --threads"]);
}

#[test]
fn what_is_not_there_is_no_misuse() {
    let dir = Scratch::new("errors-none");
    let no_jvm = "No.such.Main";
    for words in [&["attach", no_jvm, "stack"][..], &["doctor", no_jvm], &["dump", "--pid", no_jvm]]
    {
        let out = rjcore().args(words).current_dir(dir.path("")).output().expect("rjcore");
        fails(&out, 1, &["no JVM here runs \"No.such.Main\"; rjcore ps lists them"]);
    }
    let text = dir.path("text");
    fs::write(&text, "#!/bin/sh\n").expect("a file");
    for (file, words) in [(&text, &["text: ", "with --jvm"][..]), (&dir.path("none"), &["none: "])]
    {
        let out = rjcore().arg("histo").arg(sample()).arg("--jvm").arg(file).output();
        fails(&out.expect("rjcore"), 1, words);
    }
}

#[test]
fn misuse_names_the_flag() {
    let dir = Scratch::new("errors-usage");
    let there = dir.path("there");
    fs::write(&there, "mine").expect("a file");
    let ask = |words: &[&str]| {
        let mut cmd = rjcore();
        cmd.arg(words[0]).arg(sample()).args(&words[1..]);
        cmd.current_dir(dir.path("")).output().expect("rjcore")
    };
    let replace = "there: exists already; give another name, or --overwrite to replace it";
    fails(&ask(&["dump", "-o", "there"]), 2, &[replace]);
    fails(&ask(&["trim", "-o", "there"]), 2, &[replace]);
    fails(&ask(&["dump", "-o", ""]), 2, &["the output's name is empty; give -o FILE, or -o -"]);
    for command in ["dump", "trim"] {
        fails(&ask(&[command, "--json", "-o", "-"]), 2, &["--json and `-o -`", "-o FILE"]);
    }
    fails(&ask(&["histo", "--nonsense"]), 2, &["--nonsense"]);
    assert_eq!(fs::read(&there).expect("the file"), b"mine");
}

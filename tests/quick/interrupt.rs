//! Ctrl-C: the first one ends tidily, the second one at once; neither leaves a file.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, Stdio};

use crate::support::child::{Child, Command};
use rjcore::error::Error;
use rjcore::output::interrupt;
use rjcore::output::sink::{Sink, Target};
use rustix::process::Signal;

const ROLE: &str = "RJCORE_TEST_ROLE";

/// The child's part: open a sink, say so, wait for a line, then write until something happens.
fn write_on(path: &Path) -> ! {
    interrupt::install().unwrap();
    let mut sink = Sink::open(&Target::new(path.as_os_str(), false), true).unwrap();
    sink.write_all(&[1; 1_000_000]).unwrap();
    eprintln!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    while !interrupt::requested() {
        std::thread::yield_now();
    }
    eprintln!("requested");
    if line.starts_with("hang") {
        loop {
            std::thread::park();
        }
    }
    let e = Error::from_write(sink.write_all(&[1; 1000]).unwrap_err());
    eprintln!("{e}");
    drop(sink);
    std::process::exit(i32::from(interrupt::exit_code().unwrap()));
}

fn start(test: &str, path: &Path) -> (Child, ChildStdin, BufReader<ChildStderr>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    until(&mut stderr, "ready");
    (child, stdin, stderr)
}

fn until(from: &mut impl BufRead, word: &str) -> String {
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(from.read_line(&mut line).unwrap() > 0, "ended before it said {word:?}");
    }
    line
}

#[test]
fn the_first_signal_ends_tidily() {
    if let Some(path) = std::env::var_os(ROLE) {
        write_on(Path::new(&path));
    }
    for (sig, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("heap.hprof");
        let (mut child, mut stdin, mut stderr) =
            start("interrupt::the_first_signal_ends_tidily", &path);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the hidden file");
        child.signal(sig);
        stdin.write_all(b"write\n").unwrap();
        let said = until(&mut stderr, "interrupted");
        assert!(said.contains("nothing was written to ") && said.contains("heap.hprof"), "{said}");
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn the_second_signal_ends_at_once_and_leaves_nothing() {
    const TEST: &str = "interrupt::the_second_signal_ends_at_once_and_leaves_nothing";
    if let Some(path) = std::env::var_os(ROLE) {
        write_on(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut child, mut stdin, mut stderr) = start(TEST, &dir.path().join("heap.hprof"));
    stdin.write_all(b"hang\n").unwrap();
    child.signal(Signal::INT);
    until(&mut stderr, "requested");
    child.signal(Signal::INT);
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::INT.as_raw()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn where_nothing_is_to_be_tidied_the_first_signal_ends_at_once() {
    const TEST: &str = "interrupt::where_nothing_is_to_be_tidied_the_first_signal_ends_at_once";
    if std::env::var_os(ROLE).is_some() {
        interrupt::install().unwrap();
        interrupt::settle(Path::new("nothing")).unwrap();
        eprintln!("ready");
        loop {
            std::thread::park();
        }
    }
    let (mut child, _stdin, _stderr) = start(TEST, Path::new("/"));
    child.signal(Signal::INT);
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::INT.as_raw()));
}

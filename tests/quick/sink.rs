//! Files that appear whole or not at all, and streams that say what became of them.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::child::Command;
use rjcore::error::Error;
use rjcore::format::out::CoreOut;
use rjcore::output::sink::{Sink, Target};

/// Names the part that a process started by one of these tests plays.
const ROLE: &str = "RJCORE_TEST_ROLE";

fn target(path: &Path, overwrite: bool) -> Target {
    Target::new(path.as_os_str(), overwrite)
}

fn open_error(path: impl AsRef<Path>, overwrite: bool) -> String {
    Sink::open(&target(path.as_ref(), overwrite), true).unwrap_err().to_string()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn dir() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("heap.hprof");
    (dir, path)
}

/// This very test again, in a process of its own.
fn again(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(ROLE, role);
    command
}

#[test]
fn a_file_appears_only_when_finished_with_mode_0600() {
    let (dir, path) = dir();
    let mut sink = Sink::open(&target(&path, false), true).unwrap();
    let big = vec![3u8; 700_000];
    sink.write_all(b"head").unwrap();
    sink.write_all(&big).unwrap();
    sink.write_all(b"tail").unwrap();
    assert_eq!(sink.bytes(), 700_008);
    let hidden = names(dir.path());
    assert!(hidden.len() == 1 && hidden[0].starts_with(".heap.hprof."), "{hidden:?}");
    assert!(hidden[0].ends_with(".part"), "{hidden:?}");
    let mode = fs::metadata(dir.path().join(&hidden[0])).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(sink.finish().unwrap(), 700_008);
    assert_eq!(names(dir.path()), ["heap.hprof"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(&path).unwrap(), [b"head", &big[..], b"tail"].concat());
}

#[test]
fn an_unfinished_sink_leaves_nothing() {
    let (dir, path) = dir();
    let mut sink = Sink::open(&target(&path, false), true).unwrap();
    sink.write_all(&[1; 1_000_000]).unwrap();
    drop(sink);
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn an_existing_file_is_kept_unless_overwrite() {
    let (dir, path) = dir();
    fs::write(&path, "old").unwrap();
    assert!(open_error(&path, false).contains("heap.hprof: exists already"));
    let mut sink = Sink::open(&target(&path, true), true).unwrap();
    sink.write_all(b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    sink.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(dir.path()), ["heap.hprof"]);
}

#[test]
fn a_file_that_appears_meanwhile_is_kept() {
    let (dir, path) = dir();
    let mut sink = Sink::open(&target(&path, false), true).unwrap();
    sink.write_all(b"ours").unwrap();
    fs::write(&path, "theirs").unwrap();
    let e = sink.finish().unwrap_err().to_string();
    assert!(e.contains("heap.hprof: appeared while"), "{e}");
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    assert_eq!(names(dir.path()), ["heap.hprof"]);
}

#[test]
fn links_are_seen_through() {
    let (dir, path) = dir();
    let link = dir.path().join("link");
    symlink("heap.hprof", &link).unwrap();
    assert!(open_error(&link, false).contains("link: exists already"), "leads nowhere yet");
    fs::write(&path, "old").unwrap();
    let mut sink = Sink::open(&target(&link, true), true).unwrap();
    sink.write_all(b"new").unwrap();
    sink.finish().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn a_long_name_still_has_room_for_the_hidden_one() {
    let dir = tempfile::tempdir().unwrap();
    let name = "n".repeat(255);
    Sink::open(&target(&dir.path().join(&name), false), true).unwrap().finish().unwrap();
    assert_eq!(names(dir.path()), [name]);
}

#[test]
fn targets_that_cannot_be_meant_are_named() {
    let (dir, path) = dir();
    let shown = dir.path().display();
    for overwrite in [false, true] {
        assert!(open_error(dir.path(), overwrite).starts_with(&format!("{shown}: is a directory")));
        assert!(open_error(format!("{shown}/new/"), overwrite).contains("new/: is a directory"));
        let e = open_error(dir.path().join("no/heap.hprof"), overwrite);
        assert!(
            e.contains("no/heap.hprof: ") && e.ends_with("no is not a directory; create it first"),
            "{e}"
        );
        assert!(open_error("", overwrite).contains("name is empty"));
    }
    fs::write(&path, "x").unwrap();
    assert!(open_error(path.join("y"), false).contains("heap.hprof/y: "));
    // Even root cannot create a file in sysfs.
    let e = open_error("/sys/heap.hprof", false);
    assert!(e.starts_with("/sys/heap.hprof: ") && !e.contains(".part"), "{e}");
    assert_eq!(names(dir.path()), ["heap.hprof"]);
}

#[test]
fn devices_are_written_in_place() {
    let null = target(Path::new("/dev/null"), false);
    let mut sink = Sink::open(&null, true).unwrap();
    sink.write_all(&[0; 1_000_000]).unwrap();
    assert_eq!(sink.finish().unwrap(), 1_000_000);

    let full = target(Path::new("/dev/full"), false);
    let mut sink = Sink::open(&full, true).unwrap();
    let e = Error::from_write(sink.write_all(&[0; 1_000_000]).unwrap_err()).to_string();
    assert!(e.starts_with("/dev/full: No space left on device"), "{e}");
    assert!(sink.write_all(b"more").is_ok(), "small writes are gathered");
    assert!(sink.finish().unwrap_err().to_string().contains("an earlier write failed"));

    let mut sink = Sink::open(&full, true).unwrap();
    sink.write_all(b"small").unwrap();
    assert!(sink.finish().unwrap_err().to_string().contains("No space left"));
    assert!(Path::new("/dev/full").exists());
}

#[test]
fn a_descriptor_is_written_in_place_after_what_it_holds() {
    let (dir, path) = dir();
    fs::write(&path, "before ").unwrap();
    let file = fs::File::options().append(true).open(&path).unwrap();
    let name = format!("/dev/fd/{}", file.as_raw_fd());
    let mut sink = Sink::open(&Target::new(OsStr::new(&name), false), true).unwrap();
    sink.write_all(b"after").unwrap();
    sink.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"before after");
    assert_eq!(names(dir.path()), ["heap.hprof"]);
}

#[test]
fn binary_output_is_kept_off_a_terminal() {
    // The multiplexer's own end of a fresh pseudo-terminal is one.
    let e = open_error("/dev/ptmx", false);
    assert!(e.contains("/dev/ptmx is a terminal and the output is binary"), "{e}");
    Sink::open(&target(Path::new("/dev/ptmx"), false), false).unwrap();
}

/// Whether nobody reads standard output any more.
#[allow(unsafe_code, reason = "poll(2)")]
fn has_no_reader() -> bool {
    let mut out = libc::pollfd { fd: 1, events: 0, revents: 0 };
    // SAFETY: one structure, which outlives the call.
    let ready = unsafe { libc::poll(&mut out, 1, 0) };
    ready == 1 && out.revents & libc::POLLERR != 0
}

#[test]
fn a_closed_standard_output_is_told_apart() {
    const TEST: &str = "sink::a_closed_standard_output_is_told_apart";
    if std::env::var_os(ROLE).is_some() {
        eprintln!("ready");
        std::io::stdin().read_line(&mut String::new()).unwrap();
        // Whatever the test starts beside this one has its pipes until it becomes another program.
        crate::support::proc::until("no reader", has_no_reader);
        let mut sink = Sink::open(&Target::new(OsStr::new("-"), false), true).unwrap();
        let e = Error::from_write(sink.write_all(&vec![0; 1 << 20]).unwrap_err());
        eprintln!("{e}");
        std::process::exit(if matches!(e, Error::ClosedPipe { bytes: 0, .. }) { 7 } else { 8 });
    }
    let mut child = again(TEST, "writer")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // By then the test harness has printed its head to the pipe.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    stderr.read_line(&mut said).unwrap();
    assert_eq!(said, "ready\n");
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7), "{said}");
    assert!(said.contains("standard output was closed by its reader after 0 bytes"), "{said}");
}

#[test]
fn a_file_that_cannot_grow_leaves_nothing() {
    const TEST: &str = "sink::a_file_that_cannot_grow_leaves_nothing";
    if let Some(path) = std::env::var_os(ROLE) {
        let mut sink = Sink::open(&Target::new(&path, true), true).unwrap();
        let e = Error::from_write(sink.write_all(&vec![0; 4 << 20]).unwrap_err());
        eprintln!("{e}");
        drop(sink);
        std::process::exit(if matches!(e, Error::Unfinished { .. }) { 7 } else { 8 });
    }
    let (dir, path) = dir();
    for (before, left) in [(false, "nothing is left behind"), (true, "is as it was")] {
        if before {
            fs::write(&path, "old").unwrap();
        }
        let out = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(ROLE, &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(7), "{said}");
        assert!(said.contains("heap.hprof: File too large") && said.contains(left), "{said}");
        assert_eq!(names(dir.path()).len(), usize::from(before));
    }
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

/// Zeros at the end are part of the file before it has its name, too: `capture` checks it then.
#[test]
fn zeros_that_were_left_out_count_at_once() {
    let (_dir, path) = dir();
    let mut sink = Sink::open(&target(&path, false), true).unwrap();
    sink.write_all(b"head").unwrap();
    sink.skip(1 << 20).unwrap();
    sink.sync().unwrap();
    assert_eq!(fs::metadata(sink.hidden().unwrap()).unwrap().len(), 4 + (1 << 20));
    assert_eq!(sink.finish().unwrap(), 4 + (1 << 20));
    assert_eq!(fs::metadata(&path).unwrap().len(), 4 + (1 << 20));
}

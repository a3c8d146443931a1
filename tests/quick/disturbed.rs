//! What goes wrong around a command: its core is shortened while it is mapped, the disk does not read or has no room,
//! nobody reads what it prints, it is killed, it fails itself. There is no half file under a final name, and the exit
//! code is right.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output, Stdio};
use std::sync::Mutex;

use rjcore::Jvm;
use rjcore::cli;
use rjcore::heap::{DamageKind, Object, Visitor, walk};
use rustix::process::Signal;

use crate::support::child::Command;
use crate::support::proc::until;
use crate::support::{Scratch, dep, library, rjcore, run};

/// Commands that write a file, to OUT, with their arguments behind the core.
const WRITERS: [&[&str]; 8] = [
    &["dump", "-o", "OUT"],
    &["dump", "-o", "OUT", "--json"],
    &["dump", "-o", "OUT", "--gz"],
    &["trim", "-o", "OUT"],
    &["trim", "-o", "OUT", "--zstd"],
    &["report", "-o", "OUT"],
    &["report", "-o", "OUT", "--md"],
    &["stack", "--flame", "OUT"],
];

/// Commands that answer on standard output.
const PRINTERS: [&[&str]; 20] = [
    &["info"],
    &["histo"],
    &["stack"],
    &["stack", "--mixed", "--locals"],
    &["stack", "--json"],
    &["check"],
    &["retained"],
    &["leaks", "--json"],
    &["tree"],
    &["paths", "java.lang.String"],
    &["find", "class=java.lang.String", "--all"],
    &["find", "class=java.lang.String", "--all", "--json-lines"],
    &["waste"],
    &["threads"],
    &["loaders"],
    &["memory"],
    &["refs"],
    &["diff", "CORE"],
    &["dump", "-o", "-"],
    &["trim", "-o", "-"],
];

struct Place {
    dir: Scratch,
    core: PathBuf,
    shim: PathBuf,
    /// What is in the directory before any command.
    names: Vec<String>,
}

impl Place {
    fn new(name: &str, extension: &str) -> Place {
        let dir = Scratch::new(name);
        let packed = dep("testdata/cores/jdk17-serial.core.zst");
        let core = dir.path(&format!("it.{extension}"));
        match extension {
            "core.zst" => drop(fs::copy(packed, &core).expect("a copy")),
            "core" => drop(run(Command::new("zstd").arg("-qd").arg(packed).arg("-o").arg(&core))),
            _ => drop(run(rjcore().arg("dump").arg(packed).arg("-o").arg(&core))),
        }
        let shim = library("moment.c", &dir);
        let mut place = Place { dir, core, shim, names: Vec::new() };
        place.names = place.names_now();
        place
    }

    fn names_now(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path("")).expect("the directory").flatten();
        let mut names: Vec<String> =
            names.map(|e| e.file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    fn out(&self) -> PathBuf {
        self.dir.path("out")
    }

    fn command(&self, asked: &[&str]) -> Command {
        let mut cmd = rjcore();
        cmd.arg(asked[0]).arg(&self.core).args(["--threads", "2"]).stdin(Stdio::null());
        for arg in &asked[1..] {
            match *arg {
                "OUT" => cmd.arg(self.out()),
                "CORE" => cmd.arg(&self.core),
                arg => cmd.arg(arg),
            };
        }
        cmd
    }

    /// Runs one to whose input, or to which, something happens at a moment.
    fn disturbed(&self, asked: &[&str], what: &str, moment: &str) -> Output {
        let mut cmd = self.command(asked);
        cmd.env("LD_PRELOAD", &self.shim).env("MOMENT_FILE", &self.core);
        cmd.env("MOMENT_DO", what).env("MOMENT", moment).output().expect("rjcore runs")
    }

    /// It failed with words about its input, and left nothing.
    fn has_failed(&self, asked: &[&str], out: &Output, words: &str) {
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{asked:?}: {}: {said}", out.status);
        assert!(said.contains("it.") && said.contains(words), "{asked:?}: {said}");
        assert_eq!(self.names_now(), self.names, "{asked:?}");
    }
}

const LOST: &str = "cannot be read any more";

#[test]
fn an_input_that_is_shortened_once_it_is_mapped() {
    for extension in ["core", "hprof"] {
        let place = Place::new("disturbed-mapped", extension);
        let whole = fs::read(&place.core).expect("the input");
        for asked in WRITERS.iter().chain(&PRINTERS) {
            if extension == "hprof"
                && matches!(
                    asked[0],
                    "dump" | "trim" | "stack" | "histo" | "info" | "check" | "memory"
                )
            {
                continue;
            }
            let out = place.disturbed(asked, "shorten", "mapped");
            place.has_failed(asked, &out, LOST);
            fs::write(&place.core, &whole).expect("the input");
        }
    }
}

/// While the output is being written, so that there is a hidden file.
#[test]
fn a_core_that_is_shortened_while_a_file_is_written() {
    let place = Place::new("disturbed-written", "core");
    let whole = fs::read(&place.core).expect("the core");
    for asked in WRITERS {
        // Their files are made when all was read.
        if matches!(asked[0], "report" | "stack") {
            continue;
        }
        let out = place.disturbed(asked, "shorten", "opened");
        place.has_failed(asked, &out, LOST);
        fs::write(&place.core, &whole).expect("the core");
    }
}

/// Without help of any library: the dump waits until somebody opens the fifo that it goes to.
#[test]
fn a_core_that_is_shortened_before_its_dump_is_read() {
    let place = Place::new("disturbed-fifo", "core");
    run(Command::new("mkfifo").arg(place.out()));
    let mut child = place.command(&["dump", "-o", "OUT"]).stderr(Stdio::piped()).spawn();
    let child = child.as_mut().expect("rjcore runs");
    let of = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id()));
    until("it opens the fifo", || {
        let opening = of("syscall").is_ok_and(|s| s.starts_with(&format!("{} ", libc::SYS_openat)));
        opening && of("maps").is_ok_and(|m| m.contains("it.core"))
    });
    fs::File::options().write(true).open(&place.core).and_then(|f| f.set_len(4096)).expect("cut");
    fs::read(place.out()).expect("what was written");
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("words");
    let status = child.wait().expect("its end");
    assert_eq!(status.code(), Some(1), "{status}: {said}");
    assert!(said.contains("it.core") && said.contains(LOST), "{said}");
}

#[test]
fn a_disk_that_does_not_read() {
    let place = Place::new("disturbed-read", "core.zst");
    for asked in WRITERS.iter().chain(&PRINTERS) {
        let out = place.disturbed(asked, "fail", "");
        place.has_failed(asked, &out, "Input/output error");
    }
}

/// Killed when the output's hidden file is opened, and when something is in it.
#[test]
fn a_kill_leaves_nothing_under_the_name() {
    let place = Place::new("disturbed-killed", "core");
    for asked in WRITERS {
        for moment in ["opened", "written"] {
            let out = place.disturbed(asked, "die", moment);
            let (killed, said) = (out.status.signal(), String::from_utf8_lossy(&out.stderr));
            assert_eq!(killed, Some(Signal::KILL.as_raw()), "{asked:?} {moment}: {said}");
            assert!(!place.out().exists(), "{asked:?} {moment}");
            for name in place.names_now() {
                let is_hidden = name.starts_with(".out.") && name.ends_with(".part");
                assert!(is_hidden || place.names.contains(&name), "{asked:?} {moment}: {name}");
                if is_hidden {
                    fs::remove_file(place.dir.path(&name)).expect("what is left");
                }
            }
        }
        // What was left is in nobody's way.
        let out = place.command(asked).output().expect("rjcore runs");
        assert!(matches!(out.status.code(), Some(0 | 3)), "{asked:?}: {}", out.status);
        fs::remove_file(place.out()).expect("its file");
    }
}

/// A file may not grow beyond a few blocks: as on a full disk, writes of files fail.
#[test]
fn no_room_leaves_nothing() {
    let place = Place::new("disturbed-full", "core");
    for asked in WRITERS {
        let mut cmd = Command::new("sh");
        cmd.args(["-c", "ulimit -f 16; exec \"$0\" \"$@\""]);
        let plain = place.command(asked);
        cmd.arg(plain.get_program()).args(plain.get_args());
        let out = cmd.output().expect("rjcore runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{asked:?}: {}: {said}", out.status);
        assert!(said.contains("File too large") && said.contains("nothing is left"), "{said}");
        assert_eq!(place.names_now(), place.names, "{asked:?}");
    }
    for asked in PRINTERS {
        let full = fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let out = place.command(asked).stdout(full).output().expect("rjcore runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{asked:?}: {}: {said}", out.status);
        assert!(said.contains("No space left"), "{asked:?}: {said}");
    }
}

/// As with `ulimit -v`, but that this limit does not count what the system maps to start a program: it ends with a sentence,
/// and its hidden file goes.
#[test]
fn no_memory_leaves_nothing() {
    let place = Place::new("disturbed-memory", "core");
    let limited = |kb: u64, arguments: &[&str]| {
        let mut cmd = Command::new("sh");
        cmd.args(["-c", "ulimit -d $0 && exec \"$@\"", &kb.to_string()]);
        cmd.arg(env!("CARGO_BIN_EXE_rjcore")).stdin(Stdio::null());
        for arg in arguments {
            match *arg {
                "OUT" => cmd.arg(place.out()),
                "CORE" => cmd.arg(&place.core),
                arg => cmd.arg(arg),
            };
        }
        cmd.output().expect("sh runs")
    };
    let others: [&[&str]; 3] = [&["retained"], &["leaks", "--json"], &["stack", "--locals"]];
    let (mut refused, mut whole) = (0, 0);
    for kb in (1..).map(|n| n * 512).take_while(|kb| *kb < 14 << 10) {
        // Less than it takes to start is no matter of rjcore's.
        if !limited(kb, &["--version"]).status.success() {
            continue;
        }
        for asked in WRITERS.iter().chain(&others) {
            let out =
                limited(kb, &[&asked[..1], &["CORE", "--threads", "2"], &asked[1..]].concat());
            let said = String::from_utf8_lossy(&out.stderr);
            match out.status.code() {
                Some(0) => {
                    whole += 1;
                    let _ = fs::remove_file(place.out());
                }
                Some(1) => assert!(said.contains("rjcore: "), "{asked:?}, {kb} KB: {said}"),
                // The C library needs a few bytes for each thread, and has its own end where there are none.
                None if said.contains("Fatal glibc error") => {
                    let new = |name: &String| !place.names.contains(name);
                    let left = place.names_now().into_iter().filter(new);
                    left.for_each(|name| fs::remove_file(place.dir.path(&name)).expect("a file"));
                }
                _ => panic!("{asked:?}, {kb} KB: {}: {said}", out.status),
            }
            refused += u32::from(said.contains("the system gives it no more memory"));
            assert_eq!(place.names_now(), place.names, "{asked:?}, {kb} KB: {said}");
        }
    }
    assert!(refused > 4 && whole > 4, "{refused} were refused memory, {whole} had enough");
}

/// As with `| head -1`: an answer that nobody wants to its end is none that failed, but a file is.
#[test]
fn a_reader_that_has_seen_enough() {
    let place = Place::new("disturbed-pipe", "core");
    for asked in PRINTERS {
        let whole = place.command(asked).output().expect("rjcore runs").status;
        let mut child = place
            .command(asked)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rjcore runs");
        let mut first = BufReader::with_capacity(16, child.stdout.take().expect("piped"));
        first.fill_buf().expect("its first bytes");
        drop(first);
        let mut said = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut said).expect("words");
        let status = child.wait().expect("its end");
        match asked.contains(&"-") {
            // Larger than a pipe, so it cannot have ended before.
            true => assert_eq!(status.code(), Some(1), "{asked:?}: {status}: {said}"),
            false => assert_eq!(status.code(), whole.code(), "{asked:?}: {status}: {said}"),
        }
        assert!(!said.contains("failed"), "{asked:?}: {said}");
    }
}

/// Fails on one object, and remembers the others.
struct Failing<'a>(u64, Vec<u64>, &'a Mutex<Vec<u64>>);

impl Visitor for Failing<'_> {
    fn object(&mut self, object: Object) {
        assert!(object.addr != self.0, "made to fail");
        self.1.push(object.addr);
    }
    fn clear(&mut self) {
        self.1.clear();
    }
}

/// A fault of rjcore's own costs the object that it is met on, and is told with its address.
#[test]
fn a_panic_on_an_object_is_damage() {
    let core = dep("testdata/cores/jdk17-g1.core.zst");
    let jvm = Jvm::open(core).expect("the sample");
    let visit = |failing: u64, threads: usize| {
        let all = Mutex::new(Vec::new());
        let report = walk(
            jvm.heap(),
            threads,
            || Failing(failing, Vec::new(), &all),
            |visitor, _| {
                visitor.2.lock().expect("nobody fails here").append(&mut visitor.1);
                Ok(())
            },
        );
        (all.into_inner().expect("nobody fails here"), report.expect("a walk"))
    };
    let (whole, sound) = visit(0, 2);
    assert!(whole.len() > 1000 && sound.damaged == 0);
    for failing in [whole[0], whole[whole.len() / 2], whole[whole.len() - 1]] {
        for threads in [1, 2] {
            let (left, report) = visit(failing, threads);
            let others: Vec<u64> = whole.iter().copied().filter(|a| *a != failing).collect();
            assert_eq!(left, others);
            let damage = report.damage[0];
            assert_eq!(
                (report.damaged, damage.kind, damage.start),
                (1, DamageKind::Failed, failing)
            );
            assert!(damage.end > failing && report.objects() == whole.len() as u64 - 1);
        }
    }
}

const ROLE: &str = "RJCORE_TEST_ROLE";

/// Elsewhere it ends the command, with one sentence.
#[test]
fn a_panic_ends_with_a_sentence() {
    const TEST: &str = "disturbed::a_panic_ends_with_a_sentence";
    if let Some(role) = std::env::var_os(ROLE) {
        let code = cli::guarded(|| {
            if role == "thread" {
                std::thread::scope(|s| drop(s.spawn(|| panic!("made to fail\nin a thread"))));
            }
            if role == "here" {
                panic!("made to fail");
            }
            ExitCode::from(7)
        });
        let code = (0..=u8::MAX).find(|n| ExitCode::from(*n) == code);
        std::process::exit(code.expect("a code").into());
    }
    for (role, code) in [("here", 4), ("thread", 4), ("none", 7)] {
        let mut cmd = Command::new(std::env::current_exe().expect("this program"));
        let out = cmd.args(["--exact", TEST, "--nocapture"]).env(ROLE, role).output();
        let out = out.expect("it runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{role}: {said}");
        if code == 4 {
            let lines: Vec<&str> = said.lines().filter(|l| !l.is_empty()).collect();
            assert!(lines.len() == 1 && lines[0].starts_with("rjcore: "), "{role}: {said}");
            assert!(lines[0].contains("made to fail"), "{role}: {said}");
            assert!(lines[0].contains(&format!("{}:", Path::new(file!()).display())), "{said}");
            assert!(lines[0].contains("Please report it"), "{role}: {said}");
        }
    }
}

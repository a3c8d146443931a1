//! A JVM that runs tests/java/StopStress.java, and what must hold of it after anything was done to it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::child::LIMIT;
use super::child::{Child, Command};
use super::proc::{masks, no_snapshot_lives, snapshots, traces, until};
use super::{Jvm, PATIENTLY, Scratch, jdk, library};

/// Keeps the memory small, and so the captures quick.
pub const SMALL: [&str; 3] =
    ["-Xmx40m", "-XX:ReservedCodeCacheSize=24m", "-XX:CompressedClassSpaceSize=16m"];
/// A JVM with threads that notice.
pub struct Stress {
    jvm: Jvm,
    pid: i32,
    said: Receiver<String>,
    masks: BTreeMap<(i32, String), String>,
}

impl Stress {
    /// Starts it; `arguments` are StopStress's own.
    pub fn start(version: u32, flags: &[&str], arguments: &str, dir: &Scratch) -> Stress {
        let program = format!("StopStress {arguments}");
        let flags = [&SMALL, flags].concat();
        Stress::of(Jvm::start(version, &flags, program.trim_end(), dir))
    }

    /// Takes over one that was started in another way and is READY.
    pub fn of(jvm: Jvm) -> Stress {
        let pid = jvm.pid() as i32;
        Stress::of_pid(jvm, pid)
    }

    /// The same where the JVM is a child of the command that started it.
    pub fn of_pid(mut jvm: Jvm, pid: i32) -> Stress {
        let (send, said) = channel();
        let out = BufReader::new(jvm.child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let masks = usual_masks(pid);
        Stress { jvm, pid, said, masks }
    }

    pub fn jvm(&self) -> &Jvm {
        &self.jvm
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its command, to be waited for.
    pub fn child(&mut self) -> &mut Child {
        &mut self.jvm.child
    }

    fn tell(&mut self, line: &str) {
        let stdin = self.jvm.child.stdin.as_mut().expect("piped");
        let told = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        told.unwrap_or_else(|e| panic!("{e}; the JVM ended: {:?}", self.jvm.child.try_wait()));
    }

    /// Has the JVM look at itself; `when` says what was done before.
    pub fn check(&mut self, when: &str) {
        self.ask("check", when);
    }

    /// Has it close a port and listen on it again.
    pub fn rebind(&mut self, when: &str) {
        self.ask("rebind", when);
    }

    fn ask(&mut self, what: &str, when: &str) {
        self.tell(what);
        loop {
            match self.said.recv_timeout(LIMIT) {
                Ok(said) if said.starts_with("OK ") => return,
                Ok(said) if said.starts_with("BAD ") => panic!("after {when}, the JVM: {said}"),
                // Another line: HotSpot's list of threads, by SIGQUIT.
                Ok(_) => {}
                Err(e) => {
                    let left = traces(self.pid());
                    let end = self.child().try_wait();
                    panic!("after {when}, the JVM does not answer ({e}), ended {end:?}: {left:?}")
                }
            }
        }
    }

    /// Waits for a line with `word` in what the JVM prints.
    pub fn says(&mut self, word: &str) {
        loop {
            match self.said.recv_timeout(LIMIT) {
                Ok(said) if said.contains(word) => return,
                Ok(_) => {}
                Err(e) => panic!("the JVM does not say {word:?} ({e})"),
            }
        }
    }

    /// The threads that block other signals than at the start.
    fn other_masks(&self) -> Vec<(i32, String)> {
        let now = masks(self.pid());
        let other = |(t, m): &(&(i32, String), &String)| now.get(*t).is_some_and(|now| now != *m);
        self.masks.iter().filter(other).map(|(t, _)| t.clone()).collect()
    }

    /// Nothing of a capture is left in it, and it is well.
    pub fn is_well(&mut self, when: &str) {
        let left = traces(self.pid());
        assert!(left.is_empty(), "after {when}: {}", left.join(", "));
        // See usual_masks: for a moment a thread may block more.
        until(&format!("after {when}: the signal masks of {:?}", self.other_masks()), || {
            self.other_masks().is_empty()
        });
        no_snapshot_lives(self.pid());
        self.check(when);
    }

    /// The same, and no zombie of a snapshot is left.
    pub fn is_clean(&mut self, when: &str) {
        self.is_well(when);
        assert_eq!(snapshots(self.pid()), [], "after {when}: snapshots");
    }

    /// All of it, and the JVM answers jcmd and ends with the code that it was told.
    pub fn ends_well(self, when: &str) {
        let threads = self.jvm.jcmd(&["Thread.print"]);
        assert!(threads.contains("\"park for ever\""), "{threads}");
        self.ends(when);
    }

    /// The same without jcmd, which not every JVM lets in.
    pub fn ends(mut self, when: &str) {
        self.is_clean(when);
        self.tell("stop 37");
        let mut code = None;
        until("the end of the JVM", || {
            code = self.jvm.child.try_wait().expect("the JVM").and_then(|s| s.code());
            code.is_some()
        });
        assert_eq!(code, Some(37), "exit code of the JVM after {when}");
    }
}

/// The signals that each thread blocks, but for two moments: one that makes a thread blocks all (glibc), one in
/// HotSpot's signal handler (a null check, a safepoint poll) all but the five that errors of a program raise.
fn usual_masks(pid: i32) -> BTreeMap<(i32, String), String> {
    let blocks_most =
        |mask: &String| u64::from_str_radix(mask, 16).expect("hexadecimal").count_ones() > 32;
    let mut seen = BTreeMap::new();
    until("no thread that makes another one or handles a signal", || {
        seen = masks(pid);
        !seen.values().any(blocks_most)
    });
    seen
}

/// `rjcore capture PID -o OUT --overwrite ARGS`.
pub fn capture(pid: i32, out: &Path, args: &[&str]) -> Command {
    let mut cmd = super::rjcore();
    cmd.args(["capture", &pid.to_string(), "--overwrite", "-o"]).arg(out).args(args);
    cmd.args((!args.contains(&"--max-pause")).then_some(PATIENTLY));
    cmd
}

/// Runs a capture to its end. The core must be whole, or caught in the middle of a collection, as these JVMs
/// often are: that is told, with exit code 3, and no fault of the capture.
pub fn taken(cmd: &mut Command) -> Output {
    let out = cmd.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{cmd:?}: {e}"));
    let said = String::from_utf8_lossy(&out.stderr);
    let fine = out.status.success() || (out.status.code() == Some(3) && caught_collecting(&said));
    assert!(fine, "{cmd:?}: {}\n{said}", out.status);
    out
}

/// Whether a capture says that it caught the JVM in the middle of a collection, and of no other gap.
pub fn caught_collecting(said: &str) -> bool {
    said.contains("gaps: caught in the middle of a garbage collection; rjcore dump")
}

/// The names in a directory.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory").flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

/// StopStress with a thread that does something once a file is there (tests/c/when.c), and what that file is; what
/// lasts ends once the other file is there.
pub fn when(what: &str, version: u32, dir: &Scratch) -> (Stress, PathBuf, PathBuf) {
    let (file, done) = (dir.path("now"), dir.path("now.done"));
    let mut env = Command::new("env");
    env.arg(format!("LD_PRELOAD={}", library("when.c", dir).display()));
    env.arg(format!("WHEN_FILE={}", file.display())).arg(format!("WHEN_DO={what}"));
    let jvm = Jvm::start_by(env, &jdk(version), &SMALL, "StopStress", dir);
    (Stress::of(jvm), file, done)
}

//! Readers of dumps that others wrote, on one dump after the other: VisualVM's heap library and hprof-slurp.

use crate::support::child::{Child, Command};
use crate::support::{classes, dep, jdk, text};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};

/// VisualVM's library in a JVM of its own, which opens many.
pub struct Readers {
    _visualvm: Child,
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Readers {
    pub fn start() -> Readers {
        let jar = dep(".test-deps/visualvm/org-graalvm-visualvm-lib-jfluid-heap.jar");
        let path = std::env::join_paths([classes(), jar]).expect("a class path");
        let mut java = Command::new(jdk(17).join("bin/java"));
        java.arg("-cp").arg(path).arg("VisualVmOpens");
        let mut visualvm =
            java.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("java starts");
        let asked = visualvm.stdin.take().expect("its input");
        let answers = BufReader::new(visualvm.stdout.take().expect("its output"));
        Readers { _visualvm: visualvm, asked, answers }
    }

    /// Both must find so many objects.
    pub fn open(&mut self, dump: &Path, objects: u64) {
        writeln!(self.asked, "{}", dump.display()).expect("a JVM that listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        assert_eq!(line.trim().parse(), Ok(objects), "VisualVM's instances: {line}");
        // The index that it keeps beside a dump.
        let _ = fs::remove_dir_all(format!("{}.hwcache", dump.display()));
        let said = text(Command::new(dep(".test-deps/bin/hprof-slurp")).arg(dump));
        let kinds = ["GC instance dump: ", "GC object array dump: ", "GC primitive array dump: "];
        let counts = said.lines().filter_map(|l| {
            let l = l.trim_start_matches('.');
            kinds.iter().find_map(|kind| l.strip_prefix(kind)?.trim().parse::<u64>().ok())
        });
        let counts: Vec<u64> = counts.collect();
        assert_eq!((counts.len(), counts.iter().sum()), (3, objects), "hprof-slurp: {said}");
    }
}

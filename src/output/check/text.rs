//! The check in words: one screen, and the verdict in one line.

use std::fmt::Write;

use super::{Check, FileCheck, Verdict};
use crate::error::{Error, Wording, with_advice};
use crate::hotspot::vm_info::version;
use crate::output::info::lines;
use crate::output::report::{clean, count, first_lines, number, size, size_exact, wrap};

/// Width of the screen's text.
const WIDTH: usize = 100;
/// Width of the labels.
const LABEL: usize = 12;

impl Check {
    /// One screen; its last line is the verdict.
    pub fn text(&self, wording: Wording) -> String {
        let mut out = String::new();
        let mut line = |label: &str, text: String| {
            let _ = writeln!(out, "{label:LABEL$} {}", clean(&text));
        };
        line("core", self.core.clone());
        match &self.truncated {
            None => line("headers", "complete: all that they promise is in the file".into()),
            Some(t) => {
                let words = t.text.split_whitespace().map(String::from);
                lines(&mut line, "headers", words);
            }
        }
        line("notes", self.notes());
        if let Some(vm) = &self.vm {
            let version = vm.version.as_deref().unwrap_or("(unknown release)");
            line("VM", version::text(version, vm.jdk, vm.java_version.as_deref()));
            let classes = count(vm.classes, "class", "classes");
            let threads = count(vm.java_threads, "Java thread", "Java threads");
            line("metadata", format!("{classes}, {threads}, {}", count(vm.roots, "root", "roots")));
        }
        if let Some(heap) = &self.heap {
            let absent = match heap.absent {
                0 => "all of it is there".into(),
                n => format!("{} of it are nowhere", size_exact(n)),
            };
            line("heap", format!("{}, {} used: {absent}", heap.collector, size_exact(heap.used)));
            for s in heap.spaces.iter().filter(|s| s.not_in_core > 0) {
                let (lost, used) = (size_exact(s.not_in_core), size(s.used));
                line("", format!("{}: {lost} of {used}", s.space.name()));
            }
            let stretches = heap.stretches.iter().map(|a| {
                let (space, bytes) = (a.space.name(), number(a.end - a.start));
                format!("{:#x}-{:#x} {space}, {bytes} bytes", a.start, a.end)
            });
            for stretch in first_lines(stretches, heap.absent_stretches) {
                line("", stretch);
            }
        }
        if let Some(memory) = &self.memory {
            let absent = match memory.absent_bytes {
                0 => "all of it is there".into(),
                n => format!("rjcore memory cannot look into {}, which are nowhere", size_exact(n)),
            };
            line(
                "memory",
                format!("{} without files: {absent}", size_exact(memory.resident_bytes)),
            );
        }
        for (i, file) in self.files.iter().enumerate() {
            line(if i == 0 { "files" } else { "" }, file.path.clone());
            for text in file.lines(self.verdict, wording) {
                for text in wrap(text.split(' ').map(String::from), WIDTH - LABEL - 3) {
                    line("", "  ".to_owned() + &text);
                }
            }
        }
        if let Some(c) = &self.collection {
            lines(&mut line, "collection", c.text.split(' ').map(String::from));
        }
        for (label, all) in [("damaged", &self.damaged), ("running", &self.running)] {
            let texts = first_lines(all.iter().map(|u| u.text.clone()), all.len() as u64);
            for (i, text) in texts.into_iter().enumerate() {
                line(if i == 0 { label } else { "" }, text);
            }
        }
        out.push('\n');
        for text in wrap(self.line(wording).split(' ').map(String::from), WIDTH) {
            let _ = writeln!(out, "{}", clean(&text));
        }
        out
    }

    fn notes(&self) -> String {
        let threads = match self.threads {
            0 => "no threads".into(),
            n => count(n as u64, "thread", "threads"),
        };
        let files = match self.mapped_files {
            0 => "no list of mapped files".into(),
            n => count(n as u64, "mapping of a file", "mappings of files"),
        };
        format!("{threads}, {files}")
    }

    /// The verdict on a core that can be dumped.
    pub(super) fn whole_or_gaps(&self) -> String {
        let along = match self.take_along.as_slice() {
            [] => String::new(),
            files => format!("take them along ({})", files.join(", ")),
        };
        match self.verdict {
            Verdict::SelfContained => "whole: rjcore dump needs nothing but this file".into(),
            Verdict::WithFiles => {
                let unproven = self.files.iter().filter_map(|f| f.source.as_ref());
                let unproven = unproven.filter(|s| !s.proven && !s.bundled);
                let mut out = format!("whole with the files found here: {along}");
                for s in unproven {
                    let _ = write!(out, "; nothing proves {} to be the process's", s.file);
                }
                out
            }
            _ => {
                let mut gaps = Vec::new();
                if let Some(heap) = self.heap.as_ref().filter(|h| h.absent > 0) {
                    let hit = heap.spaces.iter().filter(|s| s.not_in_core > 0);
                    let names: Vec<&str> = hit.map(|s| s.space.name()).collect();
                    let absent = size_exact(heap.absent);
                    gaps.push(format!("{absent} of heap in {} are nowhere", names.join(", ")));
                }
                if !self.damaged.is_empty() {
                    let n = self.damaged.len() as u64;
                    gaps.push(count(n, "problem with metadata", "problems with metadata"));
                }
                if self.collection.as_ref().is_some_and(|c| c.affected) {
                    gaps.push("caught in the middle of a garbage collection".into());
                }
                let mut out = format!("gaps: {}; rjcore dump writes the rest", gaps.join(", "));
                if self.only_caught() {
                    out += "; another capture a moment later is most often whole";
                } else if self.truncated.is_some() {
                    out += "; copy the core again if its source is whole";
                } else if let Some(file) = self.lacking().filter(|f| self.is_missed(f)) {
                    let _ = write!(out, "; {}", file.where_to_find());
                }
                if !along.is_empty() {
                    let _ = write!(out, "; files found here are needed, {along}");
                }
                out
            }
        }
    }

    /// Whether a collection that was moving objects is the only gap.
    pub fn only_caught(&self) -> bool {
        let caught = self.collection.as_ref().is_some_and(|c| c.affected);
        let absent = self.heap.as_ref().map_or(0, |h| h.absent);
        caught && self.damaged.is_empty() && absent == 0
    }

    /// The verdict on a core that cannot be dumped.
    pub(super) fn cannot(&self, why: &Error) -> String {
        match self.verdict {
            Verdict::Unsupported => {
                let mut out = format!(
                    "cannot be dumped yet: the VM's tables were read, but this rjcore does not \
                     read its heap ({why}); keep the core for a later version"
                );
                if !self.take_along.is_empty() {
                    let _ = write!(out, ", and {}", self.take_along.join(", "));
                }
                out
            }
            _ => {
                let mut out = format!("cannot be dumped: {why}");
                // That error says so itself.
                if self.truncated.is_some() && !matches!(why, Error::CutOff(_)) {
                    out += "; the core is cut off: copy it again, or take a new one";
                }
                if let Some(file) = self.lacking() {
                    let _ = write!(out, "; {}", file.where_to_find());
                }
                out
            }
        }
    }

    /// Whether the file may hold what the gaps lack: metadata, or heap that was mapped from it.
    fn is_missed(&self, file: &FileCheck) -> bool {
        let stretches = self.heap.iter().flat_map(|h| &h.stretches);
        let mut from = stretches.map(|a| a.file.as_ref());
        self.heap.as_ref().is_none_or(|h| h.absent == 0) || from.any(|f| f == Some(&file.path))
    }

    /// The first file of which something is nowhere that it would bring; libjvm.so before archives.
    fn lacking(&self) -> Option<&FileCheck> {
        let lacking = || self.files.iter().filter(|f| f.missing > 0 && !f.changed);
        lacking().find(|f| f.is_libjvm).or_else(|| lacking().next())
    }
}

impl FileCheck {
    fn where_to_find(&self) -> String {
        let path = self.path.strip_suffix(" (deleted)").unwrap_or(&self.path);
        format!("the process had {path}, on its machine or in its container's image")
    }

    fn lines(&self, verdict: Verdict, wording: Wording) -> Vec<String> {
        let whole = matches!(verdict, Verdict::SelfContained | Verdict::WithFiles);
        let mut parts = vec![format!("{} in the core", size(self.in_core))];
        if let Some(s) = &self.source {
            let proof = if s.proven { "proven right" } else { "not proven" };
            let unneeded = verdict == Verdict::SelfContained && !s.bundled;
            let needed = if unneeded { "not needed: " } else { "" };
            parts.push(format!("{needed}{} from {} ({proof})", size(s.bytes), s.file));
        }
        if self.missing > 0 {
            let needed = if whole { "not needed: " } else { "" };
            parts.push(format!("{needed}{} nowhere", size(self.missing)));
        }
        let mut out = vec![format!("{} mapped: {}", size(self.mapped), parts.join(", "))];
        if !whole {
            out.extend(
                self.why
                    .iter()
                    .map(|w| format!("nowhere: {}", with_advice(&w.text, w.advice, wording))),
            );
            out.extend(self.tried.iter().map(|t| format!("looked at {t}")));
        }
        out
    }
}

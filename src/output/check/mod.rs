//! Whether a core holds what `dump` needs: data, a verdict, and one screen of it.
//!
//! Reads what `dump` reads before its walk, and asks for each byte of heap whether it is there.
//! Does not look at objects, unless heap is absent from a core that is not cut off, or a
//! garbage collection was under way: then only a walk can tell whether an object lies there, or
//! was being moved.

mod files;
mod memory;
mod reading;
mod text;

use serde::Serialize;

pub use files::{FileCheck, FileWhy, Source};
pub use memory::MemoryCheck;
pub use reading::{Absent, HeapCheck};

use crate::corefile::{CoreFile, Missing};
use crate::error::{Advice, Error, Wording, with_advice};
use crate::heap::Unread;
use crate::output::collection::{Collection, Task};
use crate::output::report::Cut;
use reading::Reading;

/// How a core stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Whole, and all of it in this one file.
    SelfContained,
    /// Whole with the files that were found beside it.
    WithFiles,
    /// It can be dumped, but part of the heap or of the metadata is nowhere.
    Gaps,
    /// The VM's tables were read; this rjcore does not read this VM's heap yet.
    Unsupported,
    /// It cannot be dumped.
    Unreadable,
}

/// The report.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The file as the user named it.
    pub core: String,
    /// How it stands.
    pub verdict: Verdict,
    /// The verdict in words, one line; what may be done about it is `advice`.
    pub text: String,
    /// What may be done.
    pub advice: Option<Advice>,
    /// What a cut-off core lacks.
    pub truncated: Option<Cut>,
    /// Threads in the notes.
    pub threads: usize,
    /// Mapped files in the notes (NT_FILE).
    pub mapped_files: usize,
    /// The VM, where its tables and classes could be read.
    pub vm: Option<VmCheck>,
    /// The heap, where its regions could be read.
    pub heap: Option<HeapCheck>,
    /// What is there of all the process's memory, for `memory`; none where the core does not say what there was.
    pub memory: Option<MemoryCheck>,
    /// A garbage collection that was under way, and what it costs a dump.
    pub collection: Option<Collection>,
    /// Metadata that could not be read.
    pub damaged: Vec<Unread>,
    /// Stacks of running threads that rjcore cannot walk to their bottom. No gap: the core has
    /// all of them.
    pub running: Vec<Unread>,
    /// libjvm.so and the CDS archives.
    pub files: Vec<FileCheck>,
    /// The files that have to be taken along with the core: those of them that it needs.
    pub take_along: Vec<String>,
}

/// What was read of the VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VmCheck {
    /// The feature release: 8, 17.
    pub jdk: Option<u32>,
    /// The JDK's own version: `1.8.0_504-8u504-ga-b01`, `17.0.15+6-Debian-1deb12u1`.
    pub java_version: Option<String>,
    /// HotSpot's: `25.504-b01` in JDK 8, the JDK's since.
    pub version: Option<String>,
    /// Loaded classes, array classes included.
    pub classes: u64,
    /// Java threads, the VM's own included.
    pub java_threads: u64,
    /// Roots, but for those that only a walk finds.
    pub roots: u64,
}

impl Check {
    /// Checks a core under which files were laid; `missing` is what
    /// [`CoreFile::lay_backing_files`] answered. `threads` are for the walk, if one is needed.
    ///
    /// Any core has an answer: what cannot be read is a verdict, not an error.
    pub fn of(core: &CoreFile, missing: &[Missing], threads: usize) -> Check {
        let alone = core.alone();
        let files = files::of(core, &alone, missing);
        let mut check = Check::new(core, files);
        let with_files = core.backing().iter().any(|b| !b.bundled);
        match Reading::of(core, threads) {
            Err(e) => {
                // Without the files the same answer is the core's own.
                let same = |alone: &Error| alone.to_string() == e.to_string();
                let needed = with_files && !Reading::of(&alone, threads).is_err_and(|a| same(&a));
                if matches!(e, Error::Unsupported(_)) {
                    check.set_take_along(needed);
                }
                check.fail(&e);
            }
            Ok(reading) => {
                let met = || {
                    let alone_reading = Reading::of(&alone, threads)?;
                    reading.is_met_by(alone_reading, &alone, threads)
                };
                check.set_take_along(with_files && !met().unwrap_or(false));
                check.vm = Some(VmCheck {
                    jdk: reading.version.jdk(),
                    java_version: reading.version.java().map(str::to_owned),
                    version: reading.version.release,
                    classes: reading.classes,
                    java_threads: reading.threads,
                    roots: reading.roots,
                });
                check.heap = Some(reading.heap);
                check.damaged = reading.damaged;
                check.running = reading.running;
                check.collection = reading.caught.map(|c| Collection::new(c, Task::Objects));
                let affected = check.collection.as_ref().is_some_and(|c| c.affected);
                let whole = check.damaged.is_empty() && check.absent() == 0 && !affected;
                check.verdict = match (whole, check.take_along.is_empty()) {
                    (false, _) => Verdict::Gaps,
                    (true, true) => Verdict::SelfContained,
                    (true, false) => Verdict::WithFiles,
                };
                check.text = check.whole_or_gaps();
            }
        }
        check
    }

    /// The check of a core under which no files could be laid, for this reason.
    pub fn unreadable(core: &CoreFile, why: &Error) -> Check {
        let mut check = Check::new(core, files::of(core, core, &[]));
        check.fail(why);
        check
    }

    fn new(core: &CoreFile, files: Vec<FileCheck>) -> Check {
        Check {
            core: core.path().display().to_string(),
            verdict: Verdict::Unreadable,
            text: String::new(),
            advice: None,
            truncated: core.truncation().map(Cut::from),
            threads: core.threads().len(),
            mapped_files: core.mappings().len(),
            vm: None,
            heap: None,
            memory: MemoryCheck::of(core),
            collection: None,
            damaged: Vec::new(),
            running: Vec::new(),
            files,
            take_along: Vec::new(),
        }
    }

    /// Notes the files outside the core's own that were used, if any of them is needed.
    fn set_take_along(&mut self, needed: bool) {
        let used = self.files.iter().filter_map(|f| f.source.as_ref());
        let used = used.filter(|s| needed && !s.bundled).map(|s| s.file.clone());
        self.take_along = used.collect();
        self.take_along.sort();
        self.take_along.dedup();
    }

    fn fail(&mut self, why: &Error) {
        self.verdict = match why {
            Error::Unsupported(_) => Verdict::Unsupported,
            _ => Verdict::Unreadable,
        };
        self.text = self.cannot(why);
        self.advice = why.advice();
    }

    /// Bytes of used heap that are nowhere.
    fn absent(&self) -> u64 {
        self.heap.as_ref().map_or(0, |h| h.absent)
    }

    /// The verdict and what may be done, in one line.
    pub fn line(&self, wording: Wording) -> String {
        with_advice(&self.text, self.advice, wording)
    }

    /// How the core stands.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }
}

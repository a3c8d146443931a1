//! Where the pages of libjvm.so and of the CDS archives come from: the core, a file, nowhere.

use std::collections::HashMap;

use serde::Serialize;

use crate::corefile::{Backing, CoreFile, FileMapping, Missing, MissingReason, WhyMissing};
use crate::error::Advice;

/// One mapped file that rjcore reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileCheck {
    /// Where the process had it.
    pub path: String,
    /// Whether it is libjvm.so; the others are CDS archives.
    #[serde(skip)]
    pub is_libjvm: bool,
    /// Bytes that were mapped.
    pub mapped: u64,
    /// Those that the core itself holds.
    pub in_core: u64,
    /// Where the rest came from, if it was found.
    pub source: Option<Source>,
    /// Those that are nowhere.
    pub missing: u64,
    /// Whether the process had perhaps changed them: then no file has them.
    pub changed: bool,
    /// Why they are not, where some are.
    pub why: Option<FileWhy>,
    /// The files that were looked at for them.
    pub tried: Vec<String>,
}

/// A file that was laid under the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Its path; `BUNDLE:MEMBER` for one that lies in a bundle.
    pub file: String,
    /// Bytes that came from it.
    pub bytes: u64,
    /// Whether a build-id, or else the dynamic section, proved it to be the process's.
    pub proven: bool,
    /// Whether it lies in the bundle with the core.
    pub bundled: bool,
}

/// Why bytes of a file are nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileWhy {
    /// Which reason.
    pub code: MissingReason,
    /// The same for people, with what was seen.
    pub text: String,
    /// What may be done.
    pub advice: Option<Advice>,
}

impl From<&WhyMissing> for FileWhy {
    fn from(why: &WhyMissing) -> FileWhy {
        FileWhy { code: why.code, text: why.text.clone(), advice: why.advice() }
    }
}

/// All of them, by address; `alone` is the core without the files beside it.
pub(super) fn of(core: &CoreFile, alone: &CoreFile, missing: &[Missing]) -> Vec<FileCheck> {
    let mut out: Vec<FileCheck> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut laid: HashMap<u64, Vec<&Backing>> = HashMap::new();
    core.backing().iter().for_each(|b| laid.entry(b.start).or_default().push(b));
    let mut lacking: HashMap<u64, Vec<&Missing>> = HashMap::new();
    missing.iter().for_each(|l| lacking.entry(l.mapping.start).or_default().push(l));
    let matters = core.matters();
    for m in core.mappings().iter().filter(|m| matters(m)) {
        let at = *places.entry(&m.path).or_insert_with(|| {
            out.push(FileCheck {
                path: m.path.clone(),
                is_libjvm: m.is_libjvm(),
                mapped: 0,
                in_core: 0,
                source: None,
                missing: 0,
                changed: false,
                why: None,
                tried: Vec::new(),
            });
            out.len() - 1
        });
        let file = &mut out[at];
        let from = laid.get(&m.start).map_or(&[][..], Vec::as_slice);
        let bundled: u64 = from.iter().filter(|b| b.bundled).map(|b| b.bytes).sum();
        file.mapped = file.mapped.saturating_add(m.end - m.start);
        file.in_core += saved(alone, m).saturating_sub(bundled);
        for b in from.iter().filter(|b| b.bytes > 0) {
            let source = file.source.get_or_insert_with(|| Source {
                file: b.file.display().to_string(),
                bytes: 0,
                proven: b.proven,
                bundled: b.bundled,
            });
            source.bytes += b.bytes;
        }
        for lack in lacking.get(&m.start).into_iter().flatten().filter(|l| l.mapping == *m) {
            file.missing += lack.missing_bytes;
            file.changed |= lack.changed;
            file.why = Some(FileWhy::from(&lack.why));
            file.tried = lack.tried.iter().map(|p| p.display().to_string()).collect();
        }
    }
    out
}

fn saved(core: &CoreFile, m: &FileMapping) -> u64 {
    core.memory().present(m.start, m.end).map(|(from, to)| to - from).sum()
}

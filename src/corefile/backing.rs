//! Mapped files laid underneath the core's pages: libjvm.so and the CDS archives, which
//! the kernel leaves out of a core where the process did not change them.
//!
//! Knows where to look for them and how to tell the right libjvm by its build-id; knows
//! nothing of what is in them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use serde::Serialize;

use super::build_id::{file_build_id, read_build_id, same_build};
use super::bundle::Member;
use super::{CoreFile, FileMapping, Memory};
use crate::error::{Advice, Error, Result};
use crate::format::files::is_vm_file;
use crate::mapped::Mapped;

/// Where to look for mapped files.
#[derive(Debug, Clone, Default)]
pub struct Sysroot {
    /// The libjvm.so to use, whatever the recorded path.
    pub jvm: Option<PathBuf>,
    /// Directories that stand for the process's `/`, tried in order.
    pub roots: Vec<PathBuf>,
    /// Look nowhere but in the core's own file, a bundle's members included: neither at `jvm`
    /// nor in `roots` nor at the recorded path. Proves that the file needs nothing else.
    pub alone: bool,
}

/// A file that was laid under a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backing {
    /// First address of the mapping.
    pub start: u64,
    /// The file that was used.
    pub file: PathBuf,
    /// How many bytes came from it.
    pub bytes: u64,
    /// Whether a build-id proved it to be the right one, or where the core lacks that, the
    /// dynamic section.
    pub proven: bool,
    /// Whether it lies in the bundle with the core: then `file` is `BUNDLE:MEMBER`.
    pub bundled: bool,
}

/// A mapping that could not be completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The mapping.
    pub mapping: FileMapping,
    /// How many bytes of it are nowhere.
    pub missing_bytes: u64,
    /// The files that were looked at.
    pub tried: Vec<PathBuf>,
    /// Why none of them did.
    pub why: WhyMissing,
    /// The right file was found, but the process had perhaps changed what is missing: no file has
    /// that.
    pub changed: bool,
}

/// Why bytes of a mapped file are nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WhyMissing {
    /// Which of the reasons it is.
    pub code: MissingReason,
    /// The reason with its evidence, for people.
    pub text: String,
}

impl WhyMissing {
    fn new(code: MissingReason, text: impl Into<String>) -> WhyMissing {
        WhyMissing { code, text: text.into() }
    }

    /// What may be done about it.
    pub fn advice(&self) -> Option<Advice> {
        (self.code == MissingReason::NoFile).then_some(Advice::GiveRoot)
    }
}

/// Sorts of reasons why no file filled a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MissingReason {
    /// There is no such file.
    #[default]
    NoFile,
    /// None but the core's own was to be looked at.
    NotLookedFor,
    /// It cannot be read.
    Unreadable,
    /// It is not the one that the process had, or nothing proves that it is.
    NotTheOne,
    /// The right file does not reach that far.
    TooShort,
    /// The right file was found, but the process may have changed what is missing.
    Changed,
}

/// A candidate opened and mapped.
pub(super) struct Candidate {
    path: PathBuf,
    pub(super) map: Arc<Mapped>,
    pub(super) proven: bool,
    bundled: bool,
}

/// The libjvm.so that was found.
#[derive(Debug, Clone)]
pub(super) struct JvmFile {
    pub(super) path: PathBuf,
    pub(super) map: Arc<Mapped>,
    pub(super) proven: bool,
}

impl CoreFile {
    /// Whether rjcore reads a file: libjvm and archives.
    pub(crate) fn matters(&self) -> impl Fn(&FileMapping) -> bool + use<> {
        let archives: HashSet<String> = self.archives().into_iter().map(str::to_owned).collect();
        move |m| is_vm_file(m.clean_path()) || archives.contains(&m.path)
    }

    /// Lays the files that matter under the core's pages, see `matters`.
    ///
    /// Order: the libjvm given (for libjvm.so only), the bundle that the core lies in (the recorded path
    /// under any prefix, then the bare name), each root (the recorded path in it, then the
    /// bare name), the recorded path. Returns what could not be completed.
    /// Without an NT_FILE note the mappings are those of ld.so's list, or that of the image
    /// which the libjvm given shows to be there; [`Error::NoJvm`] if neither is to be had.
    /// [`Error::WrongJvm`] when the libjvm given is another build.
    pub fn lay_backing_files(&mut self, sysroot: &Sysroot) -> Result<Vec<Missing>> {
        self.lay_backing_files_if(sysroot, self.matters())
    }

    /// [`CoreFile::lay_backing_files`] for the mappings that `wanted` names.
    pub fn lay_backing_files_if(
        &mut self,
        sysroot: &Sysroot,
        wanted: impl Fn(&FileMapping) -> bool,
    ) -> Result<Vec<Missing>> {
        let given = sysroot.jvm.as_deref().filter(|_| !sysroot.alone);
        if let Some(libraries) = &self.libraries
            && self.libjvm().is_none()
            && (self.mappings.is_empty() || libraries.why.is_some())
        {
            self.find_given(given)?;
        }
        let given = given.map(|jvm| self.given_jvm(jvm)).transpose()?;
        self.complete_libraries(sysroot, given.as_ref(), &wanted);
        let mut out = Vec::new();
        // One search for all mappings of one file: they lie next to each other.
        let mut last: Option<(String, Option<Candidate>, Vec<PathBuf>, WhyMissing)> = None;
        for mapping in self.mappings.clone().into_iter().filter(wanted) {
            let is_jvm = mapping.is_libjvm();
            let lacking = absent(&self.memory, mapping.start, mapping.end);
            if lacking == 0 && !is_jvm {
                continue;
            }
            if last.as_ref().is_none_or(|l| l.0 != mapping.path) {
                let mut tried = Vec::new();
                let mut why = WhyMissing::default();
                let found = match &given {
                    // Of several, it is one.
                    Some(c) if is_jvm && self.judge(&mapping, &c.map, || None).is_ok() => {
                        Some(c.again())
                    }
                    _ => self.search(&mapping, sysroot, &mut tried, &mut why),
                };
                last = Some((mapping.path.clone(), found, tried, why));
            }
            let Some((_, found, tried, why)) = &last else { continue };
            let mut why = why.clone();
            let (mut left, mut changed) = (lacking, false);
            if let Some(c) = found {
                if is_jvm {
                    let (path, map, proven) = (c.path.clone(), c.map.clone(), c.proven);
                    self.libjvm_file = Some(JvmFile { path, map, proven });
                }
                if lacking > 0 {
                    let (bytes, held_back) = self.lay(&mapping, c);
                    left = absent(&self.memory, mapping.start, mapping.end);
                    // The kernel shows zeros between the file's end and the page's.
                    let file_end = mapping
                        .start
                        .saturating_add((c.map.len() as u64).saturating_sub(mapping.file_offset));
                    let tail_end = file_end.checked_next_multiple_of(self.page_size());
                    let tail_end = tail_end.unwrap_or(u64::MAX).min(mapping.end);
                    left -= absent(&self.memory, file_end.min(tail_end), tail_end);
                    let file = c.path.clone();
                    self.backing.push(Backing {
                        start: mapping.start,
                        file,
                        bytes,
                        proven: c.proven,
                        bundled: c.bundled,
                    });
                    changed = held_back;
                    let path = c.path.display();
                    let loser = match self.truncation.is_some() {
                        true => "the core, which is cut off,",
                        false => "the core, which was trimmed or not saved whole,",
                    };
                    why = match changed {
                        true => WhyMissing::new(
                            MissingReason::Changed,
                            format!(
                                "the process may have changed it, so {path} is of no use for it, \
                                 and {loser} has lost it"
                            ),
                        ),
                        false => WhyMissing::new(
                            MissingReason::TooShort,
                            format!("{path} does not reach that far"),
                        ),
                    };
                }
            }
            if left > 0 {
                let tried = tried.clone();
                out.push(Missing { mapping, missing_bytes: left, tried, why, changed });
            }
        }
        self.memory.merge();
        Ok(out)
    }

    /// Lays `c` under `mapping`, except where the process may have had other bytes: the
    /// file holds the state before relocation and before all writes. Answers the bytes that were
    /// laid, and whether there are such places.
    fn lay(&mut self, mapping: &FileMapping, c: &Candidate) -> (u64, bool) {
        let mut holes = self.perhaps_written(mapping, &c.map);
        holes.sort_unstable();
        let held_back = !holes.is_empty();
        holes.push((mapping.end, mapping.end));
        let offset = |addr: u64| mapping.file_offset + (addr - mapping.start);
        let (mut at, mut bytes) = (mapping.start, 0);
        for (from, to) in holes {
            if at < from {
                bytes += self.memory.lay_under(at, from - at, &c.map, offset(at));
            }
            at = at.max(to);
        }
        (bytes, held_back)
    }

    /// The parts of `mapping` where the file's bytes prove nothing about the process's:
    /// a cut-off or trimmed core lost them.
    fn perhaps_written(&self, mapping: &FileMapping, file: &[u8]) -> Vec<(u64, u64)> {
        let base = self
            .mappings
            .iter()
            .rev()
            .find(|m| m.path == mapping.path && m.file_offset == 0 && m.start <= mapping.start);
        if let Some(writable) = base.and_then(|m| writable(file, m.start, self.page_size())) {
            // The kernel leaves a writable segment without bytes only if nobody wrote to it.
            let untouched = |from, to| {
                let mut empty = self.segments.iter().filter(|s| s.filesz == 0);
                empty.any(|s| s.start <= from && to - s.start <= s.memsz)
            };
            let clip = |(from, to): (u64, u64)| (from.max(mapping.start), to.min(mapping.end));
            let parts = writable.into_iter().map(clip);
            return parts.filter(|&(from, to)| from < to && !untouched(from, to)).collect();
        }
        // No ELF file, so a CDS archive. Both gcore and the kernel save all of a mapping
        // that was written to; of one that was not, at most its first page, in a longer
        // segment. So a full segment beside a gap: cut off or trimmed. A mapping of which
        // `trim` kept nothing looks untouched, but then nothing of it was read before.
        let saved = self.segments.iter().any(|s| {
            let (from, to) = (s.start, s.start.saturating_add(s.memsz));
            s.filesz > 0 && s.filesz == s.memsz && from < mapping.end && to > mapping.start
        });
        if saved { vec![(mapping.start, mapping.end)] } else { Vec::new() }
    }

    /// The libjvm given, which must be right.
    pub(super) fn given_jvm(&self, path: &Path) -> Result<Candidate> {
        let map = map(path).map_err(Error::io(path))?;
        let found = file_build_id(&map)
            .map_err(|why| Error::NotALibjvm { path: path.into(), what: why })?;
        let all: Vec<String> = self.libjvms().filter_map(|m| self.build_id_of(&m.path)).collect();
        let proven = match all.first() {
            Some(_) if !all.iter().any(|id| Some(id) == found.as_ref()) => {
                let found = found.unwrap_or_else(|| "(none)".into());
                return Err(Error::WrongJvm {
                    path: path.into(),
                    found,
                    expected: all.join(" or "),
                });
            }
            Some(_) => true,
            None => {
                let name = self.libjvm().map_or("", |m| m.path.as_str());
                self.same_dynamic(name, &map).map_err(|why| Error::NoJvm {
                    what: format!("{}: {why}", path.display()),
                    advice: Some(Advice::GiveLibjvm),
                })?
            }
        };
        Ok(Candidate { path: path.into(), map, proven, bundled: false })
    }

    pub(super) fn search(
        &self,
        mapping: &FileMapping,
        sysroot: &Sysroot,
        tried: &mut Vec<PathBuf>,
        why: &mut WhyMissing,
    ) -> Option<Candidate> {
        let recorded = Path::new(mapping.clean_path());
        let inner = recorded.strip_prefix("/").unwrap_or(recorded);
        if let Some(found) = self.in_bundle(mapping, inner, tried, why) {
            return Some(found);
        }
        if sysroot.alone {
            if tried.is_empty() {
                let text = "not in the core's own file, and no other was to be looked at";
                *why = WhyMissing::new(MissingReason::NotLookedFor, text);
            }
            return None;
        }
        let in_roots =
            sysroot.roots.iter().flat_map(|r| [r.join(inner), r.join(mapping.file_name())]);
        if tried.is_empty() {
            *why = WhyMissing::new(MissingReason::NoFile, "no such file");
        }
        for path in in_roots.chain([recorded.to_owned()]) {
            let is_recorded = path == recorded;
            tried.push(path.clone());
            let file = match map(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => {
                    *why = WhyMissing::new(
                        MissingReason::Unreadable,
                        format!("{}: {e}", path.display()),
                    );
                    continue;
                }
            };
            match self.judge(mapping, &file, || map(&path.with_file_name("libjvm.so")).ok()) {
                Ok(false) if is_recorded && mapping.path != mapping.clean_path() => {
                    let text = "the process's file was deleted, and nothing proves this one equal";
                    *why = WhyMissing::new(
                        MissingReason::NotTheOne,
                        format!("{}: {text}", path.display()),
                    );
                }
                Ok(proven) => {
                    return Some(Candidate { path, map: file, proven, bundled: false });
                }
                Err(e) => {
                    *why = WhyMissing::new(
                        MissingReason::NotTheOne,
                        format!("{}: {e}", path.display()),
                    );
                }
            }
        }
        None
    }

    /// The bundle's member for `mapping`, whose recorded path without its `/` is `inner`.
    fn in_bundle(
        &self,
        mapping: &FileMapping,
        inner: &Path,
        tried: &mut Vec<PathBuf>,
        why: &mut WhyMissing,
    ) -> Option<Candidate> {
        // Two archives of one bare name may lie in one bundle: each is its own path's first.
        let others = |m: &&Member| {
            let mut paths = self.mappings.iter().map(|f| f.clean_path().trim_start_matches('/'));
            paths.any(|path| m.name.ends_with(path))
        };
        let by_path = self.bundle.iter().filter(|m| m.name.ends_with(inner));
        let by_name = self.bundle.iter().filter(|m| m.name.ends_with(mapping.file_name()));
        for member in by_path.chain(by_name.filter(|m| !others(m))) {
            let label = format!("{}:{}", self.path.display(), member.name.display());
            tried.push(label.clone().into());
            let sibling = member.name.with_file_name("libjvm.so");
            let beside = || self.bundle.iter().find(|m| m.name == sibling).map(|m| m.map.clone());
            match self.judge(mapping, &member.map, beside) {
                Ok(proven) => {
                    let map = member.map.clone();
                    return Some(Candidate { path: label.into(), map, proven, bundled: true });
                }
                Err(e) => *why = WhyMissing::new(MissingReason::NotTheOne, format!("{label}: {e}")),
            }
        }
        None
    }

    /// Whether the candidate is proven right (true), possible (false) or wrong (the reason).
    /// `beside` answers the libjvm.so in the candidate's directory.
    fn judge(
        &self,
        mapping: &FileMapping,
        file: &[u8],
        beside: impl FnOnce() -> Option<Arc<Mapped>>,
    ) -> Result<bool, String> {
        if mapping.is_libjvm() {
            let found = file_build_id(file)?;
            return match self.build_id_of(&mapping.path) {
                Some(expected) => same_build(&expected, found.as_deref()),
                None => self.same_dynamic(&mapping.path, file),
            };
        }
        let end = mapping.file_offset.saturating_add(mapping.end - mapping.start);
        if (file.len() as u64).next_multiple_of(self.page_size()) < end {
            return Err("shorter than the file that the process had mapped".into());
        }
        let mut all = self.mappings.iter().filter(|m| m.path == mapping.path);
        let base = all.find(|m| m.file_offset == 0);
        let expected = base.and_then(|m| read_build_id(&self.memory, m.start).ok().flatten());
        if let Some(expected) = expected {
            return match file_build_id(file)? {
                Some(found) if found == expected => Ok(true),
                _ => Err("of another build than the process's".into()),
            };
        }
        if file.starts_with(b"\x7fELF") {
            return self.same_dynamic(&mapping.path, file);
        }
        // A CDS archive has no build-id, but it is of one make with the libjvm beside it.
        let jvms = || self.libjvms().filter_map(|m| self.build_id_of(&m.path));
        match beside() {
            Some(jvm) => {
                let found = file_build_id(&jvm)?;
                let is_one = jvms().any(|id| found.as_ref() == Some(&id));
                match jvms().next() {
                    Some(expected) if !is_one => same_build(&expected, found.as_deref())
                        .map_err(|e| format!("of another JDK: the libjvm.so beside it has {e}")),
                    expected => Ok(expected.is_some()),
                }
            }
            None => Ok(false),
        }
    }

    /// The build-id that the core's memory shows of the libjvm.so at `path`.
    fn build_id_of(&self, path: &str) -> Option<String> {
        let base = self.libjvms().find(|m| m.path == path)?;
        read_build_id(&self.memory, base.start).ok().flatten()
    }
}

impl Candidate {
    fn again(&self) -> Candidate {
        Candidate {
            path: self.path.clone(),
            map: self.map.clone(),
            proven: self.proven,
            bundled: self.bundled,
        }
    }
}

pub(super) fn map(path: &Path) -> std::io::Result<Arc<Mapped>> {
    Mapped::at(path).map(Arc::new)
}

/// Bytes of `start..end` that the memory lacks.
pub(super) fn absent(memory: &Memory, start: u64, end: u64) -> u64 {
    let there: u64 = memory.present(start, end).map(|(a, b)| b - a).sum();
    end.saturating_sub(start) - there
}

/// The pages that the process writes to (relocations too) of an ELF file whose first byte
/// is mapped at `base`; None if it is no ELF file.
fn writable(file: &[u8], base: u64, page: u64) -> Option<Vec<(u64, u64)>> {
    let header = FileHeader64::<LE>::parse(file).ok()?;
    let loads = header.program_headers(LE, file).ok()?;
    let loads = loads.iter().filter(|p| p.p_type(LE) == elf::PT_LOAD);
    // By address, not by file offset: the page between two segments is mapped twice.
    let first = loads.clone().find(|p| p.p_offset(LE) == 0).map_or(0, |p| p.p_vaddr(LE));
    let pages = |p: &elf::ProgramHeader64<LE>| {
        let start = base.wrapping_add(p.p_vaddr(LE).wrapping_sub(first));
        let end = start.saturating_add(p.p_memsz(LE)).saturating_add(page - 1);
        (start & !(page - 1), end & !(page - 1))
    };
    Some(loads.filter(|p| p.p_flags(LE).0 & 2 != 0).map(pages).collect())
}

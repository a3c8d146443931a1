//! A core file as an address space, with the facts that its notes carry.
//!
//! Knows ELF and the kernel's notes, bundles (a tar with the core), and which mapped files to
//! lay underneath; knows nothing of HotSpot beyond the name `libjvm.so`.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

pub(crate) mod backing;
mod build_id;
mod bundle;
mod elf;
mod libraries;
mod library_files;
mod linkmap;
pub(crate) mod memory;
mod rebuilt;
pub(crate) mod room;
pub(crate) mod write;
mod zips;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::iter;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use backing::{Backing, Missing, MissingReason, Sysroot, WhyMissing};
pub use library_files::FoundFile;
pub use memory::Memory;
pub use rebuilt::RebuiltPages;
pub use write::write_core;

use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::format::files::{Parts, is_archive_name};
use crate::format::notes::Origin;
use crate::mapped::Mapped;
use crate::unpack;

/// How to open a core.
#[derive(Default, Clone, Copy)]
pub struct OpenOptions<'a> {
    /// Called with (done, total) bytes while a compressed file is unpacked, or a pipe read: then
    /// the total is 0.
    pub progress: Option<&'a dyn Fn(u64, u64)>,
}

/// One entry of NT_FILE, or what stands in for it: a file that the process had mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMapping {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// Where in the file `start` lies, in bytes.
    pub file_offset: u64,
    /// The path as the kernel knew it, perhaps with ` (deleted)` at its end.
    pub path: String,
}

impl FileMapping {
    /// The path without ` (deleted)`.
    pub fn clean_path(&self) -> &str {
        self.path.strip_suffix(" (deleted)").unwrap_or(&self.path)
    }

    /// Whether it is of libjvm.so.
    pub fn is_libjvm(&self) -> bool {
        self.file_name() == "libjvm.so"
    }

    /// The file's bare name, without ` (deleted)`.
    pub fn file_name(&self) -> &str {
        let path = self.clean_path();
        path.rsplit('/').next().unwrap_or(path)
    }
}

/// One PT_LOAD of the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First address.
    pub start: u64,
    /// Bytes that the process had mapped.
    pub memsz: u64,
    /// Bytes that the core says it holds; a truncated core may hold fewer.
    pub filesz: u64,
    /// Where they lie in the core file.
    pub offset: u64,
    /// `p_flags`: 4 read, 2 write, 1 execute.
    pub flags: u32,
}

/// A thread as NT_PRSTATUS has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadNote {
    /// The kernel's thread id, in the process's own PID namespace for kernel cores.
    pub tid: i32,
    /// `pr_cursig`: the signal that stopped it, or 0.
    pub signal: i32,
    /// `pr_utime` and `pr_stime` in microseconds; gdb leaves them 0.
    pub cpu_us: u64,
    /// `pr_reg` raw: as many words as the CPU has in it.
    pub regs: Vec<u8>,
    /// The core's CPU, which says what is in them.
    pub cpu: Cpu,
}

impl ThreadNote {
    /// The stack pointer, and all registers as words.
    pub fn registers(&self) -> (u64, Vec<u64>) {
        let words: Vec<u64> =
            self.regs.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w)).collect();
        (words.get(self.cpu.facts().sp).copied().unwrap_or(0), words)
    }
}

/// The signal that the process died of, from NT_SIGINFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigInfo {
    /// `si_signo`.
    pub signo: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`: means something for faults only.
    pub addr: u64,
}

/// The process as NT_PRPSINFO has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PsInfo {
    /// `pr_fname`, at most 15 bytes.
    pub command: String,
    /// `pr_psargs`, cut at 79 bytes.
    pub args: String,
    /// The process id.
    pub pid: i32,
}

/// A PT_LOAD that the file's end cuts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruncatedSegment {
    /// First address of the segment.
    pub start: u64,
    /// Where the bytes that the core ought to hold end.
    pub end: u64,
    /// How many of them are missing, always the last ones.
    pub missing: u64,
    /// The file mapped there, if any.
    pub name: Option<String>,
}

/// What a cut-off core lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truncation {
    /// All bytes that the program headers promise and the file does not hold.
    pub missing_bytes: u64,
    /// Those of them that belong to the notes (threads, mapped files).
    pub notes_missing: u64,
    /// The segments that it hits, by address.
    pub hits: Vec<TruncatedSegment>,
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        write!(f, "the core is cut off: {} bytes are missing", self.missing_bytes)?;
        if self.notes_missing > 0 {
            write!(f, ", {} of them notes (threads and mapped files)", self.notes_missing)?;
        }
        for (i, hit) in self.hits.iter().take(SHOWN).enumerate() {
            let lead = if i == 0 { "; this hits" } else { "," };
            let name = hit.name.as_deref().unwrap_or("anonymous memory");
            write!(f, "{lead} {:#x}-{:#x} ({name}, {} bytes)", hit.start, hit.end, hit.missing)?;
        }
        if self.hits.len() > SHOWN {
            write!(f, " and {} more", self.hits.len() - SHOWN)?;
        }
        Ok(())
    }
}

/// An opened core: its memory, and what its headers and notes say.
#[derive(Debug)]
pub struct CoreFile {
    path: PathBuf,
    file: Arc<Mapped>,
    memory: Memory,
    cpu: Cpu,
    segments: Vec<Segment>,
    mappings: Vec<FileMapping>,
    threads: Vec<ThreadNote>,
    siginfo: Option<SigInfo>,
    psinfo: Option<PsInfo>,
    auxv: Vec<(u64, u64)>,
    /// What stands in for NT_FILE where the core has none.
    libraries: Option<linkmap::Libraries>,
    origin: Option<Origin>,
    /// Where the notes lie in `file`.
    notes: Vec<Range<usize>>,
    truncation: Option<Truncation>,
    libjvm_build_id: Option<String>,
    libjvm_file: Option<backing::JvmFile>,
    backing: Vec<Backing>,
    /// What the bundle holds beside the core.
    bundle: Vec<bundle::Member>,
    /// What was laid of bytes that are in no file.
    rebuilt: RebuiltPages,
}

impl CoreFile {
    /// Opens the core at `path`, unpacking it first if it is compressed (zstd, gzip, xz, lz4,
    /// bzip2). It may be a bundle, too: a tar, compressed or not, or a zip that holds the core
    /// and the files to lay under it. Its content tells, not its name. `-` is standard input; of
    /// that and of pipes all is read before anything else.
    ///
    /// A truncated core opens too, see [`CoreFile::truncation`]. Anything but a 64-bit
    /// little-endian x86-64 or aarch64 ELF core, or a tar with one, is [`Error::NotACore`].
    pub fn open(path: &Path, opts: &OpenOptions<'_>) -> Result<CoreFile> {
        let (label, file) = unpack::open(path)?;
        CoreFile::from_file(label, file, opts)
    }

    /// [`CoreFile::open`] of a file that is open already, for reading, and perhaps has no name
    /// any more. `label` stands for its name in messages. Where it was read to before does not
    /// matter.
    pub fn from_file(label: &Path, file: File, opts: &OpenOptions<'_>) -> Result<CoreFile> {
        CoreFile::from_plain(label, unpack::plain(label, file, opts.progress)?.of_core(label)?)
    }

    /// [`CoreFile::from_file`] of what is not compressed, or was unpacked.
    pub(crate) fn from_plain(label: &Path, file: File) -> Result<CoreFile> {
        let not = |what: &str| Error::NotACore { path: label.into(), what: what.into() };
        let mut head = [0; bundle::HEADER];
        let head = unpack::start(&file, &mut head).map_err(Error::io(label))?;
        if head.is_empty() {
            return Err(not("the file is empty; was there room on the disk for the core?"));
        }
        let (map, bundle) = if bundle::is_tar(head) {
            let bundle = bundle::read(label, &file)?;
            (bundle.core, bundle.files)
        } else if zips::is_zip(head) {
            let bundle = zips::read(label, &file)?;
            (bundle.core, bundle.files)
        } else {
            let map = Mapped::file(label, &file).map_err(Error::io(label))?;
            (Arc::new(map), Vec::new())
        };
        let mut core = elf::read(label, map)?;
        core.bundle = bundle;
        core.segments.sort_by_key(|s| s.start);
        for s in &core.segments {
            core.memory.lay_under(s.start, s.filesz.min(s.memsz), &core.file, s.offset);
        }
        core.memory.merge();
        if core.mappings.is_empty() {
            core.find_libraries();
        }
        core.find_truncation();
        core.libjvm_build_id = build_id::build_id_in_core(&core);
        Ok(core)
    }

    /// The same core with the pages of its own file only: those of the core, and those that
    /// [`CoreFile::lay_backing_files`] took from the bundle.
    pub fn alone(&self) -> CoreFile {
        let own = |map: &Arc<Mapped>| {
            let mut maps = iter::once(&self.file).chain(self.bundle.iter().map(|m| &m.map));
            maps.any(|m| Arc::ptr_eq(m, map))
        };
        let backing: Vec<Backing> = self.backing.iter().filter(|b| b.bundled).cloned().collect();
        CoreFile {
            path: self.path.clone(),
            file: self.file.clone(),
            memory: self.memory.only(own),
            cpu: self.cpu,
            segments: self.segments.clone(),
            mappings: self.mappings.clone(),
            threads: self.threads.clone(),
            siginfo: self.siginfo,
            psinfo: self.psinfo.clone(),
            auxv: self.auxv.clone(),
            libraries: self.libraries.clone(),
            origin: self.origin.clone(),
            notes: self.notes.clone(),
            truncation: self.truncation.clone(),
            libjvm_build_id: self.libjvm_build_id.clone(),
            libjvm_file: None,
            backing,
            bundle: self.bundle.clone(),
            rebuilt: RebuiltPages::default(),
        }
    }

    fn find_truncation(&mut self) {
        let len = self.file.len() as u64;
        let mut t = self.truncation.take().unwrap_or_default();
        for s in &self.segments {
            let want = s.filesz.min(s.memsz);
            let missing = want - want.min(len.saturating_sub(s.offset));
            if missing > 0 {
                let name = self.mapping_at(s.start).map(|m| m.path.clone());
                let end = s.start.saturating_add(want);
                t.missing_bytes = t.missing_bytes.saturating_add(missing);
                t.hits.push(TruncatedSegment { start: s.start, end, missing, name });
            }
        }
        self.truncation = (t.missing_bytes > 0).then_some(t);
    }

    /// The process's memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The process's memory, to record touched pages.
    pub fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// The file as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The CPU that the process ran on.
    pub fn cpu(&self) -> Cpu {
        self.cpu
    }

    /// The page size of the process: AT_PAGESZ, or 4096 where the core does not tell.
    pub fn page_size(&self) -> u64 {
        let sizes = self.cpu.facts().page_sizes;
        self.aux(linkmap::AT_PAGESZ).filter(|p| sizes.contains(p)).unwrap_or(memory::PAGE)
    }

    /// The mapped files, by address: of NT_FILE, or else of the list that ld.so keeps of what
    /// it loaded.
    pub fn mappings(&self) -> &[FileMapping] {
        &self.mappings
    }

    /// The mapped file at `addr`.
    pub fn mapping_at(&self, addr: u64) -> Option<&FileMapping> {
        let i = self.mappings.partition_point(|m| m.end <= addr);
        self.mappings.get(i).filter(|m| m.start <= addr)
    }

    /// The PT_LOADs, by address.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The threads, in the notes' order; the first is the one that took the signal.
    pub fn threads(&self) -> &[ThreadNote] {
        &self.threads
    }

    /// The signal that the process died of.
    pub fn siginfo(&self) -> Option<SigInfo> {
        self.siginfo
    }

    /// The process's name, arguments and id.
    pub fn psinfo(&self) -> Option<&PsInfo> {
        self.psinfo.as_ref()
    }

    /// The auxiliary vector, without its AT_NULL.
    pub fn auxv(&self) -> &[(u64, u64)] {
        &self.auxv
    }

    /// How the core came about, if rjcore took it of a live process.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// The kernel's names of threads, by their ids in NT_PRSTATUS, where rjcore took the core.
    pub fn thread_names(&self) -> HashMap<i32, &str> {
        let threads = self.origin.iter().flat_map(|o| &o.threads);
        threads.map(|t| (t.tid, t.name.as_str())).collect()
    }

    /// The bytes of each PT_NOTE, to be copied verbatim.
    pub fn raw_notes(&self) -> impl Iterator<Item = &[u8]> {
        self.notes.iter().filter_map(|r| self.file.get(r.clone()))
    }

    /// What is missing at the end of a cut-off core.
    pub fn truncation(&self) -> Option<&Truncation> {
        self.truncation.as_ref()
    }

    /// The mapping of libjvm.so's first byte: its ELF header, and base for its addresses. Of
    /// several the first.
    pub fn libjvm(&self) -> Option<&FileMapping> {
        self.libjvms().next()
    }

    /// Each libjvm.so: more than one where a launcher probed several.
    pub fn libjvms(&self) -> impl Iterator<Item = &FileMapping> {
        self.mappings.iter().filter(|m| m.file_offset == 0 && m.is_libjvm())
    }

    /// The paths of CDS archives and AOT caches: files that are called so, or are mapped as the VM maps those.
    pub fn archives(&self) -> HashSet<&str> {
        let mut files: HashMap<&str, Parts> = HashMap::new();
        for m in &self.mappings {
            let behind = self.segments.partition_point(|s| s.start <= m.start);
            let segment = behind.checked_sub(1).and_then(|i| self.segments.get(i));
            // A file that is shared may be written to as well; the kernel does not save it, as a rule.
            let is_own = |s: &Segment| s.flags & 2 != 0 && s.filesz > 0;
            let segment = segment.filter(|s| m.start - s.start < s.memsz);
            files.entry(&m.path).or_default().add(m.file_offset, segment.is_some_and(is_own));
        }
        let by_name = self.mappings.iter().filter(|m| is_archive_name(m.clean_path()));
        let by_parts = files.into_iter().filter(|(_, parts)| parts.are_of_archive());
        by_parts.map(|(path, _)| path).chain(by_name.map(|m| m.path.as_str())).collect()
    }

    /// Where libjvm.so starts in the process.
    pub fn libjvm_base(&self) -> Option<u64> {
        self.libjvm().map(|m| m.start)
    }

    /// libjvm's build-id in hex as the core's own memory has it.
    pub fn libjvm_build_id(&self) -> Option<&str> {
        self.libjvm_build_id.as_deref()
    }

    /// The libjvm.so that [`CoreFile::lay_backing_files`] found, even if no byte of it was needed.
    pub fn libjvm_file(&self) -> Option<&Path> {
        self.libjvm_file.as_ref().map(|f| f.path.as_path())
    }

    /// What was laid underneath that is in no file: see [`CoreFile::lay_rebuilt`].
    pub fn rebuilt(&self) -> &RebuiltPages {
        &self.rebuilt
    }

    /// The files that were laid underneath, one entry for each mapping.
    pub fn backing(&self) -> &[Backing] {
        &self.backing
    }

    /// The names of the files that a bundle holds beside the core.
    pub fn bundled(&self) -> impl Iterator<Item = &Path> {
        self.bundle.iter().map(|m| m.name.as_path())
    }
}

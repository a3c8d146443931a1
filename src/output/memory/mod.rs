//! Where the process's memory went: one table that adds up to what is in memory, each byte in one row.
//!
//! Rows claim addresses, and the first that does has them (`claims`); which pages were in memory the kernel said when the
//! core was taken (`space`). So nothing is counted twice, and what nobody claims is the row of the unknown.

mod buffers;
mod claims;
mod findings;
mod grown;
mod holders;
mod metaspace;
mod rows;
mod space;
mod stacks;
#[cfg(test)]
mod tests;
mod text;
mod tracking;

pub use claims::Part;
pub use findings::{Finding, Matter};
pub use grown::{Counts, Grown, GrownRow, grown};
pub use holders::Holder;
pub use metaspace::LoaderMetadata;
pub use space::Source;
pub use stacks::{Owner, ThreadMemory};
pub use text::{grown_text, text};
pub use tracking::{Category, State, Tracking};

use serde::Serialize;

use super::reader::{Facts, Objects, Progress, Reader, Source as From, Walked};
use crate::address::Range;
use crate::corefile::{CoreFile, Sysroot};
use crate::error::Result;
use crate::format::memory_map::{KernelSums, MemoryGroup, MemoryMap};
use crate::heap::{self, Heap, WalkReport};
pub use crate::hotspot::code::CodeKind;
use crate::malloc::Malloc;
use space::AddressSpace;

/// What `memory` reads: the VM's own structures, and besides objects the malloc heap from end to end.
pub(super) const READER: Reader = Reader {
    name: "memory",
    command: "memory",
    on_request: true,
    facts,
    objects: Objects::Own(objects),
};

fn facts(from: &From) -> Result<Facts> {
    let space = AddressSpace::bare(from.core);
    let mut lost = Vec::new();
    let of = rows::of_vm(from.core, from.heap, &space, &mut lost);
    Ok(Facts { bytes: format!("{of:?} {lost:?}").into_bytes(), metadata: None })
}

fn objects(from: &From, progress: Progress) -> Result<Walked> {
    // Files are for names of what libjvm's data has, which a trimmed core keeps.
    let nowhere = Sysroot { alone: true, ..Sysroot::default() };
    let (_, lost) = find(from.core, from.heap, &nowhere, from.threads, progress)?;
    let unread = heap::Part::Memory.all(lost.words).collect();
    let caught = from.heap.caught(&lost.walk);
    Ok(Walked { walk: lost.walk, unread, caught })
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Where it comes from which pages were in memory.
    pub source: Source,
    /// All of it.
    pub total: Bytes,
    /// The kernel's own sums, where rjcore took the core.
    pub kernel: Option<KernelSums>,
    /// What memory is for; the part with the most in memory first, the unknown last.
    pub parts: Vec<PartMemory>,
    /// The largest mappings of which nothing is known.
    pub unknown: Vec<UnknownArea>,
    /// The malloc heap, from the inside.
    pub malloc: Malloc,
    /// What the VM itself has booked, if it was asked to keep books.
    pub tracking: Tracking,
    /// The code cache by segment.
    pub code: Vec<CodeSegment>,
    /// What holds much of the direct buffers, those with the most first; none where it was not asked.
    pub direct_holders: Option<Vec<Holder>>,
    /// Class loaders by their classes' metadata, those with the most first.
    pub loaders: Vec<LoaderMetadata>,
    /// Threads, those with the most stack in memory first.
    pub threads: Vec<ThreadMemory>,
    /// The control groups whose limits the process lived under, from the inside out.
    pub groups: Vec<GroupMemory>,
    /// What stands out, and what to do about it.
    pub findings: Vec<Finding>,
}

/// Bytes of address space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// Mapped, or reserved.
    pub reserved_bytes: u64,
    /// In memory.
    pub resident_bytes: u64,
    /// In swap.
    pub swapped_bytes: u64,
}

/// One part of the memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartMemory {
    /// Which.
    pub part: Part,
    /// The sum of its rows.
    #[serde(flatten)]
    pub bytes: Bytes,
    /// Those with the most in memory first.
    pub rows: Vec<Row>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// How much.
    #[serde(flatten)]
    pub bytes: Bytes,
    /// How much of it is in use, where that can be told: objects, compiled methods, chunks of malloc.
    pub used_bytes: Option<u64>,
    /// How many things are in it, where there are such: stacks, arenas, buffers, regions.
    pub count: Option<u64>,
}

/// A segment of the code cache; until 8, and where it is small, there is only one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodeSegment {
    /// The name of its row.
    pub name: String,
    /// What is in it.
    pub kinds: Vec<CodeSum>,
}

/// Code of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CodeSum {
    /// Which.
    pub kind: CodeKind,
    /// Compiled methods, wrappers, adapters, stubs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A mapping of which nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownArea {
    /// What of it nobody claims, from the first to the last address.
    #[serde(flatten)]
    pub range: Range,
    /// The kernel's name, where it has one.
    pub name: Option<String>,
    /// Bytes of it in memory.
    pub resident_bytes: u64,
}

/// A control group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupMemory {
    /// What the kernel said.
    #[serde(flatten)]
    pub group: MemoryGroup,
    /// What it takes without page cache that can go at once.
    pub working_set: u64,
    /// What was left below its limit.
    pub left: Option<u64>,
}

/// Reads where the memory went; `sysroot` is where libjvm's file is looked for, whose symbols lead to the VM's own books.
/// `progress` gets bytes of the heap as they are walked.
pub fn find(
    core: &CoreFile,
    heap: &Heap,
    sysroot: &Sysroot,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Report, Lost)> {
    let told = core.memory_map();
    rows::report(core, heap, told.as_ref(), sysroot, threads, progress)
}

/// The same of a core that says which pages were in memory; none of another.
pub fn find_told(
    core: &CoreFile,
    heap: &Heap,
    sysroot: &Sysroot,
    threads: usize,
) -> Result<Option<(Report, Lost)>> {
    let told = core.memory_map();
    told.map(|told| rows::report(core, heap, Some(&told), sysroot, threads, &|_| {})).transpose()
}

/// What could not be read.
#[derive(Debug, Default)]
pub struct Lost {
    /// Of the heap's objects, among which direct buffers were looked for.
    pub walk: WalkReport,
    /// Of all else, in words.
    pub words: Vec<String>,
}

impl Report {
    /// Whether a finding is about this.
    pub fn stands_out(&self, matter: Matter) -> bool {
        self.findings.iter().any(|f| f.matter == matter)
    }

    /// The sum of a part's rows.
    pub fn part(&self, part: Part) -> Bytes {
        self.parts.iter().find(|p| p.part == part).map_or_else(Bytes::default, |p| p.bytes)
    }

    /// A row of a part.
    fn row(&self, part: Part, name: &str) -> Option<&Row> {
        self.parts.iter().find(|p| p.part == part)?.rows.iter().find(|r| r.name == name)
    }
}

impl std::ops::AddAssign for Bytes {
    fn add_assign(&mut self, other: Bytes) {
        self.reserved_bytes += other.reserved_bytes;
        self.resident_bytes += other.resident_bytes;
        self.swapped_bytes += other.swapped_bytes;
    }
}

fn groups(told: Option<&MemoryMap>) -> Vec<GroupMemory> {
    let group = |group: &MemoryGroup| GroupMemory {
        working_set: group.working_set(),
        left: group.limit.map(|limit| limit.saturating_sub(group.working_set())),
        group: group.clone(),
    };
    told.map_or_else(Vec::new, |map| map.groups.iter().map(group).collect())
}

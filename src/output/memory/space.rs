//! The address space: mappings, and which of their pages were in memory, as the kernel told it or as the core shows it.

use rayon::prelude::*;
use serde::Serialize;

use crate::corefile::memory::Memory;
use crate::corefile::{CoreFile, Segment};
use crate::error::Result;
use crate::format::memory_map::{MemoryMap, MemoryRange};
use crate::format::ranges::{Ranges, union};
use crate::heap::pool;

/// Where it comes from which pages were in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The kernel said it when rjcore captured the process.
    Kernel,
    /// The core does not say it: pages that it holds, and that are not all zeros, count as in memory.
    Saved,
}

/// Mappings and pages.
#[derive(Debug)]
pub(super) struct AddressSpace {
    pub source: Source,
    /// All that was mapped, by address.
    pub areas: Vec<MemoryRange>,
    /// What was in memory.
    pub resident: Ranges,
    /// What was in swap.
    pub swapped: Ranges,
}

/// What is looked at for zeros in one go.
const PIECE: u64 = 1 << 20;

impl AddressSpace {
    /// `told` is what the core's own note says.
    pub(super) fn of(
        core: &CoreFile,
        told: Option<&MemoryMap>,
        threads: usize,
    ) -> Result<AddressSpace> {
        if let Some(map) = told {
            return Ok(AddressSpace {
                source: Source::Kernel,
                areas: map.mappings.clone(),
                resident: map.resident.clone(),
                swapped: map.swapped.clone(),
            });
        }
        Ok(AddressSpace { resident: written(core, threads)?, ..AddressSpace::bare(core) })
    }

    /// The mappings that the core has, without a look at what is in them.
    pub(super) fn bare(core: &CoreFile) -> AddressSpace {
        let (resident, swapped) = Default::default();
        AddressSpace { source: Source::Saved, areas: saved_areas(core), resident, swapped }
    }

    /// The mapping at `addr`.
    pub(super) fn at(&self, addr: u64) -> Option<&MemoryRange> {
        let i = self.areas.partition_point(|a| a.end <= addr);
        self.areas.get(i).filter(|a| a.start <= addr)
    }

    /// Private memory that no file is behind.
    pub(super) fn anonymous(&self) -> impl Iterator<Item = &MemoryRange> {
        self.areas.iter().filter(|a| is_anonymous(a))
    }
}

/// Whether it is private memory without a file.
pub(super) fn is_anonymous(a: &MemoryRange) -> bool {
    !a.file && !a.shared
}

/// Segments, with the names of the files that were mapped there.
fn saved_areas(core: &CoreFile) -> Vec<MemoryRange> {
    let area = |start: u64, memsz: u64, flags: u32| {
        let file = core.mapping_at(start);
        MemoryRange {
            start,
            end: start.saturating_add(memsz),
            flags,
            shared: false,
            file: file.is_some(),
            offset: file.map_or(0, |f| f.file_offset.wrapping_add(start - f.start)),
            name: file.map_or_else(String::new, |f| f.path.clone()),
        }
    };
    let mut out: Vec<MemoryRange> = Vec::new();
    for s in core.segments().iter().filter(|s| s.memsz > 0) {
        let area = area(s.start, s.memsz, s.flags);
        // Views of one memory have segments of their own; damage may have others.
        if out.last().is_none_or(|last| last.end <= area.start) {
            out.push(area);
        }
    }
    out
}

/// Pages of the core that are not all zeros.
fn written(core: &CoreFile, threads: usize) -> Result<Ranges> {
    let (mem, page) = (core.memory(), core.page_size());
    let end = |s: &Segment| s.start.saturating_add(s.filesz.min(s.memsz));
    let segments = union(core.segments().iter().map(|s| (s.start, end(s))).collect());
    let mut pieces = Vec::new();
    for (from, to) in segments.into_iter().flat_map(|s| mem.present(s.0, s.1)) {
        pieces.extend((from..to).step_by(PIECE as usize).map(|at| (at, to.min(at + PIECE))));
    }
    let found: Vec<Ranges> = pool(threads)?.install(|| {
        pieces.par_iter().map(|&(start, end)| written_in(mem, page, start, end)).collect()
    });
    Ok(union(found.into_iter().flatten().collect()))
}

fn written_in(mem: &Memory, page: u64, start: u64, end: u64) -> Ranges {
    let mut out = Ranges::new();
    for (from, to) in mem.present(start, end) {
        let Ok(bytes) = mem.slice(from, to - from) else { continue };
        for (at, bytes) in (from..).step_by(page as usize).zip(bytes.chunks(page as usize)) {
            if bytes.iter().any(|b| *b != 0) {
                out.push((at, at + bytes.len() as u64));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memmap2::MmapMut;

    use super::*;

    #[test]
    fn pages_of_zeros_were_not_in_memory() {
        let mut bytes = MmapMut::map_anon(0x4000).expect("memory");
        (bytes[0x1fff], bytes[0x3000]) = (1, 1);
        let file = Arc::new(bytes.try_into().expect("memory"));
        let mut mem = Memory::default();
        mem.lay_under(0x10000, 0x4000, &file, 0);
        assert_eq!(
            union(written_in(&mem, 0x1000, 0x10000, 0x20000)),
            [(0x11000, 0x12000), (0x13000, 0x14000)]
        );
    }
}

//! What Linux says of the target's memory beside its contents, for the note of it.

use super::pages::PageMap;
use crate::format::memory_map::{KernelSums, MemoryMap, MemoryRange};
use crate::format::ranges::{Ranges, union};
use crate::process::facts::Facts;
use crate::process::maps::{self, Kind, Mapping};
use crate::process::memory_group::groups;

/// Asks while the process `pid` runs. Empty without the right to, which the capture itself will tell.
///
/// To be called before anything else is read of it: what is read of a mapped file by /proc/PID/mem is in the process's
/// memory from then on.
pub(crate) fn memory_map(pid: i32) -> MemoryMap {
    let maps = maps::read(pid).unwrap_or_default();
    let pages = PageMap::open(pid).ok();
    let (mut resident, mut swapped) = (Ranges::new(), Ranges::new());
    for m in maps.iter().filter(|m| m.kind() != Kind::Foreign) {
        // What goes meanwhile is not there.
        let runs = pages.as_ref().and_then(|pages| pages.present(m).ok());
        for run in runs.unwrap_or_default() {
            let of = if run.swapped { &mut swapped } else { &mut resident };
            of.push((run.start, run.end));
        }
    }
    let status = Facts::read(pid).map(|f| f.status).ok();
    let kernel = status.map_or_else(KernelSums::default, |s| {
        let bytes = |kb: Option<u64>| kb.map(|kb| kb << 10);
        KernelSums {
            resident: bytes(s.vmrss),
            anonymous: bytes(s.rssanon),
            file: bytes(s.rssfile),
            shared_memory: bytes(s.rssshmem),
            swapped: bytes(s.vmswap),
            huge_pool: bytes(s.hugetlbpages),
            page_tables: bytes(s.vmpte),
        }
    });
    MemoryMap {
        mappings: maps.iter().map(range).collect(),
        resident: union(resident),
        swapped: union(swapped),
        kernel,
        groups: groups(pid),
    }
}

fn range(m: &Mapping) -> MemoryRange {
    MemoryRange {
        start: m.start,
        end: m.end,
        flags: m.flags,
        shared: m.shared,
        file: m.has_file(),
        offset: m.offset,
        name: String::from_utf8_lossy(&m.name).into_owned(),
    }
}

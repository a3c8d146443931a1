//! What a core has of the memory that `memory` tells apart: not the heap alone.

use serde::Serialize;

use crate::corefile::CoreFile;
use crate::format::ranges::{Ranges, both};

/// The process's own memory, by what the kernel said of it when rjcore captured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryCheck {
    /// Bytes of memory without a file that were in memory or in swap.
    pub resident_bytes: u64,
    /// Those of them that the core does not hold: of what lies there `memory` says no more than that it is there.
    pub absent_bytes: u64,
}

impl MemoryCheck {
    /// None of a core that does not say which pages were in memory.
    pub(super) fn of(core: &CoreFile) -> Option<MemoryCheck> {
        let map = core.memory_map()?;
        let own: Ranges =
            map.mappings.iter().filter(|m| !m.file).map(|m| (m.start, m.end)).collect();
        let (mut resident, mut absent) = (0, 0);
        for pages in [&map.resident, &map.swapped] {
            for (from, to) in both(pages, &own) {
                let there: u64 = core.memory().present(from, to).map(|r| r.1 - r.0).sum();
                resident = u64::saturating_add(resident, to - from);
                absent = u64::saturating_add(absent, to - from - there);
            }
        }
        Some(MemoryCheck { resident_bytes: resident, absent_bytes: absent })
    }
}

//! NativeMemoryTracking: what the VM itself has booked of reserved, committed and malloc'd memory, by category.
//!
//! The tables do not lead to its counters; the symbols of libjvm's file do. Their sizes tell the layout, so no JDK is asked
//! for by its number: how many categories there are, and whether counters keep peaks.

use serde::Serialize;

use super::Vm;
use crate::error::Fault;

/// The variables, as compilers name them (`mallocTracker.hpp`, `virtualMemoryTracker.hpp`, `nmtCommon.hpp`).
pub const SYMBOLS: [&str; 6] = [MALLOC, VIRTUAL, STRINGS, NAMES, LEVEL, ASKED_LEVEL];
const MALLOC: &str = "_ZN19MallocMemorySummary9_snapshotE";
const VIRTUAL: &str = "_ZN20VirtualMemorySummary9_snapshotE";
/// From 18 on: of each category its constant and its name.
const STRINGS: &str = "_ZN7NMTUtil8_stringsE";
/// Until 17: of each category its name.
const NAMES: &str = "_ZN7NMTUtil18_memory_type_namesE";
const LEVEL: &str = "_ZN10MemTracker15_tracking_levelE";
/// Until 17, where a VM could stop to keep its books.
const ASKED_LEVEL: &str = "_ZN10MemTracker23_cmdline_tracking_levelE";

const WORD: u64 = 8;
/// JDKs have 21 to 29.
const MAX_CATEGORIES: u64 = 256;
/// `MemoryCounter {size_t _count, _size;}`, in newer ones with the peaks of both behind.
const COUNTERS: [u64; 2] = [2 * WORD, 4 * WORD];
/// `VirtualMemory {size_t _reserved, _committed;}`, in newer ones with the peak behind.
const AREAS: [u64; 2] = [2 * WORD, 3 * WORD];
/// More than an address space has.
const MAX_BYTES: u64 = 1 << 48;
/// Chunks that arenas are made of; what is in use of them is counted with the arenas.
const CHUNKS: &str = "Arena Chunk";
/// Its committed bytes are counted when somebody asks the living VM.
const STACKS: &str = "Thread Stack";

/// What is booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Books {
    /// In the VM's own order.
    Kept(Vec<Category>),
    /// The VM stopped to keep them.
    Stopped,
    /// Of a layout that is not known, or with figures that cannot be.
    Strange,
}

/// What one part of the VM has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Category {
    /// The VM's name for it.
    pub name: String,
    /// Bytes of address space that were reserved.
    pub reserved_bytes: u64,
    /// Those that were committed; none where the VM counts them only when it is asked.
    pub committed_bytes: Option<u64>,
    /// Bytes from malloc, arenas not counted.
    pub malloc_bytes: u64,
    /// Pieces of them.
    pub malloc_count: u64,
    /// Bytes of the VM's arenas, which come from malloc.
    pub arena_bytes: u64,
}

impl Category {
    /// All that comes from malloc.
    pub fn malloced(&self) -> u64 {
        self.malloc_bytes + self.arena_bytes
    }

    fn can_be(&self) -> bool {
        let committed = self.committed_bytes.unwrap_or(0);
        [self.malloc_bytes, self.arena_bytes, self.reserved_bytes, committed]
            .iter()
            .all(|n| *n < MAX_BYTES)
    }
}

/// Reads them. `symbol` has the run-time address and the size of each of [`SYMBOLS`] that the file has.
///
/// # Errors
/// Where a counter is not in the core.
pub fn read(vm: &Vm, symbol: impl Fn(&str) -> Option<(u64, u64)>) -> Result<Books, Fault> {
    let mem = vm.mem;
    let names = symbol(STRINGS).map(|s| (s, 2 * WORD, WORD));
    let names = names.or_else(|| symbol(NAMES).map(|s| (s, WORD, 0)));
    let (Some(malloc), Some(areas), Some((names, entry, name_in))) =
        (symbol(MALLOC), symbol(VIRTUAL), names)
    else {
        return Ok(Books::Strange);
    };
    if let (Some(level), Some(asked)) = (symbol(LEVEL), symbol(ASKED_LEVEL))
        && mem.u32(level.0)? != mem.u32(asked.0)?
    {
        return Ok(Books::Stopped);
    }
    let count = names.1 / entry;
    // Each category's malloc and arenas, and one more for all.
    let counter = COUNTERS.into_iter().find(|c| (2 * count + 1) * c == malloc.1);
    let area = AREAS.into_iter().find(|a| count * a == areas.1);
    let (Some(counter), Some(area), 1..=MAX_CATEGORIES) = (counter, area, count) else {
        return Ok(Books::Strange);
    };
    let word = |at: u64, offset: u64| mem.u64(at.wrapping_add(offset));
    let one = |i: u64| -> Result<Category, Fault> {
        let name = mem.string(word(names.0, entry * i + name_in)?)?;
        let (malloc, area) =
            (malloc.0.wrapping_add(2 * counter * i), areas.0.wrapping_add(area * i));
        Ok(Category {
            malloc_bytes: word(malloc, WORD)?,
            malloc_count: word(malloc, 0)?,
            arena_bytes: word(malloc, counter + WORD)?,
            reserved_bytes: word(area, 0)?,
            committed_bytes: Some(word(area, WORD)?).filter(|_| name != STACKS),
            name,
        })
    };
    let mut all = (0..count).map(one).collect::<Result<Vec<Category>, Fault>>()?;
    if !all.iter().all(Category::can_be) {
        return Ok(Books::Strange);
    }
    let arenas: u64 = all.iter().map(|c| c.arena_bytes).sum();
    if let Some(chunks) = all.iter_mut().find(|c| c.name == CHUNKS) {
        chunks.malloc_bytes = chunks.malloc_bytes.saturating_sub(arenas);
    }
    Ok(Books::Kept(all))
}

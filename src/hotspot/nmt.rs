//! NativeMemoryTracking: what the VM itself has booked of reserved, committed and malloc'd memory, by category.
//!
//! The tables do not lead to its counters; the symbols of libjvm's file do. Their sizes tell the layout, so no JDK is asked
//! for by its number: how many categories there are, and whether counters keep peaks.

use serde::Serialize;

use super::Vm;
use super::unexported::nmt::{
    AREAS, ASKED_LEVEL, CHUNKS, COUNTERS, LEVEL, MALLOC, MALLOC_HEADER, NAMES, STACKS, STRINGS,
    VIRTUAL,
};
use crate::error::Fault;

/// The variables that are asked for.
pub const SYMBOLS: [&str; 6] = [MALLOC, VIRTUAL, STRINGS, NAMES, LEVEL, ASKED_LEVEL];
/// What the VM puts before each piece that it takes from malloc.
pub const HEADER: u64 = MALLOC_HEADER;

const WORD: u64 = 8;
/// JDKs have 16 to 29.
const MAX_CATEGORIES: u64 = 256;
/// More than an address space has, and than there can be pieces.
const MAX: u64 = 1 << 48;

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
        let Category { malloc_bytes, malloc_count, arena_bytes, reserved_bytes, .. } = *self;
        [malloc_bytes, malloc_count, arena_bytes, reserved_bytes, committed]
            .iter()
            .all(|n| *n < MAX)
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
    if !(1..=MAX_CATEGORIES).contains(&count) {
        return Ok(Books::Strange);
    }
    // Each category's malloc and arenas, and one more for all.
    let counter = COUNTERS.into_iter().find(|c| (2 * count + 1) * c == malloc.1);
    let area = AREAS.into_iter().find(|a| count * a == areas.1);
    let (Some(counter), Some(area)) = (counter, area) else { return Ok(Books::Strange) };
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

//! The malloc heap: what native code holds, has freed, and could give back to the system.
//!
//! Knows glibc's arenas, and the other allocators by their names. Knows nothing of HotSpot: a JVM's own malloc is malloc
//! like anyone's. Facts are taken from what memory holds (the bins of an arena refer to themselves), not from versions.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

mod arenas;
mod fastbins;
mod heaps;
mod layout;
mod library;
mod mapped;
mod pieces;
mod walk;

#[cfg(test)]
mod tests;

use rayon::prelude::*;
use serde::Serialize;

use crate::corefile::memory::{Memory, PAGE};

pub use mapped::mapped_chunks;

/// Sentences that are kept of each arena, and of what is said of all: a damaged heap could have one a chunk.
const MAX_PROBLEMS: usize = 8;

/// One mapping of the process.
#[derive(Debug, Clone, Copy)]
pub struct Area<'a> {
    /// Its first address.
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
    /// Whether the process may write to it.
    pub writable: bool,
    /// The path of its file; empty for anonymous memory, or what the kernel calls it (`[heap]`).
    pub name: &'a [u8],
}

/// Whose malloc it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Allocator {
    /// glibc's own.
    Glibc,
    /// musl's own.
    Musl,
    /// A library in glibc's or musl's place.
    Jemalloc,
    /// As above.
    Tcmalloc,
    /// As above.
    Mimalloc,
    /// No library says it.
    Unknown,
}

/// What is known of a process's malloc.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Malloc {
    /// By the libraries that are mapped; one that replaces malloc wins over libc.
    pub allocator: Allocator,
    /// The path of that library.
    pub library: Option<String>,
    /// glibc's arenas, the main one first. There may be some where another allocator has glibc's place: what was taken
    /// before it came, and what libc's own parts take.
    pub arenas: Vec<Arena>,
    /// What is wrong, a sentence each; a bounded number of them.
    pub problems: Vec<String>,
}

/// Chunks, and their bytes. A chunk is what the caller asked for, rounded up, with 8 bytes before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// How many.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.chunks += 1;
        self.bytes += bytes;
    }

    fn merge(&mut self, other: Sum) {
        self.chunks += other.chunks;
        self.bytes += other.bytes;
    }

    fn take(&mut self, other: Sum) {
        self.chunks = self.chunks.saturating_sub(other.chunks);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// Chunks of like size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SizeClass {
    /// The largest that a chunk may be, a power of two; they are larger than half of it.
    pub up_to: u64,
    /// How many.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// An arena. The bytes of its pieces are `in_use + free + top + overhead + damaged + absent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arena {
    /// Its `malloc_state`.
    #[serde(serialize_with = "crate::address::hex")]
    pub address: u64,
    /// The one in libc's data; the others are threads'.
    pub is_main: bool,
    /// Its memory, as start and end, lowest first: a thread arena's heaps, headers included; of the main arena what sbrk
    /// gave (without what others took by sbrk), and what it mapped where sbrk failed.
    #[serde(serialize_with = "crate::address::ranges")]
    pub pieces: Vec<(u64, u64)>,
    /// What it took from the system, as it says itself. The main arena counts in what others took by sbrk.
    pub system: u64,
    /// Chunks in use, with those in threads' caches (tcache), as mallinfo2 has it.
    pub in_use: Sum,
    /// Free chunks: in bins and in fastbins.
    pub free: Sum,
    /// Bytes at the end that no chunk was made of yet.
    pub top: u64,
    /// Whole pages inside free chunks and top. Some may have been given back to the system.
    pub trimmable: u64,
    /// The largest free chunk's bytes, top apart.
    pub largest_free: u64,
    /// Of chunks in use, the smallest first.
    pub sizes: Vec<SizeClass>,
    /// Bytes of glibc's own: headers of heaps, the arena, marks at the ends of pieces.
    pub overhead: u64,
    /// Bytes of pieces that no chunk explains.
    pub damaged: u64,
    /// Bytes of pieces where a chunk's header is not in the core.
    pub absent: u64,
}

/// Reads the malloc heap of a process with these mappings, in any order.
pub fn read(mem: &Memory, areas: &[Area<'_>]) -> Malloc {
    let (allocator, library) = library::allocator(areas);
    let mut areas = areas.to_vec();
    areas.retain(|a| a.start < a.end);
    areas.sort_by_key(|a| a.start);
    let mut problems = Problems::default();
    let (states, strays) = arenas::find(mem, &areas, &mut problems);
    if states.is_empty() && allocator == Allocator::Glibc {
        problems.say("no arena of glibc's malloc is in the core's memory".into());
    }
    let page = page_size(&areas);
    let read: Vec<(Arena, Problems)> = states
        .par_iter()
        .map(|state| {
            let mut problems = Problems::default();
            let arena = pieces::read(mem, &areas, page, state, &strays, &mut problems);
            (arena, problems)
        })
        .collect();
    let mut arenas = Vec::with_capacity(read.len());
    let mut said = problems.all;
    for (arena, problems) in read {
        let room = (MAX_PROBLEMS * MAX_PROBLEMS).saturating_sub(said.len());
        let about = |p| format!("the arena at {:#x}: {p}", arena.address);
        said.extend(problems.all.into_iter().take(room).map(about));
        arenas.push(arena);
    }
    Malloc { allocator, library, arenas, problems: said }
}

/// The size of the process's pages: the largest that all mappings are made of, up to 64 KB.
fn page_size(areas: &[Area<'_>]) -> u64 {
    let bits = areas.iter().fold(16 * PAGE, |bits, a| bits | a.start | a.end);
    (1 << bits.trailing_zeros()).max(PAGE)
}

/// What is the matter with what should be at `at`: not saved is not damage, but a null pointer is.
fn state(mem: &Memory, at: u64) -> &'static str {
    if at != 0 && mem.contiguous(at) == 0 { "not in the core" } else { "damaged" }
}

/// What is wrong, as sentences, the first few of them.
#[derive(Debug, Default)]
struct Problems {
    all: Vec<String>,
}

impl Problems {
    fn say(&mut self, what: String) {
        if self.all.len() < MAX_PROBLEMS {
            self.all.push(what);
        }
    }
}

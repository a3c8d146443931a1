//! Collectors: which one ran, and where its objects are.
//!
//! A collector is one file that lists regions and one line in `kind`. The walk over regions
//! knows none of them.

mod cms;
mod contiguous;
mod counts;
mod g1;
mod shenandoah;
mod side_tables;
mod z;

use std::fmt;

use serde::Serialize;

pub use cms::FreeChunks;
pub use counts::{Collections, Counted, collections, region_kinds};
pub use side_tables::{SideTable, side_tables};

use super::Vm;
use super::barrier::Barrier;
use super::states::{Generation, PageKind, RegionState};
use super::vm_info::flags::Flags;
use crate::collector::Collector;
use crate::corefile::memory::Memory;
use crate::error::{Error, Result};
use crate::vmstructs::Fields;

/// What a region holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// New objects.
    Eden,
    /// Objects that outlived a young collection.
    Survivor,
    /// Objects of a young generation that does not part new ones from others.
    Young,
    /// Tenured objects.
    Old,
    /// Objects of any age: a collector without generations, or one that does not tell (G1 of 8).
    Regular,
    /// Objects larger than half a region.
    Humongous,
    /// Objects mapped from the CDS archive.
    Archive,
}

impl Space {
    /// All spaces, in the order of reports.
    pub const ALL: [Space; 7] = [
        Space::Eden,
        Space::Survivor,
        Space::Young,
        Space::Old,
        Space::Regular,
        Space::Humongous,
        Space::Archive,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Space::Eden => "eden",
            Space::Survivor => "survivor",
            Space::Young => "young",
            Space::Old => "old",
            Space::Regular => "regular",
            Space::Humongous => "humongous",
            Space::Archive => "archive",
        }
    }
}

/// A run of memory filled with objects from `start` to `top`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First object.
    pub start: u64,
    /// End of the last object.
    pub top: u64,
    /// End of the committed memory.
    pub end: u64,
    /// What it holds.
    pub space: Space,
    /// Objects below this address are dead where the mark bitmap has no bit for them.
    pub marked_below: u64,
}

/// What ZGC and Shenandoah tell of a region, in HotSpot's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum RegionKind {
    /// Of a page of ZGC's.
    Page(PageKind),
    /// Of a region of Shenandoah's.
    Region(RegionState),
}

impl fmt::Display for RegionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegionKind::Page(kind) => kind.fmt(f),
            RegionKind::Region(state) => state.fmt(f),
        }
    }
}

/// Regions of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegionCount {
    /// Which.
    #[serde(rename = "name")]
    pub kind: RegionKind,
    /// Of ZGC's pages where it has generations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// How many there are.
    pub regions: u64,
}

/// One bit per object start that survived the last marking.
#[derive(Debug, Clone, Copy)]
pub struct MarkBitmap {
    /// The address that bit 0 stands for.
    pub start: u64,
    /// Address of the words.
    pub map: u64,
    /// log2 of the bytes that a bit stands for.
    pub shift: u32,
}

impl MarkBitmap {
    /// The words for the addresses `start..end`, to be looked at again and again.
    pub fn window<'m>(&self, mem: &'m Memory, start: u64, end: u64) -> MarkWindow<'m> {
        let word = |addr: u64| (addr.saturating_sub(self.start) >> self.shift) / 64;
        let (first, last) = (word(start), word(end));
        let at = self.map.wrapping_add(first * 8);
        let words = mem.slice(at, last.saturating_sub(first) * 8).unwrap_or(&[]);
        MarkWindow { bitmap: *self, mem, first, words: words.as_chunks().0 }
    }

    /// Whether all words for the addresses `start..end` are in the core.
    pub fn is_saved(&self, mem: &Memory, start: u64, end: u64) -> bool {
        let bit = |addr: u64| addr.saturating_sub(self.start) >> self.shift;
        let from = self.map.wrapping_add(bit(start) / 64 * 8);
        let to = self.map.wrapping_add(bit(end).div_ceil(64) * 8);
        mem.present(from, to).map(|(from, to)| to - from).sum::<u64>() == to.wrapping_sub(from)
    }
}

/// A stretch of a [`MarkBitmap`].
#[derive(Debug, Clone, Copy)]
pub struct MarkWindow<'m> {
    bitmap: MarkBitmap,
    mem: &'m Memory,
    first: u64,
    /// The words from `first` on; none where they do not lie in one piece.
    words: &'m [[u8; 8]],
}

impl MarkWindow<'_> {
    /// The first marked address from `at` on, or `limit`. Where the bitmap itself is not
    /// saved, everything counts as marked.
    #[inline(always)]
    pub fn next(&self, at: u64, limit: u64) -> u64 {
        let MarkBitmap { start, map, shift } = self.bitmap;
        let mut bit = at.saturating_sub(start) >> shift;
        let end = limit.saturating_sub(start) >> shift;
        while bit < end {
            let word = bit / 64;
            let word = match self.words.get(word.wrapping_sub(self.first) as usize) {
                Some(word) => u64::from_le_bytes(*word),
                None => match self.mem.u64(map.wrapping_add(word * 8)) {
                    Ok(word) => word,
                    Err(_) => return at,
                },
            };
            match word >> (bit % 64) {
                0 => bit = (bit / 64 + 1) * 64,
                rest => {
                    bit += u64::from(rest.trailing_zeros());
                    return (start + (bit << shift)).min(limit);
                }
            }
        }
        limit
    }
}

/// A heap's regions, lowest address first.
#[derive(Debug)]
pub struct CollectedHeap {
    /// Which collector it is.
    pub collector: Collector,
    /// Where objects are, empty regions included.
    pub regions: Vec<Region>,
    /// Which objects below `Region::marked_below` are alive.
    pub marks: Option<MarkBitmap>,
    /// What lies between objects.
    pub free_chunks: FreeChunks,
    /// Whether only what can be reached from the roots counts as an object.
    pub reachable_only: bool,
    /// Whether a stop-the-world collection was under way.
    pub collecting: bool,
    /// How one that moves objects can be told.
    pub moves: Moves,
    /// CollectedHeap::_reserved.
    pub reserved: Option<(u64, u64)>,
    /// Collections so far.
    pub collections: Option<u32>,
}

type Regions = fn(&Vm, heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)>;

/// Which objects of its regions HotSpot dumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dumps {
    /// All of them.
    All,
    /// Those that can be reached: the others may be of classes that are gone.
    Reachable,
}

/// What a collector does to objects while all threads stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// It moves none then, or what it moves its barriers find.
    Never,
    /// It moves some, and as long as that is not finished there are headers that say so.
    InHeaders,
    /// It moves some, and nothing in their headers says so (Parallel's full collection).
    Silently,
}

/// How a collector's regions are found, what HotSpot dumps of them, and what its pauses do.
fn kind(collector: Collector) -> (Regions, Dumps, Moves) {
    match collector {
        Collector::Serial => (contiguous::serial, Dumps::All, Moves::InHeaders),
        Collector::Cms => (cms::regions, Dumps::All, Moves::InHeaders),
        Collector::Epsilon => (contiguous::epsilon, Dumps::All, Moves::Never),
        Collector::Parallel => (contiguous::parallel, Dumps::All, Moves::Silently),
        Collector::G1 => (g1::regions, Dumps::All, Moves::InHeaders),
        Collector::Z => (z::regions, Dumps::Reachable, Moves::Never),
        Collector::Shenandoah => (shenandoah::regions, Dumps::Reachable, Moves::InHeaders),
    }
}

/// The collector that a flag chooses.
fn chosen(flags: &Flags) -> Option<Collector> {
    Collector::ALL.into_iter().find(|c| flags.bool(c.flag()))
}

/// Whether a flag chooses a collector.
pub fn is_chosen(flags: &Flags) -> bool {
    chosen(flags).is_some()
}

/// 8 chooses Serial by no flag at all: on a machine of one CPU, in the Zero VM, with UseParNewGC
/// alone. Its GenCollectedHeap, which counts its generations, is what is left then.
fn find(flags: &Flags, fields: &Fields) -> Result<Collector> {
    let serial = || fields.gen_heap_count.opt().map(|_| Collector::Serial);
    chosen(flags).or_else(serial).ok_or_else(|| {
        Error::Unsupported(format!(
            "its collector is unknown to rjcore, which reads {}",
            Collector::ALL.map(Collector::name).join(", ")
        ))
    })
}

/// Refuses a collector that cannot be read, before anything else is.
pub fn check(flags: &Flags, fields: &Fields) -> Result<()> {
    find(flags, fields).map(drop)
}

/// Finds the heap.
pub fn open(vm: &Vm) -> Result<CollectedHeap> {
    let collector = find(&vm.flags, &vm.fields)?;
    let (regions, dumps, moves) = kind(collector);
    let f = &vm.fields;
    let what = || Error::unreadable("Universe::_collectedHeap");
    let heap = vm.mem.u64(f.collected_heap.get()?).map_err(what())?;
    let (mut regions, marks) = regions(vm, heap)?;
    regions.sort_by_key(|r| r.start);
    if let Barrier::Compacted(compaction) = &vm.barrier {
        // Tops are set once all is moved, by some.
        regions.iter_mut().for_each(|r| r.top = compaction.top(r.start, r.top).min(r.end));
    }
    for (one, next) in regions.iter().zip(regions.iter().skip(1)) {
        if one.end > next.start {
            return Err(Error::Corrupt(format!(
                "the heap regions at {:#x} and {:#x} overlap",
                one.start, next.start
            )));
        }
    }
    let at = |field: crate::vmstructs::Field| Some(heap.wrapping_add(field.opt()?));
    Ok(CollectedHeap {
        collector,
        free_chunks: FreeChunks::of(vm, &regions),
        regions,
        marks,
        reachable_only: dumps == Dumps::Reachable,
        collecting: super::barrier::collecting(vm.mem, f),
        moves,
        reserved: reserved(vm),
        collections: at(f.total_collections).and_then(|a| vm.mem.u32(a).ok()),
    })
}

/// CollectedHeap::_reserved as (start, end), where the heap has one run of addresses.
pub fn reserved(vm: &Vm) -> Option<(u64, u64)> {
    let heap = vm.mem.u64(vm.fields.collected_heap.opt()?).ok()?;
    // MemRegion {HeapWord* _start; size_t _word_size} (memRegion.hpp).
    let at = heap.wrapping_add(vm.fields.heap_reserved.opt()?);
    let (start, words) = (vm.mem.u64(at).ok()?, vm.mem.u64(at.wrapping_add(8)).ok()?);
    // ZGC leaves it empty.
    Some((start, start.checked_add(words.checked_mul(8)?)?)).filter(|_| words > 0)
}

/// A region whose bounds hold, or an error.
fn region(start: u64, top: u64, end: u64, space: Space) -> Result<Region> {
    if !start.is_multiple_of(8) || start > top || top > end || end - start > 1 << 46 {
        return Err(Error::Corrupt(format!(
            "a heap region of {start:#x} to {end:#x} with its top at {top:#x}"
        )));
    }
    Ok(Region { start, top, end, space, marked_below: 0 })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memmap2::MmapMut;

    use super::*;

    #[test]
    fn bits_that_are_not_in_the_core_are_seen() {
        let file = Arc::new(MmapMut::map_anon(16).expect("memory").try_into().expect("memory"));
        let mut mem = Memory::default();
        mem.lay_under(0x1000, 16, &file, 0);
        // Two words of bits, for 512 bytes each.
        let map = MarkBitmap { start: 0x8000, map: 0x1000, shift: 3 };
        assert!(map.is_saved(&mem, 0x8000, 0x8400));
        assert!(map.is_saved(&mem, 0x8200, 0x8208));
        assert!(!map.is_saved(&mem, 0x8000, 0x8408));
    }
}

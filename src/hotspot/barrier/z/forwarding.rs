//! ZGC's forwarding tables: where the objects of relocated pages went.

use super::PageFields;
use crate::corefile::memory::Memory;
use crate::error::{Error, Result};
use crate::hotspot::unexported::z as facts;
use crate::hotspot::vm_info::flags::Flags;
use crate::vmstructs::{Fields, Tables};

/// Granules of the largest heap that ZGC can have, 16 times over as its offsets are.
const MAX_GRANULES: u64 = 1 << 27;
/// Twice the objects that fit a medium page.
const MAX_ENTRIES: u64 = 1 << 26;

/// ZGranuleMap: a pointer for each granule of the offsets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Granules {
    map: u64,
    size: u64,
    /// log2 of a granule's bytes.
    pub shift: u32,
}

impl Granules {
    /// Reads ZGranuleMap {size_t _size; T* _map} at `at`; `entries` is the offset of _map.
    pub(super) fn read(mem: &Memory, at: u64, entries: u64, shift: u32) -> Result<Granules> {
        let what = || Error::unreadable("a ZGranuleMap");
        let size = mem.u64(at).map_err(what())?;
        let map = mem.u64(at.wrapping_add(entries)).map_err(what())?;
        if size > MAX_GRANULES || !(12..40).contains(&shift) {
            return Err(Error::Corrupt(format!("a ZGranuleMap of {size} granules")));
        }
        Ok(Granules { map, size, shift })
    }

    /// The same of a bare map (11), whose address is at `at`.
    pub(super) fn bare(mem: &Memory, at: u64, size: u64, shift: u32) -> Result<Granules> {
        let map = mem.u64(at).map_err(Error::unreadable("ZPageTable::_map"))?;
        if size > MAX_GRANULES || !(12..40).contains(&shift) {
            return Err(Error::Corrupt(format!("a ZPageTable of {size} granules")));
        }
        Ok(Granules { map, size, shift })
    }

    /// The entry for an offset; 0 where there is none.
    pub(super) fn get(&self, mem: &Memory, offset: u64) -> u64 {
        let granule = offset >> self.shift;
        if granule >= self.size {
            return 0;
        }
        mem.u64(self.map.wrapping_add(granule * 8)).unwrap_or(0)
    }

    /// All that are there: granule and pointer. Most of the map was never written, and what was
    /// not is in no core.
    pub(super) fn each<'m>(&'m self, mem: &'m Memory) -> impl Iterator<Item = (u64, u64)> + 'm {
        let end = self.map.saturating_add(self.size * 8);
        mem.present(self.map, end).flat_map(move |(from, to)| {
            let from = from.next_multiple_of(8);
            let bytes = mem.slice(from, to.saturating_sub(from)).unwrap_or(&[]);
            let first = (from - self.map) / 8;
            let words = bytes.chunks_exact(8).map(|c| c.try_into().map_or(0, u64::from_le_bytes));
            // Pointers are aligned; 11 keeps a flag in the lowest bit.
            let pages = words.map(|p: u64| p & !facts::PAGE_RELOCATING);
            (first..).zip(pages).filter(|(_, p)| *p != 0)
        })
    }
}

/// Where a generation's forwardings are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Forwardings {
    /// In a ZForwardingTable (from 13).
    Table(Table),
    /// In the pages themselves.
    InPages(OfPages),
}

impl Forwardings {
    /// What forwards the objects of the page that has, or had, this offset.
    pub(super) fn at(&self, mem: &Memory, offset: u64) -> Option<u64> {
        match self {
            Forwardings::Table(table) => table.at(mem, offset),
            Forwardings::InPages(pages) => pages.at(mem, offset),
        }
    }

    /// Where the object at `offset` was moved to; none where it was not.
    pub(super) fn find(&self, mem: &Memory, offset: u64) -> Option<u64> {
        match self {
            Forwardings::Table(table) => table.find(mem, offset),
            Forwardings::InPages(pages) => pages.find(mem, offset),
        }
    }

    /// Whether the page that starts at `offset`, `page`, is being compacted in place.
    pub(super) fn is_in_place(&self, mem: &Memory, offset: u64, page: u64) -> bool {
        match self {
            Forwardings::Table(table) => table.is_in_place(mem, offset, page),
            Forwardings::InPages(_) => false,
        }
    }

    /// Whether what forwards the objects at `offset` does so for `page`, out of it.
    pub(super) fn is_of(&self, mem: &Memory, offset: u64, page: u64) -> bool {
        match self {
            Forwardings::Table(table) => {
                table.is_of(mem, offset, page) && !table.is_in_place(mem, offset, page)
            }
            Forwardings::InPages(_) => true,
        }
    }

    /// Whether the page's memory is gone, and only its forwarding left.
    pub(super) fn is_given_back(&self, mem: &Memory, page: u64) -> bool {
        match self {
            Forwardings::Table(_) => false,
            Forwardings::InPages(pages) => pages.is_given_back(mem, page),
        }
    }
}

/// The forwardings that lie in ZPages (11): `ZPage::_forwarding`.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfPages {
    pages: Granules,
    kind: u64,
    start: u64,
    forwarding: u64,
    table: u64,
    size: u64,
    /// By type of page: log2 of the alignment of its objects.
    shifts: [u64; 3],
}

impl OfPages {
    /// Looks the fields up.
    pub(super) fn read(
        f: &Fields,
        flags: &Flags,
        page: &PageFields,
        pages: Granules,
    ) -> Result<OfPages> {
        let alignment = flags.int("ObjectAlignmentInBytes").unwrap_or(8);
        let [medium, large] = facts::OLD_ALIGNMENT_SHIFT;
        Ok(OfPages {
            pages,
            kind: page.kind,
            start: page.virtual_start,
            forwarding: f.z_page_forwarding.get()?,
            table: f.z_old_forwarding_table.get()?,
            size: f.z_old_forwarding_size.get()?,
            shifts: [u64::from(alignment.trailing_zeros()), medium, large],
        })
    }

    fn at(&self, mem: &Memory, offset: u64) -> Option<u64> {
        let entry = self.pages.get(mem, offset);
        let relocating = entry & facts::PAGE_RELOCATING != 0;
        relocating.then_some(entry & !facts::PAGE_RELOCATING)
    }

    fn find(&self, mem: &Memory, offset: u64) -> Option<u64> {
        let page = self.at(mem, offset)?;
        let word = |at: u64| mem.u64(page.wrapping_add(at)).ok();
        let kind = mem.u8(page.wrapping_add(self.kind)).ok()?;
        let shift = self.shifts.get(usize::from(kind))?;
        let index = offset.checked_sub(word(self.start)?)? >> (shift & 63);
        let table = word(self.forwarding.wrapping_add(self.table))?;
        let length = word(self.forwarding.wrapping_add(self.size))?;
        if table == 0 || !length.is_power_of_two() || length > MAX_ENTRIES {
            return None;
        }
        let first = u64::from(hash(index as u32));
        for i in 0..length {
            let at = (first.wrapping_add(i) & (length - 1)) * 8;
            let entry = mem.u64(table.wrapping_add(at)).ok()?;
            if entry == u64::MAX {
                return None;
            }
            if entry >> facts::OLD_INDEX_SHIFT == index {
                return Some(entry & ((1 << facts::OLD_INDEX_SHIFT) - 1));
            }
        }
        None
    }

    fn is_given_back(&self, mem: &Memory, page: u64) -> bool {
        let count = self.forwarding.wrapping_sub(facts::PAGE_REFCOUNT_BEFORE_FORWARDING);
        mem.u32(page.wrapping_add(count)) == Ok(0)
    }
}

/// A generation's ZForwardingTable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    map: Granules,
    start: u64,
    alignment_shift: u64,
    entries: u64,
    /// sizeof(ZForwarding): its entries lie behind it (zAttachedArray.hpp).
    size: u64,
    ref_count: u64,
}

/// The tables of this heap: one, or young and old.
pub(super) fn read(
    mem: &Memory,
    tables: &Tables,
    f: &Fields,
    heap: u64,
    pages: &Granules,
    x: bool,
    generational: bool,
) -> Result<Vec<Forwardings>> {
    let pick = |x_field, z_field| if x { x_field } else { z_field };
    let name = if x { "XForwarding" } else { "ZForwarding" };
    let entries = pick(f.x_granules_forwarding, f.z_granules_forwarding);
    let at = match generational {
        true => generations(mem, tables, f, heap)?.to_vec(),
        false => vec![heap.wrapping_add(pick(f.x_forwarding_table, f.z_forwarding_table).get()?)],
    };
    let size = tables.size_of(name).filter(|s| *s < 4096);
    let size = size.ok_or_else(|| Error::MissingField { what: format!("sizeof({name})") })?;
    let fields = |map| -> Result<Forwardings> {
        Ok(Forwardings::Table(Table {
            map,
            start: pick(f.x_forwarding_virtual, f.z_forwarding_virtual)
                .get()?
                .wrapping_add(pick(f.x_virtual_start, f.z_virtual_start).get()?),
            alignment_shift: pick(f.x_forwarding_alignment, f.z_forwarding_alignment).get()?,
            entries: pick(f.x_forwarding_entries, f.z_forwarding_entries).get()?,
            size,
            ref_count: pick(f.x_forwarding_ref_count, f.z_forwarding_ref_count)
                .opt()
                .unwrap_or(facts::FORWARDING_REF_COUNT),
        }))
    };
    at.into_iter().map(|at| fields(Granules::read(mem, at, entries.get()?, pages.shift)?)).collect()
}

/// Where the young and the old ZGeneration have their tables. Neither generation is in
/// vmStructs: they are found in the ZHeap by the pointers to its parts that stand before.
fn generations(mem: &Memory, tables: &Tables, f: &Fields, heap: u64) -> Result<[u64; 2]> {
    let size = tables.size_of("ZHeap").filter(|s| *s < 1 << 20);
    let size = size.ok_or_else(|| Error::MissingField { what: "sizeof(ZHeap)".into() })?;
    let allocator = heap.wrapping_add(f.z_page_allocator.get()?);
    let table = heap.wrapping_add(f.z_page_table.get()?);
    let mut found = [0; 2];
    for at in (heap..heap.wrapping_add(size)).step_by(8) {
        let is = |offset: u64, value: u64| mem.u64(at.wrapping_add(offset)) == Ok(value);
        if is(facts::GENERATION_PAGE_ALLOCATOR, allocator)
            && is(facts::GENERATION_PAGE_TABLE, table)
            && let Ok(id) = mem.u8(at.wrapping_add(facts::GENERATION_ID))
            && let Some(found) = found.get_mut(usize::from(id))
        {
            *found = at.wrapping_add(facts::GENERATION_FORWARDING_TABLE);
        }
    }
    match found {
        [0, _] | [_, 0] => Err(Error::MissingField { what: "ZHeap::_young and _old".into() }),
        found => Ok(found),
    }
}

impl Table {
    /// The ZForwarding of the page.
    fn at(&self, mem: &Memory, offset: u64) -> Option<u64> {
        Some(self.map.get(mem, offset)).filter(|f| *f != 0)
    }

    fn find(&self, mem: &Memory, offset: u64) -> Option<u64> {
        let forwarding = self.at(mem, offset)?;
        let word = |at: u64| mem.u64(forwarding.wrapping_add(at)).ok();
        let shift = word(self.alignment_shift)? & 63;
        let index = offset.checked_sub(word(self.start)?)? >> shift;
        let length = word(self.entries)?;
        if !length.is_power_of_two() || length > MAX_ENTRIES || index >> facts::INDEX_BITS != 0 {
            return None;
        }
        let mask = length - 1;
        let first = u64::from(hash(index as u32));
        for i in 0..length {
            let entry = word(self.size + (first.wrapping_add(i) & mask) * 8)?;
            if entry & 1 == 0 {
                return None;
            }
            if entry >> facts::INDEX_SHIFT == index {
                return Some(entry >> 1 & ((1 << (facts::INDEX_SHIFT - 1)) - 1));
            }
        }
        None
    }

    fn is_of(&self, mem: &Memory, offset: u64, page: u64) -> bool {
        let Some(forwarding) = self.at(mem, offset) else { return false };
        let of = self.entries.wrapping_add(facts::FORWARDING_PAGE_AFTER_ENTRIES);
        mem.u64(forwarding.wrapping_add(of)) == Ok(page)
    }

    fn is_in_place(&self, mem: &Memory, offset: u64, page: u64) -> bool {
        let Some(forwarding) = self.at(mem, offset) else { return false };
        let count = mem.i32(forwarding.wrapping_add(self.ref_count));
        self.is_of(mem, offset, page) && count.is_ok_and(|count| count < 0)
    }
}

/// The hash that places an entry in its table (zHash.inline.hpp, `uint32_to_uint32`).
fn hash(key: u32) -> u32 {
    let key = (!key).wrapping_add(key << 15);
    let key = key ^ key >> 12;
    let key = key.wrapping_add(key << 2);
    let key = (key ^ key >> 4).wrapping_mul(2057);
    key ^ key >> 16
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memmap2::MmapMut;

    use super::super::colours::Colours;
    use super::super::{Extent, Z};
    use super::*;

    const BASE: u64 = 1 << 42;
    const PAGE_TABLE: u64 = 0x1000;
    const FORWARDING_MAP: u64 = 0x1100;
    const FORWARDING: u64 = 0x1200;
    const PAGE: u64 = 0x5000;
    /// Others that have the same memory: what is at `FROM` lies behind the last object of the one, not of the other.
    const EMPTY_PAGE: u64 = 0x1380;
    const FULL_PAGE: u64 = 0x13a0;
    /// In granule 1, and the object's offset there.
    const FROM: u64 = 0x20_0010;
    const TO: u64 = 0xc0_0040;

    /// What a reference resolves to where the object at `FROM` was moved to `TO` out of `PAGE`, and `page` is there now.
    fn resolved(bits: u64, page: u64, ref_count: i32) -> u64 {
        let mut bytes = vec![0; 0x400];
        let mut put = |at: u64, word: u64| {
            let at = (at - PAGE_TABLE) as usize;
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        };
        put(PAGE_TABLE + 8, page);
        for (page, top) in [(EMPTY_PAGE, FROM - 8), (FULL_PAGE, FROM + 0x100)] {
            put(page, 0x20_0000); // its start
            put(page + 8, 0x20_0000); // its size
            put(page + 16, top);
        }
        put(FORWARDING_MAP + 8, FORWARDING);
        put(FORWARDING, 0x20_0000); // where the page began
        put(FORWARDING + 8, 3); // log2 of the objects' alignment
        put(FORWARDING + 16, 1); // one entry
        put(FORWARDING + 24, PAGE);
        put(FORWARDING + 32, u64::from(ref_count as u32));
        put(FORWARDING + 40, 1 | TO << 1 | 2 << 46); // index 2: 16 bytes from the page's start
        let mut file = MmapMut::map_anon(bytes.len()).expect("memory");
        file.copy_from_slice(&bytes);
        let file = Arc::new(file.try_into().expect("memory"));
        let mut mem = Memory::default();
        mem.lay_under(PAGE_TABLE, bytes.len() as u64, &file, 0);
        let granules = |map| Granules { map, size: 8, shift: 21 };
        let table = |map| {
            Forwardings::Table(Table {
                map: granules(map),
                start: 0,
                alignment_shift: 8,
                entries: 16,
                size: 40,
                ref_count: 32,
            })
        };
        let nothing = 0x1300;
        let z = Z {
            colours: Colours::Low { offset_mask: BASE - 1, good: 1, inverted: false },
            pages: granules(PAGE_TABLE),
            forwardings: vec![table(FORWARDING_MAP), table(nothing)],
            page: PageFields { kind: 0, virtual_start: 0, virtual_end: Extent::Size(8), top: 16 },
            generational: true,
        };
        z.resolve(&mem, bits)
    }

    /// A JNI local handle of a thread that no collection has come to since the object was moved.
    #[test]
    fn without_a_colour_the_page_tells_whether_the_object_was_moved() {
        let (from, to) = (BASE | FROM, BASE | TO);
        assert_eq!(resolved(from, 0, 1), to, "the page is gone");
        assert_eq!(resolved(from, PAGE, 1), to, "the page is being emptied");
        assert_eq!(resolved(from, PAGE, -1), from, "its objects are moved within it");
        assert_eq!(resolved(from, FULL_PAGE, 1), from, "another page has its memory");
        assert_eq!(
            resolved(from, EMPTY_PAGE, 1),
            to,
            "another page has its memory, and nothing there"
        );
        assert_eq!(resolved(from + 8, 0, 1), from + 8, "no object that was moved");
        // By the colour: of before the young relocation, and of after it.
        assert_eq!(resolved(from << 13 | 1 << 12, 0, 1), to);
        assert_eq!(resolved(from << 14 | 1 << 13, 0, 1), from);
    }
}

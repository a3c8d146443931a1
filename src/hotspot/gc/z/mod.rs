//! ZGC: pages of one, many or a part of a granule (2 MB), found through the page table.
//!
//! References carry colours (`colours`), and may be those of before a relocation (`forwarding`).
//! JDK 21 has two of them: the names of the one without generations start with X there.

mod colours;
mod forwarding;

use super::super::Vm;
use super::super::barrier::Barrier;
use super::super::flags::Flags;
use super::super::unexported::z as facts;
use super::{MarkBitmap, Region, RegionKind, Space, region};
use crate::corefile::memory::Memory;
use crate::error::{Error, Result};
use crate::vmstructs::{Field, Fields, Tables};
use colours::Colours;
use forwarding::{Forwardings, Granules, OfPages};

/// What must be known of ZGC to follow a reference.
#[derive(Debug, Clone)]
pub struct Z {
    colours: Colours,
    /// By granule of offset: ZPage*.
    pages: Granules,
    /// One table, or one each for the young and the old generation.
    forwardings: Vec<Forwardings>,
    page: PageFields,
    generational: bool,
}

#[derive(Debug, Clone, Copy)]
struct PageFields {
    kind: u64,
    virtual_start: u64,
    /// ZVirtualMemory::_end (until 24), or _size.
    virtual_end: Extent,
    top: u64,
}

#[derive(Debug, Clone, Copy)]
enum Extent {
    End(u64),
    Size(u64),
}

impl Extent {
    fn of(end: Field, size: Field) -> Result<Extent> {
        end.opt().map(Extent::End).map_or_else(|| Ok(Extent::Size(size.get()?)), Ok)
    }
}

/// A page as its ZPage says; offsets, not addresses.
#[derive(Debug, Clone, Copy)]
struct Page {
    kind: u8,
    start: u64,
    top: u64,
    end: u64,
}

impl Z {
    /// Finds the page table, the colours and the forwarding tables. None where another
    /// collector ran.
    pub fn read(mem: &Memory, tables: &Tables, f: &Fields, flags: &Flags) -> Result<Option<Z>> {
        if !flags.bool("UseZGC") {
            return Ok(None);
        }
        let x = f.x_page_table.opt().is_some() && !flags.bool("ZGenerational");
        let generational = !x && f.z_load_good.opt().is_some();
        let pick = |x_field: Field, z_field: Field| if x { x_field } else { z_field };
        let what = || Error::unreadable("ZGC's heap");
        let word = |at: u64| mem.u64(at).map_err(what());
        let collected = word(f.collected_heap.get()?)?;
        let heap = collected.wrapping_add(pick(f.x_heap, f.z_heap).get()?);
        let shift = tables.constant("ZGranuleSizeShift").or(tables.constant("XGranuleSizeShift"));
        let shift = shift.and_then(|s| u32::try_from(s).ok()).unwrap_or(facts::GRANULE_SHIFT);
        let map = pick(f.x_page_table_map, f.z_page_table_map).get()?;
        let pages = match f.z_old_page_table.opt() {
            Some(table) => {
                let map = heap.wrapping_add(table).wrapping_add(map);
                let mask = tables.constant("ZAddressOffsetMask").unwrap_or(0) as u64;
                Granules::bare(mem, map.wrapping_add(f.z_range_map.get()?), mask >> shift, shift)?
            }
            None => {
                let table = pick(f.x_page_table, f.z_page_table).get()?;
                let entries = pick(f.x_granules_page, f.z_granules_page).get()?;
                Granules::read(mem, heap.wrapping_add(table).wrapping_add(map), entries, shift)?
            }
        };
        let page = PageFields {
            kind: pick(f.x_page_type, f.z_page_type).get()?,
            virtual_start: pick(f.x_page_virtual, f.z_page_virtual)
                .get()?
                .wrapping_add(pick(f.x_virtual_start, f.z_virtual_start).get()?),
            virtual_end: Extent::of(pick(f.x_virtual_end, f.z_virtual_end), f.z_virtual_size)?,
            top: match pick(f.x_page_top, f.z_page_top) {
                field if f.z_old_page_table.opt().is_none() => field.get()?,
                _ => f.z_page_virtual.get()?.wrapping_add(facts::PAGE_TOP_AFTER_VIRTUAL),
            },
        };
        let forwardings = match f.z_old_page_table.opt() {
            Some(_) => vec![Forwardings::InPages(OfPages::read(f, flags, &page, pages)?)],
            None => forwarding::read(mem, tables, f, heap, &pages, x, generational)?,
        };
        let mut z = Z { colours: Colours::None, pages, forwardings, page, generational };
        z.colours = match generational {
            true => Colours::generational(mem, f)?,
            false => Colours::views(mem, tables, f, x, |offset| z.present(mem, offset))?,
        };
        Ok(Some(z))
    }

    /// How many pages' first bytes are there, in the view whose base is `base`.
    fn present(&self, mem: &Memory, base: u64) -> usize {
        let pages = self.pages.each(mem).filter_map(|(_, page)| self.page(mem, page).ok());
        pages.filter(|p| mem.contiguous(base | p.start) > 0).count()
    }

    /// Pages by their size.
    pub fn page_kinds(&self, mem: &Memory) -> Vec<RegionKind> {
        let generations: &[_] =
            if self.generational { &[Some("young"), Some("old")] } else { &[None] };
        let kinds = generations.iter().flat_map(|generation| {
            let kind = |name| RegionKind { name, generation: *generation, regions: 0 };
            facts::PAGE_KINDS.map(kind)
        });
        let mut all: Vec<RegionKind> = kinds.collect();
        let mut last = 0;
        for (_, addr) in self.pages.each(mem).filter(|p| !self.is_given_back(mem, p.1)) {
            // A page of many granules stands in the table as often.
            let page = self.page(mem, addr).ok().filter(|_| addr != last);
            let kind = page.map(|p| usize::from(p.kind)).filter(|k| *k < facts::PAGE_KINDS.len());
            let is_old = self.generational && !self.is_young(mem, addr);
            let first = if is_old { facts::PAGE_KINDS.len() } else { 0 };
            if let Some(kind) = kind.and_then(|kind| all.get_mut(first + kind)) {
                kind.regions += 1;
            }
            last = addr;
        }
        all.retain(|k| k.regions > 0);
        all
    }

    /// Whether the page at `addr` is of the young generation, where there are two.
    fn is_young(&self, mem: &Memory, addr: u64) -> bool {
        let id = self.page.kind + facts::PAGE_GENERATION_ID;
        mem.u8(addr.wrapping_add(id)).ok() == Some(facts::YOUNG)
    }

    /// Whether a page's objects are all elsewhere: it only stands for their forwarding.
    fn is_given_back(&self, mem: &Memory, page: u64) -> bool {
        self.forwardings.iter().any(|f| f.is_given_back(mem, page))
    }

    fn page(&self, mem: &Memory, addr: u64) -> Result<Page> {
        let what = || Error::unreadable(format!("the ZPage at {addr:#x}"));
        let at = |offset: u64| addr.wrapping_add(offset);
        let word = |offset: u64| mem.u64(at(offset)).map_err(what());
        let start = word(self.page.virtual_start)?;
        // Both members of ZVirtualMemory are words; _start comes first.
        let end = match self.page.virtual_end {
            Extent::End(offset) => word(self.page.virtual_start.wrapping_add(offset))?,
            Extent::Size(offset) => {
                start.wrapping_add(word(self.page.virtual_start.wrapping_add(offset))?)
            }
        };
        let kind = mem.u8(at(self.page.kind)).map_err(what())?;
        Ok(Page { kind, start, top: word(self.page.top)?, end })
    }

    /// Where the object of a reference is: the colour is taken off, and one from before a
    /// relocation is forwarded. 0 for null in any colour; what is no reference stays as it is.
    #[inline]
    pub fn resolve(&self, mem: &Memory, bits: u64) -> u64 {
        let found = self.colours.take_off(bits);
        let Some(stale) = found.stale else { return found.addr };
        self.forward(mem, found.addr, stale)
    }

    #[cold]
    fn forward(&self, mem: &Memory, addr: u64, stale: colours::Stale) -> u64 {
        let offset = addr & self.colours.offset_mask();
        let to = |i: usize| self.forwardings.get(i).and_then(|f| f.find(mem, offset));
        let relocating =
            |i: usize| self.forwardings.get(i).is_some_and(|f| f.at(mem, offset).is_some());
        let to = match stale {
            colours::Stale::Young => to(0),
            colours::Stale::Old => to(1),
            colours::Stale::Both { in_old: false } if relocating(0) => to(0),
            colours::Stale::Both { .. } => to(1),
            // One that leads to where an object was, which is known by the page: it is gone, or the very one whose
            // objects are being moved. Another page may have its memory by now, or the same one, compacted.
            colours::Stale::Unknown => {
                let page = self.pages.get(mem, offset);
                let was_here = |f: &&Forwardings| page == 0 || f.is_of(mem, offset, page);
                self.forwardings.iter().filter(was_here).find_map(|f| f.find(mem, offset))
            }
        };
        to.map_or(addr, |to| (addr & !self.colours.offset_mask()) | to)
    }

    /// The object that a word on a stack may refer to, if it looks like a reference.
    pub fn plausible(&self, mem: &Memory, bits: u64) -> Option<u64> {
        self.colours.is_reference(bits).then(|| self.resolve(mem, bits))
    }
}

/// All pages in use.
pub fn regions(vm: &Vm, _heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    let Barrier::Z(z) = &vm.barrier else {
        return Err(Error::Corrupt("ZGC is chosen by no flag".into()));
    };
    let mut out = Vec::new();
    let mut last = 0;
    for (granule, addr) in z.pages.each(vm.mem) {
        // A page of many granules stands in the table as often.
        if addr == last {
            continue;
        }
        last = addr;
        let mut page = z.page(vm.mem, addr)?;
        if page.start >> z.pages.shift != granule || page.end > z.colours.offset_mask() + 1 {
            return Err(Error::Corrupt(format!(
                "the ZPage at {addr:#x} is for {:#x}, and stands in the page table for granule {granule}",
                page.start
            )));
        }
        if z.is_given_back(vm.mem, addr) {
            continue;
        }
        // Being compacted in place, its objects that are still to be moved lie above its top.
        if z.forwardings.iter().any(|f| f.is_in_place(vm.mem, page.start, addr)) {
            page.top = page.end;
        }
        let age = || vm.mem.u8(addr.wrapping_add(z.page.kind + facts::PAGE_AGE)).ok();
        let space = match page.kind {
            facts::PAGE_LARGE => Space::Humongous,
            _ if !z.generational => Space::Regular,
            _ if !z.is_young(vm.mem, addr) => Space::Old,
            _ if age() == Some(facts::EDEN) => Space::Eden,
            _ => Space::Survivor,
        };
        let base = z.colours.base();
        if page.kind == facts::PAGE_LARGE {
            let bytes = only_object(vm, base | page.start).unwrap_or(u64::MAX);
            page.top = page.top.min(page.start.saturating_add(bytes));
        }
        out.push(region(base | page.start, base | page.top, base | page.end, space)?);
    }
    Ok((out, None))
}

/// Bytes of a large page's one object, an array. The page's top is its end, and what lies between
/// was perhaps never written to. 0 before it has a class.
fn only_object(vm: &Vm, addr: u64) -> Option<u64> {
    // Mark, klass and an array's length.
    let mut head = [0; 24];
    vm.mem.read_into(addr, &mut head).ok()?;
    match vm.pointers.klass_of(&head)? {
        0 => Some(0),
        klass => vm.classes.get(klass)?.size.bytes(&vm.pointers, &head),
    }
}

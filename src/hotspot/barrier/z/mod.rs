//! ZGC's references: they carry colours (`colours`), and may be those of before a relocation
//! (`forwarding`), which the page knows that the object was in.
//!
//! JDK 21 has two of them: the names of the one without generations start with X there.

mod colours;
mod forwarding;

use crate::corefile::memory::Memory;
use crate::error::{Error, Result};
use crate::hotspot::states::PageKind;
use crate::hotspot::unexported::z as facts;
use crate::hotspot::vm_info::flags::Flags;
use crate::vmstructs::{Field, Fields, Tables};
pub use colours::Colour;
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
pub struct Page {
    /// ZPage::_type.
    pub kind: PageKind,
    /// First offset.
    pub start: u64,
    /// End of its objects.
    pub top: u64,
    /// End of the page.
    pub end: u64,
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

    /// The page table's entries: granule and ZPage*. A page of many granules has as many, side by side.
    pub fn pages<'m>(&'m self, mem: &'m Memory) -> impl Iterator<Item = (u64, u64)> + 'm {
        self.pages.each(mem)
    }

    /// log2 of a granule's bytes.
    pub fn granule_shift(&self) -> u32 {
        self.pages.shift
    }

    /// The bits of an address that are its offset.
    pub fn offset_mask(&self) -> u64 {
        self.colours.offset_mask()
    }

    /// What makes an address of an offset.
    pub fn base(&self) -> u64 {
        self.colours.base()
    }

    /// Whether it parts young pages from old ones.
    pub fn is_generational(&self) -> bool {
        self.generational
    }

    /// Whether the page at `addr` is of the young generation, where there are two.
    pub fn is_young(&self, mem: &Memory, addr: u64) -> bool {
        let id = self.page.kind + facts::PAGE_GENERATION_ID;
        mem.u8(addr.wrapping_add(id)).ok() == Some(facts::YOUNG)
    }

    /// ZPage::_age of the page at `addr`.
    pub fn age(&self, mem: &Memory, addr: u64) -> Option<u8> {
        mem.u8(addr.wrapping_add(self.page.kind + facts::PAGE_AGE)).ok()
    }

    /// Whether the page at `addr`, which starts at the offset `start`, is being compacted in place.
    pub fn is_in_place(&self, mem: &Memory, start: u64, addr: u64) -> bool {
        self.forwardings.iter().any(|f| f.is_in_place(mem, start, addr))
    }

    /// Whether a page's objects are all elsewhere: it only stands for their forwarding.
    pub fn is_given_back(&self, mem: &Memory, page: u64) -> bool {
        self.forwardings.iter().any(|f| f.is_given_back(mem, page))
    }

    /// What the ZPage at `addr` says.
    pub fn page(&self, mem: &Memory, addr: u64) -> Result<Page> {
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
        let known = facts::PAGE_KINDS.get(usize::from(kind)).copied();
        let kind = known.unwrap_or(PageKind::Unknown(kind.into()));
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
            // objects are being moved. Another page may have its memory by now, or the same one, compacted: then only
            // behind its last object it is certain that none of its own is meant.
            colours::Stale::Unknown => {
                let page = self.pages.get(mem, offset);
                let is_behind = |p: Page| p.top <= offset && offset < p.end;
                let nothing = page == 0 || self.page(mem, page).is_ok_and(is_behind);
                let was_here = |f: &&Forwardings| nothing || f.is_of(mem, offset, page);
                self.forwardings.iter().filter(was_here).find_map(|f| f.find(mem, offset))
            }
        };
        to.map_or(addr, |to| (addr & !self.colours.offset_mask()) | to)
    }

    /// The object that a word on a stack may refer to, if it looks like a reference. `colour` is
    /// the one that it had, if that is known.
    pub fn plausible(&self, mem: &Memory, bits: u64, colour: Option<Colour>) -> Option<u64> {
        let coloured = || colour.map_or(bits, |c| self.colours.put_on(bits, c));
        self.colours.is_reference(bits).then(|| self.resolve(mem, coloured()))
    }
}

//! G1: a table of equal regions; an object larger than half of one has regions of its own.

use super::super::Vm;
use super::super::unexported::g1_marking as marking;
use super::{MarkBitmap, Region, Space, region};
use crate::error::{Error, Result};

/// G1 aims at 2,048 regions; `-XX:G1HeapRegionSize=1m` on 64 TB is the most that there can be.
const MAX_REGIONS: u64 = 1 << 26;

/// The tags as this VM numbers them (g1HeapRegionType.hpp). 8 does not tell them.
struct Tags {
    free: u32,
    eden: u32,
    survivor: u32,
    starts_humongous: u32,
    continues_humongous: u32,
    /// 0 where the VM has no archive regions (from 22).
    archive_mask: u32,
}

impl Tags {
    fn read(vm: &Vm) -> Result<Tags> {
        let get = |name: &str| {
            let names = [format!("G1HeapRegionType::{name}"), format!("HeapRegionType::{name}")];
            let value = names.iter().find_map(|n| vm.tables.constant(n));
            value.and_then(|v| u32::try_from(v).ok())
        };
        let tag = |name: &str| {
            get(name).ok_or_else(|| Error::MissingField { what: format!("HeapRegionType::{name}") })
        };
        Ok(Tags {
            free: tag("FreeTag")?,
            eden: tag("EdenTag")?,
            survivor: tag("SurvTag")?,
            starts_humongous: tag("StartsHumongousTag")?,
            continues_humongous: tag("ContinuesHumongousTag")?,
            archive_mask: get("ArchiveMask").unwrap_or(0),
        })
    }

    fn is_archive(&self, tag: u32) -> bool {
        tag & self.archive_mask != 0
    }

    /// What a region with this tag holds; none where it is free.
    fn space(&self, tag: u32) -> Option<Space> {
        match tag {
            t if t == self.free => None,
            t if t == self.starts_humongous => Some(Space::Humongous),
            t if t == self.eden => Some(Space::Eden),
            t if t == self.survivor => Some(Space::Survivor),
            t if self.is_archive(t) => Some(Space::Archive),
            _ => Some(Space::Old),
        }
    }
}

/// All regions in use. A humongous object's regions become one.
pub(super) fn regions(vm: &Vm, heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    let f = &vm.fields;
    let what = || Error::unreadable("G1's region table");
    let tags = f.region_type.opt().map(|_| Tags::read(vm)).transpose()?;
    let table = heap.wrapping_add(f.g1_hrm.get()?).wrapping_add(f.hrm_regions.get()?);
    let base = vm.mem.u64(table.wrapping_add(f.region_table_base.get()?)).map_err(what())?;
    let len = vm.mem.u64(table.wrapping_add(f.region_table_length.get()?)).map_err(what())?;
    if len > MAX_REGIONS {
        return Err(Error::Corrupt(format!("G1 has {len} regions")));
    }
    let bounds = (f.region_bottom.get()?, f.region_top.get()?, f.region_end.get()?);
    let grain = f.region_grain.opt().and_then(|a| vm.mem.u64(a).ok()).unwrap_or(u64::MAX);
    // A full collection marks in the same bitmap, and clears it while it moves what was marked.
    let marks = mark_bitmap(vm, heap).filter(|_| vm.barrier.is_none());
    // A full collection moves objects into free regions, too, and says so of them once all is moved.
    let free = (!vm.barrier.is_none()).then_some(Space::Old);
    let mut out: Vec<Region> = Vec::new();
    for i in 0..len {
        let at = vm.mem.u64(base.wrapping_add(i * 8)).map_err(what())?;
        if at == 0 {
            continue; // never committed
        }
        let word = |offset: u64| vm.mem.u64(at.wrapping_add(offset)).map_err(what());
        let (bottom, top, end) = (word(bounds.0)?, word(bounds.1)?, word(bounds.2)?);
        let mut closed = false;
        let space = match &tags {
            Some(tags) => {
                let tag = f.region_type.get()?.wrapping_add(f.region_tag.get()?);
                let tag = vm.mem.u32(at.wrapping_add(tag)).map_err(what())?;
                closed = tags.is_archive(tag) && tag & marking::CLOSED_ARCHIVE_BIT != 0;
                if tag == tags.continues_humongous {
                    let first = out.last_mut().filter(|r| r.space == Space::Humongous);
                    if let Some(first) = first.filter(|r| r.end == bottom) {
                        first.end = end;
                        first.top = top.max(first.top);
                    }
                    continue;
                }
                tags.space(tag).or(free.filter(|_| top == bottom))
            }
            // In 8 a humongous object's first region spans all of it, and the others lie inside.
            None if out.last().is_some_and(|last| bottom < last.end) => None,
            None if top == bottom => free,
            None if end.wrapping_sub(bottom) > grain => Some(Space::Humongous),
            None => Some(Space::Regular),
        };
        let Some(space) = space else { continue };
        // An uncommitted region's descriptor stays; its memory is gone, and so is its tag's sense.
        let mut region = region(bottom, top, end, space)?;
        if let Some((_, below)) = marks.filter(|_| !closed) {
            let below = word(below)?;
            if !(bottom..=end).contains(&below) {
                return Err(Error::Corrupt(format!(
                    "G1's region at {bottom:#x} has its top at mark start at {below:#x}"
                )));
            }
            region.marked_below = below;
        }
        out.push(region);
    }
    Ok((out, marks.map(|m| m.0)))
}

/// The bitmap that tells the dead from the living, where this build's layout is known and
/// checks out.
fn mark_bitmap(vm: &Vm, heap: u64) -> Option<(MarkBitmap, u64)> {
    let layout =
        marking::LAYOUTS.iter().find(|l| vm.tables.size_of(l.region.0) == Some(l.region.1))?;
    let word = |at: u64| vm.mem.u64(at).ok();
    let size = vm.tables.size_of("G1CollectedHeap").filter(|s| *s < 1 << 16)?;
    let reserved = word(heap.wrapping_add(vm.fields.heap_reserved.opt()?))?;
    (0..size / 8).filter_map(|i| word(heap.wrapping_add(i * 8))).find_map(|cm| {
        if word(cm.wrapping_add(marking::CM_HEAP))? != heap {
            return None;
        }
        let inline = cm.wrapping_add(layout.bitmap);
        let bitmap = if layout.is_pointer { word(inline)? } else { inline };
        let inside = (cm..=cm.wrapping_add(layout.bitmap)).contains(&bitmap);
        let covered = bitmap.wrapping_add(layout.covered);
        let start = word(covered)?;
        let shift = vm.mem.u32(covered.wrapping_add(16)).ok()?;
        (inside && start == reserved && shift <= 8).then_some(())?;
        let map = word(covered.wrapping_add(layout.map))?;
        // The shifter counts words.
        Some((MarkBitmap { start, map, shift: shift + 3 }, layout.marked_below))
    })
}

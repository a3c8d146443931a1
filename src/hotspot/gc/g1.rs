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
}

/// All regions in use. A humongous object's regions become one.
pub fn regions(vm: &Vm, heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    let f = &vm.fields;
    let what = || Error::unreadable("G1's region table");
    let tags = match f.region_type.opt() {
        Some(_) => Some(Tags::read(vm)?),
        None => None,
    };
    let table = heap.wrapping_add(f.g1_hrm.get()?).wrapping_add(f.hrm_regions.get()?);
    let base = vm.mem.u64(table.wrapping_add(f.region_table_base.get()?)).map_err(what())?;
    let len = vm.mem.u64(table.wrapping_add(f.region_table_length.get()?)).map_err(what())?;
    if len > MAX_REGIONS {
        return Err(Error::Corrupt(format!("G1 has {len} regions")));
    }
    let (bottom, top) = (f.region_bottom.get()?, f.region_top.get()?);
    let end = f.region_end.get()?;
    let tag_at = match tags {
        Some(_) => f.region_type.get()?.wrapping_add(f.region_tag.get()?),
        None => 0,
    };
    let mut out: Vec<Region> = Vec::new();
    let mut humongous = false;
    let grain = f.region_grain.opt().and_then(|a| vm.mem.u64(a).ok()).unwrap_or(u64::MAX);
    let marks = mark_bitmap(vm, heap);
    for i in 0..len {
        let at = vm.mem.u64(base.wrapping_add(i * 8)).map_err(what())?;
        if at == 0 {
            continue; // never committed
        }
        let word = |offset: u64| vm.mem.u64(at.wrapping_add(offset)).map_err(what());
        let (bottom, top, end) = (word(bottom)?, word(top)?, word(end)?);
        let Some(tags) = &tags else {
            // Until 8 a humongous object's first region spans all of it, and the others lie
            // inside; a free region is empty.
            if top > bottom && out.last().is_none_or(|last| last.end <= bottom) {
                let space =
                    if end.wrapping_sub(bottom) > grain { Space::Humongous } else { Space::Old };
                out.push(region(bottom, top, end, space)?);
            }
            continue;
        };
        let tag = vm.mem.u32(at.wrapping_add(tag_at)).map_err(what())?;
        let space = match tag {
            t if t == tags.free => continue,
            t if t == tags.continues_humongous => {
                if let Some(last) = out.last_mut().filter(|r| humongous && r.end == bottom) {
                    last.end = end;
                    last.top = top.max(last.top);
                }
                continue;
            }
            t if t == tags.starts_humongous => Space::Humongous,
            t if t == tags.eden => Space::Eden,
            t if t == tags.survivor => Space::Survivor,
            t if tags.archive_mask != 0 && t & tags.archive_mask != 0 => Space::Archive,
            _ => Space::Old,
        };
        humongous = space == Space::Humongous;
        // An uncommitted region's descriptor stays; its memory is gone, and so is its tag's sense.
        let mut region = region(bottom, top, end, space)?;
        let closed = space == Space::Archive && tag & marking::CLOSED_ARCHIVE_BIT != 0;
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
        let map = word(covered.wrapping_add(24))?;
        // The shifter counts words.
        Some((MarkBitmap { start, map, shift: shift + 3 }, layout.marked_below))
    })
}

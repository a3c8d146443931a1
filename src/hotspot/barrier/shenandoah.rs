//! Shenandoah's table of regions, and which of them objects are being moved out of.
//!
//! An object that was moved has the new address in its old header until all references to it
//! have been renewed.

use crate::corefile::memory::Memory;
use crate::error::{Error, Result};
use crate::hotspot::states::RegionState;
use crate::hotspot::unexported::shenandoah as facts;
use crate::vmstructs::{Fields, Tables};

/// Regions have 256 KB at least; on 64 TB there can be no more of them.
const MAX_REGIONS: u64 = 1 << 28;

/// A region as its descriptor has it.
pub(crate) struct Descriptor {
    /// First address.
    pub bottom: u64,
    /// End of its objects.
    pub top: u64,
    /// End of the region.
    pub end: u64,
    /// What the region is.
    pub state: RegionState,
}

/// The states of regions by number: what the tables say, else their order (shenandoahHeapRegion.hpp).
struct States([(i64, RegionState); facts::STATES.len()]);

impl States {
    fn of(tables: &Tables) -> States {
        let mut place = 0;
        States(facts::STATES.map(|state| {
            let number = tables.constant(&format!("ShenandoahHeapRegion::_{state}"));
            let known = (number.unwrap_or(place), state);
            place += 1;
            known
        }))
    }

    fn get(&self, number: i64) -> RegionState {
        let known = self.0.iter().find(|(n, _)| *n == number);
        known.map_or(RegionState::Unknown(number), |(_, state)| *state)
    }
}

/// All regions, free ones included.
pub(crate) fn descriptors(mem: &Memory, tables: &Tables, f: &Fields) -> Result<Vec<Descriptor>> {
    let states = States::of(tables);
    let what = || Error::unreadable("Shenandoah's regions");
    let word = |at: u64| mem.u64(at).map_err(what());
    let heap = word(f.collected_heap.get()?)?;
    let num = f.shenandoah_num_regions.get()?;
    let len = word(heap.wrapping_add(num))?;
    let regions = f.shenandoah_regions.opt().unwrap_or(num + facts::REGIONS_AFTER_NUM);
    let table = word(heap.wrapping_add(regions))?;
    if len > MAX_REGIONS {
        return Err(Error::Corrupt(format!("Shenandoah has {len} regions")));
    }
    let bottom = f.shenandoah_region_bottom.opt().unwrap_or(facts::BOTTOM);
    let top = f.shenandoah_region_top.opt().unwrap_or(facts::TOP);
    let end = f.shenandoah_region_end.opt().unwrap_or(facts::END);
    let state = f.shenandoah_region_state.opt().unwrap_or(facts::STATE);
    let mut out: Vec<Descriptor> = Vec::new();
    for i in 0..len {
        let at = word(table.wrapping_add(i * 8))?;
        let field = |offset: u64| word(at.wrapping_add(offset));
        let (bottom, top, end) = (field(bottom)?, field(top)?, field(end)?);
        // All of one size, side by side.
        if out.last().is_some_and(|last| last.end != bottom) || bottom >= end {
            return Err(Error::Corrupt(format!(
                "Shenandoah's region {i} is at {bottom:#x} to {end:#x}"
            )));
        }
        let state = mem.i32(at.wrapping_add(state)).map_err(what())?;
        let state = states.get(state.into());
        out.push(Descriptor { bottom, top, end, state });
    }
    Ok(out)
}

/// The regions that objects are being moved out of, in order.
pub(crate) fn collection_set(mem: &Memory, tables: &Tables, f: &Fields) -> Result<Vec<(u64, u64)>> {
    let all = descriptors(mem, tables, f)?;
    let moved = |d: &&Descriptor| matches!(d.state, RegionState::Cset | RegionState::PinnedCset);
    Ok(all.iter().filter(moved).map(|d| (d.bottom, d.end)).collect())
}

//! Shenandoah: a table of equal regions; an object larger than one has regions of its own.
//!
//! An object that was moved has the new address in its old header until all references to it
//! have been renewed (`barrier`).

use super::super::Vm;
use super::super::unexported::shenandoah as facts;
use super::{MarkBitmap, Region, Space, region};
use crate::error::{Error, Result};

/// Regions have 256 KB at least; on 64 TB there can be no more of them.
const MAX_REGIONS: u64 = 1 << 28;

/// The states as this VM numbers them (shenandoahHeapRegion.hpp).
struct States {
    empty_uncommitted: i64,
    empty_committed: i64,
    humongous_start: i64,
    pinned_humongous_start: i64,
    humongous_cont: i64,
    trash: i64,
}

impl States {
    fn read(vm: &Vm) -> Result<States> {
        let state = |name: &str| {
            let what = format!("ShenandoahHeapRegion::_{name}");
            let known = facts::STATES.iter().position(|s| *s == name).map(|i| i as i64);
            vm.tables.constant(&what).or(known).ok_or(Error::MissingField { what })
        };
        Ok(States {
            empty_uncommitted: state("empty_uncommitted")?,
            empty_committed: state("empty_committed")?,
            humongous_start: state("humongous_start")?,
            pinned_humongous_start: state("pinned_humongous_start")?,
            humongous_cont: state("humongous_cont")?,
            trash: state("trash")?,
        })
    }
}

/// All regions in use. A humongous object's regions become one.
pub fn regions(vm: &Vm, heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    let f = &vm.fields;
    let what = || Error::unreadable("Shenandoah's regions");
    let states = States::read(vm)?;
    let word = |at: u64| vm.mem.u64(at).map_err(what());
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
    let mut last_end = None;
    let mut out: Vec<Region> = Vec::new();
    let mut humongous = false;
    for i in 0..len {
        let at = word(table.wrapping_add(i * 8))?;
        let field = |offset: u64| word(at.wrapping_add(offset));
        let (bottom, top, end) = (field(bottom)?, field(top)?, field(end)?);
        // All of one size, side by side, free ones included.
        if last_end.is_some_and(|last| last != bottom) || bottom >= end {
            return Err(Error::Corrupt(format!(
                "Shenandoah's region {i} is at {bottom:#x} to {end:#x}"
            )));
        }
        last_end = Some(end);
        let state = i64::from(vm.mem.i32(at.wrapping_add(state)).map_err(what())?);
        // What is in a region that is trash was found dead by the last marking.
        if [states.empty_uncommitted, states.empty_committed, states.trash].contains(&state) {
            humongous = false;
            continue;
        }
        if state == states.humongous_cont {
            if let Some(last) = out.last_mut().filter(|r| humongous && r.end == bottom) {
                last.end = end;
                last.top = top.max(last.top);
            }
            continue;
        }
        humongous = state == states.humongous_start || state == states.pinned_humongous_start;
        let space = if humongous { Space::Humongous } else { Space::Old };
        out.push(region(bottom, top, end, space)?);
    }
    Ok((out, None))
}

//! Shenandoah: a table of equal regions; an object larger than one has regions of its own.
//!
//! The table itself is `barrier::shenandoah`'s, which must know the regions that objects are moved
//! out of.

use std::collections::BTreeMap;

use super::super::Vm;
use super::super::barrier::shenandoah::{Descriptor, descriptors};
use super::super::states::RegionState;
use super::super::unexported::shenandoah as facts;
use super::{MarkBitmap, Region, RegionCount, RegionKind, Space, region};
use crate::error::Result;

/// How many regions there are in each state that any is in.
pub(super) fn region_kinds(vm: &Vm) -> Result<Vec<RegionCount>> {
    let mut counts: BTreeMap<RegionState, u64> = BTreeMap::new();
    for d in descriptors(vm.mem, &vm.tables, &vm.fields)? {
        *counts.entry(d.state).or_default() += 1;
    }
    let count = |(state, regions)| RegionCount {
        kind: RegionKind::Region(state),
        generation: None,
        regions,
    };
    Ok(counts.into_iter().map(count).collect())
}

/// The generation of each region, where the heap has generations and says so of all.
fn generations(vm: &Vm, all: &[Descriptor]) -> Option<Vec<u8>> {
    let generational = vm.flags.text("ShenandoahGCMode") == Some("generational");
    let regions = vm.fields.shenandoah_regions.opt().filter(|_| generational)?;
    let heap = vm.mem.u64(vm.fields.collected_heap.opt()?).ok()?;
    let table = heap.wrapping_add(regions + facts::AFFILIATIONS_AFTER_REGIONS);
    let bytes = vm.mem.slice(vm.mem.u64(table).ok()?, all.len() as u64).ok()?;
    let is_free = |d: &Descriptor| {
        matches!(d.state, RegionState::EmptyUncommitted | RegionState::EmptyCommitted)
    };
    let fits = |(d, b): (&Descriptor, &u8)| (*b == facts::FREE) == is_free(d) && *b <= facts::OLD;
    all.iter().zip(bytes).all(fits).then(|| bytes.to_vec())
}

/// All regions in use. A humongous object's regions become one.
pub(super) fn regions(vm: &Vm, _heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    let mut out: Vec<Region> = Vec::new();
    let mut humongous = false;
    let all = descriptors(vm.mem, &vm.tables, &vm.fields)?;
    let generations = generations(vm, &all);
    for (i, d) in all.into_iter().enumerate() {
        match d.state {
            // What is in a region that is trash was found dead by the last marking.
            RegionState::EmptyUncommitted | RegionState::EmptyCommitted | RegionState::Trash => {
                humongous = false;
                continue;
            }
            RegionState::HumongousCont => {
                if let Some(last) = out.last_mut().filter(|r| humongous && r.end == d.bottom) {
                    last.end = d.end;
                    last.top = d.top.max(last.top);
                }
                continue;
            }
            RegionState::HumongousStart | RegionState::PinnedHumongousStart => humongous = true,
            RegionState::Regular
            | RegionState::Cset
            | RegionState::Pinned
            | RegionState::PinnedCset
            | RegionState::Unknown(_) => humongous = false,
        }
        let space = match generations.as_ref().and_then(|g| g.get(i).copied()) {
            _ if humongous => Space::Humongous,
            Some(facts::YOUNG) => Space::Young,
            Some(facts::OLD) => Space::Old,
            _ => Space::Regular,
        };
        out.push(region(d.bottom, d.top, d.end, space)?);
    }
    Ok((out, None))
}

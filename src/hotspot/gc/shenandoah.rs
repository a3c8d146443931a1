//! Shenandoah: a table of equal regions; an object larger than one has regions of its own.
//!
//! The table itself is `barrier::shenandoah`'s, which must know the regions that objects are moved
//! out of.

use super::super::Vm;
use super::super::barrier::shenandoah::{Descriptor, descriptors, state};
use super::super::unexported::shenandoah as facts;
use super::{MarkBitmap, Region, RegionKind, Space, region};
use crate::error::Result;

/// How many regions there are in each state that any is in.
pub fn region_kinds(vm: &Vm) -> Result<Vec<RegionKind>> {
    let all = descriptors(vm.mem, &vm.fields)?;
    let count = |name: &&'static str| -> Option<RegionKind> {
        let state = state(&vm.tables, name).ok()?;
        let regions = all.iter().filter(|d| d.state == state).count() as u64;
        (regions > 0).then_some(RegionKind { name, generation: None, regions })
    };
    Ok(facts::STATES.iter().filter_map(count).collect())
}

/// The generation of each region, where the heap has generations and says so of all.
fn generations(vm: &Vm, all: &[Descriptor]) -> Option<Vec<u8>> {
    let generational = vm.flags.text("ShenandoahGCMode") == Some("generational");
    let regions = vm.fields.shenandoah_regions.opt().filter(|_| generational)?;
    let heap = vm.mem.u64(vm.fields.collected_heap.opt()?).ok()?;
    let table = heap.wrapping_add(regions + facts::AFFILIATIONS_AFTER_REGIONS);
    let bytes = vm.mem.slice(vm.mem.u64(table).ok()?, all.len() as u64).ok()?;
    let unused = ["empty_uncommitted", "empty_committed"].map(|s| state(&vm.tables, s).ok());
    let fits = |(d, b): (&Descriptor, &u8)| {
        (*b == facts::FREE) == unused.contains(&Some(d.state)) && *b <= facts::OLD
    };
    all.iter().zip(bytes).all(fits).then(|| bytes.to_vec())
}

/// All regions in use. A humongous object's regions become one.
pub fn regions(vm: &Vm, _heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    let state = |name: &str| state(&vm.tables, name);
    // What is in a region that is trash was found dead by the last marking.
    let unused = [state("empty_uncommitted")?, state("empty_committed")?, state("trash")?];
    let starts = [state("humongous_start")?, state("pinned_humongous_start")?];
    let continues = state("humongous_cont")?;
    let mut out: Vec<Region> = Vec::new();
    let mut humongous = false;
    let all = descriptors(vm.mem, &vm.fields)?;
    let generations = generations(vm, &all);
    for (i, d) in all.into_iter().enumerate() {
        if unused.contains(&d.state) {
            humongous = false;
            continue;
        }
        if d.state == continues {
            if let Some(last) = out.last_mut().filter(|r| humongous && r.end == d.bottom) {
                last.end = d.end;
                last.top = d.top.max(last.top);
            }
            continue;
        }
        humongous = starts.contains(&d.state);
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

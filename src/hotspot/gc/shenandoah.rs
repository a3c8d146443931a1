//! Shenandoah: a table of equal regions; an object larger than one has regions of its own.
//!
//! An object that was moved has the new address in its old header until all references to it
//! have been renewed (`barrier`).

use super::super::Vm;
use super::super::unexported::shenandoah as facts;
use super::{MarkBitmap, Region, RegionKind, Space, region};
use crate::corefile::memory::Memory;
use crate::error::{Error, Result};
use crate::vmstructs::{Fields, Tables};

/// Regions have 256 KB at least; on 64 TB there can be no more of them.
const MAX_REGIONS: u64 = 1 << 28;

/// A region as its descriptor has it.
struct Descriptor {
    bottom: u64,
    top: u64,
    end: u64,
    state: i64,
}

/// What ShenandoahHeapRegion::_`name` is as a state in this VM (shenandoahHeapRegion.hpp).
fn state(tables: &Tables, name: &str) -> Result<i64> {
    let what = format!("ShenandoahHeapRegion::_{name}");
    let known = facts::STATES.iter().position(|s| *s == name).map(|i| i as i64);
    tables.constant(&what).or(known).ok_or(Error::MissingField { what })
}

/// All regions, free ones included.
fn descriptors(mem: &Memory, f: &Fields) -> Result<Vec<Descriptor>> {
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
        let state = i64::from(mem.i32(at.wrapping_add(state)).map_err(what())?);
        out.push(Descriptor { bottom, top, end, state });
    }
    Ok(out)
}

/// The regions that objects are being moved out of, in order.
pub fn collection_set(mem: &Memory, tables: &Tables, f: &Fields) -> Result<Vec<(u64, u64)>> {
    let states = [state(tables, "cset")?, state(tables, "pinned_cset")?];
    let all = descriptors(mem, f)?;
    Ok(all.iter().filter(|d| states.contains(&d.state)).map(|d| (d.bottom, d.end)).collect())
}

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

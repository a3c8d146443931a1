//! Serial and Parallel: an eden, two survivor spaces and an old space, each one run of memory.
//! Epsilon: a single one.

use super::super::Vm;
use super::{MarkBitmap, Region, Space, region};
use crate::error::{Error, Result};
use crate::vmstructs::Field;

/// SerialHeap (GenCollectedHeap until 21): DefNewGeneration and TenuredGeneration.
pub(super) fn serial(vm: &Vm, heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    let (young, old) = generations(vm, heap)?;
    let mut regions = def_new(vm, young)?;
    regions.push(contiguous(vm, old, vm.fields.tenured_space, Space::Old)?);
    Ok((regions, None))
}

/// EpsilonHeap: one space, and nothing is ever collected.
pub(super) fn epsilon(vm: &Vm, heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    Ok((vec![contiguous(vm, heap, vm.fields.epsilon_space, Space::Eden)?], None))
}

/// The young and the old generation of Serial and CMS: an array of them in 8.
pub(super) fn generations(vm: &Vm, heap: u64) -> Result<(u64, u64)> {
    let f = &vm.fields;
    let (Some(gens), Some(count)) = (f.gen_heap_gens.opt(), f.gen_heap_count.opt()) else {
        return Ok((pointer(vm, heap, f.serial_young)?, pointer(vm, heap, f.serial_old)?));
    };
    let what = || Error::unreadable("the heap's generations");
    let count = vm.mem.u32(heap.wrapping_add(count)).map_err(what())?;
    if count != 2 {
        return Err(Error::Corrupt(format!("GenCollectedHeap has {count} generations, not 2")));
    }
    let one = |i: u64| vm.mem.u64(heap.wrapping_add(gens + i * 8)).map_err(what());
    Ok((one(0)?, one(1)?))
}

/// DefNewGeneration: eden and two survivor spaces.
pub(super) fn def_new(vm: &Vm, young: u64) -> Result<Vec<Region>> {
    let f = &vm.fields;
    Ok(vec![
        contiguous(vm, young, f.def_new_eden, Space::Eden)?,
        contiguous(vm, young, f.def_new_from, Space::Survivor)?,
        contiguous(vm, young, f.def_new_to, Space::Survivor)?,
    ])
}

/// The ContiguousSpace that `field` of `owner` leads to.
fn contiguous(vm: &Vm, owner: u64, field: Field, kind: Space) -> Result<Region> {
    let f = &vm.fields;
    space(vm, pointer(vm, owner, field)?, [f.space_bottom, f.space_top, f.space_end], kind)
}

/// ParallelScavengeHeap: PSYoungGen and PSOldGen, statics until 27.
pub(super) fn parallel(vm: &Vm, heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    let f = &vm.fields;
    let bounds = [f.mutable_bottom, f.mutable_top, f.mutable_end];
    let generation = |field: Field, name: &str| match vm.tables.entry(name) {
        Some(e) if e.is_static => pointer(vm, 0, field),
        _ => pointer(vm, heap, field),
    };
    let young = generation(f.parallel_young, "ParallelScavengeHeap::_young_gen")?;
    let old = generation(f.parallel_old, "ParallelScavengeHeap::_old_gen")?;
    let spaces = [
        space(vm, pointer(vm, young, f.ps_young_eden)?, bounds, Space::Eden),
        space(vm, pointer(vm, young, f.ps_young_from)?, bounds, Space::Survivor),
        space(vm, pointer(vm, young, f.ps_young_to)?, bounds, Space::Survivor),
        space(vm, pointer(vm, old, f.ps_old_space)?, bounds, Space::Old),
    ];
    Ok((spaces.into_iter().collect::<Result<_>>()?, None))
}

/// The pointer in a field; a static's address counts from 0.
pub(super) fn pointer(vm: &Vm, object: u64, field: Field) -> Result<u64> {
    vm.mem
        .u64(object.wrapping_add(field.get()?))
        .map_err(Error::unreadable("the heap's generations"))
}

fn space(vm: &Vm, at: u64, [bottom, top, end]: [Field; 3], kind: Space) -> Result<Region> {
    region(pointer(vm, at, bottom)?, pointer(vm, at, top)?, pointer(vm, at, end)?, kind)
}

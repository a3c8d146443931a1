//! Serial and Parallel: an eden, two survivor spaces and an old space, each one run of memory.

use super::super::Vm;
use super::{MarkBitmap, Region, Space, region};
use crate::error::{Error, Result};
use crate::vmstructs::Field;

/// SerialHeap (GenCollectedHeap until 21): DefNewGeneration and TenuredGeneration.
pub fn serial(vm: &Vm, heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    let f = &vm.fields;
    let bounds = [f.space_bottom, f.space_top, f.space_end];
    let young = pointer(vm, heap, f.serial_young)?;
    let old = pointer(vm, heap, f.serial_old)?;
    let spaces = [
        space(vm, pointer(vm, young, f.def_new_eden)?, bounds, Space::Eden),
        space(vm, pointer(vm, young, f.def_new_from)?, bounds, Space::Survivor),
        space(vm, pointer(vm, young, f.def_new_to)?, bounds, Space::Survivor),
        space(vm, pointer(vm, old, f.tenured_space)?, bounds, Space::Old),
    ];
    Ok((spaces.into_iter().collect::<Result<_>>()?, None))
}

/// ParallelScavengeHeap: PSYoungGen and PSOldGen, statics until 27.
pub fn parallel(vm: &Vm, heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
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
fn pointer(vm: &Vm, object: u64, field: Field) -> Result<u64> {
    vm.mem
        .u64(object.wrapping_add(field.get()?))
        .map_err(Error::unreadable("the heap's generations"))
}

fn space(vm: &Vm, at: u64, [bottom, top, end]: [Field; 3], kind: Space) -> Result<Region> {
    region(pointer(vm, at, bottom)?, pointer(vm, at, top)?, pointer(vm, at, end)?, kind)
}

//! OopStorages: the handles of JNI and of the VM itself, from 10 on.

use std::collections::BTreeSet;

use super::{Handle, MAX_BLOCKS};
use crate::error::{Fault, Result};
use crate::hotspot::Vm;
use crate::hotspot::pointers::may_point;
use crate::hotspot::unexported::{
    ACTIVE_ARRAY_BLOCKS, ACTIVE_ARRAY_COUNT, BLOCK_BITMASK, BLOCK_OOPS, BLOCK_OWNER,
    OOP_STORAGE_ARRAY, OOP_STORAGE_NAME,
};

/// Longest name of an OopStorage, and then some.
const MAX_NAME: u64 = 64;

/// Appends the handles in use of the OopStorage at `storage` that are not null.
pub(crate) fn read_storage(vm: &Vm, storage: u64, out: &mut Vec<Handle>) -> Result<(), Fault> {
    let mem = vm.mem;
    let array = mem.u64(storage.wrapping_add(OOP_STORAGE_ARRAY))?;
    let count = mem.u64(array.wrapping_add(ACTIVE_ARRAY_COUNT))?.min(MAX_BLOCKS);
    for i in 0..count {
        let block = mem.u64(array.wrapping_add(ACTIVE_ARRAY_BLOCKS + i * 8))?;
        let used = mem.u64(block.wrapping_add(BLOCK_BITMASK))?;
        for slot in (0..BLOCK_OOPS).filter(|slot| used >> slot & 1 != 0) {
            let slot = block.wrapping_add(slot * 8);
            let object = vm.barrier.resolve(mem, mem.u64(slot)?);
            if object != 0 {
                out.push(Handle { slot, object });
            }
        }
    }
    Ok(())
}

/// The tables do not name the VM's storages. libjvm's data holds pointers to all of them, and
/// each starts with a pointer to its name.
pub(super) fn find_storage(vm: &Vm, name: &[u8]) -> Option<u64> {
    let mem = vm.mem;
    let named = |p: &u64| {
        let text = mem.u64(p.wrapping_add(OOP_STORAGE_NAME)).ok();
        text.and_then(|t| mem.cstr(t, MAX_NAME).ok()) == Some(name)
    };
    data_pointers(vm).find(named)
}

/// All OopStorages, whatever their names, by their form: each block knows its owner.
pub(crate) fn storages(vm: &Vm) -> BTreeSet<u64> {
    let mem = vm.mem;
    let is_storage = |s: &u64| -> Option<bool> {
        let name = mem.u64(s.wrapping_add(OOP_STORAGE_NAME)).ok()?;
        let array = mem.u64(s.wrapping_add(OOP_STORAGE_ARRAY)).ok()?;
        let (size, count) =
            (mem.u64(array).ok()?, mem.u64(array.wrapping_add(ACTIVE_ARRAY_COUNT)).ok()?);
        if count == 0 || count > size {
            return None;
        }
        let block = mem.u64(array.wrapping_add(ACTIVE_ARRAY_BLOCKS)).ok()?;
        if mem.u64(block.wrapping_add(BLOCK_OWNER)).ok()? != *s {
            return None;
        }
        // A stale pointer may lead to a compiler's node that points to itself: a vtable is no
        // name.
        let name = mem.string(name).ok()?;
        Some(!name.is_empty() && name.bytes().all(|b| b == b' ' || b.is_ascii_graphic()))
    };
    data_pointers(vm).filter(|s| is_storage(s) == Some(true)).collect()
}

/// The words in libjvm's data that may point to something outside of it.
pub(in crate::hotspot) fn data_pointers<'v>(vm: &'v Vm) -> impl Iterator<Item = u64> + 'v {
    let mem = vm.mem;
    let words = vm.library.data.iter().flat_map(|&(start, end)| mem.present(start, end)).flat_map(
        |(start, end)| {
            let start = start.next_multiple_of(8);
            let bytes = mem.slice(start, end.saturating_sub(start)).unwrap_or(&[]);
            bytes.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap_or_default()))
        },
    );
    // What is looked for is on the C heap: whatever points into libjvm itself is none.
    let (start, end) = vm.library.image;
    words
        .chain(vm.lost_pointers.iter().copied())
        .filter(move |p| may_point(*p) && !(start..end).contains(p))
}

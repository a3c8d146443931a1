//! Roots outside of threads: JNI globals and the VM's own handles, in OopStorages.

use super::Vm;
use super::unexported::{
    ACTIVE_ARRAY_BLOCKS, ACTIVE_ARRAY_COUNT, BLOCK_BITMASK, BLOCK_OOPS, OOP_STORAGE_ARRAY,
    OOP_STORAGE_NAME,
};
use crate::error::{Error, Fault, Result};

/// Blocks of 64 handles: a billion handles is a leak that no heap survives.
const MAX_BLOCKS: u64 = 1 << 24;
/// Longest name of an OopStorage, and then some.
const MAX_NAME: u64 = 64;

/// A handle: where it is and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    /// The slot's address: HPROF's "JNI global ref ID".
    pub slot: u64,
    /// The object.
    pub object: u64,
}

/// What HotSpot dumps as JNI globals: the storage of that name, then "VM Global" (heapDumper.cpp).
pub fn jni_globals(vm: &Vm, damaged: &mut Vec<String>) -> Result<Vec<Handle>> {
    let mut out = Vec::new();
    let what = || Error::unreadable("JNIHandles::_global_handles");
    let storage = vm.mem.u64(vm.fields.jni_globals.get()?).map_err(what())?;
    let storages = [Some(storage).filter(|s| *s != 0), find_storage(vm, b"VM Global")];
    for (storage, name) in storages.into_iter().zip(["JNI Global", "VM Global"]) {
        match storage.map(|s| read_storage(vm, s, &mut out)) {
            Some(Ok(())) => {}
            Some(Err(fault)) => damaged.push(format!("the handles of OopStorage {name}: {fault}")),
            None => damaged.push(format!("no OopStorage named {name} was found")),
        }
    }
    Ok(out)
}

pub(super) fn read_storage(vm: &Vm, storage: u64, out: &mut Vec<Handle>) -> Result<(), Fault> {
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
fn find_storage(vm: &Vm, name: &[u8]) -> Option<u64> {
    let mem = vm.mem;
    let named = |p: &u64| {
        let text = mem.u64(p.wrapping_add(OOP_STORAGE_NAME)).ok();
        text.and_then(|t| mem.cstr(t, MAX_NAME).ok()) == Some(name)
    };
    data_pointers(vm).find(named)
}

/// The words in libjvm's data that may point to something outside of it.
pub(super) fn data_pointers<'v>(vm: &'v Vm) -> impl Iterator<Item = u64> + 'v {
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
    words.filter(move |p| *p > 0x1000 && p % 8 == 0 && !(start..end).contains(p))
}

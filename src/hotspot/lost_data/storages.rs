//! OopStorages, by their blocks, each of which knows its owner.

use super::super::unexported::{
    ACTIVE_ARRAY_BLOCKS, ACTIVE_ARRAY_COUNT, BLOCK_OWNER, OOP_STORAGE_ARRAY, OOP_STORAGE_NAME,
};
use super::search::Search;

/// More blocks than a leak makes.
const MAX_BLOCKS: u64 = 1 << 24;
/// Longest name, and then some.
const MAX_NAME: u64 = 64;

/// Those that have a block, with their names, in order of their addresses. None in VMs that have
/// no such stores.
pub(super) fn find<'a>(s: &Search<'a>) -> Vec<(u64, &'a [u8])> {
    let mut found = Vec::new();
    if s.tables.size_of("OopStorage").is_none() {
        return found;
    }
    s.words(|at, word| {
        // The array of blocks comes behind the name.
        let storage = at.wrapping_sub(OOP_STORAGE_ARRAY);
        if let Some(name) = name(s, storage, word) {
            found.push((storage, name));
        }
    });
    found
}

fn name<'a>(s: &Search<'a>, storage: u64, array: u64) -> Option<&'a [u8]> {
    if array == 0 || !array.is_multiple_of(8) {
        return None;
    }
    let count = s.mem.u64(array.wrapping_add(ACTIVE_ARRAY_COUNT)).ok()?;
    (1..MAX_BLOCKS).contains(&count).then_some(())?;
    let block = s.mem.u64(array.wrapping_add(ACTIVE_ARRAY_BLOCKS)).ok()?;
    let owner = s.mem.u64(block.wrapping_add(BLOCK_OWNER)).ok()?;
    (owner == storage).then_some(())?;
    let name = s.mem.u64(storage.wrapping_add(OOP_STORAGE_NAME)).ok()?;
    s.mem.cstr(name, MAX_NAME).ok()
}

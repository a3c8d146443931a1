//! The handles of class loaders: mirrors, resolved references, modules, protection domains.

use super::{Handle, MAX_CHUNKS};
use crate::error::Result;
use crate::hotspot::Vm;
use crate::hotspot::unexported::{
    CLD_HANDLES, HANDLE_CHUNK_NEXT, HANDLE_CHUNK_OOPS, HANDLE_CHUNK_SIZE,
};

/// What the handles of all ClassLoaderDatas hold, null too; none where the handles were not found:
/// the tables do not name them.
pub(crate) fn loader_handles(vm: &Vm) -> Result<Option<Vec<Handle>>> {
    let f = &vm.fields;
    let mut out = Vec::new();
    let mut known = false;
    let mut cld = vm.mem.u64(f.cld_head.get()?).unwrap_or(0);
    for _ in 0..MAX_CHUNKS {
        if cld == 0 {
            break;
        }
        let chunks = chunks(vm, cld.wrapping_add(CLD_HANDLES));
        // The first class's mirror handle proves that these are the handles.
        let klass = vm.mem.u64(cld.wrapping_add(f.cld_klasses.get()?)).unwrap_or(0);
        let mirror = vm.mem.u64(klass.wrapping_add(f.klass_mirror.get()?)).unwrap_or(0);
        let inside = |c: &u64| (*c..c.wrapping_add(HANDLE_CHUNK_SIZE)).contains(&mirror);
        known |= chunks.iter().any(inside);
        if known {
            for chunk in chunks {
                let size = vm.mem.u32(chunk.wrapping_add(HANDLE_CHUNK_SIZE)).unwrap_or(0);
                for i in 0..u64::from(size).min(HANDLE_CHUNK_OOPS) {
                    let slot = chunk.wrapping_add(i * 8);
                    let bits = vm.mem.u64(slot).unwrap_or(0);
                    out.push(Handle { slot, object: vm.barrier.resolve(vm.mem, bits) });
                }
            }
        }
        cld = vm.mem.u64(cld.wrapping_add(f.cld_next.get()?)).unwrap_or(0);
    }
    Ok(known.then_some(out))
}

/// The chunks of a ChunkedHandleList.
fn chunks(vm: &Vm, list: u64) -> Vec<u64> {
    let mut out = Vec::new();
    let mut chunk = vm.mem.u64(list).unwrap_or(0);
    while chunk != 0 && chunk.is_multiple_of(8) && out.len() < MAX_CHUNKS {
        out.push(chunk);
        chunk = vm.mem.u64(chunk.wrapping_add(HANDLE_CHUNK_NEXT)).unwrap_or(0);
    }
    out
}

//! Handles: what JNI, class loaders and the VM itself hold, in OopStorages; in older VMs in
//! JNIHandleBlocks and statics. Which of them are roots is up to the reader.

mod blocks;
mod loaders;
mod storage;
mod words;

pub(crate) use loaders::loader_handles;
pub(crate) use storage::{read_storage, storages};

use super::Vm;
use super::gc::reserved;
use super::unexported::{HANDLES_PER_BLOCK, MONITOR_PADDING};
use crate::error::{Error, Result};
use storage::find_storage;

/// Blocks of 64 handles: a billion handles is a leak that no heap survives.
const MAX_BLOCKS: u64 = 1 << 24;
/// Bytes of Universe's statics.
const MAX_STATICS: u64 = 4096;
/// More chunks of 32 handles than any loader or thread has: the list runs in a circle.
const MAX_CHUNKS: usize = 1 << 24;

/// A handle: where it is and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle {
    /// The slot's address: HPROF's "JNI global ref ID".
    pub slot: u64,
    /// The object.
    pub object: u64,
}

/// What HotSpot dumps as JNI globals (heapDumper.cpp): JNI's own, then the VM's.
pub(crate) fn jni_globals(vm: &Vm, damaged: &mut Vec<String>) -> Result<Vec<Handle>> {
    let mut out = Vec::new();
    let what = || Error::unreadable("JNIHandles::_global_handles");
    let globals = vm.mem.u64(vm.fields.jni_globals.get()?).map_err(what());
    let read = globals.and_then(|globals| match vm.tables.size_of("OopStorage") {
        Some(_) if globals != 0 => read_storage(vm, globals, &mut out)
            .map_err(Error::unreadable("the OopStorage of JNI globals")),
        None => read_blocks(vm, globals, &mut out),
        _ => Ok(()),
    });
    note(read, damaged)?;
    let statics = vm.fields.universe_oops.opt().zip(vm.fields.universe_klasses.opt());
    match (statics, find_storage(vm, b"VM Global")) {
        (Some((oops, klasses)), _) => universe(vm, oops.min(klasses), oops.max(klasses), &mut out),
        (None, Some(storage)) => {
            if let Err(fault) = read_storage(vm, storage, &mut out) {
                damaged.push(format!("the handles of OopStorage VM Global: {fault}"));
            }
        }
        (None, None) => damaged.push("no OopStorage named VM Global was found".into()),
    }
    Ok(out)
}

/// Universe's statics (until 16): the tables name the first oop and what follows the last, and
/// compilers lay them out in this order or (on aarch64) in the other. What is no object among
/// them is another of its statics.
fn universe(vm: &Vm, start: u64, last: u64, out: &mut Vec<Handle>) {
    let end = last.saturating_add(8);
    let reserved = reserved(vm).unwrap_or((0, 0));
    for slot in (start..end.min(start.saturating_add(MAX_STATICS))).step_by(8) {
        let object = vm.barrier.resolve(vm.mem, vm.mem.u64(slot).unwrap_or(0));
        if (reserved.0..reserved.1).contains(&object) && vm.klass_of(object).is_some() {
            out.push(Handle { slot, object });
        }
    }
}

/// The handles in use of a list of JNIHandleBlocks, as runs of slots: (address, how many). Blocks
/// behind one that is not full are spare ones.
fn handle_blocks(vm: &Vm, mut block: u64) -> Result<Vec<(u64, u64)>> {
    let f = &vm.fields;
    let (handles, top) = (f.jni_block_handles.get()?, f.jni_block_top.get()?);
    let next = f.jni_block_next.get()?;
    let fault = |at: u64| Error::unreadable(format!("the JNIHandleBlock at {at:#x}"));
    let mut out = Vec::new();
    while block != 0 {
        let used = u64::from(vm.mem.u32(block.wrapping_add(top)).map_err(fault(block))?);
        out.push((block.wrapping_add(handles), used.min(HANDLES_PER_BLOCK)));
        if used < HANDLES_PER_BLOCK {
            break;
        }
        if out.len() as u64 > MAX_BLOCKS {
            return Err(Error::Corrupt("a list of JNIHandleBlocks has no end".into()));
        }
        block = vm.mem.u64(block.wrapping_add(next)).map_err(fault(block))?;
    }
    Ok(out)
}

/// The JNI globals of 8, in JNIHandleBlocks.
fn read_blocks(vm: &Vm, first: u64, out: &mut Vec<Handle>) -> Result<()> {
    let deleted = vm.deleted_handle().unwrap_or(0);
    // The slots of the free list lead to one another.
    let reserved = reserved(vm).unwrap_or((0, u64::MAX));
    for (start, count) in handle_blocks(vm, first)? {
        for slot in (0..count).map(|i| start.wrapping_add(i * 8)) {
            let object = vm.mem.u64(slot).map_err(Error::unreadable("a JNI global handle"))?;
            if (reserved.0..reserved.1).contains(&object) && object != deleted {
                out.push(Handle { slot, object });
            }
        }
    }
    Ok(())
}

/// The objects of all inflated monitors, which 8 dumps as roots. From 9 the VM keeps the monitors
/// of each thread (MonitorInUseLists), and HotSpot's dump goes by a list that is empty.
pub(crate) fn monitors_used(vm: &Vm, damaged: &mut Vec<String>) -> Result<Vec<u64>> {
    let mut out = Vec::new();
    if vm.flags.has("MonitorInUseLists") && !vm.flags.bool("MonitorInUseLists") {
        note(read_monitors(vm, &mut out), damaged)?;
    }
    Ok(out)
}

/// What cannot be read is noted as damage; what the tables lack ends the command.
pub(crate) fn note(read: Result<()>, damaged: &mut Vec<String>) -> Result<()> {
    match read {
        Err(e @ Error::MissingField { .. }) => Err(e),
        Err(e) => {
            damaged.push(e.to_string());
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Blocks of ObjectMonitors; the first of each leads to the next block. From 9 each of them is
/// padded to a cache line's end: what the objects are proves how.
pub(crate) fn read_monitors(vm: &Vm, out: &mut Vec<u64>) -> Result<()> {
    let f = &vm.fields;
    let (next, object) = (f.monitor_next.get()?, f.monitor_object.get()?);
    let fact = |what: &str, value: Option<u64>| {
        value
            .filter(|v| (1..4096).contains(v))
            .ok_or_else(|| Error::MissingField { what: what.to_owned() })
    };
    let count = vm.tables.constant("ObjectSynchronizer::_BLOCKSIZE");
    let count = count.and_then(|n| u64::try_from(n).ok());
    let count = fact("ObjectSynchronizer::_BLOCKSIZE", count)?;
    let size = fact("sizeof(ObjectMonitor)", vm.tables.size_of("ObjectMonitor"))?;
    let word = |at: u64| vm.mem.u64(at).map_err(Error::unreadable("the inflated monitors"));
    let mut blocks = Vec::new();
    let mut block = word(f.monitor_blocks.get()?)?;
    while block != 0 {
        blocks.push(block);
        if blocks.len() as u64 > MAX_BLOCKS {
            return Err(Error::Corrupt("the blocks of inflated monitors have no end".into()));
        }
        block = word(block.wrapping_add(next))?;
    }
    let is_object = |oop: u64| {
        let object = vm.barrier.plausible(vm.mem, oop, None);
        object.is_some_and(|o| o != 0 && vm.klass_of(o).is_some())
    };
    let sizes = MONITOR_PADDING.map(|p| size.next_multiple_of(p));
    for size in sizes {
        let all = blocks.iter().flat_map(|b| (1..count).map(move |i| b.wrapping_add(i * size)));
        let oops: Result<Vec<u64>> = all.map(|at| word(at.wrapping_add(object))).collect();
        match oops {
            Ok(oops) if oops.iter().all(|o| *o == 0 || is_object(*o)) => {
                out.extend(oops.into_iter().filter(|o| *o != 0));
                return Ok(());
            }
            Err(e) if sizes.last() == Some(&size) => return Err(e),
            _ => {}
        }
    }
    Err(Error::Corrupt("the inflated monitors have no objects".into()))
}

/// How many JNI handles there are: global ones, and weak ones.
pub(crate) fn jni_counts(vm: &Vm) -> Option<(u64, u64)> {
    let count = |field: crate::vmstructs::Field| {
        let at = vm.mem.u64(field.opt()?).ok()?;
        let mut out = Vec::new();
        match vm.tables.size_of("OopStorage") {
            Some(_) if at != 0 => read_storage(vm, at, &mut out).ok()?,
            // HotSpot 8 counts far more than there are handles in use.
            None => read_blocks(vm, at, &mut out).ok()?,
            _ => {}
        }
        Some(out.len() as u64)
    };
    Some((count(vm.fields.jni_globals)?, count(vm.fields.jni_weak_globals)?))
}

impl Vm<'_> {
    /// The object that stands for a deleted handle (8): HotSpot's dump hides it.
    pub fn deleted_handle(&self) -> Option<u64> {
        self.mem.u64(self.fields.jni_deleted.opt()?).ok().filter(|o| *o != 0)
    }
}

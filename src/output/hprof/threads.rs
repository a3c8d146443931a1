//! Threads in a dump: their traces with frames, and the records of roots.

use std::collections::{BTreeSet, HashMap};

use super::records::{EMPTY_TRACE, Put, sub, tag};
use crate::heap::roots::{Call, Root, RootKind, ThreadRoots};
use crate::hotspot::Vm;
use crate::hotspot::classes::Klass;

/// Lines of a FRAME that are none (heapDumper.cpp): a native method's, an unknown one.
const NATIVE_LINE: u32 = -3i32 as u32;
const UNKNOWN_LINE: u32 = -1i32 as u32;
/// The frame of a root of a thread that has none (heapDumper.cpp, JNILocalsDumper).
const NO_FRAME: u32 = -1i32 as u32;

/// Bytes of each of a thread's root sub-records: tag, object, and two numbers.
pub(super) const THREAD_ROOT: usize = 1 + 8 + 4 + 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FrameRecord {
    name: u64,
    signature: u64,
    source_file: u64,
    class_serial: u32,
    line: u32,
}

/// Makes the records of threads' frames, with the serials of their classes.
#[derive(Debug)]
pub(super) struct Traces<'v> {
    vm: &'v Vm<'v>,
    serials: HashMap<u64, u32>,
    /// Frames written so far, and the ids of those. Threads share what is the same: virtual ones
    /// may be a million.
    frames: HashMap<FrameRecord, u64>,
    /// Symbols whose UTF8 records are written.
    written: BTreeSet<u64>,
}

impl<'v> Traces<'v> {
    /// Classes' serials are their places in the dump, from 1.
    pub(super) fn new(vm: &'v Vm<'v>, classes: &[&Klass]) -> Traces<'v> {
        let serials = (1..).zip(classes).map(|(serial, k)| (k.addr, serial)).collect();
        Traces { vm, serials, frames: HashMap::new(), written: BTreeSet::new() }
    }

    /// The symbols that these threads' frames refer to, each once in a dump: notes them as
    /// written.
    pub(super) fn symbols(&mut self, threads: &[ThreadRoots]) -> Vec<u64> {
        let all = threads.iter().flat_map(|t| &t.calls).map(|c| &c.method);
        let all = all.flat_map(|m| [m.name, m.signature, m.source_file]).filter(|s| *s != 0);
        let new: BTreeSet<u64> = all.filter(|s| !self.written.contains(s)).collect();
        self.written.extend(&new);
        new.into_iter().collect()
    }

    /// Notes symbols that others write.
    pub(super) fn wrote(&mut self, symbols: impl IntoIterator<Item = u64>) {
        self.written.extend(symbols);
    }

    /// The FRAME records of a thread, and its TRACE.
    pub(super) fn trace(&mut self, t: &ThreadRoots, serial: u32, out: &mut Vec<u8>) {
        let mut ids = Vec::new();
        for call in &t.calls {
            let f = self.frame(call);
            let next = self.frames.len() as u64 + 1;
            let id = *self.frames.entry(f).or_insert(next);
            ids.push(id);
            if id != next {
                continue;
            }
            out.record(tag::FRAME, 8 * 4 + 4 * 2);
            out.u8(id);
            out.u8(f.name);
            out.u8(f.signature);
            out.u8(f.source_file);
            out.u4(f.class_serial);
            out.u4(f.line);
        }
        out.record(tag::TRACE, 4 * 3 + 8 * ids.len() as u32);
        out.u4(EMPTY_TRACE + serial);
        out.u4(serial);
        out.u4(ids.len() as u32);
        ids.iter().for_each(|id| out.u8(*id));
    }

    fn frame(&self, call: &Call) -> FrameRecord {
        let m = &call.method;
        FrameRecord {
            name: m.name,
            signature: m.signature,
            source_file: m.source_file,
            class_serial: self.serials.get(&m.holder).copied().unwrap_or(0),
            line: match m.is_native {
                true => NATIVE_LINE,
                false => m.line(self.vm, call.bci).unwrap_or(UNKNOWN_LINE),
            },
        }
    }
}

/// The sub-record of a root. Nothing where dumps have none for it.
pub(super) fn root(r: &Root, out: &mut Vec<u8>) {
    let tag = match r.kind {
        RootKind::Thread | RootKind::UnmountedThread => sub::ROOT_THREAD_OBJ,
        RootKind::Frame => sub::ROOT_JAVA_FRAME,
        RootKind::JniLocal => sub::ROOT_JNI_LOCAL,
        RootKind::JniGlobal => sub::ROOT_JNI_GLOBAL,
        RootKind::Monitor => sub::ROOT_MONITOR_USED,
        RootKind::BootClass => sub::ROOT_STICKY_CLASS,
        RootKind::Class | RootKind::LoaderHandle | RootKind::VmHandle => return,
    };
    out.u1(tag);
    out.u8(r.object);
    let serial = r.thread.map_or(0, |number| number + 1);
    match r.kind {
        RootKind::Thread | RootKind::UnmountedThread => {
            out.u4(serial);
            out.u4(EMPTY_TRACE + serial);
        }
        RootKind::Frame | RootKind::JniLocal => {
            out.u4(serial);
            out.u4(r.frame.unwrap_or(NO_FRAME));
        }
        RootKind::JniGlobal => out.u8(r.slot.unwrap_or(0)),
        _ => {}
    }
}

//! Threads in a dump: their traces with frames, and the roots in those frames.

use std::collections::{BTreeSet, HashMap};

use super::DumpSummary;
use super::records::{EMPTY_TRACE, Put, sub, tag};
use crate::heap::{Heap, Part, Traced};
use crate::hotspot::frames::{Frame, Stack, Value, Walker};
use crate::hotspot::klass::Klass;

/// Lines of a FRAME that are none (heapDumper.cpp): a native method's, an unknown one.
const NATIVE_LINE: u32 = -3i32 as u32;
const UNKNOWN_LINE: u32 = -1i32 as u32;
/// The frame of a root of a thread that has none (heapDumper.cpp, JNILocalsDumper).
const NO_FRAME: u32 = -1i32 as u32;

/// Bytes of each of a thread's root sub-records: tag, object, and two numbers.
pub const ROOT: usize = 1 + 8 + 4 + 4;

/// A thread as the dump has it.
#[derive(Debug)]
pub struct Dumped {
    /// The java.lang.Thread.
    pub object: u64,
    frames: Vec<FrameRecord>,
    roots: Vec<Root>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FrameRecord {
    name: u64,
    signature: u64,
    source_file: u64,
    class_serial: u32,
    line: u32,
}

/// A root in a frame: its sub-record's tag, the object, the frame's number in its thread.
#[derive(Debug)]
struct Root {
    tag: u8,
    object: u64,
    frame: u32,
}

/// Makes threads' records, with the serials of their classes.
#[derive(Debug)]
pub struct Threads<'v> {
    walker: Walker<'v>,
    traced: Option<&'v Traced>,
    serials: HashMap<u64, u32>,
    /// Frames written so far, and the ids of those. Threads share what is the same: virtual ones
    /// may be a million.
    frames: HashMap<FrameRecord, u64>,
    /// Symbols whose UTF8 records are written.
    written: BTreeSet<u64>,
}

impl<'v> Threads<'v> {
    /// Classes' serials are their places in the dump, from 1.
    pub fn new(walker: Walker<'v>, traced: Option<&'v Traced>, classes: &[&Klass]) -> Threads<'v> {
        let serials = (1..).zip(classes).map(|(serial, k)| (k.addr, serial)).collect();
        Threads { walker, traced, serials, frames: HashMap::new(), written: BTreeSet::new() }
    }

    /// The visible threads, a mounted virtual one before its carrier. Stacks that end early are
    /// noted in `summary`.
    pub fn collect(&self, heap: &Heap, summary: &mut DumpSummary) -> Vec<Dumped> {
        let vm = heap.vm;
        let mut out = Vec::new();
        for t in heap.threads.iter().filter(|t| t.visible) {
            let stack = self.walker.thread(t);
            if let Some(why) = &stack.broken {
                let of = match self.walker.runs_java(t) {
                    true => &mut summary.running,
                    false => &mut summary.damaged,
                };
                let text = format!("the stack of \"{}\" ends early: {why}", t.name);
                of.push(Part::Stacks.unread(text));
            }
            let entry = stack.frames.iter().position(|f| f.enters_continuation);
            let own = entry.map_or(0, |e| e + 1);
            let own = if t.mounted == 0 { 0 } else { own };
            let handles = vm.fields.thread_active_handles.opt();
            let mut handles = handles.and_then(|o| vm.mem.u64(t.addr.wrapping_add(o)).ok());
            if t.mounted != 0 {
                let upper = &stack.frames[..entry.unwrap_or(0)];
                // They are those of the innermost frame, whosoever it is.
                let own = if upper.is_empty() { None } else { handles.take() };
                out.push(self.dumped(t.mounted, upper, 0, &stack, own));
            }
            out.push(self.dumped(t.object, &stack.frames[own..], own, &stack, handles));
        }
        out
    }

    /// A virtual thread that no carrier runs: its frames.
    pub fn unmounted(&self, object: u64) -> Dumped {
        let stack = self.walker.continuation(object);
        self.dumped(object, &stack.frames, 0, &stack, None)
    }

    /// One thread's records: of the frames of its stack from `offset` on. `handles` are the JNI
    /// locals of its innermost frame, if that is native, or if it has none.
    fn dumped(
        &self,
        object: u64,
        frames: &[Frame],
        offset: usize,
        stack: &Stack,
        handles: Option<u64>,
    ) -> Dumped {
        let vm = self.walker.vm;
        let mut roots = Vec::new();
        let is_8 = vm.fields.klass_mirror.is_oop();
        let wrappers: HashMap<usize, u64> = stack.wrappers.iter().rev().copied().collect();
        for (i, frame) in frames.iter().enumerate() {
            let number = i as u32;
            let jni = |object| Root { tag: sub::ROOT_JNI_LOCAL, object, frame: number };
            if frame.method.is_native {
                let block = match i {
                    0 => handles,
                    _ => wrappers.get(&(i + offset)).and_then(|w| vm.wrapper_handles(*w)),
                };
                roots.extend(
                    block.map(|b| vm.local_handles(b)).unwrap_or_default().into_iter().map(jni),
                );
                continue;
            }
            let mut values = self.walker.locals(frame);
            if !is_8 {
                values.extend(self.walker.expressions(frame));
            }
            roots.extend(values.into_iter().filter_map(|v| match v {
                Value::Object(object) if self.is_object(object) => {
                    Some(Root { tag: sub::ROOT_JAVA_FRAME, object, frame: number })
                }
                _ => None,
            }));
        }
        if frames.is_empty() {
            let all = handles.map(|b| vm.local_handles(b)).unwrap_or_default();
            let jni = |object| Root { tag: sub::ROOT_JNI_LOCAL, object, frame: NO_FRAME };
            roots.extend(all.into_iter().map(jni));
        }
        let record = |f: &Frame| FrameRecord {
            name: f.method.name,
            signature: f.method.signature,
            source_file: f.method.source_file,
            class_serial: self.serials.get(&f.method.holder).copied().unwrap_or(0),
            line: match f.method.is_native {
                true => NATIVE_LINE,
                false => f.method.line(vm, f.bci).unwrap_or(UNKNOWN_LINE),
            },
        };
        Dumped { object, frames: frames.iter().map(record).collect(), roots }
    }

    /// Whether a frame's reference leads to an object. A slot that the method uses no more, or not
    /// yet, may hold anything where the thread was caught between two safepoints.
    fn is_object(&self, addr: u64) -> bool {
        match self.traced {
            Some(traced) => traced.reaches(addr),
            None => addr != 0 && self.walker.vm.klass_of(addr).is_some(),
        }
    }

    /// The symbols that these threads' frames refer to, each once in a dump: notes them as
    /// written.
    pub fn symbols(&mut self, threads: &[Dumped]) -> Vec<u64> {
        let all = threads.iter().flat_map(|t| &t.frames);
        let all = all.flat_map(|f| [f.name, f.signature, f.source_file]).filter(|s| *s != 0);
        let new: BTreeSet<u64> = all.filter(|s| !self.written.contains(s)).collect();
        self.written.extend(&new);
        new.into_iter().collect()
    }

    /// Notes symbols that others write.
    pub fn wrote(&mut self, symbols: impl IntoIterator<Item = u64>) {
        self.written.extend(symbols);
    }

    /// The FRAME records of a thread, and its TRACE.
    pub fn trace(&mut self, t: &Dumped, serial: u32, out: &mut Vec<u8>) {
        let mut ids = Vec::new();
        for f in &t.frames {
            let next = self.frames.len() as u64 + 1;
            let id = *self.frames.entry(*f).or_insert(next);
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
}

impl Dumped {
    /// How many roots the thread has, itself one of them.
    pub fn root_count(&self) -> usize {
        1 + self.roots.len()
    }

    /// Calls `each` with the bytes of each root's sub-record.
    pub fn roots(&self, serial: u32, mut each: impl FnMut(&[u8])) {
        let mut bytes = Vec::with_capacity(ROOT);
        bytes.u1(sub::ROOT_THREAD_OBJ);
        bytes.u8(self.object);
        bytes.u4(serial);
        bytes.u4(EMPTY_TRACE + serial);
        each(&bytes);
        for r in &self.roots {
            bytes.clear();
            bytes.u1(r.tag);
            bytes.u8(r.object);
            bytes.u4(serial);
            bytes.u4(r.frame);
            each(&bytes);
        }
    }
}

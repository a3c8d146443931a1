//! Roots of threads: the objects in their frames, and the handles of native code below those.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Root, RootKind};
use crate::error::Result;
use crate::heap::{Heap, Traced};
use crate::hotspot::code::Method;
use crate::hotspot::frames::{Frame, Stack, Value, Walker};
use crate::hotspot::threads::JavaThread;

/// A call that a thread is in.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: Arc<Method>,
    /// Bytecode index.
    pub bci: i32,
}

/// A thread and what it holds.
#[derive(Debug)]
pub struct ThreadRoots {
    /// The java.lang.Thread.
    pub object: u64,
    /// Its calls, innermost first.
    pub calls: Vec<Call>,
    /// Its roots: itself, then what its frames hold.
    pub roots: Vec<Root>,
}

/// A stack that ends before its bottom: what lies further up is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyEnd {
    /// Whose, and why.
    pub text: String,
    /// The thread ran Java code, where frames are not always to be told: nothing is missing in the
    /// core.
    pub ran_java: bool,
}

/// Whether HotSpot shows the thread in its dumps: it has an object, it is not about to end, and it
/// is not one of the VM's own.
pub fn is_shown(t: &JavaThread) -> bool {
    t.object != 0 && !t.is_exiting && !t.is_hidden
}

/// Reads threads' roots.
#[derive(Debug)]
pub struct Stacks<'h> {
    heap: &'h Heap<'h>,
    walker: Walker<'h>,
    traced: Option<&'h Traced>,
    /// Expression stacks are none of 8's roots.
    expressions: bool,
}

impl<'h> Stacks<'h> {
    /// `traced` tells which objects frames may hold, where that was looked for.
    pub fn new(heap: &'h Heap<'h>, traced: Option<&'h Traced>) -> Result<Stacks<'h>> {
        let expressions = !heap.vm.fields.klass_mirror.is_oop();
        Ok(Stacks { heap, walker: Walker::new(heap.vm)?, traced, expressions })
    }

    /// The threads that HotSpot shows, numbered from 0, a mounted virtual one before its carrier;
    /// and their stacks that end early.
    pub fn running(&self) -> (Vec<ThreadRoots>, Vec<EarlyEnd>) {
        let vm = self.heap.vm;
        let (mut out, mut early) = (Vec::new(), Vec::new());
        for t in self.heap.threads.iter().filter(|t| is_shown(t)) {
            let stack = self.walker.thread(t);
            early.extend(stack.broken.as_ref().map(|why| EarlyEnd {
                text: format!("the stack of \"{}\" ends early: {why}", t.name),
                ran_java: self.walker.runs_java(t),
            }));
            let entry = stack.frames.iter().position(|f| f.enters_continuation);
            let own = entry.map_or(0, |e| e + 1);
            let own = if t.mounted == 0 { 0 } else { own };
            let handles = vm.fields.thread_active_handles.opt();
            let mut handles = handles.and_then(|o| vm.mem.u64(t.addr.wrapping_add(o)).ok());
            let kind = RootKind::Thread;
            if t.mounted != 0 {
                let frames = 0..entry.unwrap_or(0);
                // They are those of the innermost frame, whosoever it is.
                let own = if frames.is_empty() { None } else { handles.take() };
                out.push(self.read(kind, t.mounted, out.len(), &stack, frames, own));
            }
            let frames = own..stack.frames.len();
            out.push(self.read(kind, t.object, out.len(), &stack, frames, handles));
        }
        (out, early)
    }

    /// A virtual thread that no carrier runs, as the thread with this number.
    pub fn unmounted(&self, object: u64, number: usize) -> ThreadRoots {
        let stack = self.walker.continuation(object);
        let frames = 0..stack.frames.len();
        self.read(RootKind::UnmountedThread, object, number, &stack, frames, None)
    }

    /// One thread by those of a stack's frames that are its own. `handles` are the JNI locals of
    /// its innermost frame, if that is native, or if it has none.
    fn read(
        &self,
        kind: RootKind,
        object: u64,
        number: usize,
        stack: &Stack,
        own: std::ops::Range<usize>,
        handles: Option<u64>,
    ) -> ThreadRoots {
        let vm = self.heap.vm;
        let thread = Some(number as u32);
        let root = |kind, frame, object| Root { kind, object, thread, frame, slot: None };
        let mut roots = vec![root(kind, None, object)];
        let wrappers: HashMap<usize, u64> = stack.wrappers.iter().rev().copied().collect();
        let locals = |block: Option<u64>| block.map(|b| vm.local_handles(b)).unwrap_or_default();
        let frames = &stack.frames[own.clone()];
        for (i, frame) in frames.iter().enumerate() {
            let at = Some(i as u32);
            if frame.method.is_native {
                let block = match i {
                    0 => handles,
                    _ => wrappers.get(&(i + own.start)).and_then(|w| vm.wrapper_handles(*w)),
                };
                roots.extend(locals(block).into_iter().map(|o| root(RootKind::JniLocal, at, o)));
            } else {
                let objects = self.objects(frame);
                roots.extend(objects.into_iter().map(|o| root(RootKind::Frame, at, o)));
            }
        }
        if frames.is_empty() {
            roots.extend(locals(handles).into_iter().map(|o| root(RootKind::JniLocal, None, o)));
        }
        let call = |f: &Frame| Call { method: f.method.clone(), bci: f.bci };
        ThreadRoots { object, calls: frames.iter().map(call).collect(), roots }
    }

    /// The objects that a Java frame holds.
    fn objects(&self, frame: &Frame) -> Vec<u64> {
        let mut values = self.walker.locals(frame);
        if self.expressions {
            values.extend(self.walker.expressions(frame));
        }
        let objects = values.into_iter().filter_map(|v| match v {
            Value::Object(object) if self.is_object(object) => Some(object),
            _ => None,
        });
        objects.collect()
    }

    /// Whether a frame's reference leads to an object. A slot that the method uses no more, or not
    /// yet, may hold anything where the thread was caught between two safepoints.
    fn is_object(&self, addr: u64) -> bool {
        match self.traced {
            Some(traced) => traced.reaches(addr),
            None => addr != 0 && self.heap.vm.klass_of(addr).is_some(),
        }
    }
}

//! Roots of threads: the objects in their frames, and the handles of native code below those.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Root, RootKind};
use crate::error::{Error, Result};
use crate::heap::{Heap, Marks};
use crate::hotspot::barrier::Colour;
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
    /// Why some of its frames are missing.
    pub broken: Option<String>,
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
    /// Without it no thread has frames.
    walker: Result<Walker<'h>, String>,
    reached: Option<&'h Marks>,
    /// Expression stacks are none of 8's roots.
    expressions: bool,
}

impl<'h> Stacks<'h> {
    /// `reached` has the objects that frames may hold, where they were looked for. Where compiled code
    /// cannot be found in the core, threads have no frames, and [`Stacks::running`] says so.
    pub fn new(heap: &'h Heap<'h>, reached: Option<&'h Marks>) -> Result<Stacks<'h>> {
        let expressions = heap.vm.eras.dumps_expression_stacks();
        let walker = match Walker::new(heap.vm) {
            Ok(walker) => Ok(walker),
            Err(e @ Error::Unreadable { .. }) => Err(format!("{e}; so threads have no frames")),
            Err(e) => return Err(e),
        };
        Ok(Stacks { heap, walker, reached, expressions })
    }

    /// The threads that HotSpot shows, numbered from 0, a mounted virtual one before its carrier;
    /// and their stacks that end early.
    pub fn running(&self) -> (Vec<ThreadRoots>, Vec<EarlyEnd>) {
        let vm = self.heap.vm;
        let mut out = Vec::new();
        let lost = self.walker.as_ref().err();
        let lost = lost.map(|why| EarlyEnd { text: why.clone(), ran_java: false });
        let mut early: Vec<EarlyEnd> = lost.into_iter().collect();
        for t in self.heap.threads.iter().filter(|t| is_shown(t)) {
            let head = t.ages.head();
            let walker = self.walker.as_ref().ok();
            let stack = walker.map(|w| w.thread(t)).unwrap_or_default();
            early.extend(stack.broken.as_ref().map(|why| EarlyEnd {
                text: format!("the stack of \"{}\" ends early: {why}", t.name),
                ran_java: walker.is_some_and(|w| w.runs_java(t)),
            }));
            let entry = stack.frames.iter().position(|f| f.enters_continuation);
            let own = entry.map_or(0, |e| e + 1);
            let own = if t.mounted == 0 { 0 } else { own };
            let handles = vm.fields.thread_active_handles.opt();
            let handles = handles.and_then(|o| vm.mem.u64(t.addr.wrapping_add(o)).ok());
            let mut handles = handles.map(|block| (block, head));
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
        let left_out = self.walker.as_ref().ok().and_then(Walker::without_values);
        early.extend(left_out.map(|text| EarlyEnd { text, ran_java: false }));
        (out, early)
    }

    /// A virtual thread that no carrier runs, as the thread with this number. Where frames of it are missing it says so itself.
    pub fn unmounted(&self, object: u64, number: usize) -> ThreadRoots {
        let walker = self.walker.as_ref().ok();
        let stack = walker.map(|w| w.continuation(object)).unwrap_or_default();
        let frames = 0..stack.frames.len();
        let mut roots = self.read(RootKind::UnmountedThread, object, number, &stack, frames, None);
        let early = stack.broken.or_else(|| walker?.without_values());
        roots.broken =
            early.map(|why| format!("the virtual thread at {object:#x} ends early: {why}"));
        roots
    }

    /// One thread by those of a stack's frames that are its own. `handles` are the JNI locals of
    /// its innermost frame, if that is native, or if it has none, and their colour.
    fn read(
        &self,
        kind: RootKind,
        object: u64,
        number: usize,
        stack: &Stack,
        own: std::ops::Range<usize>,
        handles: Option<(u64, Option<Colour>)>,
    ) -> ThreadRoots {
        let vm = self.heap.vm;
        let thread = Some(number as u32);
        let root = |kind, frame, object| Root { kind, object, thread, frame, slot: None };
        let mut roots = vec![root(kind, None, object)];
        let wrappers: HashMap<usize, u64> = stack.wrappers.iter().rev().copied().collect();
        let locals = |block: Option<(u64, Option<Colour>)>| {
            block.map(|(b, colour)| vm.local_handles(b, colour)).unwrap_or_default()
        };
        let frames = stack.frames.get(own.clone()).unwrap_or_default();
        for (i, frame) in frames.iter().enumerate() {
            let at = Some(i as u32);
            if frame.method.is_native {
                let block = match i {
                    0 => handles,
                    // HotSpot comes to them with the frame of who made them.
                    _ => wrappers
                        .get(&(i + own.start))
                        .and_then(|w| vm.wrapper_handles(*w))
                        .map(|block| (block, frame.colour)),
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
        ThreadRoots { object, calls: frames.iter().map(call).collect(), roots, broken: None }
    }

    /// The objects that a Java frame holds.
    fn objects(&self, frame: &Frame) -> Vec<u64> {
        let Ok(walker) = &self.walker else { return Vec::new() };
        let mut values = walker.locals(frame);
        if self.expressions {
            values.extend(walker.expressions(frame));
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
        match self.reached {
            Some(reached) => reached.has(addr),
            None => addr != 0 && self.heap.vm.klass_of(addr).is_some(),
        }
    }
}

//! Java frames: from where a thread stopped to the bottom of its stack.
//!
//! Every step is bounded and checked: the stack pointer only grows, and stays in the thread's
//! stack. Where the walk cannot go on it ends with a note, and what was found stands.

mod continuation;
mod cpu;
mod debugger;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
mod mixed;
mod oop_map;
mod oop_mask;
mod signal;
mod start;
mod values;
mod walk;
mod zero;

pub(crate) use mixed::NativeRun;
pub(crate) use values::Value;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::Vm;
use super::barrier::Colour;
use super::code::{CodeCache, Method, Nmethod, Scope};
use crate::corefile::room::Room;
use crate::cpu::{Cpu, Facts};
use crate::error::Result;
use crate::vmstructs::Tables;
use cpu::Layout;

/// Java frames of one thread: a 1 GB stack of the smallest frames has fewer.
pub(crate) const MAX_FRAMES: usize = 1 << 20;
/// Bytes of memory for a Java frame: the smallest has two words, and of compiled ones several may have the same.
const FRAME: u64 = 8;
/// Bytes of memory for a value: those of a compiled frame may be constants, or other frames' too; but a heap, code and
/// metadata are far more than stacks.
const VALUE: u64 = 8;

/// How a frame's code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FrameKind {
    /// By the interpreter.
    Interpreted,
    /// Compiled by C1.
    C1,
    /// Compiled by C2 (or another compiler of the highest level).
    C2,
    /// The compiled wrapper of a native method.
    Native,
}

/// How sure the walk is of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The VM itself would find it so.
    Exact,
    /// Caught between two places where the VM looks at frames: the method is right, the line is
    /// that of the next such place.
    Near,
    /// Found by a search.
    Guessed,
}

/// Where the values of a general register of a caller are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Saved {
    /// Not known any more.
    #[default]
    Lost,
    /// The thread's own register.
    Value(u64),
    /// A callee saved it there.
    At(u64),
}

/// The general registers as a frame sees them, by half their VMReg number. Of most frames no more
/// than one is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registers(Vec<(usize, Saved)>);

impl Registers {
    /// Where the values of register `i` are.
    pub(crate) fn get(&self, i: usize) -> Saved {
        self.0.iter().find(|r| r.0 == i).map_or(Saved::Lost, |r| r.1)
    }

    fn set(&mut self, i: usize, saved: Saved) {
        self.0.retain(|r| r.0 != i);
        self.0.push((i, saved));
    }
}

/// Which slots hold references, by method and bytecode index.
type Masks = HashMap<(u64, i32), Option<Arc<oop_mask::Slots>>>;

/// What a frame's values are read from.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// An interpreter frame.
    Interpreted {
        /// Its frame pointer.
        fp: u64,
        /// Its stack pointer.
        sp: u64,
        /// Slots on its expression stack that are parameters of what it calls.
        arguments: u16,
    },
    /// A scope of a compiled frame.
    Compiled {
        /// The code.
        nmethod: Arc<Nmethod>,
        /// What the frame stands for.
        scope: Scope,
        /// The frame's stack pointer.
        sp: u64,
        /// What the callees saved.
        registers: Registers,
    },
    /// A native wrapper.
    Native {
        /// The frame's stack pointer.
        sp: u64,
    },
}

/// One Java frame.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Its method.
    pub method: Arc<Method>,
    /// Bytecode index.
    pub bci: i32,
    /// How it runs.
    pub kind: FrameKind,
    /// How sure it is.
    pub trust: Trust,
    /// Where its values are.
    pub place: Place,
    /// It belongs to the virtual thread that is mounted, not to the carrier.
    pub in_continuation: bool,
    /// The frame that enters a continuation: neither thread shows it.
    pub enters_continuation: bool,
    /// Native code that was called from Java begins above this frame: a call stub is between.
    pub called_by_vm: bool,
    /// The colour of its references, where they have none themselves and HotSpot knows it.
    pub colour: Option<Colour>,
    /// It lies in the chunk of a continuation, and a collector has looked at it there.
    pub packed: Option<Packed>,
}

/// References in a chunk that a collector has looked at: a bitmap tells where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packed {
    /// The first word of the stack.
    pub start: u64,
    /// The bitmap, which has a bit for each reference that would fit into the stack.
    pub bitmap: u64,
}

/// Where native code called Java.
#[derive(Debug, Clone)]
struct Entry {
    /// Frames above it.
    before: usize,
    /// The native caller's registers.
    pc: u64,
    sp: u64,
    fp: u64,
    /// By DWARF's number.
    saved: Vec<(usize, u64)>,
}

/// Where JNI calls into Java keep the handles of their native callers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stack {
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// JavaCallWrappers on the way, innermost first, each with the number of frames above it.
    pub wrappers: Vec<(usize, u64)>,
    /// The JNIHandleBlocks of all native callers on the way: what they hold stays alive, whether a
    /// dump names it or not.
    pub callers_handles: Vec<u64>,
    /// Native code that called Java, innermost first.
    entries: Vec<Entry>,
    /// Where frames of continuations that are still on the heap belong: frames above them, and the
    /// Continuation, innermost first.
    barriers: Vec<(usize, u64)>,
    /// Why the walk ended before the bottom.
    pub broken: Option<String>,
}

impl Stack {
    /// Puts frames that were walked apart, in a chunk of their own, where they belong: the
    /// innermost one of them called the frame before `at`.
    fn insert(&mut self, at: usize, mut frames: Vec<Frame>) {
        let callee = at.checked_sub(1).and_then(|i| self.frames.get(i));
        if let (Some(callee), Some(caller)) = (callee, frames.first_mut())
            && let Place::Interpreted { arguments, .. } = &mut caller.place
        {
            *arguments = callee.method.parameters;
        }
        self.frames.splice(at..at, frames);
    }
}

/// Walks stacks: facts that are the same for all threads, and what was read before.
#[derive(Debug)]
pub(crate) struct Walker<'v> {
    /// The VM.
    pub vm: &'v Vm<'v>,
    /// Its code.
    pub code: CodeCache<'v>,
    cpu: &'static Facts,
    layout: Layout,
    methods: RefCell<HashMap<u64, Option<Arc<Method>>>>,
    nmethods: RefCell<HashMap<u64, Option<Arc<Nmethod>>>>,
    masks: RefCell<Masks>,
    continuations: OnceCell<Option<continuation::Entries>>,
    /// Frames that may still be walked, of all threads together.
    frames: Room,
    /// Values that may still be read, of all frames together.
    values: Room,
}

/// Where the frame of the stub that enters Java has its JavaCallWrapper: words from its frame pointer.
pub(crate) fn call_wrapper_offset(cpu: Cpu, tables: &Tables) -> i64 {
    let told = tables.constant("frame::entry_frame_call_wrapper_offset");
    told.map_or(Layout::of(cpu, false).call_wrapper, |offset| offset.clamp(-64, 64))
}

impl<'v> Walker<'v> {
    /// Reads what all stacks need.
    pub(crate) fn new(vm: &'v Vm<'v>) -> Result<Walker<'v>> {
        let mut layout = Layout::of(vm.cpu, vm.eras.frames_keep_no_class());
        layout.call_wrapper = call_wrapper_offset(vm.cpu, &vm.tables);
        Ok(Walker {
            vm,
            code: CodeCache::read(vm)?,
            cpu: vm.cpu.facts(),
            layout,
            methods: RefCell::default(),
            nmethods: RefCell::default(),
            masks: RefCell::default(),
            continuations: OnceCell::new(),
            frames: Room::of(vm.mem, FRAME),
            values: Room::of(vm.mem, VALUE),
        })
    }

    /// The Method at `addr`, read once.
    pub(crate) fn method(&self, addr: u64) -> Option<Arc<Method>> {
        let mut known = self.methods.borrow_mut();
        known.entry(addr).or_insert_with(|| Method::read(self.vm, addr).map(Arc::new)).clone()
    }

    fn nmethod(&self, blob: &super::code::Blob) -> Option<Arc<Nmethod>> {
        let mut known = self.nmethods.borrow_mut();
        let read = || Nmethod::read(self.vm, blob).ok().map(Arc::new);
        known.entry(blob.addr).or_insert_with(read).clone()
    }

    /// The compiled methods that frames so far were of, by address.
    pub(crate) fn nmethods_met(&self) -> Vec<Arc<Nmethod>> {
        let mut out: Vec<Arc<Nmethod>> =
            self.nmethods.borrow().values().flatten().cloned().collect();
        out.sort_unstable_by_key(|nm| nm.addr);
        out
    }

    /// Why values are missing, if some are.
    pub(crate) fn without_values(&self) -> Option<String> {
        let text = "values are left out: the frames have more than the core's memory can hold";
        self.values.is_gone().then(|| text.into())
    }

    fn word(&self, addr: u64) -> Option<u64> {
        self.vm.mem.u64(addr).ok()
    }

    /// The word of a frame, `offset` words from its frame pointer.
    fn slot(&self, fp: u64, offset: i64) -> Option<u64> {
        self.word(fp.wrapping_add_signed(offset * 8))
    }
}

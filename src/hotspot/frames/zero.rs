//! Frames of the Zero VM, which has no code of its own: its interpreter is C++, and keeps Java's frames
//! as objects in a stack within the thread's own. A frame is known by the address of its last word,
//! which leads to the next one.

use super::walk::{Bounds, Caller, CpuFrame};
use super::{Frame, FrameKind, Place, Registers, Stack, Trust, Walker};
use crate::hotspot::unexported::zero;

/// A JavaThread has about 2 KB.
const MAX_THREAD: u64 = 1 << 14;

/// A BytecodeInterpreter: where it starts, and the first address behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    start: u64,
    end: u64,
}

impl Walker<'_> {
    /// Whether the VM's frames are Zero's: its tables know no frame pointers.
    pub(super) fn is_zero(&self) -> bool {
        self.vm.fields.anchor_fp.opt().is_none()
    }

    /// The frame at `fp`.
    pub(super) fn zero_frame(&self, fp: u64, trust: Trust) -> Caller {
        Caller::Frame(CpuFrame { sp: fp, fp, pc: 0, trust, registers: Registers::default() })
    }

    /// The state of the interpreter's frame at `fp`. It ends with its own address.
    pub(super) fn zero_state(&self, fp: u64) -> Option<State> {
        if !fp.is_multiple_of(8) || self.slot(fp, zero::FRAME_TYPE)? != zero::INTERPRETER_FRAME {
            return None;
        }
        let end = fp.wrapping_sub(8);
        let start = self.word(end.wrapping_sub(8))?;
        let size = end.checked_sub(start)?;
        (start.is_multiple_of(8) && zero::STATE_SIZE.contains(&size))
            .then_some(State { start, end })
    }

    fn zero_word(&self, fp: u64, from_end: u64) -> Option<u64> {
        self.word(self.zero_state(fp)?.end.wrapping_sub(from_end))
    }

    /// Where its first local is.
    pub(super) fn zero_locals(&self, fp: u64) -> Option<u64> {
        self.word(self.zero_state(fp)?.start.wrapping_add(zero::LOCALS))
    }

    /// Its monitors: the first address, and the first behind them.
    pub(super) fn zero_monitors(&self, fp: u64) -> Option<(u64, u64)> {
        Some((self.zero_word(fp, zero::STACK_BASE)?, self.zero_word(fp, zero::MONITOR_BASE)?))
    }

    /// The last slot of its expression stack.
    pub(super) fn zero_top(&self, fp: u64) -> Option<u64> {
        Some(self.zero_word(fp, zero::STACK)?.wrapping_add(8))
    }

    /// The innermost frame of a thread that runs Java: the word of its JavaThread that leads to the
    /// innermost of its frames.
    pub(super) fn zero_caught(&self, bounds: Bounds) -> Caller {
        let size = self.vm.tables.size_of("JavaThread").unwrap_or(0).min(MAX_THREAD);
        let words = (0..size / 8).filter_map(|i| self.word(bounds.thread.wrapping_add(i * 8)));
        let frames = words
            .filter(|fp| (bounds.low..bounds.high).contains(fp) && self.is_zero_frame(*fp, bounds));
        match frames.min() {
            Some(fp) => self.zero_frame(fp, Trust::Near),
            None => Caller::Broken("no frame of the interpreter was found".into()),
        }
    }

    /// Whether a frame of this thread's is at `fp`: its state or its JavaCallWrapper, which both
    /// begin with the thread, say so. One that is still being made leads to no other frame yet.
    fn is_zero_frame(&self, fp: u64, bounds: Bounds) -> bool {
        let wrapper = || self.word(self.slot(fp, zero::CALL_WRAPPER)?);
        match self.slot(fp, zero::FRAME_TYPE) {
            Some(zero::ENTRY_FRAME) => wrapper() == Some(bounds.thread),
            Some(zero::INTERPRETER_FRAME) => {
                self.slot(fp, 0) != Some(0) && self.zero_method(fp, bounds).is_some()
            }
            _ => false,
        }
    }

    /// The Method of the interpreter's frame at `fp`, which must be one of this thread's.
    fn zero_method(&self, fp: u64, bounds: Bounds) -> Option<u64> {
        let start = self.zero_state(fp)?.start;
        (self.word(start)? == bounds.thread).then_some(())?;
        self.word(start.wrapping_add(zero::METHOD))
    }

    /// Adds the Java frame that `raw` is, if it is one, and finds its caller.
    pub(super) fn zero_step(
        &self,
        raw: &CpuFrame,
        top: bool,
        bounds: Bounds,
        out: &mut Stack,
    ) -> Caller {
        let fp = raw.fp;
        match self.slot(fp, zero::FRAME_TYPE) {
            Some(zero::ENTRY_FRAME) => {
                let Some(wrapper) = self.slot(fp, zero::CALL_WRAPPER) else {
                    return Caller::Broken(format!("the entry frame at {fp:#x} is not there"));
                };
                out.wrappers.push((out.frames.len(), wrapper));
                return match self.vm.fields.call_wrapper_anchor.opt() {
                    Some(anchor) => self.anchor(wrapper.wrapping_add(anchor)),
                    None => Caller::Broken("this VM has no JavaCallWrapper::_anchor".into()),
                };
            }
            Some(zero::INTERPRETER_FRAME) => {
                let method = self.zero_method(fp, bounds).and_then(|m| self.method(m));
                let (Some(method), Some(state)) = (method, self.zero_state(fp)) else {
                    return Caller::Broken(format!(
                        "the interpreter's frame at {fp:#x} has no method"
                    ));
                };
                let bci = self.word(state.start.wrapping_add(zero::BCP));
                let bci = bci.and_then(|bcp| method.bci(bcp));
                let known = method.is_native || bci.is_some() && !top;
                let by_vm = out.wrappers.last().is_some_and(|w| w.0 == out.frames.len());
                let callee = out.frames.last().filter(|_| !by_vm);
                let arguments = callee.map_or(0, |f| f.method.parameters);
                out.frames.push(Frame {
                    bci: bci.unwrap_or(0),
                    trust: if known { raw.trust } else { raw.trust.max(Trust::Near) },
                    method,
                    kind: FrameKind::Interpreted,
                    place: Place::Interpreted { fp, sp: raw.sp, arguments },
                    in_continuation: false,
                    enters_continuation: false,
                    called_by_vm: false,
                    colour: None,
                    packed: None,
                });
            }
            Some(kind) if zero::STUB_FRAMES.contains(&kind) => {}
            None => return Caller::absent(fp),
            Some(_) => return Caller::Broken(format!("{fp:#x} is no frame of the interpreter's")),
        }
        match self.slot(fp, 0) {
            // The outermost is an entry frame.
            Some(0) => Caller::Broken(format!("the frame at {fp:#x} leads to no other")),
            Some(next) => self.zero_frame(next, Trust::Exact),
            None => Caller::absent(fp),
        }
    }
}

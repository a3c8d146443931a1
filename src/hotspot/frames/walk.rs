//! From frame to frame.

use std::sync::Arc;

use super::{
    Entry, Frame, FrameKind, MAX_FRAMES, Method, Place, Registers, Saved, Stack, Trust, Walker,
};
use crate::hotspot::barrier::Colour;
use crate::hotspot::code::{Blob, BlobKind, Nmethod, debug_info};
use crate::hotspot::unexported::ZERO_FP_AFTER_PC;

/// A frame as the CPU has it.
#[derive(Debug, Clone)]
pub(super) struct CpuFrame {
    /// The stack pointer that its code counts from (`unextended_sp`).
    pub sp: u64,
    /// The frame pointer.
    pub fp: u64,
    /// Where it goes on.
    pub pc: u64,
    /// How it was found.
    pub trust: Trust,
    /// The registers as its callees left them.
    pub registers: Registers,
}

/// The address that a frame's word means: in the chunk of a continuation, and in newer VMs on the
/// stack too, some count in words from the frame.
pub(super) fn relative(from: u64, word: u64) -> u64 {
    match (word as i64).unsigned_abs() < 1 << 20 && word != 0 {
        true => from.wrapping_add(word.wrapping_mul(8)),
        false => word,
    }
}

/// Memory that a stack lies in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub low: u64,
    pub high: u64,
    /// JavaThread*; 0 where it is the chunk of a continuation.
    pub thread: u64,
    /// The colour of what the thread refers to by no frame.
    pub colour: Option<Colour>,
}

/// What comes below a frame.
pub(super) enum Caller {
    Frame(CpuFrame),
    Bottom,
    Broken(String),
}

impl Caller {
    /// Of the frame at `fp` a word was not saved: that is no word of zero.
    pub(super) fn absent(fp: u64) -> Caller {
        Caller::Broken(format!("the frame at {fp:#x} is not in the core"))
    }
}

/// Why frames are missing that could be walked.
pub(super) const NO_ROOM: &str = "the threads have more frames than the core's memory can hold";

impl Walker<'_> {
    /// Walks from `raw` on. `top` says that it is where the thread was caught.
    pub(super) fn walk(&self, mut raw: CpuFrame, stack: Bounds, mut top: bool) -> Stack {
        let mut out = Stack::default();
        let mut called_by_vm = false;
        loop {
            if out.frames.len() >= MAX_FRAMES {
                out.broken = Some("the stack has no end".into());
                return out;
            }
            let first = out.frames.len();
            let next = self.step(&mut raw, top, stack, &mut out);
            if !self.frames.take((out.frames.len() - first).max(1) as u64) {
                out.frames.truncate(first);
                out.broken = Some(NO_ROOM.into());
                return out;
            }
            if let Some(frame) = out.frames.get_mut(first) {
                frame.called_by_vm = called_by_vm;
                called_by_vm = false;
            }
            called_by_vm |= out.wrappers.last().is_some_and(|w| w.0 == out.frames.len());
            match next {
                Caller::Bottom => return out,
                Caller::Broken(why) => {
                    out.broken = Some(why);
                    return out;
                }
                // The last frame of a chunk ends with it.
                Caller::Frame(next)
                    if stack.thread == 0 && next.sp.saturating_add(16) >= stack.high =>
                {
                    return out;
                }
                Caller::Frame(next) => {
                    if next.sp <= raw.sp || !(stack.low..=stack.high).contains(&next.sp) {
                        let sp = next.sp;
                        out.broken = Some(format!("the caller's stack pointer is {sp:#x}"));
                        return out;
                    }
                    raw = next;
                }
            }
            top = false;
        }
    }

    /// Adds the Java frames that `raw` stands for, and finds its caller.
    fn step(&self, raw: &mut CpuFrame, top: bool, stack: Bounds, out: &mut Stack) -> Caller {
        if self.is_zero() {
            return self.zero_step(raw, top, stack, out);
        }
        if self.code.is_interpreter(raw.pc) {
            return self.interpreted(raw, top, out);
        }
        if raw.pc == self.code.call_stub_return {
            return self.entry(raw, out);
        }
        let Some(blob) = self.code.find(raw.pc) else {
            return Caller::Broken(format!("{:#x} is in no code of the VM", raw.pc));
        };
        match blob.kind {
            BlobKind::Nmethod => self.compiled(raw, &blob, top, stack, out),
            BlobKind::Upcall => self.upcall(raw, &blob, out),
            BlobKind::Runtime if blob.frame_words > 1 && !top => {
                // What it saved are its caller's registers.
                self.update_registers(raw, &blob);
                match self.caller(raw, blob.frame_words) {
                    Caller::Frame(next) => {
                        Caller::Frame(CpuFrame { registers: raw.registers.clone(), ..next })
                    }
                    other => other,
                }
            }
            _ if top => self.out_of_stub(raw, &blob, stack),
            _ => match self.return_barrier(raw, stack, out) {
                Ok((entry, blob)) => {
                    *raw = entry;
                    self.compiled(raw, &blob, false, stack, out)
                }
                Err(why) => Caller::Broken(why),
            },
        }
    }

    /// `frame::sender_for_interpreter_frame`.
    fn interpreted(&self, raw: &CpuFrame, top: bool, out: &mut Stack) -> Caller {
        let Some(word) = self.slot(raw.fp, self.layout.method) else {
            return Caller::absent(raw.fp);
        };
        if word == 0 && self.slot(raw.fp, 1) == Some(0) {
            return Caller::Broken(format!(
                "its stack is zero at {:#x} (gdb's gcore loses what lies beside guard pages; rjcore \
                 capture does not)",
                raw.fp
            ));
        }
        let Some(method) = self.method(word) else {
            return Caller::Broken(format!(
                "the interpreter's frame at {:#x} has no method",
                raw.fp
            ));
        };
        let bci = self.interpreted_bci(raw, &method, top);
        // What the VM called for it has other parameters.
        let by_vm = out.wrappers.last().is_some_and(|w| w.0 == out.frames.len());
        let callee = out.frames.last().filter(|_| !by_vm);
        let arguments = callee.map_or(0, |f| f.method.parameters);
        out.frames.push(Frame {
            bci: bci.unwrap_or(0),
            trust: if bci.is_none() { raw.trust.max(Trust::Near) } else { raw.trust },
            method,
            kind: FrameKind::Interpreted,
            place: Place::Interpreted { fp: raw.fp, sp: raw.sp, arguments },
            in_continuation: false,
            enters_continuation: false,
            called_by_vm: false,
            colour: None,
            packed: None,
        });
        let words = (self.slot(raw.fp, self.layout.sender_sp), self.slot(raw.fp, 0));
        let (Some(sp), Some(fp)) = words else {
            return Caller::absent(raw.fp);
        };
        let Some(pc) = self.slot(raw.fp, 1) else {
            return Caller::absent(raw.fp);
        };
        let mut registers = Registers::default();
        self.save(&mut registers, raw.fp);
        let (sp, fp) = (relative(raw.fp, sp), relative(raw.fp, fp));
        Caller::Frame(CpuFrame { sp, fp, pc: self.cpu.strip(pc), trust: Trust::Exact, registers })
    }

    /// The bytecode that runs: in a register where the thread was caught in the interpreter.
    fn interpreted_bci(&self, raw: &CpuFrame, method: &Method, top: bool) -> Option<i32> {
        if method.is_native {
            return Some(0);
        }
        if top
            && let Some(Saved::Value(bcp)) = self.register_of(raw, self.layout.reg_bcp)
            && let Some(bci) = method.bci(bcp)
        {
            return Some(bci);
        }
        method.bci(self.slot(raw.fp, self.layout.bcp)?)
    }

    fn register_of(&self, raw: &CpuFrame, note_index: usize) -> Option<Saved> {
        let i = self.layout.general.iter().position(|g| *g == note_index)?;
        Some(raw.registers.get(i))
    }

    fn compiled(
        &self,
        raw: &mut CpuFrame,
        blob: &Blob,
        top: bool,
        stack: Bounds,
        out: &mut Stack,
    ) -> Caller {
        let Some(nm) = self.nmethod(blob) else {
            return Caller::Broken(format!("the nmethod at {:#x} cannot be read", blob.addr));
        };
        raw.pc = nm.original_pc(self.vm, raw.pc, raw.sp);
        let Some(method) = self.method(nm.method) else {
            return Caller::Broken(format!("the nmethod at {:#x} has no method", nm.addr));
        };
        if method.is_native {
            out.frames.push(self.native(raw, method));
        } else if let Err(why) = self.scopes(raw, &nm, method, top, out) {
            return Caller::Broken(why);
        }
        match top {
            true => self.caller_of_caught(raw, blob, stack),
            false => self.caller(raw, blob.frame_words),
        }
    }

    fn native(&self, raw: &CpuFrame, method: Arc<Method>) -> Frame {
        let vm = self.vm;
        let holder = vm.classes.get(method.holder).map_or("", |k| k.name.as_str());
        let enters_continuation = holder == "jdk/internal/vm/Continuation"
            && vm.reader().symbol_bytes(method.name) == Some(b"enterSpecial");
        Frame {
            method,
            bci: 0,
            kind: FrameKind::Native,
            trust: raw.trust,
            place: Place::Native { sp: raw.sp },
            in_continuation: false,
            enters_continuation,
            called_by_vm: false,
            colour: None,
            packed: None,
        }
    }

    /// The Java frames of a compiled one, the inlined ones first.
    fn scopes(
        &self,
        raw: &CpuFrame,
        nm: &Arc<Nmethod>,
        method: Arc<Method>,
        top: bool,
        out: &mut Stack,
    ) -> Result<(), String> {
        let exact = nm.pc_desc(self.vm, raw.pc);
        let desc = exact.or_else(|| nm.pc_desc_near(self.vm, raw.pc));
        let mut trust =
            if exact.is_some() && !top { raw.trust } else { raw.trust.max(Trust::Near) };
        if exact.is_none() && !top {
            trust = Trust::Guessed;
        }
        let kind = if nm.level == 4 { FrameKind::C2 } else { FrameKind::C1 };
        let scopes = desc.filter(|d| d.scope != 0);
        let scopes = scopes.and_then(|d| debug_info::scopes(self.vm, nm, d.scope));
        let Some(scopes) = scopes else {
            if exact.is_some() {
                return Err(format!("the scopes at {:#x} cannot be read", raw.pc));
            }
            // Behind the last place that is described: the method itself is known.
            out.frames.push(Frame {
                method,
                bci: 0,
                kind,
                trust: Trust::Guessed,
                place: Place::Native { sp: raw.sp },
                in_continuation: false,
                enters_continuation: false,
                called_by_vm: false,
                colour: None,
                packed: None,
            });
            return Ok(());
        };
        for scope in scopes {
            let method = match self.method(scope.method.addr) {
                Some(m) => m,
                None => Arc::new(scope.method.clone()),
            };
            out.frames.push(Frame {
                method,
                bci: scope.bci.max(0),
                kind,
                trust,
                place: Place::Compiled {
                    nmethod: nm.clone(),
                    scope,
                    sp: raw.sp,
                    registers: raw.registers.clone(),
                },
                in_continuation: false,
                enters_continuation: false,
                called_by_vm: false,
                colour: None,
                packed: None,
            });
        }
        Ok(())
    }

    /// `frame::sender_for_compiled_frame`: the caller of a frame of so many words.
    pub(super) fn caller(&self, raw: &CpuFrame, words: u64) -> Caller {
        if words < 1 {
            return Caller::Broken(format!("the code at {:#x} has no frame", raw.pc));
        }
        self.above(raw.sp.wrapping_add(words * 8), Trust::Exact)
    }

    /// The frame whose stack pointer, once its callee has returned, is `sp`.
    pub(super) fn above(&self, sp: u64, trust: Trust) -> Caller {
        let words = (self.word(sp.wrapping_sub(8)), self.word(sp.wrapping_sub(16)));
        let (Some(pc), Some(fp)) = words else {
            return Caller::Broken(format!("the stack at {sp:#x} is not in the core"));
        };
        let fp = relative(sp.wrapping_sub(16), fp);
        let mut registers = Registers::default();
        self.save(&mut registers, sp.wrapping_sub(16));
        Caller::Frame(CpuFrame { sp, fp, pc: self.cpu.strip(pc), trust, registers })
    }

    /// Notes where a frame pointer was saved, which may hold a value of a compiled caller.
    pub(super) fn save(&self, registers: &mut Registers, at: u64) {
        let fp = self.layout.general.iter().position(|g| *g == self.cpu.fp);
        if let Some(i) = fp {
            registers.set(i, Saved::At(at));
        }
    }

    /// `frame::sender_for_entry_frame`: the VM called Java; who called the VM is in the
    /// JavaCallWrapper.
    fn entry(&self, raw: &CpuFrame, out: &mut Stack) -> Caller {
        let Some(wrapper) = self.slot(raw.fp, self.layout.call_wrapper) else {
            return Caller::Broken(format!("the call stub's frame at {:#x} is not there", raw.fp));
        };
        out.wrappers.push((out.frames.len(), wrapper));
        out.callers_handles.extend(self.vm.wrapper_handles(wrapper));
        // The stub has a frame pointer.
        if let (Some(fp), Some(pc)) = (self.slot(raw.fp, 0), self.slot(raw.fp, 1)) {
            let saved = self.layout.call_stub_saved.iter();
            let saved = saved.filter_map(|(i, at)| Some((*i, self.slot(raw.fp, *at)?))).collect();
            let (before, sp) = (out.frames.len(), raw.fp.wrapping_add(16));
            out.entries.push(Entry { before, pc: self.cpu.strip(pc), sp, fp, saved });
        }
        match self.vm.fields.call_wrapper_anchor.opt() {
            Some(anchor) => self.anchor(wrapper.wrapping_add(anchor)),
            None => Caller::Broken("this VM has no JavaCallWrapper::_anchor".into()),
        }
    }

    /// Native code called Java through a stub of its own (Panama).
    fn upcall(&self, raw: &CpuFrame, blob: &Blob, out: &mut Stack) -> Caller {
        let f = &self.vm.fields;
        let offset = f.upcall_frame_data.opt().and_then(|o| self.vm.mem.i32(blob.addr + o).ok());
        let (Some(offset), Some(anchor)) = (offset, f.upcall_anchor.opt()) else {
            return Caller::Broken("native code called Java through an upcall stub".into());
        };
        let data = raw.sp.wrapping_add_signed(i64::from(offset));
        out.wrappers.push((out.frames.len(), 0));
        out.callers_handles.extend(self.vm.upcall_handles(data));
        if let Caller::Frame(CpuFrame { sp, fp, pc, .. }) = self.caller(raw, blob.frame_words) {
            let (before, saved) = (out.frames.len(), Vec::new());
            out.entries.push(Entry { before, pc, sp, fp, saved });
        }
        self.anchor(data.wrapping_add(anchor))
    }

    /// The frame that a JavaFrameAnchor names: the bottom where it names none.
    pub(super) fn anchor(&self, anchor: u64) -> Caller {
        let f = &self.vm.fields;
        let field = |o: Option<u64>| o.and_then(|o| self.word(anchor.wrapping_add(o)));
        let (Some(sp), Some(pc)) = (field(f.anchor_sp.opt()), field(f.anchor_pc.opt())) else {
            return Caller::Broken(format!("the anchor at {anchor:#x} is not in the core"));
        };
        if sp == 0 {
            return Caller::Bottom;
        }
        if self.is_zero() {
            let fp = field(f.anchor_pc.opt().map(|pc| pc.wrapping_add(ZERO_FP_AFTER_PC)));
            return self.zero_frame(fp.unwrap_or(0), Trust::Exact);
        }
        let fp = field(f.anchor_fp.opt()).unwrap_or(0);
        // The pc is what the last call pushed, where nobody noted it.
        let pc = if pc == 0 { self.word(sp.wrapping_sub(8)).unwrap_or(0) } else { pc };
        let registers = Registers::default();
        Caller::Frame(CpuFrame { sp, fp, pc: self.cpu.strip(pc), trust: Trust::Exact, registers })
    }
}

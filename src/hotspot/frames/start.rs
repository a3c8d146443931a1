//! Where the walk of a thread starts, and how it gets out of code that was caught in between.
//!
//! A thread that left Java code (into the VM, native code, a wait) wrote down its last Java frame before: its
//! *anchor* (`JavaThread::_anchor`), and the walk starts there. A thread that was running Java code when the core was
//! taken has an empty anchor, and the walk starts at its registers. These may stand anywhere: in a method's prologue or
//! epilogue, where its frame is half made, or in a stub of the VM that has no frame of its own. So the innermost frame
//! is recognized by the instructions around the pc (`cpu::PartialFrame`), else the stack is searched for a return
//! address behind a call; a frame that was found by a search is `Trust::Guessed`.

use super::cpu::PartialFrame;
use super::walk::{Bounds, Caller, CpuFrame};
use super::{Place, Registers, Saved, Stack, Trust, Walker};
use crate::corefile::ThreadNote;
use crate::hotspot::code::{Blob, BlobKind};
use crate::hotspot::states::VmState;
use crate::hotspot::threads::{self, JavaThread};

/// Words that a search for a return address looks at: 512 KB of native frames.
const MAX_SEARCH: u64 = 1 << 16;
/// Words that compiled code may have pushed beyond its frame.
const MAX_PUSHED: u64 = 64;

impl Walker<'_> {
    /// The Java frames of a thread.
    pub(crate) fn thread(&self, t: &JavaThread) -> Stack {
        self.thread_from(t, None)
    }

    /// Where a thread's stack lies.
    pub(super) fn bounds(&self, t: &JavaThread) -> Bounds {
        let stack = threads::stack(self.vm.mem, &self.vm.fields, t.addr).unwrap_or_default();
        Bounds { low: stack.start, high: stack.end, thread: t.addr, colour: t.ages.head() }
    }

    /// The Java frames of a thread. `returned` is the frame in the VM's code to which the native
    /// ones that it was caught in return, where they were walked.
    pub(super) fn thread_from(&self, t: &JavaThread, returned: Option<CpuFrame>) -> Stack {
        let f = &self.vm.fields;
        let bounds = self.bounds(t);
        let broken = |why: String| Stack { broken: Some(why), ..Stack::default() };
        let Some(anchor) = f.thread_anchor.opt() else {
            return broken("this VM has no JavaThread::_anchor".into());
        };
        let mut stack = match self.anchor(t.addr.wrapping_add(anchor)) {
            Caller::Frame(raw) => self.walk(raw, bounds, false),
            Caller::Broken(why) => broken(why),
            Caller::Bottom if !self.runs_java(t) => Stack::default(),
            Caller::Bottom if self.is_zero() => match self.zero_caught(bounds) {
                Caller::Frame(raw) => self.walk(raw, bounds, true),
                Caller::Broken(why) => broken(why),
                Caller::Bottom => Stack::default(),
            },
            Caller::Bottom => match (self.note(t, bounds), returned) {
                (Some(note), None) => self.caught(note, bounds),
                (Some(note), Some(raw)) => {
                    let stack = self.walk(raw, bounds, true);
                    if stack.broken.is_some() { self.caught(note, bounds) } else { stack }
                }
                (None, _) => {
                    broken("it ran Java code, and its registers are not in the core".into())
                }
            },
        };
        self.colour(t, &mut stack);
        self.split(t, &mut stack);
        stack
    }

    /// Notes how old the references in each frame are.
    fn colour(&self, t: &JavaThread, stack: &mut Stack) {
        let mut called_from = u64::MAX;
        for frame in &mut stack.frames {
            let (sp, above) = match frame.place {
                // HotSpot's stack pointer of its caller: below what an adapter pushed there.
                Place::Interpreted { fp, sp, .. } => (sp, fp.saturating_add(16)),
                Place::Compiled { sp, .. } | Place::Native { sp } => (sp, u64::MAX),
            };
            frame.colour = t.ages.of_frame(sp.min(called_from));
            called_from = above;
        }
    }

    /// The stack pointer of a thread's last Java frame; 0 if it has none.
    pub(crate) fn last_sp(&self, t: &JavaThread, stack: &Stack) -> u64 {
        let f = &self.vm.fields;
        let anchor = f.thread_anchor.opt().zip(f.anchor_sp.opt());
        let sp = anchor.and_then(|(a, sp)| self.word(t.addr.wrapping_add(a).wrapping_add(sp)));
        match (sp.unwrap_or(0), stack.frames.first().map(|f| &f.place)) {
            (0, Some(Place::Interpreted { sp, .. }))
            | (0, Some(Place::Compiled { sp, .. } | Place::Native { sp })) => *sp,
            (sp, _) => sp,
        }
    }

    /// Whether the thread is in Java code, as far as it says: then the anchor is empty.
    pub(crate) fn runs_java(&self, t: &JavaThread) -> bool {
        matches!(self.vm.vm_state(t), Some(VmState::InJava | VmState::InJavaTrans))
    }

    /// The registers of a thread: those whose stack pointer is in its stack, or else those with its
    /// id, which may be that of another namespace.
    pub(super) fn note(&self, t: &JavaThread, bounds: Bounds) -> Option<&ThreadNote> {
        let notes = &self.vm.notes;
        let by_id = || notes.with_id(t.tid as i32).filter(|_| t.tid != 0);
        notes.within(bounds.low, bounds.high).next().or_else(by_id)
    }

    /// From registers.
    fn caught(&self, note: &ThreadNote, bounds: Bounds) -> Stack {
        let raw = self.raw(&note.registers().1);
        if self.code.contains(raw.pc) {
            return self.walk(raw, bounds, true);
        }
        if let Some(words) = self.interrupted(raw.sp, bounds) {
            return self.walk(self.raw(&words), bounds, true);
        }
        // A leaf of the VM or of libc: it returns to Java code somewhere above.
        match self.search(&raw, bounds) {
            Caller::Frame(found) => self.walk(found, bounds, false),
            _ => Stack {
                broken: Some(format!("no Java frame was found above {:#x}", raw.pc)),
                ..Stack::default()
            },
        }
    }

    /// A frame by registers in the order of NT_PRSTATUS.
    fn raw(&self, words: &[u64]) -> CpuFrame {
        let reg = |i: usize| words.get(i).copied().unwrap_or(0);
        let mut registers = Registers::default();
        for (i, index) in self.layout.general.iter().enumerate() {
            registers.set(i, Saved::Value(reg(*index)));
        }
        let (sp, fp, pc) = (reg(self.cpu.sp), reg(self.cpu.fp), reg(self.cpu.pc));
        CpuFrame { sp, fp, pc, trust: Trust::Near, registers }
    }

    /// Whether a frame may return to `pc`, whose stack pointer is then `sp`.
    fn returns_to(&self, pc: u64, sp: u64) -> bool {
        if self.code.is_interpreter(pc) || pc == self.code.call_stub_return {
            return true;
        }
        let Some(blob) = self.code.find(pc) else { return false };
        match blob.kind {
            BlobKind::Nmethod => self.nmethod(&blob).is_some_and(|nm| {
                let pc = nm.original_pc(self.vm, pc, sp);
                nm.pc_desc(self.vm, pc).is_some()
                    || self.method(nm.method).is_some_and(|m| m.is_native)
            }),
            BlobKind::Upcall => true,
            BlobKind::Runtime => false,
            BlobKind::Buffer => blob.name.contains("ontinuation"),
        }
    }

    /// Whether a stub or a leaf of the VM may return to `pc`: there compiled code says nothing of
    /// its frames. What called that code must say so instead.
    fn leaf_returns_to(&self, pc: u64, sp: u64) -> bool {
        if !self.code.contains(pc) || !self.is_call(pc) {
            return false;
        }
        let Some(blob) = self.code.find(pc).filter(|b| b.kind == BlobKind::Nmethod) else {
            return false;
        };
        let end = sp.wrapping_add(blob.frame_words.wrapping_mul(8));
        matches!(self.above(end, Trust::Exact), Caller::Frame(next) if self.returns_to(next.pc, next.sp))
    }

    /// The ways in which the caller of code without a complete frame may be found.
    fn on_top(&self, raw: &CpuFrame, leaf: bool) -> Option<CpuFrame> {
        let (sp, pc) = match self.cpu.link {
            // The link register still has it.
            Some(link) => match raw.registers.get(link) {
                Saved::Value(pc) => (raw.sp, pc),
                _ => return None,
            },
            None => (raw.sp.wrapping_add(8), self.word(raw.sp)?),
        };
        let raw = CpuFrame { sp, pc: self.cpu.strip(pc), trust: Trust::Exact, ..raw.clone() };
        let returns = self.returns_to(raw.pc, raw.sp) && self.fits(&raw);
        (returns || leaf && self.leaf_returns_to(raw.pc, raw.sp)).then_some(raw)
    }

    fn behind_frame_pointer(&self, raw: &CpuFrame, at: u64, leaf: bool) -> Option<CpuFrame> {
        match self.above(at.wrapping_add(16), Trust::Exact) {
            Caller::Frame(next) if next.sp > raw.sp => {
                let returns = self.returns_to(next.pc, next.sp) && self.fits(&next);
                (returns || leaf && self.leaf_returns_to(next.pc, next.sp)).then_some(next)
            }
            _ => None,
        }
    }

    /// The caller of a compiled frame that was caught anywhere in its code.
    pub(super) fn caller_of_caught(&self, raw: &CpuFrame, blob: &Blob, bounds: Bounds) -> Caller {
        let whole = || {
            self.behind_frame_pointer(
                raw,
                raw.sp.wrapping_add(blob.frame_words.wrapping_mul(8)).wrapping_sub(16),
                false,
            )
        };
        let early = raw.pc.wrapping_sub(blob.code_begin) < blob.frame_complete;
        let found = match (self.around(raw.pc), early) {
            (PartialFrame::ReturnOnTop, _) | (PartialFrame::Unknown, true) => self
                .on_top(raw, false)
                .or_else(|| self.behind_frame_pointer(raw, raw.sp, false))
                .or_else(whole),
            (PartialFrame::FramePointerOnTop, _) => self
                .behind_frame_pointer(raw, raw.sp, false)
                .or_else(|| self.on_top(raw, false))
                .or_else(whole),
            (PartialFrame::Unknown, false) => whole()
                .or_else(|| self.on_top(raw, false))
                .or_else(|| self.behind_frame_pointer(raw, raw.sp, false)),
        };
        // Code that uses the x87 pushes its operands: the frame ends a few words further up.
        let found = found.or_else(|| {
            let last = blob.frame_words.saturating_add(MAX_PUSHED);
            (0..last).find_map(|i| {
                self.behind_frame_pointer(raw, raw.sp.wrapping_add(i * 8), false)
                    .map(|next| CpuFrame { trust: Trust::Guessed, ..next })
            })
        });
        match found {
            Some(next) => Caller::Frame(next),
            None => match self.search(raw, bounds) {
                Caller::Frame(next) => Caller::Frame(next),
                _ => self.caller(raw, blob.frame_words),
            },
        }
    }

    fn around(&self, pc: u64) -> PartialFrame {
        let Some(around) = self.layout.around else { return PartialFrame::Unknown };
        let n = self.vm.mem.contiguous(pc).min(16);
        self.vm.mem.slice(pc, n).map_or(PartialFrame::Unknown, around)
    }

    /// The caller of a stub that was caught anywhere in its code: most have a frame pointer or
    /// nothing on the stack.
    pub(super) fn out_of_stub(&self, raw: &CpuFrame, blob: &Blob, bounds: Bounds) -> Caller {
        let own = |raw: &CpuFrame| {
            let words = blob.frame_words;
            let at = raw.sp.wrapping_add(words.wrapping_mul(8)).wrapping_sub(16);
            (words > 1).then(|| self.behind_frame_pointer(raw, at, true)).flatten()
        };
        let by_pointer = |raw: &CpuFrame| {
            (bounds.low..bounds.high)
                .contains(&raw.fp)
                .then(|| self.behind_frame_pointer(raw, raw.fp, true))
                .flatten()
        };
        let found = self
            .on_top(raw, true)
            .or_else(|| own(raw))
            .or_else(|| self.behind_frame_pointer(raw, raw.sp, true))
            .or_else(|| by_pointer(raw));
        match found {
            Some(next) => Caller::Frame(next),
            None => self.search(raw, bounds),
        }
    }

    /// The first word on the stack that is a return address into Java code, whose own frame ends in
    /// another one.
    fn search(&self, raw: &CpuFrame, bounds: Bounds) -> Caller {
        let start = raw.sp.next_multiple_of(8);
        for i in 0..MAX_SEARCH {
            let at = start.wrapping_add(i * 8);
            if at >= bounds.high {
                break;
            }
            let Some(pc) = self.word(at).map(|pc| self.cpu.strip(pc)) else { break };
            if !self.code.contains(pc) || !self.is_call(pc) {
                continue;
            }
            let sp = at.wrapping_add(8);
            // Interpreted code keeps its frame pointer while it calls.
            if self.code.is_interpreter(pc) {
                let fp = [raw.fp, self.word(at.wrapping_sub(8)).unwrap_or(0)]
                    .into_iter()
                    .find(|fp| *fp > sp && self.has_method(*fp));
                if let Some(fp) = fp {
                    let registers = Registers::default();
                    return Caller::Frame(CpuFrame {
                        sp,
                        fp,
                        pc,
                        trust: Trust::Guessed,
                        registers,
                    });
                }
                continue;
            }
            if self.leaf_returns_to(pc, sp) {
                let registers = Registers::default();
                return Caller::Frame(CpuFrame {
                    sp,
                    fp: raw.fp,
                    pc,
                    trust: Trust::Guessed,
                    registers,
                });
            }
        }
        Caller::Broken(format!("no Java frame was found above {:#x}", raw.pc))
    }

    /// Interpreted code has a frame pointer that leads to its method.
    fn fits(&self, raw: &CpuFrame) -> bool {
        !self.code.is_interpreter(raw.pc) || self.has_method(raw.fp)
    }

    fn has_method(&self, fp: u64) -> bool {
        fp.is_multiple_of(8)
            && self.slot(fp, self.layout.method).is_some_and(|m| self.method(m).is_some())
    }

    fn is_call(&self, pc: u64) -> bool {
        let Some(follows_call) = self.layout.follows_call else { return true };
        let mut before = [0; 8];
        self.vm.mem.read_into(pc.wrapping_sub(8), &mut before).is_ok() && follows_call(&before)
    }
}

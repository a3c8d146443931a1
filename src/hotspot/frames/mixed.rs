//! Java frames and the native ones above, between and below them.

use super::walk::CpuFrame;
use super::{Entry, Registers, Saved, Stack, Trust, Walker};
use crate::error::Remark;
use crate::hotspot::threads::JavaThread;
use crate::native::{self, End, Run, Unwinder};

/// Native frames within a Java stack.
#[derive(Debug)]
pub(crate) struct NativeRun {
    /// The Java frames above them.
    pub before: usize,
    /// The frames, innermost first.
    pub frames: Vec<native::Frame>,
    /// Why they end before Java code or the bottom.
    pub broken: Option<Remark>,
}

impl NativeRun {
    /// A run that ends at the bottom or in the VM's code.
    fn new(before: usize, run: Run) -> NativeRun {
        let broken = match run.end {
            End::Broken(why) => Some(why),
            End::Bottom | End::Stopped(_) => None,
        };
        NativeRun { before, frames: run.frames, broken }
    }
}

impl Walker<'_> {
    /// A thread's Java frames, and its native ones.
    pub(crate) fn mixed(&self, t: &JavaThread, unwinder: &Unwinder) -> (Stack, Vec<NativeRun>) {
        let in_vm = |pc| self.code.contains(pc);
        let note = self.note(t, self.bounds(t));
        let top = note.map(|n| unwinder.walk(unwinder.caught(n), true, in_vm));
        let returned = top.as_ref().filter(|r| !r.frames.is_empty()).and_then(|run| {
            let End::Stopped(at) = &run.end else { return None };
            Some(self.returned(unwinder, at))
        });
        let stack = self.thread_from(t, returned);
        let first = match top {
            Some(run) => NativeRun::new(0, run),
            None => NativeRun {
                before: 0,
                frames: Vec::new(),
                broken: Some("the thread's registers are not in the core".into()),
            },
        };
        let below = stack.entries.iter().map(|e| {
            let Entry { before, pc, sp, fp, saved } = e;
            let from = unwinder.called(*pc, *sp, *fp, saved);
            NativeRun::new(*before, unwinder.walk(from, false, in_vm))
        });
        let mut runs = vec![first];
        runs.extend(below);
        runs.retain(|r| !r.frames.is_empty() || r.broken.is_some());
        (stack, runs)
    }

    /// The native frames of a thread that runs no Java: of its Thread's own, or of none.
    pub(crate) fn native_only(&self, tid: i32, unwinder: &Unwinder) -> NativeRun {
        let note = self.vm.notes.with_id(tid);
        let run =
            note.map(|n| unwinder.walk(unwinder.caught(n), true, |pc| self.code.contains(pc)));
        match run {
            Some(Run { frames, end: End::Stopped(at) }) => {
                let broken = Some(format!("{:#x} is in code of the VM", at.pc).into());
                NativeRun { before: 0, frames, broken }
            }
            Some(run) => NativeRun::new(0, run),
            None => NativeRun { before: 0, frames: Vec::new(), broken: None },
        }
    }

    /// A frame of the VM's code to which native code returns.
    fn returned(&self, unwinder: &Unwinder, at: &native::Registers) -> CpuFrame {
        let mut registers = Registers::default();
        for (note, value) in unwinder.known(at) {
            let general = self.layout.general.iter().position(|g| *g == note);
            // What it called has used the link register since.
            if let Some(i) = general.filter(|_| Some(note) != self.cpu.link) {
                registers.set(i, Saved::Value(value));
            }
        }
        let (sp, fp) = (at.sp, at.fp.unwrap_or(0));
        CpuFrame { sp, fp, pc: at.pc, trust: Trust::Near, registers }
    }
}

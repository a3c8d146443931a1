//! A borrowed thread's registers as ptrace shows them, and what the kernel and a system call make of them.
//!
//! Goes by the table of the CPU; knows nothing of why a thread is borrowed.

use crate::cpu::{Borrowing, Cpu, Facts, MAX_REGISTERS};

// What the kernel answers itself where a call is to be made again (linux/errno.h).
const ERESTARTSYS: i64 = -512;
const ERESTARTNOHAND: i64 = -514;
const ERESTART_RESTARTBLOCK: i64 = -516;

/// The CPUs on which threads can be borrowed, by their table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lender {
    /// The CPU.
    pub facts: &'static Facts,
    /// How it makes calls.
    pub borrowing: &'static Borrowing,
}

impl Lender {
    /// None where the table does not say how.
    pub(super) fn of(cpu: Option<Cpu>) -> Option<Lender> {
        let facts = cpu?.facts();
        Some(Lender { facts, borrowing: facts.borrowing.as_ref()? })
    }
}

/// `pr_reg` of NT_PRSTATUS.
#[derive(Debug, Clone, Copy)]
pub(super) struct Regs {
    words: [u64; MAX_REGISTERS],
    lender: Lender,
}

impl Regs {
    /// From the bytes of NT_PRSTATUS's regset; none of another size: a thread of 32-bit code.
    pub(super) fn parse(bytes: &[u8], lender: Lender) -> Option<Regs> {
        let (all, rest) = bytes.as_chunks::<8>();
        if all.len() != lender.facts.registers || !rest.is_empty() {
            return None;
        }
        let mut words = [0; MAX_REGISTERS];
        words.iter_mut().zip(all).for_each(|(r, w)| *r = u64::from_le_bytes(*w));
        Some(Regs { words, lender })
    }

    /// As NT_PRSTATUS has them.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let words = &self.words[..self.lender.facts.registers];
        words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// One of them, by its index.
    pub(super) fn get(&self, index: usize) -> u64 {
        self.words[index]
    }

    /// The result of a system call that just ended: the value or a negative errno.
    pub(super) fn result(&self) -> i64 {
        self.get(self.lender.borrowing.result) as i64
    }

    /// The stack pointer.
    pub(super) fn stack(&self) -> u64 {
        self.get(self.lender.facts.sp)
    }

    /// Whether the thread stands at the end of a system call of 64-bit code. Such a thread may
    /// be borrowed: no restartable sequence of it is cut, and the kernel restarts its call.
    pub(super) fn in_syscall(&self) -> bool {
        let Borrowing { user_code: (at, code), current, .. } = *self.lender.borrowing;
        self.get(at) == code && (0..1 << 20).contains(&(self.get(current) as i64))
    }

    /// Whether its call waits for a restart block (ERESTART_RESTARTBLOCK), which a sigreturn
    /// would void: the call would then return EINTR.
    pub(super) fn has_restart_block(&self) -> bool {
        self.in_syscall() && self.result() == ERESTART_RESTARTBLOCK
    }

    /// What the kernel makes of the registers before it returns to user code with no signal to
    /// handle (arch/x86/kernel/signal.c, `arch_do_signal_or_restart`).
    pub(super) fn restarted(&self) -> Regs {
        let mut r = *self;
        if self.in_syscall() {
            let b = self.lender.borrowing;
            let call = match self.result() {
                ERESTARTNOHAND..=ERESTARTSYS => Some(self.get(b.current)),
                ERESTART_RESTARTBLOCK => Some(b.calls.restart_syscall),
                _ => None,
            };
            if let Some(call) = call {
                let pc = self.lender.facts.pc;
                r.words[b.number] = call;
                r.words[pc] = r.words[pc].wrapping_sub(b.syscall_bytes);
            }
        }
        r
    }

    /// The same thread about to make a system call by the gadget at `syscall`, with its stack
    /// pointer at a rescue frame.
    pub(super) fn calling(&self, syscall: u64, frame: u64, call: u64, args: &[u64]) -> Regs {
        let (mut r, Lender { facts, borrowing: b }) = (*self, self.lender);
        r.words[b.number] = call;
        // No call to be restarted: the kernel must not touch what we set.
        r.words[b.current] = u64::MAX;
        r.words[facts.pc] = syscall;
        r.words[facts.sp] = frame;
        for (i, place) in b.arguments.into_iter().enumerate() {
            r.words[place] = args.get(i).copied().unwrap_or(0);
        }
        r
    }
}

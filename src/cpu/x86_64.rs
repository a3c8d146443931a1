//! x86-64. Registers are those of `user_regs_struct` (asm/user_64.h).

use super::{Borrowing, Calls, Facts, Relocations, SignalFrame, Waits};

/// Words of `user_regs_struct`.
pub(crate) const WORDS: usize = 27;
/// r15 to r12, one after the other.
pub(crate) const R15: usize = 0;
/// See [`R15`].
pub(crate) const R14: usize = 1;
/// See [`R15`].
pub(crate) const R13: usize = 2;
/// See [`R15`].
pub(crate) const R12: usize = 3;
/// rbp.
pub(crate) const RBP: usize = 4;
/// rbx.
pub(crate) const RBX: usize = 5;
/// r11 to r8, one after the other.
pub(crate) const R11: usize = 6;
/// See [`R11`].
pub(crate) const R10: usize = 7;
/// See [`R11`].
pub(crate) const R9: usize = 8;
/// See [`R11`].
pub(crate) const R8: usize = 9;
/// rax: a system call's number and its answer.
pub(crate) const RAX: usize = 10;
/// rcx.
pub(crate) const RCX: usize = 11;
/// rdx.
pub(crate) const RDX: usize = 12;
/// rsi.
pub(crate) const RSI: usize = 13;
/// rdi.
pub(crate) const RDI: usize = 14;
/// The number of the system call that the thread is in.
pub(crate) const ORIG_RAX: usize = 15;
/// rip.
pub(crate) const RIP: usize = 16;
/// cs.
pub(crate) const CS: usize = 17;
/// The flags.
pub(crate) const FLAGS: usize = 18;
/// rsp.
pub(crate) const RSP: usize = 19;
/// ss.
pub(crate) const SS: usize = 20;
const FS_BASE: usize = 21;

/// Type of the note with an XSAVE area.
pub(crate) const NT_X86_XSTATE: u32 = 0x202;
/// `cs` of 64-bit user code.
pub(crate) const USER_CS: u64 = 0x33;

/// `struct sigcontext_64` up to the program counter.
pub(crate) const SIGCONTEXT: [usize; 17] =
    [R8, R9, R10, R11, R12, R13, R14, R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP];

/// What is known of it.
pub(crate) const FACTS: Facts = Facts {
    name: "x86-64",
    machine: 62,
    relocations: Relocations { relative: 8, symbol: [1, 6] },
    page_sizes: &[4096],
    registers: WORDS,
    sp: RSP,
    fp: RBP,
    pc: RIP,
    link: None,
    thread_pointer: Some(FS_BASE),
    dwarf: &[RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15],
    dwarf_sp: 7,
    dwarf_fp: 6,
    address_bits: 64,
    extended_state: Some(NT_X86_XSTATE),
    signal_frame: Some(SignalFrame {
        registers: &SIGCONTEXT,
        flags_set: 2,
        flags_known: 0x3f_ffff,
        code_segment: USER_CS,
    }),
    waits: Waits { sleep: [35, 230], futex: 202, accept: [43, 288] },
    borrowing: Some(BORROWING),
};

/// How a thread is made to do a system call (arch/x86/entry/entry_64.S; uapi/asm/unistd_64.h).
pub(crate) const BORROWING: Borrowing = Borrowing {
    // `syscall; ret`
    syscall: &[0x0f, 0x05, 0xc3],
    syscall_bytes: 2,
    // `mov $15, %rax; syscall`
    restorer: &[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05],
    number: RAX,
    result: RAX,
    arguments: [RDI, RSI, RDX, R10, R8, R9],
    current: ORIG_RAX,
    user_code: (CS, USER_CS),
    red_zone: 128,
    calls: Calls {
        close: 3,
        clone: 56,
        close_range: 436,
        exit_group: 231,
        restart_syscall: 219,
        userfaultfd: 323,
        wait4: 61,
    },
};

//! 64-bit Arm. Registers are those of `user_pt_regs` (asm/ptrace.h): x0 to x30, sp, pc, pstate.

use super::{Facts, Relocations, Waits};

/// x0 to x30 and sp: DWARF has the same numbers.
const GENERAL: [usize; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31,
];

/// What is known of it.
pub(super) const FACTS: Facts = Facts {
    name: "aarch64",
    machine: 183,
    relocations: Relocations { relative: 1027, symbol: [257, 1025] },
    page_sizes: &[4096, 16384, 65536],
    registers: 34,
    sp: 31,
    fp: 29,
    pc: 32,
    link: Some(30),
    // tpidr_el0 has a note of its own.
    thread_pointer: None,
    dwarf: &GENERAL,
    dwarf_sp: 31,
    dwarf_fp: 29,
    address_bits: 48,
    extended_state: None,
    signal_frame: None,
    waits: Waits { sleep: [101, 115], futex: 98, accept: [202, 242] },
    borrowing: None,
};

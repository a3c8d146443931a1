//! What a core says of the process and of its threads, by where it stands: linux/elfcore.h, on 64-bit CPUs.
//!
//! Bytes from the structure's start; times are seconds and microseconds, 8 bytes each.

/// `struct elf_prstatus`: a thread.
pub mod prstatus {
    /// `pr_info.si_signo`, 32 bits.
    pub const SIGNO: usize = 0;
    /// `pr_cursig`, 16 bits.
    pub const CURSIG: usize = 12;
    /// `pr_sigpend`.
    pub const SIGPEND: usize = 16;
    /// `pr_sighold`.
    pub const SIGHOLD: usize = 24;
    /// `pr_pid`, `pr_ppid`, `pr_pgrp`, `pr_sid`, 32 bits each.
    pub const PID: usize = 32;
    /// `pr_utime`, `pr_stime`, `pr_cutime`, `pr_cstime`.
    pub const UTIME: usize = 48;
    /// See [`UTIME`].
    pub const STIME: usize = 64;
    /// `pr_reg`, as long as the CPU has it. Then `pr_fpvalid`, 32 bits, and padding to 8 bytes.
    pub const REGISTERS: usize = 112;
}

/// `struct elf_prpsinfo`: the process.
pub mod prpsinfo {
    use std::ops::Range;

    /// `pr_state`, `pr_sname`, `pr_zomb`, `pr_nice`, a byte each.
    pub const STATE: usize = 0;
    /// `pr_flag`.
    pub const FLAG: usize = 8;
    /// `pr_uid`, `pr_gid`, 32 bits each.
    pub const UID: usize = 16;
    /// `pr_pid`, `pr_ppid`, `pr_pgrp`, `pr_sid`, 32 bits each.
    pub const PID: usize = 24;
    /// `pr_fname`.
    pub const NAME: Range<usize> = 40..56;
    /// `pr_psargs`.
    pub const ARGUMENTS: Range<usize> = 56..136;
}

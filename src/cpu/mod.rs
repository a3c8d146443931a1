//! What differs from CPU to CPU, and is no matter of HotSpot's: one table, with a line for each fact.
//!
//! A further CPU is one more name in [`Cpu`] and one more file beside those here. The compiler then lists what is to be
//! said of it: each field of [`Facts`], and each `match` on a [`Cpu`]. Nothing has a default. A core of a CPU that is not
//! here is refused as it is opened; capture and `doctor` on a machine with another one say what they cannot do.

mod aarch64;
pub(crate) mod x86_64;

use serde::{Serialize, Serializer};

/// A CPU that rjcore knows; JSON has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cpu {
    /// x86-64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

/// Asks the CPU that this runs on for what will be read soon: the first bytes of it. It may do nothing.
#[inline(always)]
#[allow(unsafe_code, reason = "a hint to the CPU")]
pub(crate) fn prefetch<T: ?Sized>(of: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it reads nothing that a program could see, and faults nowhere.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(of).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = of;
}

/// No CPU has more registers than these in NT_PRSTATUS, or among DWARF's numbers.
pub(crate) const MAX_REGISTERS: usize = 34;

/// What is to be known of a CPU. Registers are given by their index in `pr_reg` of NT_PRSTATUS.
#[derive(Debug)]
pub struct Facts {
    /// As people call it.
    pub name: &'static str,
    /// `e_machine` of its ELF files.
    pub machine: u16,
    /// Its relocations.
    pub relocations: Relocations,
    /// Bytes of a page as its kernels have them, the smallest first.
    pub page_sizes: &'static [u64],
    /// Words of `pr_reg`.
    pub registers: usize,
    /// The stack pointer.
    pub sp: usize,
    /// The frame pointer.
    pub fp: usize,
    /// The program counter.
    pub pc: usize,
    /// The register that holds the return address in a leaf; none where that is on the stack.
    pub link: Option<usize>,
    /// The thread pointer, where NT_PRSTATUS has it.
    pub thread_pointer: Option<usize>,
    /// The general registers by DWARF's number.
    pub dwarf: &'static [usize],
    /// DWARF's number of the stack pointer.
    pub dwarf_sp: usize,
    /// Of the frame pointer.
    pub dwarf_fp: usize,
    /// Bits of an address of code: those above may be a signature of the pointer.
    pub address_bits: u32,
    /// Type of the note with a thread's extended state, a regset of that number, where capture saves it.
    pub extended_state: Option<u32>,
    /// What the kernel leaves on the stack of a thread that handles a signal, where rjcore reads it. Without, the stack
    /// is searched.
    pub signal_frame: Option<SignalFrame>,
    /// The system calls by which a thread waits.
    pub waits: Waits,
    /// How a thread is made to do a system call for capture; without, no fork is possible.
    pub borrowing: Option<Borrowing>,
}

/// The dynamic relocations that libraries have for 64-bit addresses, by type.
#[derive(Debug)]
pub struct Relocations {
    /// The library's own base and an addend.
    pub relative: u32,
    /// A symbol and an addend: R_*_64 or ABS64, and GLOB_DAT.
    pub symbol: [u32; 2],
}

/// The registers that a signal took a thread from: `struct sigcontext` (asm/sigcontext.h).
#[derive(Debug)]
pub struct SignalFrame {
    /// Up to the program counter, which comes last but for what follows.
    pub registers: &'static [usize],
    /// Bits of the flags behind it that are always set.
    pub flags_set: u64,
    /// All bits that the flags have.
    pub flags_known: u64,
    /// The segment of user code, behind the flags.
    pub code_segment: u64,
}

/// System calls by number, as /proc/PID/syscall has them.
#[derive(Debug)]
pub struct Waits {
    /// nanosleep, clock_nanosleep.
    pub sleep: [u64; 2],
    /// futex.
    pub futex: u64,
    /// accept, accept4.
    pub accept: [u64; 2],
}

/// How a thread is made to do a system call, and what it must find untouched.
#[derive(Debug)]
pub struct Borrowing {
    /// A system call, and a return; every libc holds it.
    pub syscall: &'static [u8],
    /// Bytes of the system call alone: the kernel steps back by them where it makes a call again.
    pub syscall_bytes: u64,
    /// The signal restorer: rt_sigreturn; every libc holds it.
    pub restorer: &'static [u8],
    /// The register for a call's number.
    pub number: usize,
    /// The register with its answer: the value or a negative errno.
    pub result: usize,
    /// The registers for its arguments, in order.
    pub arguments: [usize; 6],
    /// Where the kernel says which call the thread is in; negative in none.
    pub current: usize,
    /// A register, and its value in 64-bit code.
    pub user_code: (usize, u64),
    /// Bytes below the stack pointer that belong to the function that runs.
    pub red_zone: u64,
    /// System calls by number.
    pub calls: Calls,
}

/// The system calls that capture has a thread do, or that the kernel has it do.
#[derive(Debug)]
pub struct Calls {
    /// close(2).
    pub close: u64,
    /// clone(2).
    pub clone: u64,
    /// close_range(2).
    pub close_range: u64,
    /// exit_group(2).
    pub exit_group: u64,
    /// restart_syscall(2).
    pub restart_syscall: u64,
    /// userfaultfd(2).
    pub userfaultfd: u64,
    /// wait4(2).
    pub wait4: u64,
}

impl Cpu {
    /// That of this machine's own processes, if rjcore knows it.
    pub const HOST: Option<Cpu> = if cfg!(target_arch = "x86_64") {
        Some(Cpu::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Cpu::Aarch64)
    } else {
        None
    };

    /// What is known of it.
    pub const fn facts(self) -> &'static Facts {
        match self {
            Cpu::X86_64 => &x86_64::FACTS,
            Cpu::Aarch64 => &aarch64::FACTS,
        }
    }

    /// All of them, each leading to the next, so that none can be left out.
    pub fn all() -> impl Iterator<Item = Cpu> {
        std::iter::successors(Some(Cpu::X86_64), |cpu| match cpu {
            Cpu::X86_64 => Some(Cpu::Aarch64),
            Cpu::Aarch64 => None,
        })
    }

    /// The one with this `e_machine`.
    pub fn of_machine(machine: u16) -> Option<Cpu> {
        Cpu::all().find(|cpu| cpu.facts().machine == machine)
    }

    /// All names, for messages: `x86-64 and aarch64`.
    pub fn names() -> String {
        let names: Vec<&str> = Cpu::all().map(|cpu| cpu.facts().name).collect();
        names.join(" and ")
    }
}

impl Serialize for Cpu {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.facts().name)
    }
}

impl Facts {
    /// The address of a code pointer that may be signed.
    pub fn strip(&self, pc: u64) -> u64 {
        match self.address_bits {
            64.. => pc,
            bits => pc & ((1 << bits) - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_is_one() {
        for cpu in Cpu::all() {
            let f = cpu.facts();
            assert_eq!(Cpu::of_machine(f.machine), Some(cpu));
            let frame = f.signal_frame.iter().flat_map(|s| s.registers);
            let named = [f.sp, f.fp, f.pc].into_iter().chain(f.link).chain(f.thread_pointer);
            let borrowed = f.borrowing.iter().flat_map(|b| {
                assert!(b.syscall_bytes <= b.syscall.len() as u64, "{}", f.name);
                [b.number, b.result, b.current, b.user_code.0].into_iter().chain(b.arguments)
            });
            for index in named.chain(borrowed).chain(f.dwarf.iter().copied()).chain(frame.copied())
            {
                assert!(index < f.registers, "{}: {index}", f.name);
            }
            assert!(f.registers <= MAX_REGISTERS && f.dwarf.len() <= MAX_REGISTERS);
            assert_eq!((f.dwarf[f.dwarf_sp], f.dwarf[f.dwarf_fp]), (f.sp, f.fp), "{}", f.name);
            assert!(f.page_sizes.iter().all(|p| p.is_power_of_two()) && f.page_sizes.is_sorted());
            let last = f.signal_frame.as_ref().and_then(|s| s.registers.last());
            assert!(last.is_none_or(|last| *last == f.pc), "{}", f.name);
        }
        assert_eq!(Cpu::of_machine(243), None, "nobody has told of RISC-V");
        assert_eq!(Cpu::names(), "x86-64 and aarch64");
        assert_eq!(Cpu::Aarch64.facts().strip(0x12b4_7f12_3456_789c), 0x7f12_3456_789c);
        assert_eq!(Cpu::X86_64.facts().strip(u64::MAX), u64::MAX);
    }
}

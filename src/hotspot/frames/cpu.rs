//! What differs from CPU to CPU in HotSpot's frames (frame_x86.hpp, frame_aarch64.hpp). Offsets in
//! words from the frame pointer, unless told otherwise. All else is the same on both: a compiled
//! frame's last two words are the caller's frame pointer and the return address.

/// One CPU's interpreter frames and registers.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// `interpreter_frame_sender_sp_offset`.
    pub sender_sp: i64,
    /// `interpreter_frame_last_sp_offset`.
    pub last_sp: i64,
    /// `interpreter_frame_method_offset`.
    pub method: i64,
    /// `interpreter_frame_locals_offset`.
    pub locals: i64,
    /// `interpreter_frame_bcp_offset`.
    pub bcp: i64,
    /// `interpreter_frame_initial_sp_offset`: the monitors end there, and where they begin is in it.
    pub monitors: i64,
    /// `entry_frame_call_wrapper_offset`, where the tables lack it.
    pub call_wrapper: i64,
    /// Where the call stub keeps its caller's registers: by DWARF's number, in words. Of aarch64
    /// none: native frames there need the frame pointer only.
    pub call_stub_saved: &'static [(usize, i64)],
    /// `struct sigcontext` (asm/sigcontext.h) up to the program counter: each register's index in
    /// NT_PRSTATUS. Of aarch64 none: a thread in a signal handler is searched there.
    pub signal_saved: &'static [usize],
    /// Index in NT_PRSTATUS of the stack pointer.
    pub reg_sp: usize,
    /// Of the frame pointer.
    pub reg_fp: usize,
    /// Of the program counter.
    pub reg_pc: usize,
    /// Of the interpreter's bytecode pointer (interp_masm: r13; x22).
    pub reg_bcp: usize,
    /// Of the register that holds the return address in a leaf, if the CPU has one.
    pub reg_link: Option<usize>,
    /// Bits of an address: those above may be a signature of the pointer.
    pub address_bits: u32,
    /// The general registers by their number in VMReg, halved: index in NT_PRSTATUS.
    pub general: &'static [usize],
}

/// x86-64 from 9 on.
pub const X86_64: Cpu = Cpu {
    sender_sp: -1,
    last_sp: -2,
    method: -3,
    locals: -7,
    bcp: -8,
    monitors: -9,
    call_wrapper: -6,
    // stubGenerator_x86_64: rbx, r12 to r15.
    call_stub_saved: &[(3, -7), (12, -8), (13, -9), (14, -10), (15, -11)],
    // r8-r15 rdi rsi rbp rbx rdx rax rcx rsp rip.
    signal_saved: &[9, 8, 7, 6, 3, 2, 1, 0, 14, 13, 4, 5, 12, 10, 11, 19, 16],
    reg_sp: 19,
    reg_fp: 4,
    reg_pc: 16,
    reg_bcp: 2,
    reg_link: None,
    address_bits: 64,
    // rax rcx rdx rbx rsp rbp rsi rdi r8-r15 in user_regs_struct.
    general: &[10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0],
};

/// x86-64 in 8: without the slot that keeps a class alive.
pub const X86_64_8: Cpu = Cpu { locals: -6, bcp: -7, monitors: -8, ..X86_64 };

/// aarch64 from 9 on.
pub const AARCH64: Cpu = Cpu {
    sender_sp: -1,
    last_sp: -2,
    method: -3,
    locals: -8,
    bcp: -9,
    monitors: -10,
    call_wrapper: -8,
    call_stub_saved: &[],
    signal_saved: &[],
    reg_sp: 31,
    reg_fp: 29,
    reg_pc: 32,
    reg_bcp: 22,
    reg_link: Some(30),
    address_bits: 48,
    general: &[
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
        25, 26, 27, 28, 29, 30, 31,
    ],
};

/// aarch64 in 8.
pub const AARCH64_8: Cpu = Cpu { locals: -6, bcp: -7, monitors: -8, ..AARCH64 };

impl Cpu {
    /// The address of a code pointer that may be signed.
    pub fn strip(&self, pc: u64) -> u64 {
        match self.address_bits {
            64.. => pc,
            bits => pc & ((1 << bits) - 1),
        }
    }
}

/// What an instruction of x86-64 says of the frame around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// Nothing.
    Unknown,
    /// The return address is on top of the stack.
    ReturnOnTop,
    /// The caller's frame pointer is on top, then the return address.
    FramePointerOnTop,
}

/// Looks at the bytes from the pc on: a method's end is `add rsp; pop rbp; [poll]; ret`.
pub fn around(code: &[u8]) -> Around {
    match *code {
        [0xc3, ..] | [0xc2, ..] => Around::ReturnOnTop,
        [0x5d, ..] => Around::FramePointerOnTop,
        // The poll before a return: `cmp rsp, [r15 + x]; ja`, or until 15 `test eax, [r10]` or
        // `test eax, [rip + x]`, then `ret`.
        [0x49, 0x3b, 0x67, _, 0x0f, 0x87, ..] | [0x49, 0x3b, 0xa7, _, _, _, _, 0x0f, 0x87, ..] => {
            Around::ReturnOnTop
        }
        [0x0f, 0x87, _, _, _, _, 0xc3, ..] => Around::ReturnOnTop,
        [0x41, 0x85, 0x02, 0xc3, ..] | [0x85, 0x05, _, _, _, _, 0xc3, ..] => Around::ReturnOnTop,
        [0x4d, 0x8b, 0x57, _, 0x41, 0x85, 0x02, 0xc3, ..] => Around::ReturnOnTop,
        // C2 pops by `add rsp`, then nothing else comes: still a whole frame.
        _ => Around::Unknown,
    }
}

/// Whether the bytes before a return address are a call of x86-64.
pub fn follows_call(before: &[u8; 8]) -> bool {
    match *before {
        [.., 0xe8, _, _, _, _] => true,
        [.., 0xff, m] => m & 0xf8 == 0xd0 || m & 0xf8 == 0x10,
        _ => {
            matches!(before[5], 0xff if before[6] & 0x38 == 0x10)
                || matches!(before[2], 0xff if before[3] & 0x38 == 0x10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_methods_end_is_told_from_its_middle() {
        assert_eq!(around(&[0xc3]), Around::ReturnOnTop);
        assert_eq!(around(&[0x5d, 0xc3]), Around::FramePointerOnTop);
        assert_eq!(around(&[0x90, 0x90]), Around::Unknown);
        assert_eq!(around(&[]), Around::Unknown);
    }

    #[test]
    fn return_addresses_follow_calls() {
        assert!(follows_call(&[0, 0, 0, 0xe8, 1, 2, 3, 4]));
        assert!(follows_call(&[0, 0, 0, 0, 0, 0x41, 0xff, 0xd2]));
        assert!(!follows_call(&[0x90; 8]));
    }
}

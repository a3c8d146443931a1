//! What differs from CPU to CPU in HotSpot's frames (frame_x86.hpp, frame_aarch64.hpp). Offsets in
//! words from the frame pointer, unless told otherwise. All else is the same on both: a compiled
//! frame's last two words are the caller's frame pointer and the return address.

use crate::cpu::Cpu;
use crate::cpu::x86_64::{
    R8, R9, R10, R11, R12, R13, R14, R15, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP,
};

/// One CPU's interpreter frames, and what HotSpot does with its registers. Those are given by their index
/// in NT_PRSTATUS.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
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
    /// The interpreter's bytecode pointer (interp_masm: r13; x22).
    pub reg_bcp: usize,
    /// The general registers by their number in VMReg, halved.
    pub general: &'static [usize],
    /// What the code at a pc says of the frame around it; nothing can be told where that is none.
    pub around: Option<fn(&[u8]) -> PartialFrame>,
    /// Whether the bytes before a return address are a call; any may be where that is none.
    pub follows_call: Option<fn(&[u8; 8]) -> bool>,
}

/// x86-64 from 9 on.
const X86_64: Layout = Layout {
    sender_sp: -1,
    last_sp: -2,
    method: -3,
    locals: -7,
    bcp: -8,
    monitors: -9,
    call_wrapper: -6,
    // stubGenerator_x86_64: rbx, r12 to r15.
    call_stub_saved: &[(3, -7), (12, -8), (13, -9), (14, -10), (15, -11)],
    reg_bcp: R13,
    general: &[RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15],
    around: Some(around),
    follows_call: Some(follows_call),
};

/// aarch64 from 9 on.
const AARCH64: Layout = Layout {
    sender_sp: -1,
    last_sp: -2,
    method: -3,
    locals: -8,
    bcp: -9,
    monitors: -10,
    call_wrapper: -8,
    call_stub_saved: &[],
    reg_bcp: 22,
    // VMReg counts as DWARF does: x0 to x30, sp.
    general: Cpu::Aarch64.facts().dwarf,
    around: None,
    follows_call: None,
};

impl Layout {
    /// That of a CPU, with or without the slot that keeps the method's class alive.
    pub(super) fn of(cpu: Cpu, keeps_no_class: bool) -> Layout {
        let newer = match cpu {
            Cpu::X86_64 => X86_64,
            Cpu::Aarch64 => AARCH64,
        };
        match (cpu, keeps_no_class) {
            (_, false) => newer,
            (Cpu::X86_64 | Cpu::Aarch64, true) => {
                Layout { locals: -6, bcp: -7, monitors: -8, ..newer }
            }
        }
    }
}

/// What an instruction of x86-64 says of the frame around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartialFrame {
    /// Nothing.
    Unknown,
    /// The return address is on top of the stack.
    ReturnOnTop,
    /// The caller's frame pointer is on top, then the return address.
    FramePointerOnTop,
}

/// Looks at the bytes from the pc on: a method's end is `add rsp; pop rbp; [poll]; ret`.
fn around(code: &[u8]) -> PartialFrame {
    match *code {
        [0xc3, ..] | [0xc2, ..] => PartialFrame::ReturnOnTop,
        [0x5d, ..] => PartialFrame::FramePointerOnTop,
        // The poll before a return: `cmp rsp, [r15 + x]; ja`, or until 15 `test eax, [r10]` or
        // `test eax, [rip + x]`, then `ret`.
        [0x49, 0x3b, 0x67, _, 0x0f, 0x87, ..] | [0x49, 0x3b, 0xa7, _, _, _, _, 0x0f, 0x87, ..] => {
            PartialFrame::ReturnOnTop
        }
        [0x0f, 0x87, _, _, _, _, 0xc3, ..] => PartialFrame::ReturnOnTop,
        [0x41, 0x85, 0x02, 0xc3, ..] | [0x85, 0x05, _, _, _, _, 0xc3, ..] => {
            PartialFrame::ReturnOnTop
        }
        [0x4d, 0x8b, 0x57, _, 0x41, 0x85, 0x02, 0xc3, ..] => PartialFrame::ReturnOnTop,
        // C2 pops by `add rsp`, then nothing else comes: still a whole frame.
        _ => PartialFrame::Unknown,
    }
}

/// Whether the bytes before a return address are a call of x86-64.
fn follows_call(before: &[u8; 8]) -> bool {
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
        assert_eq!(around(&[0xc3]), PartialFrame::ReturnOnTop);
        assert_eq!(around(&[0x5d, 0xc3]), PartialFrame::FramePointerOnTop);
        assert_eq!(around(&[0x90, 0x90]), PartialFrame::Unknown);
        assert_eq!(around(&[]), PartialFrame::Unknown);
    }

    #[test]
    fn return_addresses_follow_calls() {
        assert!(follows_call(&[0, 0, 0, 0xe8, 1, 2, 3, 4]));
        assert!(follows_call(&[0, 0, 0, 0, 0, 0x41, 0xff, 0xd2]));
        assert!(!follows_call(&[0x90; 8]));
    }
}

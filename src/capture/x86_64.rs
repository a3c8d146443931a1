//! x86-64: the stack that gives a borrowed thread back to itself, and the extended state that lies on it.
//!
//! Knows the kernel's signal frame (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h);
//! knows nothing of why a thread is borrowed.

use super::registers::Regs;
use super::rescue::{ORPHAN_EXIT, Rescue};
use crate::cpu::x86_64::{BORROWING, CS, FLAGS, SIGCONTEXT, SS};

/// `struct rt_sigframe` up to its siginfo, which sigreturn does not read: the return address
/// and `struct ucontext`.
const FRAME: usize = 8 + 304;
/// Room for a frame, padded to keep what follows it aligned.
const FRAME_ROOM: u64 = 384;
/// Where an XSAVE area has the bytes that the CPU leaves to software.
const SOFTWARE: usize = 464;
/// Largest XSAVE area that is looked at (AMX has 11 KB).
pub(super) const MAX_XSTATE: usize = 64 << 10;

/// For a thread with these registers, this signal mask, and this XSAVE area as ptrace
/// answers it; `syscall` and `restorer` are the addresses of the two gadgets.
pub(super) fn rescue(regs: &Regs, mask: u64, xstate: &[u8], syscall: u64, restorer: u64) -> Rescue {
    let state = signal_xstate(xstate);
    let room = 2 * FRAME_ROOM + (state.len() as u64).next_multiple_of(64);
    // The XSAVE area must be aligned to 64; what is below the red zone is nobody's.
    let at = regs.stack().wrapping_sub(BORROWING.red_zone + room) & !63;
    let state_at = at.wrapping_add(2 * FRAME_ROOM);
    let (frame, child_frame) = (at, at.wrapping_add(FRAME_ROOM));
    let fpstate = if state.is_empty() { 0 } else { state_at };
    let mut bytes = vec![0; room as usize];
    let own = frame_bytes(&regs.restarted(), mask, fpstate, restorer);
    bytes[..FRAME].copy_from_slice(&own);
    let exit = regs.calling(syscall, child_frame, BORROWING.calls.exit_group, &[ORPHAN_EXIT]);
    let child = frame_bytes(&exit, u64::MAX, 0, restorer);
    bytes[FRAME_ROOM as usize..][..FRAME].copy_from_slice(&child);
    bytes[2 * FRAME_ROOM as usize..][..state.len()].copy_from_slice(&state);
    Rescue { at, bytes, frame, child_frame }
}

/// `struct rt_sigframe`: the return address and `struct ucontext`.
fn frame_bytes(regs: &Regs, mask: u64, fpstate: u64, restorer: u64) -> [u8; FRAME] {
    // UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS.
    const UC_FLAGS: u64 = 7;
    // No mode of sigaltstack(2): the kernel refuses it and leaves the alternate stack as it is.
    const NO_ALTSTACK: u64 = 0x7fff;
    let mut out = [0; FRAME];
    let mut put = |at: usize, value: u64| out[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0, restorer);
    put(8, UC_FLAGS);
    put(8 + 24, NO_ALTSTACK);
    let context = 8 + 40;
    for (i, word) in SIGCONTEXT.into_iter().chain([FLAGS]).enumerate() {
        put(context + i * 8, regs.get(word));
    }
    // cs, gs, fs, ss, each 16 bits; gs and fs are ignored.
    put(context + 144, regs.get(CS) & 0xffff | (regs.get(SS) & 0xffff) << 48);
    put(context + 184, fpstate);
    put(context + 256, mask);
    out
}

/// NT_FPREGSET, `user_i387_struct`, by the XSAVE area: its start, where ptrace leaves the bytes
/// zero that the CPU leaves to software. `None` where the area says that this part is not in use.
pub(super) fn legacy_state(xstate: &[u8]) -> Option<Vec<u8>> {
    const LEGACY: usize = 512;
    let used = u64::from_le_bytes(xstate.get(LEGACY..LEGACY + 8)?.try_into().ok()?);
    // x87 and SSE: where one is in its initial state, its bytes in the area are not ptrace's.
    if used & 3 != 3 {
        return None;
    }
    let mut out = xstate[..LEGACY].to_vec();
    out[SOFTWARE..].fill(0);
    Some(out)
}

/// The XSAVE area as a signal frame has it: ptrace's, with the kernel's marks at its end and in
/// the bytes that the CPU leaves to software (`struct _fpx_sw_bytes`).
fn signal_xstate(xstate: &[u8]) -> Vec<u8> {
    const MAGIC1: u32 = 0x4650_5853;
    const MAGIC2: u32 = 0x4650_5845;
    /// AMX's tiles, which a thread has only after it asked for them.
    const TILE_DATA: u64 = 1 << 18;
    if xstate.len() < 576 {
        return Vec::new();
    }
    let word: [u8; 8] = std::array::from_fn(|i| xstate[SOFTWARE + i]);
    let features = u64::from_le_bytes(word) & !TILE_DATA;
    let size = xsave_size(features).min(xstate.len());
    let mut out = xstate[..size].to_vec();
    let mut marks = Vec::with_capacity(48);
    marks.extend(MAGIC1.to_le_bytes());
    marks.extend((size as u32 + 4).to_le_bytes());
    marks.extend(features.to_le_bytes());
    marks.extend((size as u32).to_le_bytes());
    marks.resize(48, 0);
    out[SOFTWARE..SOFTWARE + 48].copy_from_slice(&marks);
    out.extend(MAGIC2.to_le_bytes());
    out
}

/// Bytes of an XSAVE area in standard form with these features (CPUID leaf 13).
#[cfg(target_arch = "x86_64")]
fn xsave_size(features: u64) -> usize {
    let ends = (2..63).filter(|i| features >> i & 1 != 0).map(|i| {
        let leaf = std::arch::x86_64::__cpuid_count(13, i);
        (leaf.eax + leaf.ebx) as usize
    });
    ends.max().unwrap_or(0).max(576)
}

/// Never asked for elsewhere.
#[cfg(not(target_arch = "x86_64"))]
fn xsave_size(_features: u64) -> usize {
    576
}

#[cfg(test)]
mod tests {
    use super::super::registers::Lender;
    use super::*;
    use crate::cpu::Cpu;
    use crate::cpu::x86_64::{ORIG_RAX, RAX, RIP, RSP, USER_CS};

    /// Registers that differ, but for those in `set`.
    fn regs(set: &[(usize, u64)]) -> Regs {
        let mut words: [u64; 27] = std::array::from_fn(|i| 100 + i as u64);
        let own = [(CS, USER_CS), (SS, 0x2b), (RSP, 0x7fff_0000_1238)];
        own.iter().chain(set).for_each(|(i, value)| words[*i] = *value);
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let lender = Lender::of(Some(Cpu::X86_64)).expect("a table");
        assert!(Regs::parse(&bytes[8..], lender).is_none(), "another size");
        let regs = Regs::parse(&bytes, lender).expect("registers");
        assert_eq!(regs.bytes(), bytes);
        regs
    }

    #[test]
    fn interrupted_calls_are_made_again() {
        let in_call = |result: i64| regs(&[(ORIG_RAX, 202), (RAX, result as u64), (RIP, 0x1002)]);
        let made_again = |r: Regs| (r.restarted().get(RAX), r.restarted().get(RIP));
        for result in [-512, -513, -514] {
            let r = in_call(result);
            assert!(r.in_syscall() && !r.has_restart_block());
            assert_eq!(made_again(r), (202, 0x1000));
        }
        let r = in_call(-516);
        assert!(r.has_restart_block());
        assert_eq!(made_again(r), (219, 0x1000));
        for result in [-4, -511, -515, -517] {
            let r = in_call(result);
            assert_eq!(r.restarted().bytes(), r.bytes());
        }
        // In user code there is no call.
        let r = regs(&[(ORIG_RAX, u64::MAX), (RAX, -512i64 as u64)]);
        assert!(!r.in_syscall());
        assert_eq!(r.restarted().bytes(), r.bytes());
    }

    /// By the system calls' convention for x86-64: rdi, rsi, rdx, r10, r8, r9; the number in rax.
    #[test]
    fn calls_have_their_arguments() {
        let r = regs(&[]).calling(0xaaa, 0xbbb, 56, &[1, 2, 3, 4, 5, 6]);
        let user_regs_struct = [14, 13, 12, 7, 9, 8, 10, 16, 19].map(|i| r.get(i));
        assert_eq!(user_regs_struct, [1, 2, 3, 4, 5, 6, 56, 0xaaa, 0xbbb]);
        assert_eq!(r.get(15), u64::MAX, "in no call");
        assert_eq!((r.get(0), r.get(4), r.get(18)), (100, 104, 118), "others stay");
    }

    #[test]
    fn the_rescue_lies_below_the_red_zone() {
        let (xstate, regs) = (vec![0; 2696], regs(&[]));
        let rescue = rescue(&regs, 5, &xstate, 0xaaa, 0xbbb);
        let end = rescue.at + rescue.bytes.len() as u64;
        assert!(end <= regs.stack() - 128, "{end:#x}");
        assert_eq!((rescue.at % 64, rescue.child_frame - rescue.frame), (0, FRAME_ROOM));
        let word = |at: u64| {
            let i = (at - rescue.at) as usize;
            u64::from_le_bytes(rescue.bytes[i..i + 8].try_into().expect("a word"))
        };
        // Offsets by hand from sigframe.h: pretcode, then ucontext with its mcontext at 40.
        assert_eq!(word(rescue.frame), 0xbbb);
        assert_eq!(word(rescue.frame + 48 + 120), regs.stack());
        assert_eq!(word(rescue.frame + 48 + 256), 5);
        assert_eq!(word(rescue.child_frame + 48 + 128), 0xaaa);
        assert_eq!(word(rescue.child_frame + 48 + 104), 231);
        assert_eq!(word(rescue.child_frame + 48 + 64), ORPHAN_EXIT);
        let state = word(rescue.frame + 48 + 184);
        assert_eq!((state % 64, word(state + 464) as u32), (0, 0x4650_5853));
    }
}

//! x86-64: registers as ptrace shows them, and the stack that gives a borrowed thread back to
//! itself.
//!
//! Knows the kernel's signal frame (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h);
//! knows nothing of why a thread is borrowed.

use crate::cpu::x86_64::{
    CS, FLAGS, ORIG_RAX, R8, R9, R10, RAX, RDI, RDX, RIP, RSI, RSP, SIGCONTEXT, SS, USER_CS, WORDS,
};

/// Where system calls take their arguments: rdi, rsi, rdx, r10, r8, r9.
const ARGUMENTS: [usize; 6] = [RDI, RSI, RDX, R10, R8, R9];

/// System calls by number.
pub mod nr {
    pub const CLOSE: u64 = 3;
    pub const CLONE: u64 = 56;
    pub const WAIT4: u64 = 61;
    pub const RESTART_SYSCALL: u64 = 219;
    pub const EXIT_GROUP: u64 = 231;
    pub const USERFAULTFD: u64 = 323;
    pub const CLOSE_RANGE: u64 = 436;
}

/// The exit code of a child that nobody took over. No other process without an exit signal ends
/// with it, so its zombie is known by it.
pub const ORPHAN_EXIT: u64 = 114;

/// The red zone below the stack pointer, which belongs to the function that runs.
const RED_ZONE: u64 = 128;
/// `struct rt_sigframe` up to its siginfo, which sigreturn does not read: the return address
/// and `struct ucontext`.
const FRAME: usize = 8 + 304;
/// Room for a frame, padded to keep what follows it aligned.
const FRAME_ROOM: u64 = 384;
/// Largest XSAVE area that is looked at (AMX has 11 KB).
pub const MAX_XSTATE: usize = 64 << 10;

/// `user_regs_struct`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regs(pub [u64; WORDS]);

impl Regs {
    /// From the bytes of NT_PRSTATUS.
    pub fn parse(bytes: &[u8]) -> Option<Regs> {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut regs = [0; WORDS];
        if words.len() != WORDS || !rest.is_empty() {
            return None;
        }
        regs.iter_mut().zip(words).for_each(|(r, w)| *r = u64::from_le_bytes(*w));
        Some(Regs(regs))
    }

    /// As NT_PRSTATUS has them.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// The result of a system call that just ended: the value or a negative errno.
    pub fn result(&self) -> i64 {
        self.0[RAX] as i64
    }

    /// The stack pointer.
    pub fn stack(&self) -> u64 {
        self.0[RSP]
    }

    /// Whether the thread stands at the end of a system call of 64-bit code. Such a thread may
    /// be borrowed: no restartable sequence of it is cut, and the kernel restarts its call.
    pub fn in_syscall(&self) -> bool {
        self.0[CS] == USER_CS && (0..1 << 20).contains(&(self.0[ORIG_RAX] as i64))
    }

    /// Whether its call waits for a restart block (ERESTART_RESTARTBLOCK), which a sigreturn
    /// would void: the call would then return EINTR.
    pub fn has_restart_block(&self) -> bool {
        self.in_syscall() && self.result() == -516
    }

    /// What the kernel makes of the registers before it returns to user code with no signal to
    /// handle (arch/x86/kernel/signal.c, `arch_do_signal_or_restart`).
    fn restarted(&self) -> Regs {
        let mut r = *self;
        if self.in_syscall() {
            // ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND; ERESTART_RESTARTBLOCK.
            let call = match self.result() {
                -514..=-512 => Some(self.0[ORIG_RAX]),
                -516 => Some(nr::RESTART_SYSCALL),
                _ => None,
            };
            if let Some(call) = call {
                r.0[RAX] = call;
                r.0[RIP] = r.0[RIP].wrapping_sub(2);
            }
        }
        r
    }

    /// The same thread about to make a system call by the gadget at `syscall`, with its stack
    /// pointer at a rescue frame.
    pub fn calling(&self, syscall: u64, frame: u64, call: u64, args: &[u64]) -> Regs {
        let mut r = *self;
        r.0[RAX] = call;
        // No call to be restarted: the kernel must not touch what we set.
        r.0[ORIG_RAX] = u64::MAX;
        r.0[RIP] = syscall;
        r.0[RSP] = frame;
        for (i, place) in ARGUMENTS.into_iter().enumerate() {
            r.0[place] = args.get(i).copied().unwrap_or(0);
        }
        r
    }
}

/// What lies on a borrowed thread's stack, below all that is its own.
///
/// If rjcore dies while the thread is borrowed, the kernel lets the thread run. It then ends its
/// system call, returns into the signal restorer, and that gives it back all its registers and
/// its signal mask: as if a signal handler had run. A child that it made meanwhile finds a frame
/// of its own, by which it exits.
#[derive(Debug)]
pub struct SignalFrames {
    /// Where `bytes` are to be written.
    pub at: u64,
    /// The frames and the XSAVE area.
    pub bytes: Vec<u8>,
    /// The stack pointer for the borrowed thread's calls.
    pub frame: u64,
    /// The stack pointer for its child.
    pub child_frame: u64,
}

impl SignalFrames {
    /// For a thread with these registers, this signal mask, and this XSAVE area as ptrace
    /// answers it; `syscall` and `restorer` are the addresses of the two gadgets.
    pub fn new(regs: &Regs, mask: u64, xstate: &[u8], syscall: u64, restorer: u64) -> SignalFrames {
        let state = signal_xstate(xstate);
        let room = 2 * FRAME_ROOM + (state.len() as u64).next_multiple_of(64);
        // The XSAVE area must be aligned to 64; what is below the red zone is nobody's.
        let at = regs.stack().wrapping_sub(RED_ZONE + room) & !63;
        let state_at = at.wrapping_add(2 * FRAME_ROOM);
        let (frame, child_frame) = (at, at.wrapping_add(FRAME_ROOM));
        let fpstate = if state.is_empty() { 0 } else { state_at };
        let mut bytes = vec![0; room as usize];
        let own = frame_bytes(&regs.restarted(), mask, fpstate, restorer);
        bytes[..FRAME].copy_from_slice(&own);
        let exit = regs.calling(syscall, child_frame, nr::EXIT_GROUP, &[ORPHAN_EXIT]);
        let child = frame_bytes(&exit, u64::MAX, 0, restorer);
        bytes[FRAME_ROOM as usize..][..FRAME].copy_from_slice(&child);
        bytes[2 * FRAME_ROOM as usize..][..state.len()].copy_from_slice(&state);
        SignalFrames { at, bytes, frame, child_frame }
    }
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
        put(context + i * 8, regs.0[word]);
    }
    // cs, gs, fs, ss, each 16 bits; gs and fs are ignored.
    put(context + 144, regs.0[CS] & 0xffff | (regs.0[SS] & 0xffff) << 48);
    put(context + 184, fpstate);
    put(context + 256, mask);
    out
}

/// NT_FPREGSET, `user_i387_struct`, by the XSAVE area: its start, where ptrace leaves the bytes
/// zero that the CPU leaves to software. `None` where the area says that this part is not in use.
pub fn legacy_state(xstate: &[u8]) -> Option<Vec<u8>> {
    const LEGACY: usize = 512;
    const SOFTWARE: usize = 464;
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
    const SOFTWARE: usize = 464;
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
    use super::*;

    fn regs() -> Regs {
        let mut r = Regs(std::array::from_fn(|i| 100 + i as u64));
        (r.0[CS], r.0[SS], r.0[RSP]) = (USER_CS, 0x2b, 0x7fff_0000_1238);
        r
    }

    #[test]
    fn interrupted_calls_are_made_again() {
        let mut r = regs();
        (r.0[ORIG_RAX], r.0[RAX], r.0[RIP]) = (202, -512i64 as u64, 0x1002);
        assert!(r.in_syscall() && !r.has_restart_block());
        assert_eq!((r.restarted().0[RAX], r.restarted().0[RIP]), (202, 0x1000));
        r.0[RAX] = -516i64 as u64;
        assert_eq!((r.restarted().0[RAX], r.restarted().0[RIP]), (219, 0x1000));
        r.0[RAX] = -4i64 as u64;
        assert_eq!(r.restarted(), r);
        // In user code there is no call.
        (r.0[ORIG_RAX], r.0[RAX]) = (u64::MAX, -512i64 as u64);
        assert!(!r.in_syscall());
        assert_eq!(r.restarted(), r);
    }

    #[test]
    fn the_rescue_lies_below_the_red_zone() {
        let xstate = vec![0; 2696];
        let rescue = SignalFrames::new(&regs(), 5, &xstate, 0xaaa, 0xbbb);
        let end = rescue.at + rescue.bytes.len() as u64;
        assert!(end <= regs().stack() - RED_ZONE, "{end:#x}");
        assert_eq!((rescue.at % 64, rescue.child_frame - rescue.frame), (0, FRAME_ROOM));
        let word = |at: u64| {
            let i = (at - rescue.at) as usize;
            u64::from_le_bytes(rescue.bytes[i..i + 8].try_into().expect("a word"))
        };
        // Offsets by hand from sigframe.h: pretcode, then ucontext with its mcontext at 40.
        assert_eq!(word(rescue.frame), 0xbbb);
        assert_eq!(word(rescue.frame + 48 + 120), regs().stack());
        assert_eq!(word(rescue.frame + 48 + 256), 5);
        assert_eq!(word(rescue.child_frame + 48 + 128), 0xaaa);
        assert_eq!(word(rescue.child_frame + 48 + 104), nr::EXIT_GROUP);
        assert_eq!(word(rescue.child_frame + 48 + 64), ORPHAN_EXIT);
        let state = word(rescue.frame + 48 + 184);
        assert_eq!((state % 64, word(state + 464) as u32), (0, 0x4650_5853));
    }
}

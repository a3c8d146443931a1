//! What a borrowed thread, and a child that it makes, come back by if rjcore dies meanwhile.

use super::registers::Regs;

/// The exit code of a child that nobody took over. No other process without an exit signal ends
/// with it, so its zombie is known by it.
pub(super) const ORPHAN_EXIT: u64 = 114;

/// What lies on a borrowed thread's stack, below all that is its own.
///
/// If rjcore dies while the thread is borrowed, the kernel lets the thread run. It then ends its
/// system call, returns into the signal restorer, and that gives it back all its registers and
/// its signal mask: as if a signal handler had run. A child that it made meanwhile finds a frame
/// of its own, by which it exits.
#[derive(Debug)]
pub(super) struct Rescue {
    /// Where `bytes` are to be written.
    pub at: u64,
    /// The frames and the XSAVE area.
    pub bytes: Vec<u8>,
    /// The stack pointer for the borrowed thread's calls.
    pub frame: u64,
    /// The stack pointer for its child.
    pub child_frame: u64,
}

/// Makes one: for a thread with these registers, this signal mask, and this extended state as ptrace answers it; then
/// the addresses of the two gadgets, the system call and the restorer.
pub(super) type MakeRescue = fn(&Regs, u64, &[u8], u64, u64) -> Rescue;

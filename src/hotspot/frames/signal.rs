//! A thread that a signal took out of Java code: HotSpot lets stacks overflow and null pointers be
//! met, and its handler runs on the thread's own stack. Where it came from is in the frame that
//! the kernel made for the handler.
//!
//! Knows that frame by its form, and nothing of the handler's own frames above it.

use super::Walker;
use super::walk::Bounds;
use crate::cpu::{MAX_REGISTERS, SignalFrame};

/// Words of a handler's own frames that are looked through.
const MAX_HANDLER: u64 = 1 << 14;

impl Walker<'_> {
    /// The registers of Java code that was interrupted, in the order of NT_PRSTATUS: by the first
    /// such frame from `sp` on.
    pub(super) fn interrupted(&self, sp: u64, bounds: Bounds) -> Option<[u64; MAX_REGISTERS]> {
        // The program counter is the last of them.
        let frame = self.cpu.signal_frame.as_ref()?;
        let last = frame.registers.len().checked_sub(1)? as u64;
        let start = sp.next_multiple_of(8);
        let end = bounds.high.min(start.saturating_add(MAX_HANDLER * 8));
        let mut at = start.saturating_add(last * 8);
        while at < end {
            if self.is_interrupted(frame, at, bounds) {
                let mut words = [0; MAX_REGISTERS];
                for (i, index) in (0..).zip(frame.registers) {
                    *words.get_mut(*index)? = self.word(at - (last - i) * 8)?;
                }
                return Some(words);
            }
            at += 8;
        }
        None
    }

    /// Whether the program counter is at `at`, in the midst of what the kernel saves: the stack pointer before
    /// it, the flags and the segments behind it.
    fn is_interrupted(&self, frame: &SignalFrame, at: u64, bounds: Bounds) -> bool {
        let word = |i: i64| self.word(at.wrapping_add_signed(i * 8)).unwrap_or(0);
        let (sp, flags) = (word(-1), word(1));
        self.code.contains(word(0))
            && (at..bounds.high).contains(&sp)
            && flags & frame.flags_set == frame.flags_set
            && flags & !frame.flags_known == 0
            && word(2) & 0xffff == frame.code_segment
    }
}

//! A thread that a signal took out of Java code: HotSpot lets stacks overflow and null pointers be
//! met, and its handler runs on the thread's own stack. Where it came from is in the frame that
//! the kernel made for the handler.
//!
//! Knows that of x86-64 only: elsewhere such a thread is walked by a search, or with native frames.

use super::Walker;
use super::walk::Bounds;
use crate::corefile::EM_AARCH64;

/// Words of a handler's own frames that are looked through.
const MAX_HANDLER: u64 = 1 << 14;
/// `struct sigcontext` (asm/sigcontext.h): by its order, each register's index in
/// `user_regs_struct`, up to rip.
const SAVED: [usize; 17] = [9, 8, 7, 6, 3, 2, 1, 0, 14, 13, 4, 5, 12, 10, 11, 19, 16];
const REGISTERS: usize = 27;
/// User code's segment, and the bit of the flags that is always set.
const CODE_SEGMENT: u64 = 0x33;
const FLAGS_FIXED: u64 = 2;
const FLAGS: u64 = 0x3f_ffff;

impl Walker<'_> {
    /// The registers of Java code that was interrupted: the first such frame from `sp` on.
    pub(super) fn interrupted(&self, sp: u64, bounds: Bounds) -> Option<[u64; REGISTERS]> {
        if self.vm.machine == EM_AARCH64 {
            return None;
        }
        let start = sp.next_multiple_of(8);
        let end = bounds.1.min(start.saturating_add(MAX_HANDLER * 8));
        let mut at = start.saturating_add((SAVED.len() as u64 - 1) * 8);
        while at < end {
            if self.is_interrupted(at, bounds) {
                let mut words = [0; REGISTERS];
                for (i, index) in (1..).zip(SAVED) {
                    words[index] = self.word(at - (SAVED.len() as u64 - i) * 8)?;
                }
                return Some(words);
            }
            at += 8;
        }
        None
    }

    /// Whether rip is at `at`, in the midst of what the kernel saves.
    fn is_interrupted(&self, at: u64, bounds: Bounds) -> bool {
        let word = |i: i64| self.word(at.wrapping_add_signed(i * 8)).unwrap_or(0);
        let (sp, flags) = (word(-1), word(1));
        self.code.contains(word(0))
            && (at..bounds.1).contains(&sp)
            && flags & FLAGS_FIXED != 0
            && flags & !FLAGS == 0
            && word(2) & 0xffff == CODE_SEGMENT
    }
}

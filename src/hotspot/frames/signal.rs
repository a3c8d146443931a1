//! A thread that a signal took out of Java code: HotSpot lets stacks overflow and null pointers be
//! met, and its handler runs on the thread's own stack. Where it came from is in the frame that
//! the kernel made for the handler.
//!
//! Knows that frame by its form, and nothing of the handler's own frames above it.

use super::Walker;
use super::walk::Bounds;

/// Words of a handler's own frames that are looked through.
const MAX_HANDLER: u64 = 1 << 14;
/// More than NT_PRSTATUS has of registers on any CPU whose signal frame is known.
const REGISTERS: usize = 27;
/// x86-64: the segment of user code, the bit of the flags that is always set, and all bits that
/// they have.
const CODE_SEGMENT: u64 = 0x33;
const FLAGS_FIXED: u64 = 2;
const FLAGS: u64 = 0x3f_ffff;

impl Walker<'_> {
    /// The registers of Java code that was interrupted, in the order of NT_PRSTATUS: by the first
    /// such frame from `sp` on.
    pub(super) fn interrupted(&self, sp: u64, bounds: Bounds) -> Option<[u64; REGISTERS]> {
        // The program counter is the last of them.
        let last = self.cpu.signal_saved.len().checked_sub(1)? as u64;
        let start = sp.next_multiple_of(8);
        let end = bounds.high.min(start.saturating_add(MAX_HANDLER * 8));
        let mut at = start.saturating_add(last * 8);
        while at < end {
            if self.is_interrupted(at, bounds) {
                let mut words = [0; REGISTERS];
                for (i, index) in (0..).zip(self.cpu.signal_saved) {
                    words[*index] = self.word(at - (last - i) * 8)?;
                }
                return Some(words);
            }
            at += 8;
        }
        None
    }

    /// Whether the program counter is at `at`, in the midst of what the kernel saves: rsp before
    /// it, the flags and the segments behind it.
    fn is_interrupted(&self, at: u64, bounds: Bounds) -> bool {
        let word = |i: i64| self.word(at.wrapping_add_signed(i * 8)).unwrap_or(0);
        let (sp, flags) = (word(-1), word(1));
        self.code.contains(word(0))
            && (at..bounds.high).contains(&sp)
            && flags & FLAGS_FIXED != 0
            && flags & !FLAGS == 0
            && word(2) & 0xffff == CODE_SEGMENT
    }
}

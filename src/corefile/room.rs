//! How many things the memory of a core has room for. Where each has a place of its own, a core that leads to more of them
//! names the same ones again and again.

use std::cell::Cell;

use super::memory::Memory;

/// Things that any core may have: a small one may be made of little more than stacks.
const LEAST: u64 = 1 << 16;

/// The things that may still be read.
#[derive(Debug)]
pub(crate) struct Room(Cell<u64>);

impl Room {
    /// For things that take this many bytes at least.
    pub(crate) fn of(mem: &Memory, bytes: u64) -> Room {
        Room(Cell::new(LEAST.saturating_add(mem.total() / bytes.max(1))))
    }

    /// Takes so many; false where there is no room for them, and none from then on.
    pub(crate) fn take(&self, count: u64) -> bool {
        let left = self.0.get().checked_sub(count);
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }

    /// Whether there is none left.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.get() == 0
    }

    /// Leaves so many.
    #[cfg(test)]
    pub(crate) fn leave(&self, count: u64) {
        self.0.set(count);
    }
}

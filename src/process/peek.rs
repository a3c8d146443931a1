//! A look into a process that runs on: how its memory is read, and who can tell whether this is a good moment.

use std::io;

/// Reads memory of the process; fewer bytes than asked for is an error.
pub(crate) type Peek<'a> = &'a dyn Fn(u64, &mut [u8]) -> io::Result<()>;

/// What knows where the process keeps whether it moves its objects about just now: a core of such
/// a moment is of less use.
pub(crate) trait Probe: Sync {
    /// Whether it does; `None` if that cannot be told.
    fn is_collecting(&self, read: Peek<'_>) -> Option<bool>;
}

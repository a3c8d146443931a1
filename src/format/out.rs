//! Where a core goes as it is written.

use std::io::{self, Write};

/// Where a core goes.
pub trait CoreOut: Write + Send {
    /// As many zeros, which take no room where that is possible.
    fn skip(&mut self, zeros: u64) -> io::Result<()>;

    /// Changes what was written at `at`. False where the output cannot.
    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<bool>;

    /// Forgets all that was written, for another start. False where the output cannot.
    fn restart(&mut self) -> io::Result<bool>;
}

//! Our own threads' priority.

use rustix::process::{getpriority_process, setpriority_process};

/// Our thread before all others, as long as it lives: the threads that are let go one after the
/// other would take the CPU from the one that lets go of the rest. Only root may.
#[derive(Debug)]
pub(super) struct HighPriority {
    /// The nice value before.
    before: i32,
}

impl HighPriority {
    /// None where it may not be.
    pub(super) fn new() -> Option<HighPriority> {
        let before = getpriority_process(None).ok()?;
        setpriority_process(None, -20).ok()?;
        Some(HighPriority { before })
    }
}

impl Drop for HighPriority {
    fn drop(&mut self) {
        let _ = setpriority_process(None, self.before);
    }
}

//! The format of a core file, which `capture` and `corefile` write and `corefile` reads.
//!
//! Knows ELF's structures, and the files that a reader needs; nothing of where the bytes come from, or go.

pub mod files;
pub mod front;
pub mod notes;
pub mod out;
pub mod process;
pub mod ranges;

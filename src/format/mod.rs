//! The format of a core file, which `capture` and `corefile` write and `corefile` reads.
//!
//! Knows ELF's structures, and the files that a reader needs; nothing of where the bytes come from, or go.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

pub mod files;
pub mod front;
pub mod memory_map;
pub mod notes;
pub mod out;
pub mod process;
pub mod ranges;

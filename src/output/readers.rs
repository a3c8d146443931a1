//! The outputs that read a core: each says itself what it reads.
//!
//! `trim` keeps what all of them read, and `check` asks whether all of them read the same without
//! the files beside a core. An output that is not in the list gets trimmed cores that it cannot
//! read: tests/quick/layers.rs finds it.

use super::reader::Reader;
use super::{histo, hprof, info, memory, retained, stack};

/// All of them.
pub const READERS: [Reader; 6] =
    [info::READER, hprof::READER, histo::READER, stack::READER, retained::READER, memory::READER];

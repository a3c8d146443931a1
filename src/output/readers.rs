//! The outputs that read a core: each says itself what it reads.
//!
//! `trim` keeps what all of them read, and `check` asks whether all of them read the same without
//! the files beside a core. An output that is not in the list gets trimmed cores that it cannot
//! read: tests/layers.rs finds it.

use super::hprof::DumpSummary;
use super::{histo, hprof, info, stack};
use crate::corefile::CoreFile;
use crate::error::Result;
use crate::heap::{Caught, Heap, Unread, WalkReport};

/// What there is to read.
pub struct Source<'a> {
    /// The core.
    pub core: &'a CoreFile,
    /// Its heap.
    pub heap: &'a Heap<'a>,
    /// Threads to read with.
    pub threads: usize,
}

/// How far a reader is: called with bytes of heap as they are done.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// What a reader that walks the whole heap met.
#[derive(Debug, Default)]
pub struct Walked {
    /// The walk's own report.
    pub walk: WalkReport,
    /// What besides objects could not be read.
    pub unread: Vec<Unread>,
    /// A garbage collection that was under way.
    pub caught: Option<Caught>,
}

/// What an output says of all but the heap's objects.
#[derive(Debug, Default)]
pub struct Facts {
    /// All of it, to compare: the same bytes of two cores mean that the output misses nothing in
    /// either.
    pub bytes: Vec<u8>,
    /// Of a dump, its summary so far.
    pub dump: Option<DumpSummary>,
}

/// An output as a reader of cores.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// Its module's name.
    pub name: &'static str,
    /// Reads all that the output reads but the heap's objects, in its fullest form.
    pub facts: fn(&Source<'_>) -> Result<Facts>,
    /// Reads all that the output reads of the heap's objects, and answers what it met; none where
    /// another reader reads all of that.
    pub objects: Option<fn(&Source<'_>, Progress<'_>) -> Result<Walked>>,
}

/// All of them.
pub const READERS: [Reader; 4] = [info::READER, hprof::READER, histo::READER, stack::READER];

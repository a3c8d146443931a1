//! An output as a reader of cores: what it reads of one, and what it says of that.

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
pub(crate) type Progress<'a> = &'a (dyn Fn(u64) + Sync);

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
    /// Of a dump, what it says of the metadata.
    pub metadata: Option<Metadata>,
}

/// What a dump says of all but the heap's objects.
#[derive(Debug, Default)]
pub struct Metadata {
    /// Classes, array classes included.
    pub classes: u64,
    /// Roots, but for those that only a walk finds.
    pub roots: u64,
    /// What could not be read.
    pub damaged: Vec<Unread>,
    /// Stacks of running threads that could not be walked to their bottom.
    pub running: Vec<Unread>,
}

/// An output as a reader of cores.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// Its module's name.
    pub name: &'static str,
    /// The command that asks it.
    pub command: &'static str,
    /// `trim` keeps what it reads only where that is asked for.
    pub on_request: bool,
    /// Reads all that the output reads but the heap's objects, in its fullest form.
    pub facts: fn(&Source<'_>) -> Result<Facts>,
    /// What it reads of the heap's objects.
    pub objects: Objects,
}

/// What a reader reads of the heap's objects.
#[derive(Debug, Clone, Copy)]
pub enum Objects {
    /// None, or no more than some that others read as well.
    Few,
    /// All that a dump reads, or less of each.
    AsDump,
    /// Reads all that the output reads, and answers what it met.
    Own(fn(&Source<'_>, Progress<'_>) -> Result<Walked>),
}

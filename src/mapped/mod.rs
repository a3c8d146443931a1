//! Files as memory, and what is said when their bytes go away while they are read.
//!
//! Who shortens a mapped file, or a disk that cannot read it, gets whoever reads it a SIGBUS. All files are mapped here,
//! so that the program can say which one it was, take its temporary files away, and end with an exit code
//! ([`end_on_lost_pages`]). A library's user has the signal as the system has it.
//!
//! Knows nothing of what is in the files.
#![allow(unsafe_code, reason = "files are mapped")]

mod lost;
mod notes;

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::{Advice, Mmap, MmapMut, MmapOptions};

pub(crate) use lost::{Doomed, doom, end_on_lost_pages, end_with};

/// A file's bytes, or memory that has none.
#[derive(Debug)]
pub struct Mapped {
    // Before the note on it: fields go in this order.
    map: Mmap,
    _note: Option<lost::Watched>,
}

impl Mapped {
    /// All of a file; `label` names it for people.
    pub(crate) fn file(label: &Path, file: &File) -> io::Result<Mapped> {
        Mapped::of(label, &MmapOptions::new(), file)
    }

    /// `len` bytes of it at `offset`, any one.
    pub(crate) fn part(label: &Path, file: &File, offset: u64, len: u64) -> io::Result<Mapped> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        Mapped::of(label, MmapOptions::new().offset(offset).len(len), file)
    }

    /// The file at a path, which must be a regular one.
    pub(crate) fn at(path: &Path) -> io::Result<Mapped> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Mapped::file(path, &file)
    }

    fn of(label: &Path, options: &MmapOptions, file: &File) -> io::Result<Mapped> {
        // SAFETY: a mapping is bytes that nobody changes. These are read-only and private to us, but their file may be
        // written to by others: then bytes change that were plain numbers when they were read, and are bounded wherever
        // they are used; none is a reference, a character or a truth value to Rust. Text is checked after it was
        // copied, but for what is borrowed as `str`, which is looked at again by nobody. Bytes that are cut off are a
        // SIGBUS, which ends the process.
        let map = unsafe { options.map(file) }?;
        let note = lost::watch(&map, label);
        Ok(Mapped { map, _note: Some(note) })
    }

    /// Has the kernel begin to read bytes from the disk. Advice: where it is not taken, the pages come when they are
    /// touched.
    pub(crate) fn will_need(&self, offset: usize, len: usize) {
        let _ = self.map.advise_range(Advice::WillNeed, offset, len);
    }
}

/// Looks at bytes that the system could not read: those of a mapped file whose pages are lost end the program with the
/// sentence that says so.
pub(crate) fn touch(bytes: &[u8]) {
    std::hint::black_box(bytes.iter().step_by(1 << 12).fold(0, |sum, b| sum ^ b));
    std::hint::black_box(bytes.last());
}

/// Memory of the process's own, written once.
impl TryFrom<MmapMut> for Mapped {
    type Error = io::Error;

    fn try_from(map: MmapMut) -> io::Result<Mapped> {
        Ok(Mapped { map: map.make_read_only()?, _note: None })
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

//! Small ELF files: the builder that the tests have.

#[path = "../../tests/synth/mod.rs"]
#[allow(unreachable_pub, reason = "it is a module of the tests, too")]
mod elf;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::corefile::CoreFile;
use crate::error::Result;

pub(super) use elf::{Core, R, RW, RX, libjvm};

/// A file of no name with these bytes.
pub(super) fn file(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().expect("a temporary file");
    file.write_all_at(bytes, 0).expect("a temporary file");
    file
}

/// A core of these bytes, opened.
pub(super) fn open(bytes: &[u8]) -> Result<CoreFile> {
    CoreFile::from_plain(Path::new("fuzzed"), file(bytes))
}

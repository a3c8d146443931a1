//! A sample core with its VM open, whose bytes change for the time of one input.
//!
//! The core lies in a file of no name, mapped and shared: what is written to the file is what is read.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::corefile::{CoreFile, OpenOptions};
use crate::hotspot::Vm;
use crate::unpack;

/// The sample cores.
pub(super) const NAMES: [&str; 5] =
    ["jdk25-serial", "jdk17-g1", "jdk25-g1", "jdk17-serial", "jdk17-g1-aarch64"];

/// One of them.
pub(super) struct Stage {
    pub core: &'static CoreFile,
    pub vm: &'static Vm<'static>,
    file: File,
}

/// Does `work` on the sample core of a number, any one.
pub(super) fn on<T>(number: u8, work: impl FnOnce(&Stage) -> T) -> T {
    static STAGES: [OnceLock<Mutex<Stage>>; NAMES.len()] = [const { OnceLock::new() }; NAMES.len()];
    let number = usize::from(number) % NAMES.len();
    let stage = STAGES[number].get_or_init(|| Mutex::new(Stage::open(NAMES[number])));
    work(&stage.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A sample core's plain file.
pub(super) fn plain(name: &str) -> File {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(format!("testdata/cores/{name}.core.zst"));
    let packed = File::open(&path).expect("a sample core");
    unpack::plain(&path, packed, OpenOptions::default().progress).expect("a sample core").file
}

impl Stage {
    fn open(name: &str) -> Stage {
        let file = plain(name);
        let mapped = file.try_clone().expect("a file");
        let core = CoreFile::from_plain(Path::new(name), mapped).expect("a sample core");
        // As long as the process.
        let core: &'static CoreFile = Box::leak(Box::new(core));
        let vm = Box::leak(Box::new(Vm::open(core).expect("a sample core's VM")));
        Stage { core, vm, file }
    }

    /// The same core, read anew.
    pub(super) fn again(&self) -> crate::error::Result<CoreFile> {
        CoreFile::from_plain(self.core.path(), self.file.try_clone().expect("a file"))
    }

    /// The bytes at an address, as many as are there.
    pub(super) fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let len = self.core.memory().contiguous(at).min(len as u64);
        self.core.memory().slice(at, len).unwrap_or_default().to_vec()
    }

    /// Does `work` while other bytes are at some addresses; those that the core does not hold are left out.
    pub(super) fn with<T>(&self, changes: &[(u64, &[u8])], work: impl FnOnce() -> T) -> T {
        let mut undo = Undo { file: &self.file, old: Vec::new() };
        for (at, new) in changes {
            let Some(there) = self.place(*at, new.len()) else { continue };
            let mut old = vec![0; (there.end - there.start) as usize];
            self.file.read_exact_at(&mut old, there.start).expect("the core's bytes");
            self.file.write_all_at(&new[..old.len()], there.start).expect("the core's bytes");
            undo.old.push((there.start, old));
        }
        let done = work();
        drop(undo);
        done
    }

    /// Where in the file so many bytes are, or the first of them.
    fn place(&self, at: u64, len: usize) -> Option<Range<u64>> {
        let behind = |s: &&crate::corefile::Segment| at >= s.start && at - s.start < s.filesz;
        let s = self.core.segments().iter().find(behind)?;
        let (from, left) = (s.offset + (at - s.start), s.filesz - (at - s.start));
        Some(from..from + left.min(len as u64))
    }
}

/// Puts the old bytes back, the last change first.
struct Undo<'f> {
    file: &'f File,
    old: Vec<(u64, Vec<u8>)>,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        for (at, old) in self.old.iter().rev() {
            self.file.write_all_at(old, *at).expect("the core's bytes");
        }
    }
}

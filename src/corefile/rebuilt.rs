//! Bytes that a core lost and no file has, laid under it once they were made anew.
//!
//! Knows how they are laid and taken away; what they are is the caller's matter.

use std::io::Write;
use std::sync::Arc;

use memmap2::MmapMut;

use super::CoreFile;
use crate::error::{Error, Result};
use crate::mapped::Mapped;

/// Bytes that the core lost and no file has, made anew of what is left.
#[derive(Debug, Clone, Default)]
pub struct RebuiltPages {
    /// What was lost, and what was made up for and how, in words.
    pub words: Vec<String>,
    /// What the lost bytes led to, where that was found and not where it was written.
    pub pointers: Vec<u64>,
    bytes: Vec<Arc<Mapped>>,
}

impl CoreFile {
    /// The bytes of the libjvm.so that the process ran, where it was found and proves to be the
    /// one: by its build-id or, where there is none, by all that the core has of its code.
    pub fn proven_libjvm(&self) -> Option<Arc<Mapped>> {
        let file = self.libjvm_file.as_ref()?;
        (file.proven || self.same_code(&file.map)).then(|| file.map.clone())
    }

    fn same_code(&self, file: &[u8]) -> bool {
        let mut compared = 0;
        let Some(libjvm) = self.libjvm() else { return false };
        let of_it = self.mappings.iter().filter(|m| m.path == libjvm.path);
        for m in of_it {
            let Some(segment) = self.segments.iter().find(|s| s.start == m.start) else { continue };
            if segment.flags & 2 != 0 || segment.filesz != segment.memsz {
                continue;
            }
            for (from, to) in self.memory.present(m.start, m.end) {
                let at = m.file_offset.wrapping_add(from - m.start) as usize;
                let bytes = file.get(at..at.saturating_add((to - from) as usize));
                if bytes.is_none() || self.memory.slice(from, to - from).ok() != bytes {
                    return false;
                }
                compared += to - from;
            }
        }
        // The headers alone are alike in many builds.
        compared > 1 << 20
    }

    /// Lays bytes where the core lost them. What is there wins.
    pub fn lay_rebuilt(&mut self, pieces: &[(u64, Vec<u8>)]) -> Result<()> {
        let size = pieces.iter().map(|p| p.1.len()).sum();
        if size == 0 {
            return Ok(());
        }
        let mut map = MmapMut::map_anon(size).map_err(Error::io(&self.path))?;
        let mut room = &mut map[..];
        for (_, bytes) in pieces {
            room.write_all(bytes).map_err(Error::io(&self.path))?;
        }
        let map = Arc::new(Mapped::try_from(map).map_err(Error::io(&self.path))?);
        let mut offset = 0;
        for (at, bytes) in pieces {
            self.memory.lay_under(*at, bytes.len() as u64, &map, offset);
            offset += bytes.len() as u64;
        }
        self.rebuilt.bytes.push(map);
        Ok(())
    }

    /// What was laid so far is all: says in words what it is, and what else was found.
    pub fn tell_rebuilt(&mut self, words: Vec<String>, pointers: Vec<u64>) {
        (self.rebuilt.words, self.rebuilt.pointers) = (words, pointers);
    }

    /// Takes away all that [`CoreFile::lay_rebuilt`] laid.
    pub fn drop_rebuilt(&mut self) {
        let bytes = std::mem::take(&mut self.rebuilt).bytes;
        self.memory = self.memory.only(|map| !bytes.iter().any(|r| Arc::ptr_eq(r, map)));
    }
}

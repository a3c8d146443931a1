//! The files of mapped libraries, for what the process did not map of them: symbols.
//!
//! Knows where to look, and how to tell the right file; `backing` lays files into memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backing::map;
use super::build_id::file_build_id;
use super::{CoreFile, FileMapping, Sysroot, WhyMissing};
use crate::error::Remark;
use crate::mapped::Mapped;

/// Where distributions keep files of symbols, by build-id.
const DEBUG_FILES: &str = "usr/lib/debug/.build-id";

/// The file of a mapped library.
#[derive(Debug)]
pub struct FoundFile {
    /// Its bytes.
    pub map: Arc<Mapped>,
    /// Whether its build-id, or where the core lacks that its dynamic section, is the core's.
    pub proven: bool,
}

impl CoreFile {
    /// The file of the library at `mapping`, looked for as [`CoreFile::lay_backing_files`] does,
    /// or why there is none.
    pub fn find_file(&self, mapping: &FileMapping, sysroot: &Sysroot) -> Result<FoundFile, Remark> {
        if mapping.is_libjvm()
            && let Some(given) = sysroot.jvm.as_deref().filter(|_| !sysroot.alone)
        {
            let found = self.given_jvm(given).map_err(|e| {
                let advice = e.advice();
                Remark { text: e.to_string(), advice }
            })?;
            return Ok(FoundFile { map: found.map, proven: found.proven });
        }
        let mut why = WhyMissing::default();
        match self.search(mapping, sysroot, &mut Vec::new(), &mut why) {
            Some(found) => Ok(FoundFile { map: found.map, proven: found.proven }),
            None => Err(Remark { advice: why.advice(), text: why.text }),
        }
    }

    /// The file of symbols that a distribution took out of `library`, in the roots or on this
    /// machine. The build-id proves it.
    pub fn find_debug_file(&self, library: &[u8], sysroot: &Sysroot) -> Option<Arc<Mapped>> {
        if sysroot.alone {
            return None;
        }
        let id = file_build_id(library).ok().flatten()?;
        let (first, rest) = id.split_at_checked(2)?;
        let inner = Path::new(DEBUG_FILES).join(first).join(format!("{rest}.debug"));
        let roots = sysroot.roots.iter().cloned().chain([PathBuf::from("/")]);
        let mut files = roots.filter_map(|root| map(&root.join(&inner)).ok());
        files.find(|f| file_build_id(f).ok().flatten().as_ref() == Some(&id))
    }
}

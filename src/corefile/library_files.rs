//! The files of mapped libraries, for what the process did not map of them: symbols.
//!
//! Knows where to look, and how to tell the right file; `backing` lays files into memory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSymbol};

use super::backing::map;
use super::build_id::file_build_id;
use super::{CoreFile, FileMapping, Sysroot, WhyMissing};
use crate::error::{Advice, Remark};
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

    /// Where the file of the libjvm that starts at `base`, or the file of its symbols, has these names: the address, as the
    /// file counts, and the size. Names that it has not are left out.
    ///
    /// # Errors
    /// Why there is no file with symbols that is proven to be the process's: addresses of another build lead anywhere.
    pub fn libjvm_symbols<'n>(
        &self,
        base: u64,
        names: &[&'n str],
        sysroot: &Sysroot,
    ) -> Result<HashMap<&'n str, (u64, u64)>, Remark> {
        let mapping = self.libjvms().find(|m| m.start == base).ok_or("no file is mapped there")?;
        let file = self.find_file(mapping, sysroot)?;
        if !file.proven {
            let text = "nothing proves that the libjvm.so at hand is the process's".to_owned();
            return Err(Remark { text, advice: Some(Advice::GiveLibjvmOrRoot) });
        }
        let mut found = symbols(&file.map, names);
        if found.is_empty() {
            let other = self.find_debug_file(&file.map, sysroot);
            found = other.map_or_else(HashMap::new, |other| symbols(&other, names));
        }
        if found.is_empty() {
            return Err("neither libjvm.so nor a debug file of its build-id has symbols".into());
        }
        Ok(found)
    }
}

/// Those of `names` that the .symtab of a file has.
fn symbols<'n>(file: &[u8], names: &[&'n str]) -> HashMap<&'n str, (u64, u64)> {
    let Ok(elf) = ElfFile64::<LittleEndian>::parse(file) else { return HashMap::new() };
    let defined = elf.symbols().filter(|s| s.is_definition());
    let one = |s: object::read::elf::ElfSymbol64<'_, '_, LittleEndian>| {
        let found = s.name_bytes().ok()?;
        let name = names.iter().find(|n| n.as_bytes() == found)?;
        Some((*name, (s.address(), s.size())))
    };
    defined.filter_map(one).collect()
}

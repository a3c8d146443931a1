//! The loaded ELF files of a core that has no list of mapped files (NT_FILE), as ld.so keeps
//! them: `link.h`, `struct r_debug` and `struct link_map`.
//!
//! Cores of qemu's user mode and of old debuggers are such. Knows how to find that list; what
//! comes of it is `libraries`' matter.

use std::collections::HashSet;

use object::elf;

use super::{CoreFile, Memory};
use crate::error::Fault;

/// linux/auxvec.h.
pub(super) const AT_PHDR: u64 = 3;
pub(super) const AT_PHENT: u64 = 4;
pub(super) const AT_PHNUM: u64 = 5;
pub(super) const AT_PAGESZ: u64 = 6;
pub(super) const AT_BASE: u64 = 7;
pub(super) const AT_EXECFN: u64 = 31;

/// A JVM loads some dozens of libraries.
const MAX_LIBRARIES: usize = 1024;
/// PATH_MAX.
const MAX_NAME: u64 = 4096;
/// A program or library has about ten program headers.
pub(super) const MAX_PROGRAM_HEADERS: u64 = 64;
/// A dynamic section has about 35 entries.
pub(super) const MAX_DYNAMIC: u64 = 256;
/// ld.so is not larger than this.
const LD_SO: u64 = 4 << 20;
/// `sizeof(Elf64_Phdr)`.
pub(super) const PHDR: u64 = 56;

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Library {
    /// `l_addr`: what is added to the file's addresses.
    pub bias: u64,
    /// `l_name`; for the program itself AT_EXECFN.
    pub path: String,
    /// `l_ld`: where its dynamic section is.
    pub dynamic: u64,
    /// Whether its mappings are those that its program headers tell; else only its start is
    /// right.
    pub exact: bool,
}

/// What stands in for NT_FILE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Libraries {
    /// Those that have a name, in ld.so's order.
    pub loaded: Vec<Library>,
    /// Why the list could not be walked to its end.
    pub why: Option<String>,
}

/// Walks ld.so's list.
pub(super) fn walk(core: &CoreFile) -> Libraries {
    let mut out = Libraries::default();
    out.why = match find(core) {
        Ok(debug) => entries(core, debug, &mut out.loaded).err(),
        Err(why) => Some(why.into()),
    };
    out
}

/// The address of `r_debug`.
fn find(core: &CoreFile) -> Result<u64, &'static str> {
    let mem = core.memory();
    if core.auxv().is_empty() {
        return Err("it has no auxiliary vector (NT_AUXV) that would lead to ld.so's list");
    }
    if let Some(debug) = by_program(core).filter(|&d| first_entry(mem, d).is_some()) {
        return Ok(debug);
    }
    // The pages of the program's headers are often not saved, ld.so's data always is.
    let base = core.aux(AT_BASE).filter(|&b| b > 0);
    let base = base.ok_or("its program's headers are not in it, and no ld.so is known")?;
    let words = mem.present(base, base.saturating_add(LD_SO)).flat_map(|(from, to)| {
        let from = from.next_multiple_of(8);
        (from..to).step_by(8)
    });
    // `r_ldbase` is the last field, and tells ld.so's own start.
    let mut found = words.filter(|&at| mem.u64(at) == Ok(base)).map(|at| at.wrapping_sub(32));
    let is_it = |&d: &u64| {
        let near = |p: u64| p.wrapping_sub(base) < LD_SO;
        matches!(mem.u32(d), Ok(1 | 2))
            && mem.u64(d.wrapping_add(16)).is_ok_and(near)
            && mem.u32(d.wrapping_add(24)).is_ok_and(|state| state <= 2)
            && first_entry(mem, d).is_some()
    };
    found.find(is_it).ok_or("ld.so's list of what it loaded is not in it")
}

/// The first `link_map`, which has none before it.
fn first_entry(mem: &Memory, debug: u64) -> Option<u64> {
    let first = mem.u64(debug.wrapping_add(8)).ok().filter(|&p| p > 0)?;
    (mem.u64(first.wrapping_add(32)) == Ok(0)).then_some(first)
}

/// What DT_DEBUG of the program says.
fn by_program(core: &CoreFile) -> Option<u64> {
    let mem = core.memory();
    let table = core.aux(AT_PHDR)?;
    let count = core.aux(AT_PHNUM)?.min(MAX_PROGRAM_HEADERS);
    if core.aux(AT_PHENT)? != PHDR {
        return None;
    }
    let header = |kind: elf::ProgramType| {
        let mut all = (0..count).map(|i| table.wrapping_add(i * PHDR));
        all.find(|&p| mem.u32(p) == Ok(kind.0))
    };
    let vaddr = |p: u64| mem.u64(p.wrapping_add(16)).ok();
    // Without PT_PHDR the program is not to be moved.
    let bias = match header(elf::PT_PHDR) {
        Some(own) => table.wrapping_sub(vaddr(own)?),
        None => 0,
    };
    let mut at = bias.wrapping_add(vaddr(header(elf::PT_DYNAMIC)?)?);
    for _ in 0..MAX_DYNAMIC {
        match mem.u64(at).ok()? as i64 {
            t if t == elf::DT_NULL.0 => break,
            t if t == elf::DT_DEBUG.0 => return mem.u64(at.wrapping_add(8)).ok(),
            _ => at = at.wrapping_add(16),
        }
    }
    None
}

fn entries(core: &CoreFile, debug: u64, out: &mut Vec<Library>) -> Result<(), String> {
    let mem = core.memory();
    let mut seen = HashSet::new();
    let mut at = first_entry(mem, debug).unwrap_or(0);
    while at != 0 {
        if !seen.insert(at) {
            return Err(format!("ld.so's list of what it loaded runs in a circle at {at:#x}"));
        }
        if seen.len() > MAX_LIBRARIES {
            return Err(format!("ld.so's list goes on after {MAX_LIBRARIES} entries"));
        }
        let word = |i: u64| mem.u64(at.wrapping_add(i * 8));
        let broken = |f: Fault| {
            format!("ld.so's list of what it loaded breaks off after {} entries: {f}", seen.len())
        };
        let (bias, name) = (word(0).map_err(broken)?, word(1).map_err(broken)?);
        let (dynamic, next) = (word(2).map_err(broken)?, word(3).map_err(broken)?);
        let text = |p: u64| {
            let path = mem.cstr(p, MAX_NAME).ok()?;
            Some(String::from_utf8_lossy(path).into_owned())
        };
        let mut path = text(name).unwrap_or_default();
        if seen.len() == 1 && path.is_empty() {
            path = core.aux(AT_EXECFN).and_then(text).unwrap_or_default();
        }
        // The vDSO has a name, but no file.
        if path.contains('/') {
            out.push(Library { bias, path, dynamic, exact: false });
        }
        at = next;
    }
    Ok(())
}

impl CoreFile {
    /// The value of an entry of the auxiliary vector.
    pub(super) fn aux(&self, kind: u64) -> Option<u64> {
        self.auxv().iter().find(|a| a.0 == kind).map(|a| a.1)
    }
}

//! The loaded ELF files of a core that has no list of mapped files (NT_FILE), as ld.so keeps
//! them: `link.h`, `struct r_debug` and `struct link_map`.
//!
//! Cores of qemu's user mode and of old debuggers are such. Knows how to find that list, and
//! what an ELF image in memory shows of its file; opens no file.

use std::collections::HashSet;

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use super::{CoreFile, FileMapping, Memory, Segment};
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
const MAX_PROGRAM_HEADERS: u64 = 64;
/// A dynamic section has about 35 entries.
const MAX_DYNAMIC: u64 = 256;
/// ld.so is not larger than this.
const LD_SO: u64 = 4 << 20;
/// libjvm's data, relocations included, is some MB; larger segments are heaps.
const MAX_DATA: u64 = 256 << 20;
/// `sizeof(Elf64_Phdr)`.
const PHDR: u64 = 56;

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

/// One PT_LOAD of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub offset: u64,
    pub vaddr: u64,
    pub filesz: u64,
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

    /// Fills [`CoreFile::mappings`] from ld.so's list.
    pub(super) fn find_libraries(&mut self) {
        let mut found = walk(self);
        for i in 0..found.loaded.len() {
            let lib = &found.loaded[i];
            let loads = loads_in_memory(&self.memory, lib.bias);
            let (path, bias) = (lib.path.clone(), lib.bias);
            match loads {
                Some(loads) => {
                    self.place(&path, bias, &loads);
                    found.loaded[i].exact = true;
                }
                None => self.place_roughly(&path, bias),
            }
        }
        self.libraries = Some(found);
    }

    /// Lists the file's mappings as ld.so makes them of its PT_LOADs, instead of those of the
    /// same path that were known before.
    pub(super) fn place(&mut self, path: &str, bias: u64, loads: &[Load]) {
        let page = self.page_size();
        self.mappings.retain(|m| m.path != path);
        for l in loads.iter().filter(|l| l.filesz > 0) {
            let (start, end) = (bias.wrapping_add(l.vaddr), bias.wrapping_add(l.vaddr + l.filesz));
            let within = l.vaddr % page;
            let Some(end) = end.checked_next_multiple_of(page) else { continue };
            let Some(start) = start.checked_sub(within).filter(|&s| s < end) else { continue };
            let Some(file_offset) = l.offset.checked_sub(within) else { continue };
            self.mappings.push(FileMapping { start, end, file_offset, path: path.to_owned() });
        }
        self.mappings.sort_by_key(|m| m.start);
    }

    /// The headers are not in the core: the first mapping is what the core has as one segment.
    fn place_roughly(&mut self, path: &str, start: u64) {
        let holds = |s: &&Segment| s.start <= start && start - s.start < s.memsz;
        let segment = self.segments.iter().find(holds);
        let end = segment
            .map_or(start.saturating_add(self.page_size()), |s| s.start.saturating_add(s.memsz));
        if start > 0 && start < end {
            let path = path.to_owned();
            self.mappings.push(FileMapping { start, end, file_offset: 0, path });
            self.mappings.sort_by_key(|m| m.start);
        }
    }

    /// Where in memory the image of `file` is, by its dynamic section alone. None where it is
    /// not there or there more than once.
    pub(super) fn find_image(&self, file: &[u8]) -> Option<Library> {
        let own = Dynamic::read(file)?;
        let page = self.page_size();
        let bias = |start: u64| start.wrapping_add(own.vaddr % page).wrapping_sub(own.vaddr);
        let mut tried = 0;
        let segments = self.segments.iter().filter(|s| (1..=MAX_DATA).contains(&s.filesz));
        let parts = segments.flat_map(|s| {
            let end = s.start.saturating_add(s.filesz.min(s.memsz));
            // Each byte once, however the segments overlap.
            let start = s.start.max(tried);
            tried = end.max(tried);
            self.memory.present(start, end.max(start))
        });
        let pages = parts.flat_map(|(from, to)| (from & !(page - 1)..to).step_by(page as usize));
        let mut found = pages.map(bias).filter(|&b| own.is_at(&self.memory, b) == Some(true));
        let bias = found.next().filter(|b| found.all(|other| other == *b))?;
        let dynamic = bias.wrapping_add(own.vaddr);
        // The only name that is sure: the file given may have any.
        Some(Library { bias, path: "libjvm.so".into(), dynamic, exact: false })
    }
}

/// A file's dynamic section: addresses and sizes of nearly all of its parts, so that builds
/// that differ in code differ in it.
pub(super) struct Dynamic {
    vaddr: u64,
    entries: Vec<(i64, u64)>,
}

impl Dynamic {
    pub(super) fn read(file: &[u8]) -> Option<Dynamic> {
        let header = FileHeader64::<LE>::parse(file).ok()?;
        let phdrs = header.program_headers(LE, file).ok()?;
        let own = phdrs.iter().find(|p| p.p_type(LE) == elf::PT_DYNAMIC)?;
        let all = own.dynamic(LE, file).ok()??;
        let entries: Vec<(i64, u64)> = all
            .iter()
            .take(MAX_DYNAMIC as usize)
            .map(|d| (d.d_tag(LE).0, d.d_val(LE)))
            .take_while(|d| d.0 != elf::DT_NULL.0)
            .collect();
        let known = |t: elf::DynamicTag| entries.iter().any(|e| e.0 == t.0);
        let sane = known(elf::DT_SYMTAB) && known(elf::DT_STRTAB) && known(elf::DT_STRSZ);
        sane.then_some(Dynamic { vaddr: own.p_vaddr(LE), entries })
    }

    /// Whether it is that of the image at `bias`; None where that memory is not there.
    pub(super) fn is_at(&self, mem: &Memory, bias: u64) -> Option<bool> {
        let mut at = bias.wrapping_add(self.vaddr);
        for &(tag, value) in &self.entries {
            if mem.u64(at).ok()? != tag as u64 {
                return Some(false);
            }
            // ld.so moves some of the addresses, and not the same on every CPU.
            let there = mem.u64(at.wrapping_add(8)).ok()?;
            let debug = tag == elf::DT_DEBUG.0;
            if there != value && there != value.wrapping_add(bias) && !debug {
                return Some(false);
            }
            at = at.wrapping_add(16);
        }
        Some(true)
    }

    /// Where it would be if the file were loaded at `bias`.
    pub(super) fn address(&self, bias: u64) -> u64 {
        bias.wrapping_add(self.vaddr)
    }
}

/// The PT_LOADs of an ELF file.
pub(super) fn loads_in_file(file: &[u8]) -> Option<Vec<Load>> {
    let header = FileHeader64::<LE>::parse(file).ok()?;
    loads(header.program_headers(LE, file).ok()?)
}

/// Those of the ELF image whose header is at `bias`.
fn loads_in_memory(mem: &Memory, bias: u64) -> Option<Vec<Load>> {
    let mut head = [0; size_of::<FileHeader64<LE>>()];
    mem.read_into(bias, &mut head).ok()?;
    let header = FileHeader64::<LE>::parse(&head[..]).ok()?;
    let count = u64::from(header.e_phnum(LE)).min(MAX_PROGRAM_HEADERS);
    if u64::from(header.e_phentsize(LE)) != PHDR {
        return None;
    }
    let mut raw = vec![0; (count * PHDR) as usize];
    mem.read_into(bias.wrapping_add(header.e_phoff(LE)), &mut raw).ok()?;
    let (phdrs, _) = object::pod::slice_from_bytes(&raw, count as usize).ok()?;
    loads(phdrs)
}

/// None where the file's start would not be where its addresses start.
fn loads(phdrs: &[ProgramHeader64<LE>]) -> Option<Vec<Load>> {
    let loads = phdrs.iter().filter(|p| p.p_type(LE) == elf::PT_LOAD);
    let out: Vec<Load> = loads
        .map(|p| Load { offset: p.p_offset(LE), vaddr: p.p_vaddr(LE), filesz: p.p_filesz(LE) })
        .take(MAX_PROGRAM_HEADERS as usize)
        .collect();
    let sane = |l: &Load| {
        l.vaddr.checked_add(l.filesz).is_some() && l.offset.checked_add(l.filesz).is_some()
    };
    let first = out.first()?;
    (first.offset == 0 && first.vaddr == 0 && out.iter().all(sane)).then_some(out)
}

//! libjvm's exported symbols, read from its image in the core's address space.
//!
//! Whether the image's pages come from the core or were laid under it from the file is
//! `corefile`'s business; what the symbols mean is `vmstructs`'.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

use std::collections::HashMap;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::dynamic::{DT_STRSZ, DT_STRTAB, DT_SYMTAB};
use goblin::elf::program_header::{PT_DYNAMIC, PT_LOAD, ProgramHeader};
use goblin::elf64::header::{Header, SIZEOF_EHDR};

use crate::corefile::memory::Memory;
use crate::error::{Advice, Error, Fault, Result};

/// libjvm exports about 500 names; a table larger than this is not one.
const MAX_SYMBOLS: u64 = 1 << 20;
/// A shared library has about ten program headers.
const MAX_PROGRAM_HEADERS: u16 = 64;
/// Bytes of all names: tails of one another stand for much more than the memory that they are in. The largest libraries
/// have 5 MB.
const MAX_NAMES: usize = 32 << 20;
const SIZEOF_SYM: u64 = 24;

/// The image of libjvm in the target's memory.
#[derive(Debug)]
pub struct Library {
    /// Difference between run-time addresses and those in the file.
    pub bias: u64,
    /// The whole image, as run-time (start, end).
    pub image: (u64, u64),
    /// Writable data and bss, as run-time (start, end).
    pub data: Vec<(u64, u64)>,
    /// By name: run-time address and size.
    symbols: HashMap<String, (u64, u64)>,
}

impl Library {
    /// Reads the ELF image that starts at `base`, keeping the symbols that start with `prefix`.
    pub fn read(mem: &Memory, base: u64, prefix: &str) -> Result<Library> {
        parse(mem, base, prefix).map_err(|e| match e {
            Problem::Fault(f) => Error::NoJvm {
                what: format!(
                    "libjvm.so's symbol table is neither in the core nor in a file at hand ({f})"
                ),
                advice: Some(Advice::GiveLibjvmOrRoot),
            },
            Problem::Bad(what) => Error::no_jvm(format!("libjvm.so at {base:#x}: {what}")),
        })
    }

    /// One that has these symbols, name and address, and no image.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn of(symbols: &[(String, u64)]) -> Library {
        let symbols = symbols.iter().map(|(name, at)| (name.clone(), (*at, 8))).collect();
        Library { bias: 0, image: (0, 0), data: Vec::new(), symbols }
    }

    /// The run-time address of `name`.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.symbols.get(name).map(|s| s.0)
    }

    /// All symbols that were kept, in no order: name, run-time address, size in bytes.
    pub fn all(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.symbols.iter().map(|(name, s)| (name.as_str(), s.0, s.1))
    }
}

enum Problem {
    Fault(Fault),
    Bad(&'static str),
}

impl From<Fault> for Problem {
    fn from(f: Fault) -> Self {
        Problem::Fault(f)
    }
}

fn parse(mem: &Memory, base: u64, prefix: &str) -> Result<Library, Problem> {
    let mut head = [0; SIZEOF_EHDR];
    mem.read_into(base, &mut head)?;
    if &head[..4] != b"\x7fELF" {
        return Err(Problem::Bad("no ELF header there"));
    }
    let header = Header::from_bytes(&head);
    let count = header.e_phnum.min(MAX_PROGRAM_HEADERS);
    let mut raw = vec![0; count as usize * 56];
    mem.read_into(base.wrapping_add(header.e_phoff), &mut raw)?;
    let headers =
        ProgramHeader::parse(&raw, 0, count as usize, Ctx::new(Container::Big, Endian::Little))
            .map_err(|_| Problem::Bad("its program headers are damaged"))?;
    let first = headers.iter().find(|p| p.p_type == PT_LOAD).ok_or(Problem::Bad("no PT_LOAD"))?;
    let bias = base.wrapping_sub(first.p_vaddr);
    let span = |p: &ProgramHeader| {
        let start = bias.wrapping_add(p.p_vaddr);
        (start, start.saturating_add(p.p_memsz))
    };
    let loads = || headers.iter().filter(|p| p.p_type == PT_LOAD);
    let image = (base, loads().map(|p| span(p).1).max().unwrap_or(base));
    let data = loads().filter(|p| p.is_write()).map(span).collect();
    let dynamic =
        headers.iter().find(|p| p.p_type == PT_DYNAMIC).ok_or(Problem::Bad("no PT_DYNAMIC"))?;
    let (mut symtab, mut strtab, mut strsz) = (None, None, 0);
    let mut at = bias.wrapping_add(dynamic.p_vaddr);
    for _ in 0..dynamic.p_memsz.min(4096) / 16 {
        let (tag, value) = (mem.u64(at)?, mem.u64(at.wrapping_add(8))?);
        // ld.so adds the bias to these in memory; the file's page still lacks it.
        let address = if value < base { bias.wrapping_add(value) } else { value };
        match tag {
            0 => break,
            DT_SYMTAB => symtab = Some(address),
            DT_STRTAB => strtab = Some(address),
            DT_STRSZ => strsz = value,
            _ => {}
        }
        at = at.wrapping_add(16);
    }
    let symtab = symtab.ok_or(Problem::Bad("no DT_SYMTAB"))?;
    let strtab = strtab.ok_or(Problem::Bad("no DT_STRTAB"))?;
    // ELF gives no count; every linker puts .dynstr behind .dynsym.
    let count = strtab.saturating_sub(symtab) / SIZEOF_SYM;
    if count == 0 || count > MAX_SYMBOLS {
        return Err(Problem::Bad("its dynamic symbol table has no sane size"));
    }
    let (mut symbols, mut names) = (HashMap::new(), 0);
    for i in 0..count {
        let at = symtab.wrapping_add(i * SIZEOF_SYM);
        let (name, value) = (u64::from(mem.u32(at)?), mem.u64(at.wrapping_add(8))?);
        if value == 0 || name >= strsz {
            continue;
        }
        if let Ok(name) = mem.cstr(strtab.wrapping_add(name), 4096)
            && name.starts_with(prefix.as_bytes())
        {
            let name = String::from_utf8_lossy(name).into_owned();
            names += name.len();
            if names > MAX_NAMES {
                return Err(Problem::Bad("its symbols' names have no sane size"));
            }
            let size = mem.u64(at.wrapping_add(16))?;
            symbols.insert(name, (bias.wrapping_add(value), size));
        }
    }
    Ok(Library { bias, image, data, symbols })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use memmap2::MmapMut;

    const BASE: u64 = 0x7f00_0000_0000;

    /// An image with one symbol for each of `names`, which are offsets into `strings`.
    fn image(names: &[u32], strings: &[u8]) -> Memory {
        let (dynamic, symtab) = (0x200, 0x300);
        let strtab = symtab + names.len() as u64 * SIZEOF_SYM;
        let mut out = vec![0; strtab as usize];
        out[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let mut words = |at: u64, words: &[u64]| {
            for (i, word) in words.iter().enumerate() {
                out[at as usize + i * 8..][..8].copy_from_slice(&word.to_le_bytes());
            }
        };
        words(32, &[64]);
        // e_phentsize, e_phnum.
        words(48, &[56 << 48, 2]);
        words(64, &[1 | 5 << 32, 0, 0, 0, 0x1000, 0x1000, 0x1000]);
        words(120, &[2 | 6 << 32, dynamic, dynamic, 0, 0x40, 0x40, 8]);
        words(dynamic, &[DT_SYMTAB, symtab, DT_STRTAB, strtab, DT_STRSZ, strings.len() as u64]);
        for (i, name) in names.iter().enumerate() {
            words(symtab + i as u64 * SIZEOF_SYM, &[(*name).into(), 0x40 + i as u64, 8]);
        }
        out.extend(strings);
        let mut map = MmapMut::map_anon(out.len()).expect("memory");
        map.copy_from_slice(&out);
        let mut mem = Memory::default();
        mem.lay_under(BASE, out.len() as u64, &Arc::new(map.try_into().expect("memory")), 0);
        mem
    }

    #[test]
    fn symbols_have_names_and_addresses() {
        let mem = image(&[1, 5], b"\0one\0two\0");
        let library = Library::read(&mem, BASE, "").expect("a library");
        assert_eq!(library.address("one"), Some(BASE + 0x40));
        assert_eq!(library.address("two"), Some(BASE + 0x41));
        assert_eq!(Library::read(&mem, BASE, "t").expect("a library").all().count(), 1);
    }

    /// Each tail of a long name is a name.
    #[test]
    fn names_that_are_tails_of_one_another_do_not_fill_the_memory() {
        let long = |n: u8| [&[b'a' + n; 4000][..], &[0]].concat();
        let strings: Vec<u8> = (0..6).flat_map(long).collect();
        let tails = |of: u32| (0..of).flat_map(|n| (0..4000).map(move |at| n * 4001 + at));
        let few = image(&tails(2).collect::<Vec<_>>(), &strings);
        assert_eq!(Library::read(&few, BASE, "").expect("a library").all().count(), 8000);
        let many = image(&tails(6).collect::<Vec<_>>(), &strings);
        let said = Library::read(&many, BASE, "").expect_err("no library").to_string();
        assert!(said.contains("no sane size"), "{said}");
    }
}

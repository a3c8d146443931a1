//! A library's writable data as ld.so makes it: the file's bytes, relocated.
//!
//! Knows ELF. Every address and size in the file is bounded before it is used.

use std::io::Write;
use std::ops::Range;

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64, Rela64, Sym64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, Rela, Sym};

use crate::cpu::{Cpu, Relocations};

/// libjvm's data is 2 MB, relocations included.
const MAX_DATA: u64 = 16 << 20;
/// libjvm has 100,000 relocations.
const MAX_RELOCATIONS: u64 = 4 << 20;

/// What is known of a byte of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The file's, relocated: so it was before the first instruction of the library ran.
    Initial,
    /// An initialiser that was followed wrote it.
    Written,
    /// Something that is not known: another library's address, or an initialiser's result.
    Unknown,
}

/// The library's image: read-only parts from the file, writable ones relocated.
#[derive(Debug)]
pub(super) struct Image<'f> {
    file: &'f [u8],
    /// From addresses in the file to those of the process.
    pub bias: u64,
    /// PT_LOADs that nobody writes to: where in the process, and where in the file.
    constant: Vec<(Range<u64>, usize)>,
    /// PT_LOADs that are written to, as one run of addresses of the process.
    pub data: Range<u64>,
    bytes: Vec<u8>,
    states: Vec<State>,
    /// What ld.so protects when it has relocated it: it holds for ever.
    pub relro: Range<u64>,
    /// The initialisers, in the order in which ld.so calls them.
    pub initializers: Vec<u64>,
    /// Where a function starts, by the unwind table; empty where the file has none.
    functions: Vec<u64>,
}

impl<'f> Image<'f> {
    /// Reads `file`, as it would lie in memory with `bias`; says why not in words.
    pub(super) fn new(file: &'f [u8], bias: u64) -> Result<Image<'f>, &'static str> {
        let header = FileHeader64::<LE>::parse(file).map_err(|_| "it is no ELF file")?;
        let headers =
            header.program_headers(LE, file).map_err(|_| "its program headers are damaged")?;
        let loads = || headers.iter().filter(|p| p.p_type(LE) == elf::PT_LOAD);
        let writable = |p: &&ProgramHeader64<LE>| p.p_flags(LE).0 & 2 != 0;
        let span =
            |p: &ProgramHeader64<LE>| p.p_vaddr(LE)..p.p_vaddr(LE).saturating_add(p.p_memsz(LE));
        let start =
            loads().filter(writable).map(|p| span(p).start).min().ok_or("it has no data")?;
        let end = loads().filter(writable).map(|p| span(p).end).max().unwrap_or(start);
        if end - start > MAX_DATA {
            return Err("its data is too large");
        }
        let run = |r: Range<u64>| bias.wrapping_add(r.start)..bias.wrapping_add(r.end);
        let relro = headers.iter().find(|p| p.p_type(LE) == elf::PT_GNU_RELRO);
        let constant = loads().filter(|p| !writable(p));
        let constant = constant.map(|p| {
            let end = p.p_vaddr(LE).saturating_add(p.p_filesz(LE).min(p.p_memsz(LE)));
            (run(p.p_vaddr(LE)..end), p.p_offset(LE) as usize)
        });
        let mut image = Image {
            file,
            bias,
            constant: constant.collect(),
            data: run(start..end),
            bytes: vec![0; (end - start) as usize],
            states: vec![State::Initial; (end - start) as usize],
            relro: run(relro.map_or(0..0, span)),
            initializers: Vec::new(),
            functions: Vec::new(),
        };
        for p in loads().filter(writable) {
            let from = p.p_offset(LE) as usize;
            let len = p.p_filesz(LE).min(p.p_memsz(LE)) as usize;
            let bytes = from.checked_add(len).and_then(|end| file.get(from..end));
            let bytes = bytes.ok_or("it ends within its data")?;
            if !image.write(bias.wrapping_add(p.p_vaddr(LE)), bytes, State::Initial) {
                return Err("its data has no end");
            }
        }
        let dynamic = headers.iter().find(|p| p.p_type(LE) == elf::PT_DYNAMIC);
        let dynamic = dynamic.and_then(|p| p.dynamic(LE, file).ok().flatten());
        let dynamic = dynamic.ok_or("it has no dynamic section")?;
        let tag =
            |t: elf::DynamicTag| dynamic.iter().find(|d| d.d_tag(LE).0 == t.0).map(|d| d.d_val(LE));
        if tag(elf::DT_RELR).is_some() {
            return Err("its relocations are packed (DT_RELR), which rjcore does not read");
        }
        let table = |address, size| Some((tag(address)?, tag(size)?));
        let symbols = tag(elf::DT_SYMTAB).unwrap_or(0);
        let cpu = Cpu::of_machine(header.e_machine(LE).0).ok_or("it is of an unknown CPU")?;
        for (at, size) in
            [table(elf::DT_RELA, elf::DT_RELASZ), table(elf::DT_JMPREL, elf::DT_PLTRELSZ)]
                .into_iter()
                .flatten()
        {
            image.relocate(&cpu.facts().relocations, at, size, symbols)?;
        }
        if let Some((at, size)) = table(elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ) {
            let words =
                (0..size.min(MAX_DATA) / 8).map(|i| bias.wrapping_add(at).wrapping_add(i * 8));
            image.initializers = words.filter_map(|at| image.word(at)).collect();
        }
        let unwind = headers.iter().find(|p| p.p_type(LE) == elf::PT_GNU_EH_FRAME);
        image.functions = unwind.and_then(|p| image.functions(p)).unwrap_or_default();
        Ok(image)
    }

    fn relocate(
        &mut self,
        types: &Relocations,
        at: u64,
        size: u64,
        symbols: u64,
    ) -> Result<(), &'static str> {
        let count = size / 24;
        let entries = self.constant(self.bias.wrapping_add(at), count * 24);
        let entries = entries.filter(|_| count <= MAX_RELOCATIONS);
        let entries = entries.ok_or("its relocations lie outside of it")?;
        let (entries, _) = object::pod::slice_from_bytes::<Rela64<LE>>(entries, count as usize)
            .map_err(|()| "its relocations are damaged")?;
        for r in entries {
            let value = match r.r_type(LE, false).0 {
                kind if kind == types.relative => {
                    Some(self.bias.wrapping_add(r.r_addend(LE) as u64))
                }
                kind if types.symbol.contains(&kind) => {
                    let at = symbols.saturating_add(
                        u64::from(r.symbol(LE, false).map_or(0, |s| s.0 as u32)) * 24,
                    );
                    self.symbol(at).map(|s| s.wrapping_add(r.r_addend(LE) as u64))
                }
                _ => None,
            };
            let at = self.bias.wrapping_add(r.r_offset(LE));
            match value {
                Some(v) => self.write(at, &v.to_le_bytes(), State::Initial),
                None => self.write(at, &[0; 8], State::Unknown),
            };
        }
        Ok(())
    }

    /// The address of the symbol at `at` of the file's table, where this file defines it.
    fn symbol(&self, at: u64) -> Option<u64> {
        let bytes = self.constant(self.bias.wrapping_add(at), 24)?;
        let (symbol, _) = object::pod::from_bytes::<Sym64<LE>>(bytes).ok()?;
        let defined = symbol.st_shndx(LE).0 != 0 && symbol.st_value(LE) != 0;
        defined.then(|| self.bias.wrapping_add(symbol.st_value(LE)))
    }

    /// Where functions start: .eh_frame_hdr's table, in the form that all linkers write.
    fn functions(&self, header: &ProgramHeader64<LE>) -> Option<Vec<u64>> {
        let at = self.bias.wrapping_add(header.p_vaddr(LE));
        let head = self.constant(at, 12)?;
        // Version 1; a relative pointer, a 4-byte count, a table of offsets from here.
        if !head.starts_with(&[1, 0x1b, 0x03, 0x3b]) {
            return None;
        }
        let count = u32::from_le_bytes(*head.last_chunk()?);
        let table = self.constant(at + 12, u64::from(count) * 8)?;
        let start = |entry: &[u8; 8]| {
            let offset = entry.first_chunk().map_or(0, |o| i32::from_le_bytes(*o));
            at.wrapping_add_signed(i64::from(offset))
        };
        Some(table.as_chunks::<8>().0.iter().map(start).collect())
    }

    /// The addresses of the function that starts at `start`.
    pub(super) fn function(&self, start: u64) -> Range<u64> {
        // Without a table: vmStructs.cpp's initialisers have 8 KB.
        const LONGEST: u64 = 64 << 10;
        let next = self.functions.partition_point(|f| *f <= start);
        start..self.functions.get(next).copied().unwrap_or(start.saturating_add(LONGEST))
    }

    /// `len` bytes that nobody writes to.
    pub(super) fn constant(&self, at: u64, len: u64) -> Option<&'f [u8]> {
        let (range, offset) = self.constant.iter().find(|(r, _)| r.contains(&at))?;
        if len > range.end - at {
            return None;
        }
        let from = offset.checked_add((at - range.start) as usize)?;
        self.file.get(from..from.checked_add(len as usize)?)
    }

    fn index(&self, at: u64, len: usize) -> Option<Range<usize>> {
        let from = at.checked_sub(self.data.start)? as usize;
        let to = from.checked_add(len)?;
        (to <= self.bytes.len()).then_some(from..to)
    }

    /// Bytes of the data, with what is known of them all.
    pub(super) fn bytes(&self, at: u64, len: usize) -> Option<(&[u8], State)> {
        let range = self.index(at, len)?;
        let states = self.states.get(range.clone())?;
        let all = |state: State| states.iter().all(|s| *s == state);
        let state = match () {
            () if all(State::Written) => State::Written,
            () if all(State::Initial) => State::Initial,
            () => State::Unknown,
        };
        Some((self.bytes.get(range)?, state))
    }

    /// A word of the data, unless it is unknown.
    pub(super) fn word(&self, at: u64) -> Option<u64> {
        let (bytes, state) = self.bytes(at, 8)?;
        let known = state != State::Unknown;
        known.then(|| u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }

    /// Writes to the data; false where that is not within it.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8], state: State) -> bool {
        let Some(range) = self.index(at, bytes.len()) else { return false };
        let room = self.bytes.get_mut(range.clone()).zip(self.states.get_mut(range));
        let Some((mut room, states)) = room else { return false };
        states.fill(state);
        room.write_all(bytes).is_ok()
    }

    /// The parts of `range` that are known.
    pub(super) fn known(&self, range: Range<u64>, mut found: impl FnMut(u64, &[u8])) {
        let (start, end) = (range.start.max(self.data.start), range.end.min(self.data.end));
        let Some(all) = self.index(start, end.saturating_sub(start) as usize) else { return };
        let is_known = |state: &State| *state != State::Unknown;
        let mut at = all.start;
        let states = self.states.get(all).unwrap_or_default();
        for run in states.chunk_by(|a, b| is_known(a) == is_known(b)) {
            let bytes = self.bytes.get(at..at + run.len());
            if let Some(bytes) = bytes.filter(|_| run.iter().all(is_known)) {
                found(self.data.start.wrapping_add(at as u64), bytes);
            }
            at += run.len();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const PAGE: usize = 0x1000;

    fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
        file[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// A library of three pages: headers and relocations, `code`, data. Its dynamic section lies
    /// in the middle of its data; the last eight bytes are its only initialiser.
    pub(crate) fn library(code: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 3 * PAGE];
        put(&mut file, 0, b"\x7fELF\x02\x01\x01");
        put(&mut file, 16, &[3, 0, 62, 0, 1]);
        put(&mut file, 32, &64u64.to_le_bytes());
        put(&mut file, 52, &[64, 0, 56, 0, 4, 0]);
        let header = |kind: u32, flags: u32, at: u64, size: u64| {
            let words = [at, at, at, size, size, 8].map(u64::to_le_bytes).concat();
            [&kind.to_le_bytes()[..], &flags.to_le_bytes(), &words].concat()
        };
        for (i, h) in [
            header(1, 4, 0, 0x1000),
            header(1, 5, 0x1000, 0x1000),
            header(1, 6, 0x2000, 0x1000),
            header(2, 6, 0x2800, 0x80),
        ]
        .iter()
        .enumerate()
        {
            put(&mut file, 64 + i * 56, h);
        }
        let code = &code[..code.len().min(PAGE)];
        put(&mut file, PAGE, code);
        let tags: [u64; 12] = [7, 0x800, 8, 48, 6, 0x900, 25, 0x2ff8, 27, 8, 0, 0];
        put(&mut file, 0x2800, &tags.map(u64::to_le_bytes).concat());
        // R_X86_64_RELATIVE of the initialiser, and one of a symbol of another library.
        let relocations: [u64; 6] = [0x2ff8, 8, 0x1000, 0x2100, 1 << 32 | 1, 0];
        put(&mut file, 0x800, &relocations.map(u64::to_le_bytes).concat());
        file
    }

    #[test]
    fn what_is_relocated_is_known_and_what_is_another_librarys_is_not() {
        let file = library(&[0xc3]);
        let image = Image::new(&file, 0x10_0000).expect("an image");
        assert_eq!(image.initializers, [0x10_1000]);
        assert_eq!(image.word(0x10_2ff8), Some(0x10_1000));
        assert_eq!(image.word(0x10_2100), None);
        assert_eq!(image.word(0x10_2108), Some(0));
        assert_eq!(image.word(0x10_2ffc), None, "beyond the end");
        let mut known = Vec::new();
        image.known(0x10_20f0..0x10_2110, |at, bytes| known.push((at, bytes.len())));
        assert_eq!(known, [(0x10_20f0, 0x10), (0x10_2108, 8)]);
        assert_eq!(image.constant(0x10_1000, 1), Some(&[0xc3][..]));
        assert_eq!(image.constant(0x10_1fff, 2), None);
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let whole = library(&[0xc3]);
        // Cut within the data; relocations out of the file; data of 2^62 bytes.
        assert!(Image::new(&whole[..0x2900], 0).is_err());
        for (at, bytes) in
            [(0x2800 + 8, [0xff; 8]), (0x2800 + 24, [0xff; 8]), (64 + 2 * 56 + 40, [0x3f; 8])]
        {
            let mut file = whole.clone();
            put(&mut file, at, &bytes);
            assert!(Image::new(&file, 0).is_err(), "{at:#x}");
        }
        // Data that reaches beyond the last address.
        let mut file = whole.clone();
        put(&mut file, 64 + 2 * 56 + 16, &(u64::MAX - 100).to_le_bytes());
        assert_eq!(Image::new(&file, 0).err(), Some("its data has no end"));
        // Any byte of the headers may be anything.
        for at in (0..64 + 4 * 56).chain(0x2800..0x2860).chain(0x800..0x830).step_by(3) {
            for byte in [0, 0xff] {
                let mut file = whole.clone();
                file[at] = byte;
                let _ = Image::new(&file, u64::MAX - 0x1800);
            }
        }
    }
}

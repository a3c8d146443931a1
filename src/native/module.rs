//! One mapped library: its call frame information and its functions' names, from its file where
//! that is at hand, or else from what the core has of it in memory.

use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, Range};
use std::rc::Rc;
use std::sync::Arc;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::program_header::{PT_GNU_EH_FRAME, PT_LOAD, ProgramHeader};
use goblin::elf64::header::{Header, SIZEOF_EHDR};
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSymbol, SymbolKind};

use super::cfi::{Step, Tables, frames_at};
use super::{Registers, Unwinder};
use crate::corefile::{CoreFile, FileMapping, Memory, Sysroot};
use crate::error::Remark;
use crate::mapped::Mapped;
use crate::symbols::Library;

/// A library has about ten.
const MAX_PROGRAM_HEADERS: u16 = 64;
const SIZEOF_PHDR: usize = 56;
/// libjvm's tables have 3 MB.
const MAX_TABLES: u64 = 256 << 20;
/// The functions that a program and a thread start in.
const OUTERMOST: [&[u8]; 5] = [b"_start", b"clone", b"__clone", b"clone3", b"__clone3"];
/// `_start` has some 40 bytes.
const MAX_ENTRY: u64 = 0x50;
/// Symbols before a place that may reach over it.
const MAX_NESTED: usize = 16;

/// A part of a file, or a copy of memory.
enum Bytes {
    File(Arc<Mapped>, Range<usize>),
    Copy(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::File(file, range) => file.get(range.clone()).unwrap_or_default(),
            Bytes::Copy(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

#[derive(Debug)]
pub(super) struct Function {
    /// As the file counts.
    start: u64,
    size: u64,
    pub(super) name: Box<[u8]>,
}

/// A library. Addresses are those of its file unless told otherwise.
#[derive(Debug)]
pub(super) struct Module {
    /// The recorded path.
    pub path: Rc<str>,
    /// What is to be added for those of the process.
    pub bias: u64,
    /// Whether its file was proven to be the right one, or none was needed.
    pub proven: bool,
    /// Where the kernel starts a program, if it is one.
    entry: u64,
    /// Why there are no tables.
    why: Remark,
    loads: Vec<(u64, u64)>,
    hdr: Option<(u64, Bytes)>,
    frames: Option<(u64, Bytes)>,
    /// By start; of those at the same the best name first.
    functions: Vec<Function>,
}

/// Where a library's bytes are read.
enum Image<'i> {
    File(&'i Arc<Mapped>),
    /// With the bytes that may still be kept of it.
    Memory(&'i Memory, &'i Cell<usize>),
}

impl Module {
    /// The library that is mapped at `mapping`.
    pub(super) fn of_file(
        core: &CoreFile,
        mapping: &FileMapping,
        sysroot: &Sysroot,
        room: &Cell<usize>,
    ) -> Module {
        let mut all = core.mappings().iter().filter(|m| m.path == mapping.path);
        let base = all.find(|m| m.file_offset == 0).map_or(mapping.start, |m| m.start);
        match core.find_file(mapping, sysroot) {
            Ok(file) => {
                let mut functions = functions(&file.map);
                if let Some(symbols) = core.find_debug_file(&file.map, sysroot) {
                    functions.extend(self::functions(&symbols));
                }
                let mut module = Module::new(&mapping.path, base, &Image::File(&file.map));
                module.proven = file.proven;
                module.functions = sorted(functions);
                module
            }
            Err(why) => Module::in_memory(core, &mapping.path, base, Some(why), room),
        }
    }

    /// What the core itself has of the library whose first byte is at `base`; `why` says what
    /// is wrong with its file. What is kept of the memory is taken off the `room`, and where there is none, left out.
    pub(super) fn in_memory(
        core: &CoreFile,
        path: &str,
        base: u64,
        why: Option<Remark>,
        room: &Cell<usize>,
    ) -> Module {
        let memory = core.memory();
        let mut module = Module::new(path, base, &Image::Memory(memory, room));
        if let Some(why) = why {
            module.why = why;
        }
        if let Ok(library) = Library::read(memory, base, "")
            && take(room, library.all().map(|s| s.0.len() + size_of::<Function>()).sum()).is_some()
        {
            let all = library.all().map(|(name, at, size)| {
                let start = at.wrapping_sub(library.bias);
                Function { start, size, name: name.as_bytes().into() }
            });
            module.functions = sorted(all.collect());
        }
        module
    }

    fn new(path: &str, base: u64, image: &Image) -> Module {
        let mut module = Module {
            path: path.into(),
            bias: base,
            proven: true,
            entry: 0,
            why: "it has no .eh_frame_hdr".into(),
            loads: Vec::new(),
            hdr: None,
            frames: None,
            functions: Vec::new(),
        };
        let Some((entry, headers)) = headers(image, base) else { return module };
        module.entry = entry;
        let loads = || headers.iter().filter(|h| h.p_type == PT_LOAD);
        let Some(first) = loads().next() else { return module };
        let first = first.p_vaddr.wrapping_sub(first.p_offset);
        module.bias = base.wrapping_sub(first);
        module.loads = loads().map(|h| (h.p_vaddr, h.p_vaddr.saturating_add(h.p_memsz))).collect();
        let bias = module.bias;
        let read = |at: u64, len: u64| {
            let load = loads().find(|h| h.p_vaddr <= at && at - h.p_vaddr < h.p_filesz)?;
            let len = (load.p_filesz - (at - load.p_vaddr)).min(len).min(MAX_TABLES);
            let offset = load.p_offset.checked_add(at - load.p_vaddr)?;
            image.bytes(offset, at.wrapping_add(bias), len)
        };
        let hdr = headers.iter().find(|h| h.p_type == PT_GNU_EH_FRAME);
        let hdr = hdr.and_then(|h| Some((h.p_vaddr, read(h.p_vaddr, h.p_memsz)?)));
        let frames = hdr.as_ref().and_then(|(at, hdr)| frames_at(hdr, *at));
        // Its size is nowhere: it ends with the segment, or earlier.
        module.frames = frames.and_then(|at| Some((at, read(at, u64::MAX)?)));
        module.hdr = hdr;
        module
    }

    /// Whether the address of the process is in it.
    pub(super) fn holds(&self, addr: u64) -> bool {
        let at = addr.wrapping_sub(self.bias);
        self.loads.iter().any(|l| (l.0..l.1).contains(&at))
    }

    /// The caller of the frame `at`, which is at `place` in the process.
    pub(super) fn step(&self, unwinder: &Unwinder, place: u64, at: &Registers) -> Step {
        match (&self.hdr, &self.frames) {
            (Some((hdr_at, hdr)), Some((frames_at, frames))) => {
                let tables = Tables { hdr, hdr_at: *hdr_at, frames, frames_at: *frames_at };
                tables.step(unwinder, place.wrapping_sub(self.bias), at)
            }
            _ => Step::Unknown(self.why.clone().about(&self.path)),
        }
    }

    /// Whether the code at a place in the process was called by nobody: a program's or a thread's
    /// first. Old C libraries, and others, say nothing of how to unwind it.
    pub(super) fn is_outermost(&self, place: u64) -> bool {
        let at = place.wrapping_sub(self.bias);
        let named = self.symbol(place).is_some_and(|(name, _)| OUTERMOST.contains(&name));
        named || self.entry != 0 && at.wrapping_sub(self.entry) < MAX_ENTRY
    }

    /// The function at a place in the process: its symbol, and where it starts there.
    pub(super) fn symbol(&self, place: u64) -> Option<(&[u8], u64)> {
        let at = place.wrapping_sub(self.bias);
        let behind = self.functions.partition_point(|f| f.start <= at);
        let mut before = self.functions.get(..behind)?.iter().rev().take(MAX_NESTED);
        // One without a size reaches to the next.
        let covers = |f: &&Function| at - f.start < f.size || f.size == 0;
        let found = before.find(covers)?;
        let first = self.functions.partition_point(|f| f.start < found.start);
        let best = self.functions.get(first..behind)?.iter().find(covers)?;
        Some((&best.name, best.start.wrapping_add(self.bias)))
    }
}

impl Image<'_> {
    /// Bytes that are at `offset` in the file, and at `addr` in the process.
    fn bytes(&self, offset: u64, addr: u64, len: u64) -> Option<Bytes> {
        match self {
            Image::File(file) => {
                let start = usize::try_from(offset).ok()?;
                let end = start.checked_add(usize::try_from(len).ok()?)?.min(file.len());
                (start < end).then(|| Bytes::File((*file).clone(), start..end))
            }
            Image::Memory(memory, room) => {
                if let Some((file, range)) = memory.mapped(addr, len).filter(|_| len > 0) {
                    return Some(Bytes::File(file.clone(), range));
                }
                let mut there = memory.present(addr, addr.checked_add(len)?);
                let (mut copy, mut at) = (Vec::new(), addr);
                while let Some((from, to)) = there.next().filter(|p| p.0 == at) {
                    take(room, (to - from) as usize)?;
                    copy.extend_from_slice(memory.slice(from, to - from).ok()?);
                    at = to;
                }
                (!copy.is_empty()).then_some(Bytes::Copy(copy))
            }
        }
    }
}

/// Takes so many bytes off the room, where there are as many.
fn take(room: &Cell<usize>, bytes: usize) -> Option<()> {
    room.set(room.get().checked_sub(bytes)?);
    Some(())
}

/// Where the program starts, and the program headers.
fn headers(image: &Image, base: u64) -> Option<(u64, Vec<ProgramHeader>)> {
    let head = image.bytes(0, base, SIZEOF_EHDR as u64)?;
    let head: [u8; SIZEOF_EHDR] = (*head).try_into().ok()?;
    if &head[..4] != b"\x7fELF" {
        return None;
    }
    let header = Header::from_bytes(&head);
    let count = header.e_phnum.min(MAX_PROGRAM_HEADERS) as usize;
    let len = (count * SIZEOF_PHDR) as u64;
    let raw = image.bytes(header.e_phoff, base.wrapping_add(header.e_phoff), len)?;
    let all = ProgramHeader::parse(&raw, 0, count, Ctx::new(Container::Big, Endian::Little));
    Some((header.e_entry, all.ok()?))
}

/// The functions of .symtab and .dynsym.
pub(super) fn functions(file: &[u8]) -> Vec<Function> {
    let Ok(elf) = ElfFile64::<LittleEndian>::parse(file) else { return Vec::new() };
    let all = elf.symbols().chain(elf.dynamic_symbols());
    let defined = all.filter(|s| s.is_definition() && s.kind() == SymbolKind::Text);
    let named = defined.filter_map(|s| {
        let name = s.name_bytes().ok().filter(|n| !n.is_empty())?;
        // Of a symbol's version nobody speaks.
        let name = name.split(|b| *b == b'@').next()?;
        Some(Function { start: s.address(), size: s.size(), name: name.into() })
    });
    named.collect()
}

/// By start; of several names the one that people use: without underscores in front, the shortest.
fn sorted(mut all: Vec<Function>) -> Vec<Function> {
    let hidden = |name: &[u8]| name.iter().take_while(|b| **b == b'_').count();
    all.sort_by(|a, b| {
        let key = |f: &Function| (f.start, hidden(&f.name), f.name.len());
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
    all.dedup_by(|a, b| a.start == b.start && a.name == b.name);
    all
}

//! Build-ids: the linker's fingerprint of an ELF file, in the file and in a process's memory.
//!
//! Knows ELF's notes; knows nothing of where files are looked for.

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader};

use super::{CoreFile, Memory};
use crate::error::Fault;

/// Whether a file is the core's libjvm, by the build-id of each; `Err` says how they differ.
pub(super) fn same_build(expected: &str, found: Option<&str>) -> Result<bool, String> {
    match found {
        Some(found) if found == expected => Ok(true),
        _ => Err(format!(
            "build-id {}, the core's libjvm.so has {expected}",
            found.unwrap_or("(none)")
        )),
    }
}

/// The build-id of an ELF file in hex; None if it has none, `Err` if it is no ELF.
pub(super) fn file_build_id(file: &[u8]) -> Result<Option<String>, String> {
    let not_elf = |_| "not a 64-bit ELF file".to_string();
    let header = FileHeader64::<LE>::parse(file).map_err(not_elf)?;
    let phdrs = header.program_headers(LE, file).map_err(not_elf)?;
    Ok(phdrs.iter().filter(|p| p.p_type(LE) == elf::PT_NOTE).find_map(|p| {
        let data = p.data(LE, file).ok()?;
        note_build_id(data, p.p_align(LE))
    }))
}

/// libjvm's build-id in the core's own memory: the kernel saves the first page of every
/// ELF file, and the note is there.
pub(super) fn build_id_in_core(core: &CoreFile) -> Option<String> {
    let base = core.libjvm()?.start;
    read_build_id(core.memory(), base).ok().flatten()
}

/// The same of the ELF file whose first byte is mapped at `base`, as far as its headers and notes are in memory.
pub(super) fn read_build_id(memory: &Memory, base: u64) -> Result<Option<String>, Fault> {
    let at = |offset: u64| base.wrapping_add(offset);
    if memory.u32(base)? != 0x464c_457f || memory.u8(at(4))? != 2 {
        return Ok(None);
    }
    let phoff = memory.u64(at(32))?;
    let count = u64::from(memory.u16(at(56))?.min(64));
    let phdr = |i: u64| at(phoff).wrapping_add(i * 56);
    let mut bias = base;
    for i in 0..count {
        // PT_LOAD of file offset 0.
        if memory.u32(phdr(i))? == 1 && memory.u64(phdr(i).wrapping_add(8))? == 0 {
            bias = base.wrapping_sub(memory.u64(phdr(i).wrapping_add(16))?);
        }
    }
    for i in (0..count).filter(|&i| memory.u32(phdr(i)) == Ok(4)) {
        let start = bias.wrapping_add(memory.u64(phdr(i).wrapping_add(16))?);
        let len = memory.u64(phdr(i).wrapping_add(40))?.min(64 << 10);
        let align = memory.u64(phdr(i).wrapping_add(48))?;
        let mut data = vec![0; len as usize];
        if memory.read_into(start, &mut data).is_ok()
            && let Some(id) = note_build_id(&data, align)
        {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

fn note_build_id(data: &[u8], align: u64) -> Option<String> {
    let align = if align == 8 { 8 } else { 4 };
    let notes = NoteIterator::<FileHeader64<LE>>::new(LE, align, data).ok()?;
    let note = notes
        .map_while(|n| n.ok())
        .find(|n| n.name() == b"GNU" && n.n_type(LE) == elf::NT_GNU_BUILD_ID)?;
    Some(note.desc().iter().map(|b| format!("{b:02x}")).collect())
}

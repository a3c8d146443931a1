//! The core's ELF headers and notes.
//!
//! Knows the layout of the kernel's note structures (the same on all 64-bit CPUs, but for the length
//! of `pr_reg`); knows nothing of what is in memory.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::pod;
use object::read::elf::{FileHeader, Note, NoteIterator, ProgramHeader};

use super::{CoreFile, FileMapping, PsInfo, Segment, SigInfo, ThreadNote, Truncation};
use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::format::memory_map::{MemoryMap, NT_MEMORY};
use crate::format::notes::{NT_ORIGIN, NT_ORIGIN_OLD, OWNER};
use crate::format::process::{prpsinfo, prstatus};
use crate::mapped::Mapped;
use crate::unpack::Packing;

type Header = FileHeader64<LE>;
type Phdr = ProgramHeader64<LE>;

/// Reads headers and notes; lays no memory.
pub(super) fn read(path: &Path, file: Arc<Mapped>) -> Result<CoreFile> {
    let not = |what: String| Error::NotACore { path: path.into(), what };
    let data = &file[..];
    if let Some(what) = foreign(data) {
        return Err(not(what));
    }
    let header = Header::parse(data).map_err(|e| not(format!("damaged ELF header: {e}")))?;
    let machine = header.e_machine(LE).0;
    let cpu = Cpu::of_machine(machine).ok_or_else(|| {
        not(format!("a core of ELF machine {machine}; rjcore reads {}", Cpu::names()))
    })?;
    let phdrs = program_headers(header, data).map_err(not)?;
    let mut core = CoreFile {
        path: path.to_owned(),
        cpu,
        segments: Vec::new(),
        notes: Vec::new(),
        memory: Default::default(),
        mappings: Vec::new(),
        threads: Vec::new(),
        siginfo: None,
        psinfo: None,
        auxv: Vec::new(),
        libraries: None,
        origin: None,
        truncation: None,
        libjvm_build_id: None,
        libjvm_file: None,
        rebuilt: super::RebuiltPages::default(),
        backing: Vec::new(),
        bundle: Vec::new(),
        file: file.clone(),
    };
    let mut cut = Truncation::default();
    for p in phdrs {
        let (offset, filesz) = p.file_range(LE);
        if p.p_type(LE) == elf::PT_LOAD {
            core.segments.push(Segment {
                start: p.p_vaddr(LE),
                memsz: p.p_memsz(LE),
                filesz,
                offset,
                flags: p.p_flags(LE).0,
            });
        } else if p.p_type(LE) == elf::PT_NOTE {
            let range = clip(offset, filesz, data.len());
            let missing = filesz - range.len() as u64;
            cut.notes_missing = cut.notes_missing.saturating_add(missing);
            core.read_notes(data.get(range.clone()).unwrap_or_default(), p.p_align(LE));
            core.notes.push(range);
        }
    }
    cut.missing_bytes = cut.notes_missing;
    core.truncation = Some(cut);
    core.mappings.sort_by_key(|m| m.start);
    Ok(core)
}

fn clip(offset: u64, len: u64, file_len: usize) -> Range<usize> {
    let from = offset.min(file_len as u64);
    let to = offset.saturating_add(len).min(file_len as u64);
    from as usize..to as usize
}

/// What the file is, when it is no core that we read.
fn foreign(data: &[u8]) -> Option<String> {
    if !data.starts_with(b"\x7fELF") {
        let what = if data.starts_with(b"JAVA PROFILE") {
            "this is an HPROF heap dump already, which holds objects and no process: rjcore histo counts \
             them, and heap analysers open it"
        } else if let Some(packing) = Packing::of(data) {
            return Some(format!(
                "compressed more than once: a {} archive within another; unpack it first",
                packing.name()
            ));
        } else if let Some(kind) = Packing::unread(data) {
            return Some(format!(
                "a {kind} archive, which rjcore does not unpack; unpack it first"
            ));
        } else if data.iter().take(4096).all(|&b| b == 0) {
            "starts with zeros, not with an ELF header; the core was not written completely"
        } else {
            "not an ELF file; give the core that gcore or the kernel wrote"
        };
        return Some(what.into());
    }
    let byte = |i: usize| data.get(i).copied().unwrap_or(0);
    if data.len() < size_of::<Header>() {
        return Some(format!("cut off within the ELF header, after {} bytes", data.len()));
    }
    if byte(4) == 1 {
        return Some("a 32-bit ELF file; rjcore reads 64-bit JVMs only".into());
    }
    if byte(5) == 2 {
        return Some("a big-endian ELF file; rjcore reads little-endian ones only".into());
    }
    let half = |i| u16::from_le_bytes([byte(i), byte(i + 1)]);
    let kind = match half(16) {
        4 => "",
        1 => "a relocatable object file",
        2 => "an ELF executable",
        3 => "an ELF shared library or executable",
        _ => "an ELF file of unknown type",
    };
    if !kind.is_empty() {
        return Some(format!("{kind}, not a core; give the core that gcore or the kernel wrote"));
    }
    None
}

/// The program headers; a table that is cut off is an error.
fn program_headers<'a>(header: &Header, data: &'a [u8]) -> Result<&'a [Phdr], String> {
    let offset = header.e_phoff(LE);
    let size = size_of::<Phdr>() as u64;
    if usize::from(header.e_phentsize(LE)) != size as usize {
        return Err("damaged ELF header: program headers of an unknown size".into());
    }
    let table = data.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or(&[]);
    let count = match header.phnum(LE, data) {
        Ok(n) => u64::from(n),
        // More than 65,534 segments: the count is in a section header, which the kernel
        // writes last. When that is cut off, the first segment's data ends the table.
        Err(_) => match pod::from_bytes::<Phdr>(table) {
            Ok((first, _)) if first.p_offset(LE) > offset => (first.p_offset(LE) - offset) / size,
            _ => return Err("cut off, and the count of its segments with it".into()),
        },
    };
    if count == 0 {
        return Err("a core without program headers; it holds no memory".into());
    }
    let have = table.len() as u64 / size;
    if have < count {
        return Err(format!(
            "cut off within the program headers: {have} of {count} are there; \
             copy the core again, or free disk space and take a new one"
        ));
    }
    let (phdrs, _) = pod::slice_from_bytes::<Phdr>(table, count as usize)
        .map_err(|()| "damaged ELF header: program headers are not aligned".to_string())?;
    Ok(phdrs)
}

impl CoreFile {
    /// What Linux said of the process's memory, if rjcore took the core of a live process. It is read anew each time.
    pub fn memory_map(&self) -> Option<MemoryMap> {
        self.raw_notes().find_map(|data| {
            let notes = NoteIterator::<Header>::new(LE, 4, data).ok()?.map_while(|n| n.ok());
            let is_ours =
                |n: &Note<'_, Header>| n.name() == OWNER.as_bytes() && n.n_type(LE).0 == NT_MEMORY;
            MemoryMap::of_note(notes.filter(is_ours).last()?.desc())
        })
    }

    /// Takes what is readable; a damaged note ends the segment's notes.
    fn read_notes(&mut self, data: &[u8], align: u64) {
        let align = if align == 8 { 8 } else { 4 };
        let Ok(notes) = NoteIterator::<Header>::new(LE, align, data) else { return };
        for note in notes.map_while(|n| n.ok()) {
            let ours = matches!(note.n_type(LE).0, NT_ORIGIN | NT_ORIGIN_OLD);
            if note.name() == OWNER.as_bytes() && ours {
                self.origin = serde_json::from_slice(note.desc()).ok();
            }
            if note.name() != b"CORE" {
                continue;
            }
            let d = note.desc();
            match note.n_type(LE) {
                elf::NT_PRSTATUS => self.threads.extend(prstatus(d, self.cpu)),
                elf::NT_PRPSINFO if self.psinfo.is_none() => self.psinfo = psinfo(d),
                // gdb writes one for each thread: the first is the process's.
                elf::NT_SIGINFO if self.siginfo.is_none() => self.siginfo = siginfo(d),
                elf::NT_AUXV if self.auxv.is_empty() => self.auxv = auxv(d),
                elf::NT_FILE => self.mappings.extend(files(d)),
                _ => {}
            }
        }
    }
}

fn int<const N: usize>(d: &[u8], at: usize) -> Option<[u8; N]> {
    d.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn i32_at(d: &[u8], at: usize) -> Option<i32> {
    int(d, at).map(i32::from_le_bytes)
}

fn u64_at(d: &[u8], at: usize) -> Option<u64> {
    int(d, at).map(u64::from_le_bytes)
}

/// `struct elf_prstatus`, linux/elfcore.h.
fn prstatus(d: &[u8], cpu: Cpu) -> Option<ThreadNote> {
    use prstatus::{CURSIG, PID, REGISTERS, STIME, UTIME};
    let micros = |at| Some(u64_at(d, at)?.wrapping_mul(1_000_000).wrapping_add(u64_at(d, at + 8)?));
    Some(ThreadNote {
        tid: i32_at(d, PID)?,
        cpu_us: micros(UTIME)?.wrapping_add(micros(STIME)?),
        signal: i16::from_le_bytes(int(d, CURSIG)?).into(),
        regs: d.get(REGISTERS..REGISTERS + cpu.facts().registers * 8)?.to_vec(),
        cpu,
    })
}

/// `struct elf_prpsinfo`, linux/elfcore.h.
fn psinfo(d: &[u8]) -> Option<PsInfo> {
    let text = |r: Range<usize>| {
        let all = d.get(r)?;
        let text = String::from_utf8_lossy(all.split(|&b| b == 0).next().unwrap_or(&[]));
        Some(text.trim_end().to_owned())
    };
    use prpsinfo::{ARGUMENTS, NAME, PID};
    Some(PsInfo { pid: i32_at(d, PID)?, command: text(NAME)?, args: text(ARGUMENTS)? })
}

/// `siginfo_t`, asm-generic/siginfo.h.
fn siginfo(d: &[u8]) -> Option<SigInfo> {
    Some(SigInfo { signo: i32_at(d, 0)?, code: i32_at(d, 8)?, addr: u64_at(d, 16)? })
}

fn auxv(d: &[u8]) -> Vec<(u64, u64)> {
    let (words, _) = d.as_chunks::<16>();
    let pairs = words.iter().filter_map(|w| Some((u64_at(w, 0)?, u64_at(w, 8)?)));
    pairs.take_while(|p| p.0 != 0).collect()
}

/// NT_FILE, fs/binfmt_elf.c `fill_files_note`: count, page size, (start, end, offset in
/// pages) each, then the paths. gdb writes a page size of 1.
fn files(d: &[u8]) -> Vec<FileMapping> {
    let (Some(count), Some(page)) = (u64_at(d, 0), u64_at(d, 8)) else { return Vec::new() };
    let Some(table) = d.get(16..) else { return Vec::new() };
    let Some(count) = usize::try_from(count).ok().filter(|&n| n <= table.len() / 25) else {
        return Vec::new();
    };
    let Some((table, names)) = table.split_at_checked(count * 24) else { return Vec::new() };
    let (entries, _) = table.as_chunks::<24>();
    let mut out = Vec::new();
    for (e, name) in entries.iter().zip(names.split(|&b| b == 0)) {
        let (Some(start), Some(end), Some(at)) = (u64_at(e, 0), u64_at(e, 8), u64_at(e, 16)) else {
            continue;
        };
        if start >= end {
            continue;
        }
        let file_offset = at.checked_mul(page).filter(|o| o.checked_add(end - start).is_some());
        if let Some(file_offset) = file_offset {
            let path = String::from_utf8_lossy(name).into_owned();
            out.push(FileMapping { start, end, file_offset, path });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    fn bytes(at: &[(usize, &[u8])], len: usize) -> Vec<u8> {
        let mut d = vec![0; len];
        at.iter().for_each(|(at, b)| d[*at..at + b.len()].copy_from_slice(b));
        d
    }

    #[test]
    fn psinfo_of_the_kernel() {
        let pid = 4711i32.to_le_bytes();
        let d = bytes(&[(24, &pid), (40, b"java\0rest"), (56, b"java -Xmx1g Main   ")], 136);
        let p = psinfo(&d).expect("a whole note");
        assert_eq!((p.pid, &p.command[..], &p.args[..]), (4711, "java", "java -Xmx1g Main"));
        // Both fill their fields without a NUL.
        let full = psinfo(&bytes(&[(24, &pid), (40, &[b'x'; 96])], 136)).expect("a whole note");
        assert_eq!((full.command.len(), full.args.len()), (16, 80));
        assert_eq!(psinfo(&d[..135]), None);
    }

    #[test]
    fn siginfo_of_a_fault() {
        let address = 0x7f00_0000_0010u64.to_le_bytes();
        let d = bytes(&[(0, &[11]), (8, &(-6i32).to_le_bytes()), (16, &address)], 128);
        let s = siginfo(&d).expect("a whole note");
        assert_eq!((s.signo, s.code, s.addr), (11, -6, 0x7f00_0000_0010));
        assert!(siginfo(&d[..23]).is_none());
    }

    #[test]
    fn auxv_ends_at_its_null() {
        assert_eq!(auxv(&words(&[6, 4096, 33, 0x7fff, 0, 0, 9, 9])), [(6, 4096), (33, 0x7fff)]);
        // Cut off within a pair.
        assert_eq!(auxv(&words(&[6, 4096, 33])), [(6, 4096)]);
        assert_eq!(auxv(&[]), []);
    }

    fn mapped(d: &[u8]) -> Vec<(u64, u64, u64, String)> {
        files(d).into_iter().map(|f| (f.start, f.end, f.file_offset, f.path)).collect()
    }

    #[test]
    fn files_count_in_the_page_size_that_they_name() {
        let names = b"/lib/libjvm.so\0/tmp/x (deleted)\0";
        let table = [0x1000, 0x3000, 2, 0x5000, 0x6000, 0];
        for (page, offset) in [(4096, 8192), (1, 2), (65536, 131072)] {
            let d = [words(&[2, page]), words(&table), names.to_vec()].concat();
            let jvm = (0x1000, 0x3000, offset, "/lib/libjvm.so".to_owned());
            assert_eq!(mapped(&d), [jvm, (0x5000, 0x6000, 0, "/tmp/x (deleted)".to_owned())]);
        }
    }

    #[test]
    fn files_that_cannot_be_are_left_out() {
        let one = |count: u64, page: u64, entry: [u64; 3], name: &[u8]| {
            mapped(&[words(&[count, page]), words(&entry), name.to_vec()].concat())
        };
        assert_eq!(one(1, 4096, [0x1000, 0x2000, 0], b"/a\0").len(), 1);
        // More than there is room for; an end before its start; an offset beyond any file.
        assert_eq!(one(u64::MAX, 4096, [0x1000, 0x2000, 0], b"/a\0"), []);
        assert_eq!(one(1, 4096, [0x2000, 0x2000, 0], b"/a\0"), []);
        assert_eq!(one(1, 4096, [0x1000, 0x2000, u64::MAX / 2], b"/a\0"), []);
        assert_eq!(mapped(&words(&[1])), []);
        assert_eq!(mapped(b""), []);
    }
}

//! Where the libraries of a core without NT_FILE are mapped: by their headers, in memory or in
//! the file, and which file is the right one by its dynamic section.
//!
//! Knows what an ELF image in memory shows of its file; how ld.so lists the images is
//! `linkmap`'s matter, and how files are looked for `backing`'s.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use super::backing::{Candidate, Sysroot, WhyMissing, absent, map};
use super::linkmap::{Library, MAX_DYNAMIC, MAX_PROGRAM_HEADERS, PHDR, walk};
use super::{CoreFile, FileMapping, Memory, Segment};
use crate::error::{Advice, Error, Result};

/// libjvm's data, relocations included, is some MB; larger segments are heaps.
const MAX_DATA: u64 = 256 << 20;

/// One PT_LOAD of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    offset: u64,
    vaddr: u64,
    filesz: u64,
    memsz: u64,
    flags: u32,
}

impl CoreFile {
    /// Fills [`CoreFile::mappings`] from ld.so's list.
    pub(super) fn find_libraries(&mut self) {
        let mut found = walk(self);
        let mut places: HashMap<String, Vec<FileMapping>> = HashMap::new();
        for lib in &mut found.loaded {
            let loads = loads_in_memory(&self.memory, lib.bias);
            lib.exact = loads.is_some();
            let of_it = match loads {
                Some(loads) => self.exact_places(&lib.path, lib.bias, &loads),
                None => self.rough_place(&lib.path, lib.bias).into_iter().collect(),
            };
            // Of two at one path the later one counts.
            places.insert(lib.path.clone(), of_it);
        }
        self.mappings.extend(places.into_values().flatten());
        self.mappings.sort_by_key(|m| m.start);
        self.libraries = Some(found);
    }

    /// libjvm's data, zeroed data included, as (start, end); empty where its headers are nowhere.
    pub fn libjvm_data(&self) -> Vec<(u64, u64)> {
        let base = self.libjvm_base().unwrap_or(0);
        let loads = loads_in_memory(&self.memory, base).unwrap_or_default();
        let place = |l: &Load| {
            let start = base.wrapping_add(l.vaddr);
            (start & !(self.page_size() - 1), start.saturating_add(l.memsz))
        };
        loads.iter().filter(|l| l.flags & 2 != 0).map(place).collect()
    }

    /// What the core lacks of libjvm's data, which no file has; none where all is there.
    pub fn lost_libjvm_data(&self) -> Option<Error> {
        let data = self.libjvm_data();
        let all: u64 = data.iter().map(|d| d.1 - d.0).sum();
        let lost: u64 = data.iter().map(|d| absent(&self.memory, d.0, d.1)).sum();
        let what = format!("{lost} of the {all} bytes of libjvm's data");
        let alike = "no file has them, libjvm.so holds what they were before the JVM started";
        (lost > 0).then(|| match self.truncation() {
            Some(_) => Error::CutOff(format!(
                "{what}, through which all of the VM is found, lie in the part of the core that \
                 is cut off, and {alike}; copy the core again if its source is whole, else take \
                 another one with room for all of it (ulimit -c unlimited; ProcessSizeMax and \
                 ExternalSizeMax in systemd's coredump.conf), or with rjcore capture, which puts \
                 them first"
            )),
            None => Error::no_jvm(format!(
                "{what}, through which all of the VM is found, were not saved, and {alike}; the \
                 kernel saves them where bits 0 and 1 of /proc/PID/coredump_filter are set, \
                 rjcore capture always does"
            )),
        })
    }

    /// Lists the file's mappings as ld.so makes them of its PT_LOADs, instead of those of the
    /// same path that were known before.
    fn place(&mut self, path: &str, bias: u64, loads: &[Load]) {
        let places = self.exact_places(path, bias, loads);
        self.mappings.retain(|m| m.path != path);
        self.mappings.extend(places);
        self.mappings.sort_by_key(|m| m.start);
    }

    fn exact_places(&self, path: &str, bias: u64, loads: &[Load]) -> Vec<FileMapping> {
        let page = self.page_size();
        let place = |l: &Load| {
            let (start, end) = (bias.wrapping_add(l.vaddr), bias.wrapping_add(l.vaddr + l.filesz));
            let within = l.vaddr % page;
            let end = end.checked_next_multiple_of(page)?;
            let start = start.checked_sub(within).filter(|&s| s < end)?;
            let file_offset = l.offset.checked_sub(within)?;
            Some(FileMapping { start, end, file_offset, path: path.to_owned() })
        };
        loads.iter().filter(|l| l.filesz > 0).filter_map(place).collect()
    }

    /// The headers are not in the core: the first mapping is what the core has as one segment.
    fn rough_place(&self, path: &str, start: u64) -> Option<FileMapping> {
        let i = self.segments.partition_point(|s| s.start <= start);
        let holds = |s: &&Segment| start - s.start < s.memsz;
        let segment = i.checked_sub(1).and_then(|i| self.segments.get(i)).filter(holds);
        let end = segment
            .map_or(start.saturating_add(self.page_size()), |s| s.start.saturating_add(s.memsz));
        let path = path.to_owned();
        (start > 0 && start < end).then_some(FileMapping { start, end, file_offset: 0, path })
    }

    /// Looks in memory for the image of the libjvm.so given, where nothing tells where it is.
    pub(super) fn find_given(&mut self, given: Option<&Path>) -> Result<()> {
        let why = self.libraries.as_ref().and_then(|l| l.why.clone()).unwrap_or_default();
        let no = |what: &str, advice| {
            Err(Error::NoJvm { what: format!("{}: {what}", self.path.display()), advice })
        };
        if self.truncation().is_some_and(|t| t.notes_missing > 0) {
            return Err(Error::CutOff(format!(
                "{}: the core is cut off within its notes, so libjvm.so cannot be found in it; \
                 copy the core again if its source is whole, else take another one",
                self.path.display()
            )));
        }
        let Some(path) = given else {
            return no(
                &format!("the core has no list of mapped files (NT_FILE), and {why}"),
                Some(Advice::GiveLibjvm),
            );
        };
        let file = map(path).map_err(Error::io(path))?;
        let found = self.find_image(&file).zip(loads_in_file(&file));
        let Some((mut library, loads)) = found else {
            return no(
                &format!(
                    "the core has no list of mapped files (NT_FILE), and {why}; nor is {} in its \
                     memory",
                    path.display()
                ),
                Some(Advice::GiveLibjvm),
            );
        };
        library.exact = true;
        self.place(&library.path.clone(), library.bias, &loads);
        if let Some(libraries) = &mut self.libraries {
            libraries.loaded.push(library);
        }
        Ok(())
    }

    /// Of libraries whose headers are not in the core the files tell where they are mapped.
    pub(super) fn complete_libraries(
        &mut self,
        sysroot: &Sysroot,
        given: Option<&Candidate>,
        wanted: impl Fn(&FileMapping) -> bool,
    ) {
        let loaded = self.libraries.iter().flat_map(|l| &l.loaded).filter(|l| !l.exact);
        let rough: HashSet<&str> = loaded.map(|l| l.path.as_str()).collect();
        let rough = self.mappings.iter().filter(|m| rough.contains(m.path.as_str()));
        let rough: Vec<FileMapping> = rough.filter(|m| wanted(m)).cloned().collect();
        for mapping in rough {
            let loads = match given.filter(|_| mapping.is_libjvm()) {
                Some(c) => loads_in_file(&c.map),
                None => self
                    .search(&mapping, sysroot, &mut Vec::new(), &mut WhyMissing::default())
                    .and_then(|c| loads_in_file(&c.map)),
            };
            if let Some(loads) = loads {
                self.place(&mapping.path, mapping.start, &loads);
            }
        }
    }

    /// What the dynamic section says of a file for a library whose build-id is not in the
    /// core: that it is the right one (true), nothing (false), or why it is not.
    pub(super) fn same_dynamic(&self, path: &str, file: &[u8]) -> Result<bool, String> {
        let other = |what: &str| format!("of another build: its {what} is not that in the core");
        let mut loaded = self.libraries.iter().flat_map(|l| &l.loaded);
        let bias = match loaded.find(|l| l.path == path) {
            Some(library) => {
                let own = Dynamic::read(file).ok_or("it has no dynamic section")?;
                if own.address(library.bias) != library.dynamic {
                    return Err(other("dynamic section"));
                }
                library.bias
            }
            // Of a core that lists the mapped files: where the file's first byte is.
            None => {
                let of_it = || self.mappings().iter().filter(|m| m.path == path);
                let first = of_it().find(|m| m.file_offset == 0).map(|m| m.start);
                let (Some(bias), Some(loads)) = (first, loads_in_file(file)) else {
                    return Ok(false);
                };
                if loads_in_memory(&self.memory, bias).is_some_and(|there| there != loads) {
                    return Err(other("list of segments"));
                }
                // Where the process has no part of the file, whatever else is there is not compared.
                let own = Dynamic::read(file).map(|d| d.address(bias));
                if own.is_some_and(|at| !of_it().any(|m| (m.start..m.end).contains(&at))) {
                    return Err(other("dynamic section"));
                }
                bias
            }
        };
        let Some(own) = Dynamic::read(file) else { return Ok(false) };
        match own.is_at(&self.memory, bias) {
            Some(false) => Err(other("dynamic section")),
            same => Ok(same.is_some()),
        }
    }

    /// Where in memory the image of `file` is, by its dynamic section alone. None where it is
    /// not there or there more than once.
    fn find_image(&self, file: &[u8]) -> Option<Library> {
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
struct Dynamic {
    vaddr: u64,
    entries: Vec<(i64, u64)>,
}

impl Dynamic {
    fn read(file: &[u8]) -> Option<Dynamic> {
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
    fn is_at(&self, mem: &Memory, bias: u64) -> Option<bool> {
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
    fn address(&self, bias: u64) -> u64 {
        bias.wrapping_add(self.vaddr)
    }
}

/// The PT_LOADs of an ELF file.
fn loads_in_file(file: &[u8]) -> Option<Vec<Load>> {
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
        .map(|p| Load {
            offset: p.p_offset(LE),
            vaddr: p.p_vaddr(LE),
            filesz: p.p_filesz(LE),
            memsz: p.p_memsz(LE),
            flags: p.p_flags(LE).0,
        })
        .take(MAX_PROGRAM_HEADERS as usize)
        .collect();
    let sane = |l: &Load| {
        l.vaddr.checked_add(l.filesz).is_some() && l.offset.checked_add(l.filesz).is_some()
    };
    let first = out.first()?;
    (first.offset == 0 && first.vaddr == 0 && out.iter().all(sane)).then_some(out)
}

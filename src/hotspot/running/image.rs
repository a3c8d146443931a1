//! The libjvm of a live process: its image and tables, copied while it runs on.
//!
//! Knows where HotSpot's tables lie; how a process's memory is read is the caller's.

use std::io;
use std::sync::Arc;

use memmap2::MmapMut;

use crate::corefile::Memory;
use crate::hotspot::has_heap;
use crate::mapped::Mapped;
use crate::process::maps::{Mapping, libjvms};
use crate::process::peek::Peek;
use crate::symbols::Library;
use crate::vmstructs::{Fields, Tables};

/// libjvm.so has 25 MB at most, with its data.
const MAX_IMAGE: u64 = 256 << 20;

/// One libjvm.so.
#[derive(Debug)]
pub(crate) struct LiveImage {
    /// Its first address.
    pub base: u64,
    /// Its memory, as it was when it was copied.
    pub mem: Memory,
    /// What it exports.
    pub tables: Tables,
    /// The fields by them.
    pub fields: Fields,
    /// Whether a VM was made with it, be it that it was destroyed since.
    pub has_made_vm: bool,
}

impl LiveImage {
    /// The one that is mapped in `maps`: of several, the one that has a VM. `None` where it cannot
    /// be read, or is not HotSpot's.
    pub(crate) fn find(maps: &[Mapping], read: Peek<'_>) -> Option<LiveImage> {
        let all = libjvms(maps).filter_map(|libjvm| LiveImage::copy(maps, libjvm, read));
        all.reduce(|first, next| if first.has_made_vm { first } else { next })
    }

    fn copy(maps: &[Mapping], libjvm: &Mapping, read: Peek<'_>) -> Option<LiveImage> {
        let mem = copy(&parts(maps, libjvm), read).ok()?;
        let library = Library::read(&mem, libjvm.start, "gHotSpotVM").ok()?;
        let tables = Tables::read(&mem, &library).ok()?;
        let has_made_vm = has_heap(&mem, &tables)?;
        let fields = Fields::load(&tables);
        Some(LiveImage { base: libjvm.start, mem, tables, fields, has_made_vm })
    }
}

/// The readable parts of the library, and its bss, which the kernel shows as memory of no file.
fn parts<'m>(maps: &'m [Mapping], libjvm: &Mapping) -> Vec<&'m Mapping> {
    let mut out: Vec<&Mapping> = Vec::new();
    for m in maps.iter().filter(|m| m.start >= libjvm.start) {
        let follows = out.last().is_none_or(|last| last.end == m.start);
        let is_bss = m.file.1 == 0 && m.name.is_empty() && m.flags & 2 != 0;
        if !follows || !(m.file == libjvm.file || is_bss) {
            break;
        }
        out.push(m);
    }
    out.retain(|m| m.flags & 4 != 0);
    out
}

fn copy(parts: &[&Mapping], read: Peek<'_>) -> io::Result<Memory> {
    let mut out = Memory::default();
    let mut left = MAX_IMAGE;
    for m in parts {
        left = left.checked_sub(m.bytes()).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut bytes = MmapMut::map_anon(m.bytes() as usize)?;
        read(m.start, &mut bytes)?;
        let bytes = Arc::new(Mapped::try_from(bytes)?);
        out.lay_under(m.start, m.bytes(), &bytes, 0);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_and_what_follows_it() {
        let m = |start, end, file, flags| Mapping {
            file: (1, file),
            flags,
            ..Mapping::plain(start, end)
        };
        let maps = [
            m(0x1000, 0x2000, 7, 4),
            m(0x2000, 0x3000, 7, 0),
            m(0x3000, 0x4000, 7, 6),
            m(0x4000, 0x5000, 0, 6),
            m(0x5000, 0x6000, 8, 6),
            m(0x6000, 0x7000, 7, 6),
        ];
        let starts: Vec<u64> = parts(&maps, &maps[0]).iter().map(|m| m.start).collect();
        assert_eq!(starts, [0x1000, 0x3000, 0x4000]);
    }
}

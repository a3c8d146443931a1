//! What a live VM's own memory says of its attach door: read by its own tables, while it runs on.
//!
//! The one place where the commands on live JVMs meet vmStructs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};

use crate::capture::maps::{self, Mapping};
use crate::corefile::Memory;
use crate::hotspot::flags::address;
use crate::hotspot::has_heap;
use crate::live::inside::Inside;
use crate::live::target::Target;
use crate::symbols::Library;
use crate::vmstructs::{Fields, Tables};

/// libjvm.so has 25 MB at most, with its data.
const MAX_IMAGE: u64 = 256 << 20;
/// PATH_MAX
const MAX_PATH: usize = 4096;

/// Reads it by /proc/PID/mem; `None` without the right to, or if libjvm is not HotSpot's.
pub fn look(target: &Target) -> Option<Inside> {
    let pid = target.pid();
    let path = format!("/proc/{pid}/mem");
    let memory = target.look(|| File::open(&path)).ok()?;
    let maps = target.look(|| maps::read(pid)).ok()?;
    let all: Vec<Inside> =
        target.libjvms.iter().filter_map(|libjvm| of(&memory, &maps, libjvm)).collect();
    let made = all.iter().position(|i| i.has_made_vm);
    all.into_iter().nth(made.unwrap_or(0))
}

fn of(memory: &File, maps: &[Mapping], libjvm: &Mapping) -> Option<Inside> {
    let mem = copy(memory, &image(maps, libjvm)).ok()?;
    let library = Library::read(&mem, libjvm.start, "gHotSpotVM").ok()?;
    let tables = Tables::read(&mem, &library).ok()?;
    let fields = Fields::load(&tables);
    let flag = |name| address(&mem, &tables, &fields, name);
    let is_disabled = mem.u8(flag("DisableAttachMechanism")?).ok()? != 0;
    let has_made_vm = has_heap(&mem, &tables)?;
    let temp = flag("AltTempDir").and_then(|at| text(memory, mem.u64(at).ok()?));
    Some(Inside { libjvm: libjvm.start, has_made_vm, is_disabled, temp })
}

/// The readable parts of the library, and its bss, which the kernel shows as memory of no file.
fn image<'m>(maps: &'m [Mapping], libjvm: &Mapping) -> Vec<&'m Mapping> {
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

fn copy(memory: &File, parts: &[&Mapping]) -> io::Result<Memory> {
    let mut out = Memory::default();
    let mut left = MAX_IMAGE;
    for m in parts {
        left = left.checked_sub(m.bytes()).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut bytes = MmapMut::map_anon(m.bytes() as usize)?;
        memory.read_exact_at(&mut bytes, m.start)?;
        let bytes: Arc<Mmap> = Arc::new(bytes.make_read_only()?);
        out.lay_under(m.start, m.bytes(), &bytes, 0);
    }
    Ok(out)
}

/// The C string at `at`; none for a null pointer.
fn text(memory: &File, at: u64) -> Option<String> {
    let mut bytes = vec![0; MAX_PATH];
    // To the end of its page, and on to the next if that is there.
    let first = (maps::PAGE - at % maps::PAGE) as usize;
    memory.read_exact_at(&mut bytes[..first], at).ok()?;
    let _ = memory.read_exact_at(&mut bytes[first..], at + first as u64);
    let end = bytes.iter().position(|b| *b == 0)?;
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
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
        let starts: Vec<u64> = image(&maps, &maps[0]).iter().map(|m| m.start).collect();
        assert_eq!(starts, [0x1000, 0x3000, 0x4000]);
        assert_eq!(text(&File::open("/dev/null").expect("a file"), 0), None);
    }
}

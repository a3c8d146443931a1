//! Which pages go into the core, and where.
//!
//! Knows kinds of mappings and the layout of the file; knows nothing of how pages are read.

use super::pages::Run;
use crate::cpu::Cpu;
use crate::format::front::{Load, Need, front, front_len};
use crate::format::ranges::{Ranges, fewer, union};
use crate::process::maps::{Kind, Mapping, PAGE, is_libjvm};

/// A private mapping of a file of which some pages were changed is saved whole, as the kernel
/// does, up to this size; of a larger one only the changed pages are.
const WHOLE: u64 = 64 << 20;
/// Empty program headers kept for stretches that prove unreadable while the core is written.
const SPARE: usize = 64;

/// Where the bytes of a mapping come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// The memory of the snapshot or of the process.
    Memory,
    /// The copy of the process's private memory.
    Image,
    /// The copy of the shared object of this index; addresses are offsets in it.
    Shared(usize),
}

/// What of a mapping is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Saved {
    /// The pages, in order.
    pub runs: Ranges,
    /// The other pages are zero; otherwise they are a file's, and not in the core.
    pub rest_is_zero: bool,
}

/// Which pages of a mapping go into the core, by the pages that are there.
///
/// `full`: those of files too that no reader needs. `file_end` is where the file's last page
/// ends: pages beyond it cannot be read. Shared memory is not decided here.
pub(super) fn saved(m: &Mapping, present: &[Run], full: bool, file_end: Option<u64>) -> Saved {
    let all = |runs: &mut dyn Iterator<Item = &Run>| runs.map(|r| (r.start, r.end)).collect();
    let in_file = match file_end {
        Some(end) => m.end.min(m.start.saturating_add(end.saturating_sub(m.offset))),
        None => m.end,
    };
    let whole = || if m.start < in_file { vec![(m.start, in_file)] } else { Vec::new() };
    let runs: Ranges = match m.kind() {
        Kind::Anonymous => all(&mut present.iter()),
        Kind::Vdso => whole(),
        Kind::PrivateFile => {
            let own: Ranges = all(&mut present.iter().filter(|r| !r.file));
            if full || m.is_needed() || (!own.is_empty() && m.bytes() <= WHOLE) {
                whole()
            } else if own.is_empty() && m.offset == 0 && m.flags & 4 != 0 {
                // The ELF header and the build-id, as the kernel keeps them.
                vec![(m.start, in_file.min(m.start + PAGE))]
            } else {
                own
            }
        }
        Kind::SharedFile if full || m.is_needed() => whole(),
        Kind::SharedFile | Kind::SharedMemory | Kind::Foreign => Vec::new(),
    };
    Saved { runs, rest_is_zero: m.kind() == Kind::Anonymous }
}

/// A run of bytes of the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it goes in the file.
    pub at: u64,
    /// Its address, or its offset in a shared object.
    pub addr: u64,
    /// Bytes.
    pub len: u64,
    /// Where it comes from.
    pub holder: Holder,
}

/// The core, before its memory is read.
#[derive(Debug)]
pub(super) struct Layout {
    /// The segments, by address.
    pub loads: Vec<Load>,
    /// What is to be copied, in the file's order.
    pub pieces: Vec<Piece>,
    /// Bytes of the file.
    pub size: u64,
    cpu: Cpu,
    notes: (u64, u64),
    headers: usize,
}

/// Shared memory: what is mapped of it, and what of that holds data, as offsets.
#[derive(Debug, Default)]
pub(super) struct SharedPlan {
    /// Device and inode.
    pub file: (u64, u64),
    /// Mapped parts, in order and disjoint.
    pub extents: Ranges,
    /// Parts with data, in order.
    pub data: Ranges,
}

/// Lays out a core of these mappings, with `notes` bytes of notes.
///
/// What is mapped at several addresses has several segments and one place in the file.
pub(super) fn lay(
    cpu: Cpu,
    notes: u64,
    maps: &[(Mapping, Saved, Holder)],
    shared: &[SharedPlan],
) -> Layout {
    let count: usize = 1 + maps.iter().map(|(_, s, _)| s.runs.len().max(1) + 1).sum::<usize>();
    // An upper bound: a mapping with zeros between its runs is one segment.
    let headers = count + SPARE;
    let notes = (front_len(headers).next_multiple_of(8), notes);
    let mut at = (notes.0 + notes.1).next_multiple_of(PAGE);
    let mut layout = Layout { loads: Vec::new(), pieces: Vec::new(), size: 0, cpu, notes, headers };
    // Places of shared extents: (object, extent, file offset).
    let mut places = Vec::new();
    let mut later = Vec::new();
    for (m, saved, holder) in most_needed_first(maps) {
        if m.kind() == Kind::SharedMemory {
            later.push(m);
            continue;
        }
        layout.private(m, saved, *holder, &mut at);
    }
    for (index, object) in shared.iter().enumerate() {
        for &(start, end) in &object.extents {
            places.push((object.file, start, end, at));
            let inside = object.data.iter().filter(|d| d.0 < end && start < d.1);
            layout.pieces.extend(inside.map(|d| {
                let (from, to) = (d.0.max(start), d.1.min(end));
                let holder = Holder::Shared(index);
                Piece { at: at + (from - start), addr: from, len: to - from, holder }
            }));
            at += end - start;
        }
    }
    places.sort_unstable();
    for m in later {
        let behind = places.partition_point(|p| (p.0, p.1) <= (m.file, m.offset));
        let place = behind.checked_sub(1).map(|i| places[i]);
        let place = place.filter(|p| p.0 == m.file && m.offset + m.bytes() <= p.2);
        let offset = place.map_or(0, |p| p.3 + (m.offset - p.1));
        let filesz = if place.is_some() { m.bytes() } else { 0 };
        let (start, memsz) = (m.start, m.bytes());
        layout.loads.push(Load { start, memsz, filesz, offset, flags: m.flags });
    }
    layout.loads.sort_by_key(|l| l.start);
    layout.put_in_order();
    layout.size = at;
    layout
}

/// A core may lose its end to a full disk or a limit. What is of no use without the rest, a heap
/// above all, goes last: first libjvm's data, without which nothing can be read, then its symbols,
/// then all else, the smallest first.
fn most_needed_first(maps: &[(Mapping, Saved, Holder)]) -> Vec<&(Mapping, Saved, Holder)> {
    let mut libjvm_ends = None;
    let rank = |m: &Mapping| {
        let is_libjvm = is_libjvm(m);
        // Its zeroed data has no file.
        let is_bss = libjvm_ends == Some(m.start) && !m.has_file();
        libjvm_ends = (is_libjvm || is_bss).then_some(m.end);
        Need::of(is_libjvm || is_bss, m.flags)
    };
    let ranks: Vec<Need> = maps.iter().map(|m| &m.0).map(rank).collect();
    let mut out: Vec<_> = ranks.into_iter().zip(maps).collect();
    out.sort_by_key(|(rank, (m, saved, _))| {
        let bytes = match saved.rest_is_zero {
            true => m.bytes(),
            false => saved.runs.iter().map(|r| r.1 - r.0).sum(),
        };
        (*rank, bytes)
    });
    out.into_iter().map(|(_, m)| m).collect()
}

impl Layout {
    fn private(&mut self, m: &Mapping, saved: &Saved, holder: Holder, at: &mut u64) {
        let mut load = |start: u64, end: u64, filesz: u64, offset: u64| {
            self.loads.push(Load { start, memsz: end - start, filesz, offset, flags: m.flags });
        };
        let runs = &saved.runs;
        // A reservation without access that nobody ever touched holds nothing.
        let nothing = runs.is_empty() && (m.flags == 0 || !saved.rest_is_zero);
        if nothing {
            load(m.start, m.end, 0, *at);
            return;
        }
        if saved.rest_is_zero {
            load(m.start, m.end, m.bytes(), *at);
            let place = |r: &(u64, u64)| Piece {
                at: *at + (r.0 - m.start),
                addr: r.0,
                len: r.1 - r.0,
                holder,
            };
            self.pieces.extend(runs.iter().map(place));
            *at += m.bytes();
            return;
        }
        if m.start < runs[0].0 {
            load(m.start, runs[0].0, 0, *at);
        }
        for (i, &(start, end)) in runs.iter().enumerate() {
            let next = runs.get(i + 1).map_or(m.end, |r| r.0);
            load(start, next, end - start, *at);
            self.pieces.push(Piece { at: *at, addr: start, len: end - start, holder });
            *at += end - start;
        }
    }

    /// The writer goes forward through the file, and by each place once. A process that becomes
    /// another program while it is looked at can have its pages told in any order.
    fn put_in_order(&mut self) {
        self.pieces.sort_by_key(|p| p.at);
        let mut end = 0u64;
        self.pieces.retain_mut(|p| {
            let again = end.saturating_sub(p.at).min(p.len);
            *p = Piece { at: p.at + again, addr: p.addr + again, len: p.len - again, ..*p };
            end = end.max(p.at + p.len);
            p.len > 0
        });
    }

    /// The file up to the notes' end, with `notes` in it; memory in `bad` (addresses) is shown
    /// as not saved. Where there are not enough headers for all stretches, what lies between the
    /// nearest is shown as not saved, too. Answers what is.
    pub(super) fn front(&self, notes: &[u8], bad: &[(u64, u64)]) -> (Vec<u8>, Ranges) {
        let mut bad = union(bad.to_vec());
        let mut loads = without(&self.loads, &bad);
        while 1 + loads.len() > self.headers && bad.len() > 1 {
            bad = fewer(&bad, (bad.len() / 2).min(SPARE));
            loads = without(&self.loads, &bad);
        }
        let mut out = front(self.cpu.facts().machine, PAGE, &[self.notes], &loads, self.headers);
        out.resize(self.notes.0 as usize, 0);
        out.extend(notes);
        (out, bad)
    }
}

/// Splits the segments such that nothing in `bad` (addresses) counts as saved.
fn without(loads: &[Load], bad: &[(u64, u64)]) -> Vec<Load> {
    let mut out = Vec::with_capacity(loads.len());
    for load in loads {
        let (mut load, end) = (*load, load.start + load.memsz);
        let inside = bad.iter().filter(|b| b.0 < load.start + load.filesz && load.start < b.1);
        let inside: Vec<_> = inside.copied().collect();
        for (from, to) in inside {
            let (from, to) = (from.max(load.start), to.min(load.start + load.filesz));
            let rest = Load {
                start: to,
                memsz: end - to,
                filesz: load.start + load.filesz - to,
                offset: load.offset + (to - load.start),
                flags: load.flags,
            };
            load.filesz = from - load.start;
            load.memsz = to - load.start;
            out.push(load);
            load = rest;
        }
        if load.memsz > 0 {
            out.push(load);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(line: &str) -> Mapping {
        crate::process::maps::parse(line.as_bytes()).expect("a mapping")
    }

    fn run(start: u64, end: u64, file: bool) -> Run {
        Run { start, end, file, huge: false, swapped: false }
    }

    #[test]
    fn what_is_saved() {
        let of =
            |line: &str, present: &[Run], full| saved(&mapping(line), present, full, None).runs;
        let some = [run(0x2000, 0x3000, true), run(0x4000, 0x5000, false)];
        let anonymous = "1000-9000 rw-p 00000000 00:00 0 ";
        assert_eq!(of(anonymous, &some, false), [(0x2000, 0x3000), (0x4000, 0x5000)]);
        let library = "1000-9000 r-xp 00000000 fe:00 5 /lib/libc.so";
        assert_eq!(of(library, &some[..1], false), [(0x1000, 0x2000)]);
        assert_eq!(of(library, &some[..1], true), [(0x1000, 0x9000)]);
        assert_eq!(of(library, &some, false), [(0x1000, 0x9000)]);
        let jvm = "1000-9000 r-xp 00003000 fe:00 5 /lib/libjvm.so";
        assert_eq!(of(jvm, &[], false), [(0x1000, 0x9000)]);
        let large = "1000-9001000 rw-p 00000000 fe:00 5 /data";
        assert_eq!(of(large, &some, false), [(0x4000, 0x5000)]);
        let image = "1000-9000 r--s 00000000 fe:00 5 /lib/modules";
        assert_eq!(of(image, &some, false), []);
        assert_eq!(of("1000-9000 r--p 00000000 00:00 0 [vvar]", &some, false), []);
        // Nothing beyond the file's last page can be read.
        let short = saved(&mapping(jvm), &[], false, Some(0x5000));
        assert_eq!(short.runs, [(0x1000, 0x3000)]);
    }

    #[test]
    fn views_of_one_memory_have_one_place() {
        let view = |start: u64, offset: u64| {
            let end = start + 0x2000;
            mapping(&format!("{start:x}-{end:x} rw-s {offset:08x} 00:01 9 /memfd:heap (deleted)"))
        };
        let none = Saved { runs: vec![], rest_is_zero: true };
        let maps: Vec<_> = [view(0x10000, 0x1000), view(0x20000, 0x2000), view(0x30000, 0x1000)]
            .map(|m| (m, none.clone(), Holder::Memory))
            .into();
        let file = maps[0].0.file;
        let shared =
            SharedPlan { file, extents: vec![(0x1000, 0x4000)], data: vec![(0x2000, 0x3000)] };
        let layout = lay(Cpu::X86_64, 100, &maps, &[shared]);
        let at = layout.loads[0].offset;
        let offsets: Vec<u64> = layout.loads.iter().map(|l| l.offset - at).collect();
        assert_eq!(offsets, [0, 0x1000, 0]);
        assert!(layout.loads.iter().all(|l| l.filesz == 0x2000));
        let holder = Holder::Shared(0);
        assert_eq!(layout.pieces, [Piece { at: at + 0x1000, addr: 0x2000, len: 0x1000, holder }]);
        assert_eq!(layout.size, at + 0x3000);
    }

    /// Told out of order and one over the other, pages still go into the file forward and once.
    #[test]
    fn the_writer_goes_forward() {
        let runs = vec![(0x13000, 0x15000), (0x11000, 0x12000), (0x14000, 0x16000)];
        let m = Mapping::plain(0x10000, 0x18000);
        let layout =
            lay(Cpu::X86_64, 100, &[(m, Saved { runs, rest_is_zero: true }, Holder::Memory)], &[]);
        let at = layout.loads[0].offset;
        let pieces: Vec<_> = layout.pieces.iter().map(|p| (p.at - at, p.addr, p.len)).collect();
        let want =
            [(0x1000, 0x11000, 0x1000), (0x3000, 0x13000, 0x2000), (0x5000, 0x15000, 0x1000)];
        assert_eq!(pieces, want);
    }

    /// However many there are: what lies between the nearest is then told as not saved, too.
    #[test]
    fn many_unreadable_stretches() {
        let m = Mapping::plain(0x100_0000, 0x200_0000);
        let saved = Saved { runs: vec![(0x100_0000, 0x200_0000)], rest_is_zero: true };
        let layout = lay(Cpu::X86_64, 100, &[(m, saved, Holder::Memory)], &[]);
        let bad: Ranges =
            (0..1000u64).map(|i| 0x100_0000 + i * 0x3000).map(|a| (a, a + PAGE)).collect();
        let (front, told) = layout.front(&[0; 100], &bad);
        assert_eq!(front.len() as u64, layout.notes.0 + 100);
        assert!(told.len() > 1 && told.len() <= SPARE, "{}", told.len());
        assert!(bad.iter().all(|b| told.iter().any(|t| t.0 <= b.0 && b.1 <= t.1)));
        let few = [(0x100_1000, 0x100_2000)];
        assert_eq!(layout.front(&[0; 100], &few).1, few);
    }

    #[test]
    fn unreadable_stretches_are_not_saved() {
        let load = Load { start: 0x1000, memsz: 0x8000, filesz: 0x6000, offset: 0x100, flags: 6 };
        let split = without(&[load], &[(0x0, 0x2000), (0x4000, 0x5000), (0x6000, 0x9000)]);
        let parts: Vec<_> = split.iter().map(|l| (l.start, l.memsz, l.filesz, l.offset)).collect();
        assert_eq!(
            parts,
            [
                (0x1000, 0x1000, 0, 0x100),
                (0x2000, 0x3000, 0x2000, 0x1100),
                (0x5000, 0x2000, 0x1000, 0x4100),
                (0x7000, 0x2000, 0, 0x6100)
            ]
        );
        assert_eq!(without(&[load], &[(0x7000, 0x8000)]), [load]);
    }
}

//! A new, smaller core of chosen ranges of another one.
//!
//! Knows which parts of memory a core holds; the layout of ELF is `format::front`'s, and which
//! ranges are worth keeping is the caller's matter.

use std::io::{self, Write};
use std::path::Path;

use super::memory::PAGE;
use super::{CoreFile, Segment};
use crate::error::{Error, Result};
use crate::format::front::{Load, Need, aligned, front, front_len};
use crate::format::notes::{NT_FILE, files, note};
use crate::format::ranges::union;

/// Writes an ELF core with the notes of `source` and its memory in `ranges` (start, end),
/// widened to whole pages of the process; what `source` does not have is left out. Where
/// `source` had no list of mapped files, the new core gets what was found in its place.
///
/// Bytes that came from backing files are written like the rest. Writes forward only.
/// Returns the size of the file.
pub fn write_core(out: &mut impl Write, source: &CoreFile, ranges: &[(u64, u64)]) -> Result<u64> {
    let loads = loads(source, ranges);
    let mut out = Counted { out, at: 0 };
    body(&mut out, source, loads).map_err(Error::io(Path::new("the new core")))?;
    Ok(out.at)
}

fn loads(source: &CoreFile, ranges: &[(u64, u64)]) -> Vec<Load> {
    let page = source.page_size();
    let pages = ranges
        .iter()
        .filter(|r| r.0 < r.1)
        .map(|r| (r.0 & !(page - 1), r.1.checked_next_multiple_of(page).unwrap_or(!(page - 1))))
        .collect();
    let mut out: Vec<Load> = Vec::new();
    for (start, end) in union(pages) {
        for (mut from, to) in source.memory().present(start, end) {
            while from < to {
                let (flags, until) = flags_at(source.segments(), from);
                let end = until.min(to);
                match out.last_mut() {
                    Some(l) if l.start + l.memsz == from && l.flags == flags => {
                        l.memsz += end - from;
                    }
                    _ => out.push(Load {
                        start: from,
                        memsz: end - from,
                        filesz: 0,
                        offset: 0,
                        flags,
                    }),
                }
                from = end;
            }
        }
    }
    out
}

/// The flags at `addr` and where they end; memory that no segment holds is readable.
fn flags_at(segments: &[Segment], addr: u64) -> (u32, u64) {
    let i = segments.partition_point(|s| s.start <= addr);
    let next = segments.get(i).map_or(u64::MAX, |s| s.start);
    match i.checked_sub(1).and_then(|i| segments.get(i)) {
        Some(s) if addr - s.start < s.memsz => (s.flags, next.min(s.start.saturating_add(s.memsz))),
        _ => (4, next),
    }
}

/// An NT_FILE note in bytes, as gdb writes it, where the source has none.
fn file_list(source: &CoreFile) -> Option<Vec<u8>> {
    source.libraries.as_ref().filter(|_| !source.mappings().is_empty())?;
    let all = source.mappings().iter();
    let desc = files(1, all.map(|m| (m.start, m.end, m.file_offset, m.path.as_bytes())));
    let mut out = Vec::new();
    note(&mut out, "CORE", NT_FILE, &desc);
    Some(out)
}

/// A core may lose its end: as in one that was captured, what leads to all else comes first.
fn need(source: &CoreFile, data: &[(u64, u64)], load: &Load) -> Need {
    let is_data = data.iter().any(|d| d.0 <= load.start && load.start < d.1);
    let mapping = source.mapping_at(load.start);
    Need::of(is_data || mapping.is_some_and(|m| m.is_libjvm()), load.flags)
}

struct Counted<W> {
    out: W,
    at: u64,
}

impl<W: Write> Counted<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn pad_to(&mut self, at: u64) -> io::Result<()> {
        let zeros = [0; PAGE as usize];
        while self.at < at {
            let left = (at - self.at) as usize;
            self.put(zeros.get(..left).unwrap_or(&zeros))?;
        }
        Ok(())
    }
}

fn body<W: Write>(out: &mut Counted<W>, source: &CoreFile, mut loads: Vec<Load>) -> io::Result<()> {
    let page = source.page_size();
    let list = file_list(source);
    let notes: Vec<&[u8]> = source.raw_notes().chain(list.as_deref()).collect();
    let headers = notes.len() + loads.len();
    let mut at = front_len(headers);
    let mut places = Vec::with_capacity(notes.len());
    for note in &notes {
        at = at.next_multiple_of(8);
        places.push((at, note.len() as u64));
        at += note.len() as u64;
    }
    let data = source.libjvm_data();
    let mut order: Vec<&mut Load> = loads.iter_mut().collect();
    order.sort_by_key(|load| (need(source, &data, load), load.memsz));
    for load in &mut order {
        load.offset = aligned(at, load.start, page);
        load.filesz = load.memsz;
        at = load.offset + load.filesz;
    }
    out.put(&front(source.cpu().facts().machine, page, &places, &loads, headers))?;
    for (note, place) in notes.iter().zip(places) {
        out.pad_to(place.0)?;
        out.put(note)?;
    }
    // In the order that they got their places in.
    loads.sort_by_key(|load| load.offset);
    for load in loads {
        out.pad_to(load.offset)?;
        for (from, to) in source.memory().present(load.start, load.start + load.memsz) {
            let bytes = source.memory().slice(from, to - from).map_err(io::Error::other)?;
            out.put(bytes)?;
        }
    }
    Ok(())
}

//! A new, smaller core of chosen ranges of another one.
//!
//! Knows the ELF core's layout; which ranges are worth keeping is the caller's matter.

use std::io::{self, Write};
use std::path::Path;

use super::memory::PAGE;
use super::{CoreFile, Segment};
use crate::error::{Error, Result};

const EHDR: u64 = 64;
const PHDR: u64 = 56;
const SHDR: u64 = 64;
const PN_XNUM: u64 = 0xffff;

/// One PT_LOAD to be written.
struct Load {
    start: u64,
    end: u64,
    flags: u32,
}

/// Writes an ELF core with the notes of `source` and its memory in `ranges` (start, end),
/// widened to whole pages; what `source` does not have is left out.
///
/// Bytes that came from backing files are written like the rest. Writes forward only.
/// Returns the size of the file.
pub fn write_core(out: &mut impl Write, source: &CoreFile, ranges: &[(u64, u64)]) -> Result<u64> {
    let loads = loads(source, ranges);
    let mut out = Counted { out, at: 0 };
    body(&mut out, source, &loads).map_err(Error::io(Path::new("the new core")))?;
    Ok(out.at)
}

fn loads(source: &CoreFile, ranges: &[(u64, u64)]) -> Vec<Load> {
    let mut pages: Vec<(u64, u64)> = ranges
        .iter()
        .filter(|r| r.0 < r.1)
        .map(|r| (r.0 & !(PAGE - 1), r.1.checked_next_multiple_of(PAGE).unwrap_or(!(PAGE - 1))))
        .collect();
    pages.sort_unstable();
    pages.dedup_by(|next, prev| {
        let joins = next.0 <= prev.1;
        if joins {
            prev.1 = prev.1.max(next.1);
        }
        joins
    });
    let mut out: Vec<Load> = Vec::new();
    for (start, end) in pages {
        for (mut from, to) in source.memory().present(start, end) {
            while from < to {
                let (flags, until) = flags_at(source.segments(), from);
                let end = until.min(to);
                match out.last_mut() {
                    Some(l) if l.end == from && l.flags == flags => l.end = end,
                    _ => out.push(Load { start: from, end, flags }),
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
    match i.checked_sub(1).map(|i| &segments[i]) {
        Some(s) if addr - s.start < s.memsz => (s.flags, next.min(s.start.saturating_add(s.memsz))),
        _ => (4, next),
    }
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

    fn u16(&mut self, v: u16) -> io::Result<()> {
        self.put(&v.to_le_bytes())
    }

    fn u32(&mut self, v: u32) -> io::Result<()> {
        self.put(&v.to_le_bytes())
    }

    fn u64s(&mut self, values: &[u64]) -> io::Result<()> {
        values.iter().try_for_each(|v| self.put(&v.to_le_bytes()))
    }

    fn pad_to(&mut self, at: u64) -> io::Result<()> {
        let zeros = [0; PAGE as usize];
        while self.at < at {
            self.put(&zeros[..(at - self.at).min(PAGE) as usize])?;
        }
        Ok(())
    }
}

fn body<W: Write>(out: &mut Counted<W>, source: &CoreFile, loads: &[Load]) -> io::Result<()> {
    let notes: Vec<&[u8]> = source.raw_notes().collect();
    let phnum = (notes.len() + loads.len()) as u64;
    let big = phnum >= PN_XNUM;
    let shoff = EHDR + phnum * PHDR;
    out.put(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0")?;
    out.u16(4)?; // ET_CORE
    out.u16(source.machine())?;
    out.u32(1)?;
    out.u64s(&[0, EHDR, if big { shoff } else { 0 }])?;
    out.u32(0)?;
    out.u16(EHDR as u16)?;
    out.u16(PHDR as u16)?;
    out.u16(phnum.min(PN_XNUM) as u16)?;
    out.u16(if big { SHDR as u16 } else { 0 })?;
    out.u16(big.into())?;
    out.u16(0)?;

    let mut at = shoff + if big { SHDR } else { 0 };
    for note in &notes {
        at = at.next_multiple_of(8);
        out.u32(4)?; // PT_NOTE
        out.u32(4)?;
        out.u64s(&[at, 0, 0, note.len() as u64, 0, 4])?;
        at += note.len() as u64;
    }
    for load in loads {
        at = aligned(at, load.start);
        let len = load.end - load.start;
        out.u32(1)?; // PT_LOAD
        out.u32(load.flags)?;
        out.u64s(&[at, load.start, 0, len, len, PAGE])?;
        at += len;
    }
    if big {
        // Section header 0: sh_info has the count that e_phnum cannot hold.
        out.u64s(&[0, 0, 0, 0, 0])?;
        out.u32(0)?;
        out.u32(phnum as u32)?;
        out.u64s(&[0, 0])?;
    }
    for note in &notes {
        out.pad_to(out.at.next_multiple_of(8))?;
        out.put(note)?;
    }
    for load in loads {
        out.pad_to(aligned(out.at, load.start))?;
        for (from, to) in source.memory().present(load.start, load.end) {
            let bytes = source.memory().slice(from, to - from).map_err(io::Error::other)?;
            out.put(bytes)?;
        }
    }
    Ok(())
}

/// The next file offset that equals `addr` modulo the page size, so that it can be mapped.
fn aligned(at: u64, addr: u64) -> u64 {
    at + (addr.wrapping_sub(at)) % PAGE
}

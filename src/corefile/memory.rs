//! The target's address space: disjoint pieces of mapped files, read by address.
//!
//! Knows nothing of ELF or of HotSpot. A byte that no piece holds faults: "not saved in
//! the core" is not zero.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Fault;
use crate::mapped::Mapped;

/// What the touched-page map counts in: the smallest page of the CPUs that rjcore reads. A
/// process's own may be larger.
pub(crate) const PAGE: u64 = 4096;

/// One run of target memory that lies contiguously in one mapped file.
#[derive(Debug, Clone)]
struct Piece {
    start: u64,
    end: u64,
    file: Arc<Mapped>,
    offset: usize,
    /// Index of the first page of this piece in the touched-page map.
    first_page: usize,
}

/// A read-only view of the process's memory.
///
/// All multi-byte reads are little-endian: every HotSpot port that rjcore reads is.
#[derive(Debug, Default)]
pub struct Memory {
    pieces: Vec<Piece>,
    touched: Option<Vec<AtomicU64>>,
}

impl Memory {
    /// Lays `len` bytes of `file` at `offset` into the space at `start`, where nothing
    /// lies yet: what is there already wins. Core pages go in first, backing files after.
    /// The part beyond the file's end is left out. Returns the bytes that were added.
    pub fn lay_under(&mut self, start: u64, len: u64, file: &Arc<Mapped>, offset: u64) -> u64 {
        let in_file = (file.len() as u64).saturating_sub(offset).min(len);
        let Some(end) = start.checked_add(in_file) else { return 0 };
        let mut at = start;
        let mut added = Vec::new();
        let first = self.pieces.partition_point(|p| p.end <= start);
        let mut add = |from: u64, to: u64| {
            if from < to {
                let offset = (offset + (from - start)) as usize;
                added.push(Piece {
                    start: from,
                    end: to,
                    file: file.clone(),
                    offset,
                    first_page: 0,
                });
            }
        };
        for p in self.pieces.iter().skip(first).take_while(|p| p.start < end) {
            add(at, p.start.max(at));
            at = p.end.max(at);
        }
        add(at.min(end), end);
        let bytes = added.iter().map(|p| p.end - p.start).sum();
        if self.pieces.last().is_none_or(|p| p.end <= start) {
            self.pieces.extend(added);
        } else if !added.is_empty() {
            self.pieces.extend(added);
            self.pieces.sort_by_key(|p| p.start);
        }
        bytes
    }

    /// Joins neighbours that are contiguous in the file too. Call once all is laid.
    pub fn merge(&mut self) {
        self.pieces.dedup_by(|next, prev| {
            let joins = prev.end == next.start
                && Arc::ptr_eq(&prev.file, &next.file)
                && prev.offset + (prev.end - prev.start) as usize == next.offset;
            if joins {
                prev.end = next.end;
            }
            joins
        });
    }

    /// The pages that lie in the files that `keep` names, and nothing of the rest.
    pub fn only(&self, keep: impl Fn(&Arc<Mapped>) -> bool) -> Memory {
        let pieces = self.pieces.iter().filter(|p| keep(&p.file)).cloned().collect();
        Memory { pieces, touched: None }
    }

    /// Starts to record which pages are read (for `trim`). All later reads are counted.
    pub fn record_touched(&mut self) {
        let mut page = 0;
        for p in &mut self.pieces {
            p.first_page = page;
            page += ((p.end - 1) / PAGE - p.start / PAGE + 1) as usize;
        }
        self.touched = Some((0..page.div_ceil(64)).map(|_| AtomicU64::new(0)).collect());
    }

    /// The address ranges read since [`Memory::record_touched`], whole pages, in order.
    pub fn touched_ranges(&self) -> Vec<(u64, u64)> {
        let Some(map) = &self.touched else { return Vec::new() };
        let mut out: Vec<(u64, u64)> = Vec::new();
        for p in &self.pieces {
            let base = p.start / PAGE;
            for page in base..=(p.end - 1) / PAGE {
                let bit = p.first_page + (page - base) as usize;
                let bits = map.get(bit / 64).map_or(0, |bits| bits.load(Ordering::Relaxed));
                if bits >> (bit % 64) & 1 == 0 {
                    continue;
                }
                let (from, to) =
                    ((page * PAGE).max(p.start), (page + 1).saturating_mul(PAGE).min(p.end));
                match out.last_mut() {
                    Some(last) if last.1 == from => last.1 = to,
                    _ => out.push((from, to)),
                }
            }
        }
        out
    }

    fn touch(&self, p: &Piece, addr: u64, len: u64) {
        if let Some(map) = &self.touched
            && len > 0
        {
            let base = p.start / PAGE;
            for page in addr / PAGE..=(addr + len - 1) / PAGE {
                let bit = p.first_page + (page - base) as usize;
                if let Some(bits) = map.get(bit / 64) {
                    bits.fetch_or(1 << (bit % 64), Ordering::Relaxed);
                }
            }
        }
    }

    fn piece(&self, addr: u64) -> Option<&Piece> {
        let i = self.pieces.partition_point(|p| p.end <= addr);
        self.pieces.get(i).filter(|p| p.start <= addr)
    }

    /// `len` bytes at `addr`, borrowed from the mapping; they must lie in one piece.
    pub fn slice(&self, addr: u64, len: u64) -> Result<&[u8], Fault> {
        let fault = Fault { addr, len };
        let p = self.piece(addr).ok_or(fault)?;
        if len > p.end - addr {
            return Err(fault);
        }
        self.touch(p, addr, len);
        let from = p.offset + (addr - p.start) as usize;
        p.file.get(from..from + len as usize).ok_or(fault)
    }

    /// The file that `len` bytes at `addr` lie in, and where; none where they do not lie in one piece.
    pub(crate) fn mapped(&self, addr: u64, len: u64) -> Option<(&Arc<Mapped>, Range<usize>)> {
        let p = self.piece(addr).filter(|p| len <= p.end - addr)?;
        self.touch(p, addr, len);
        let from = p.offset + (addr - p.start) as usize;
        Some((&p.file, from..from + len as usize))
    }

    /// How many bytes there are.
    pub(crate) fn total(&self) -> u64 {
        self.pieces.iter().fold(0, |sum, p| sum.saturating_add(p.end - p.start))
    }

    /// How many bytes from `addr` on lie in one piece, 0 if `addr` is not saved.
    pub fn contiguous(&self, addr: u64) -> u64 {
        self.piece(addr).map_or(0, |p| p.end - addr)
    }

    /// The parts of `start..end` that are there, as (start, end), each in one piece.
    pub fn present(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let first = self.pieces.partition_point(|p| p.end <= start);
        self.pieces
            .iter()
            .skip(first)
            .take_while(move |p| p.start < end)
            .map(move |p| (p.start.max(start), p.end.min(end)))
    }

    /// Has the kernel begin to read `start..end` from the disk, where it is not in memory yet.
    pub fn will_need(&self, start: u64, end: u64) {
        for (from, to) in self.present(start, end) {
            if let Some(p) = self.piece(from) {
                let offset = p.offset + (from - p.start) as usize;
                p.file.will_need(offset, (to - from) as usize);
            }
        }
    }

    /// Fills `out` from `addr` on, across pieces.
    pub fn read_into(&self, addr: u64, out: &mut [u8]) -> Result<(), Fault> {
        let fault = Fault { addr, len: out.len() as u64 };
        let (mut at, mut left) = (addr, out);
        while !left.is_empty() {
            let n = self.contiguous(at).min(left.len() as u64);
            if n == 0 {
                return Err(fault);
            }
            left.write_all(self.slice(at, n)?).map_err(|_| fault)?;
            at = at.checked_add(n).ok_or(fault)?;
        }
        Ok(())
    }

    fn bytes<const N: usize>(&self, addr: u64) -> Result<[u8; N], Fault> {
        if let Some(b) = self.slice(addr, N as u64).ok().and_then(|s| s.first_chunk()) {
            return Ok(*b);
        }
        let mut b = [0; N];
        self.read_into(addr, &mut b)?;
        Ok(b)
    }

    /// The byte at `addr`.
    pub fn u8(&self, addr: u64) -> Result<u8, Fault> {
        self.bytes(addr).map(u8::from_le_bytes)
    }

    /// The 16-bit value at `addr`.
    pub fn u16(&self, addr: u64) -> Result<u16, Fault> {
        self.bytes(addr).map(u16::from_le_bytes)
    }

    /// The 32-bit value at `addr`.
    pub fn u32(&self, addr: u64) -> Result<u32, Fault> {
        self.bytes(addr).map(u32::from_le_bytes)
    }

    /// The signed 32-bit value at `addr`.
    pub fn i32(&self, addr: u64) -> Result<i32, Fault> {
        self.bytes(addr).map(i32::from_le_bytes)
    }

    /// The 64-bit value at `addr`; pointers too.
    pub fn u64(&self, addr: u64) -> Result<u64, Fault> {
        self.bytes(addr).map(u64::from_le_bytes)
    }

    /// The C string at `addr`, without its NUL, at most `max` bytes of it.
    pub fn cstr(&self, addr: u64, max: u64) -> Result<&[u8], Fault> {
        let n = self.contiguous(addr).min(max);
        if n == 0 {
            return Err(Fault { addr, len: 1 });
        }
        let i = self.piece(addr).map_or(0, |p| p.offset + (addr - p.start) as usize);
        let p = self.piece(addr).ok_or(Fault { addr, len: 1 })?;
        let all = p.file.get(i..i + n as usize).ok_or(Fault { addr, len: n })?;
        let len = all.iter().position(|&b| b == 0).ok_or(Fault { addr, len: n })?;
        self.touch(p, addr, len as u64 + 1);
        all.get(..len).ok_or(Fault { addr, len: n })
    }

    /// The C string at `addr` as text, damaged UTF-8 replaced.
    pub fn string(&self, addr: u64) -> Result<String, Fault> {
        self.cstr(addr, 64 << 10).map(|s| String::from_utf8_lossy(s).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use memmap2::MmapMut;

    use super::*;

    fn file(bytes: &[u8]) -> Arc<Mapped> {
        let mut map = MmapMut::map_anon(bytes.len()).expect("memory");
        map.copy_from_slice(bytes);
        Arc::new(map.try_into().expect("memory"))
    }

    /// A space with these bytes at these addresses, each in a file of its own.
    fn space(pieces: &[(u64, &[u8])]) -> Memory {
        let mut mem = Memory::default();
        for (start, bytes) in pieces {
            mem.lay_under(*start, bytes.len() as u64, &file(bytes), 0);
        }
        mem
    }

    #[test]
    fn what_was_laid_first_wins() {
        let mut mem = space(&[(0x1002, b"cd"), (0x1006, b"gh")]);
        assert_eq!(mem.lay_under(0x1000, 10, &file(b"ABCDEFGHIJ"), 0), 6);
        let mut all = [0; 10];
        mem.read_into(0x1000, &mut all).unwrap();
        assert_eq!(&all, b"ABcdEFghIJ");
        assert_eq!(mem.lay_under(0x1000, 10, &file(b"0123456789"), 0), 0, "no room is left");
    }

    #[test]
    fn what_the_file_does_not_hold_is_left_out() {
        let mut mem = Memory::default();
        assert_eq!(mem.lay_under(0x1000, 100, &file(b"0123456789"), 6), 4);
        assert_eq!(mem.slice(0x1000, 4).unwrap(), b"6789");
        assert_eq!(mem.slice(0x1000, 5), Err(Fault { addr: 0x1000, len: 5 }));
        assert_eq!(mem.lay_under(0x2000, 8, &file(b"0123456789"), 11), 0, "behind its end");
        assert_eq!(
            mem.lay_under(u64::MAX - 3, 8, &file(b"01234567"), 0),
            0,
            "behind the last address"
        );
        assert_eq!(mem.contiguous(0x2000), 0);
    }

    #[test]
    fn numbers_are_little_endian_and_lie_across_pieces() {
        let mem = space(&[(0x1000, &[1, 2, 3, 4, 5]), (0x1005, &[6, 7, 0xfe, 0xff, 0xff, 0xff])]);
        assert_eq!(mem.u8(0x1004), Ok(5));
        assert_eq!(mem.u16(0x1000), Ok(0x0201));
        assert_eq!(mem.u32(0x1003), Ok(0x0706_0504), "the last of one, the first of the other");
        assert_eq!(mem.i32(0x1007), Ok(-2));
        assert_eq!(mem.u64(0x1000), Ok(0xfe07_0605_0403_0201));
        // A slice is borrowed from one file, and so from one piece.
        assert_eq!(mem.slice(0x1003, 4), Err(Fault { addr: 0x1003, len: 4 }));
        assert_eq!(mem.contiguous(0x1003), 2);
    }

    #[test]
    fn a_gap_faults_and_is_not_zero() {
        let mem = space(&[(0x1000, b"abcd"), (0x1008, b"efgh")]);
        assert_eq!(mem.u64(0x1000), Err(Fault { addr: 0x1000, len: 8 }));
        assert_eq!(mem.u8(0x1004), Err(Fault { addr: 0x1004, len: 1 }));
        assert_eq!(mem.u8(0xfff), Err(Fault { addr: 0xfff, len: 1 }));
        assert!(mem.read_into(u64::MAX, &mut [0; 2]).is_err());
        let present = |from, to| mem.present(from, to).collect::<Vec<_>>();
        assert_eq!(present(0, u64::MAX), [(0x1000, 0x1004), (0x1008, 0x100c)]);
        assert_eq!(present(0x1003, 0x1009), [(0x1003, 0x1004), (0x1008, 0x1009)]);
        assert_eq!(present(0x1004, 0x1008), []);
    }

    #[test]
    fn only_neighbours_of_one_file_are_joined() {
        let one = file(b"0123456789");
        let mut mem = Memory::default();
        mem.lay_under(0x1000, 4, &one, 0);
        mem.lay_under(0x1004, 4, &one, 4);
        mem.lay_under(0x1008, 2, &file(b"ab"), 0);
        mem.lay_under(0x100a, 2, &one, 0);
        mem.merge();
        assert_eq!(mem.slice(0x1000, 8).unwrap(), b"01234567");
        let pieces: Vec<_> = mem.present(0, u64::MAX).collect();
        assert_eq!(pieces, [(0x1000, 0x1008), (0x1008, 0x100a), (0x100a, 0x100c)]);
        let rest = mem.only(|f| !Arc::ptr_eq(f, &one));
        assert_eq!(rest.present(0, u64::MAX).collect::<Vec<_>>(), [(0x1008, 0x100a)]);
        // Where they lie in their file.
        assert!(mem.mapped(0x1002, 6).is_some_and(|(f, at)| Arc::ptr_eq(f, &one) && at == (2..8)));
        assert!(mem.mapped(0x1002, 7).is_none() && mem.mapped(0x100c, 1).is_none());
    }

    #[test]
    fn a_string_ends_at_its_nul() {
        let mem = space(&[(0x1000, b"jvm\0rest"), (0x1008, b"\xff!\0")]);
        assert_eq!(mem.cstr(0x1000, 100).unwrap(), b"jvm");
        assert_eq!(mem.cstr(0x1003, 100).unwrap(), b"");
        assert_eq!(mem.string(0x1008).unwrap(), "\u{fffd}!");
        // Without an end: in its piece, or within as many bytes as it may have.
        assert!(mem.cstr(0x1004, 100).is_err());
        assert!(mem.cstr(0x1000, 3).is_err());
        assert_eq!(mem.cstr(0x2000, 100), Err(Fault { addr: 0x2000, len: 1 }));
    }

    #[test]
    fn pages_that_were_read_are_known() {
        let bytes = vec![7; 5 * PAGE as usize];
        let mut mem = space(&[(0x10_0800, &bytes)]);
        mem.u8(0x10_0900).unwrap();
        mem.record_touched();
        assert_eq!(mem.touched_ranges(), []);
        // The piece begins within a page and ends within one.
        mem.u8(0x10_0800).unwrap();
        mem.slice(0x10_2fff, 2).unwrap();
        mem.u64(0x10_57f8).unwrap();
        let read = [(0x10_0800, 0x10_1000), (0x10_2000, 0x10_4000), (0x10_5000, 0x10_5800)];
        assert_eq!(mem.touched_ranges(), read);
    }
}

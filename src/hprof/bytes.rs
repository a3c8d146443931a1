//! Values out of the file's bytes, none of them beyond the end of what is read.

use std::ops::Range;

/// Where reading stands in a part of the file.
#[derive(Debug, Clone)]
pub(super) struct Bytes<'a> {
    data: &'a [u8],
    at: usize,
    end: usize,
    /// Bytes of an id: 4 or 8.
    pub id: usize,
}

impl<'a> Bytes<'a> {
    /// Of a range of the file, as far as the file has it.
    pub(super) fn new(data: &'a [u8], range: Range<usize>, id: usize) -> Bytes<'a> {
        let end = range.end.min(data.len());
        Bytes { data, at: range.start.min(end), end, id }
    }

    /// Offset in the file of what is read next.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes left.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.end - self.at
    }

    /// The next `len` bytes; none where there are not so many.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        if len > self.left() {
            return None;
        }
        let from = self.at;
        self.at += len;
        self.data.get(from..self.at)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    #[inline]
    pub(super) fn u1(&mut self) -> Option<u8> {
        self.array().map(|[b]| b)
    }

    #[inline]
    pub(super) fn u2(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(super) fn u4(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// An id of the file's size.
    #[inline]
    pub(super) fn id(&mut self) -> Option<u64> {
        if self.id == 8 { self.u8() } else { self.u4().map(u64::from) }
    }
}

/// A number of 1, 2, 4 or 8 bytes: a value, or an id.
#[inline]
pub(super) fn number(bytes: &[u8]) -> u64 {
    match *bytes {
        [a, b, c, d] => u32::from_be_bytes([a, b, c, d]).into(),
        [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)),
    }
}

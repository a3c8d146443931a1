//! HotSpot's compressed integers (UNSIGNED5), in both codings.

use crate::corefile::memory::Memory;

/// Which of the two codings (unsigned5.hpp; compressedStream.hpp before 19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Digits below 192 end a number.
    Plain,
    /// Each byte is one more than its digit, so that none is 0; digits below 191 end a number.
    Biased,
}

/// Numbers one behind the other. Every read answers none where memory ends.
#[derive(Debug, Clone)]
pub(crate) struct Stream<'a> {
    mem: &'a Memory,
    /// Address of the next byte.
    pub at: u64,
    coding: Coding,
}

impl<'a> Stream<'a> {
    /// Reads from `at` on.
    pub(crate) fn new(mem: &'a Memory, at: u64, coding: Coding) -> Stream<'a> {
        Stream { mem, at, coding }
    }

    /// A byte as it is: `read_bool`, and the tags of line number tables.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let b = self.mem.u8(self.at).ok()?;
        self.at = self.at.wrapping_add(1);
        Some(b)
    }

    /// `read_int`.
    pub(crate) fn int(&mut self) -> Option<u32> {
        let (bias, more) = match self.coding {
            Coding::Plain => (0, 192),
            Coding::Biased => (1, 191),
        };
        let mut sum = 0u32;
        for i in 0..5 {
            let digit = u32::from(self.byte()?).checked_sub(bias)?;
            sum = sum.wrapping_add(digit.wrapping_shl(6 * i));
            if digit < more {
                break;
            }
        }
        Some(sum)
    }

    /// `read_signed_int`: the sign is the lowest bit.
    pub(crate) fn signed(&mut self) -> Option<i32> {
        let v = self.int()?;
        Some((v >> 1) as i32 ^ -((v & 1) as i32))
    }

    /// `read_long`: low half, then high half, both signed.
    pub(crate) fn long(&mut self) -> Option<i64> {
        let (low, high) = (self.signed()?, self.signed()?);
        Some(i64::from(low as u32) | i64::from(high) << 32)
    }

    /// `read_double`: its halves' bits reversed, so that zeros lead.
    pub(crate) fn double(&mut self) -> Option<f64> {
        let (high, low) = (self.int()?.reverse_bits(), self.int()?.reverse_bits());
        Some(f64::from_bits(u64::from(high) << 32 | u64::from(low)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memmap2::MmapMut;
    use std::sync::Arc;

    fn numbers(bytes: &[u8], coding: Coding) -> Vec<u32> {
        let mut map = MmapMut::map_anon(bytes.len()).expect("memory");
        map.copy_from_slice(bytes);
        let map = Arc::new(map.try_into().expect("memory"));
        let mut mem = Memory::default();
        mem.lay_under(0x1000, bytes.len() as u64, &map, 0);
        let mut s = Stream::new(&mem, 0x1000, coding);
        std::iter::from_fn(|| s.int()).collect()
    }

    #[test]
    fn both_codings_read_what_hotspot_writes() {
        // 0, 191, 192, 192 + 191 * 64 by the old coding.
        assert_eq!(
            numbers(&[0, 191, 192, 0, 192, 191], Coding::Plain),
            [0, 191, 192, 192 + 191 * 64]
        );
        // 0, 190, 191, 191 + 190 * 64 by the new one.
        assert_eq!(
            numbers(&[1, 191, 192, 1, 192, 191], Coding::Biased),
            [0, 190, 191, 191 + 190 * 64]
        );
    }

    #[test]
    fn a_number_has_five_bytes_at_most() {
        assert_eq!(numbers(&[255; 5], Coding::Plain).len(), 1);
        assert_eq!(numbers(&[255; 4], Coding::Plain).len(), 0);
    }
}

//! Which objects are alive: one bit for each place where an object can start.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::hotspot::gc::Region;

/// Entries of the table from address to region, before it is searched instead.
const MAX_SLOTS: u64 = 1 << 26;
/// No region in a slot.
const NONE: u32 = u32::MAX;

/// Marks over the regions of a heap.
#[derive(Debug)]
pub struct Marks {
    places: Vec<Place>,
    /// The first region that reaches into each slot of `1 << slot_shift` bytes.
    slots: Vec<u32>,
    base: u64,
    slot_shift: u32,
    bits: Vec<AtomicU64>,
    /// log2 of the bytes that a bit stands for.
    shift: u32,
}

/// A region and where its bits start.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u64,
    top: u64,
    word: usize,
}

/// Where an object's bit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The region's number.
    pub region: usize,
    bit: usize,
}

impl Marks {
    /// Nothing marked. `regions` are in order and disjoint; objects are aligned to `alignment`.
    pub fn new(regions: &[Region], alignment: u64) -> Marks {
        let shift = alignment.trailing_zeros();
        let mut words = 0;
        let mut places = Vec::with_capacity(regions.len());
        for r in regions {
            places.push(Place { start: r.start, top: r.top, word: words });
            words += ((r.top - r.start) >> shift).div_ceil(64) as usize;
        }
        // Collectors' regions are aligned to their least size.
        let all = regions.iter().fold(0, |bits, r| bits | r.start);
        let slot_shift = all.trailing_zeros().clamp(12, 21);
        let base = regions.first().map_or(0, |r| r.start);
        let end = regions.last().map_or(0, |r| r.end);
        let count = (end - base).div_ceil(1 << slot_shift);
        let mut slots = Vec::new();
        if count <= MAX_SLOTS {
            slots.resize(count as usize, NONE);
            for (i, p) in places.iter().enumerate() {
                let first = (p.start - base) >> slot_shift;
                for slot in first..(p.top - base).div_ceil(1 << slot_shift) {
                    let slot = &mut slots[slot as usize];
                    *slot = (*slot).min(i as u32);
                }
            }
        }
        let bits = (0..words).map(|_| AtomicU64::new(0)).collect();
        Marks { places, slots, base, slot_shift, bits, shift }
    }

    /// The region that has this address.
    #[inline]
    fn region(&self, addr: u64) -> Option<usize> {
        let mut i = if self.slots.is_empty() {
            self.places.partition_point(|p| p.top <= addr)
        } else {
            let slot = addr.checked_sub(self.base)? >> self.slot_shift;
            *self.slots.get(slot as usize)? as usize
        };
        loop {
            let p = self.places.get(i)?;
            if addr < p.top {
                return (addr >= p.start).then_some(i);
            }
            i += 1;
        }
    }

    /// The bit for an object at `addr`; none where no object can be.
    #[inline]
    pub fn locate(&self, addr: u64) -> Option<Mark> {
        if addr & ((1 << self.shift) - 1) != 0 {
            return None;
        }
        let region = self.region(addr)?;
        let p = &self.places[region];
        let bit = p.word * 64 + ((addr - p.start) >> self.shift) as usize;
        Some(Mark { region, bit })
    }

    /// Whether it is marked.
    #[inline]
    pub fn is_marked(&self, mark: Mark) -> bool {
        self.bits[mark.bit / 64].load(Ordering::Relaxed) >> (mark.bit % 64) & 1 != 0
    }

    /// Marks it; answers whether this was the first time.
    #[inline]
    pub fn mark(&self, mark: Mark) -> bool {
        let bit = 1 << (mark.bit % 64);
        self.bits[mark.bit / 64].fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// The first marked address from `at` on in its region, or `limit`.
    pub fn next(&self, at: u64, limit: u64) -> u64 {
        let Some(p) = self.region(at).map(|i| &self.places[i]) else { return limit };
        let mut bit = ((at - p.start) >> self.shift) as usize;
        let end = ((limit.min(p.top) - p.start).div_ceil(1 << self.shift)) as usize;
        while bit < end {
            match self.bits[p.word + bit / 64].load(Ordering::Relaxed) >> (bit % 64) {
                0 => bit = (bit / 64 + 1) * 64,
                rest => {
                    bit += rest.trailing_zeros() as usize;
                    return (p.start + ((bit as u64) << self.shift)).min(limit);
                }
            }
        }
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hotspot::gc::Space;

    fn region(start: u64, top: u64) -> Region {
        Region { start, top, end: top, space: Space::Old, marked_below: 0 }
    }

    #[test]
    fn marks_are_found_again_in_order() {
        let marks = Marks::new(&[region(0x1000, 0x1400), region(0x20_0000, 0x40_0000)], 8);
        assert_eq!(marks.locate(0x1400), None);
        assert_eq!(marks.locate(0x1004), None);
        assert_eq!(marks.locate(0x800), None);
        assert_eq!(marks.locate(0x40_0000), None);
        for addr in [0x1000, 0x13f8, 0x20_0200, 0x3f_fff8] {
            let mark = marks.locate(addr).expect("a place");
            assert!(!marks.is_marked(mark) && marks.mark(mark) && !marks.mark(mark));
            assert!(marks.is_marked(mark));
        }
        assert_eq!(marks.next(0x1000, 0x1400), 0x1000);
        assert_eq!(marks.next(0x1008, 0x1400), 0x13f8);
        assert_eq!(marks.next(0x1008, 0x1100), 0x1100);
        assert_eq!(marks.next(0x20_0208, 0x40_0000), 0x3f_fff8);
        assert_eq!(marks.next(0x1400, 0x1500), 0x1500);
    }
}

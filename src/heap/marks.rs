//! Which objects are alive: one bit for each place where an object can start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::places::{Mark, Places};

/// Marks over the regions of a heap.
#[derive(Debug)]
pub struct Marks {
    /// Where the bits are.
    pub places: Arc<Places>,
    bits: Vec<AtomicU64>,
}

impl Marks {
    /// Nothing marked.
    pub fn new(places: Arc<Places>) -> Marks {
        let bits = (0..places.words()).map(|_| AtomicU64::new(0)).collect();
        Marks { places, bits }
    }

    /// The words of the bits.
    pub fn into_bits(self) -> Vec<u64> {
        self.bits.into_iter().map(AtomicU64::into_inner).collect()
    }

    /// Takes away what is marked in `others`, which has the same places; answers whether any is left.
    pub fn without(&mut self, others: &Marks) -> bool {
        let mut left = 0;
        for (own, other) in self.bits.iter_mut().zip(&others.bits) {
            *own.get_mut() &= !other.load(Ordering::Relaxed);
            left |= *own.get_mut();
        }
        left != 0
    }

    /// The bit for an object at `addr`; none where no object can be.
    #[inline]
    pub fn locate(&self, addr: u64) -> Option<Mark> {
        self.places.locate(addr)
    }

    /// Whether the object at `addr` is marked; no where no object can be.
    pub fn has(&self, addr: u64) -> bool {
        self.locate(addr).is_some_and(|mark| self.is_marked(mark))
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
        let Some((first, end)) = self.places.range(at, limit) else { return limit };
        let mut bit = first;
        while bit < end {
            match self.bits[bit / 64].load(Ordering::Relaxed) >> (bit % 64) {
                0 => bit = (bit / 64 + 1) * 64,
                rest => {
                    bit += rest.trailing_zeros() as usize;
                    return self.places.window(at, first, bit).min(limit);
                }
            }
        }
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hotspot::gc::{Region, Space};

    fn region(start: u64, top: u64) -> Region {
        Region { start, top, end: top, space: Space::Old, marked_below: 0 }
    }

    #[test]
    fn marks_are_found_again_in_order() {
        let marks = Marks::new(Arc::new(Places::new(
            &[region(0x1000, 0x1400), region(0x20_0000, 0x40_0000)],
            8,
        )));
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
        for addr in [0x1000, 0x13f8, 0x20_0200, 0x3f_fff8] {
            let mark = marks.locate(addr).expect("a place");
            assert_eq!(marks.places.address(mark.bit), Some(addr));
        }
    }
}

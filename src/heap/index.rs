//! A dense number for each object, by its address and back, without a table of either.
//!
//! The one part of rjcore, with what is built on it, whose memory grows with the heap: see [`Numbers`].
//!
//! Numbers go by address, from 0, and are the same at any number of threads.

use std::sync::Arc;

use super::places::{Mark, Places};
use super::report::WalkReport;
use super::{Heap, Object, Visitor, walk};
use crate::error::Result;
pub(crate) use crate::graph::Id;
use crate::graph::{Numbers, Plain};

/// Objects and their numbers.
#[derive(Debug)]
pub(crate) struct Index {
    places: Arc<Places>,
    numbers: Numbers,
}

impl Index {
    /// All objects that a walk by `threads` threads meets, those of them that are of classes of which `is_plain` says so
    /// by number of klass, and the walk's report. `progress` gets the bytes of heap as they are done.
    pub(crate) fn of_all(
        heap: &Heap,
        places: &Arc<Places>,
        is_plain: Vec<bool>,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(Index, Plain, WalkReport)> {
        let (mut all, mut plain) = (vec![0; places.words()], vec![0; places.words()]);
        let is_one = &is_plain;
        let make = || Starts { places, is_plain: is_one, word: 0, first: None, bits: Vec::new() };
        let report = walk(heap, threads, make, |starts, bytes| {
            let words = all[starts.word..].iter_mut().zip(&mut plain[starts.word..]);
            for ((all, plain), own) in words.zip(&starts.bits) {
                *all |= own.all;
                *plain |= own.plain;
            }
            progress(bytes);
            Ok(())
        })?;
        let plain = Plain { objects: plain, classes: is_plain };
        Ok((Index::new(places.clone(), all), plain, report))
    }

    /// Of the places whose bits are set.
    pub(super) fn new(places: Arc<Places>, bits: Vec<u64>) -> Index {
        Index { places, numbers: Numbers::of(bits) }
    }

    /// Which places hold objects.
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.numbers.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Whether numbers of this kind do for all of them.
    pub(crate) fn fits<I: Id>(&self) -> bool {
        self.len() <= I::MAX
    }

    /// Bytes of memory that it takes.
    pub(crate) fn memory(&self) -> u64 {
        self.numbers.memory()
    }

    /// Whether an object starts there.
    #[inline]
    pub(super) fn has(&self, mark: Mark) -> bool {
        self.numbers.has(mark.bit as u64)
    }

    /// The place of the object at `addr`; none where none starts.
    #[inline]
    pub(crate) fn place(&self, addr: u64) -> Option<u64> {
        self.places.locate(addr).map(|m| m.bit as u64).filter(|p| self.numbers.has(*p))
    }

    /// The number of the object at `addr`; none where none starts.
    #[inline]
    pub(crate) fn number(&self, addr: u64) -> Option<u64> {
        self.place(addr).map(|p| self.numbers.rank(p))
    }

    /// The address of the object with this number; none where there are not so many.
    #[inline]
    pub(crate) fn address(&self, number: u64) -> Option<u64> {
        self.places.address(self.numbers.select(number)? as usize)
    }

    /// The addresses of all objects, in order.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = u64> + '_ {
        self.numbers.iter().filter_map(|p| self.places.address(p as usize))
    }
}

/// One chunk's objects: a chunk may be walked twice, so they are added when its turn comes.
struct Starts<'p> {
    places: &'p Places,
    /// By klass's number.
    is_plain: &'p [bool],
    /// The word of the first.
    word: usize,
    /// The first object: its address, and the number of its place.
    first: Option<(u64, usize)>,
    bits: Vec<Words>,
}

/// The bits of 64 places.
#[derive(Debug, Clone, Copy, Default)]
struct Words {
    all: u64,
    plain: u64,
}

impl Visitor for Starts<'_> {
    #[inline(always)]
    fn object(&mut self, object: Object) {
        // A chunk lies in one region: places follow one another as addresses do.
        let bit = match self.first {
            Some((addr, bit)) => bit + self.places.between(addr, object.addr),
            None => {
                let Some(mark) = self.places.locate(object.addr) else { return };
                self.first = Some((object.addr, mark.bit));
                self.word = mark.bit / 64;
                mark.bit
            }
        };
        let word = bit / 64 - self.word;
        if word >= self.bits.len() {
            self.bits.resize(word + 1, Words::default());
        }
        let words = &mut self.bits[word];
        words.all |= 1 << (bit % 64);
        words.plain |= u64::from(self.is_plain[object.klass as usize]) << (bit % 64);
    }

    fn clear(&mut self) {
        self.first = None;
        self.bits.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hotspot::gc::{Region, Space};

    /// Regions of several sizes with gaps, and in them objects of up to 40 words, some far apart.
    fn heap(count: u64) -> (Arc<Places>, Vec<u64>) {
        let mut seed = 1u64;
        let mut random = |most: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (seed >> 33) % most
        };
        let (mut regions, mut objects, mut start) = (Vec::new(), Vec::new(), 0x7f00_0000_0000);
        while (objects.len() as u64) < count {
            let (mut at, first) = (start, objects.len());
            for _ in 0..random(3000) {
                objects.push(at);
                at += 8 * match random(500) {
                    0 => 20_000 + random(50_000),
                    _ => 2 + random(38),
                };
            }
            if objects.len() > first {
                let top = at;
                regions.push(Region { start, top, end: top, space: Space::Old, marked_below: 0 });
            }
            start = (at + (1 << 16)).next_multiple_of(1 << 12);
        }
        (Arc::new(Places::new(&regions, 8)), objects)
    }

    fn index(places: &Arc<Places>, objects: &[u64]) -> Index {
        let mut bits = vec![0; places.words()];
        for addr in objects {
            let bit = places.locate(*addr).expect("in a region").bit;
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Index::new(places.clone(), bits)
    }

    #[test]
    fn numbers_go_by_address_and_lead_back() {
        let (places, objects) = heap(50_000);
        let index = index(&places, &objects);
        assert_eq!(index.len(), objects.len() as u64);
        assert!(index.addresses().eq(objects.iter().copied()));
        for (number, addr) in (0..).zip(&objects) {
            assert_eq!(index.number(*addr), Some(number), "{addr:#x}");
            assert_eq!(index.address(number), Some(*addr), "{number}");
            assert_eq!(
                index.number(addr + 8),
                objects.binary_search(&(addr + 8)).ok().map(|n| n as u64)
            );
            assert_eq!(index.number(addr + 4), None);
        }
        assert_eq!(index.address(index.len()), None);
        assert_eq!(index.number(0), None);
    }

    #[test]
    fn no_object_and_few() {
        let (places, objects) = heap(3000);
        let none = index(&places, &[]);
        assert!(none.is_empty() && none.address(0).is_none() && none.addresses().next().is_none());
        let last = objects[objects.len() - 1];
        let one = index(&places, &[last]);
        assert_eq!((one.len(), one.number(last), one.address(0)), (1, Some(0), Some(last)));
    }
}

//! A dense number for each object, by its address and back, without a table of either.
//!
//! The one part of rjcore, with what is built on it, whose memory grows with the heap: a bit for each place where an
//! object can start, 4 bytes for each 512 such places, 8 for each 512 objects. With objects aligned
//! to 8 bytes that is 1.7 % of the heap and 0.02 bytes an object: 0.3 bytes for an object of 16
//! bytes, 0.7 for one of 40, which is near the mean of most heaps.
//!
//! Numbers go by address, from 0, and are the same at any number of threads.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use super::places::{Mark, Places};
use super::report::WalkReport;
use super::{Heap, Object, Visitor, walk};
use crate::error::Result;

/// Words of 64 places with one count of the objects before them.
const BLOCK: usize = 8;
/// Blocks with one count of 64 bits: those of each are counted from there.
const SUPER: usize = 1 << 16;
/// Objects with one note of the block that they are in.
const SAMPLE: u64 = 512;

/// How whoever keeps numbers of objects keeps them: 4 bytes do for 4 billion objects.
pub trait Id: Copy + Ord + Hash + Debug + Send + Sync + 'static {
    /// The largest number.
    const MAX: u64;
    /// Of a number that is not larger.
    fn of(number: u64) -> Self;
    /// As a number.
    fn number(self) -> u64;
}

impl Id for u32 {
    const MAX: u64 = u32::MAX as u64;
    fn of(number: u64) -> u32 {
        number as u32
    }
    fn number(self) -> u64 {
        u64::from(self)
    }
}

impl Id for u64 {
    const MAX: u64 = u64::MAX;
    fn of(number: u64) -> u64 {
        number
    }
    fn number(self) -> u64 {
        self
    }
}

/// Objects and their numbers.
#[derive(Debug)]
pub struct Index {
    places: Arc<Places>,
    /// A bit for each place: whether an object starts there.
    bits: Vec<u64>,
    /// Objects before each block, from its superblock's first on.
    blocks: Vec<u32>,
    /// Objects before each superblock.
    supers: Vec<u64>,
    /// The block of each [`SAMPLE`]th object.
    samples: Vec<usize>,
    count: u64,
}

impl Index {
    /// All objects that a walk by `threads` threads meets, and its report. `progress` gets the bytes
    /// of heap as they are done.
    pub fn of_all(
        heap: &Heap,
        places: &Arc<Places>,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(Index, WalkReport)> {
        let mut bits = vec![0; places.words()];
        let make = || Starts { places, word: 0, first: None, bits: Vec::new() };
        let report = walk(heap, threads, make, |starts, bytes| {
            for (all, own) in bits[starts.word..].iter_mut().zip(&starts.bits) {
                *all |= own;
            }
            progress(bytes);
            Ok(())
        })?;
        Ok((Index::new(places.clone(), bits), report))
    }

    /// Of the places whose bits are set.
    pub(super) fn new(places: Arc<Places>, bits: Vec<u64>) -> Index {
        let (mut blocks, mut supers, mut samples) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = 0;
        for (i, words) in bits.chunks(BLOCK).enumerate() {
            if i % SUPER == 0 {
                supers.push(count);
            }
            blocks.push((count - supers[i / SUPER]) as u32);
            count += words.iter().map(|w| u64::from(w.count_ones())).sum::<u64>();
            while (samples.len() as u64) * SAMPLE < count {
                samples.push(i);
            }
        }
        Index { places, bits, blocks, supers, samples, count }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether numbers of this kind do for all of them.
    pub fn fits<I: Id>(&self) -> bool {
        self.count <= I::MAX
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> u64 {
        let words = self.bits.len() + self.supers.len() + self.samples.len();
        words as u64 * 8 + self.blocks.len() as u64 * 4
    }

    /// Whether an object starts there.
    #[inline]
    pub(super) fn has(&self, mark: Mark) -> bool {
        self.bits[mark.bit / 64] >> (mark.bit % 64) & 1 != 0
    }

    /// The number of the object at `addr`; none where none starts.
    #[inline]
    pub fn number(&self, addr: u64) -> Option<u64> {
        let mark = self.places.locate(addr).filter(|m| self.has(*m))?;
        let word = mark.bit / 64;
        let block = word / BLOCK;
        let before = self.bits[block * BLOCK..word].iter().map(|w| u64::from(w.count_ones()));
        let below = self.bits[word] & ((1 << (mark.bit % 64)) - 1);
        Some(self.before(block) + before.sum::<u64>() + u64::from(below.count_ones()))
    }

    /// Objects before a block.
    #[inline]
    fn before(&self, block: usize) -> u64 {
        self.supers[block / SUPER] + u64::from(self.blocks[block])
    }

    /// The address of the object with this number; none where there are not so many.
    #[inline]
    pub fn address(&self, number: u64) -> Option<u64> {
        if number >= self.count {
            return None;
        }
        let sample = (number / SAMPLE) as usize;
        let (mut low, last) = (self.samples[sample], self.blocks.len() - 1);
        let mut high = self.samples.get(sample + 1).map_or(last, |b| *b);
        while low < high {
            let middle = high - (high - low) / 2;
            match self.before(middle) <= number {
                true => low = middle,
                false => high = middle - 1,
            }
        }
        let mut left = number - self.before(low);
        for (i, &word) in self.bits[low * BLOCK..].iter().enumerate() {
            let here = u64::from(word.count_ones());
            if left < here {
                let place = (low * BLOCK + i) * 64 + nth(word, left as u32) as usize;
                return self.places.address(place);
            }
            left -= here;
        }
        None
    }

    /// The addresses of all objects, in order.
    pub fn addresses(&self) -> impl Iterator<Item = u64> + '_ {
        let words = self.bits.iter().enumerate().filter(|(_, w)| **w != 0);
        words.flat_map(move |(i, &word)| {
            let rest = |w: &u64| Some(w & (w - 1)).filter(|w| *w != 0);
            let bits = std::iter::successors(Some(word), rest);
            bits.filter_map(move |w| self.places.address(i * 64 + w.trailing_zeros() as usize))
        })
    }
}

/// The place of the `n`th bit that is set, from 0.
#[inline]
fn nth(mut word: u64, n: u32) -> u32 {
    for _ in 0..n {
        word &= word - 1;
    }
    word.trailing_zeros()
}

/// One chunk's objects: a chunk may be walked twice, so they are added when its turn comes.
struct Starts<'p> {
    places: &'p Places,
    /// The word of the first.
    word: usize,
    /// The first object: its address, and the number of its place.
    first: Option<(u64, usize)>,
    bits: Vec<u64>,
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
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= 1 << (bit % 64);
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

    #[test]
    fn numbers_of_four_bytes_are_not_always_enough() {
        let (places, objects) = heap(3000);
        let mut index = index(&places, &objects);
        assert!(index.fits::<u32>() && index.fits::<u64>());
        index.count = 1 << 33;
        assert!(!index.fits::<u32>() && index.fits::<u64>());
    }
}

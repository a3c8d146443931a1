//! Dense numbers for the places that hold objects, and back, without a table of either.
//!
//! It takes a bit for each place, 16 bytes for each 512 places, 8 for each 512 objects. Where there is a place for
//! every 8 bytes of heap that is 2 % of the heap and 0.02 bytes an object: 0.3 bytes for an object of 16 bytes, 0.8
//! for one of 40, which is near the mean of most heaps.

use super::bits::ones;

/// Words of 64 places with one count of the objects before them.
const BLOCK: usize = 8;
/// Bits of a count of objects within a block.
const WITHIN: usize = 9;
/// Objects with one note of the block that they are in.
const SAMPLE: u64 = 512;

/// How many objects are before the words of a block (Vigna: Broadword implementation of rank/select queries, 2008).
#[derive(Debug, Clone, Copy)]
struct Block {
    /// Before its first.
    before: u64,
    /// In the block before each other one: the second's in the lowest bits. The highest bit is 0.
    within: u64,
}

/// Places that hold objects, and the objects' numbers: from 0, in the order of places.
#[derive(Debug)]
pub struct Numbers {
    /// A bit for each place: whether it holds an object.
    bits: Vec<u64>,
    blocks: Vec<Block>,
    /// The block of each [`SAMPLE`]th object.
    samples: Vec<usize>,
    count: u64,
}

/// Objects of classes whose objects refer to nothing, noted when they were numbered.
#[derive(Debug)]
pub struct Plain {
    /// A bit for the place of each, in words as [`Numbers::bits`] has them.
    pub objects: Vec<u64>,
    /// Of each class whether its objects are these.
    pub classes: Vec<bool>,
}

impl Numbers {
    /// Of the places whose bits are set: the lowest bit of the first word is place 0.
    pub fn of(bits: Vec<u64>) -> Numbers {
        let mut blocks = Vec::with_capacity(bits.len().div_ceil(BLOCK));
        let mut samples = Vec::new();
        let mut count = 0;
        for (i, words) in bits.chunks(BLOCK).enumerate() {
            let (mut within, mut here) = (0, 0);
            for (word, bits) in words.iter().enumerate() {
                within |= here << (word.wrapping_sub(1) % BLOCK * WITHIN);
                here += u64::from(bits.count_ones());
            }
            blocks.push(Block { before: count, within });
            count += here;
            while (samples.len() as u64) * SAMPLE < count {
                samples.push(i);
            }
        }
        Numbers { bits, blocks, samples, count }
    }

    /// Of so many objects whose places are their numbers.
    pub fn dense(count: u64) -> Numbers {
        let mut bits = vec![u64::MAX; count.div_ceil(64) as usize];
        if let (Some(last), rest @ 1..) = (bits.last_mut(), count % 64) {
            *last = (1 << rest) - 1;
        }
        Numbers::of(bits)
    }

    /// How many objects there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All places are below this.
    pub fn places(&self) -> u64 {
        self.bits.len() as u64 * 64
    }

    /// The bits: whether each place holds an object.
    pub fn bits(&self) -> &[u64] {
        &self.bits
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> u64 {
        (self.bits.len() + 2 * self.blocks.len() + self.samples.len()) as u64 * 8
    }

    /// Whether the place holds an object.
    #[inline]
    pub fn has(&self, place: u64) -> bool {
        self.bits.get((place / 64) as usize).is_some_and(|w| w >> (place % 64) & 1 != 0)
    }

    /// The number of the object at a place: how many lie before it. For any place below [`Numbers::places`].
    #[inline]
    pub fn rank(&self, place: u64) -> u64 {
        let word = (place / 64) as usize;
        let below = self.bits[word] & ((1 << (place % 64)) - 1);
        let block = &self.blocks[word / BLOCK];
        // Of the first word the highest bit is meant.
        let within = block.within >> (word.wrapping_sub(1) % BLOCK * WITHIN) & ((1 << WITHIN) - 1);
        block.before + within + u64::from(below.count_ones())
    }

    /// The place of the object with this number; none where there are not so many.
    #[inline]
    pub fn select(&self, number: u64) -> Option<u64> {
        if number >= self.count {
            return None;
        }
        let sample = (number / SAMPLE) as usize;
        let (mut low, last) = (self.samples[sample], self.blocks.len() - 1);
        let mut high = self.samples.get(sample + 1).map_or(last, |b| *b);
        while low < high {
            let middle = high - (high - low) / 2;
            match self.blocks[middle].before <= number {
                true => low = middle,
                false => high = middle - 1,
            }
        }
        let mut left = number - self.blocks[low].before;
        for (i, &word) in self.bits[low * BLOCK..].iter().enumerate() {
            let here = u64::from(word.count_ones());
            if left < here {
                return Some(((low * BLOCK + i) * 64) as u64 + u64::from(nth(word, left as u32)));
            }
            left -= here;
        }
        None
    }

    /// The places of all objects, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let words = self.bits.iter().enumerate().filter(|(_, w)| **w != 0);
        words.flat_map(|(i, word)| ones(i as u64 * 64, *word))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_to_places_and_back() {
        let mut seed = 3u64;
        let mut random = |most: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (seed >> 33) % most
        };
        let mut places = Vec::new();
        let mut at = 0;
        for _ in 0..40_000 {
            at += match random(500) {
                0 => 40_000,
                _ => 1 + random(30),
            };
            places.push(at);
        }
        let mut bits = vec![0; at as usize / 64 + 1];
        places.iter().for_each(|p| bits[(p / 64) as usize] |= 1 << (p % 64));
        let numbers = Numbers::of(bits);
        assert_eq!(numbers.len(), places.len() as u64);
        assert!(numbers.iter().eq(places.iter().copied()));
        for (number, &place) in (0..).zip(&places) {
            assert!(numbers.has(place));
            assert_eq!((numbers.rank(place), numbers.select(number)), (number, Some(place)));
        }
        assert_eq!((numbers.select(40_000), numbers.has(numbers.places())), (None, false));
    }

    #[test]
    fn dense_numbers_are_their_places() {
        for count in [0, 1, 63, 64, 65, 5000] {
            let numbers = Numbers::dense(count);
            assert_eq!(numbers.len(), count);
            assert!(numbers.iter().eq(0..count));
            assert!((0..count).all(|n| numbers.rank(n) == n && numbers.select(n) == Some(n)));
            assert!(!numbers.has(count) && numbers.select(count).is_none());
        }
    }
}

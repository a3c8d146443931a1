//! A bit for each place, set by many threads.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

/// Words that one thread looks at in one go.
const CHUNK: usize = 4096;

/// Bits by number, none set at first.
#[derive(Debug)]
pub struct Bits {
    words: Vec<AtomicU64>,
}

impl Bits {
    /// So many, rounded up to 64.
    pub fn new(count: u64) -> Bits {
        let count = count.div_ceil(64) as usize;
        Bits { words: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether a bit is set; no where there is none.
    #[inline]
    pub fn has(&self, bit: u64) -> bool {
        let word = self.words.get((bit / 64) as usize);
        word.is_some_and(|w| w.load(Ordering::Relaxed) >> (bit % 64) & 1 != 0)
    }

    /// Sets a bit; answers whether it was set before.
    #[inline]
    pub fn set(&self, bit: u64) -> bool {
        let (word, mask) = (&self.words[(bit / 64) as usize], 1 << (bit % 64));
        // Most are set already where many refer to the same.
        word.load(Ordering::Relaxed) & mask != 0
            || word.fetch_or(mask, Ordering::Relaxed) & mask != 0
    }

    /// Clears a bit.
    #[inline]
    pub fn clear(&self, bit: u64) {
        self.words[(bit / 64) as usize].fetch_and(!(1 << (bit % 64)), Ordering::Relaxed);
    }

    /// The word with the bits from `64 * index` on.
    #[inline]
    pub fn word(&self, index: usize) -> u64 {
        self.words[index].load(Ordering::Relaxed)
    }

    /// Makes one word this, which no other thread changes meanwhile.
    #[inline]
    pub fn put(&self, index: usize, word: u64) {
        self.words[index].store(word, Ordering::Relaxed);
    }

    /// Makes each word of what `make` answers for it; by all threads of the pool that this is called in.
    pub fn fill(&self, make: impl Fn(usize) -> u64 + Sync) {
        self.words.par_chunks(CHUNK).enumerate().for_each(|(chunk, words)| {
            for (i, word) in words.iter().enumerate() {
                word.store(make(chunk * CHUNK + i), Ordering::Relaxed);
            }
        });
    }

    /// How many are set; by all threads of the pool that this is called in.
    pub fn count(&self) -> u64 {
        let ones = |w: &AtomicU64| u64::from(w.load(Ordering::Relaxed).count_ones());
        self.words.par_chunks(CHUNK).map(|words| words.iter().map(ones).sum::<u64>()).sum()
    }

    /// The words, a copy of them.
    pub fn to_words(&self) -> Vec<u64> {
        self.words.iter().map(|w| w.load(Ordering::Relaxed)).collect()
    }

    /// The words.
    pub fn into_words(self) -> Vec<u64> {
        self.words.into_iter().map(AtomicU64::into_inner).collect()
    }
}

/// The places of the bits that are set in a word, which starts at `first`.
#[inline]
pub(crate) fn ones(first: u64, word: u64) -> impl Iterator<Item = u64> {
    let mut left = word;
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let bit = left.trailing_zeros();
        left &= left - 1;
        Some(first + u64::from(bit))
    })
}

/// Ranges of words, by all threads.
pub(crate) fn chunks(words: usize) -> impl ParallelIterator<Item = std::ops::Range<usize>> {
    let count = words.div_ceil(CHUNK);
    (0..count).into_par_iter().map(move |c| c * CHUNK..((c + 1) * CHUNK).min(words))
}

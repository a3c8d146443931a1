//! What has the same contents: strings, arrays of primitives, numbers in boxes.
//!
//! Each goes by a hash of 128 bits of its contents (XXH3): 24 bytes each with numbers of 4, with what it would save. That two of a billion different
//! ones have one hash is less likely than one in 10^20. Most are the only ones with their contents, and that a few bits for
//! each show; the others are sorted. Both in pieces by hash, which a CPU has at hand as a whole.

use std::cmp::Reverse;

use rayon::prelude::*;
use twox_hash::XxHash3_128;

use super::{Found, Kind, WORD};
use crate::graph::{Bits, Id};

/// An object by its contents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Print<I> {
    hash: [u32; 4],
    place: I,
    /// What would be saved if it went, in words of 8 bytes.
    words: u32,
}

impl<I: Id> Print<I> {
    /// Of contents that are the same only for the same `tag`.
    pub(super) fn new(tag: u64, bytes: &[u8], place: u64, size: u64) -> Print<I> {
        let apart = u128::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Print::of(XxHash3_128::oneshot(bytes).wrapping_add(apart), place, size)
    }

    /// Of a value that is its own hash.
    pub(super) fn exact(tag: u64, bits: u64, place: u64, size: u64) -> Print<I> {
        Print::of(u128::from(tag) << 64 | u128::from(bits), place, size)
    }

    #[cfg(test)]
    fn place(&self) -> u64 {
        self.place.number()
    }

    /// The hash's upper half: the tag of one that is its own hash.
    pub(super) fn tag(&self) -> u64 {
        u64::from(self.hash[0]) << 32 | u64::from(self.hash[1])
    }

    /// What would be saved if it went.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.words) * WORD
    }

    fn of(hash: u128, place: u64, size: u64) -> Print<I> {
        let word = |shift: u32| (hash >> shift) as u32;
        let hash = [word(96), word(64), word(32), word(0)];
        let words = u32::try_from(size / WORD).unwrap_or(u32::MAX);
        Print { hash, place: I::of(place), words }
    }

    /// The hash's lower half, of which all bits tell apart.
    #[inline]
    fn low(&self) -> u64 {
        u64::from(self.hash[2]) << 32 | u64::from(self.hash[3])
    }

    /// The same with the upper bits as even as the lower ones: values that are their own hashes lie close together.
    #[inline]
    fn mixed(&self) -> u64 {
        self.low().wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// What they are sorted by: those with one hash stand side by side, in the order of their places.
    #[inline]
    fn key(&self) -> (u64, u64, I) {
        (self.low(), self.tag(), self.place)
    }
}

/// Pieces by hash.
const PIECES: u64 = 256;

/// Objects by their contents, in pieces: those with the same are in one.
#[derive(Debug)]
pub(super) struct Prints<I> {
    pieces: Vec<Vec<Print<I>>>,
}

impl<I> Default for Prints<I> {
    fn default() -> Prints<I> {
        Prints { pieces: (0..PIECES).map(|_| Vec::new()).collect() }
    }
}

impl<I: Id> Prints<I> {
    /// More of them.
    pub(super) fn add(&mut self, more: Vec<Print<I>>) {
        for print in more {
            self.pieces[part_of(print.mixed(), PIECES) as usize].push(print);
        }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// All, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Print<I>> {
        self.pieces.iter().flatten()
    }
}

/// Of which of `count` parts of all numbers this one is.
#[inline]
fn part_of(number: u64, count: u64) -> u64 {
    ((u128::from(number) * u128::from(count)) >> 64) as u64
}

/// Objects with the same contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Same {
    /// The one that may stay.
    pub kept: u64,
    /// All of them, that one too.
    pub copies: u64,
    /// Bytes that the others are.
    pub saves: u64,
}

/// What was found among all of one kind.
#[derive(Debug, Default)]
pub(super) struct Duplicates<I> {
    /// Those that could go.
    pub found: Vec<Found<I>>,
    /// The most wasteful, in order.
    pub most: Vec<Same>,
}

impl<I: Id> Duplicates<I> {
    fn and(mut self, other: Duplicates<I>, top: usize) -> Duplicates<I> {
        self.found.extend(other.found);
        self.most.extend(other.most);
        self.cut(top, false);
        self
    }

    /// Keeps the most wasteful ones.
    fn cut(&mut self, top: usize, last: bool) {
        if last || self.most.len() > 2 * top + 1024 {
            self.most.sort_unstable_by_key(|s| (Reverse(s.saves), s.kept));
            self.most.truncate(top);
        }
    }
}

/// Finds the objects with the same contents. `keeps` says which of them is not one that can go. Their places are marked in `gone`. By all threads of the pool that this is called in.
pub(super) fn duplicates<I: Id>(
    all: Prints<I>,
    kind: Kind,
    top: usize,
    gone: &Bits,
    keeps: impl Fn(u64) -> bool + Sync,
) -> Duplicates<I> {
    let of_piece = |mut piece: Vec<Print<I>>| {
        let mut out = Duplicates::default();
        drop_single(&mut piece);
        piece.sort_unstable_by_key(Print::key);
        for same in piece.chunk_by(|a, b| a.hash == b.hash).filter(|same| same.len() > 1) {
            let place = |i: usize| same[i].place.number();
            let kept = (0..same.len()).find(|i| keeps(place(*i))).unwrap_or(0);
            let mut bytes = 0;
            for i in (0..same.len()).filter(|i| *i != kept && !keeps(place(*i))) {
                let Print { place, words, .. } = same[i];
                bytes += same[i].bytes();
                gone.set(place.number());
                out.found.push(Found { place, words, kind });
            }
            out.most.push(Same { kept: place(kept), copies: same.len() as u64, saves: bytes });
            out.cut(top, false);
        }
        out
    };
    let pieces = all.pieces.into_par_iter().map(of_piece);
    let mut out = pieces.reduce(Duplicates::default, |a, b| a.and(b, top));
    out.cut(top, true);
    out
}

/// Bits for each in which it is noted that a hash was seen.
const BITS_EACH: u64 = 8;

/// Leaves out most of those that have a hash of their own.
fn drop_single<I: Id>(all: &mut Vec<Print<I>>) {
    let count = (all.len() as u64 * BITS_EACH).max(64);
    let words = count.div_ceil(64) as usize;
    // The upper bits are the piece's.
    let place = |p: &Print<I>| {
        let bit = part_of(p.mixed().wrapping_mul(PIECES), count);
        ((bit / 64) as usize, 1_u64 << (bit % 64))
    };
    let (mut once, mut again) = (vec![0_u64; words], vec![0_u64; words]);
    for print in &*all {
        let (word, mask) = place(print);
        again[word] |= once[word] & mask;
        once[word] |= mask;
    }
    drop(once);
    all.retain(|print| {
        let (word, mask) = place(print);
        again[word] & mask != 0
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_one_of_each_could_go() {
        let mut prints = Vec::new();
        for place in 0..1000u64 {
            let (bytes, size) = ([(place % 10 / 2) as u8], 8 + place % 2 * 8);
            prints.push(Print::<u32>::new(place % 2, &bytes, place, size));
        }
        let mut all = Prints::default();
        all.add(prints);
        let gone = Bits::new(1000);
        let found = duplicates(all, Kind::DuplicateArrays, 3, &gone, |p| p == 500);
        assert_eq!((found.found.len(), gone.count()), (990, 990));
        assert!(!gone.has(500) && gone.has(0));
        let copies: Vec<_> = found.most.iter().map(|s| (s.kept, s.copies, s.saves)).collect();
        assert_eq!(copies, [(1, 100, 99 * 16), (3, 100, 99 * 16), (5, 100, 99 * 16)]);
    }

    #[test]
    fn most_single_ones_are_dropped_and_no_other() {
        let of = |n: u64| Print::<u32>::new(0, &n.to_le_bytes(), n, 16);
        let twice = |n: u64| [of(n), Print::new(0, &n.to_le_bytes(), n + 100_000, 16)];
        let mut all: Vec<_> = (0..10_000).map(of).collect();
        all.extend((10_000..10_100).flat_map(twice));
        drop_single(&mut all);
        let kept = all.iter().filter(|p| p.place() % 100_000 >= 10_000).count();
        assert_eq!(kept, 200);
        assert!(all.len() < 200 + 2 * 10_000 / BITS_EACH as usize, "{}", all.len());
        // Values that are their own hashes lie close to one another.
        let mut exact: Vec<_> = (0..10_000).map(|n| Print::<u32>::exact(7, n, n, 16)).collect();
        drop_single(&mut exact);
        assert!(exact.len() < 2 * 10_000 / BITS_EACH as usize, "{}", exact.len());
    }

    #[test]
    fn the_tag_sets_apart() {
        let of = |tag, bytes: &[u8]| Print::<u64>::new(tag, bytes, 0, 16).key();
        assert!(
            of(0, b"a") != of(1, b"a") && of(1, b"a") == of(1, b"a") && of(0, b"") != of(1, b"")
        );
        let exact = |tag, bits| Print::<u64>::exact(tag, bits, 0, 16).key();
        assert!(exact(1, 2) != exact(2, 1));
        assert_eq!(size_of::<Print<u32>>(), 24);
    }
}

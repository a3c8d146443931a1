//! What has the same contents: strings, arrays of primitives, numbers in boxes.
//!
//! Each goes by a hash of 128 bits of its contents (XXH3): 20 bytes each with numbers of 4. That two of a billion different
//! ones have one hash is less likely than one in 10^20. Most are the only ones with their contents, and that a few bits for
//! each show; the others are sorted.

use std::cmp::Reverse;

use rayon::prelude::*;
use twox_hash::XxHash3_128;

use super::{Found, Kind};
use crate::graph::{Bits, Id};

/// An object by its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Print<I> {
    hash: [u32; 4],
    place: I,
}

impl<I: Id> Print<I> {
    /// Of contents that are the same only for the same `tag`.
    pub(super) fn new(tag: u64, bytes: &[u8], place: u64) -> Print<I> {
        let apart = u128::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Print::of(XxHash3_128::oneshot(bytes).wrapping_add(apart), place)
    }

    /// Of a value that is its own hash.
    pub(super) fn exact(tag: u64, bits: u64, place: u64) -> Print<I> {
        Print::of(u128::from(tag) << 64 | u128::from(bits), place)
    }

    pub(super) fn place(&self) -> u64 {
        self.place.number()
    }

    fn of(hash: u128, place: u64) -> Print<I> {
        let word = |shift: u32| (hash >> shift) as u32;
        Print { hash: [word(96), word(64), word(32), word(0)], place: I::of(place) }
    }
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

/// Finds the objects with the same contents. `keeps` says which of them is not one that can go; `saves` what one is that
/// goes. Their places are marked in `gone`. By all threads of the pool that this is called in.
pub(super) fn duplicates<I: Id>(
    mut all: Vec<Print<I>>,
    kind: Kind,
    top: usize,
    gone: &Bits,
    keeps: impl Fn(u64) -> bool + Sync,
    saves: impl Fn(u64) -> u64 + Sync,
) -> Duplicates<I> {
    drop_single(&mut all);
    all.par_sort_unstable();
    let same = all.par_chunk_by(|a, b| a.hash == b.hash);
    let mut out = same
        .fold(Duplicates::default, |mut out: Duplicates<I>, same| {
            if same.len() == 1 {
                return out;
            }
            let place = |i: usize| same[i].place.number();
            let kept = (0..same.len()).find(|i| keeps(place(*i))).unwrap_or(0);
            let mut bytes = 0;
            for i in (0..same.len()).filter(|i| *i != kept && !keeps(place(*i))) {
                let of = saves(place(i));
                bytes += of;
                gone.set(place(i));
                out.found.push(Found::new(place(i), of, kind));
            }
            out.most.push(Same { kept: place(kept), copies: same.len() as u64, saves: bytes });
            out.cut(top, false);
            out
        })
        .reduce(Duplicates::default, |a, b| a.and(b, top));
    out.cut(top, true);
    out
}

/// Bits for each in which it is noted that a hash was seen.
const BITS_EACH: u64 = 8;

/// Leaves out most of those that have a hash of their own.
fn drop_single<I: Id>(all: &mut Vec<Print<I>>) {
    let count = (all.len() as u64 * BITS_EACH).max(64);
    let (once, again) = (Bits::new(count), Bits::new(count));
    // Hashes are even: a bit's number is its part of all bits.
    let bit = |p: &Print<I>| {
        let high = u64::from(p.hash[2]) << 32 | u64::from(p.hash[3]);
        let mixed = high.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((u128::from(mixed) * u128::from(count)) >> 64) as u64
    };
    all.par_iter().map(bit).for_each(|bit| {
        if once.set(bit) {
            again.set(bit);
        }
    });
    drop(once);
    all.retain(|p| again.has(bit(p)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_one_of_each_could_go() {
        let mut prints = Vec::new();
        for place in 0..1000u64 {
            prints.push(Print::<u32>::new(place % 2, &[(place % 10 / 2) as u8], place));
        }
        let gone = Bits::new(1000);
        let found =
            duplicates(prints, Kind::DuplicateArrays, 3, &gone, |p| p == 500, |p| 8 + p % 2 * 8);
        assert_eq!((found.found.len(), gone.count()), (990, 990));
        assert!(!gone.has(500) && gone.has(0));
        let copies: Vec<_> = found.most.iter().map(|s| (s.kept, s.copies, s.saves)).collect();
        assert_eq!(copies, [(1, 100, 99 * 16), (3, 100, 99 * 16), (5, 100, 99 * 16)]);
    }

    #[test]
    fn most_single_ones_are_dropped_and_no_other() {
        let of = |n: u64| Print::<u32>::new(0, &n.to_le_bytes(), n);
        let twice = |n: u64| [of(n), Print::new(0, &n.to_le_bytes(), n + 100_000)];
        let mut all: Vec<_> = (0..10_000).map(of).collect();
        all.extend((10_000..10_100).flat_map(twice));
        drop_single(&mut all);
        let kept = all.iter().filter(|p| p.place() % 100_000 >= 10_000).count();
        assert_eq!(kept, 200);
        assert!(all.len() < 200 + 2 * 10_000 / BITS_EACH as usize, "{}", all.len());
        // Values that are their own hashes lie close to one another.
        let mut exact: Vec<_> = (0..10_000).map(|n| Print::<u32>::exact(7, n, n)).collect();
        drop_single(&mut exact);
        assert!(exact.len() < 2 * 10_000 / BITS_EACH as usize, "{}", exact.len());
    }

    #[test]
    fn the_tag_sets_apart() {
        let of = |tag, bytes: &[u8]| Print::<u64>::new(tag, bytes, 0);
        assert!(
            of(0, b"a") != of(1, b"a") && of(1, b"a") == of(1, b"a") && of(0, b"") != of(1, b"")
        );
        assert!(Print::<u64>::exact(1, 2, 0) != Print::exact(2, 1, 0));
        assert_eq!(size_of::<Print<u32>>(), 20);
    }
}

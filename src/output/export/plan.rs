//! Into which row groups a table falls: by the objects alone, so that it is the same at any number of threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::graph::{Numbers, ones};

/// Rows of a row group at most.
pub(super) const ROWS: u64 = 1_000_000;
/// Objects that are weighed in one go. Takes 8 bytes for each.
const BLOCK: u64 = 1024;

/// So many rows, as many in each piece.
pub(super) fn even(count: u64) -> Vec<Range<u64>> {
    let piece = |i: u64| i * ROWS..count.min((i + 1) * ROWS);
    (0..count.div_ceil(ROWS)).map(piece).collect()
}

/// Objects by their numbers, each piece of no more than this weight but for those of one object; with their weights. By all
/// threads of the pool that this is called in.
pub(super) fn weighed(
    numbers: &Numbers,
    limit: u64,
    weigh: impl Fn(u64) -> u64 + Sync,
    done: impl Fn(u64) + Sync,
) -> Vec<(Range<u64>, u64)> {
    let count = numbers.len();
    let block = |i: u64| i * BLOCK..count.min((i + 1) * BLOCK);
    let of_block = |i: u64| {
        let objects = block(i);
        done(objects.end - objects.start);
        places(numbers, &objects).map(&weigh).sum()
    };
    let weights: Vec<u64> = (0..count.div_ceil(BLOCK)).into_par_iter().map(of_block).collect();
    let mut pieces = Pieces { limit, pieces: Vec::new() };
    for (i, weight) in (0..).zip(weights) {
        if weight <= limit {
            pieces.add(block(i), weight);
            continue;
        }
        for (number, place) in block(i).zip(places(numbers, &block(i))) {
            pieces.add(number..number + 1, weigh(place));
        }
    }
    pieces.pieces
}

struct Pieces {
    limit: u64,
    pieces: Vec<(Range<u64>, u64)>,
}

impl Pieces {
    fn add(&mut self, objects: Range<u64>, weight: u64) {
        match self.pieces.last_mut() {
            Some((last, sum)) if *sum + weight <= self.limit => {
                last.end = objects.end;
                *sum += weight;
            }
            _ => self.pieces.push((objects, weight)),
        }
    }
}

/// Those of a list that a piece has.
pub(super) fn part<'l, T>(all: &'l [T], piece: &Range<u64>) -> &'l [T] {
    all.get(piece.start as usize..piece.end as usize).unwrap_or(&[])
}

/// The places of the objects with these numbers, in order.
pub(super) fn places<'n>(
    numbers: &'n Numbers,
    objects: &Range<u64>,
) -> impl Iterator<Item = u64> + 'n {
    let first = numbers.select(objects.start).unwrap_or(numbers.places());
    let (word, bit) = ((first / 64) as usize, first % 64);
    let words = numbers.bits().get(word..).unwrap_or(&[]);
    let of_word = move |(i, bits): (usize, &u64)| {
        let below = if i == 0 { (1 << bit) - 1 } else { 0 };
        ones((word + i) as u64 * 64, bits & !below)
    };
    let count = objects.end.saturating_sub(objects.start) as usize;
    words.iter().enumerate().flat_map(of_word).take(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_all_objects_once_and_are_no_heavier_than_the_limit() {
        let numbers =
            Numbers::of((0..600_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect());
        let all: Vec<u64> = numbers.iter().collect();
        let weigh = |place: u64| if place % 1000 == 7 { 5000 } else { place % 3 };
        let pieces = weighed(&numbers, 700, weigh, |_| ());
        let met = pieces.iter().flat_map(|(objects, _)| places(&numbers, objects));
        assert!(met.eq(all.iter().copied()));
        for (objects, weight) in &pieces {
            assert_eq!(places(&numbers, objects).map(weigh).sum::<u64>(), *weight);
            assert!(*weight <= 700 || objects.end - objects.start == 1, "{objects:?}");
        }
        assert!(pieces.iter().any(|p| p.1 == 5000) && pieces.len() > 20, "{}", pieces.len());
        let (start, end) = (all.len() as u64 - 3, all.len() as u64);
        assert!(places(&numbers, &(start..end)).eq(all[start as usize..].iter().copied()));
        assert_eq!(places(&numbers, &(end..end)).count(), 0);
    }
}

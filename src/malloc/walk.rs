//! From chunk to chunk: each one's size leads to the next, and the next one's header says whether it is in use.
//!
//! A size that cannot be is stepped over: the walk goes on where chunks follow one another again.

use crate::corefile::memory::Memory;

use super::Sum;
use super::layout::{
    ALIGNMENT, FLAGS, FREE_HEADER, HEADER, IS_MMAPPED, NON_MAIN_ARENA, PREV_INUSE, SIZE_AT,
    SMALLEST,
};

/// So many chunks one after another are no accident, each with its neighbours' word for it.
const RUN: usize = 16;
/// As many where the core has no more of them.
const SHORT_RUN: usize = 4;

/// What a walk has met. All but the sums are bytes.
#[derive(Debug)]
pub(super) struct Tally {
    /// Chunks in use, by the power of two that none of them is larger than.
    pub(super) in_use: [Sum; 65],
    pub(super) free: Sum,
    pub(super) trimmable: u64,
    pub(super) largest_free: u64,
    pub(super) overhead: u64,
    pub(super) damaged: u64,
    pub(super) absent: u64,
    /// Where the first damage is.
    pub(super) first_damage: Option<u64>,
}

/// The index in [`Tally::in_use`] for a chunk of so many bytes.
pub(super) fn class(bytes: u64) -> usize {
    (u64::BITS - bytes.saturating_sub(1).leading_zeros()) as usize
}

/// Where a walk has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Where it was to end.
    End,
    /// Behind the marks that malloc leaves where what follows is not its own.
    Marks(u64),
}

/// Where chunks in a row lead.
enum Row {
    /// To a chunk whose header the row's slice does not have.
    On(u64),
    /// To one that cannot be.
    Odd(u64),
}

/// Walks the pieces of one arena.
#[derive(Debug)]
pub(super) struct Walk<'m> {
    mem: &'m Memory,
    page: u64,
    is_main: bool,
    pub(super) tally: Tally,
}

impl<'m> Walk<'m> {
    /// Pages are of so many bytes.
    pub(super) fn new(mem: &'m Memory, page: u64, is_main: bool) -> Walk<'m> {
        let tally = Tally {
            in_use: [Sum::default(); 65],
            free: Sum::default(),
            trimmable: 0,
            largest_free: 0,
            overhead: 0,
            damaged: 0,
            absent: 0,
            first_damage: None,
        };
        Walk { mem, page, is_main, tally }
    }

    /// Whole pages from `start` on, or later, to `end`.
    pub(super) fn whole_pages(&self, start: u64, end: u64) -> u64 {
        let first = start.checked_next_multiple_of(self.page).unwrap_or(end);
        (end & !(self.page - 1)).saturating_sub(first)
    }

    /// Counts the chunks from `from` to `end`, where top begins or the piece ends.
    pub(super) fn chunks(&mut self, from: u64, end: u64) -> Stop {
        let mut at = from;
        while at < end {
            // With the header of what is behind the end, which tells of the last chunk.
            let run = self.mem.contiguous(at).min(end.saturating_add(HEADER) - at);
            let headers = self.mem.slice(at, run).unwrap_or_default().as_chunks::<16>().0;
            if headers.is_empty() {
                let next = self.find(at, end, ALIGNMENT).unwrap_or(end);
                self.tally.absent += next - at;
                at = next;
                continue;
            }
            match self.row(headers, at, end) {
                Row::On(next) => at = next,
                Row::Odd(odd) => {
                    if let Some(after) = self.marks(odd, end) {
                        self.tally.overhead += after - odd;
                        return Stop::Marks(after);
                    }
                    let next =
                        self.find(odd.saturating_add(ALIGNMENT), end, ALIGNMENT).unwrap_or(end);
                    self.tally.first_damage.get_or_insert(odd);
                    self.tally.damaged += next - odd;
                    at = next;
                }
            }
        }
        Stop::End
    }

    /// Counts the chunks from `base` on as long as `headers`, which begin there, have their headers.
    fn row(&mut self, headers: &[[u8; 16]], base: u64, end: u64) -> Row {
        let size_at = |at: u64| {
            let header = headers.get(((at - base) / HEADER) as usize)?;
            Some((u128::from_le_bytes(*header) >> 64) as u64)
        };
        let mut at = base;
        let mut word = size_at(at).unwrap_or(0);
        loop {
            let Some(size) = size(word, end - at) else { return Row::Odd(at) };
            let next = at + size;
            let inside = size_at(next);
            let beyond = || self.mem.u64(next.wrapping_add(SIZE_AT)).unwrap_or(PREV_INUSE);
            let after = inside.unwrap_or_else(beyond);
            if after & PREV_INUSE != 0 {
                if let Some(sum) = self.tally.in_use.get_mut(class(size)) {
                    sum.add(size);
                }
            } else {
                self.tally.free.add(size);
                self.tally.largest_free = self.tally.largest_free.max(size);
                self.tally.trimmable += self.whole_pages(at.saturating_add(FREE_HEADER), next);
            }
            if next >= end || inside.is_none() {
                return Row::On(next);
            }
            (at, word) = (next, after);
        }
    }

    fn word(&self, at: u64) -> Option<u64> {
        self.mem.u64(at.checked_add(SIZE_AT)?).ok()
    }

    /// The end of the marks at `at`, if there are any: two headers of chunks without memory. In a heap of a thread arena
    /// the second one has a size of 0, and the heap ends there.
    fn marks(&self, at: u64, end: u64) -> Option<u64> {
        let size = |at| self.word(at).map(|word| word & !FLAGS);
        let (first, after) = (size(at)?, at.checked_add(2 * HEADER)?);
        match self.is_main {
            true => {
                (first == HEADER && size(at + HEADER)? == HEADER && after <= end).then_some(after)
            }
            false if first == HEADER => (after == end && size(at + HEADER)? == 0).then_some(after),
            false => (first == 0 && at + HEADER == end && self.word(at)? & PREV_INUSE != 0)
                .then_some(end),
        }
    }

    /// The first place from `from` on, at a multiple of `step`, where chunks follow one another.
    pub(super) fn find(&self, from: u64, end: u64, step: u64) -> Option<u64> {
        for (start, stop) in self.mem.present(from, end) {
            let Some(first) = start.checked_next_multiple_of(step) else { break };
            let Ok(bytes) = self.mem.slice(first, stop.saturating_sub(first)) else { continue };
            let headers = bytes.as_chunks::<16>().0.iter().step_by((step / HEADER) as usize);
            for (i, header) in headers.enumerate() {
                let at = first + i as u64 * step;
                let word = (u128::from_le_bytes(*header) >> 64) as u64;
                if size(word, end - at).is_some() && self.is_run(at, end) {
                    return Some(at);
                }
            }
        }
        None
    }

    /// Whether there may be a chunk at `at`.
    pub(super) fn can_be(&self, at: u64, end: u64) -> bool {
        self.word(at).is_some_and(|word| size(word, end.saturating_sub(at)).is_some())
    }

    /// Whether chunks that agree with their neighbours follow one another from `at` on.
    fn is_run(&self, mut at: u64, end: u64) -> bool {
        let Some(mut word) = self.word(at) else { return false };
        for n in 0..RUN {
            let Some(size) = size(word, end.saturating_sub(at)) else { return false };
            let next = at + size;
            if next == end || self.marks(next, end).is_some() {
                return true;
            }
            let Some(after) = self.word(next) else { return n >= SHORT_RUN };
            let agrees = match after & PREV_INUSE != 0 {
                true => (word & NON_MAIN_ARENA == 0) == self.is_main,
                // No two free chunks are neighbours, and a free one's size stands at its end, too.
                false => word & PREV_INUSE != 0 && self.mem.u64(next) == Ok(size),
            };
            if !agrees {
                return false;
            }
            (at, word) = (next, after);
        }
        true
    }
}

/// The size in a header, if a chunk of at most `room` bytes can have it.
fn size(word: u64, room: u64) -> Option<u64> {
    let size = word & !FLAGS;
    let can_be = size >= SMALLEST
        && size.is_multiple_of(ALIGNMENT)
        && size <= room
        && word & IS_MMAPPED == 0;
    can_be.then_some(size)
}

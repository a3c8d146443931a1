//! What a depth-first search has still to look at.

use super::super::Id;

/// How many are looked at together: while one waits for memory, the others do, too.
pub(super) const TOGETHER: usize = 8;

/// Places that were referred to, the last first; with numbers of 4 bytes 4 for each, and 8 for each node that has any
/// left.
#[derive(Debug, Default)]
pub(super) struct Stack<I> {
    places: Vec<I>,
    /// The numbers of those that refer to them, and to how many.
    holders: Vec<(I, u32)>,
}

impl<I: Id> Stack<I> {
    /// One more, to which the node with the number `from` refers.
    #[inline]
    pub(super) fn push(&mut self, place: I, from: I) {
        self.places.push(place);
        match self.holders.last_mut() {
            Some((last, count)) if *last == from && *count < u32::MAX => *count += 1,
            _ => self.holders.push((from, 1)),
        }
    }

    /// The last, and the number of who refers to it.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<(I, I)> {
        let place = self.places.pop()?;
        let (from, count) = self.holders.last_mut()?;
        let from = *from;
        *count -= 1;
        if *count == 0 {
            self.holders.pop();
        }
        Some((place, from))
    }

    /// The last few of those that the node with the number `from` refers to, if it is its turn. `keep` says how many of
    /// them, from the first on, are to stay.
    #[inline]
    pub(super) fn sift(&mut self, from: I, keep: impl FnOnce(&mut [I]) -> usize) {
        let Some((_, count)) = self.holders.last_mut().filter(|(of, _)| *of == from) else {
            return;
        };
        let some = (*count as usize).min(TOGETHER);
        let first = self.places.len() - some;
        let kept = keep(&mut self.places[first..]).min(some);
        self.places.truncate(first + kept);
        *count -= (some - kept) as u32;
        if *count == 0 {
            self.holders.pop();
        }
    }

    /// How many numbers it takes.
    pub(super) fn len(&self) -> usize {
        self.places.len() + self.holders.len() * size_of::<(I, u32)>().div_ceil(size_of::<I>())
    }
}

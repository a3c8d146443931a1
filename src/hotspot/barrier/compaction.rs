//! A full collection that slides objects together: where each object still is, of those that references may already
//! mean at the place where it will be.
//!
//! Such a collection marks; writes into each header where the object will be; makes all references mean those places
//! ("adjusts" them); then moves the objects, lowest first. So an object stands in one of its two places all the time,
//! and a reference means one of the two. `hotspot::compaction` finds out how far that had come.

use super::super::unexported::full_gc::{FORWARDING_SHIFT, WORD};
use super::MARKED;
use crate::corefile::memory::Memory;

/// How a header tells where its object will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// As an address (until 23).
    Address,
    /// In words from this address on, in the bits below the second number (24 and later, `fullGCForwarding.inline.hpp`).
    Words(u64, u32),
    /// It does not: the collector has a table.
    Elsewhere,
}

impl Forwarding {
    /// Where the object with this header will be, if the header tells.
    #[inline]
    pub fn target(self, mark: u64) -> Option<u64> {
        if mark & MARKED != MARKED {
            return None;
        }
        match self {
            Forwarding::Address => Some(mark & !MARKED).filter(|to| *to != 0),
            Forwarding::Elsewhere => None,
            Forwarding::Words(base, bits) => {
                let low = mark & u64::MAX.checked_shr(64 - bits).unwrap_or(0);
                Some(base.wrapping_add((low >> FORWARDING_SHIFT).wrapping_mul(WORD)))
            }
        }
    }
}

/// A run of memory that one thread of the collector works on from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where it starts.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Where the first object of it will start. What is before is the end of one that is not there yet.
    pub first: u64,
    /// References that stand below this address mean where objects will be, the others where they were.
    pub adjusted_below: u64,
    /// What will be here has come as far as to this address; its end where nothing more comes.
    pub filled_below: u64,
}

/// What such a collection had done.
#[derive(Debug, Clone)]
pub struct Compaction {
    /// How headers tell.
    pub forwarding: Forwarding,
    /// Objects that still stand where they were: where they will be, and where they are, by the first.
    pub moves: Vec<(u64, u64)>,
    /// The second ones, in order.
    pub standing: Vec<u64>,
    /// Where references are adjusted only as what holds them is moved: where each object was that has been moved, and
    /// where it is, by the first.
    pub gone: Vec<(u64, u64)>,
    /// In order.
    pub pieces: Vec<Piece>,
    /// Objects that stay where they are although their headers lead to themselves, in order.
    pub humongous: Vec<u64>,
    /// Where references are adjusted later than those around them: starts and ends, in order.
    pub late: Vec<(u64, u64)>,
    /// How far each region will be filled, by its start, where anything comes to it.
    pub tops: Vec<(u64, u64)>,
    /// Whether the references of the VM's own structures mean where objects will be.
    pub roots_adjusted: bool,
    /// Whether objects were being moved: what neither stands nor has come is no object any more.
    pub moving: bool,
}

/// Where the next living object is, by the first word of a run of dead ones: Serial and CMS write that over it.
#[inline]
pub fn dead_until(at: u64, head: &[u8], end: u64) -> Option<u64> {
    let next = head.first_chunk().map(|word| u64::from_le_bytes(*word))?;
    (next > at && next <= end && next.is_multiple_of(8)).then_some(next)
}

impl Compaction {
    /// The object of a reference in the VM's own structures.
    pub fn resolve(&self, mem: &Memory, bits: u64) -> u64 {
        self.resolve_as(mem, self.roots_adjusted, bits)
    }

    /// The object of a reference that stands at `slot` in the heap.
    pub fn resolve_at(&self, mem: &Memory, slot: u64, bits: u64) -> u64 {
        let adjusted = self.piece(slot).map_or(self.roots_adjusted, |p| slot < p.adjusted_below);
        let late = self.late.get(self.late.partition_point(|l| l.1 <= slot));
        self.resolve_as(mem, adjusted && late.is_none_or(|l| slot < l.0), bits)
    }

    fn resolve_as(&self, mem: &Memory, adjusted: bool, bits: u64) -> u64 {
        if !adjusted
            && !self.stands(bits)
            && let Ok(i) = self.gone.binary_search_by_key(&bits, |m| m.0)
        {
            return self.gone[i].1;
        }
        let Some(at) = self.comes_to(bits) else { return bits };
        if !adjusted && self.is_alive_at(mem, bits) { bits } else { at }
    }

    /// Whether an object is at `addr` that the collection has marked, and not moved: an old reference to it is possible.
    #[inline]
    pub fn is_alive_at(&self, mem: &Memory, addr: u64) -> bool {
        // Most words at places where no object starts are no such marks.
        let marked = |m: u64| m & MARKED == MARKED && self.forwarding.target(m).is_none();
        self.stands(addr) || self.piece(addr).is_some() && mem.u64(addr).is_ok_and(marked)
    }

    /// Where the object still is that will be at `to`.
    #[inline]
    pub fn comes_to(&self, to: u64) -> Option<u64> {
        let i = self.moves.binary_search_by_key(&to, |m| m.0).ok()?;
        Some(self.moves[i].1)
    }

    /// Whether an object stands at `addr` that will be moved.
    #[inline]
    pub fn stands(&self, addr: u64) -> bool {
        self.standing.binary_search(&addr).is_ok()
    }

    /// Where the object went whose old copy is at `addr`.
    pub fn forwardee(&self, mem: &Memory, addr: u64) -> Option<u64> {
        if !self.moving {
            return None;
        }
        let to = self.forwarding.target(mem.u64(addr).ok()?)?;
        (to != addr && self.piece(to).is_some() && !self.stands(addr)).then_some(to)
    }

    /// Whether the object with this header, at `at`, is being copied there from a place that overlaps this one: its header
    /// leads to itself until it is there.
    #[inline]
    pub fn is_arriving(&self, at: u64, head: &[u8]) -> bool {
        let mark = head.first_chunk().map(|m| u64::from_le_bytes(*m));
        self.moving
            && mark.and_then(|m| self.forwarding.target(m)) == Some(at)
            && !self.stands(at)
            && self.humongous.binary_search(&at).is_err()
    }

    /// The piece that has this address.
    #[inline]
    pub fn piece(&self, addr: u64) -> Option<&Piece> {
        let i = self.pieces.partition_point(|p| p.end <= addr);
        self.pieces.get(i).filter(|p| p.start <= addr)
    }

    /// How far the region that starts at `start` holds objects, or will, if it is filled up to `top` as yet.
    pub fn top(&self, start: u64, top: u64) -> u64 {
        let found = self.tops.binary_search_by_key(&start, |t| t.0);
        found.ok().filter(|_| self.moving).map_or(top, |i| top.max(self.tops[i].1))
    }

    /// Where to go on from `at`, if no object is there any more, or not yet.
    #[inline]
    pub fn skip(&self, at: u64) -> Option<u64> {
        if !self.moving {
            return None;
        }
        let piece = self.piece(at)?;
        let limit = if at < piece.first {
            piece.first
        } else if at < piece.filled_below {
            return None;
        } else {
            piece.end
        };
        let next = self.standing.get(self.standing.partition_point(|s| *s < at));
        let next = next.map_or(limit, |s| (*s).min(limit));
        (next != at).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memmap2::MmapMut;

    use super::*;

    const BASE: u64 = 0x10_0000;

    /// Three objects of 32 bytes, of which the first is dead: B and C go to where the one before it is.
    const A: u64 = BASE;
    const B: u64 = BASE + 32;
    const C: u64 = BASE + 64;
    const END: u64 = BASE + 96;

    /// The heap with these marks.
    fn memory(marks: [u64; 3]) -> Memory {
        let mut file = MmapMut::map_anon(96).expect("memory");
        for (i, mark) in marks.iter().enumerate() {
            file[i * 32..i * 32 + 8].copy_from_slice(&mark.to_le_bytes());
        }
        let file = Arc::new(file.try_into().expect("memory"));
        let mut mem = Memory::default();
        mem.lay_under(BASE, 96, &file, 0);
        mem
    }

    fn compaction(moves: &[(u64, u64)], adjusted_below: u64, moving: bool) -> Compaction {
        let filled_below = moves.first().map_or(END, |m| m.0);
        Compaction {
            forwarding: Forwarding::Address,
            moves: moves.to_vec(),
            gone: Vec::new(),
            late: Vec::new(),
            humongous: Vec::new(),
            standing: moves.iter().map(|m| m.1).collect(),
            pieces: vec![Piece {
                start: BASE,
                end: END,
                first: BASE,
                adjusted_below,
                filled_below,
            }],
            tops: vec![(BASE, BASE + 64)],
            roots_adjusted: adjusted_below == END,
            moving,
        }
    }

    #[test]
    fn before_the_first_new_object_of_a_piece_is_what_still_stands() {
        let mut c = compaction(&[(A, B)], BASE, true);
        c.pieces[0].first = C;
        assert_eq!((c.skip(A), c.skip(B), c.skip(B + 8)), (Some(B), None, Some(C)));
    }

    #[test]
    fn references_adjusted_late_mean_where_objects_were() {
        let mem = memory([1, 1, 1]);
        let mut c = compaction(&[], END, true);
        c.gone = vec![(C, A)];
        c.late = vec![(B, C)];
        assert_eq!(c.resolve_at(&mem, A + 8, C), C);
        assert_eq!(c.resolve_at(&mem, B + 8, C), A);
    }

    #[test]
    fn references_mean_the_old_place_until_they_are_adjusted() {
        let mem = memory([B, A | 3, B | 3]);
        let c = compaction(&[(A, B), (B, C)], C, false);
        // Below C they are adjusted, from C on not yet; the VM's own are not.
        assert_eq!(c.resolve_at(&mem, A + 16, A), B);
        assert_eq!(c.resolve_at(&mem, B + 16, B), C);
        assert_eq!(c.resolve_at(&mem, C + 16, B), B, "B's own place, as B is alive there");
        assert_eq!(c.resolve_at(&mem, C + 16, A), B, "nothing alive is at A");
        assert_eq!(c.resolve(&mem, B), B);
        assert_eq!(c.resolve_at(&mem, A + 16, 0), 0);
        assert_eq!(c.resolve_at(&mem, A + 16, END + 8), END + 8);
        assert_eq!((c.forwardee(&mem, B), c.skip(A), c.top(BASE, END)), (None, None, END));
        // The dead one says where the next one is.
        assert_eq!(dead_until(A, &B.to_le_bytes(), END), Some(B));
        assert_eq!(dead_until(A, &(A | 1).to_le_bytes(), END), None);
        assert_eq!(dead_until(A, &(END + 8).to_le_bytes(), END), None);
    }

    #[test]
    fn what_was_moved_is_in_its_new_place_only() {
        // B has come to A; C's place begins where B's old copy is.
        let mem = memory([1, A | 3, B | 3]);
        let c = compaction(&[(B, C)], END, true);
        assert_eq!((c.resolve(&mem, A), c.resolve(&mem, B)), (A, C));
        assert_eq!(c.forwardee(&mem, B), Some(A), "an old copy");
        assert_eq!(c.forwardee(&mem, C), None, "it stands");
        assert_eq!(c.skip(A), None);
        assert_eq!(c.skip(B), Some(C), "neither an object any more nor one as yet");
        assert_eq!(c.skip(C), None);
        assert_eq!(c.skip(C + 32), None, "outside");
        assert_eq!(c.top(BASE, A + 32), BASE + 64);
        // C is being copied over itself.
        let mut c = compaction(&[], END, true);
        assert!(c.is_arriving(B, &(B | 3).to_le_bytes()));
        assert!(!c.is_arriving(B, &(A | 3).to_le_bytes()) && !c.is_arriving(B, &[1; 8]));
        c.humongous = vec![B];
        assert!(!c.is_arriving(B, &(B | 3).to_le_bytes()), "G1 marks what is alive so");
    }

    #[test]
    fn headers_tell_by_address_or_by_words() {
        assert_eq!(Forwarding::Address.target(0x1003), Some(0x1000));
        assert_eq!(Forwarding::Address.target(3), None);
        assert_eq!(Forwarding::Address.target(0x1001), None);
        let narrow = Forwarding::Words(BASE, 42);
        assert_eq!(narrow.target(0x77 << 42 | 5 << 2 | 3), Some(BASE + 40));
        assert_eq!(Forwarding::Words(BASE, 64).target(5 << 2 | 3), Some(BASE + 40));
        assert_eq!(narrow.target(5 << 2 | 1), None);
        // A mark may be anything.
        assert_eq!(Forwarding::Words(BASE, 64).target(u64::MAX), Some(BASE - 8));
    }
}

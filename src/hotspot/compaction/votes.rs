//! Which references had been made to mean where objects will be: those say it that can mean one of the two only.

use std::collections::HashMap;

use super::super::barrier::Barrier;
use super::super::barrier::compaction::Compaction;
use super::super::gc::CollectedHeap;
use super::super::{Reader, Vm};
use super::border::border;
use super::words::words;
use crate::corefile::memory::Memory;

/// Classes of objects that one field was seen to refer to; more say no more.
const MAX_SEEN: usize = 8;

/// How many references mean the new place, and the old one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub new: usize,
    pub old: usize,
}

/// What a word says if it is a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vote {
    /// It can only mean the new place of the object that is at this address now.
    New(u64),
    /// It can only mean the old place of the object that is at this address now.
    Old(u64),
    /// The new place of the object at the one, or the old one of that at the other.
    Either(u64, u64),
    /// It is no reference to what moves.
    None,
}

/// Asks words what they say.
struct Voter<'a> {
    mem: &'a Memory,
    /// The new places of objects that have come there, in order.
    come: Vec<u64>,
}

impl<'a> Voter<'a> {
    fn new(mem: &'a Memory, c: &Compaction) -> Voter<'a> {
        let mut come: Vec<u64> = c.gone.iter().map(|m| m.1).collect();
        come.sort_unstable();
        Voter { mem, come }
    }

    fn vote(&self, c: &Compaction, bits: u64) -> Vote {
        let has_come = || self.come.binary_search(&bits).is_ok().then_some(bits);
        let new = c.comes_to(bits).or_else(has_come);
        let old = match c.is_alive_at(self.mem, bits) {
            true => Some(bits),
            false => c.gone.binary_search_by_key(&bits, |m| m.0).ok().map(|i| c.gone[i].1),
        };
        match (new, old) {
            (Some(new), None) => Vote::New(new),
            (None, Some(old)) => Vote::Old(old),
            (Some(new), Some(old)) => Vote::Either(new, old),
            (None, None) => Vote::None,
        }
    }
}

/// Counts the votes of the heap's objects, and notes in each piece how far they had been adjusted.
pub(super) fn count(vm: &Vm, heap: &CollectedHeap, c: &mut Compaction) -> Counted {
    let klass = |addr: u64| vm.pointers.klass_of(vm.mem.slice(addr, 16).ok()?);
    let voter = Voter::new(vm.mem, c);
    let mut votes: Vec<(u64, bool)> = Vec::new();
    let mut seen: HashMap<(u64, u64), Vec<u64>> = HashMap::new();
    let bounds = heap.regions.first().zip(heap.regions.last()).map(|(a, b)| a.start..b.end);
    let in_heap = |bits: &u64| {
        bits.is_multiple_of(vm.pointers.alignment) && bounds.iter().any(|b| b.contains(bits))
    };
    // Those of what is alive for certain.
    let mut counted = Counted::default();
    words(vm, heap, c, |slot, bits, field, certain| {
        let at = match voter.vote(c, bits) {
            Vote::New(at) => {
                votes.push((slot, true));
                counted.new += usize::from(certain);
                at
            }
            Vote::Old(at) => {
                votes.push((slot, false));
                counted.old += usize::from(certain);
                at
            }
            // What stays where it is tells the class, whichever way it is read.
            Vote::None if in_heap(&bits) => bits,
            Vote::Either(..) | Vote::None => return,
        };
        let seen = seen.entry(field).or_default();
        let is_new = |k: &u64| !seen.contains(k) && vm.classes.get(*k).is_some();
        if seen.len() < MAX_SEEN
            && let Some(klass) = klass(at).filter(is_new)
        {
            seen.push(klass);
        }
    });
    let mut rest = &votes[..];
    // Where nothing is certain, from the last new one on to the first old one.
    let mut open = Vec::new();
    for piece in &mut c.pieces {
        let own;
        (own, rest) = rest.split_at(rest.partition_point(|v| v.0 < piece.end));
        piece.adjusted_below = match own.is_empty() {
            true if counted.new > counted.old => piece.end,
            true => piece.start,
            false => border(own, piece.start, piece.end),
        };
        let (below, above) = own.split_at(own.partition_point(|v| v.0 < piece.adjusted_below));
        let last = below.iter().rfind(|v| v.1).map_or(piece.start, |v| v.0 + 1);
        open.push((last, above.iter().find(|v| !v.1).map_or(piece.end, |v| v.0)));
    }
    if counted.new == 0 || counted.old == 0 {
        return counted;
    }
    // There the classes of what fields like these refer to elsewhere tell.
    votes.clear();
    words(vm, heap, c, |slot, bits, field, _| {
        let i = open.partition_point(|o| o.1 <= slot);
        let inside = open.get(i).is_some_and(|o| o.0 <= slot);
        if inside
            && let Vote::Either(new, old) = voter.vote(c, bits)
            && let Some(seen) = seen.get(&field)
        {
            let fits = |at: u64| klass(at).is_some_and(|k| seen.contains(&k));
            if fits(new) != fits(old) {
                votes.push((slot, fits(new)));
            }
        }
    });
    let mut rest = &votes[..];
    for (piece, (start, end)) in c.pieces.iter_mut().zip(open) {
        let own;
        (own, rest) = rest.split_at(rest.partition_point(|v| v.0 < end));
        if !own.is_empty() {
            piece.adjusted_below = border(own, start, end);
        }
    }
    counted
}

/// Whether the VM's own references mean new places, by those to mirrors; none where these do not tell.
pub(super) fn roots(vm: &Vm, c: &Compaction) -> Option<bool> {
    let plain = Barrier::None;
    let reader = Reader { barrier: &plain, ..vm.reader() };
    let voter = Voter::new(vm.mem, c);
    let mut counted = Counted::default();
    for k in vm.classes.all() {
        let bits = reader.object(k.addr, vm.fields.klass_mirror).unwrap_or(0);
        match voter.vote(c, bits) {
            Vote::New(_) => counted.new += 1,
            Vote::Old(_) => counted.old += 1,
            Vote::Either(..) | Vote::None => {}
        }
    }
    (counted.new != counted.old).then_some(counted.new > counted.old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hotspot::barrier::compaction::Forwarding;

    /// Of Parallel's: nothing is in headers. What has moved speaks for either place as well as what stands.
    #[test]
    fn what_has_moved_votes() {
        let [a, b, c, d, e] = [0x1000, 0x1100, 0x1200, 0x1300, 0x1400];
        let compaction = Compaction {
            forwarding: Forwarding::Elsewhere,
            moves: vec![(d, e)],
            standing: vec![e],
            // The object at b went to a, that at c to b.
            gone: vec![(b, a), (c, b)],
            pieces: Vec::new(),
            humongous: Vec::new(),
            late: Vec::new(),
            tops: Vec::new(),
            roots_adjusted: false,
            moving: true,
        };
        let mem = Memory::default();
        let voter = Voter::new(&mem, &compaction);
        let votes = [a, b, c, d, e, 0x1500].map(|bits| voter.vote(&compaction, bits));
        let expected = [
            Vote::New(a),
            Vote::Either(b, a),
            Vote::Old(b),
            Vote::New(e),
            Vote::Old(e),
            Vote::None,
        ];
        assert_eq!(votes, expected);
    }
}

//! The headers that say where their objects will be.

use std::collections::HashMap;

use super::super::Vm;
use super::super::barrier::compaction::{Compaction, Forwarding, Piece, dead_until};
use super::super::classes::Size;
use super::super::gc::{CollectedHeap, Region};
use super::super::pointers::KlassForm;
use super::border::border;

/// An object's length is within this many bytes of its start.
const HEAD: u64 = 512;

/// An object whose header says where it will be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// Where it is, or was.
    pub at: u64,
    /// Where it will be.
    pub to: u64,
    /// Its bytes.
    pub size: u64,
}

/// All of them, in order.
#[derive(Debug)]
pub(super) struct Headers {
    pub forwarding: Forwarding,
    pub all: Vec<Header>,
}

/// Of objects by their new places, whether each seems to have come there, and their numbers: which ones have.
fn moved(by_place: &[(u64, bool, usize)], pieces: &[Piece]) -> Vec<bool> {
    let mut come = vec![false; by_place.len()];
    let mut rest = by_place;
    for piece in pieces {
        let own;
        (own, rest) = rest.split_at(rest.partition_point(|h| h.0 < piece.end));
        let seem: Vec<(u64, bool)> = own.iter().map(|h| (h.0, h.1)).collect();
        let border = border(&seem, piece.start, piece.end);
        for (_, _, i) in own.iter().take_while(|h| h.0 < border) {
            if let Some(come) = come.get_mut(*i) {
                *come = true;
            }
        }
    }
    come
}

/// From klasses to sizes of their objects.
pub(super) struct Sizes(HashMap<u64, Size>);

impl Sizes {
    pub(super) fn new(vm: &Vm) -> Sizes {
        Sizes(vm.classes.all().iter().map(|k| (k.addr, k.size)).collect())
    }

    /// The bytes of the object at `at`, if a loaded class is in its header and it ends before `end`.
    #[inline]
    pub(super) fn of(&self, vm: &Vm, at: u64, end: u64) -> Option<u64> {
        let want = (end - at).min(HEAD);
        let head = vm.mem.slice(at, vm.mem.contiguous(at).min(want)).ok()?;
        let size = self.0.get(&vm.pointers.klass_of(head)?)?.bytes(&vm.pointers, head)?;
        (size <= end - at).then_some(size)
    }
}

/// Calls `each` with every object of the heap that its header tells, and its size, as far as that goes.
pub(super) fn walk(vm: &Vm, heap: &CollectedHeap, mut each: impl FnMut(u64, u64)) {
    let sizes = Sizes::new(vm);
    for r in &heap.regions {
        let mut at = r.start;
        while at < r.top {
            let run = vm.mem.contiguous(at);
            if run == 0 {
                let page = vm.mem.present(at, r.top).next();
                at = page.map_or(r.top, |(from, _)| from.next_multiple_of(vm.pointers.alignment));
                continue;
            }
            let head = vm.mem.slice(at, run.min(8)).unwrap_or(&[]);
            if let Some(next) = dead_until(at, head, r.top) {
                at = next;
                continue;
            }
            match sizes.of(vm, at, r.top) {
                Some(size) => {
                    each(at, size);
                    at = heap.free_chunks.step(at, size).saturating_add(at);
                }
                None => at += hole(vm, heap, at, r.top),
            }
        }
    }
}

/// The bytes from `at`, where no object is, to where the next one may be.
fn hole(vm: &Vm, heap: &CollectedHeap, at: u64, top: u64) -> u64 {
    let head = vm.mem.slice(at, 16).unwrap_or(&[]);
    if let Some(size) = heap.free_chunks.size(head).filter(|size| *size <= top - at) {
        return size;
    }
    vm.pointers.alignment
}

impl Headers {
    /// None where no full collection had begun to write them.
    pub(super) fn read(vm: &Vm, heap: &CollectedHeap) -> Option<Headers> {
        let mut marked = Vec::new();
        walk(vm, heap, |at, size| {
            if let Ok(mark) = vm.mem.u64(at)
                && mark & 3 == 3
            {
                marked.push((at, mark, size));
            }
        });
        let base = super::gc::reserved(vm).map_or(0, |r| r.0);
        let forms = match vm.pointers.klass {
            KlassForm::Compact(shift) => vec![Forwarding::Words(base, shift)],
            _ => vec![Forwarding::Address, Forwarding::Words(base, 64)],
        };
        let found = forms.into_iter().map(|f| Headers::of(vm, heap, f, &marked));
        let found = found.max_by_key(Headers::in_a_row)?;
        // A young collection has copied an object before its header says so.
        let ahead = |h: &Header| match found.forwarding {
            Forwarding::Words(..) | Forwarding::Elsewhere => true,
            Forwarding::Address => !found.is_like(vm, h),
        };
        (found.in_a_row() > 0 && found.all.iter().any(ahead)).then_some(found)
    }

    fn of(
        vm: &Vm,
        heap: &CollectedHeap,
        forwarding: Forwarding,
        marked: &[(u64, u64, u64)],
    ) -> Headers {
        let holds = |at: u64, to: &u64| {
            let i = heap.regions.partition_point(|r| r.end <= *to);
            let inside = heap.regions.get(i).is_some_and(|r| r.start <= *to);
            *to != at && to.is_multiple_of(vm.pointers.alignment) && inside
        };
        let one = |&(at, mark, size): &(u64, u64, u64)| {
            let to = forwarding.target(mark).filter(|to| holds(at, to))?;
            Some(Header { at, to, size })
        };
        Headers { forwarding, all: marked.iter().filter_map(one).collect() }
    }

    /// How often an object will lie right behind the one before it: that is what compaction is.
    fn in_a_row(&self) -> usize {
        self.all.windows(2).filter(|w| w[0].to + w[0].size == w[1].to).count()
    }

    /// Whether what lies at the new place has the same class, and no header of a moved one.
    fn is_like(&self, vm: &Vm, h: &Header) -> bool {
        let head = |addr: u64| vm.mem.slice(addr, 16).ok();
        let (Some(old), Some(new)) = (head(h.at), head(h.to)) else { return false };
        new[0] & 3 != 3 && vm.pointers.klass_of(old) == vm.pointers.klass_of(new)
    }

    /// Which objects have been moved: the lowest of each piece, up to where the fewest speak against it. What seems to
    /// have come behind that is equal to what lies there, and nothing more.
    pub(super) fn come(&self, vm: &Vm, pieces: &[Piece]) -> Vec<bool> {
        let seems = |(i, h): (usize, &Header)| (h.to, self.has_come(vm, h), i);
        let mut by_place: Vec<(u64, bool, usize)> =
            self.all.iter().enumerate().map(seems).collect();
        by_place.sort_unstable();
        moved(&by_place, pieces)
    }

    /// Whether the object is in its new place: what lies there is the same but for the mark.
    fn has_come(&self, vm: &Vm, h: &Header) -> bool {
        let body = |addr: u64| vm.mem.slice(addr + 8, h.size - 8).ok();
        self.is_like(vm, h) && body(h.at).is_some_and(|b| body(h.to) == Some(b))
    }

    /// What they say, of those objects that `stands` answers yes for, by their numbers.
    pub(super) fn compaction(
        &self,
        regions: &[Region],
        pieces: &[Piece],
        stands: impl Fn(usize) -> bool,
    ) -> Compaction {
        let standing = self.all.iter().enumerate().filter(|(i, _)| stands(*i));
        let mut moves: Vec<(u64, u64)> = standing.map(|(_, h)| (h.to, h.at)).collect();
        let standing = moves.iter().map(|m| m.1).collect();
        moves.sort_unstable();
        let mut pieces = pieces.to_vec();
        for p in &mut pieces {
            let first = moves.get(moves.partition_point(|m| m.0 < p.start));
            p.filled_below = first.map_or(p.end, |m| m.0.min(p.end));
        }
        let forwarding = self.forwarding;
        Compaction {
            forwarding,
            moves,
            standing,
            gone: Vec::new(),
            pieces,
            humongous: Vec::new(),
            late: Vec::new(),
            tops: super::tops(regions, &self.all),
            roots_adjusted: false,
            moving: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small objects are often equal: one that is to come where its equal lies has not come.
    #[test]
    fn what_has_come_is_the_lowest_of_each_piece() {
        let piece = |start: u64| Piece {
            start,
            end: start + 100,
            first: start,
            adjusted_below: start,
            filled_below: start + 100,
        };
        let seem = |first: u64, seem: &[bool], from: usize| -> Vec<(u64, bool, usize)> {
            let places = (first..).step_by(10).zip(seem).zip(from..);
            places.map(|((to, seems), i)| (to, *seems, i)).collect()
        };
        let one = seem(100, &[true, true, false, true, true, false, false, true, false], 0);
        let other = seem(200, &[false, false, true, false], 9);
        let come = moved(&[one, other].concat(), &[piece(100), piece(200)]);
        let expected = [[true; 5].as_slice(), &[false; 8]].concat();
        assert_eq!(come, expected);
        assert_eq!(moved(&[], &[piece(100)]), Vec::<bool>::new());
    }
}

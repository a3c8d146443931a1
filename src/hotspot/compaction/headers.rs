//! The headers that say where their objects will be.

use std::collections::HashMap;

use super::super::Vm;
use super::super::barrier::compaction::{Compaction, Forwarding, Piece, dead_until};
use super::super::classes::Size;
use super::super::gc::{CollectedHeap, Region};
use super::super::pointers::KlassForm;

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

    /// Whether the object is in its new place: what lies there is the same but for the mark.
    pub(super) fn has_come(&self, vm: &Vm, h: &Header) -> bool {
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
            late: Vec::new(),
            tops: super::tops(regions, &self.all),
            roots_adjusted: false,
            moving: false,
        }
    }
}

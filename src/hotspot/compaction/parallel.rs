//! Parallel's full collection until 23. Nothing of it is in headers: a bitmap has where living objects begin and where
//! they end, and a table has for each 512 KB of the heap where what lives there goes, and whether it is filled.
//!
//! References are adjusted as the objects that hold them are moved, the VM's own before.

use super::super::Vm;
use super::super::barrier::compaction::{Compaction, Forwarding, Piece};
use super::super::gc::{self, CollectedHeap, MarkBitmap, Region};
use super::super::unexported::full_gc::{PARALLEL_REGION, WORD};
use super::super::unexported::parallel::*;
use super::headers::{Header, Sizes};
use super::{tops, votes};

/// Objects before the one that may be the last that are compared, too.
const COMPARED: usize = 32;
/// Bytes of each that are compared, its last ones.
const COMPARED_BYTES: u64 = 512;

/// The two statics.
struct Summary<'v> {
    vm: &'v Vm<'v>,
    /// The first address that they are for.
    start: u64,
    /// Where objects begin.
    begin: MarkBitmap,
    /// Where they end: each the last bit of an object.
    end: MarkBitmap,
    /// Address of the table.
    table: u64,
    /// Its rows.
    count: u64,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Where what lives there goes.
    destination: u64,
    /// Bytes of an object that began before.
    partial: u64,
    /// Bytes of objects that begin there.
    live: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// What it held is there.
    AsItWas,
    /// It is being filled.
    Claimed,
    /// It has been filled.
    Completed,
}

impl<'v> Summary<'v> {
    /// Looks for them in libjvm's data: both start with the heap's start, and know its size.
    fn find(vm: &'v Vm<'v>) -> Option<Summary<'v>> {
        let (start, end) = gc::reserved(vm)?;
        let (words, granule) = ((end - start) / WORD, vm.pointers.alignment);
        let bits = (end - start) / granule;
        let count = (end - start).div_ceil(PARALLEL_REGION);
        let (mut maps, mut table) = (None, None);
        for (from, to) in vm.library.data.iter().flat_map(|d| vm.mem.present(d.0, d.1)) {
            let data = vm.mem.slice(from, to - from).unwrap_or(&[]).as_chunks::<8>().0;
            let word = |i: usize| data.get(i).map(|w| u64::from_le_bytes(*w));
            for i in (0..data.len()).filter(|i| word(*i) == Some(start)) {
                let is_map = |k: &usize| word(k + 1) == Some(bits);
                let mut found = (i + 2..i + BITMAP_WORDS).filter(is_map).filter_map(word);
                if word(i + 1) == Some(words)
                    && let (Some(begin), Some(end)) = (found.next(), found.next())
                    && begin.checked_add(bits / 8) == Some(end)
                {
                    maps = Some((begin, end));
                }
                if word(i + REGION_COUNT) == Some(count) {
                    table = word(i + REGION_DATA);
                }
            }
        }
        let ((begin, end), table) = (maps?, table?);
        let shift = granule.trailing_zeros();
        let [begin, end] = [begin, end].map(|map| MarkBitmap { start, map, shift });
        Some(Summary { vm, start, begin, end, table, count })
    }

    fn row(&self, i: u64) -> Option<Row> {
        let at = self.table.checked_add(i.checked_mul(REGION_DATA_SIZE)?)?;
        let bytes = self.vm.mem.slice(at, REGION_DATA_SIZE).ok()?;
        let int = |at: usize| bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b));
        let state = match int(STATE)? {
            _ if SHADOWED.contains(&int(SHADOW)?) => State::AsItWas,
            state if state >= COMPLETED => State::Completed,
            state if state >= CLAIMED => State::Claimed,
            _ => State::AsItWas,
        };
        Some(Row {
            destination: bytes.first_chunk().map(|b| u64::from_le_bytes(*b))?,
            partial: u64::from(int(PARTIAL_SIZE)?) * WORD,
            live: u64::from(int(STATE)? & LIVE_MASK) * WORD,
            state,
        })
    }

    /// All living objects, in order, those that stay where they are too; none where it is not known where they go.
    fn living(&self, rows: &[Row], heap: &CollectedHeap) -> Option<Vec<Header>> {
        let mut all = Vec::new();
        for r in &heap.regions {
            // What is not saved says nothing of what lives.
            let maps = [self.begin, self.end];
            if !maps.iter().all(|map| map.is_saved(self.vm.mem, r.start, r.top)) {
                return None;
            }
            let [begin, end] = maps.map(|map| map.window(self.vm.mem, r.start, r.top));
            let granule = self.vm.pointers.alignment;
            // What lives in the region so far, and which that is.
            let (mut region, mut before) = (u64::MAX, 0);
            let mut at = begin.next(r.start, r.top);
            while at < r.top {
                let size = end.next(at, r.top) + granule - at;
                if size > r.top - at {
                    return None; // it begins, and does not end
                }
                let i = (at - self.start) / PARALLEL_REGION;
                let row = rows.get(i as usize)?;
                if i != region {
                    (region, before) = (i, row.partial);
                }
                let first = self.start + i * PARALLEL_REGION;
                let is_full = row.partial + row.live == PARALLEL_REGION;
                let offset = if is_full { at - first } else { before };
                let to = row.destination.checked_add(offset).filter(|_| row.destination != 0)?;
                all.push(Header { at, to, size });
                before += size;
                at = begin.next(at + size, r.top);
            }
        }
        Some(all)
    }
}

/// What such a collection had done, once it knew where all goes.
pub(super) fn find(vm: &Vm, heap: &CollectedHeap) -> Option<Compaction> {
    let summary = Summary::find(vm)?;
    let end = summary.start.checked_add(summary.count.checked_mul(PARALLEL_REGION)?)?;
    if heap.regions.iter().any(|r| r.start < summary.start || r.end > end) {
        return None;
    }
    let rows: Vec<Row> = (0..summary.count).map(|i| summary.row(i)).collect::<Option<_>>()?;
    let mut all = summary.living(&rows, heap)?;
    let goes_somewhere = |h: &Header| {
        let i = heap.regions.partition_point(|r| r.end <= h.to);
        let end = h.to.checked_add(h.size);
        let inside = |r: &Region| r.start <= h.to && end.is_some_and(|end| end <= r.end);
        heap.regions.get(i).is_some_and(inside)
    };
    let moved: Vec<(u64, u64)> =
        all.iter().filter(|h| h.at != h.to).map(|h| (h.at, h.to)).collect();
    if moved.is_empty() || !all.iter().all(goes_somewhere) {
        return None;
    }
    all.sort_unstable_by_key(|h| h.to);
    let mut progress = Progress { summary, rows, all, moved, fronts: Vec::new() };
    progress.find_fronts();
    Some(progress.compaction(heap))
}

/// How far each region has been filled.
struct Progress<'v> {
    summary: Summary<'v>,
    rows: Vec<Row>,
    /// What lives, by where it will be.
    all: Vec<Header>,
    /// Where what moves was, and where it will be, by the first.
    moved: Vec<(u64, u64)>,
    /// By region: what is below is new.
    fronts: Vec<u64>,
}

impl Progress<'_> {
    fn region(&self, at: u64) -> usize {
        ((at - self.summary.start) / PARALLEL_REGION) as usize
    }

    fn start(&self, region: usize) -> u64 {
        self.summary.start + region as u64 * PARALLEL_REGION
    }

    fn find_fronts(&mut self) {
        let sizes = Sizes::new(self.summary.vm);
        for (i, row) in self.rows.iter().enumerate() {
            let (start, end) = (self.start(i), self.start(i + 1));
            self.fronts.push(match row.state {
                State::AsItWas => start,
                State::Completed => end,
                State::Claimed => self.front(i, &sizes),
            });
        }
    }

    /// How far a region has come that is being filled: up to the highest object that is there for all that can be
    /// compared, as are those before it whose old places it cannot have reached.
    fn front(&self, region: usize, sizes: &Sizes) -> u64 {
        let (start, end) = (self.start(region), self.start(region + 1));
        let own = &self.all[self.all.partition_point(|h| h.to < start)..];
        let own = &own[..own.partition_point(|h| h.to < end)];
        let vm = self.summary.vm;
        let is_one = |h: &&Header| sizes.of(vm, h.to, h.to + h.size) == Some(h.size);
        let own = &own[..own.iter().take_while(is_one).count()];
        // A region is filled only once all that goes elsewhere has gone.
        let gone = |h: &&Header| {
            let from = self.region(h.at);
            h.at == h.to || from != region && self.rows[from].state != State::AsItWas
        };
        let certain = own.iter().take_while(gone).count();
        let is_front = |n: &usize| {
            let front = own[n - 1].to + own[n - 1].size;
            let near = own[certain..*n].iter().rev().take(COMPARED);
            near.filter(|h| h.at + h.size > front).all(|h| self.is_same(h, front))
        };
        let n = (certain + 1..=own.len()).rev().find(is_front).unwrap_or(certain);
        n.checked_sub(1).map_or(start, |last| (own[last].to + own[last].size).min(end))
    }

    /// Whether the end of an object, as far as its old place lies behind `front`, is the same in the new place, but that
    /// its references may be adjusted.
    fn is_same(&self, h: &Header, front: u64) -> bool {
        let (mem, p) = (self.summary.vm.mem, &self.summary.vm.pointers);
        let step = p.oop_size();
        let from = front.saturating_sub(h.at).max(WORD).next_multiple_of(step);
        let from = from.max(h.size.saturating_sub(COMPARED_BYTES)).min(h.size);
        let end_at = |at: u64| mem.slice(at + from, h.size - from).ok();
        let (Some(new), Some(old)) = (end_at(h.to), end_at(h.at)) else { return false };
        let goes = |old: &[u8]| {
            let bits = p.decode(old);
            let i = self.moved.binary_search_by_key(&bits, |m| m.0);
            i.map_or(bits, |i| self.moved[i].1)
        };
        let (new, old) = (new.chunks_exact(step as usize), old.chunks_exact(step as usize));
        new.zip(old).all(|(new, old)| new == old || p.decode(new) == goes(old))
    }

    /// Whether all of an object is in its new place.
    fn has_come(&self, h: &Header) -> bool {
        let (first, last) = (self.region(h.to), self.region(h.to + h.size - 1));
        h.at == h.to
            || (first..=last).all(|r| self.fronts[r] >= (h.to + h.size).min(self.start(r + 1)))
    }

    /// Whether nothing was written over its old place.
    fn is_untouched(&self, h: &Header) -> bool {
        let (first, last) = (self.region(h.at), self.region(h.at + h.size - 1));
        (first..=last).all(|r| {
            self.rows[r].state == State::AsItWas || self.fronts[r] <= h.at.max(self.start(r))
        })
    }

    fn compaction(&self, heap: &CollectedHeap) -> Compaction {
        let moving = self.rows.iter().any(|r| r.state != State::AsItWas);
        let (mut moves, mut gone) = (Vec::new(), Vec::new());
        for h in self.all.iter().filter(|h| h.at != h.to) {
            if self.has_come(h) {
                gone.push((h.at, h.to));
            } else if self.is_untouched(h) {
                moves.push((h.to, h.at));
            }
        }
        gone.sort_unstable();
        let mut standing: Vec<u64> = moves.iter().map(|m| m.1).collect();
        standing.sort_unstable();
        let pieces = super::pieces(&heap.regions, heap.collector);
        let tops = tops(&heap.regions, &self.all);
        let forwarding = Forwarding::Elsewhere;
        let mut found = Compaction {
            forwarding,
            moves,
            standing,
            gone,
            pieces,
            humongous: Vec::new(),
            late: self.late(),
            tops,
            roots_adjusted: moving,
            moving,
        };
        for p in &mut found.pieces {
            self.bound(p);
        }
        // Of what stays where it is no table says how far it has come: the references do.
        let bounded = found.pieces.clone();
        votes::count(self.summary.vm, heap, &mut found);
        for (p, bounded) in found.pieces.iter_mut().zip(bounded) {
            let row = &self.rows[self.region(p.start)];
            if row.state != State::AsItWas || row.destination != p.start {
                p.adjusted_below = bounded.adjusted_below;
            }
        }
        found.roots_adjusted = votes::roots(self.summary.vm, &found).unwrap_or(moving);
        found
    }

    /// What is below a region's front and has references that are not adjusted yet, from the first such on. An object that
    /// moved into two regions has them adjusted once both are filled, or at the end; the last one that was moved, now.
    fn late(&self) -> Vec<(u64, u64)> {
        let p = &self.summary.vm.pointers;
        let is_late = |h: &&Header| {
            let (first, last) = (self.region(h.to), self.region(h.to + h.size - 1));
            let is_last =
                self.rows[first].state == State::Claimed && self.fronts[first] == h.to + h.size;
            h.at != h.to && (first != last || is_last) && self.has_come(h)
        };
        let range = |h: &Header| {
            let bytes = self.summary.vm.mem.slice(h.to, h.size).unwrap_or(&[]);
            // Whether a word can only mean a new place, or an old one.
            let certain = bytes.chunks_exact(p.oop_size() as usize).map(|word| {
                let bits = p.decode(word);
                let is_old = self.moved.binary_search_by_key(&bits, |m| m.0).is_ok();
                let new = self.all.binary_search_by_key(&bits, |h| h.to);
                let is_new = new.is_ok_and(|i| self.all[i].at != bits);
                (is_old != is_new).then_some(is_new)
            });
            let certain: Vec<Option<bool>> = certain.collect();
            certain.contains(&Some(false)).then_some(())?;
            let adjusted = certain.iter().rposition(|c| *c == Some(true)).map_or(0, |i| i + 1);
            Some((h.to + adjusted as u64 * p.oop_size(), h.to + h.size))
        };
        self.all.iter().filter(is_late).filter_map(range).collect()
    }

    /// How far a piece has been filled, and its references adjusted.
    fn bound(&self, p: &mut Piece) {
        p.adjusted_below = self.fronts[self.region(p.start)].clamp(p.start, p.end);
        let own = &self.all[self.all.partition_point(|h| h.to + h.size <= p.start)..];
        let own = &own[..own.partition_point(|h| h.to < p.end)];
        if let Some(over) = own.first().filter(|h| h.to < p.start && !self.has_come(h)) {
            p.first = (over.to + over.size).min(p.end);
        }
        let missing =
            own.iter().filter(|h| h.to >= p.start).find(|h| !self.has_come(h)).map(|h| h.to);
        let last = own.last().map_or(p.start, |h| h.to + h.size);
        p.filled_below = missing.unwrap_or(last).clamp(p.start, p.end);
    }
}

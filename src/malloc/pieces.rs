//! An arena's pieces of memory, and what is in them.

use crate::corefile::memory::{Memory, PAGE};

use super::arenas::State;
use super::heaps::{self, Stray};
use super::layout::{
    ALIGNMENT, BIN, BINS, BK_AT, FD_AT, FLAGS, SIZE_AT, SMALLEST, TOP_BEFORE_BINS,
};
use super::walk::{Stop, Walk, class};
use super::{Area, Arena, Problems, SizeClass, Sum, fastbins, state as state_at};

/// Free chunks that are looked at to find the pieces of a main arena that has more than what sbrk gave.
const MAX_LISTED: usize = 1 << 20;

/// What was found of an arena.
struct Found<'m> {
    walk: Walk<'m>,
    pieces: Vec<(u64, u64)>,
    top: u64,
    /// Bytes between pieces that somebody else took by sbrk.
    foreign: u64,
}

/// Reads an arena.
pub(super) fn read(
    mem: &Memory,
    areas: &[Area<'_>],
    page: u64,
    state: &State,
    strays: &[Stray],
    problems: &mut Problems,
) -> Arena {
    let walk = Walk::new(mem, page, state.is_main);
    let mut found = Found { walk, pieces: Vec::new(), top: 0, foreign: 0 };
    match state.is_main {
        true => found.main(mem, areas, state, problems),
        false => found.thread(mem, state, strays, problems),
    }
    found.pieces.sort_unstable();
    let taken: u64 = found.pieces.iter().map(|(start, end)| end - start).sum();
    if !(taken..=taken + found.foreign).contains(&state.system) {
        let says = state.system;
        problems.say(format!("it says that it took {says} bytes, and its pieces have {taken}"));
    }
    found.arena(mem, state, problems)
}

impl Found<'_> {
    /// Top's bytes, from its header to `end`, the end of its piece.
    fn add_top(&mut self, start: u64, end: u64) {
        self.top = end - start;
        self.walk.tally.trimmable += self.walk.whole_pages(start.saturating_add(SMALLEST), end);
    }

    fn thread(&mut self, mem: &Memory, state: &State, strays: &[Stray], problems: &mut Problems) {
        let top = state.top;
        let heaps = heaps::of(mem, state.address, top, strays, problems);
        let Some((heaps, header)) = heaps else { return };
        for heap in heaps {
            let end = heap.end();
            let first = match heap.start + header == state.address {
                true => state.end.next_multiple_of(ALIGNMENT),
                false => heap.start + header,
            };
            let has_top = (first..end).contains(&top) && top.is_multiple_of(ALIGNMENT);
            self.walk.tally.overhead += first - heap.start;
            self.walk.chunks(first, if has_top { top } else { end });
            self.pieces.push((heap.start, end));
            if has_top {
                self.add_top(top, end);
                if size(mem, top) != Some(end - top) {
                    problems.say("its top does not end where its last heap does".into());
                }
            }
        }
        if self.top == 0 {
            problems.say(format!("its top, {top:#x}, is in none of its heaps"));
        }
    }

    fn main(&mut self, mem: &Memory, areas: &[Area<'_>], state: &State, problems: &mut Problems) {
        let top = state.top;
        // Before anything was taken top is the first bin.
        if top == state.bins - TOP_BEFORE_BINS {
            return;
        }
        let runs = runs(areas);
        let home = index(&runs, top).and_then(|i| runs.get(i));
        let home = home.filter(|_| top.is_multiple_of(ALIGNMENT));
        let top_end = home.and_then(|home| {
            let size = size(mem, top).filter(|size| *size >= SMALLEST)?;
            top.checked_add(size).filter(|end| *end <= home.end)
        });
        if top_end.is_none() {
            problems.say(format!("its top, {top:#x}, is {}", state_at(mem, top)));
        }
        if let (Some(home), Some(end)) = (home, top_end)
            && state.is_contiguous
        {
            let first = end.checked_sub(state.system).filter(|first| *first >= home.start);
            let first = first.and_then(|at| at.checked_next_multiple_of(ALIGNMENT));
            let first = first.filter(|at| *at == top || self.walk.can_be(*at, top));
            if first.is_none() {
                problems.say("where it begins is not where it says".into());
            }
            self.stretch(first, home.start, top, ALIGNMENT);
            self.end_at_top(top, end);
            return;
        }
        for Run { start, end, is_brk } in self.homes(mem, &runs, state) {
            let step = if is_brk { ALIGNMENT } else { PAGE };
            match top_end.filter(|_| (start..end).contains(&top)) {
                Some(top_end) => {
                    self.stretch(None, start, top, step);
                    self.end_at_top(top, top_end);
                    self.stretch(None, top_end, end, step);
                }
                None => self.stretch(None, start, end, step),
            }
        }
    }

    /// Joins top to the piece before it.
    fn end_at_top(&mut self, top: u64, end: u64) {
        self.add_top(top, end);
        match self.pieces.last_mut() {
            Some(last) if last.1 == top => last.1 = end,
            _ => self.pieces.push((top, end)),
        }
    }

    /// Walks the pieces between `from` and `end`, of which the first begins at `first` if that is known, and else
    /// is looked for in steps of so many bytes.
    fn stretch(&mut self, first: Option<u64>, from: u64, end: u64, step: u64) {
        let mut at = first.or_else(|| self.walk.find(from, end, step));
        while let Some(start) = at {
            match self.walk.chunks(start, end) {
                Stop::End => {
                    self.pieces.push((start, end));
                    return;
                }
                Stop::Marks(after) => {
                    self.pieces.push((start, after));
                    // What others took by sbrk may be of any size.
                    at = self.walk.find(after, end, ALIGNMENT);
                    self.foreign += at.unwrap_or(after) - after;
                }
            }
        }
    }

    /// Where a main arena's pieces are if they are not one: where top is, where free chunks are, and what the kernel
    /// calls the heap.
    fn homes(&self, mem: &Memory, runs: &[Run], state: &State) -> Vec<Run> {
        let top = index(runs, state.top);
        let mut homes: Vec<bool> =
            runs.iter().enumerate().map(|(i, r)| r.is_brk || Some(i) == top).collect();
        let mut left = MAX_LISTED;
        for bin in (0..BINS).map(|i| (state.bins + i * BIN).wrapping_sub(FD_AT)) {
            let (mut at, mut before) = (mem.u64(bin.wrapping_add(FD_AT)).unwrap_or(bin), bin);
            // A chunk that does not lead back is none.
            while at != bin && left > 0 && mem.u64(at.wrapping_add(BK_AT)) == Ok(before) {
                left -= 1;
                if let Some(home) = index(runs, at).and_then(|i| homes.get_mut(i)) {
                    *home = true;
                }
                before = at;
                at = mem.u64(at.wrapping_add(FD_AT)).unwrap_or(bin);
            }
        }
        runs.iter().zip(homes).filter(|(_, home)| *home).map(|(r, _)| *r).collect()
    }

    fn arena(mut self, mem: &Memory, state: &State, problems: &mut Problems) -> Arena {
        let tally = &mut self.walk.tally;
        let most = tally.in_use.iter().map(|sum| sum.chunks).sum();
        let fast = fastbins::read(mem, state, &self.pieces, most, problems);
        for (sum, i) in fast.iter().zip(0..) {
            let bytes = SMALLEST + i * ALIGNMENT;
            if let Some(class) = tally.in_use.get_mut(class(bytes)) {
                class.take(*sum);
            }
            tally.free.merge(*sum);
            if sum.chunks > 0 {
                tally.largest_free = tally.largest_free.max(bytes);
            }
        }
        if let Some(at) = tally.first_damage {
            let bytes = tally.damaged;
            problems.say(format!("{bytes} bytes are no chunks, the first of them at {at:#x}"));
        }
        if tally.absent > 0 {
            let bytes = tally.absent;
            problems.say(format!("the headers of the chunks in {bytes} bytes are not in the core"));
        }
        let mut in_use = Sum::default();
        tally.in_use.iter().for_each(|sum| in_use.merge(*sum));
        let sizes = tally.in_use.iter().zip(0..64).filter(|(sum, _)| sum.chunks > 0);
        let sizes = sizes.map(|(sum, power)| SizeClass {
            up_to: 1 << power,
            chunks: sum.chunks,
            bytes: sum.bytes,
        });
        Arena {
            address: state.address,
            is_main: state.is_main,
            system: state.system,
            in_use,
            free: tally.free,
            top: self.top,
            trimmable: tally.trimmable,
            largest_free: tally.largest_free,
            sizes: sizes.collect(),
            overhead: tally.overhead,
            damaged: tally.damaged,
            absent: tally.absent,
            pieces: self.pieces,
        }
    }
}

/// The size in a chunk's header.
fn size(mem: &Memory, chunk: u64) -> Option<u64> {
    mem.u64(chunk.checked_add(SIZE_AT)?).ok().map(|word| word & !FLAGS)
}

/// Writable mappings without a file that follow one another.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u64,
    end: u64,
    /// Whether the kernel calls one of them the heap.
    is_brk: bool,
}

/// All of them, lowest first.
fn runs(areas: &[Area<'_>]) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    for a in areas.iter().filter(|a| a.writable && !a.name.starts_with(b"/")) {
        let is_brk = a.name == b"[heap]";
        match out.last_mut() {
            Some(last) if a.start <= last.end => {
                last.end = last.end.max(a.end);
                last.is_brk |= is_brk;
            }
            _ => out.push(Run { start: a.start, end: a.end, is_brk }),
        }
    }
    out
}

/// The index of the one that an address is in.
fn index(runs: &[Run], address: u64) -> Option<usize> {
    let at = runs.partition_point(|r| r.end <= address);
    runs.get(at).filter(|r| r.start <= address).map(|_| at)
}

//! Arenas: the main one in libc's data, and the ring that leads from it to the threads'.

use std::collections::HashSet;

use crate::corefile::memory::Memory;

use super::heaps::{self, Stray};
use super::layout::{
    BIN, BINS, BINS_AT, BK_AT, COUNTS_AFTER_BINS, FASTBINS_BEFORE_BINS, FD_AT, FEWEST_BYTES,
    FLAGS_AT, NEXT_AFTER_BINS, NONCONTIGUOUS, TOP_BEFORE_BINS,
};
use super::{Area, Problems, library};

/// So many of an arena's bins must be sound lists, so that it counts as one.
const ENOUGH_BINS: usize = 64;
/// More arenas than threads that a process can have (of 22 bits) at eight a CPU: a ring has no more.
const MAX_ARENAS: usize = 1 << 16;
/// Libc's data are smaller. Where no mapping has a name, no larger one is searched.
const MAX_DATA: u64 = 4 << 20;

/// A `malloc_state`.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) address: u64,
    /// The first pair of its `bins`.
    pub(super) bins: u64,
    /// The first list of its `fastbinsY`, where there are any.
    pub(super) fastbins: Option<u64>,
    pub(super) is_main: bool,
    /// Only what sbrk gave.
    pub(super) is_contiguous: bool,
    pub(super) top: u64,
    /// `system_mem`.
    pub(super) system: u64,
    /// Behind its last field.
    pub(super) end: u64,
    next: u64,
}

impl State {
    /// The one with these `bins`, which are `distance` behind its start.
    fn read(mem: &Memory, bins: u64, distance: u64) -> Option<State> {
        let address = bins.checked_sub(distance)?;
        let counts = bins.checked_add(COUNTS_AFTER_BINS)?;
        let first = mem.u64(counts).ok()?;
        // The first is `attached_threads`, or already `system_mem`.
        let at = counts.checked_add(if first < FEWEST_BYTES { 8 } else { 0 })?;
        Some(State {
            address,
            bins,
            fastbins: (distance > FASTBINS_BEFORE_BINS).then(|| bins - FASTBINS_BEFORE_BINS),
            is_main: heaps::header(mem, address).is_none(),
            is_contiguous: mem.u32(address.checked_add(FLAGS_AT)?).ok()? & NONCONTIGUOUS == 0,
            top: mem.u64(bins.checked_sub(TOP_BEFORE_BINS)?).ok()?,
            system: mem.u64(at).ok()?,
            end: at.checked_add(16)?,
            next: mem.u64(bins.checked_add(NEXT_AFTER_BINS)?).ok()?,
        })
    }
}

/// How many pairs of what may be `bins` are lists that are sound at their ends; empty ones refer to themselves.
fn sound(mem: &Memory, bins: u64) -> usize {
    let Ok(all) = mem.slice(bins, BINS * BIN) else { return 0 };
    let pairs = all.as_chunks::<16>().0.iter();
    let count = pairs.zip(0..).filter(|(pair, i)| {
        let pair = u128::from_le_bytes(**pair);
        let (fd, bk) = (pair as u64, (pair >> 64) as u64);
        let bin = (bins + i * BIN).wrapping_sub(FD_AT);
        match fd == bin || bk == bin {
            true => fd == bk,
            false => {
                mem.u64(fd.wrapping_add(BK_AT)) == Ok(bin)
                    && mem.u64(bk.wrapping_add(FD_AT)) == Ok(bin)
            }
        }
    });
    count.count()
}

/// The `bins` of all main arenas in `start..end`: a word, and the next one, that are the address 16 before it.
fn search(mem: &Memory, start: u64, end: u64, out: &mut Vec<u64>) {
    for (from, to) in mem.present(start, end) {
        let Some(from) = from.checked_next_multiple_of(8) else { continue };
        let Ok(bytes) = mem.slice(from, to.saturating_sub(from)) else { continue };
        let words = bytes.as_chunks::<8>().0;
        let mut done = 0;
        for (i, pair) in words.windows(2).enumerate() {
            let at = from + i as u64 * 8;
            let own = at.wrapping_sub(FD_AT).to_le_bytes();
            if at < done || pair != [own, own] {
                continue;
            }
            let starts = (0..BINS).filter_map(|i| at.checked_sub(i * BIN));
            let best = starts.map(|bins| (sound(mem, bins), bins)).max();
            if let Some((_, bins)) = best.filter(|(sound, _)| *sound >= ENOUGH_BINS) {
                out.push(bins);
                done = bins.saturating_add(BINS * BIN);
            } else {
                done = at.saturating_add(BIN * 2);
            }
        }
    }
}

/// The `bins` of the main arenas: one, unless there is more than one libc.
fn main_bins(mem: &Memory, areas: &[Area<'_>]) -> Vec<u64> {
    let writable = || areas.iter().filter(|a| a.writable);
    let is_file = |a: &&Area<'_>| a.name.starts_with(b"/");
    let mut out = Vec::new();
    for a in writable().filter(|a| library::is_glibc(a.name)) {
        search(mem, a.start, a.end, &mut out);
    }
    if out.is_empty() {
        // Libc may be part of the program, or no mapping may have a name.
        for a in writable().filter(is_file) {
            search(mem, a.start, a.end, &mut out);
        }
    }
    if out.is_empty() {
        for a in writable().filter(|a| !is_file(a) && a.end - a.start <= MAX_DATA) {
            search(mem, a.start, a.end, &mut out);
        }
    }
    out
}

/// How far an arena's bins are from its start: where most of them are sound, for the ways overlap.
fn distance(mem: &Memory, arena: u64) -> Option<u64> {
    let ways = BINS_AT.map(|way| (sound(mem, arena.wrapping_add(way)), way));
    ways.into_iter().max().filter(|(sound, _)| *sound >= ENOUGH_BINS).map(|(_, way)| way)
}

/// The same, of the main arena with these bins: the ring of arenas leads back to it, or to another that is as well made.
fn main_distance(mem: &Memory, bins: u64) -> Option<u64> {
    let next = mem.u64(bins.checked_add(NEXT_AFTER_BINS)?).ok()?;
    let own = BINS_AT.into_iter().find(|way| next.wrapping_add(*way) == bins);
    own.or_else(|| heaps::header(mem, next).and_then(|_| distance(mem, next)))
}

/// All arenas, main ones first, then each ring's; and heaps that lie where heaps of thread arenas begin.
pub(super) fn find(
    mem: &Memory,
    areas: &[Area<'_>],
    problems: &mut Problems,
) -> (Vec<State>, Vec<Stray>) {
    let strays = heaps::strays(mem, areas);
    let (mut main, mut threads, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for bins in main_bins(mem, areas) {
        let found = main_distance(mem, bins);
        // If the ring is damaged, a heap of a thread arena may still show how arenas are made.
        let other = || strays.iter().filter(|s| s.is_first).find_map(|s| distance(mem, s.arena));
        let way = found.or_else(other);
        let Some(state) = State::read(mem, bins, way.unwrap_or(BINS_AT[0])) else {
            problems.say(format!("the arena with the bins at {bins:#x} is not whole in the core"));
            continue;
        };
        // Where data without a name were searched, a small heap of a thread's may have been met first.
        if !state.is_main || !seen.insert(state.address) {
            continue;
        }
        main.push(state);
        match found {
            Some(way) => ring(mem, state, way, &mut seen, &mut threads, problems),
            None => {
                let what = super::state(mem, state.next);
                problems.say(format!("the list of arenas is {what} from {:#x} on", state.next));
            }
        }
    }
    // What the ring has lost.
    for s in strays.iter().filter(|s| s.is_first) {
        if seen.contains(&s.arena) {
            continue;
        }
        let way = distance(mem, s.arena);
        let Some(state) = way.and_then(|d| State::read(mem, s.arena + d, d)) else { continue };
        if threads.len() < MAX_ARENAS && seen.insert(s.arena) {
            let at = s.arena;
            problems
                .say(format!("the arena at {at:#x} has a heap, but is not in the list of arenas"));
            threads.push(state);
        }
    }
    main.extend(threads);
    (main, strays)
}

/// Follows the ring of arenas from a main arena.
fn ring(
    mem: &Memory,
    main: State,
    distance: u64,
    seen: &mut HashSet<u64>,
    out: &mut Vec<State>,
    problems: &mut Problems,
) {
    let mut at = main.next;
    while at != main.address {
        let bins = at.wrapping_add(distance);
        let state = (sound(mem, bins) >= ENOUGH_BINS && out.len() < MAX_ARENAS)
            .then(|| State::read(mem, bins, distance))
            .flatten();
        match state.filter(|state| !state.is_main) {
            Some(state) if seen.insert(at) => {
                out.push(state);
                at = state.next;
            }
            _ => {
                // What is there is no arena, or is in the list twice.
                let what = super::state(mem, at);
                problems.say(format!("the list of arenas is {what} from {at:#x} on"));
                return;
            }
        }
    }
}

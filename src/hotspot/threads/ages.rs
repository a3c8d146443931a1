//! How old the references on a thread's stack are, where they do not say it themselves: those of the generational ZGC.
//!
//! It goes through a stack when the thread runs on or a collection must know: of a thread that waits, some cycles after
//! objects were moved. A StackWatermark has the colour of the phase that it came in, the last frame that it came to, and
//! the colours of earlier phases that came further. So each frame has a colour, and so have the thread's handles.

use crate::corefile::Memory;
use crate::hotspot::Vm;
use crate::hotspot::barrier::{Barrier, Colour};
use crate::hotspot::pointers::may_point;
use crate::hotspot::unexported::watermarks as facts;

/// A JavaThread has about 2 KB.
const MAX_THREAD: u64 = 1 << 14;
/// Threads that prove where the watermarks are.
const MAX_COMPARED: usize = 64;

/// The colours of one thread's references, the newest first; none where references have their own, or it is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackAges(Vec<Age>);

/// What one phase of the collector came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Age {
    colour: Colour,
    /// The stack pointer of the last frame that it came to; 0 where it came to all.
    last: u64,
}

impl StackAges {
    /// The colour of what is not in frames: handles, locks.
    pub fn head(&self) -> Option<Colour> {
        self.0.first().map(|age| age.colour)
    }

    /// The colour of the frame whose stack pointer is `sp`.
    pub fn of_frame(&self, sp: u64) -> Option<Colour> {
        let age = self.0.iter().find(|age| age.last == 0 || sp <= age.last);
        age.map(|age| age.colour)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Colour> {
        self.0.iter().map(|age| age.colour)
    }
}

/// Where threads have their watermarks, and those what is read of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watermarks {
    /// In a JavaThread.
    at: u64,
    /// In a watermark: the colours of earlier phases.
    old: u64,
}

/// Whether this VM's stacks have an age that only its watermarks tell.
pub(super) fn has_ages(vm: &Vm) -> bool {
    matches!(&vm.barrier, Barrier::Z(z) if z.is_generational())
}

impl Watermarks {
    /// Finds them by what they must hold; no table leads there.
    pub(super) fn find(vm: &Vm, threads: &[u64]) -> Option<Watermarks> {
        let size = vm.tables.size_of("JavaThread")?.min(MAX_THREAD);
        Watermarks::among(vm.mem, size, threads.get(..MAX_COMPARED).unwrap_or(threads))
    }

    fn among(mem: &Memory, size: u64, threads: &[u64]) -> Option<Watermarks> {
        let of_all = |at: u64| -> Vec<u64> {
            threads.iter().filter_map(|thread| watermark(mem, *thread, at)).collect()
        };
        // A thread that is just being made may have none yet.
        let (at, all) = (0..size / 8)
            .map(|i| (i * 8, of_all(i * 8)))
            .max_by_key(|(at, all)| (all.len(), std::cmp::Reverse(*at)))?;
        if all.len() * 2 <= threads.len() {
            return None;
        }
        let mut places = facts::OLD_AT.step_by(8);
        let old = places.find(|old| all.iter().all(|w| newest(mem, *w, *old).is_some()))?;
        Some(Watermarks { at, old })
    }

    /// What is known of the thread: nothing of one that has no watermark yet; none where it cannot be read.
    pub(super) fn ages(&self, mem: &Memory, thread: u64) -> Option<StackAges> {
        if mem.u64(thread.wrapping_add(self.at)) == Ok(0) {
            return Some(StackAges::default());
        }
        self.read(mem, thread).map(StackAges)
    }

    fn read(&self, mem: &Memory, thread: u64) -> Option<Vec<Age>> {
        let mark = watermark(mem, thread, self.at)?;
        let (colour, is_done) = state(mem, mark)?;
        let last = match is_done {
            true => 0,
            false => {
                let iterator = mem.u64(mark.wrapping_add(facts::ITERATOR)).ok()?;
                mem.u64(iterator.wrapping_add(facts::ITERATOR_CALLER)).ok().filter(|sp| *sp != 0)?
            }
        };
        let mut out = vec![Age { colour, last }];
        for i in (0..=newest(mem, mark, self.old)?).rev() {
            let at = mark.wrapping_add(self.old + i * facts::OLD_SIZE);
            let colour = Colour::of(mem.u64(at).ok()?)?;
            out.push(Age { colour, last: mem.u64(at.wrapping_add(8)).ok()? });
        }
        Some(out)
    }
}

/// The StackWatermark to which the word at `at` of a JavaThread leads, if it is one of that thread's.
fn watermark(mem: &Memory, thread: u64, at: u64) -> Option<u64> {
    let mark = mem.u64(thread.wrapping_add(at)).ok().filter(|mark| may_point(*mark))?;
    let owner = mem.u64(mark.wrapping_add(facts::THREAD)).ok()?;
    (owner == thread && state(mem, mark).is_some()).then_some(mark)
}

/// The colour of the phase that came last, and whether it came to all frames.
fn state(mem: &Memory, mark: u64) -> Option<(Colour, bool)> {
    let state = mem.u32(mark.wrapping_add(facts::STATE)).ok()?;
    Some((Colour::of(u64::from(state >> 1))?, state & 1 != 0))
}

/// The index of the newest of the earlier phases, if they stand at `old`.
fn newest(mem: &Memory, mark: u64, old: u64) -> Option<u64> {
    let at = mark.wrapping_add(old);
    let newest = mem.u32(at.wrapping_add(facts::OLD_COUNT * facts::OLD_SIZE)).ok()?;
    let newest = Some(u64::from(newest)).filter(|n| *n < facts::OLD_COUNT)?;
    let colour = mem.u64(at.wrapping_add(newest * facts::OLD_SIZE)).ok()?;
    Colour::of(colour).map(|_| newest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memmap2::MmapMut;

    use super::*;

    const GOOD: u64 = 0x4910;
    const OLDER: u64 = 0x2910;
    const OLDEST: u64 = 0x1510;
    const AT: usize = 0x60;
    const OLD: usize = 184;

    /// Two threads at 0x10000 and 0x11000; their watermarks are 0x800 behind, iterators 0xc00.
    struct Bytes(Vec<u8>);

    impl Bytes {
        fn new() -> Bytes {
            Bytes(vec![0; 0x2000])
        }

        fn set(&mut self, at: usize, word: u64) {
            self.0[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }

        /// A thread's watermark: its state, the frame it came to last, and earlier phases, oldest first.
        fn thread(&mut self, thread: usize, state: u64, last: u64, old: &[(u64, u64)]) {
            let (mark, iterator) = (thread + 0x800, thread + 0xc00);
            let addr = |at: usize| 0x10000 + at as u64;
            self.set(thread + AT, addr(mark));
            // Another structure that leads back to the thread.
            self.set(thread + 0x20, addr(iterator));
            self.set(iterator + 32, addr(thread));
            self.set(mark + 8, state);
            self.set(mark + 32, addr(thread));
            self.set(mark + 40, addr(iterator));
            self.set(iterator, addr(thread));
            self.set(iterator + 8, last);
            for (i, (colour, sp)) in old.iter().enumerate() {
                self.set(mark + OLD + i * 16, *colour);
                self.set(mark + OLD + i * 16 + 8, *sp);
            }
            self.set(mark + OLD + 48, old.len() as u64 - 1);
        }

        fn read(self) -> (Option<Watermarks>, [StackAges; 2]) {
            let (found, ages) = self.told();
            (found, ages.map(Option::unwrap_or_default))
        }

        /// None of a thread whose watermark cannot be read.
        fn told(self) -> (Option<Watermarks>, [Option<StackAges>; 2]) {
            let mut file = MmapMut::map_anon(self.0.len()).expect("memory");
            file.copy_from_slice(&self.0);
            let file = Arc::new(file.try_into().expect("memory"));
            let mut mem = Memory::default();
            mem.lay_under(0x10000, self.0.len() as u64, &file, 0);
            let found = Watermarks::among(&mem, 0x400, &[0x10000, 0x11000]);
            let ages = |thread| found.and_then(|w| w.ages(&mem, thread));
            (found, [ages(0x10000), ages(0x11000)])
        }
    }

    fn colour(word: u64) -> Option<Colour> {
        Colour::of(word)
    }

    /// A frame has the colour of the newest phase that came to it; handles have that of the last.
    #[test]
    fn each_frame_has_its_phase() {
        let mut bytes = Bytes::new();
        bytes.thread(0, GOOD << 1, 0x7000, &[(OLDEST, 0), (OLDER, 0x7800)]);
        bytes.thread(0x1000, OLDER << 1 | 1, 0, &[(OLDEST, 0x9000)]);
        let (found, [half, waiting]) = bytes.read();
        assert_eq!(found, Some(Watermarks { at: AT as u64, old: OLD as u64 }));
        assert_eq!(half.head(), colour(GOOD));
        let of = [0x6f00, 0x7000, 0x7008, 0x7800, 0x7808].map(|sp| half.of_frame(sp));
        let want = [GOOD, GOOD, OLDER, OLDER, OLDEST].map(colour);
        assert_eq!(of, want);
        assert_eq!((waiting.head(), waiting.of_frame(0xffff)), (colour(OLDER), colour(OLDER)));
    }

    /// A thread that is just being made has none, and nothing is lost; one whose watermark is damaged is told from it.
    #[test]
    fn a_watermark_that_cannot_be_read_is_told() {
        let whole = || {
            let mut bytes = Bytes::new();
            bytes.thread(0, GOOD << 1 | 1, 0, &[(OLDEST, 0)]);
            bytes.thread(0x1000, OLDER << 1 | 1, 0, &[(OLDEST, 0)]);
            bytes
        };
        let (found, _) = whole().told();
        let of = |word: u64| {
            let mut bytes = whole();
            bytes.set(0x1000 + AT, word);
            let mut file = MmapMut::map_anon(bytes.0.len()).expect("memory");
            file.copy_from_slice(&bytes.0);
            let file = Arc::new(file.try_into().expect("memory"));
            let mut mem = Memory::default();
            mem.lay_under(0x10000, bytes.0.len() as u64, &file, 0);
            found.expect("found").ages(&mem, 0x11000)
        };
        assert_eq!(of(0), Some(StackAges::default()));
        assert_eq!(of(0x77_0000), None);
    }

    /// What is no colour, or leads nowhere, says nothing.
    #[test]
    fn what_is_no_watermark_says_nothing() {
        let mut bytes = Bytes::new();
        bytes.thread(0, GOOD << 1 | 1, 0, &[(OLDEST, 0)]);
        bytes.thread(0x1000, 0xffff_fffe, 0, &[(OLDEST, 0)]);
        let (found, _) = bytes.read();
        assert_eq!(found, None, "one thread of two is no proof");
        let mut bytes = Bytes::new();
        // Not done, and no frame is known that it came to.
        bytes.thread(0, GOOD << 1, 0, &[(OLDEST, 0)]);
        bytes.thread(0x1000, GOOD << 1 | 1, 0, &[(OLDEST, 0)]);
        let (found, [unknown, known]) = bytes.read();
        assert!(found.is_some() && known.head().is_some());
        assert_eq!((unknown.head(), unknown.of_frame(0x7000)), (None, None));
    }
}

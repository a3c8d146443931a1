//! A copy of parts of an address space, filled page by page and in any order.
//!
//! Knows addresses, and which pages it holds; knows nothing of where they come from. Shared
//! memory is copied the same way, with offsets in its file as addresses.
#![allow(unsafe_code, reason = "a buffer that several threads fill, each its part")]

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::{Advice, MmapMut, MmapOptions};
use rustix::process::setpriority_process;

use crate::format::ranges::Ranges;
use crate::process::maps::PAGE;

/// What one read is given: it stays in the CPU's cache.
pub(super) const PIECE: u64 = 1 << 20;
/// Less than this is not worth a second thread.
const ALONE: u64 = 4 << 20;

/// How a page is read; fewer bytes than asked for is an error.
pub(super) type Read<'a> = &'a (dyn Fn(u64, &mut [u8]) -> io::Result<()> + Sync);

/// Who copies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workers {
    threads: usize,
    /// The nice value of each.
    nice: i32,
}

impl Workers {
    /// As many as there are CPUs, `threads`: nothing else runs.
    pub(super) fn all(threads: usize) -> Workers {
        Workers { threads, nice: 0 }
    }

    /// One CPU is left to the process that runs on.
    pub(super) fn beside(threads: usize) -> Workers {
        Workers { threads: threads.saturating_sub(1).max(1), nice: 0 }
    }

    /// The process's threads come first as well.
    pub(super) fn behind(threads: usize) -> Workers {
        Workers { nice: 10, ..Workers::beside(threads) }
    }

    /// Has them do `work`, the calling thread among them unless it would not get its priority back.
    fn run(self, most: usize, work: &(dyn Fn() + Sync)) {
        let polite = || {
            // As it is, it works as well.
            let _ = setpriority_process(None, self.nice);
            work();
        };
        std::thread::scope(|s| {
            for _ in 1..self.threads.min(most) {
                s.spawn(if self.nice > 0 { &polite as &(dyn Fn() + Sync) } else { work });
            }
            match self.nice > 0 {
                true => drop(s.spawn(polite)),
                false => work(),
            }
        });
    }
}

/// One range of the address space.
#[derive(Debug)]
struct Area {
    start: u64,
    end: u64,
    chunk: usize,
    at: usize,
    /// One bit a page: whether it was copied.
    have: Vec<u64>,
}

/// The copy.
#[derive(Debug, Default)]
pub(super) struct Image {
    chunks: Vec<MmapMut>,
    areas: Vec<Area>,
    /// Pages that could not be read.
    failed: Ranges,
    /// Where copies go for now, see [`Image::copy_aside`].
    aside: Option<Box<Image>>,
}

impl Image {
    /// Makes place for `ranges`, which overlap neither each other nor what is there. Memory is
    /// taken only for what is copied: the process's own, or that of a temporary file in
    /// `directory`.
    pub(super) fn add(
        &mut self,
        ranges: &[(u64, u64)],
        directory: Option<&Path>,
    ) -> io::Result<()> {
        let len: u64 = ranges.iter().map(|r| r.1 - r.0).sum();
        if len == 0 {
            return Ok(());
        }
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let memory = match directory {
            None => MmapOptions::new().len(len).no_reserve_swap().map_anon()?,
            Some(directory) => {
                let file = tempfile::tempfile_in(directory)?;
                file.set_len(len as u64)?;
                // SAFETY: the file has no name, so nobody else can change or shorten it.
                unsafe { MmapOptions::new().len(len).map_mut(&file) }?
            }
        };
        // Without huge pages it works as well, only slower.
        let _ = memory.advise(Advice::HugePage);
        let mut at = 0;
        for &(start, end) in ranges {
            let have = vec![0; ((end - start) / PAGE).div_ceil(64) as usize];
            self.areas.push(Area { start, end, chunk: self.chunks.len(), at, have });
            at += (end - start) as usize;
        }
        self.chunks.push(memory);
        self.areas.sort_by_key(|a| a.start);
        Ok(())
    }

    /// The parts of `start..end` that have a place.
    pub(super) fn places(&self, start: u64, end: u64) -> Ranges {
        self.clipped(start, end).map(|(_, from, to)| (from, to)).collect()
    }

    /// The parts of `start..end` that have a place: the area's index and the part.
    fn clipped(&self, start: u64, end: u64) -> impl Iterator<Item = (usize, u64, u64)> + '_ {
        let first = self.areas.partition_point(|a| a.end <= start);
        let areas = self.areas[first..].iter().enumerate();
        areas
            .take_while(move |(_, a)| a.start < end)
            .map(move |(i, a)| (first + i, start.max(a.start), end.min(a.end)))
    }

    /// Touches the memory that `ranges` will need, so that the copy itself does not have to.
    pub(super) fn prepare(&self, ranges: &[(u64, u64)]) {
        for &(start, end) in ranges {
            for (i, from, to) in self.clipped(start, end) {
                let a = &self.areas[i];
                let at = a.at + (from - a.start) as usize;
                // A kernel before 5.14 does not know it; the copy then takes longer.
                let _ = self.chunks[a.chunk].advise_range(
                    Advice::PopulateWrite,
                    at,
                    (to - from) as usize,
                );
            }
        }
    }

    /// Copies `ranges`. What has no place is left out; what cannot
    /// be read is remembered, see [`Image::failed`]. Answers the bytes copied.
    pub(super) fn copy(&mut self, ranges: &[(u64, u64)], workers: Workers, read: Read<'_>) -> u64 {
        if let Some(mut aside) = self.aside.take() {
            let places: Ranges = ranges.iter().flat_map(|r| self.places(r.0, r.1)).collect();
            let room = aside.add(&places, None).is_ok();
            let copied = if room { aside.copy(&places, workers, read) } else { 0 };
            let left = if room { &[] } else { ranges };
            let copied = copied + self.copy(left, workers, read);
            self.aside = Some(aside);
            return copied;
        }
        let mut pieces = Vec::new();
        for &(start, end) in ranges {
            for (i, from, to) in self.clipped(start, end) {
                let mut at = from;
                while at < to {
                    let next = (at + PIECE).min(to);
                    pieces.push((i, at, next));
                    at = next;
                }
            }
        }
        let bases: Vec<usize> = self.chunks.iter().map(|c| c.as_ptr() as usize).collect();
        let areas = &self.areas;
        let place = |&(i, from, to): &(usize, u64, u64)| {
            let a: &Area = &areas[i];
            let base = bases[a.chunk] + a.at + (from - a.start) as usize;
            // SAFETY: `from..to` lies within area `i`, whose place lies within its chunk; the
            // pieces are disjoint, and `&mut self` keeps every other access away.
            unsafe { std::slice::from_raw_parts_mut(base as *mut u8, (to - from) as usize) }
        };
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(Vec::new());
        let work = || {
            while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                let bad = read_pages(piece.1, place(piece), read);
                if !bad.is_empty() {
                    failed.lock().unwrap_or_else(|e| e.into_inner()).extend(bad);
                }
            }
        };
        let total: u64 = pieces.iter().map(|p| p.2 - p.1).sum();
        if total < ALONE {
            work();
        } else {
            workers.run(pieces.len(), &work);
        }
        let failed = failed.into_inner().unwrap_or_else(|e| e.into_inner());
        for (i, from, to) in pieces {
            self.areas[i].mark(from, to, true);
        }
        for &(from, to) in &failed {
            self.drop_pages(from, to);
        }
        self.failed.extend(failed);
        total
    }

    /// From now on copies go to memory of their own: where the image lies in a file, the kernel may make whoever writes to
    /// it wait for the disk.
    pub(super) fn copy_aside(&mut self) {
        self.aside = Some(Box::default());
    }

    /// Brings what was copied aside to its place.
    pub(super) fn bring_in(&mut self, workers: Workers) {
        if let Some(aside) = self.aside.take() {
            let runs = aside.runs(0, u64::MAX);
            self.copy(&runs, workers, &|addr, buf| aside.read(addr, buf));
            aside.failed.iter().for_each(|&(start, end)| self.drop_pages(start, end));
            self.failed.extend(aside.failed);
        }
    }

    /// Forgets the pages of `start..end`: they are not there any more.
    pub(super) fn drop_pages(&mut self, start: u64, end: u64) {
        let parts: Vec<_> = self.clipped(start, end).collect();
        for (i, from, to) in parts {
            self.areas[i].mark(from, to, false);
        }
    }

    /// Forgets which pages could not be read; they are not held.
    pub(super) fn forget_failed(&mut self) {
        self.failed.clear();
    }

    /// Pages that could not be read, and were asked for.
    pub(super) fn failed(&self) -> &[(u64, u64)] {
        &self.failed
    }

    /// Whether there are such pages.
    pub(super) fn lacks_any(&self) -> bool {
        !self.failed.is_empty() || self.aside.as_ref().is_some_and(|a| !a.failed.is_empty())
    }

    /// The runs of pages that it holds within `start..end`.
    pub(super) fn runs(&self, start: u64, end: u64) -> Ranges {
        let mut out: Ranges = Vec::new();
        for (i, from, to) in self.clipped(start, end) {
            let a = &self.areas[i];
            let mut at = from;
            while at < to {
                let next = a.boundary(at).min(to);
                if a.has(at) {
                    match out.last_mut() {
                        Some(last) if last.1 == at => last.1 = next,
                        _ => out.push((at, next)),
                    }
                }
                at = next;
            }
        }
        out
    }

    /// The bytes at `addr`, which must be held.
    pub(super) fn read(&self, addr: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = addr + buf.len() as u64;
        let mut next = addr;
        for (i, from, to) in self.clipped(addr, end) {
            if from != next {
                break;
            }
            let a = &self.areas[i];
            let at = a.at + (from - a.start) as usize;
            let bytes = &self.chunks[a.chunk][at..at + (to - from) as usize];
            buf[(from - addr) as usize..(to - addr) as usize].copy_from_slice(bytes);
            next = to;
        }
        if next == end { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

impl Area {
    fn bit(&self, addr: u64) -> (usize, u64) {
        let page = (addr - self.start) / PAGE;
        ((page / 64) as usize, page % 64)
    }

    fn has(&self, addr: u64) -> bool {
        let (word, bit) = self.bit(addr);
        self.have[word] >> bit & 1 != 0
    }

    /// Where the state changes that `addr` has, at the latest the area's end.
    fn boundary(&self, addr: u64) -> u64 {
        let (word, bit) = self.bit(addr);
        let flip = if self.has(addr) { u64::MAX } else { 0 };
        let rest = (self.have[word] ^ flip) >> bit;
        let mut page = addr + u64::from(rest.trailing_zeros().min(64 - bit as u32)) * PAGE;
        if rest == 0 {
            let more = self.have[word + 1..].iter().take_while(|w| **w == flip).count();
            page += more as u64 * 64 * PAGE;
            let last = self.have.get(word + 1 + more).map_or(0, |w| (w ^ flip).trailing_zeros());
            page += u64::from(last) * PAGE;
        }
        page.min(self.end)
    }

    fn mark(&mut self, from: u64, to: u64, have: bool) {
        let mut at = from;
        while at < to {
            let (word, bit) = self.bit(at);
            let n = (64 - bit).min((to - at).div_ceil(PAGE));
            let mask = (u64::MAX >> (64 - n)) << bit;
            if have {
                self.have[word] |= mask;
            } else {
                self.have[word] &= !mask;
            }
            at += n * PAGE;
        }
    }
}

/// Fills `buf` from `addr` on; where that fails, page by page. Answers the pages that failed.
pub(super) fn read_pages(addr: u64, buf: &mut [u8], read: Read<'_>) -> Ranges {
    let mut failed: Ranges = Vec::new();
    if read(addr, buf).is_err() {
        for (i, page) in buf.chunks_mut(PAGE as usize).enumerate() {
            let at = addr + i as u64 * PAGE;
            if read(at, page).is_err() {
                match failed.last_mut() {
                    Some(last) if last.1 == at => last.1 += PAGE,
                    _ => failed.push((at, at + PAGE)),
                }
            }
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn page(n: u64) -> u64 {
        n * PAGE
    }

    /// A page's bytes tell its number; page 1003 cannot be read.
    fn numbered(addr: u64, buf: &mut [u8]) -> io::Result<()> {
        for (i, b) in buf.iter_mut().enumerate() {
            let n = (addr + i as u64) / PAGE;
            if n == 1003 {
                return Err(io::ErrorKind::Other.into());
            }
            *b = n as u8;
        }
        Ok(())
    }

    #[test]
    fn holds_what_was_copied() {
        for directory in [None, Some(std::env::temp_dir())] {
            let mut image = Image::default();
            image
                .add(&[(page(1000), page(1300)), (page(10), page(20))], directory.as_deref())
                .expect("place");
            image.add(&[(page(2000), page(2001))], None).expect("place");
            assert_eq!(
                image.places(page(11), page(1001)),
                [(page(11), page(20)), (page(1000), page(1001))]
            );
            image.prepare(&[(page(10), page(20))]);
            let copied = image.copy(
                &[(page(12), page(14)), (page(998), page(1200)), (page(2000), page(2001))],
                Workers::all(2),
                &numbered,
            );
            assert_eq!(copied, page(2 + 200 + 1));
            assert_eq!(image.failed(), [(page(1003), page(1004))]);
            let runs = [(page(1000), page(1003)), (page(1004), page(1200))];
            assert_eq!(image.runs(page(0), page(1999))[1..], runs);
            for gone in [(1000, 1001), (1070, 1100), (1101, 1300)] {
                image.drop_pages(page(gone.0), page(gone.1));
            }
            let runs = [
                (page(12), page(14)),
                (page(1001), page(1003)),
                (page(1004), page(1070)),
                (page(1100), page(1101)),
                (page(2000), page(2001)),
            ];
            assert_eq!(image.runs(0, u64::MAX), runs);
            let mut buf = [0; 2 * PAGE as usize];
            image.read(page(1068), &mut buf).expect("held");
            assert_eq!((buf[0], buf[4096]), (1068u64 as u8, 1069u64 as u8));
            assert!(image.read(page(19), &mut buf).is_err());
        }
    }

    /// What is copied aside comes to its place, and what could not be read is not held.
    #[test]
    fn copies_aside() {
        let mut image = Image::default();
        image.add(&[(page(1000), page(1010)), (page(1010), page(1020))], None).expect("place");
        image.copy(
            &[(page(1000), page(1003)), (page(1008), page(1012))],
            Workers::all(1),
            &|_, buf| {
                buf.fill(7);
                Ok(())
            },
        );
        image.copy_aside();
        assert_eq!(image.copy(&[(page(1001), page(1012))], Workers::all(1), &numbered), page(11));
        assert!(image.lacks_any() && image.failed().is_empty());
        image.bring_in(Workers::beside(2));
        assert_eq!(image.failed(), [(page(1003), page(1004))]);
        assert_eq!(image.runs(0, u64::MAX), [(page(1000), page(1003)), (page(1004), page(1012))]);
        let mut buf = [0; 4 * PAGE as usize];
        image.read(page(1008), &mut buf).expect("held");
        assert_eq!(
            [0, 1, 2, 3].map(|n| buf[n << 12]),
            [1008, 1009, 1010, 1011].map(|n: u64| n as u8)
        );
        image.read(page(1000), &mut buf[..4096]).expect("held");
        assert_eq!(buf[0], 7);
    }
}

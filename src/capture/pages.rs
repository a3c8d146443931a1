//! Which pages of a process are there: PAGEMAP_SCAN, or /proc/PID/pagemap read entry by entry
//! on kernels before 6.7.
//!
//! Knows page tables as the kernel shows them; nothing of what the pages hold.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use rayon::prelude::*;

use crate::format::ranges::{Ranges, both, union};
use crate::process::maps::{Kind, Mapping, PAGE};
use crate::process::sys::{self, PageRegion, ScanArg, page};

/// A run of pages of one sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// A page of a file or of shared memory, not the process's own.
    pub file: bool,
    /// Part of huge pages.
    pub huge: bool,
    /// In swap, and not in memory.
    pub swapped: bool,
}

/// An entry's bit of a guard region; kernels before 6.15 do not tell.
const GUARD: u64 = 1 << 58;
/// Regions that one call answers.
const REGIONS: usize = 1024;

/// Page tables of so many bytes of addresses are looked through by one thread at a time.
const WINDOW: u64 = 128 << 20;
/// To look through the page tables of so many bytes costs about as much as another call.
const NEAR: u64 = 512 << 10;

/// The page map of one process.
#[derive(Debug)]
pub(crate) struct PageMap {
    file: File,
}

impl PageMap {
    /// Opens /proc/PID/pagemap; wants the right to trace the process.
    pub(crate) fn open(pid: i32) -> io::Result<PageMap> {
        File::open(format!("/proc/{pid}/pagemap")).map(|file| PageMap { file })
    }

    /// The pages of a mapping that are in memory or in swap, but for those that only read as
    /// zero, in order.
    pub(crate) fn present(&self, m: &Mapping) -> io::Result<Vec<Run>> {
        // Whether a page is a file's is in the kernel's record of that page: a cache miss each,
        // 80 ns against 5. Memory that has no file has no such pages.
        match self.runs(m.start, m.end, m.kind() != Kind::Anonymous) {
            Err(e) if e.raw_os_error() == Some(libc::ENOTTY) => self.by_entries(m.start, m.end),
            result => result,
        }
    }

    /// The same of any memory, without a look at which pages are a file's. `ranges` are in order and disjoint, and all CPUs
    /// look.
    pub(crate) fn present_in(&self, ranges: &[(u64, u64)]) -> io::Result<Ranges> {
        self.of_windows(&joined(ranges, NEAR), ranges, &|start, end, out| {
            let runs = self.runs(start, end, false)?;
            out.extend(runs.iter().map(|r| (r.start, r.end)));
            Ok(())
        })
    }

    fn runs(&self, start: u64, end: u64, files: bool) -> io::Result<Vec<Run>> {
        let file = if files { page::FILE } else { 0 };
        let ask = ScanArg {
            category_inverted: page::ZERO,
            category_mask: page::ZERO,
            category_anyof_mask: page::PRESENT | page::SWAPPED,
            return_mask: file | page::HUGE | page::PRESENT,
            ..ScanArg::default()
        };
        let (mut out, mut elsewhere) = (Vec::new(), Vec::new());
        let run = |r: &PageRegion| Run {
            start: r.start,
            end: r.end,
            file: r.categories & page::FILE != 0,
            huge: r.categories & page::HUGE != 0,
            swapped: r.categories & page::PRESENT == 0,
        };
        self.scan(ask, start, end, &mut |r| {
            if run(r).swapped {
                elsewhere.push(out.len());
            }
            out.push(run(r));
        })?;
        for i in elsewhere.into_iter().rev() {
            let run: Run = out[i];
            let kept = self.without_guards(run.start, run.end)?;
            out.splice(i..=i, kept.into_iter().map(|(start, end)| Run { start, end, ..run }));
        }
        Ok(out)
    }

    /// What is not a guard region (MADV_GUARD_INSTALL; glibc ends stacks with one from 2.42) of
    /// pages that are not in memory. The scan tells both as swapped, but nothing is there.
    fn without_guards(&self, start: u64, end: u64) -> io::Result<Vec<(u64, u64)>> {
        let mut out: Vec<(u64, u64)> = Vec::new();
        self.entries(start, end, &mut |at, word| match out.last_mut() {
            _ if word & GUARD != 0 => {}
            Some(last) if last.1 == at => last.1 += PAGE,
            _ => out.push((at, at + PAGE)),
        })?;
        Ok(out)
    }

    /// What of `ranges`, which are in order and disjoint, was written to since it was last
    /// protected, or is not there; of what no asynchronous userfaultfd watches, all.
    ///
    /// The quickest question that can be asked of a page table: it is about nothing else, which
    /// the kernel answers in a loop of its own (2 ns a page; with the next question 6).
    pub(crate) fn changed(&self, ranges: &[(u64, u64)]) -> io::Result<Ranges> {
        let ask = ScanArg {
            category_mask: page::WRITTEN,
            return_mask: page::WRITTEN,
            ..ScanArg::default()
        };
        self.of_windows(&joined(ranges, WINDOW), ranges, &|start, end, out| {
            self.scan(ask, start, end, &mut |r| out.push((r.start, r.end)))
        })
    }

    /// What `find` finds in `windows`, which hold all of `ranges`, as far as it is in them.
    fn of_windows(
        &self,
        windows: &[(u64, u64)],
        ranges: &[(u64, u64)],
        find: &(dyn Fn(u64, u64, &mut Ranges) -> io::Result<()> + Sync),
    ) -> io::Result<Ranges> {
        let of_window = |&(start, end): &(u64, u64)| -> io::Result<Ranges> {
            let mut out = Ranges::new();
            find(start, end, &mut out)?;
            Ok(out)
        };
        let found: Vec<Ranges> = windows.par_iter().map(of_window).collect::<io::Result<_>>()?;
        Ok(both(&union(found.concat()), ranges).collect())
    }

    /// The pages of a mapping that were written to since they were last protected, in order;
    /// protects them again if `protect`.
    ///
    /// Where no asynchronous userfaultfd is registered, because something else is mapped there
    /// by now: if `strict`, an error, and then what was protected may not have been reported. If
    /// not, such parts are left out where `protect`, else reported as written to.
    pub(crate) fn written(&self, m: &Mapping, protect: bool, strict: bool) -> io::Result<Ranges> {
        let ask = ScanArg {
            flags: if protect { sys::SCAN_WP_MATCHING } else { 0 }
                | if strict { sys::SCAN_CHECK_WPASYNC } else { 0 },
            category_mask: page::WRITTEN,
            category_anyof_mask: page::PRESENT | page::SWAPPED,
            return_mask: page::WRITTEN,
            ..ScanArg::default()
        };
        let mut out = Ranges::new();
        for (start, end) in self.changed(&[(m.start, m.end)])? {
            self.scan(ask, start, end, &mut |r| out.push((r.start, r.end)))?;
        }
        Ok(out)
    }

    fn scan(
        &self,
        ask: ScanArg,
        start: u64,
        end: u64,
        each: &mut dyn FnMut(&PageRegion),
    ) -> io::Result<()> {
        // The kernel makes room for as many, too.
        let most = ((end - start) / PAGE).min(REGIONS as u64) as usize;
        let mut regions = vec![PageRegion::default(); most];
        let mut at = start;
        while at < end {
            let mut arg = ScanArg { start: at, end, ..ask };
            let n = sys::pagemap_scan(self.file.as_fd(), &mut arg, &mut regions)?;
            // Where its own buffer of 512 regions is full, the kernel (6.18) may tell a region
            // twice.
            let mut reported = at;
            for r in regions.iter().take(n) {
                let r = PageRegion { start: r.start.max(reported), ..*r };
                if r.start < r.end {
                    reported = r.end;
                    each(&r);
                }
            }
            if arg.walk_end <= at {
                return Err(io::Error::other("PAGEMAP_SCAN came no further"));
            }
            at = arg.walk_end.max(reported);
        }
        Ok(())
    }

    /// By pages: bit 63 says present, 62 swapped, 61 of a file.
    fn by_entries(&self, start: u64, end: u64) -> io::Result<Vec<Run>> {
        let mut out: Vec<Run> = Vec::new();
        self.entries(start, end, &mut |at, word| {
            if word >> 62 == 0 || word & GUARD != 0 {
                return;
            }
            let (file, swapped) = (word >> 61 & 1 != 0, word >> 63 == 0);
            match out.last_mut() {
                Some(r) if r.end == at && r.file == file && r.swapped == swapped => r.end += PAGE,
                _ => out.push(Run { start: at, end: at + PAGE, file, huge: false, swapped }),
            }
        })?;
        Ok(out)
    }

    /// Each page's entry, in order (Documentation/admin-guide/mm/pagemap.rst).
    fn entries(&self, start: u64, end: u64, each: &mut dyn FnMut(u64, u64)) -> io::Result<()> {
        let mut entries = vec![0; ((end - start) / PAGE * 8).min(512 << 10) as usize];
        let mut at = start;
        while at < end {
            let want = ((end - at) / PAGE * 8).min(entries.len() as u64) as usize;
            let n = self.file.read_at(&mut entries[..want], at / PAGE * 8)?;
            let (words, _) = entries[..n].as_chunks::<8>();
            if words.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            for word in words.iter().map(|w| u64::from_le_bytes(*w)) {
                each(at, word);
                at += PAGE;
            }
        }
        Ok(())
    }
}

/// Stretches of at most [`WINDOW`] that hold all of `ranges`; what is not farther apart than `near` is in one.
fn joined(ranges: &[(u64, u64)], near: u64) -> Ranges {
    let mut out = Ranges::new();
    for &(start, end) in ranges {
        if let Some(last) = out.last_mut()
            && start - last.1 <= near
            && end - last.0 <= WINDOW
        {
            last.1 = end;
            continue;
        }
        let mut at = start;
        while at < end {
            let next = (at + WINDOW).min(end);
            out.push((at, next));
            at = next;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::sys::uffd;

    /// More regions than the kernel's buffer holds, each reported once.
    #[test]
    fn many_runs() {
        const RUNS: usize = 3000;
        let mut memory =
            memmap2::MmapOptions::new().len((RUNS * 3) << 12).map_anon().expect("memory");
        for i in 0..RUNS {
            memory[(i * 3) << 12] = 1;
            memory[(i * 3 + 1) << 12] = 1;
        }
        let pages = PageMap::open(std::process::id() as i32).expect("pagemap");
        let start = memory.as_ptr() as u64;
        let found =
            pages.present(&Mapping::plain(start, start + memory.len() as u64)).expect("a scan");
        let run = |i| (start + i * 3 * PAGE, start + (i * 3 + 2) * PAGE);
        let found: Vec<_> = found.iter().map(|r| (r.start, r.end)).collect();
        assert_eq!(found, (0..RUNS as u64).map(run).collect::<Vec<_>>());
    }

    /// What was written to, given back or never touched has changed; what was read or left alone has not.
    #[test]
    #[allow(unsafe_code, reason = "it gives a page of its own back")]
    fn what_changed_since_it_was_protected() {
        let fd = uffd::own().expect("asynchronous write-protection, Linux 6.7");
        let mut memory = memmap2::MmapOptions::new().len(16 << 12).map_anon().expect("memory");
        memory[..12 << 12].fill(1);
        let start = memory.as_ptr() as u64;
        let m = Mapping::plain(start, start + (16 << 12));
        uffd::register(fd.as_fd(), m.start, m.end).expect("watched");
        let pages = PageMap::open(std::process::id() as i32).expect("pagemap");
        let runs = |ranges: &[(u64, u64)]| {
            let run = |r: &(u64, u64)| ((r.0 - start) / PAGE, (r.1 - start) / PAGE);
            ranges.iter().map(run).collect::<Vec<_>>()
        };
        let all = [(m.start, m.end)];
        assert_eq!(runs(&pages.changed(&all).expect("a scan")), [(0, 16)]);
        assert_eq!(runs(&pages.written(&m, true, true).expect("a scan")), [(0, 12)]);
        assert_eq!(runs(&pages.changed(&all).expect("a scan")), [(12, 16)]);
        memory[3 << 12] = 2;
        assert_eq!(memory[5 << 12], 1);
        // SAFETY: nobody holds a reference to the page; it reads as zeros from here on.
        let given =
            unsafe { libc::madvise((start + 7 * PAGE) as *mut _, 4096, libc::MADV_DONTNEED) };
        assert_eq!(given, 0);
        let changed = pages.changed(&all).expect("a scan");
        assert_eq!(runs(&changed), [(3, 4), (7, 8), (12, 16)]);
        assert_eq!(runs(&pages.present_in(&changed).expect("a scan")), [(3, 4)]);
        assert_eq!(runs(&pages.written(&m, true, true).expect("a scan")), [(3, 4)]);
        assert_eq!(runs(&pages.changed(&all).expect("a scan")), [(7, 8), (12, 16)]);
        uffd::unregister(fd.as_fd(), m.start, m.end).expect("not watched any more");
    }

    /// Near stretches are one question, and large ones several.
    #[test]
    fn windows_hold_all() {
        let page = |n: u64| n * PAGE;
        let few = [(page(1), page(2)), (page(4), page(5)), (page(1000), page(1001))];
        assert_eq!(joined(&few, page(2)), [(page(1), page(5)), few[2]]);
        assert_eq!(joined(&few, WINDOW), [(page(1), page(1001))]);
        let large = [(page(1), page(1) + 2 * WINDOW + PAGE)];
        assert_eq!(
            joined(&large, 0).iter().map(|w| w.1 - w.0).collect::<Vec<_>>(),
            [WINDOW, WINDOW, PAGE]
        );
    }

    /// A guard region is no page to read, nor is what lies beside it lost.
    #[test]
    #[allow(unsafe_code, reason = "it protects pages of its own")]
    fn guards_are_no_pages() {
        let mut memory = memmap2::MmapOptions::new().len(16 << 12).map_anon().expect("memory");
        memory.fill(1);
        let start = memory.as_ptr() as u64;
        const MADV_GUARD_INSTALL: i32 = 102;
        // SAFETY: the pages are ours, and nobody reads them from here on.
        let rc = unsafe {
            libc::madvise((start + 4 * PAGE) as *mut libc::c_void, 4 << 12, MADV_GUARD_INSTALL)
        };
        let want = match rc {
            0 => vec![(start, start + 4 * PAGE), (start + 8 * PAGE, start + 16 * PAGE)],
            _ => vec![(start, start + 16 * PAGE)], // a kernel before 6.13
        };
        let pages = PageMap::open(std::process::id() as i32).expect("pagemap");
        for found in [
            pages.present(&Mapping::plain(start, start + (16 << 12))),
            pages.by_entries(start, start + (16 << 12)),
        ] {
            let found: Vec<_> = found.expect("a scan").iter().map(|r| (r.start, r.end)).collect();
            assert_eq!(found, want);
        }
    }

    /// Both ways agree on memory of our own: two pages written, one between them untouched.
    #[test]
    fn both_ways_see_the_same() {
        let mut memory = memmap2::MmapOptions::new().len(64 << 12).map_anon().expect("memory");
        memory[0] = 1;
        memory[2 << 12] = 1;
        let pages = PageMap::open(std::process::id() as i32).expect("pagemap");
        let start = memory.as_ptr() as u64;
        let run = |page: u64| (start + page * PAGE, start + (page + 1) * PAGE, false);
        for found in [
            pages.present(&Mapping::plain(start, start + (64 << 12))),
            pages.by_entries(start, start + (64 << 12)),
        ] {
            let found: Vec<_> =
                found.expect("a scan").iter().map(|r| (r.start, r.end, r.file)).collect();
            assert_eq!(found, [run(0), run(2)]);
        }
    }
}

//! The core's bytes on their way out: read, looked at for zeros, compressed, and written in
//! order, by several threads at a time.
//!
//! Knows the plan and an output that can leave zeros out; knows nothing of where pages come
//! from beyond a function that reads them.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use super::image::read_pages;
use super::plan::{Holder, Layout, Piece};
use crate::format::out::CoreOut;
use crate::format::ranges::Ranges;
use crate::process::maps::PAGE;
use crate::turns::{Turns, caught};

/// What a thread reads at a time: it stays in the CPU's cache.
const READ: u64 = 1 << 20;
/// What it compresses at a time, one zstd frame.
const FRAME: u64 = 4 << 20;

/// How long a process that was killed may take to notice.
const DEATH: std::time::Duration = std::time::Duration::from_millis(50);

/// Why the core could not be written, where it is not the output's fault.
#[derive(Debug)]
pub(super) enum Failed {
    /// The source of the pages ended before all were read, or lost some of them.
    SourceLost(String),
    /// Pages could not be read, and the headers that are to say so are out of reach.
    CannotCorrect(String),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::SourceLost(what) | Failed::CannotCorrect(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failed {}

/// Where the pages come from.
pub(super) struct Pages<'a> {
    /// Reads a piece's bytes.
    pub read: Source<'a>,
    /// Why the source is no more, if it is; asked when a read fails.
    pub ended: &'a (dyn Fn() -> Option<String> + Sync),
    /// Asked once all is read: what was there when the snapshot was taken and is not there now,
    /// as addresses. It was read as zero.
    pub lost: &'a (dyn Fn() -> io::Result<Ranges> + Sync),
}

/// How the core is written.
#[derive(Clone, Copy)]
pub(super) struct Writing<'a> {
    /// zstd level, if it is to be compressed.
    pub zstd: Option<i32>,
    /// Threads.
    pub threads: usize,
    /// Called with bytes of memory that were written.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Bytes of pages that are not zero.
    pub data: u64,
    /// Addresses that could not be read (of private memory) and are shown as not saved.
    pub bad: Ranges,
}

/// Reads a piece's bytes: holder, address, buffer.
pub(super) type Source<'a> = &'a (dyn Fn(Holder, u64, &mut [u8]) -> io::Result<()> + Sync);

/// A stretch of the file that one thread makes at a time.
struct Job {
    start: u64,
    end: u64,
    pieces: Vec<Piece>,
}

/// An error if the source is no more.
fn is_there(pages: &Pages<'_>) -> io::Result<()> {
    (pages.ended)().map_or(Ok(()), |why| Err(io::Error::other(Failed::SourceLost(why))))
}

/// Cuts the pieces into stretches with at most `most` bytes of data, and as little between.
fn jobs(pieces: &[Piece], most: u64) -> Vec<Job> {
    let mut out: Vec<Job> = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while rest.len > 0 {
            let fits = |j: &&mut Job| rest.at - j.start < most;
            let job = match out.last_mut().filter(fits) {
                Some(job) => job,
                None => {
                    let (start, end) = (rest.at, rest.at);
                    out.push(Job { start, end, pieces: Vec::new() });
                    let last = out.len() - 1;
                    &mut out[last]
                }
            };
            let part = Piece { len: rest.len.min(job.start + most - rest.at), ..rest };
            job.end = part.at + part.len;
            job.pieces.push(part);
            rest.at += part.len;
            rest.addr += part.len;
            rest.len -= part.len;
        }
    }
    out
}

/// A job's bytes, ready to be written.
enum Encoded {
    /// Parts of them: (start, end), as distances from the job's start.
    Parts(Vec<(usize, usize)>),
    /// A zstd frame of all of it.
    Frame(Vec<u8>),
}

/// What a thread made of a job.
struct Made {
    /// The job's bytes, all of them.
    buf: Vec<u8>,
    ready: Encoded,
    /// Bytes of pages that are not zero.
    data: u64,
    /// Pages that could not be read.
    bad: Ranges,
}

/// The output and how far it is.
struct Out<'o> {
    out: &'o mut dyn CoreOut,
    at: u64,
    /// zstd level and a frame of [`FRAME`] zeros.
    zstd: Option<(i32, Vec<u8>)>,
    written: Written,
}

impl Out<'_> {
    fn zeros_to(&mut self, at: u64) -> io::Result<()> {
        match &self.zstd {
            None => self.out.skip(at - self.at)?,
            Some((level, zeros)) => {
                let n = at - self.at;
                for _ in 0..n / FRAME {
                    self.out.write_all(zeros)?;
                }
                let rest = vec![0; (n % FRAME) as usize];
                if !rest.is_empty() {
                    self.out.write_all(&frame(*level, &rest)?)?;
                }
            }
        }
        self.at = at;
        Ok(())
    }

    fn put(&mut self, job: &Job, made: &Made) -> io::Result<()> {
        match &made.ready {
            Encoded::Parts(parts) => {
                for &(from, to) in parts {
                    self.zeros_to(job.start + from as u64)?;
                    self.out.write_all(&made.buf[from..to])?;
                    self.at = job.start + to as u64;
                }
            }
            Encoded::Frame(frame) => {
                self.zeros_to(job.start)?;
                self.out.write_all(frame)?;
                self.at = job.end;
            }
        }
        Ok(())
    }
}

fn frame(level: i32, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = zstd::bulk::Compressor::new(level)?;
    packer.include_checksum(true)?;
    packer.compress(bytes)
}

/// Writes the whole core: `notes` in front, then all pieces of the plan.
///
/// Pages that cannot be read are shown as not saved in the headers, where `out` can still
/// change those; otherwise it is an error ([`Failed`]). So it is if the source is no more.
pub(super) fn write(
    out: &mut dyn CoreOut,
    layout: &Layout,
    notes: &[u8],
    known_bad: &[(u64, u64)],
    pages: &Pages<'_>,
    how: &Writing<'_>,
) -> io::Result<Written> {
    let (front, mut shown) = layout.front(notes, known_bad);
    let zstd = how.zstd.map(|level| frame(level, &vec![0; FRAME as usize]).map(|z| (level, z)));
    let zstd = zstd.transpose()?;
    match how.zstd {
        Some(level) => out.write_all(&frame(level, &front)?)?,
        None => out.write_all(&front)?,
    }
    let at = front.len() as u64;
    let out = Out { out, at, zstd, written: Written::default() };
    let jobs = jobs(&layout.pieces, if how.zstd.is_some() { FRAME } else { READ });
    let threads = how.threads.clamp(1, jobs.len().max(1));
    let turns = Turns::of(jobs.len(), threads);
    let out = Mutex::new(out);
    let spare = Mutex::new(Vec::new());
    let spares = || spare.lock().unwrap_or_else(PoisonError::into_inner);
    let pass = |number: usize, made: io::Result<Made>| -> io::Result<()> {
        let job: &Job = &jobs[number];
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        let made = made?;
        if !made.bad.is_empty() {
            is_there(pages)?;
        }
        out.written.data += made.data;
        out.written.bad.extend(&made.bad);
        out.put(job, &made)?;
        spares().push(made.buf);
        (how.progress)(job.pieces.iter().map(|p| p.len).sum());
        Ok(())
    };
    let part = || {
        let mut packer = None;
        let work = |number: usize| {
            caught(|| {
                let buf = spares().pop().unwrap_or_default();
                make(&jobs[number], buf, &mut packer, pages.read, how.zstd)
            })
        };
        turns.take_part(work, pass);
    };
    std::thread::scope(|s| {
        for _ in 1..threads {
            // Those that there are do it all if the system refuses one.
            if std::thread::Builder::new().spawn_scoped(s, part).is_err() {
                break;
            }
        }
        part();
    });
    turns.finish()?;
    let mut out = out.into_inner().unwrap_or_else(PoisonError::into_inner);
    out.zeros_to(layout.size)?;
    let mut written = out.written;
    // Asked again: one that was killed may not have known when the first read failed.
    if !written.bad.is_empty() {
        std::thread::sleep(DEATH);
    }
    is_there(pages)?;
    written.bad.extend((pages.lost)().or_else(|e| {
        // Perhaps it ended just now.
        std::thread::sleep(DEATH);
        is_there(pages)?;
        Err(e)
    })?);
    if !written.bad.is_empty() {
        let bad: Ranges = known_bad.iter().chain(&written.bad).copied().collect();
        let (front, all) = layout.front(notes, &bad);
        if how.zstd.is_some() || !out.out.patch(0, &front)? {
            return Err(io::Error::other(Failed::CannotCorrect(format!(
                "{} pages of the process cannot be read ({:#x} first), and a stream cannot say so \
                 in its headers any more",
                written.bad.iter().map(|b| (b.1 - b.0) / PAGE).sum::<u64>(),
                written.bad[0].0
            ))));
        }
        shown = all;
    }
    written.bad = shown;
    Ok(written)
}

/// Reads a job's pieces into `buf`, and compresses them.
fn make(
    job: &Job,
    mut buf: Vec<u8>,
    packer: &mut Option<zstd::bulk::Compressor<'static>>,
    source: Source<'_>,
    level: Option<i32>,
) -> io::Result<Made> {
    let len = (job.end - job.start) as usize;
    if buf.len() < len {
        buf.resize(len, 0);
    }
    let (mut parts, mut bad, mut data, mut filled) = (Vec::new(), Vec::new(), 0, 0);
    for p in &job.pieces {
        let from = (p.at - job.start) as usize;
        // A frame has the zeros between the pieces too.
        buf[filled..from].fill(0);
        filled = from + p.len as usize;
        let place = &mut buf[from..filled];
        let failed = read_pages(p.addr, place, &|addr, buf| source(p.holder, addr, buf));
        for &(start, end) in &failed {
            place[(start - p.addr) as usize..(end - p.addr) as usize].fill(0);
        }
        bad.extend(failed);
        for (i, page) in place.chunks(PAGE as usize).enumerate() {
            if is_zero(page) {
                continue;
            }
            let at = from + i * PAGE as usize;
            data += page.len() as u64;
            match parts.last_mut() {
                Some((_, end)) if *end == at => *end += page.len(),
                _ => parts.push((at, at + page.len())),
            }
        }
    }
    let ready = match level {
        None => Encoded::Parts(parts),
        Some(level) => {
            let packer = match packer {
                Some(packer) => packer,
                None => {
                    let mut new = zstd::bulk::Compressor::new(level)?;
                    new.include_checksum(true)?;
                    packer.insert(new)
                }
            };
            Encoded::Frame(packer.compress(&buf[..len])?)
        }
    };
    Ok(Made { buf, ready, data, bad })
}

fn is_zero(page: &[u8]) -> bool {
    let (blocks, rest) = page.as_chunks::<64>();
    let or = |b: &[u8]| b.iter().fold(0, |a, b| a | b);
    blocks.iter().all(|b| or(b) == 0) && or(rest) == 0
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn stretches_hold_little_each() {
        let piece = |at, len| Piece { at, addr: at + (1 << 40), len, holder: Holder::Memory };
        let pieces = [piece(0, 10 << 12), piece(20 << 12, 2 << 12), piece(1 << 30, 1 << 12)];
        let jobs = jobs(&pieces, 4 << 12);
        let spans: Vec<_> = jobs.iter().map(|j| (j.start >> 12, j.end >> 12)).collect();
        assert_eq!(spans, [(0, 4), (4, 8), (8, 10), (20, 22), (1 << 18, (1 << 18) + 1)]);
        let all: u64 = jobs.iter().flat_map(|j| &j.pieces).map(|p| p.len).sum();
        assert_eq!(all, 13 << 12);
        assert!(jobs.iter().flat_map(|j| &j.pieces).all(|p| p.addr == p.at + (1 << 40)));
    }

    /// A file in memory.
    struct Bytes(Vec<u8>);

    impl Write for Bytes {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.write(buf)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl CoreOut for Bytes {
        fn skip(&mut self, zeros: u64) -> io::Result<()> {
            self.0.resize(self.0.len() + zeros as usize, 0);
            Ok(())
        }

        fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<bool> {
            self.0[at as usize..][..bytes.len()].copy_from_slice(bytes);
            Ok(true)
        }

        fn restart(&mut self) -> io::Result<bool> {
            self.0.clear();
            Ok(true)
        }
    }

    /// Pages that were there and were read as zero because they no longer are count as not saved;
    /// a source that is no more is an error of its own.
    #[test]
    fn what_was_lost_is_no_zero() {
        use crate::capture::plan::{Saved, lay};
        use crate::process::maps::Mapping;
        let m = Mapping::plain(0x10000, 0x20000);
        let saved = Saved { runs: vec![(0x10000, 0x20000)], rest_is_zero: true };
        let layout = lay(crate::cpu::Cpu::X86_64, 0, &[(m, saved, Holder::Memory)], &[]);
        let how = Writing { zstd: None, threads: 2, progress: &|_| {} };
        // The third page cannot be read, the fifth and sixth were taken away.
        let read: Source<'_> =
            &|_, addr, buf| match addr <= 0x12000 && 0x12000 < addr + buf.len() as u64 {
                true => Err(io::ErrorKind::Other.into()),
                false => {
                    buf.fill(u8::from(!(0x14000..0x16000).contains(&addr)));
                    Ok(())
                }
            };
        let lost = || Ok(vec![(0x14000, 0x16000)]);
        let pages = Pages { read, ended: &|| None, lost: &lost };
        let mut out = Bytes(Vec::new());
        let written = write(&mut out, &layout, &[], &[], &pages, &how).expect("a core");
        assert_eq!(written.bad, [(0x12000, 0x13000), (0x14000, 0x16000)]);
        let (front, _) = layout.front(&[], &written.bad);
        assert_eq!(out.0[..front.len()], front);
        let pages = Pages { ended: &|| Some("killed".into()), ..pages };
        let e = write(&mut Bytes(Vec::new()), &layout, &[], &[], &pages, &how).expect_err("killed");
        assert!(matches!(e.downcast::<Failed>(), Ok(Failed::SourceLost(_))));
        // It ends when all is read, and what it lost cannot be asked any more.
        let asked = AtomicBool::new(false);
        let lost = || {
            asked.store(true, Ordering::Relaxed);
            Err(io::ErrorKind::NotFound.into())
        };
        let ended = || asked.load(Ordering::Relaxed).then(|| "killed".to_owned());
        let pages = Pages { ended: &ended, lost: &lost, read: &|_, _, _| Ok(()) };
        let e = write(&mut Bytes(Vec::new()), &layout, &[], &[], &pages, &how).expect_err("killed");
        assert!(matches!(e.downcast::<Failed>(), Ok(Failed::SourceLost(_))));
    }

    #[test]
    fn zeros_are_seen() {
        let mut page = vec![0; 4096];
        assert!(is_zero(&page) && is_zero(&[]));
        page[4095] = 1;
        assert!(!is_zero(&page));
    }
}

//! A gzip archive of many members, unpacked by all cores.
//!
//! HotSpot's `GC.heap_dump -gz` and rjcore's `dump --gz` write such: a member for each block. Where one begins is found
//! by looking, as no JDK's blocks are all of the size that the comment in the first one states: by a member's first
//! bytes, and that what lies before the next such bytes is a member with the right checksum and length. Of what is not
//! so, the rest is left to the one decoder that needs no beginnings.

use std::fs::File;
use std::io::{self, BufReader};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, available_parallelism};

use libdeflater::Decompressor;

use super::{Packing, Progress, Temporary, Unpacked, full};
use crate::error::{Error, Result};
use crate::mapped::Mapped;

/// A member's first bytes: deflate is its only method.
const MAGIC: &[u8] = &[0x1f, 0x8b, 8];
/// Bytes of a member's head and end without data.
const LEAST: usize = 18;
/// Unpacked bytes of a member that is taken as a block: each thread keeps one in memory.
const MAX_BLOCK: usize = 64 << 20;
/// Deflate packs no more than so many bytes into one.
const MAX_RATIO: usize = 1032;
/// Bytes that looked like a member's first ones and were none: more are not looked into.
const MAX_FALSE: usize = 64;

/// A part of the archive that may be a member.
struct Member {
    packed: Range<usize>,
    /// Offset among the unpacked bytes, and how many there are.
    at: u64,
    size: usize,
}

/// Unpacks an archive of several members; none where it has but one.
pub(super) fn unpack(label: &Path, file: &File, progress: Progress) -> Result<Option<Unpacked>> {
    let packed = Mapped::file(label, file).map_err(Error::io(label))?;
    let mut starts = starts(&packed);
    if starts.len() < 2 {
        return Ok(None);
    }
    let mut out = Temporary::new(label)?;
    // The first that is not unpacked yet.
    let (mut next, mut rejected) = (0, 0);
    while next < starts.len() {
        let members = members(&packed, starts.get(next..).unwrap_or_default(), out.size);
        let done = all(&packed, &members, &out, progress)?;
        next += done;
        let last = done.checked_sub(1).and_then(|last| members.get(last));
        out.size = last.map_or(out.size, |m| m.at + m.size as u64);
        if next < starts.len() {
            if next + 1 == starts.len() || rejected == MAX_FALSE {
                break;
            }
            // What looked like the next one's first bytes is perhaps this one's data.
            starts.remove(next + 1);
            rejected += 1;
        }
    }
    let end = match starts.get(next) {
        None => out.file.set_len(out.size).map_err(|e| full(label, e)).map(Ok)?,
        Some(start) => {
            let rest = BufReader::new(packed.get(*start..).unwrap_or_default());
            out.append(&mut Packing::Gzip.decoder(rest).map_err(Error::io(label))?)?
        }
    };
    Ok(Some(Unpacked::new(out.file, out.size, Packing::Gzip, end)))
}

/// Where a member may begin.
fn starts(packed: &[u8]) -> Vec<usize> {
    let is_head = |at: &usize| match packed.get(*at..*at + 10) {
        // Flags that are not reserved, extra flags of the deflate method, a known system.
        Some([_, _, _, flags, _, _, _, _, extra, system]) => {
            *flags < 32 && matches!(extra, 0 | 2 | 4) && matches!(system, 0..=13 | 255)
        }
        _ => false,
    };
    memchr::memmem::find_iter(packed, MAGIC).filter(is_head).collect()
}

/// What lies between the starts, up to the first that can be no block.
fn members(packed: &[u8], starts: &[usize], mut at: u64) -> Vec<Member> {
    let ends = starts.iter().skip(1).copied().chain([packed.len()]);
    let sized = starts.iter().zip(ends).map_while(|(start, end)| {
        let member = packed.get(*start..end).filter(|m| m.len() >= LEAST)?;
        let size = u32::from_le_bytes(*member.last_chunk()?) as usize;
        if size > MAX_BLOCK || size / MAX_RATIO > member.len() {
            return None;
        }
        let member = Member { packed: *start..end, at, size };
        at += size as u64;
        Some(member)
    });
    sized.collect()
}

/// Unpacks members; answers how many from the first on are whole.
fn all(packed: &[u8], members: &[Member], out: &Temporary, progress: Progress) -> Result<usize> {
    let (claimed, failed) = (AtomicUsize::new(0), AtomicUsize::new(members.len()));
    let (told, news) = channel();
    let run = |told: Sender<u64>| -> io::Result<()> {
        let (mut decompressor, mut room) = (Decompressor::new(), Vec::new());
        loop {
            let number = claimed.fetch_add(1, Ordering::Relaxed);
            let member = members.get(number);
            let Some(member) = member.filter(|_| number < failed.load(Ordering::Relaxed)) else {
                return Ok(());
            };
            let from = packed.get(member.packed.clone()).unwrap_or_default();
            room.resize(room.len().max(member.size), 0);
            let room = room.get_mut(..member.size).unwrap_or_default();
            if decompressor.gzip_decompress(from, room).ok() != Some(member.size) {
                failed.fetch_min(number, Ordering::Relaxed);
                return Ok(());
            }
            out.file.write_all_at(room, member.at)?;
            let _ = told.send(member.packed.len() as u64);
        }
    };
    let threads = available_parallelism().map_or(1, usize::from).min(members.len());
    let total = packed.len() as u64;
    let mut done = members.first().map_or(0, |m| m.packed.start) as u64;
    thread::scope(|scope| {
        let spawn = |_| {
            let told = told.clone();
            let run = &run;
            thread::Builder::new().name("gunzip".into()).spawn_scoped(scope, move || run(told))
        };
        let started: io::Result<Vec<_>> = (0..threads).map(spawn).collect();
        drop(told);
        let started = started.map_err(|e| {
            claimed.store(members.len(), Ordering::Relaxed);
            Error::Threads { threads, why: e.to_string() }
        })?;
        for bytes in news {
            done += bytes;
            progress.into_iter().for_each(|progress| progress(done, total));
        }
        for thread in started {
            let ended = thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
            ended.map_err(|e| full(out.label, e))?;
        }
        Ok(failed.load(Ordering::Relaxed))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn member(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::new(level));
        out.write_all(bytes).expect("memory");
        out.finish().expect("memory")
    }

    fn unpacked(archive: &[u8]) -> Option<(Vec<u8>, Option<String>)> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(archive).expect("room");
        let seen = std::cell::Cell::new(0);
        let progress = |done: u64, total: u64| assert!(done <= total && done >= seen.replace(done));
        let out = unpack(Path::new("x"), &file, Some(&progress)).expect("an archive")?;
        let mut bytes = vec![0; out.file.metadata().expect("a file").len() as usize];
        out.file.read_exact_at(&mut bytes, 0).expect("its bytes");
        Some((bytes, out.damage.map(|d| d.text)))
    }

    /// Bytes that deflate shrinks little, and in which members seem to begin.
    fn noise(len: usize) -> Vec<u8> {
        let mut seed = 5u64;
        let mut next = || {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (seed >> 40) as u8
        };
        let mut out: Vec<u8> = (0..len).map(|_| next()).collect();
        for at in (1000..len.saturating_sub(100)).step_by(200_000) {
            out[at..at + 10].copy_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
        }
        out
    }

    #[test]
    fn members_of_any_size_are_joined() {
        let blocks =
            [noise(700_000), vec![], b"words ".repeat(200_000), noise(10), vec![0; 3 << 20]];
        // Stored blocks (level 0) have the false beginnings as they are.
        for level in [0, 1, 6] {
            let packed: Vec<u8> = blocks.iter().flat_map(|b| member(b, level)).collect();
            let (bytes, damage) = unpacked(&packed).expect("several members");
            assert!(bytes == blocks.concat() && damage.is_none(), "{level}: {damage:?}");
        }
        assert!(unpacked(&member(b"one", 1)).is_none());
    }

    #[test]
    fn what_is_there_of_a_damaged_archive_is_kept() {
        let blocks = [noise(300_000), b"words ".repeat(60_000), noise(200_000)];
        let packed: Vec<u8> = blocks.iter().flat_map(|b| member(b, 1)).collect();
        let whole = blocks.concat();
        for cut in [packed.len() - 1, packed.len() - 100_000, member(&blocks[0], 1).len() + 50] {
            let (bytes, damage) = unpacked(&packed[..cut]).expect("several members");
            assert!(whole.starts_with(&bytes) && bytes.len() >= 300_000, "{cut}: {}", bytes.len());
            assert!(damage.expect("told").starts_with("cut-off gzip archive"));
        }
        let mut wrong = packed.clone();
        let at = member(&blocks[0], 1).len() + 100;
        wrong[at..at + 50].fill(0xff);
        let (bytes, damage) = unpacked(&wrong).expect("several members");
        assert!(bytes.starts_with(&blocks[0]), "{}", bytes.len());
        assert!(damage.expect("told").starts_with("damaged gzip archive"));
        // Beginnings so close to one another that no member is between them.
        let mut crowd = [&packed[..], &MAGIC.repeat(10)].concat();
        crowd.extend([0; 10]);
        let (bytes, _) = unpacked(&crowd).expect("several members");
        assert!(bytes.starts_with(&whole));
        let close = [MAGIC, MAGIC, &[0, 0, 0, 3, 0, 2, 3, 0, 0]].concat();
        assert_eq!(starts(&close), [0, 3]);
        assert!(members(&close, &[0, 3], 0).is_empty());
        // What follows the last member is no part of any.
        let tail = [&packed[..], b"behind it"].concat();
        let (bytes, _) = unpacked(&tail).expect("several members");
        assert!(bytes == whole);
    }
}

//! Parallel gzip in blocks, as HotSpot's `GC.heap_dump -gz` lays them out.
//!
//! Knows nothing of what it compresses. Every block of 1 MiB is a gzip member of its own, and the
//! first one's comment is `HPROF BLOCKSIZE=1048576` (jdk heapDumperCompression.cpp,
//! `GZipCompressor::compress`): readers such as Eclipse MAT and VisualVM take it as leave to seek.
//! HotSpot's members may be shorter than the block size; ours are exact except for the last.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use libdeflater::{CompressionLvl, Compressor, crc32};

use crate::turns::{Turns, caught};

/// Uncompressed bytes of each member except the last.
pub const BLOCK: usize = 1 << 20;
/// The level that HotSpot's documentation recommends for heap dumps.
pub const DEFAULT_LEVEL: u8 = 1;

/// FCOMMENT of the first member, with its terminator (RFC 1952, 2.3).
const COMMENT: &[u8] = b"HPROF BLOCKSIZE=1048576\0";
/// FLG bit of a comment.
const FCOMMENT: u8 = 1 << 4;
/// OS byte: Unix.
const UNIX: u8 = 3;

/// A block on its way: filled by the writer, packed by a worker, then used again.
#[derive(Debug, Default)]
struct Block {
    data: Vec<u8>,
    packed: Vec<u8>,
    /// How much of `packed` is the member; the vector keeps its length to spare clearing it.
    packed_len: usize,
}

type Pack = fn(&mut Packer, u64, &mut Block) -> io::Result<()>;

/// A block's sample: so many pieces of so many bytes. To search random bytes for repeats takes
/// 8 ns each and gains nothing.
const SAMPLES: usize = 4;
const SAMPLE: usize = 4 << 10;

/// What one worker compresses with.
struct Packer {
    level: u8,
    packs: Compressor,
    /// At level 0, which copies.
    stores: Compressor,
}

impl Packer {
    fn new(level: u8) -> io::Result<Packer> {
        let at = |level: u8| {
            let level = CompressionLvl::new(level.into());
            level.map(Compressor::new).map_err(|_| io::Error::other("bad gzip level"))
        };
        Ok(Packer { level, packs: at(level)?, stores: at(0)? })
    }

    /// Whether a sample of `data` shrinks by less than 3 %: images, ciphers, compressed bytes.
    fn is_dense(&mut self, data: &[u8], room: &mut [u8]) -> bool {
        if data.len() < BLOCK / 2 {
            return false;
        }
        let mut sample = [0; SAMPLES * SAMPLE];
        for (i, piece) in sample.chunks_mut(SAMPLE).enumerate() {
            let at = i * (data.len() / SAMPLES);
            piece.copy_from_slice(&data[at..at + SAMPLE]);
        }
        let len = self.packs.deflate_compress(&sample, room);
        len.is_ok_and(|len| len > sample.len() / 100 * 97)
    }
}

/// Compresses what is written, in order, on worker threads; the bytes do not depend on how many.
///
/// Holds at most `2 * threads + 1` blocks. Without [`GzWriter::finish`] the output is incomplete. Dropped, it leaves no
/// thread.
#[derive(Debug)]
pub struct GzWriter<W: Write + Send + 'static> {
    shared: Arc<Shared<W>>,
    workers: Vec<JoinHandle<()>>,
    /// The block being filled.
    current: Block,
    given: u64,
    failed: bool,
}

/// What the workers share: whichever packed the block whose turn it is writes it.
#[derive(Debug)]
struct Shared<W> {
    turns: Turns<io::Result<()>, io::Error>,
    /// Those under way, by number modulo the window.
    blocks: Vec<Mutex<Block>>,
    inner: Mutex<W>,
}

impl<W: Write> Shared<W> {
    fn block(&self, number: usize) -> MutexGuard<'_, Block> {
        let block = &self.blocks[number % self.blocks.len()];
        block.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> MutexGuard<'_, W> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one worker does.
    fn work(&self, level: u8, pack: Pack) {
        let mut packer = None;
        let work = |number: usize| {
            caught(|| {
                let packer = match &mut packer {
                    Some(packer) => packer,
                    None => packer.insert(Packer::new(level)?),
                };
                pack(packer, number as u64, &mut self.block(number))
            })
        };
        let pass = |number: usize, packed: io::Result<()>| {
            packed?;
            let mut block = self.block(number);
            self.inner().write_all(&block.packed[..block.packed_len])?;
            block.data.clear();
            Ok(())
        };
        self.turns.take_part(work, pass);
    }
}

impl<W: Write + Send + 'static> GzWriter<W> {
    /// A writer of `level` 1 to 9 on `threads` workers (at least one).
    ///
    /// Errors: another level, or a thread that the system refuses.
    pub fn new(inner: W, level: u8, threads: usize) -> io::Result<GzWriter<W>> {
        Self::with_pack(inner, level, threads, pack)
    }

    fn with_pack(inner: W, level: u8, threads: usize, pack: Pack) -> io::Result<GzWriter<W>> {
        if !(1..=9).contains(&level) {
            let what = format!("gzip level {level} is not within 1 to 9");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let threads = threads.max(1);
        let window = 2 * threads;
        let shared = Arc::new(Shared {
            turns: Turns::open(window),
            blocks: (0..window).map(|_| Mutex::default()).collect(),
            inner: Mutex::new(inner),
        });
        let current = Block::default();
        let mut out = GzWriter { shared, workers: Vec::new(), current, given: 0, failed: false };
        for i in 0..threads {
            let shared = out.shared.clone();
            let worker = Builder::new().name(format!("gzip-{i}"));
            out.workers.push(worker.spawn(move || shared.work(level, pack))?);
        }
        Ok(out)
    }

    /// Compress and write what is left; answers the inner writer, not flushed.
    ///
    /// An empty stream becomes one empty member, so that it is valid gzip.
    pub fn finish(mut self) -> io::Result<W> {
        self.refuse_after_failure()?;
        if !self.current.data.is_empty() || self.given == 0 {
            self.submit()?;
        }
        self.shared.turns.close();
        let panicked = || io::Error::other("a compression thread panicked");
        let left = self.workers.drain(..).map(JoinHandle::join).all(|left| left.is_ok());
        let (shared, whole) = (self.shared.clone(), left.then_some(()).ok_or_else(panicked));
        drop(self);
        let Shared { turns, inner, .. } = Arc::into_inner(shared).ok_or_else(gone)?;
        turns.finish().and(whole)?;
        inner.into_inner().map_err(|_| panicked())
    }

    /// Hand the current block to the workers, as soon as there is room.
    fn submit(&mut self) -> io::Result<()> {
        let (shared, current) = (&self.shared, &mut self.current);
        if !shared.turns.give(|number| std::mem::swap(current, &mut *shared.block(number))) {
            return Err(shared.turns.take_error().unwrap_or_else(gone));
        }
        self.given += 1;
        Ok(())
    }

    fn refuse_after_failure(&self) -> io::Result<()> {
        match self.failed {
            true => Err(io::Error::other("an earlier write failed; the gzip stream is incomplete")),
            false => Ok(()),
        }
    }

    fn take(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let data = &mut self.current.data;
            data.reserve_exact(BLOCK - data.len());
            let (now, later) = buf.split_at(buf.len().min(BLOCK - data.len()));
            data.extend_from_slice(now);
            buf = later;
            if data.len() == BLOCK {
                self.submit()?;
            }
        }
        Ok(())
    }
}

impl<W: Write + Send + 'static> Drop for GzWriter<W> {
    fn drop(&mut self) {
        self.shared.turns.stop();
        for worker in self.workers.drain(..) {
            // What it panicked of is no matter of who gives up.
            let _ = worker.join();
        }
    }
}

impl<W: Write + Send + 'static> Write for GzWriter<W> {
    /// Takes all of `buf` or fails; after a failure every later call fails too.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.refuse_after_failure()?;
        self.failed = true;
        self.take(buf)?;
        self.failed = false;
        Ok(buf.len())
    }

    /// Flushes the inner writer only: blocks keep their exact size.
    fn flush(&mut self) -> io::Result<()> {
        self.shared.inner().flush()
    }
}

fn gone() -> io::Error {
    io::Error::other("the compression threads ended early")
}

/// Turn `data` into one gzip member in `packed` (RFC 1952).
fn pack(packer: &mut Packer, number: u64, block: &mut Block) -> io::Result<()> {
    let comment = if number == 0 { COMMENT } else { &[] };
    let flags = if comment.is_empty() { 0 } else { FCOMMENT };
    // XFL: 2 for the slowest level, 4 for the fastest. No time, so equal input is equal output.
    let xfl = match packer.level {
        1 => 4,
        9 => 2,
        _ => 0,
    };
    let header = [0x1f, 0x8b, 8, flags, 0, 0, 0, 0, xfl, UNIX];
    let start = header.len() + comment.len();
    let most = start + packer.packs.deflate_compress_bound(block.data.len()) + 8;
    if block.packed.len() < most {
        block.packed.resize(most, 0);
    }
    block.packed[..header.len()].copy_from_slice(&header);
    block.packed[header.len()..start].copy_from_slice(comment);
    let body = &mut block.packed[start..];
    let dense = packer.is_dense(&block.data, body);
    let packs = if dense { &mut packer.stores } else { &mut packer.packs };
    let len = packs.deflate_compress(&block.data, body).map_err(io::Error::other)?;
    body[len..len + 4].copy_from_slice(&crc32(&block.data).to_le_bytes());
    body[len + 4..len + 8].copy_from_slice(&(block.data.len() as u32).to_le_bytes());
    block.packed_len = start + len + 8;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panics_at_three(packer: &mut Packer, number: u64, block: &mut Block) -> io::Result<()> {
        assert!(number != 3, "made to fail");
        pack(packer, number, block)
    }

    #[test]
    fn a_panicking_worker_is_an_error_and_not_a_hang() {
        let mut gz = GzWriter::with_pack(Vec::new(), 1, 2, panics_at_three).unwrap();
        let e = gz.write_all(&vec![7; 40 * BLOCK]).unwrap_err();
        assert!(e.to_string().contains("made to fail"), "{e}");
        assert!(gz.write_all(b"more").is_err());
        assert!(gz.finish().is_err());
    }

    #[test]
    fn only_a_block_that_nowhere_shrinks_is_dense() {
        let mut x = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 56) as u8
        })
        .take(BLOCK)
        .collect();
        let mut room = vec![0; BLOCK];
        for level in [1, 6, 9] {
            let mut packer = Packer::new(level).unwrap();
            assert!(packer.is_dense(&noise, &mut room), "noise at level {level}");
            for quarter in 0..4 {
                let mut mixed = noise.clone();
                mixed[quarter * BLOCK / 4..][..BLOCK / 4].fill(7);
                assert!(!packer.is_dense(&mixed, &mut room), "{quarter} at level {level}");
            }
            // Too short to take a sample of.
            assert!(!packer.is_dense(&noise[..BLOCK / 2 - 1], &mut room));
        }
    }

    #[test]
    fn a_panic_in_the_last_blocks_is_an_error_of_finish() {
        let mut gz = GzWriter::with_pack(Vec::new(), 1, 2, panics_at_three).unwrap();
        gz.write_all(&vec![7; 3 * BLOCK + 1]).unwrap();
        let e = gz.finish().unwrap_err();
        assert!(e.to_string().contains("made to fail"), "{e}");
    }

    /// An inner writer whose thread can be counted.
    struct Counted(Arc<()>);

    impl Write for Counted {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            assert!(Arc::strong_count(&self.0) > 1, "nobody counts");
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_writer_that_is_given_up_leaves_no_thread() {
        let alive = Arc::new(());
        let mut gz = GzWriter::new(Counted(alive.clone()), 1, 5).unwrap();
        gz.write_all(&vec![7; 20 * BLOCK]).unwrap();
        drop(gz);
        // The workers share what writes.
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn levels_outside_one_to_nine_are_refused() {
        for level in [0, 10] {
            assert!(GzWriter::new(io::sink(), level, 1).is_err());
        }
    }
}

//! Parallel gzip in blocks, as HotSpot's `GC.heap_dump -gz` lays them out.
//!
//! Knows nothing of what it compresses. Every block of 1 MiB is a gzip member of its own, and the
//! first one's comment is `HPROF BLOCKSIZE=1048576` (jdk heapDumperCompression.cpp,
//! `GZipCompressor::compress`): readers such as Eclipse MAT and VisualVM take it as leave to seek.
//! HotSpot's members may be shorter than the block size; ours are exact except for the last.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use libdeflater::{CompressionLvl, Compressor, crc32};

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
#[derive(Default)]
struct Block {
    index: u64,
    data: Vec<u8>,
    packed: Vec<u8>,
    /// How much of `packed` is the member; the vector keeps its length to spare clearing it.
    packed_len: usize,
}

type Answer = io::Result<Block>;
type Pack = fn(&mut Packer, &mut Block) -> io::Result<()>;

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
/// Holds at most `2 * threads + 2` blocks. Without [`GzWriter::finish`] the output is incomplete.
pub struct GzWriter<W: Write> {
    inner: W,
    jobs: Option<Sender<Block>>,
    answers: Receiver<Answer>,
    workers: Vec<JoinHandle<()>>,
    /// The block being filled.
    current: Block,
    /// Packed blocks that wait for an earlier one.
    ready: BTreeMap<u64, Block>,
    /// Blocks to use again.
    spare: Vec<Block>,
    submitted: u64,
    written: u64,
    window: u64,
    failed: bool,
}

impl<W: Write> GzWriter<W> {
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
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let (done, answers) = channel();
        let workers = (0..threads)
            .map(|i| {
                let (queue, done) = (queue.clone(), done.clone());
                let name = Builder::new().name(format!("gzip-{i}"));
                name.spawn(move || work(level, pack, &queue, &done))
            })
            .collect::<io::Result<_>>()?;
        Ok(GzWriter {
            inner,
            jobs: Some(jobs),
            answers,
            workers,
            current: Block::default(),
            ready: BTreeMap::new(),
            spare: Vec::new(),
            submitted: 0,
            written: 0,
            window: 2 * threads as u64 + 2,
            failed: false,
        })
    }

    /// Compress and write what is left; answers the inner writer, not flushed.
    ///
    /// An empty stream becomes one empty member, so that it is valid gzip.
    pub fn finish(mut self) -> io::Result<W> {
        self.refuse_after_failure()?;
        if !self.current.data.is_empty() || self.submitted == 0 {
            self.submit()?;
        }
        while self.written < self.submitted {
            self.receive()?;
        }
        self.jobs = None;
        for worker in self.workers {
            worker.join().map_err(|_| io::Error::other("a compression thread panicked"))?;
        }
        Ok(self.inner)
    }

    /// Send the current block to the workers, after making room in the window.
    fn submit(&mut self) -> io::Result<()> {
        while self.submitted + 1 - self.written >= self.window {
            self.receive()?;
        }
        let mut block = std::mem::replace(&mut self.current, self.spare.pop().unwrap_or_default());
        block.index = self.submitted;
        self.submitted += 1;
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(block).is_ok());
        if sent { Ok(()) } else { Err(gone()) }
    }

    /// Wait for one packed block and write every block whose turn it is.
    fn receive(&mut self) -> io::Result<()> {
        let block = self.answers.recv().map_err(|_| gone())??;
        self.ready.insert(block.index, block);
        while let Some(mut block) = self.ready.remove(&self.written) {
            self.inner.write_all(&block.packed[..block.packed_len])?;
            self.written += 1;
            block.data.clear();
            self.spare.push(block);
        }
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

impl<W: Write> Write for GzWriter<W> {
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
        self.inner.flush()
    }
}

fn gone() -> io::Error {
    io::Error::other("the compression threads ended early")
}

fn work(level: u8, pack: Pack, queue: &Mutex<Receiver<Block>>, done: &Sender<Answer>) {
    let mut packer = None;
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut block) = job else { return };
        // A panic must become an answer: the writer waits for one per block.
        let packed = catch_unwind(AssertUnwindSafe(|| {
            let packer = match &mut packer {
                Some(packer) => packer,
                None => packer.insert(Packer::new(level)?),
            };
            pack(packer, &mut block)
        }));
        let packed = packed.unwrap_or_else(|_| {
            Err(io::Error::other("a compression thread panicked; the output is incomplete"))
        });
        if done.send(packed.map(|()| block)).is_err() {
            return;
        }
    }
}

/// Turn `data` into one gzip member in `packed` (RFC 1952).
fn pack(packer: &mut Packer, block: &mut Block) -> io::Result<()> {
    let comment = if block.index == 0 { COMMENT } else { &[] };
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

    fn panics_at_three(packer: &mut Packer, block: &mut Block) -> io::Result<()> {
        assert!(block.index != 3, "made to fail");
        pack(packer, block)
    }

    #[test]
    fn a_panicking_worker_is_an_error_and_not_a_hang() {
        let mut gz = GzWriter::with_pack(Vec::new(), 1, 2, panics_at_three).unwrap();
        let e = gz.write_all(&vec![7; 40 * BLOCK]).unwrap_err();
        assert!(e.to_string().contains("panicked"), "{e}");
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
        assert!(gz.finish().unwrap_err().to_string().contains("panicked"));
    }

    #[test]
    fn the_window_bounds_the_blocks_that_exist() {
        let mut gz = GzWriter::new(io::sink(), 1, 2).unwrap();
        for _ in 0..50 {
            gz.write_all(&vec![1; BLOCK]).unwrap();
            let out = gz.submitted - gz.written;
            assert!(out < 6, "{out} blocks under way");
            // The one being filled is the sixth.
            assert!(gz.spare.len() + out as usize <= 5);
        }
        gz.finish().unwrap();
    }

    #[test]
    fn levels_outside_one_to_nine_are_refused() {
        for level in [0, 10] {
            assert!(GzWriter::new(io::sink(), level, 1).is_err());
        }
    }
}

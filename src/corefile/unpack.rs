//! What cannot be mapped where it lies becomes a sparse temporary file: what is compressed, what
//! comes through a pipe, a sparse member of a tar.
//!
//! Knows nothing of ELF: what a cut-off archive lacks is found by the headers in it.

use std::env;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::OpenOptions;
use crate::error::{Advice, Error, Result, is_no_room};

const BLOCK: usize = 64 << 10;
/// Bytes that tell how a file is compressed.
pub(super) const MAGIC: usize = 6;
/// A decompressor's own memory: what zstd's largest windows take. `xz -9` makes do with 65 MB.
const MAX_WINDOW: u64 = 2 << 30;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Zstd,
    Gzip,
    Xz,
    Lz4,
    Bzip2,
}

impl Packing {
    /// By the file's first bytes.
    pub(super) fn of(magic: &[u8]) -> Option<Packing> {
        match magic {
            // pzstd starts with a skippable frame, which lz4 has as well: 50..5F 2A 4D 18.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Some(Packing::Zstd)
            }
            [0x1f, 0x8b, ..] => Some(Packing::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Packing::Xz),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Packing::Lz4),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Packing::Bzip2),
            _ => None,
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Packing::Zstd => "zstd",
            Packing::Gzip => "gzip",
            Packing::Xz => "xz",
            Packing::Lz4 => "lz4",
            Packing::Bzip2 => "bzip2",
        }
    }

    /// The plain bytes of `from`. Several archives one behind the other are one.
    pub(super) fn decoder<'r>(self, from: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Packing::Zstd => {
                let mut from = zstd::Decoder::with_buffer(from)?;
                // Archives made with --long are read too, up to the format's 2 GiB window.
                from.window_log_max(MAX_WINDOW.ilog2())?;
                Box::new(from)
            }
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
            Packing::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    MAX_WINDOW,
                    liblzma::stream::CONCATENATED,
                )?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(from, stream))
            }
            Packing::Lz4 => Box::new(Lz4Frames::new(from)),
            Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(from)),
        })
    }
}

/// The crate's decoder ends with the first frame; and where a frame is cut off, it ends as well.
struct Lz4Frames<R: BufRead>(lz4_flex::frame::FrameDecoder<R>);

impl<R: BufRead> Lz4Frames<R> {
    fn new(from: R) -> Self {
        Lz4Frames(lz4_flex::frame::FrameDecoder::new(from))
    }
}

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buf)? {
                // The next call begins the next frame.
                0 if !self.0.get_mut().fill_buf()?.is_empty() => {}
                n => return Ok(n),
            }
        }
    }
}

struct Counted<'a, R> {
    from: R,
    done: u64,
    total: u64,
    progress: Option<&'a dyn Fn(u64, u64)>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.done += n as u64;
        if let Some(progress) = self.progress {
            progress(self.done, self.total);
        }
        Ok(n)
    }
}

/// Unpacks what `from` has, if it is compressed, to an unlinked file in the temporary directory;
/// `label` names it, `total` are its bytes, 0 where they are not known.
///
/// Of a cut-off archive all is kept that could be unpacked; damage elsewhere is an error.
pub(super) fn unpack(
    label: &Path,
    from: impl Read,
    total: u64,
    opts: &OpenOptions<'_>,
) -> Result<File> {
    let counted = Counted { from, done: 0, total, progress: opts.progress };
    let mut from = BufReader::with_capacity(1 << 20, counted);
    let mut magic = [0; MAGIC];
    let (got, end) = fill(&mut from, &mut magic);
    end.map_err(Error::io(label))?;
    let from = (&magic[..got]).chain(from);
    let Some(packing) = Packing::of(&magic[..got]) else {
        let (out, _, end) = spool(label, &mut { from })?;
        return end.map(|()| out).map_err(Error::io(label));
    };
    let mut from = packing.decoder(from).map_err(Error::io(label))?;
    let (out, size, end) = spool(label, &mut from)?;
    match end {
        Err(e) if e.kind() != ErrorKind::UnexpectedEof || size == 0 => {
            let name = packing.name();
            let what = format!("damaged {name} archive: {e} (after {size} unpacked bytes)");
            Err(Error::NotACore { path: label.into(), what })
        }
        _ => Ok(out),
    }
}

/// The first bytes of what is compressed in `packed`; fewer where there are no more.
pub(super) fn peek(packed: &[u8], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let decoder = Packing::of(packed).and_then(|p| p.decoder(packed).ok());
    let n = decoder.map_or(0, |mut d| fill(&mut d, &mut out).0);
    out.truncate(n);
    out
}

/// Copies `from` to an unlinked file in the temporary directory, blocks of zeros as holes.
/// Returns the file, its size, and how the reading ended: the file holds what came before.
pub(super) fn spool(label: &Path, from: &mut impl Read) -> Result<(File, u64, io::Result<()>)> {
    let dir = env::temp_dir();
    let full = |e: io::Error| match is_no_room(&e) {
        true => Error::NoRoom {
            what: format!(
                "no room in {} to unpack {}; unpack it yourself (zstd -d, gunzip, tar -x)",
                dir.display(),
                label.display()
            ),
            advice: Advice::MoveTemporary,
        },
        false => Error::Io { path: dir.clone(), source: e },
    };
    let mut out = tempfile::tempfile_in(&dir).map_err(full)?;
    let mut block = vec![0; BLOCK];
    let mut size = 0u64;
    let end = loop {
        let (n, end) = fill(from, &mut block);
        if block[..n].iter().all(|&b| b == 0) {
            out.seek(SeekFrom::Current(n as i64)).map_err(full)?;
        } else {
            out.write_all(&block[..n]).map_err(full)?;
        }
        size += n as u64;
        if end.is_err() || n < BLOCK {
            break end;
        }
    };
    out.set_len(size).map_err(full)?;
    Ok((out, size, end))
}

/// Reads until `buf` is full; also says how many bytes came before an error.
fn fill(from: &mut impl Read, buf: &mut [u8]) -> (usize, io::Result<()>) {
    let mut n = 0;
    while n < buf.len() {
        match from.read(&mut buf[n..]) {
            Ok(0) => break,
            Ok(got) => n += got,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return (n, Err(e)),
        }
    }
    (n, Ok(()))
}

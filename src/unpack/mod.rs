//! What cannot be mapped where it lies becomes a sparse temporary file: what is compressed, what
//! comes through a pipe, a sparse member of a tar.
//!
//! Knows nothing of ELF and HPROF: what a cut-off archive lacks is found by what is in it.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

mod members;

use std::env;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;

use crate::error::{Advice, Error, Result, is_no_room};

const BLOCK: usize = 64 << 10;
/// Bytes that tell how a file is compressed.
pub(crate) const MAGIC: usize = 6;
/// A decompressor's own memory: what zstd's largest windows take. `xz -9` makes do with 65 MB.
const MAX_WINDOW: u64 = 2 << 30;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Zstd,
    Gzip,
    Xz,
    /// The format before xz.
    Lzma,
    Lz4,
    Bzip2,
}

impl Packing {
    /// By the file's first bytes.
    pub(crate) fn of(magic: &[u8]) -> Option<Packing> {
        match magic {
            // pzstd starts with a skippable frame, which lz4 has as well: 50..5F 2A 4D 18.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Some(Packing::Zstd)
            }
            [0x1f, 0x8b, ..] => Some(Packing::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Packing::Xz),
            // Its parameters and the low bits of the dictionary's size: by all tools a power of two.
            [0x5d, 0, 0, _, 0 | 1 | 2 | 4 | 8, ..] => Some(Packing::Lzma),
            // And `lz4 -l`'s.
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Some(Packing::Lz4),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Packing::Bzip2),
            _ => None,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Packing::Zstd => "zstd",
            Packing::Gzip => "gzip",
            Packing::Xz => "xz",
            Packing::Lzma => "lzma",
            Packing::Lz4 => "lz4",
            Packing::Bzip2 => "bzip2",
        }
    }

    /// The plain bytes of `from`. Several archives one behind the other are one.
    pub(crate) fn decoder<'r>(self, from: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Packing::Zstd => {
                let mut from = zstd::Decoder::with_buffer(from)?;
                // Archives made with --long are read too, up to the format's 2 GiB window.
                from.window_log_max(MAX_WINDOW.ilog2())?;
                Box::new(from)
            }
            Packing::Gzip => Box::new(Members::<_, GzDecoder<_>>::new(from)),
            Packing::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    MAX_WINDOW,
                    liblzma::stream::CONCATENATED,
                )?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(from, stream))
            }
            Packing::Lzma => {
                let stream = liblzma::stream::Stream::new_lzma_decoder(MAX_WINDOW)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(from, stream))
            }
            Packing::Lz4 => Box::new(Lz4Frames::new(from)),
            Packing::Bzip2 => Box::new(Members::<_, BzDecoder<_>>::new(from)),
        })
    }

    /// The name of an archive's kind that is not read, by the file's first bytes.
    pub(crate) fn unread(magic: &[u8]) -> Option<&'static str> {
        match magic {
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Some("7z"),
            [b'R', b'a', b'r', b'!', 0x1a, 0x07, ..] => Some("rar"),
            [0x1f, 0x9d, ..] => Some("compress (.Z)"),
            [b'L', b'Z', b'I', b'P', ..] => Some("lzip"),
            [0x89, b'L', b'Z', b'O', ..] => Some("lzop"),
            [0xff, 6, 0, 0, b's', b'N', ..] => Some("snappy"),
            _ => None,
        }
    }
}

/// A decoder of one member of an archive.
trait OneMember<R>: Read {
    /// A member's first byte.
    const FIRST: u8;

    fn begin(from: R) -> Self;

    /// What it reads from, behind the member.
    fn end(self) -> R;
}

impl<R: BufRead> OneMember<R> for GzDecoder<R> {
    const FIRST: u8 = 0x1f;

    fn begin(from: R) -> Self {
        GzDecoder::new(from)
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

impl<R: BufRead> OneMember<R> for BzDecoder<R> {
    const FIRST: u8 = b'B';

    fn begin(from: R) -> Self {
        BzDecoder::new(from)
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

/// One member behind the other. Behind the last one there may be zeros (tapes and block devices pad with them), as
/// gzip and bzip2 have it; something else is told as a cut: what it was is not known.
struct Members<R, D> {
    now: Option<D>,
    from: std::marker::PhantomData<R>,
}

impl<R: BufRead, D: OneMember<R>> Members<R, D> {
    fn new(from: R) -> Self {
        Members { now: Some(D::begin(from)), from: std::marker::PhantomData }
    }
}

impl<R: BufRead, D: OneMember<R>> Read for Members<R, D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Some(now) = &mut self.now {
            let n = now.read(buf)?;
            if n > 0 || buf.is_empty() {
                return Ok(n);
            }
            let Some(mut from) = self.now.take().map(D::end) else { break };
            if from.fill_buf()?.first() == Some(&D::FIRST) {
                self.now = Some(D::begin(from));
            } else if !is_zeros(&mut from)? {
                let what = "what follows its end is no part of it";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, what));
            }
        }
        Ok(0)
    }
}

/// Whether there is nothing but zeros from here on.
fn is_zeros(from: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let rest = from.fill_buf()?;
        if rest.is_empty() {
            return Ok(true);
        }
        if rest.iter().any(|&b| b != 0) {
            return Ok(false);
        }
        let n = rest.len();
        from.consume(n);
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

/// Told (done, total) bytes of what is unpacked; of a pipe the total is 0.
pub(crate) type Progress<'a> = Option<&'a dyn Fn(u64, u64)>;

/// A plain file, and how the archive that it was in ended.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// It holds what came before the end.
    pub file: File,
    pub damage: Option<Damage>,
}

/// How an archive ends that is not whole.
#[derive(Debug)]
pub(crate) struct Damage {
    /// It is cut off; else something in it is wrong.
    pub is_cut: bool,
    /// In words.
    pub text: String,
}

impl Unpacked {
    fn new(file: File, size: u64, packing: Packing, end: io::Result<()>) -> Unpacked {
        let damage = end.err().map(|e| {
            let is_cut = e.kind() == ErrorKind::UnexpectedEof && size > 0;
            let how = if is_cut { "cut-off" } else { "damaged" };
            let name = packing.name();
            Damage {
                is_cut,
                text: format!("{how} {name} archive: {e} (after {size} unpacked bytes)"),
            }
        });
        Unpacked { file, damage }
    }

    /// The file, if the archive is whole or cut off: then what it lacks is found by the headers in it. Damage elsewhere
    /// is an error.
    pub(crate) fn of_core(self, label: &Path) -> Result<File> {
        match self.damage {
            Some(Damage { is_cut: false, text: what }) => {
                Err(Error::NotACore { path: label.into(), what })
            }
            _ => Ok(self.file),
        }
    }
}

/// Opens the file at a path, and says what to call it; `-` is standard input.
pub(crate) fn open(path: &Path) -> Result<(&Path, File)> {
    if path != Path::new("-") {
        return Ok((path, File::open(path).map_err(Error::io(path))?));
    }
    let label = Path::new("standard input");
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(Error::io(label))?;
    Ok((label, input.into()))
}

/// The plain file of one that is open for reading, wherever it was read to before: itself, or what it has, to an
/// unlinked file in the temporary directory. Members of a gzip archive are unpacked by all cores.
pub(crate) fn plain(label: &Path, mut file: File, progress: Progress) -> Result<Unpacked> {
    let meta = file.metadata().map_err(Error::io(label))?;
    let kind = meta.file_type();
    if kind.is_fifo() || kind.is_socket() {
        return unpack(label, file, 0, progress);
    }
    if !kind.is_file() {
        let what = "not a regular file, nor a pipe; give the file itself".into();
        return Err(Error::NotACore { path: label.into(), what });
    }
    let mut head = [0; MAGIC];
    match Packing::of(start(&file, &mut head).map_err(Error::io(label))?) {
        None => return Ok(Unpacked { file, damage: None }),
        Some(Packing::Gzip) => {
            if let Some(unpacked) = members::unpack(label, &file, progress)? {
                return Ok(unpacked);
            }
        }
        Some(_) => {}
    }
    file.rewind().map_err(Error::io(label))?;
    unpack(label, file, meta.len(), progress)
}

/// A file's first bytes, as many as there are.
pub(crate) fn start<'b>(file: &File, buf: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let mut n = 0;
    while let Some(rest @ [_, ..]) = buf.get_mut(n..) {
        match file.read_at(rest, n as u64) {
            Ok(0) => break,
            Ok(got) => n += got,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(buf.get(..n).unwrap_or_default())
}

/// Unpacks what `from` has, if it is compressed, to an unlinked file in the temporary directory;
/// `label` names it, `total` are its bytes, 0 where they are not known.
pub(crate) fn unpack(
    label: &Path,
    from: impl Read,
    total: u64,
    progress: Progress,
) -> Result<Unpacked> {
    let counted = Counted { from, done: 0, total, progress };
    let mut from = BufReader::with_capacity(1 << 20, counted);
    let mut magic = [0; MAGIC];
    let (got, end) = fill(&mut from, &mut magic);
    end.map_err(Error::io(label))?;
    let magic = magic.get(..got).unwrap_or_default();
    let from = magic.chain(from);
    let Some(packing) = Packing::of(magic) else {
        let (file, _, end) = spool(label, &mut { from })?;
        return end.map(|()| Unpacked { file, damage: None }).map_err(Error::io(label));
    };
    let mut from = packing.decoder(from).map_err(Error::io(label))?;
    let (file, size, end) = spool(label, &mut from)?;
    Ok(Unpacked::new(file, size, packing, end))
}

/// The first bytes of what is compressed in `packed`; fewer where there are no more.
pub(crate) fn peek(packed: &[u8], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let decoder = Packing::of(packed).and_then(|p| p.decoder(packed).ok());
    let n = decoder.map_or(0, |mut d| fill(&mut d, &mut out).0);
    out.truncate(n);
    out
}

/// Copies `from` to an unlinked file in the temporary directory, blocks of zeros as holes.
/// Answers the file, its size, and how the reading ended: the file holds what came before.
pub(crate) fn spool(label: &Path, from: &mut impl Read) -> Result<(File, u64, io::Result<()>)> {
    let mut out = Temporary::new(label)?;
    let end = out.append(from)?;
    Ok((out.file, out.size, end))
}

/// An unlinked file in the temporary directory that grows.
struct Temporary<'l> {
    file: File,
    size: u64,
    label: &'l Path,
}

impl<'l> Temporary<'l> {
    fn new(label: &'l Path) -> Result<Temporary<'l>> {
        let file = tempfile::tempfile_in(env::temp_dir()).map_err(|e| full(label, e))?;
        Ok(Temporary { file, size: 0, label })
    }

    /// Adds all that `from` has, blocks of zeros as holes; answers how the reading ended.
    fn append(&mut self, from: &mut impl Read) -> Result<io::Result<()>> {
        let full = |e| full(self.label, e);
        let mut block = vec![0; BLOCK];
        let end = loop {
            let (n, end) = fill(from, &mut block);
            let bytes = block.get(..n).unwrap_or_default();
            if bytes.iter().any(|&b| b != 0) {
                self.file.write_all_at(bytes, self.size).map_err(full)?;
            }
            self.size += n as u64;
            if end.is_err() || n < BLOCK {
                break end;
            }
        };
        self.file.set_len(self.size).map_err(full)?;
        Ok(end)
    }
}

/// The error of a temporary file that could not be written.
fn full(label: &Path, e: io::Error) -> Error {
    let dir = env::temp_dir();
    match is_no_room(&e) {
        true => Error::NoRoom {
            what: format!(
                "no room in {} to unpack {}; unpack it yourself (zstd -d, gunzip, tar -x)",
                dir.display(),
                label.display()
            ),
            advice: Advice::MoveTemporary,
        },
        false => Error::Io { path: dir, source: e },
    }
}

/// Reads until `buf` is full; also says how many bytes came before an error.
fn fill(from: &mut impl Read, buf: &mut [u8]) -> (usize, io::Result<()>) {
    let mut n = 0;
    while let Some(rest @ [_, ..]) = buf.get_mut(n..) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(got) => n += got,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return (n, Err(e)),
        }
    }
    (n, Ok(()))
}

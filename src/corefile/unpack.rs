//! What cannot be mapped where it lies becomes a sparse temporary file: a zstd archive, or a
//! sparse member of a tar.
//!
//! Knows nothing of ELF: what a cut-off archive lacks is found by the headers in it.

use std::env;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::OpenOptions;
use crate::error::{Error, Result};

const BLOCK: usize = 64 << 10;

pub(super) fn is_zstd(magic: &[u8]) -> bool {
    // pzstd starts with a skippable frame, 50..5F 2A 4D 18.
    let skippable = matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
    magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || skippable
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

/// Unpacks a zstd archive to an unlinked file in the temporary directory; `label` names it.
///
/// Of a cut-off archive all is kept that could be unpacked; damage elsewhere is an error.
pub(super) fn unpack(label: &Path, packed: File, opts: &OpenOptions<'_>) -> Result<File> {
    let total = packed.metadata().map_err(Error::io(label))?.len();
    let counted = Counted { from: packed, done: 0, total, progress: opts.progress };
    let from = BufReader::with_capacity(1 << 20, counted);
    let mut from = zstd::Decoder::with_buffer(from).map_err(Error::io(label))?;
    // Archives made with --long are read too, up to the format's 2 GiB window.
    from.window_log_max(31).map_err(Error::io(label))?;
    let (out, size, end) = spool(label, &mut from)?;
    match end {
        Err(e) if e.kind() != ErrorKind::UnexpectedEof || size == 0 => {
            let what = format!("damaged zstd archive: {e} (after {size} unpacked bytes)");
            Err(Error::NotACore { path: label.into(), what })
        }
        _ => Ok(out),
    }
}

/// Copies `from` to an unlinked file in the temporary directory, blocks of zeros as holes.
/// Returns the file, its size, and how the reading ended: the file holds what came before.
pub(super) fn spool(label: &Path, from: &mut impl Read) -> Result<(File, u64, io::Result<()>)> {
    let dir = env::temp_dir();
    let full = |e: io::Error| match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::Usage(format!(
            "no room in {} to unpack {}; set TMPDIR to a directory with more, or unpack it \
             yourself (zstd -d, tar -x)",
            dir.display(),
            label.display()
        )),
        _ => Error::Io { path: dir.clone(), source: e },
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

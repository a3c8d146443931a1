//! A zstd-compressed core becomes a sparse temporary file.
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
    let skippable = matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18]);
    magic == [0x28, 0xb5, 0x2f, 0xfd] || skippable
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

/// Unpacks `path` to an unlinked file in the temporary directory.
///
/// Of a cut-off archive all is kept that could be unpacked; damage elsewhere is an error.
pub(super) fn unpack(path: &Path, opts: &OpenOptions<'_>) -> Result<File> {
    let packed = File::open(path).map_err(Error::io(path))?;
    let total = packed.metadata().map_err(Error::io(path))?.len();
    let dir = env::temp_dir();
    let full = |e: io::Error| match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::Usage(format!(
            "no room in {} to unpack {}; set TMPDIR to a directory with more, or unpack it \
             yourself (zstd -d)",
            dir.display(),
            path.display()
        )),
        _ => Error::Io { path: dir.clone(), source: e },
    };
    let mut out = tempfile::tempfile_in(&dir).map_err(full)?;
    let counted = Counted { from: packed, done: 0, total, progress: opts.progress };
    let from = BufReader::with_capacity(1 << 20, counted);
    let mut from = zstd::Decoder::with_buffer(from).map_err(Error::io(path))?;
    // Archives made with --long are read too, up to the format's 2 GiB window.
    from.window_log_max(31).map_err(Error::io(path))?;
    let mut block = vec![0; BLOCK];
    let mut size = 0u64;
    loop {
        let (n, end) = fill(&mut from, &mut block);
        if block[..n].iter().all(|&b| b == 0) {
            out.seek(SeekFrom::Current(n as i64)).map_err(full)?;
        } else {
            out.write_all(&block[..n]).map_err(full)?;
        }
        size += n as u64;
        match end {
            Ok(()) if n == BLOCK => {}
            Ok(()) => break,
            Err(e) if e.kind() == ErrorKind::UnexpectedEof && size > 0 => break,
            Err(e) => {
                let what = format!("damaged zstd archive: {e} (after {size} unpacked bytes)");
                return Err(Error::NotACore { path: path.into(), what });
            }
        }
    }
    out.set_len(size).map_err(full)?;
    Ok(out)
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

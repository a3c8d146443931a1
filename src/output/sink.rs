//! One place to write to: a file that appears whole or not at all, or a stream.
//!
//! Knows nothing of what the bytes mean. A regular file is written under a hidden name beside its
//! target and renamed at the end; its mode is 0600, since heaps hold secrets. Devices, fifos and
//! descriptors are written in place.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::interrupt;
use crate::error::{Advice, Error, Result, is_no_room};
use crate::format::out::CoreOut;
use crate::mapped;

/// Writes below this are gathered; larger ones go to the system as they are.
const BUFFER: usize = 256 << 10;
/// The most that one system call is given, so that an interruption is seen soon.
const CALL: usize = 8 << 20;
/// A temporary name must fit in NAME_MAX (255): at most this much of the target's own is in it.
const STEM: usize = 200;

/// What a `-o` argument names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A path.
    File {
        /// As the user gave it.
        path: PathBuf,
        /// Whether an existing file may be replaced.
        overwrite: bool,
    },
    /// `-`.
    Stdout,
}

impl Target {
    /// The target that the argument of `-o` names: `-` is standard output.
    pub fn new(arg: &OsStr, overwrite: bool) -> Target {
        if arg == "-" {
            return Target::Stdout;
        }
        Target::File { path: arg.into(), overwrite }
    }

    /// Its name, for people.
    pub fn name(&self) -> String {
        match self {
            Target::File { path, .. } => path.display().to_string(),
            Target::Stdout => "standard output".into(),
        }
    }
}

/// An open [`Target`]. Dropped without [`Sink::finish`], it leaves no file.
///
/// Its `io::Error`s carry the crate's own: take them out with [`Error::from_write`].
#[derive(Debug)]
pub struct Sink {
    out: Out,
    buffer: Vec<u8>,
    /// Bytes that the system took.
    sent: u64,
    /// A write failed: what follows would have a hole before it.
    failed: bool,
    /// Zeros were left out: the last ones must still count as the file's length.
    holes: bool,
}

#[derive(Debug)]
enum Out {
    Temporary(Temporary),
    Stream { file: File, name: String },
}

#[derive(Debug)]
struct Temporary {
    /// `None` only once `finish` took it.
    file: Option<NamedTempFile>,
    /// As the user named it, for messages.
    path: PathBuf,
    /// Where the rename goes: `path`, or what it links to.
    place: PathBuf,
    overwrite: bool,
}

impl Sink {
    /// Open `target`; `binary` output is refused on a terminal.
    ///
    /// Errors: [`Error::Usage`] for a target that cannot be meant, [`Error::NoRoom`] or [`Error::Io`]
    /// otherwise.
    pub fn open(target: &Target, binary: bool) -> Result<Sink> {
        let out = match target {
            Target::Stdout => {
                // A duplicate: std's own handle looks for line ends in all that it writes.
                let fd = io::stdout().as_fd().try_clone_to_owned();
                let fd = fd.map_err(Error::io(Path::new("standard output")))?;
                Out::Stream { file: File::from(fd), name: "standard output".into() }
            }
            Target::File { path, overwrite } => open_path(path, *overwrite)?,
        };
        if let Out::Stream { file, name } = &out
            && binary
            && file.is_terminal()
        {
            return Err(Error::Usage {
                what: format!("{name} is a terminal and the output is binary"),
                advice: Some(Advice::WriteToFile),
            });
        }
        Ok(Sink { out, buffer: Vec::with_capacity(BUFFER), sent: 0, failed: false, holes: false })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.sent + self.buffer.len() as u64
    }

    /// Write what is left and give the file its name; answers the bytes written.
    ///
    /// On an error nothing new is under that name. No fsync: a power cut may still lose the file.
    pub fn finish(mut self) -> Result<u64> {
        self.flush().map_err(Error::from_write)?;
        self.check().map_err(Error::from_write)?;
        self.set_len()?;
        if let Out::Temporary(t) = &mut self.out {
            t.persist()?;
        }
        Ok(self.sent)
    }

    /// The same for a file that is not to replace an older one: where there is one, the new file
    /// gets a free name beside it, which is answered too.
    pub fn finish_beside(mut self) -> Result<(u64, Option<PathBuf>)> {
        let mut beside = None;
        if let Out::Temporary(t) = &mut self.out
            && t.overwrite
        {
            t.overwrite = false;
            let free = |p: &PathBuf| fs::symlink_metadata(p).is_err();
            if !free(&t.place) {
                let name = |n: u32| {
                    let mut name = t.place.clone().into_os_string();
                    name.push(if n == 1 { ".gaps".into() } else { format!(".gaps-{n}") });
                    PathBuf::from(name)
                };
                t.place = (1..).map(name).find(free).unwrap_or_default();
                beside = Some(t.place.clone());
            }
        }
        self.finish().map(|bytes| (bytes, beside))
    }

    /// Gives the file the length that it has with zeros that were left out at its end.
    fn set_len(&self) -> Result<()> {
        match &self.out {
            Out::Temporary(t @ Temporary { file: Some(file), .. }) if self.holes => {
                file.as_file().set_len(self.sent).map_err(|e| t.unfinished(e))
            }
            _ => Ok(()),
        }
    }

    /// Bring what was written to the disk, before [`Sink::finish`] gives it its name: a power
    /// cut then leaves all of it or nothing, and who reads the hidden file meets all of it.
    /// Streams have nothing to bring.
    pub fn sync(&mut self) -> Result<()> {
        self.flush().map_err(Error::from_write)?;
        self.set_len()?;
        if let Out::Temporary(t) = &mut self.out
            && let Some(file) = &mut t.file
        {
            file.as_file().sync_all().map_err(|e| Error::from_write(self.failure(e)))?;
        }
        Ok(())
    }

    /// The bytes that the file takes on the disk so far; `None` for a stream.
    pub fn disk_bytes(&self) -> Option<u64> {
        match &self.out {
            Out::Temporary(t) => {
                let meta = t.file.as_ref()?.as_file().metadata().ok()?;
                Some(std::os::unix::fs::MetadataExt::blocks(&meta) * 512)
            }
            Out::Stream { .. } => None,
        }
    }

    /// The hidden file while it has no name yet; `None` for a stream.
    pub fn hidden(&self) -> Option<&Path> {
        match &self.out {
            Out::Temporary(t) => t.file.as_ref().map(NamedTempFile::path),
            Out::Stream { .. } => None,
        }
    }

    fn check(&self) -> io::Result<()> {
        match &self.out {
            Out::Temporary(t) => interrupt::check(&t.path).map_err(Error::into_io),
            Out::Stream { name, .. } if interrupt::requested() => {
                Err(Error::InterruptedStream { name: name.clone(), bytes: self.sent }.into_io())
            }
            Out::Stream { .. } => Ok(()),
        }
    }

    /// Hand `buf` to the system, all of it.
    fn send(&mut self, mut buf: &[u8]) -> io::Result<()> {
        if self.failed {
            return Err(self.failure(io::Error::other("an earlier write failed")));
        }
        self.failed = true;
        while !buf.is_empty() {
            self.check()?;
            let piece = &buf[..buf.len().min(CALL)];
            let answer = match &mut self.out {
                Out::Stream { file, .. } => file.write(piece),
                Out::Temporary(t) => match &mut t.file {
                    Some(file) => file.as_file_mut().write(piece),
                    None => Err(io::ErrorKind::NotFound.into()),
                },
            };
            match answer {
                Ok(0) => return Err(self.failure(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    self.sent += n as u64;
                    buf = &buf[n..];
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    if e.raw_os_error() == Some(libc::EFAULT) {
                        mapped::touch(piece);
                    }
                    return Err(self.failure(e));
                }
            }
        }
        self.failed = false;
        Ok(())
    }

    fn send_buffer(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let answer = self.send(&buffer);
        buffer.clear();
        self.buffer = buffer;
        answer
    }

    fn failure(&self, source: io::Error) -> io::Error {
        let e = match &self.out {
            Out::Temporary(t) => t.unfinished(source),
            Out::Stream { name, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
                Error::ClosedPipe { name: name.clone(), bytes: self.sent }
            }
            Out::Stream { name, .. } => Error::io(Path::new(name))(source),
        };
        e.into_io()
    }
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.check()?;
        if self.buffer.len() + buf.len() > BUFFER {
            self.send_buffer()?;
        }
        if buf.len() >= BUFFER {
            self.send(buf)?;
        } else {
            self.buffer.extend_from_slice(buf);
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_buffer()
    }
}

impl CoreOut for Sink {
    fn skip(&mut self, zeros: u64) -> io::Result<()> {
        self.send_buffer()?;
        match &mut self.out {
            Out::Temporary(t) => {
                if let Some(file) = &mut t.file {
                    let ahead = i64::try_from(zeros).map_err(io::Error::other)?;
                    file.as_file_mut().seek(SeekFrom::Current(ahead))?;
                }
                self.sent += zeros;
                self.holes = true;
                Ok(())
            }
            Out::Stream { .. } => {
                let block = vec![0; zeros.min(CALL as u64) as usize];
                let mut left = zeros;
                while left > 0 {
                    let n = left.min(block.len() as u64);
                    self.send(&block[..n as usize])?;
                    left -= n;
                }
                Ok(())
            }
        }
    }

    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<bool> {
        self.send_buffer()?;
        match &self.out {
            Out::Temporary(t) => {
                let file = t.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
                let written = file.as_file().write_all_at(bytes, at);
                written.map(|()| true).map_err(|e| self.failure(e))
            }
            Out::Stream { .. } => Ok(false),
        }
    }

    fn restart(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        match &mut self.out {
            Out::Temporary(t) => {
                let file = t.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
                file.as_file_mut().set_len(0)?;
                file.as_file_mut().rewind()?;
            }
            Out::Stream { .. } if self.sent == 0 => {}
            Out::Stream { .. } => return Ok(false),
        }
        (self.sent, self.holes, self.failed) = (0, false, false);
        Ok(true)
    }
}

impl Temporary {
    fn persist(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let hidden = file.path().to_owned();
        let answer = match self.overwrite {
            true => file.persist(&self.place),
            false => file.persist_noclobber(&self.place),
        };
        // A failed persist hands the file back, and the drop of the error removes it.
        let answer = answer.map(drop).map_err(|e| e.error);
        interrupt::unregister(&hidden);
        answer.map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists {
                path: self.path.clone(),
                what: "appeared while it was being written and was left as it is",
            },
            _ => self.unfinished(e),
        })
    }

    fn unfinished(&self, source: io::Error) -> Error {
        let left = match self.overwrite && fs::symlink_metadata(&self.place).is_ok() {
            true => "the file under that name is as it was",
            false => "nothing is left behind under that name",
        };
        match is_no_room(&source) {
            true => Error::no_room(format!("{}: {source}; {left}", self.path.display())),
            false => Error::Unfinished { path: self.path.clone(), source, left },
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            let hidden = file.path().to_owned();
            drop(file);
            interrupt::unregister(&hidden);
        }
    }
}

fn open_path(path: &Path, overwrite: bool) -> Result<Out> {
    let usage = |what: &str| Err(Error::usage(format!("{}: {what}", path.display())));
    let kind = fs::metadata(path).map(|m| m.file_type());
    if path.as_os_str().is_empty() {
        let advice = Some(Advice::NameOutput);
        return Err(Error::Usage { what: "the output's name is empty".into(), advice });
    }
    if matches!(&kind, Ok(k) if k.is_dir()) || path.as_os_str().as_bytes().ends_with(b"/") {
        return usage("is a directory; give the name of a file in it");
    }
    let Some(name) = path.file_name() else {
        return usage("is a directory; give the name of a file in it");
    };
    if matches!(&kind, Ok(k) if k.is_block_device()) {
        return usage("is a block device, whose content would be lost; give a file");
    }
    if matches!(&kind, Ok(k) if !k.is_file()) || names_descriptor(path) {
        // Append: a descriptor's file may hold something already (`>>log`); devices do not mind.
        let file = OpenOptions::new().append(true).open(path).map_err(Error::io(path))?;
        return Ok(Out::Stream { file, name: path.display().to_string() });
    }
    let place = match fs::symlink_metadata(path) {
        Ok(_) if !overwrite => {
            return Err(Error::Usage {
                what: format!("{}: exists already", path.display()),
                advice: Some(Advice::AllowOverwrite),
            });
        }
        // Replace what a link leads to, not the link; one that leads nowhere is replaced itself.
        Ok(_) => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(e) => return Err(Error::io(path)(e)),
    };
    let directory = match place.parent() {
        Some(d) if !d.as_os_str().is_empty() => d,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return usage(&format!("{} is not a directory; create it first", directory.display()));
    }
    let file = create_hidden(directory, name).map_err(|e| match e {
        Error::Io { source, .. } => Error::Io { path: path.to_owned(), source },
        e => e,
    })?;
    Ok(Out::Temporary(Temporary { file: Some(file), path: path.to_owned(), place, overwrite }))
}

fn create_hidden(directory: &Path, name: &OsStr) -> Result<NamedTempFile> {
    let mut prefix = OsString::from(".");
    prefix.push(OsStr::from_bytes(&name.as_bytes()[..name.len().min(STEM)]));
    prefix.push(".");
    // tempfile's own errors name the hidden path; the system's answer is kept for ours.
    let errno = Cell::new(None);
    let create = |path: &Path| {
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        file.inspect_err(|e| errno.set(e.raw_os_error()))
    };
    interrupt::register(|| {
        let mut builder = tempfile::Builder::new();
        let made = builder.prefix(&prefix).suffix(".part").make_in(directory, create);
        let made = made.map_err(|e| {
            Error::io(directory)(errno.get().map_or(e, io::Error::from_raw_os_error))
        })?;
        let path = made.path().to_owned();
        Ok((made, path))
    })
}

/// Whether the path is a descriptor's name: `/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/3`.
fn names_descriptor(path: &Path) -> bool {
    let mut path = path.to_owned();
    // Linux follows at most 40 links; no sane name of a descriptor takes more than a few.
    for _ in 0..8 {
        let Some(parent) = path.parent() else { return false };
        if fs::canonicalize(parent).is_ok_and(|p| p.starts_with("/proc")) {
            return true;
        }
        match fs::read_link(&path) {
            Ok(link) => path = parent.join(link),
            Err(_) => return false,
        }
    }
    false
}

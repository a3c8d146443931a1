//! The core that a command reads: its arguments, and how it is opened.

use std::cell::Cell;
use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::progress::Progress;
use super::snapshot::{How, report_text};
use super::{advice, tell, who};
use crate::corefile::{CoreFile, Missing, OpenOptions, Sysroot};
use crate::error::{Error, Result};
use crate::heap::Heap;
use crate::hotspot::{Vm, lost_data};
use crate::hprof::{self, Dump};
use crate::output::interrupt;
use crate::output::report::{MissingFile, clean, first_lines};
use crate::output::sink::{Sink, Target};
use crate::unpack::{self, Unpacked};

/// More threads than any machine has cores.
const MAX_THREADS: u64 = 4096;
/// Threads for each CPU at most: some wait for the disk. More would only wait for one another.
const PER_CPU: usize = 4;

/// tmpfs and ramfs (linux/magic.h, fs/ramfs).
const TMPFS: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// Ends of names that say how a core is packed.
const PACKED: [&str; 11] =
    ["zst", "gz", "xz", "lzma", "lz4", "bz2", "tar", "tgz", "txz", "tzst", "zip"];

#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// The core: gcore's or the kernel's, plain or compressed (zstd, gzip, xz, lz4, bzip2), or a
    /// bundle with it (tar, also compressed, or zip); `-` is standard input. A live JVM's process
    /// id or main class does, too: a snapshot is taken and not kept
    #[arg(value_name = "CORE")]
    pub core: PathBuf,
    #[command(flatten)]
    pub files: Files,
    /// Bytes of the snapshot that was taken instead of a core.
    #[arg(skip)]
    pub snapshot: Cell<u64>,
    /// Whether such a snapshot, or what comes through a pipe, must not reach a disk.
    #[arg(skip)]
    pub in_memory: Cell<bool>,
}

/// What goes with a core.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Files {
    /// The libjvm.so that the process ran with, where it is not at its recorded path
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    jvm: Option<PathBuf>,
    /// A directory that stands for the process's root (a container's image, say); may be repeated
    #[arg(long, value_name = "DIR", help_heading = "Source")]
    sysroot: Vec<PathBuf>,
    /// Threads to work with, at most four for each CPU [default: as many as there are CPUs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_THREADS))]
    threads: Option<u64>,
}

/// What a command is asked about.
pub(super) enum Input {
    /// A core, or a snapshot of a live JVM.
    Core(Box<Opened>),
    /// An HPROF heap dump.
    Dump(Box<Dump>),
}

/// An opened core with the files laid under it.
pub(super) struct Opened {
    pub core: CoreFile,
    pub missing: Vec<Missing>,
    /// Why the lost data of libjvm could not be made up for.
    unrestored: Option<String>,
}

impl Files {
    /// Where to look for mapped files.
    pub(super) fn sysroot(&self) -> Sysroot {
        Sysroot { jvm: self.jvm.clone(), roots: self.sysroot.clone(), alone: false }
    }

    /// How many threads to use.
    pub(super) fn threads(&self) -> usize {
        let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.map_or(cpus, |n| (n as usize).min(cpus * PER_CPU))
    }
}

impl Source {
    /// Another one than the arguments name.
    pub(super) fn of(core: PathBuf, files: Files) -> Source {
        let (snapshot, in_memory) = Default::default();
        Source { core, files, snapshot, in_memory }
    }

    /// How many threads to use.
    pub(super) fn threads(&self) -> usize {
        self.files.threads()
    }

    /// Bytes of the core as it lies on the disk.
    pub(super) fn bytes(&self) -> u64 {
        std::fs::metadata(&self.core).map_or(self.snapshot.get(), |m| m.len())
    }

    /// Opens the core and lays files under it. Without a list of mapped files the core
    /// itself is still answered, for `info`.
    pub(super) fn open_core(&self) -> Result<(CoreFile, Result<Vec<Missing>>)> {
        if let Some(pid) = who::live(&self.core)? {
            return self.take(pid);
        }
        let (label, file) = self.plain()?;
        self.core_of(label, file.of_core(label)?)
    }

    /// Opens the file, unpacked.
    fn plain(&self) -> Result<(&Path, Unpacked)> {
        let (label, file) = unpack::open(&self.core)?;
        let is_pipe =
            file.metadata().is_ok_and(|m| m.file_type().is_fifo() || m.file_type().is_socket());
        let directory = env::temp_dir();
        if is_pipe && self.in_memory.get() && !lies_in_memory(&directory) {
            return Err(Error::usage(format!(
                "with redaction nothing is to reach a disk, and a core from a pipe would lie in {} meanwhile; give it \
                 as a file, or set TMPDIR to a directory in memory, such as /dev/shm",
                directory.display()
            )));
        }
        let progress = Progress::new("unpacking", self.bytes());
        let seen = Cell::new(0);
        let unpacked = |done: u64, _total: u64| {
            progress.add(done.saturating_sub(seen.get()));
            seen.set(done);
        };
        let plain = unpack::plain(label, file, Some(&unpacked))?;
        progress.finish();
        Ok((label, plain))
    }

    fn core_of(&self, label: &Path, file: File) -> Result<(CoreFile, Result<Vec<Missing>>)> {
        let mut core = CoreFile::from_plain(label, file)?;
        let missing = core.lay_backing_files(&self.files.sysroot());
        Ok((core, missing))
    }

    /// Opens what may be a core or an HPROF: its first bytes tell.
    pub(super) fn open_input(&self) -> Result<Input> {
        let opened = match who::live(&self.core)? {
            Some(pid) => self.take(pid)?,
            None => {
                let (label, plain) = self.plain()?;
                let mut head = [0; hprof::format::MAGIC.len()];
                let head = unpack::start(&plain.file, &mut head).map_err(Error::io(label))?;
                if hprof::is_hprof(head) {
                    return Ok(Input::Dump(Box::new(self.dump_of(label, plain)?)));
                }
                self.core_of(label, plain.of_core(label)?)?
            }
        };
        self.explained(opened).map(|opened| Input::Core(Box::new(opened)))
    }

    fn dump_of(&self, label: &Path, plain: Unpacked) -> Result<Dump> {
        let bytes = plain.file.metadata().map_err(Error::io(label))?.len();
        let progress = Progress::new("reading", 2 * bytes);
        let archive = plain.damage.map(|d| d.text);
        Dump::from_file(label, &plain.file, archive, self.threads(), &|n| progress.add(n))
    }

    /// Takes a snapshot of a live JVM, as `dump --pid` does.
    fn take(&self, pid: i32) -> Result<(CoreFile, Result<Vec<Missing>>)> {
        interrupt::install().map_err(Error::io("signal handlers".as_ref()))?;
        let how = How::default();
        let (file, report) =
            how.capture_unlinked(pid, self.threads(), &Target::Stdout, self.in_memory.get())?;
        tell(&report_text(&report));
        self.snapshot.set(report.core_bytes);
        // What is read from it now is shown only; a file that is to be written asks for its own tidy end.
        interrupt::settle(Path::new("standard output"))?;
        let name = format!("the snapshot of process {pid}");
        let opened = Opened::captured(Path::new(&name), file)?;
        Ok((opened.core, Ok(opened.missing)))
    }

    /// Opens the core and lays files under it.
    pub(super) fn open(&self) -> Result<Opened> {
        self.explained(self.open_core()?)
    }

    fn explained(&self, opened: (CoreFile, Result<Vec<Missing>>)) -> Result<Opened> {
        let (core, missing) = opened;
        let missing = missing.inspect_err(|_| explain(&core, &[]))?;
        Ok(Opened { core, missing, unrestored: None })
    }
}

/// Whether files of this directory lie in memory.
fn lies_in_memory(directory: &Path) -> bool {
    rustix::fs::statfs(directory).is_ok_and(|s| TMPFS.contains(&(s.f_type as u64 & 0xffff_ffff)))
}

/// Refuses an output and its JSON summary on the one standard output.
pub(super) fn refuse_two_streams(json: bool, target: &Target) -> Result<()> {
    match json && *target == Target::Stdout {
        true => Err(Error::usage(
            "--json and `-o -` both want standard output; give a file with -o FILE",
        )),
        false => Ok(()),
    }
}

/// Whether a file of this name is to be compressed.
pub(super) fn names_zstd(name: &OsStr) -> bool {
    name.as_encoded_bytes().ends_with(b".zst")
}

/// A core's file name without what says how it is packed.
pub(super) fn plain_name(core: &Path) -> &OsStr {
    let mut name = Path::new(core.file_name().unwrap_or(OsStr::new("core")));
    while let Some(end) = name.extension().and_then(OsStr::to_str)
        && PACKED.contains(&end)
    {
        name = Path::new(name.file_stem().unwrap_or_default());
    }
    name.as_os_str()
}

/// Refuses an output that is the core itself or one that cannot be written, before any work is
/// done.
pub(super) fn check_output(core: Option<&Path>, target: &Target) -> Result<()> {
    let Target::File { path, .. } = target else { return Ok(()) };
    let id = |p: &Path| std::fs::metadata(p).map(|m| (m.dev(), m.ino())).ok();
    let there = id(path);
    if there.is_some() && there == core.and_then(id) {
        let what = format!("{} is the core itself; give another name with -o", path.display());
        return Err(Error::usage(what));
    }
    // Opening a fifo or a device twice would be seen at its other end.
    let plain = std::fs::metadata(path).map_or(true, |m| m.is_file() || m.is_dir());
    if plain && !path.starts_with("/dev") && !path.starts_with("/proc") {
        drop(Sink::open(target, true)?);
    }
    Ok(())
}

impl Opened {
    /// A core that rjcore took itself just now: it needs no file beside it.
    pub(super) fn captured(name: &Path, file: File) -> Result<Opened> {
        let mut core = CoreFile::from_file(name, file, &OpenOptions::default())?;
        let missing = core.lay_backing_files(&Sysroot { alone: true, ..Sysroot::default() })?;
        Ok(Opened { core, missing, unrestored: None })
    }

    /// Makes up for libjvm's data where the core lost it, as far as that can be proven.
    pub(super) fn restored(mut self) -> Opened {
        self.unrestored = lost_data::restore(&mut self.core);
        self
    }

    /// Reads VM and heap and hands them to `work`. Where they cannot be read, says what the
    /// core lacks before the error says what came of it.
    pub(super) fn with_heap<T>(&self, work: impl FnOnce(&Heap) -> Result<T>) -> Result<T> {
        let explained = |_: &Error| {
            explain(&self.core, &self.missing);
            if let Some(why) = &self.unrestored {
                tell(&format!("rjcore: the lost data could not be made up for: {}\n", clean(why)));
            }
        };
        let vm = Vm::open(&self.core).inspect_err(explained)?;
        let heap = Heap::open(&vm).inspect_err(explained)?;
        work(&heap)
    }
}

/// Tells what the core lacks.
fn explain(core: &CoreFile, missing: &[Missing]) {
    if let Some(t) = core.truncation() {
        tell(&format!("rjcore: {}: {}\n", core.path().display(), clean(&t.to_string())));
    }
    let lines = missing.iter().map(|m| MissingFile::from(m).line(advice::words));
    for line in first_lines(lines, missing.len() as u64) {
        tell(&format!("rjcore: not found: {}\n", clean(&line)));
    }
}

//! The errors of every layer: what went wrong, where, and what to do next.
//!
//! Knows nothing of cores, HotSpot or commands beyond the words it prints.

use std::io;
use std::path::{Path, PathBuf};

/// A read of target memory that could not be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes at {addr:#x} are not in the core")]
pub struct Fault {
    /// First address that was asked for.
    pub addr: u64,
    /// How many bytes were asked for.
    pub len: u64,
}

/// Everything that ends a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operating-system error on a named file.
    #[error("{path}: {source}{}", io_hint(.source))]
    Io {
        /// The file that was being opened, read or written.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The file is not something that rjcore can read as a core.
    #[error("{path}: {what}")]
    NotACore {
        /// The file as the user named it.
        path: PathBuf,
        /// What it is instead, and what to do.
        what: String,
    },
    /// The core is of a process without a JVM, or its libjvm cannot be had.
    #[error("{0}")]
    NoJvm(String),
    /// The libjvm given is not the one that the process ran.
    #[error(
        "{path}: build-id {found} is not that of the libjvm in the core ({expected}); \
         give the very libjvm.so that the process ran with --jvm"
    )]
    WrongJvm {
        /// The file that was tried.
        path: PathBuf,
        /// Its build-id, in hex.
        found: String,
        /// The build-id found in the core's memory, in hex.
        expected: String,
    },
    /// A fact that this JVM's tables do not carry.
    #[error("this JVM has no {what} in its vmStructs; rjcore cannot read it without")]
    MissingField {
        /// `Type::_field` or the constant's name.
        what: String,
    },
    /// A JVM or collector that rjcore does not read yet.
    #[error("{0}")]
    Unsupported(String),
    /// A structure that must be readable is not.
    #[error("cannot read {what}: {fault}")]
    Unreadable {
        /// The structure in HotSpot's words.
        what: String,
        /// Where it would have been.
        fault: Fault,
    },
    /// A structure holds what it never can.
    #[error("the core is damaged or not what it seems: {0}")]
    Corrupt(String),
    /// A live process cannot be captured.
    #[error("cannot capture process {pid}: {what}")]
    Capture {
        /// The process's id as the user gave it.
        pid: i32,
        /// Why, and what to do.
        what: String,
    },
    /// A live JVM does not let rjcore in, or does not answer.
    #[error("attach to process {pid}: {what}")]
    Attach {
        /// The process's id as the user gave it.
        pid: i32,
        /// Why, and what to do.
        what: String,
    },
    /// Interrupted by the user.
    #[error("interrupted; nothing was written to {0}")]
    Interrupted(PathBuf),
    /// Interrupted by the user while bytes went straight to a stream.
    #[error("interrupted; {name} got {bytes} bytes and is incomplete")]
    InterruptedStream {
        /// `standard output` or the special file's path.
        name: String,
        /// How many bytes went out before.
        bytes: u64,
    },
    /// A pipe's reader went away: of standard output, or of a fifo given as target.
    #[error("{name} was closed by its reader after {bytes} bytes")]
    ClosedPipe {
        /// `standard output` or the fifo's path.
        name: String,
        /// How many bytes went out before.
        bytes: u64,
    },
    /// Writing a file failed before it was complete, so it never got its name.
    #[error("{path}: {source}{}; {left}", io_hint(.source))]
    Unfinished {
        /// The name that the file would have got.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
        /// What is under that name now, in words.
        left: &'static str,
    },
    /// Arguments that contradict each other or the state of the disk.
    #[error("{0}")]
    Usage(String),
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Attach a path to an I/O error: `.map_err(Error::io(path))`.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
        move |source| Error::Io { path: path.to_owned(), source }
    }

    /// Carry this error through `std::io::Write`; [`Error::from_write`] takes it out again.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// The error that a writer over an output sink answered, with its path
    /// and hint; one that is not the sink's own (the compressor's, say) is named `output`.
    pub fn from_write(e: io::Error) -> Error {
        e.downcast::<Error>()
            .unwrap_or_else(|source| Error::Io { path: PathBuf::from("output"), source })
    }

    /// Name the structure that a fault made unreadable.
    pub fn unreadable(what: impl Into<String>) -> impl FnOnce(Fault) -> Error {
        let what = what.into();
        move |fault| Error::Unreadable { what, fault }
    }
}

fn io_hint(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::StorageFull => "; free some space, or stream with `-o -`",
        io::ErrorKind::PermissionDenied => "; check the owner and the mode, or run as that user",
        _ => "",
    }
}

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
    /// Interrupted by the user.
    #[error("interrupted; nothing was written to {0}")]
    Interrupted(PathBuf),
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

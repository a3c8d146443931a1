//! The errors of every layer: what went wrong, where, and what to do next.
//!
//! Knows nothing of cores, HotSpot or commands beyond the words it prints.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::panics::Panicked;

/// A read of target memory that could not be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes at {addr:#x} are not in the core")]
pub struct Fault {
    /// First address that was asked for.
    pub addr: u64,
    /// How many bytes were asked for.
    pub len: u64,
}

/// What may be done about an error or a gap. Who talks with the user words it: the command line
/// names its own flags (`cli::advice`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Advice {
    /// Give the libjvm.so that the process ran.
    GiveLibjvm,
    /// Give it, or the root of the process's file system.
    GiveLibjvmOrRoot,
    /// Give the file, or the root of the process's file system.
    GiveItOrRoot,
    /// Name the directory that holds the file.
    GiveRoot,
    /// Name the root of the JDK's file system.
    GiveJdkRoot,
    /// Say where missing files are.
    SayWhereFilesAre,
    /// Take another name for the output, or allow that an existing file is replaced.
    AllowOverwrite,
    /// Name the output: none was given.
    NameOutput,
    /// Write to a file or a pipe: a terminal cannot take binary output.
    WriteToFile,
    /// Make room where the output goes, or send it elsewhere as a stream.
    MakeRoom,
    /// Have temporary files lie where there is more room.
    MoveTemporary,
    /// Check the file's owner and mode, or run as the user who may.
    CheckPermission,
    /// Work with fewer threads.
    FewerThreads,
    /// Write to a plain file, and let another way of capture be chosen.
    AnyMethodToFile,
    /// Let another way of capture be chosen.
    AnyMethod,
    /// Write to a file, uncompressed, in which what was written can be corrected.
    UncompressedFile,
    /// Try later, or wait longer for the threads to stop.
    WaitForThreads,
    /// Wait without a limit for the JVM's answer.
    WaitForAnswer,
    /// Allow more memory, or work where there is more.
    AllowMemory,
    /// Show more of the virtual threads.
    MoreVirtualThreads,
}

/// Why something could not be read, and what may be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Why, for people.
    pub text: String,
    /// What may be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
}

impl Remark {
    /// The same about something that is named before it.
    pub fn about(self, name: impl fmt::Display) -> Remark {
        Remark { text: format!("{name}: {}", self.text), ..self }
    }

    /// With its advice, for people.
    pub fn line(&self, wording: Wording) -> String {
        with_advice(&self.text, self.advice, wording)
    }
}

impl From<&str> for Remark {
    fn from(text: &str) -> Remark {
        Remark { text: text.into(), advice: None }
    }
}

impl From<String> for Remark {
    fn from(text: String) -> Remark {
        Remark { text, advice: None }
    }
}

/// Puts advice into words.
pub type Wording = fn(Advice) -> &'static str;

/// Everything that ends a command.
///
/// An error says what went wrong and where; what may be done is its [`Error::advice`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operating-system error on a named file.
    #[error("{path}: {source}")]
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
    /// The file is not something that rjcore can read as an HPROF, or asks of one what it does not hold.
    #[error("{path}: {what}")]
    NotAnHprof {
        /// The file as the user named it.
        path: PathBuf,
        /// What it is instead, and what to do.
        what: String,
    },
    /// The core is of a process without a JVM, or its libjvm cannot be had.
    #[error("{what}")]
    NoJvm {
        /// What was looked for, and where.
        what: String,
        /// What may be done.
        advice: Option<Advice>,
    },
    /// What the VM is found by is in the part of the core that is cut off.
    #[error("{0}")]
    CutOff(String),
    /// The libjvm given is not the one that the process ran.
    #[error("{path}: build-id {found} is not that of the libjvm in the core ({expected})")]
    WrongJvm {
        /// The file that was tried.
        path: PathBuf,
        /// Its build-id, in hex.
        found: String,
        /// The build-id found in the core's memory, in hex.
        expected: String,
    },
    /// The file given as libjvm is no library at all.
    #[error("{path}: {what}")]
    NotALibjvm {
        /// The file that was given.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// A fact that this JVM's tables do not carry.
    #[error(
        "this JVM's own tables (vmStructs) lack {what}, without which rjcore cannot read it: another JDK than those it knows, or a damaged core"
    )]
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
        /// What may be done with rjcore itself.
        advice: Option<Advice>,
    },
    /// No JVM runs what was named.
    #[error("no JVM here runs {0:?}; rjcore ps lists them")]
    NoSuchJvm(String),
    /// What was named is neither a file nor what a JVM runs.
    #[error("{0}: there is no such file, and no JVM here runs that; rjcore ps lists the JVMs")]
    NoSuchInput(String),
    /// A live JVM does not let rjcore in, or does not answer.
    #[error("attach to process {pid}: {what}")]
    Attach {
        /// The process's id as the user gave it.
        pid: i32,
        /// Why, and what to do.
        what: String,
        /// What may be done with rjcore itself.
        advice: Option<Advice>,
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
    #[error("{path}: {source}; {left}")]
    Unfinished {
        /// The name that the file would have got.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
        /// What is under that name now, in words.
        left: &'static str,
    },
    /// The disk, a quota, or the memory has no room.
    #[error("{what}")]
    NoRoom {
        /// What found no room, and where.
        what: String,
        /// What may be done.
        advice: Advice,
    },
    /// The system starts no more threads.
    #[error("cannot start {threads} threads: {why}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system answered.
        why: String,
    },
    /// There is a file of that name, and nothing allows to replace it.
    #[error("{path}: {what}")]
    Exists {
        /// The file.
        path: PathBuf,
        /// Whether it was there before, or appeared meanwhile.
        what: &'static str,
    },
    /// A fault of rjcore's own.
    #[error(
        "rjcore itself failed, which is never right: {0}; what it wrote is not to be relied on. {REPORT}"
    )]
    Failed(Panicked),
    /// The answer would not be whole, and was asked for only if it is.
    #[error("nothing was written, for something would be missing: {0}")]
    NotWhole(String),
    /// Arguments that contradict each other or cannot be meant.
    #[error("{what}")]
    Usage {
        /// What is wrong with them.
        what: String,
        /// What may be done, where `what` does not say so.
        advice: Option<Advice>,
    },
}

/// What is asked of whoever meets a fault of rjcore's own.
pub(crate) const REPORT: &str = concat!(
    "Please report it, with the command and the version of rjcore: ",
    env!("CARGO_PKG_REPOSITORY"),
    "/issues"
);

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Attach a path to an I/O error: `.map_err(Error::io(path))`.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
        move |source| match is_no_room(&source) {
            true => Error::no_room(format!("{}: {source}", path.display())),
            false => Error::Io { path: path.to_owned(), source },
        }
    }

    /// What could not be written for lack of room.
    pub fn no_room(what: impl Into<String>) -> Error {
        Error::NoRoom { what: what.into(), advice: Advice::MakeRoom }
    }

    /// Arguments that cannot be meant.
    pub fn usage(what: impl Into<String>) -> Error {
        Error::Usage { what: what.into(), advice: None }
    }

    /// No JVM in the core, and nothing to be done about it.
    pub fn no_jvm(what: impl Into<String>) -> Error {
        Error::NoJvm { what: what.into(), advice: None }
    }

    /// A capture that cannot be.
    pub fn capture(pid: i32, what: impl Into<String>) -> Error {
        Error::Capture { pid, what: what.into(), advice: None }
    }

    /// A JVM that does not let rjcore in, or does not answer.
    pub fn attach(pid: i32, what: impl Into<String>) -> Error {
        Error::Attach { pid, what: what.into(), advice: None }
    }

    /// What may be done about it with rjcore; `None` where the error's own words say all.
    pub fn advice(&self) -> Option<Advice> {
        match self {
            Error::NoJvm { advice, .. }
            | Error::Capture { advice, .. }
            | Error::Attach { advice, .. }
            | Error::Usage { advice, .. } => *advice,
            Error::NoRoom { advice, .. } => Some(*advice),
            Error::WrongJvm { .. } | Error::NotALibjvm { .. } => Some(Advice::GiveLibjvm),
            Error::Threads { .. } => Some(Advice::FewerThreads),
            Error::Exists { .. } => Some(Advice::AllowOverwrite),
            Error::Io { source, .. } | Error::Unfinished { source, .. } => {
                let denied = source.kind() == io::ErrorKind::PermissionDenied;
                denied.then_some(Advice::CheckPermission)
            }
            _ => None,
        }
    }

    /// The error with its advice, for people.
    pub fn text(&self, wording: Wording) -> String {
        with_advice(&self.to_string(), self.advice(), wording)
    }

    /// Carry this error through `std::io::Write`; [`Error::from_write`] takes it out again.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// The error that a writer over an output sink answered, with its path
    /// and hint; one that is not the sink's own (the compressor's, say) is named `output`.
    pub fn from_write(e: io::Error) -> Error {
        let e = match e.downcast::<Error>() {
            Ok(own) => return own,
            Err(e) => e,
        };
        let failed = e.downcast::<Panicked>().map(Error::Failed);
        failed.unwrap_or_else(|source| Error::io(Path::new("output"))(source))
    }

    /// Name the structure that a fault made unreadable.
    pub fn unreadable(what: impl Into<String>) -> impl FnOnce(Fault) -> Error {
        let what = what.into();
        move |fault| Error::Unreadable { what, fault }
    }
}

/// `text`, and behind it what may be done.
pub fn with_advice(text: &str, advice: Option<Advice>, wording: Wording) -> String {
    match advice {
        Some(advice) => format!("{text}; {}", wording(advice)),
        None => text.to_owned(),
    }
}

/// Whether the system says that there is no room: on the disk, in a quota, in memory.
pub fn is_no_room(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory
    )
}

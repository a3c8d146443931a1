//! The file and the listener of a JVM's attach socket, as /proc and the file system show them.
//!
//! Looks, and asks the kernel whether somebody has a socket file open; nobody notices that.

use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, statat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::sockets;
use super::target::{ReachedDirectory, Target};

/// What stands under the socket's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its owner.
    pub uid: u32,
    /// Whether it is a socket.
    pub is_socket: bool,
    /// Its permissions.
    pub mode: u32,
}

/// What /proc and the file system say of a JVM's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Its file, as the JVM sees it.
    pub path: String,
    /// Where it is from here.
    pub here: PathBuf,
    /// Its directory, or why that cannot be reached.
    pub directory: io::Result<ReachedDirectory>,
    /// What is there; `None` without a file, or where it could not be looked for.
    pub file: Option<Entry>,
    /// Whether the JVM itself listens at a socket of that name; `None` if that is not to be seen.
    pub listens: Option<bool>,
    /// Whether any process, in whatever network namespace, has the file's socket; `None` without
    /// a socket file, or without the right to ask.
    pub alive: Option<bool>,
}

/// The name of its file.
pub(crate) fn name(target: &Target) -> String {
    format!(".java_pid{}", target.facts.inner)
}

impl Socket {
    /// Looks for it in `directory`, where the JVM has its temporary files.
    pub(crate) fn of(target: &Target, directory: &str) -> Socket {
        let name = name(target);
        let path = format!("{}/{name}", directory.trim_end_matches('/'));
        let reached = target.reach(directory.as_ref());
        let here = match &reached {
            Ok(reached) => reached.path.join(&name),
            Err(_) => format!("/proc/{}/root{path}", target.pid()).into(),
        };
        let stat = |d: &ReachedDirectory| {
            let stat = || Ok(statat(&d.directory, &name, AtFlags::SYMLINK_NOFOLLOW)?);
            let stat = target.look(stat).ok()?;
            let is_socket = FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
            Some(Entry { uid: stat.st_uid, is_socket, mode: stat.st_mode & 0o777 })
        };
        let file = reached.as_ref().ok().and_then(stat);
        let alive = match (&reached, file) {
            (Ok(d), Some(Entry { is_socket: true, .. })) => alive(target, d, &name),
            _ => None,
        };
        let listens = listens(target, &path);
        Socket { path, here, directory: reached, file, listens, alive }
    }

    /// Whether the file is the JVM's own: its user's, or root's where root has made the JVM give
    /// up its rights since.
    pub(crate) fn is_owned(&self, target: &Target) -> bool {
        self.file.is_some_and(|f| f.uid == target.effective.uid || f.uid == 0)
    }

    /// Whether the JVM can be connected to. What may not be looked at counts as so: the
    /// connection will show.
    pub(crate) fn is_open(&self, target: &Target) -> bool {
        self.file.is_some_and(|f| f.is_socket)
            && self.listens != Some(false)
            && self.alive != Some(false)
            && self.is_owned(target)
    }
}

/// The directory of the socket at which the JVM listens, whatever its name is in there.
pub(crate) fn listening_directory(target: &Target) -> Option<String> {
    let name = name(target);
    // It is bound as `.tmp` and then renamed.
    let of_that_name = |l: &sockets::Listener| {
        let (directory, file) = l.path.rsplit_once('/')?;
        (file.strip_suffix(".tmp").unwrap_or(file) == name).then(|| directory.to_owned())
    };
    let all = sockets::listening(target.pid()).ok()?;
    let mut all = all.iter().filter_map(|l| Some((of_that_name(l)?, l.inode)));
    all.find(|(_, inode)| holds(target, *inode) == Some(true)).map(|(directory, _)| directory)
}

fn holds(target: &Target, inode: u64) -> Option<bool> {
    target.look(|| sockets::holds(target.pid(), inode)).ok()
}

fn listens(target: &Target, path: &str) -> Option<bool> {
    let all = sockets::listening(target.pid()).ok()?;
    let of_that_name =
        |l: &&sockets::Listener| l.path.strip_suffix(".tmp").unwrap_or(&l.path) == path;
    let held = all.iter().filter(of_that_name).map(|l| holds(target, l.inode));
    // No socket of that name: nobody's right to look is needed.
    held.reduce(|a, b| if a == Some(true) { a } else { b }).unwrap_or(Some(false))
}

/// Asks for a connection of a type that no attach listener has: the kernel says whether anybody
/// has the file's socket (EPROTOTYPE) or nobody (ECONNREFUSED), and tells the other side nothing.
fn alive(target: &Target, directory: &ReachedDirectory, name: &str) -> Option<bool> {
    let path = format!("/proc/self/fd/{}/{name}", directory.directory.as_raw_fd());
    let ask = || -> io::Result<bool> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        match connect(&socket, &SocketAddrUnix::new(path.as_str())?) {
            Ok(()) | Err(Errno::PROTOTYPE) => Ok(true),
            Err(Errno::CONNREFUSED) => Ok(false),
            Err(e) => Err(e.into()),
        }
    };
    target.look(ask).ok()
}

//! HotSpot's attach door: its socket in /tmp, how it is opened, and a connection through it.
//!
//! Facts from attachListener_posix.cpp (os/linux in JDK 8) and the attach provider's
//! VirtualMachineImpl.java: a file `.attach_pidN` in the JVM's working directory or /tmp and a
//! SIGQUIT make the JVM listen at `/tmp/.java_pidN`. N is its id in its own namespace.
//! Knows nothing of what is said through the door.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::identity::Rights;
use super::socket;
use super::target::{ReachedDirectory, Target};
use crate::process::sys;

/// How often the door is tried.
const STEP: Duration = Duration::from_millis(10);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// The JVM did not open the door in time.
    Timeout(Duration),
    /// It listens, but takes no connections: its backlog is full.
    Busy,
    /// The user asked for the end.
    Cancelled,
    /// The process ended.
    Ended,
    /// This one listens there instead.
    Foreign(String),
    /// The system refused something.
    System(String, io::Error),
}

/// The way to one JVM's door.
#[derive(Debug)]
pub(crate) struct Door<'t> {
    target: &'t Target,
    process: OwnedFd,
    tmp: ReachedDirectory,
    cwd: Option<OwnedFd>,
    socket: String,
    signal: String,
    /// How long to wait for the door.
    pub timeout: Duration,
}

fn system(what: &str) -> impl FnOnce(Errno) -> NoConnection + '_ {
    move |e| NoConnection::System(what.into(), e.into())
}

impl<'t> Door<'t> {
    /// Finds the places; changes nothing yet.
    pub(crate) fn find(
        target: &'t Target,
        tmp: &str,
        timeout: Duration,
    ) -> Result<Door<'t>, NoConnection> {
        let pid = target.pid();
        let id = Pid::from_raw(pid).ok_or(NoConnection::Ended)?;
        let process = pidfd_open(id, PidfdFlags::empty()).map_err(|_| NoConnection::Ended)?;
        // From here on the descriptors name the process that was looked at, or none.
        if !target.is_same() {
            return Err(NoConnection::Ended);
        }
        let reached = target.reach(tmp.as_ref());
        let tmp = reached.map_err(|e| NoConnection::System(format!("the JVM's {tmp}"), e))?;
        let cwd = target.working_directory().ok();
        let (socket, signal) = (socket::name(target), format!(".attach_pid{}", target.facts.inner));
        Ok(Door { target, process, tmp, cwd, socket, signal, timeout })
    }

    /// Connects, and makes the JVM open the door first where it is closed. `may_signal` says
    /// whether SIGQUIT would be handled.
    pub(crate) fn open(
        &self,
        may_signal: bool,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<UnixStream, NoConnection> {
        if let Some(stream) = self.try_connect()? {
            return Ok(stream);
        }
        let deadline = Instant::now() + self.timeout;
        let half = Instant::now() + self.timeout / 2;
        let mut knocked = match may_signal {
            true => Some(self.knock()?),
            false => None,
        };
        let mut again = false;
        loop {
            // A sleep, not a wait for a signal: Ctrl-C is seen within a step.
            thread::sleep(STEP);
            if cancelled() {
                return Err(NoConnection::Cancelled);
            }
            if let Some(stream) = self.try_connect()? {
                drop(knocked.take());
                return Ok(stream);
            }
            if self.has_ended() {
                return Err(NoConnection::Ended);
            }
            if Instant::now() >= deadline {
                let busy = matches!(self.connect_once(), Err(Errno::AGAIN));
                return Err(if busy {
                    NoConnection::Busy
                } else {
                    NoConnection::Timeout(self.timeout)
                });
            }
            if !again && knocked.is_some() && Instant::now() >= half {
                // As the JDK's own tools do: a second chance.
                self.signal()?;
                again = true;
            }
        }
    }

    fn has_ended(&self) -> bool {
        !self.target.is_same()
    }

    /// A connection, or `None` if nobody listens yet.
    fn try_connect(&self) -> Result<Option<UnixStream>, NoConnection> {
        match self.connect_once() {
            Ok(stream) => self.check_peer(stream).map(Some),
            // A file without a listener is left over from another JVM; the backlog is full.
            Err(Errno::NOENT | Errno::CONNREFUSED | Errno::AGAIN) => Ok(None),
            Err(e) => Err(NoConnection::System(format!("the socket {}", self.socket), e.into())),
        }
    }

    fn connect_once(&self) -> rustix::io::Result<UnixStream> {
        // Through a descriptor: the path of a deep root may be longer than an address holds.
        let path = format!("/proc/self/fd/{}/{}", self.tmp.directory.as_raw_fd(), self.socket);
        let uid = self.target.effective.uid;
        let connected = self.target.rights.run(|| {
            let stat = statat(&self.tmp.directory, &self.socket, AtFlags::SYMLINK_NOFOLLOW)?;
            let socket = FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
            // Anyone may have made it; HotSpot's belongs to the JVM's user (or to root, where
            // root has made the JVM give up its rights since).
            if !socket || (stat.st_uid != uid && stat.st_uid != 0) {
                return Err(Errno::CONNREFUSED);
            }
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            connect(&socket, &SocketAddrUnix::new(path.as_str())?)?;
            Ok(socket)
        });
        let socket = connected.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::PERM))??;
        rustix::io::ioctl_fionbio(&socket, false)?;
        Ok(UnixStream::from(socket))
    }

    /// The listener is the JVM itself: another container's may have the same id and share /tmp.
    fn check_peer(&self, stream: UnixStream) -> Result<UnixStream, NoConnection> {
        let peer = sys::peer_pid(stream.as_fd());
        match peer.map_err(|e| NoConnection::System("SO_PEERCRED".into(), e))? {
            pid if pid == self.target.pid() => Ok(stream),
            0 => Err(NoConnection::Foreign("a process that is not to be seen from here".into())),
            pid => Err(NoConnection::Foreign(format!("process {pid}"))),
        }
    }

    fn signal(&self) -> Result<(), NoConnection> {
        match pidfd_send_signal(&self.process, Signal::QUIT) {
            Err(Errno::SRCH) => Err(NoConnection::Ended),
            other => other.map_err(system("SIGQUIT")),
        }
    }

    /// Leaves the file that the JVM looks for, and sends SIGQUIT. The file goes where the socket
    /// will be: what is in its way is in the socket's, too.
    fn knock(&self) -> Result<AttachFile<'_>, NoConnection> {
        let error = match self.leave(self.tmp.directory.as_fd()) {
            Ok(file) => return self.signal().map(|()| file),
            Err(e) => e,
        };
        // The JVM may have rights that rjcore has not.
        let may_do = matches!(error, Errno::ACCESS | Errno::PERM | Errno::EXIST);
        match self.cwd.as_ref().filter(|_| may_do).map(|cwd| self.leave(cwd.as_fd())) {
            Some(Ok(file)) => self.signal().map(|()| file),
            _ => Err(NoConnection::System(
                format!("{} in the JVM's {}, as the JVM's user", self.signal, self.tmp.inside),
                error.into(),
            )),
        }
    }

    fn leave<'d>(&'d self, directory: BorrowedFd<'d>) -> rustix::io::Result<AttachFile<'d>> {
        let rights = &self.target.rights;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let made = rights.run(|| {
            match openat(
                directory,
                &self.signal,
                flags | OFlags::NOFOLLOW,
                Mode::from_raw_mode(0o660),
            ) {
                // Left by a tool that was killed: as good as ours if the JVM trusts its owner.
                Err(Errno::EXIST) => {
                    let stat = statat(directory, &self.signal, AtFlags::SYMLINK_NOFOLLOW)?;
                    if stat.st_uid == rights.ids.uid { Ok(()) } else { Err(Errno::EXIST) }
                }
                other => other.map(drop),
            }
        });
        made.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::PERM))??;
        Ok(AttachFile { directory, name: &self.signal, rights })
    }
}

/// The `.attach_pidN` file; removed when dropped.
#[derive(Debug)]
struct AttachFile<'d> {
    directory: BorrowedFd<'d>,
    name: &'d str,
    rights: &'d Rights,
}

impl Drop for AttachFile<'_> {
    fn drop(&mut self) {
        let removed = self.rights.run(|| unlinkat(self.directory, self.name, AtFlags::empty()));
        if !matches!(removed, Ok(Ok(()))) {
            let _ = unlinkat(self.directory, self.name, AtFlags::empty());
        }
    }
}

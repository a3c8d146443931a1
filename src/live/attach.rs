//! One command through a JVM's attach door, and its answer as it comes.
//!
//! Knows the door and the protocol; nothing of what the commands mean.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::diagnosis::{NextStep, Reason, Verdict};
use super::doctor::{Examined, examine};
use super::door::{Door, NoConnection};
use super::files;
use super::protocol::{Answer, Request};
use super::target::{ReachedDirectory, Target};
use super::vm_memory::ReadVmMemory;
use crate::error::{Advice, Error, Result};

/// How long a read waits before it looks whether the user has enough.
const LOOK: Duration = Duration::from_millis(50);
/// So long a door is waited for where nobody sets a limit.
const DAY: Duration = Duration::from_secs(86_400);
/// AttachListener's answer to a version that it does not know.
const BAD_VERSION: i32 = 101;

/// How to go about it.
pub(crate) struct Options<'a> {
    /// How long the JVM may take to open the door, and then how long it may be silent; zero for
    /// as long as it likes.
    pub timeout: Duration,
    /// Whether the user asked for the end.
    pub cancelled: &'a dyn Fn() -> bool,
    /// Whether the silent JVM is seen to work (a file grows).
    pub at_work: &'a dyn Fn() -> bool,
}

/// A JVM that has been examined and may be attached to.
pub(crate) struct Attached {
    examined: Examined,
    look: ReadVmMemory,
    asked: RequestText,
}

/// What the user asked for, in an error's words.
#[derive(Debug, Clone)]
pub(crate) struct RequestText {
    /// The command as it was given.
    pub words: String,
    /// What does the like without the JVM's help.
    pub instead: Option<String>,
    /// Words a next step as a command; where that attaches, with these words.
    pub command: fn(&NextStep, &str) -> String,
}

impl Attached {
    /// Examines it; an obstacle is an error that names it, and nothing was done to the JVM.
    pub(crate) fn examine(pid: i32, look: ReadVmMemory, asked: RequestText) -> Result<Attached> {
        let examined = examine(pid, false, look);
        match examined.diagnosis.why() {
            None if examined.target.is_some() => Ok(Attached { examined, look, asked }),
            why => {
                let why = why.unwrap_or_else(|| "it is gone".into());
                Err(failed(&examined, &asked, &why))
            }
        }
    }

    /// What could not be seen and may make the signal do harm: for the user to know before.
    pub(crate) fn doubts(&self) -> impl Iterator<Item = &str> {
        let all = self.examined.diagnosis.findings.iter();
        all.filter(|f| f.reason == Reason::UnseenOptions).map(|f| f.text.as_str())
    }

    /// The process.
    pub(crate) fn target(&self) -> Result<&Target> {
        self.examined.target.as_ref().ok_or_else(|| self.failed("it is gone"))
    }

    /// Runs a command; answers its result code. `out` gets the text as it comes.
    pub(crate) fn run(
        &self,
        request: &Request,
        options: &Options<'_>,
        out: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<i32> {
        if let Some(what) = request.impossible() {
            return Err(Error::usage(what));
        }
        let timeout = if options.timeout.is_zero() { DAY } else { options.timeout };
        let closed = |c: NoConnection| self.closed(c);
        let door = Door::find(self.target()?, &self.examined.tmp, timeout).map_err(closed)?;
        // A JVM that listens already would print a thread dump to its standard output.
        let may_signal = self.examined.may_signal && !self.examined.diagnosis.open;
        let open = || door.open(may_signal, options.cancelled).map_err(closed);
        let mut stream = open()?;
        let bytes = if request.fits_version_1() {
            request.version_1()
        } else {
            // Only such requests need version 2; a JVM that does not know the question says so.
            let mut said: Vec<u8> = Vec::new();
            let question = Request::new("getversion", &[]).version_1();
            let code = self.talk(stream, &question, options, &mut |p| {
                said.extend(&p[..p.len().min(16)]);
                Ok(())
            })?;
            let newest = said.first().is_some_and(|b| *b >= b'2' && b.is_ascii_digit());
            if code != 0 || !newest {
                return Err(Error::usage(
                    "the command is too long for this JVM: before JDK 24 it takes 3 arguments of \
                     1024 bytes",
                ));
            }
            stream = open()?;
            request.version_2()
        };
        let code = self.talk(stream, &bytes, options, out)?;
        if code == BAD_VERSION {
            return Err(self.failed("it does not know this version of the attach protocol"));
        }
        Ok(code)
    }

    /// Sends a request and takes the answer.
    fn talk(
        &self,
        mut stream: UnixStream,
        request: &[u8],
        options: &Options<'_>,
        out: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<i32> {
        let system = |e: io::Error| self.failed(&format!("its socket: {e}"));
        let timeout = (!options.timeout.is_zero()).then_some(options.timeout);
        stream.set_read_timeout(Some(LOOK)).map_err(system)?;
        stream.set_write_timeout(timeout).map_err(system)?;
        // A JVM that refuses the ids closes at once; the answer, none, tells.
        let sent = stream.write_all(request);
        let mut answer = Answer::default();
        let mut buffer = vec![0; 64 << 10];
        let mut heard = Instant::now();
        loop {
            if (options.cancelled)() {
                return Err(self.closed(NoConnection::Cancelled));
            }
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    heard = Instant::now();
                    let text = answer.take(&buffer[..n]);
                    let text = text.map_err(|said| {
                        self.failed(&format!("it answered {said:?}, which is no result code"))
                    })?;
                    out(text)?;
                }
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                {
                    if (options.at_work)() {
                        heard = Instant::now();
                    }
                    if timeout.is_some_and(|t| heard.elapsed() >= t) {
                        return Err(self.silent(options.timeout));
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // The JVM closes with bytes of ours unread.
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => break,
                Err(e) => return Err(system(e)),
            }
        }
        match (answer.code, sent) {
            (Some(code), _) => Ok(code),
            (None, Err(e)) if e.kind() != io::ErrorKind::BrokenPipe => Err(system(e)),
            (None, _) => {
                let target = self.target()?;
                Err(match target.is_same() {
                    true => self.failed(
                        "it closed the connection without an answer: it takes no request of this \
                         user and group",
                    ),
                    false => self.failed("it ended"),
                })
            }
        }
    }

    /// It took the command and said nothing: look again, with an eye on the threads.
    fn silent(&self, timeout: Duration) -> Error {
        let pid = self.examined.diagnosis.pid;
        let now = examine(pid, true, self.look);
        let suspects = now.diagnosis.suspects();
        let advice = suspects.is_none().then_some(Advice::WaitForAnswer);
        let why = suspects
            .unwrap_or_else(|| "no reason is to be seen: the command may just take longer".into());
        let what = format!(
            "no answer within {} s: {why}. The JVM may still do what it was asked",
            timeout.as_secs()
        );
        match failed(&now, &self.asked, &what) {
            Error::Attach { pid, what, .. } => Error::Attach { pid, what, advice },
            e => e,
        }
    }

    fn closed(&self, closed: NoConnection) -> Error {
        let pid = self.examined.diagnosis.pid;
        match closed {
            NoConnection::Cancelled => {
                Error::attach(pid, "interrupted; a command that the JVM took already it still does")
            }
            NoConnection::Ended => Error::attach(pid, "it has ended"),
            NoConnection::Foreign(who) => {
                self.failed(&format!("{who} listens at its socket: two containers share this /tmp"))
            }
            NoConnection::Busy => self.failed(
                "it takes no more connections: its Attach Listener has been busy with others'",
            ),
            NoConnection::System(what, e) => self.failed(&format!("{what}: {e}")),
            NoConnection::Timeout(after) => {
                let now = examine(pid, true, self.look);
                let why = now.diagnosis.suspects().unwrap_or_else(|| {
                    "no reason is to be seen, so a thread of the VM may hang".into()
                });
                let what =
                    format!("it did not open its socket within {} s: {why}", after.as_secs());
                failed(&now, &self.asked, &what)
            }
        }
    }

    /// The error that this went wrong, with what to run instead.
    pub(crate) fn failed(&self, what: &str) -> Error {
        failed(&self.examined, &self.asked, what)
    }

    /// Of the JVM's temporary and its working directory the one with the most room in which its
    /// user may make files.
    pub(crate) fn writable_directory(&self) -> Option<ReachedDirectory> {
        let target = self.examined.target.as_ref()?;
        let link = format!("/proc/{}/cwd", target.pid());
        let cwd = target.look(|| std::fs::read_link(&link)).ok();
        let all = [Some(PathBuf::from(&self.examined.tmp)), cwd];
        let reached = all.into_iter().flatten().filter_map(|d| target.reach(&d).ok());
        let usable = reached.filter(|d| files::may_write(target, &d.directory) != Some(false));
        let room = |d: &ReachedDirectory| {
            rustix::fs::fstatvfs(&d.directory).map_or(0, |s| s.f_bavail.saturating_mul(s.f_frsize))
        };
        usable.max_by_key(room)
    }
}

/// The error, with what to run instead.
fn failed(examined: &Examined, asked: &RequestText, what: &str) -> Error {
    let diagnosis = &examined.diagnosis;
    let pid = diagnosis.pid;
    // Whether a file has to be brought depends on the command, which may write none.
    let next = NextStep { fetch: false, ..diagnosis.next.clone() };
    let next = (asked.command)(&next, &asked.words);
    let core = match &asked.instead {
        Some(instead) => format!("{instead}, or take a core: rjcore capture {pid}"),
        None => format!("take a core: rjcore capture {pid}"),
    };
    let next = match diagnosis.verdict {
        // Something else went wrong than what can be seen.
        Verdict::Attach | Verdict::Capture if diagnosis.no_capture.is_none() => {
            format!("without its help: {core}")
        }
        Verdict::Mend if diagnosis.no_capture.is_none() => {
            format!("mend that: {next}; or without its help: {core}")
        }
        _ => format!("next: {next}"),
    };
    Error::attach(pid, format!("{what}; {next}"))
}

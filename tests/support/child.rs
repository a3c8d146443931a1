//! How all tests start other programs: with the signals that a command in a terminal has, and never for ever.
//!
//! What nohup or a shell's background job starts ignores SIGINT, SIGQUIT and SIGHUP, and hands that on; a program
//! that keeps an ignored signal ignored, as rjcore does, would then never end by it. And a program that hangs ends by
//! a limit, so that whoever waits for it or reads from it goes on, and the test fails with the command's name.
//! `Command` and `Child` have the methods of std's. A child that is still there when it is dropped is killed.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, CommandArgs, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::proc::children;

/// How long a test waits for anything: far longer than it takes on any machine, however busy. Nothing is measured by it.
pub const LIMIT: Duration = Duration::from_secs(1200);

pub struct Command {
    inner: std::process::Command,
    /// Which of the three streams were led somewhere.
    led: [bool; 3],
}

impl Command {
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        let mut inner = std::process::Command::new(program);
        let defaults = || {
            for signal in 1..=libc::SIGRTMAX() {
                // SAFETY: it may be called between fork and exec. What must not be changed it leaves alone.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
            }
            Ok(())
        };
        // SAFETY: `defaults` takes no lock and no memory.
        unsafe { inner.pre_exec(defaults) };
        Command { inner, led: [false; 3] }
    }

    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Command {
        self.inner.arg(arg);
        self
    }

    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Command {
        self.inner.args(args);
        self
    }

    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.inner.env(name, value);
        self
    }

    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.inner.env_remove(name);
        self
    }

    pub fn current_dir(&mut self, dir: impl AsRef<Path>) -> &mut Command {
        self.inner.current_dir(dir);
        self
    }

    pub fn stdin(&mut self, from: impl Into<Stdio>) -> &mut Command {
        self.led[0] = true;
        self.inner.stdin(from);
        self
    }

    pub fn stdout(&mut self, to: impl Into<Stdio>) -> &mut Command {
        self.led[1] = true;
        self.inner.stdout(to);
        self
    }

    pub fn stderr(&mut self, to: impl Into<Stdio>) -> &mut Command {
        self.led[2] = true;
        self.inner.stderr(to);
        self
    }

    /// As the user and the group of this number.
    pub fn ids(&mut self, id: u32) -> &mut Command {
        self.inner.uid(id).gid(id);
        self
    }

    /// # Safety
    /// `f` may do only what may be done between fork and exec.
    pub unsafe fn pre_exec(&mut self, f: impl FnMut() -> io::Result<()> + Send + Sync + 'static) {
        // SAFETY: as the caller promises.
        unsafe { self.inner.pre_exec(f) };
    }

    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    pub fn spawn(&mut self) -> io::Result<Child> {
        let mut inner = self.inner.spawn()?;
        let (stdin, stdout, stderr) =
            (inner.stdin.take(), inner.stdout.take(), inner.stderr.take());
        let watch = Some(Watch::new(inner.id(), format!("{self:?}")));
        Ok(Child { inner, stdin, stdout, stderr, what: format!("{self:?}"), watch })
    }

    /// Runs it to its end. As with std, streams that were led nowhere are empty, and taken.
    pub fn output(&mut self) -> io::Result<Output> {
        let [stdin, stdout, stderr] = self.led;
        if !stdin {
            self.stdin(Stdio::null());
        }
        if !stdout {
            self.stdout(Stdio::piped());
        }
        if !stderr {
            self.stderr(Stdio::piped());
        }
        let child = self.spawn();
        self.led = [stdin, stdout, stderr];
        child?.wait_with_output()
    }

    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

pub struct Child {
    inner: std::process::Child,
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
    what: String,
    watch: Option<Watch>,
}

impl Child {
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.inner)
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap_or_else(|e| panic!("{}: {e}", self.what));
    }

    pub fn kill(&mut self) -> io::Result<()> {
        self.inner.kill()
    }

    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.inner.try_wait()
    }

    /// Panics, with the command, if it had to be killed since it did not end.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        let watch = self.watch.take().unwrap_or_else(|| Watch::new(self.id(), self.what.clone()));
        let status = self.inner.wait();
        assert!(!watch.has_killed(), "{} did not end within {LIMIT:?}", self.what);
        status
    }

    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let err = self.stderr.take().map(|e| thread::spawn(|| read(e)));
        let stdout = self.stdout.take().map_or(Ok(Vec::new()), read)?;
        let stderr = err.map_or(Ok(Vec::new()), |e| e.join().expect("a thread that reads"))?;
        Ok(Output { status: self.wait()?, stdout, stderr })
    }

    /// Lets it live as long as the test does: it has started well. Whoever waits for its end has a limit anew.
    pub fn unlimited(&mut self) {
        let watch = self.watch.take();
        assert!(!watch.is_some_and(|w| w.has_killed()), "{}: nothing for {LIMIT:?}", self.what);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Ok(None) = self.inner.try_wait() {
            let _ = self.inner.kill();
            let _ = self.inner.wait();
        }
    }
}

fn read(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    from.read_to_end(&mut all).map(|_| all)
}

/// Kills a process and all that it started, once `LIMIT` is over; not any more when dropped.
struct Watch {
    killed: Arc<AtomicBool>,
    _is_over: Sender<()>,
}

impl Watch {
    /// Of a child that nobody has waited for yet.
    fn new(pid: u32, what: String) -> Watch {
        let killed = Arc::new(AtomicBool::new(false));
        let (_is_over, over) = channel();
        let pid = Pid::from_raw(pid as i32).expect("a process");
        // Its number may be another one's by then.
        let process = pidfd_open(pid, PidfdFlags::empty());
        let mark = killed.clone();
        thread::spawn(move || {
            let (Ok(process), Err(RecvTimeoutError::Timeout)) = (process, over.recv_timeout(LIMIT))
            else {
                return;
            };
            let all = descendants(pid);
            mark.store(true, Ordering::Relaxed);
            eprintln!("killed, for it did not end within {LIMIT:?}: {what}");
            let _ = pidfd_send_signal(process, Signal::KILL);
            // What they started may hold the pipes that are read from.
            for pid in all {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        Watch { killed, _is_over }
    }

    fn has_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }
}

fn descendants(pid: Pid) -> Vec<Pid> {
    let own = children(pid.as_raw_nonzero().get());
    let own: Vec<Pid> = own.into_iter().filter_map(Pid::from_raw).collect();
    own.iter().flat_map(|p| descendants(*p)).chain(own.iter().copied()).collect()
}

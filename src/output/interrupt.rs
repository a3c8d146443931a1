//! Ctrl-C and its kin: while there is something to tidy, the first signal asks for a tidy end, the second one ends at once.
//!
//! Knows which temporary files exist, so that the second signal can remove them; knows nothing
//! of what is being written. State is per process, as signals are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::error::{Error, Result};
use crate::mapped::{Doomed, doom};

/// The first signal that came, or 0.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// There is nothing to tidy: a signal ends at once.
static SETTLED: AtomicBool = AtomicBool::new(false);
/// The temporary files that exist now.
static TEMPORARY: Mutex<Vec<(PathBuf, Doomed)>> = Mutex::new(Vec::new());

/// Start listening for SIGINT, SIGTERM and SIGHUP; later calls only take [`settle`] back.
///
/// A signal that the parent had us ignore (nohup, a shell's background job) stays ignored.
/// A thread does the work, so nothing runs inside a signal handler.
pub fn install() -> io::Result<()> {
    static ONCE: Once = Once::new();
    SETTLED.store(false, Ordering::SeqCst);
    let mut result = Ok(());
    ONCE.call_once(|| result = listen());
    result
}

fn listen() -> io::Result<()> {
    let ignored = ignored_mask(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|s| ignored & (1 << (s - 1)) == 0);
    let mut signals = Signals::new(wanted)?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let is_first =
                SIGNAL.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok();
            if is_first && !SETTLED.load(Ordering::SeqCst) {
                continue;
            }
            // The lock is kept to the end: no new temporary file can slip in.
            let files = temporary();
            for (path, _) in files.iter() {
                let _ = std::fs::remove_file(path);
            }
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// From now on a file that may grow no further (`ulimit -f`) is an error of the write, not the end of the process.
pub fn survive_size_limit() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map(drop)
}

/// From here on there is nothing to tidy, until [`install`] is called again: a signal ends at once.
/// [`Error::Interrupted`] where one came before; `path` is what will not be written.
pub fn settle(path: &Path) -> Result<()> {
    SETTLED.store(true, Ordering::SeqCst);
    // In one order with the thread that listens: it sees the one, or this the other.
    match SIGNAL.load(Ordering::SeqCst) {
        0 => Ok(()),
        _ => Err(Error::Interrupted(path.to_owned())),
    }
}

/// The `SigIgn` mask of a `/proc/<pid>/status`: bit n-1 is signal n (proc_pid_status(5)).
fn ignored_mask(status: &str) -> u64 {
    let line = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

/// Whether a signal asked for the end.
pub fn requested() -> bool {
    SIGNAL.load(Ordering::Relaxed) != 0
}

/// [`Error::Interrupted`] once a signal came; `path` is the file that will not be written.
pub fn check(path: &Path) -> Result<()> {
    if requested() { Err(Error::Interrupted(path.to_owned())) } else { Ok(()) }
}

/// The exit code of an interrupted run, 128 + signal as shells have it; `None` without a signal.
pub fn exit_code() -> Option<u8> {
    match SIGNAL.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(128u8.saturating_add(signal as u8)),
    }
}

/// Create a temporary file with `create` and remember the path that it answers.
pub(crate) fn register<T>(create: impl FnOnce() -> Result<(T, PathBuf)>) -> Result<T> {
    let mut files = temporary();
    let (made, path) = create()?;
    let doomed = doom(&path);
    files.push((path, doomed));
    Ok(made)
}

/// Forget a temporary file that was renamed or removed.
pub(crate) fn unregister(path: &Path) {
    temporary().retain(|(p, _)| p != path);
}

fn temporary() -> MutexGuard<'static, Vec<(PathBuf, Doomed)>> {
    TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigign_is_read_as_hex() {
        let status = "Name:\tx\nSigBlk:\t0000000000000003\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored_mask(status), 0x1001);
        assert_eq!(ignored_mask(""), 0);
        assert_eq!(ignored_mask("SigIgn:\tzz"), 0);
    }

    #[test]
    fn nothing_is_interrupted_without_a_signal() {
        assert!(check(Path::new("x")).is_ok());
        assert_eq!(exit_code(), None);
    }
}

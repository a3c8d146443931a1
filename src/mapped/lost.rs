//! SIGBUS: the handler that says which file it was, removes the temporary files, and ends the process. Whoever else has to
//! end it at once does so here, too.
//!
//! What it does is what POSIX allows in a handler: it reads lists that threads never leave half changed, and calls
//! write, unlink, sigaction and _exit.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::notes::{Note, Notes};

/// What is said of the files that are mapped now.
static MAPPED: Notes = Notes::new();
/// The temporary files that exist now.
static TEMPORARY: Notes = Notes::new();
/// What the signal did before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// The exit code of what failed.
const FAILED: c_int = 1;

/// A mapping whose loss is explained.
pub(super) type Watched = Note;
/// A temporary file that goes away with the process.
pub(crate) type Doomed = Note;

/// Explains the loss of the bytes of a file from now on.
pub(super) fn watch(bytes: &[u8], label: &Path) -> Watched {
    let start = bytes.as_ptr() as usize;
    // Its name may hold what a terminal would obey.
    let name: String = label
        .to_string_lossy()
        .chars()
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    let text = format!(
        "\nrjcore: {name}: a part of it was there when it was opened and cannot be read any more: another program shortened it, or the disk has an error; no file was written, and what went to a stream is not whole. See whether it is still being written, and try again on a copy that nobody changes\n"
    );
    MAPPED.add(start, start + bytes.len(), text.as_bytes())
}

/// Has a temporary file removed if the process ends by a lost page.
pub(crate) fn doom(path: &Path) -> Doomed {
    // Wherever the process goes to meanwhile.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    TEMPORARY.add(0, 0, path.as_os_str().as_bytes())
}

/// From now on a page of a mapped file that cannot be read ends the process with a sentence and exit code 1.
pub(crate) fn end_on_lost_pages() -> io::Result<()> {
    if BEFORE.get().is_some() {
        return Ok(());
    }
    // SAFETY: all fields of it may be zero.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the same; it is filled in by the call.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: both outlive the calls. What it has afterwards is for the handler to read, so it is kept first.
    unsafe {
        if libc::sigaction(libc::SIGBUS, std::ptr::null(), &mut before) != 0 {
            return Err(io::Error::last_os_error());
        }
        let _ = BEFORE.set(before);
        match libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut()) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

extern "C" fn handler(_signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel hands over what it says of a SIGBUS.
    let at = unsafe { (*info).si_addr() } as usize;
    MAPPED.each(|start, end, text| {
        if start <= at && at < end {
            end_with(text.to_bytes());
        }
    });
    if let Some(before) = BEFORE.get() {
        // What is not ours: as if we had never been here. The instruction runs again, and whoever was there before has it.
        // SAFETY: it may be called in a handler; `before` lives as long as the process.
        unsafe { libc::sigaction(libc::SIGBUS, before, std::ptr::null_mut()) };
    }
}

/// Ends the process at once, with a text on standard error and exit code 1; temporary files go away. It allocates nothing,
/// and may be called in a handler.
pub(crate) fn end_with(text: &[u8]) -> ! {
    static BUSY: AtomicBool = AtomicBool::new(false);
    // Another thread may have met the same: one of them says so and ends all.
    if BUSY.swap(true, SeqCst) {
        loop {
            // SAFETY: it may be called in a handler.
            unsafe { libc::pause() };
        }
    }
    TEMPORARY.each(|_, _, path| {
        // SAFETY: it may be called in a handler; the path is whole.
        unsafe { libc::unlink(path.as_ptr()) };
    });
    // SAFETY: they may be called in a handler; the text is as long as it says.
    unsafe {
        libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        libc::_exit(FAILED)
    }
}

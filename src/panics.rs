//! Faults of rjcore itself: what a panic said and where, kept for whoever caught it or for the end of the program.
//!
//! A panic is never meant. Where work is done piece by piece, the piece is given up and told; elsewhere the command ends.
//! The program has panics noted here and nothing printed ([`note_all`]); a user of the library has Rust's own hook.

use std::any::Any;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// What a panic says, at most so many characters of it: it may quote the target.
const MAX_WORDS: usize = 500;
/// Where std gives a new thread its stack for signals, and panics without memory for that: before any code of the thread.
const THREAD_START: &str = "stack_overflow";

/// One panic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at {place})")]
pub struct Panicked {
    /// What it said.
    what: String,
    /// Where in the sources.
    place: String,
}

/// What was noted so far.
struct Noted {
    /// Those that nobody has caught, with their threads.
    uncaught: Vec<(ThreadId, Panicked)>,
    /// Pieces of work that were given up, and the first one's panic.
    survived: Option<(u64, Panicked)>,
}

static NOTED: Mutex<Noted> = Mutex::new(Noted { uncaught: Vec::new(), survived: None });

fn noted() -> MutexGuard<'static, Noted> {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on a panic is noted, and prints nothing. Where a thread gets no memory to start with, `no_memory` ends the
/// program: that panic nobody could catch.
pub(crate) fn note_all(no_memory: fn() -> !) {
    set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if info.location().is_some_and(|l| l.file().contains(THREAD_START)) {
            no_memory();
        }
        let place = info.location().map(|l| format!("{}:{}", l.file(), l.line()));
        let panicked = Panicked::new(info.payload(), place.unwrap_or_default());
        noted().uncaught.push((thread::current().id(), panicked));
    }));
}

impl Panicked {
    fn new(payload: &(dyn Any + Send), place: String) -> Panicked {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let what: String = text.unwrap_or("no words").chars().take(MAX_WORDS).collect();
        Panicked { what: what.replace(char::is_control, " "), place }
    }
}

/// Does `work`, whose panic is an answer.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let (own, mut noted) = (thread::current().id(), noted());
        match noted.uncaught.iter().rposition(|(by, _)| *by == own) {
            Some(at) => noted.uncaught.remove(at).1,
            None => Panicked::new(&*payload, "a place that was not noted".into()),
        }
    })
}

/// Does a piece of work; where it panics, that is counted, and the piece has no answer.
pub(crate) fn survive<T>(work: impl FnOnce() -> T) -> Option<T> {
    match caught(work) {
        Ok(done) => Some(done),
        Err(panicked) => {
            noted().survived.get_or_insert((0, panicked)).0 += 1;
            None
        }
    }
}

/// How many pieces of work were given up, and the first one's panic.
pub(crate) fn survived() -> Option<(u64, Panicked)> {
    noted().survived.clone()
}

/// The first panic that nobody has caught, of whichever thread.
pub(crate) fn uncaught() -> Option<Panicked> {
    noted().uncaught.first().map(|(_, panicked)| panicked.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_says_is_kept_short_and_plain() {
        let said = caught(|| panic!("made to fail: {}\u{1b}[2J{}", 7, "x".repeat(9_999)));
        let said = said.unwrap_err().to_string();
        assert!(said.starts_with("made to fail: 7 [2Jxxx"), "{said}");
        assert!(said.len() <= MAX_WORDS + 100, "{said}");
        assert_eq!(caught(|| 7), Ok(7));
    }

    #[test]
    fn a_piece_that_panics_has_no_answer() {
        assert_eq!(survive(|| 7), Some(7));
        assert_eq!(survive::<u8>(|| panic!("made to fail")), None);
        assert!(survived().is_some_and(|(count, _)| count > 0));
    }
}

//! A list of texts that a signal handler may read while threads add to it and take away.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

/// Texts, each with a range of memory. Its links live as long as the process, and are used again: there are as many as
/// there were texts at one time.
pub(super) struct Notes {
    first: AtomicPtr<Link>,
    /// Held by whoever adds.
    adding: Mutex<()>,
    /// A handler reads the list: no text is freed from now on.
    reading: AtomicBool,
}

struct Link {
    next: *const Link,
    start: AtomicUsize,
    end: AtomicUsize,
    /// Null where the link is free.
    text: AtomicPtr<c_char>,
}

// SAFETY: `next` is never changed once the link can be seen, and leads to a link that lives as long as the process.
unsafe impl Sync for Link {}

/// A text on a list, until this is dropped.
#[derive(Debug)]
pub(crate) struct Note {
    link: &'static Link,
    list: &'static Notes,
}

impl Notes {
    pub(super) const fn new() -> Notes {
        Notes {
            first: AtomicPtr::new(ptr::null_mut()),
            adding: Mutex::new(()),
            reading: AtomicBool::new(false),
        }
    }

    /// Adds a text about `start..end`; what is behind a NUL in it is left out.
    pub(super) fn add(&'static self, start: usize, end: usize, text: &[u8]) -> Note {
        let text = text.split(|b| *b == 0).next().unwrap_or_default();
        let text = CString::new(text).unwrap_or_default().into_raw();
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.links().find(|l| l.text.load(SeqCst).is_null());
        let link = free.unwrap_or_else(|| {
            let link = Box::leak(Box::new(Link {
                next: self.first.load(SeqCst),
                start: AtomicUsize::new(0),
                end: AtomicUsize::new(0),
                text: AtomicPtr::new(ptr::null_mut()),
            }));
            self.first.store(link, SeqCst);
            link
        });
        link.start.store(start, SeqCst);
        link.end.store(end, SeqCst);
        link.text.store(text, SeqCst);
        Note { link, list: self }
    }

    fn links(&self) -> impl Iterator<Item = &'static Link> {
        let mut at: *const Link = self.first.load(SeqCst);
        std::iter::from_fn(move || {
            // SAFETY: null, or a link, which lives as long as the process.
            let link: &'static Link = unsafe { at.as_ref() }?;
            at = link.next;
            Some(link)
        })
    }

    /// Has `each` see the texts and their ranges, for a signal handler: neither memory nor a lock is taken here, and
    /// from now on no text is freed.
    pub(super) fn each(&'static self, mut each: impl FnMut(usize, usize, &CStr)) {
        self.reading.store(true, SeqCst);
        for link in self.links() {
            let text = link.text.load(SeqCst);
            if !text.is_null() {
                // SAFETY: it was made by `add`, and `Note::drop` has either not taken it out, or has seen `reading`: both
                // are in one order with the two lines above.
                let text = unsafe { CStr::from_ptr(text) };
                each(link.start.load(SeqCst), link.end.load(SeqCst), text);
            }
        }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let text = self.link.text.swap(ptr::null_mut(), SeqCst);
        if !text.is_null() && !self.list.reading.load(SeqCst) {
            // SAFETY: `add` made it, nobody else has it any more, and no handler has begun to read.
            drop(unsafe { CString::from_raw(text) });
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("start", &self.start).field("end", &self.end).finish()
    }
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &'static Notes) -> Vec<(usize, usize, String)> {
        let mut out = Vec::new();
        list.each(|from, to, text| out.push((from, to, text.to_string_lossy().into_owned())));
        out.sort();
        out
    }

    #[test]
    fn texts_come_and_go() {
        static LIST: Notes = Notes::new();
        let one = LIST.add(1, 2, b"one");
        let two = LIST.add(3, 4, b"two\0not this");
        let name = |from, to, text: &str| (from, to, text.to_owned());
        assert_eq!(LIST.links().count(), 2);
        drop(one);
        let three = LIST.add(5, 6, b"three");
        assert_eq!(LIST.links().count(), 2, "a free link is used again");
        assert_eq!(texts(&LIST), [name(3, 4, "two"), name(5, 6, "three")]);
        drop((two, three));
        assert_eq!(texts(&LIST), []);
    }

    /// Threads that add and take away beside one that reads: each text that it sees is a whole one.
    #[test]
    fn who_reads_meets_whole_texts_only() {
        static LIST: Notes = Notes::new();
        std::thread::scope(|scope| {
            for n in 0..3 {
                scope.spawn(move || {
                    for i in 0..200 {
                        let _note =
                            LIST.add(n, n + 1, format!("{n} {}", "x".repeat(i % 50)).as_bytes());
                    }
                });
            }
            for _ in 0..50 {
                LIST.each(|_, _, text| {
                    let text = text.to_str().expect("UTF-8");
                    assert!(
                        text.trim_start_matches(['0', '1', '2', ' ']).chars().all(|c| c == 'x')
                    );
                });
            }
        });
        assert!(LIST.links().count() <= 3);
    }
}

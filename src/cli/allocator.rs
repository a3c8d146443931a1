//! Memory that the system does not give: the program ends with a sentence and exit code 1, and no temporary file stays.
//!
//! Rust's own way is a message of its own and SIGABRT.
#![allow(unsafe_code, reason = "it stands before the system's allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::io::{Cursor, Write};

use crate::mapped::end_with;

/// The system's allocator, for the program.
#[derive(Debug)]
pub struct Allocator;

// SAFETY: all is the system's; where it has nothing to give, nothing is returned.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the contract, here and below.
        given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.realloc(at, layout, size) }, size)
    }
}

#[inline]
fn given(at: *mut u8, size: usize) -> *mut u8 {
    if at.is_null() {
        refused(format_args!("it asked for {size} bytes"));
    }
    at
}

/// Says that a thread could not be started.
pub(super) fn no_thread() -> ! {
    refused(format_args!("for another thread"))
}

/// Says it, without any more memory.
#[cold]
fn refused(what: fmt::Arguments<'_>) -> ! {
    let mut text = Cursor::new([0; 400]);
    let _ = writeln!(
        text,
        "\nrjcore: the system gives it no more memory ({what}); no file was written, and what went to \
         a stream is not whole. Allow it more (ulimit -v, the container's limit), or try it with --threads 1"
    );
    let len = text.position() as usize;
    end_with(text.get_ref().get(..len).unwrap_or_default())
}

//! What all fuzz targets share: the parser by its name, and a limit of the memory that an input may take.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

use rjcore::fuzzing::{self, Target};

/// Bytes that reading an input may take at once. Inputs have some kilobytes.
const MOST: usize = 256 << 20;

/// The system's allocator, which counts.
struct Counted;

/// Bytes that are taken now.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// More than may be taken while an input is read.
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

#[global_allocator]
static COUNTED: Counted = Counted;

impl Counted {
    /// More bytes are taken; too many are an end that libFuzzer tells with its input.
    fn take(bytes: usize) {
        if TAKEN.fetch_add(bytes, Ordering::Relaxed) + bytes > LIMIT.load(Ordering::Relaxed) {
            LIMIT.store(usize::MAX, Ordering::Relaxed);
            eprintln!("rjcore-fuzz: an input takes more than {MOST} bytes of memory");
            process::abort();
        }
    }
}

// SAFETY: all is the system's; only sums are kept beside it.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counted::take(layout.size());
        // SAFETY: the caller keeps to the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Counted::take(layout.size());
        // SAFETY: the caller keeps to the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Counted::take(size);
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Has a target read an input, with no more memory than it may have. With a directory in `RJCORE_SEEDS` it first writes
/// its seeds there, a file each.
pub fn run(name: &str, data: &[u8]) {
    static TARGET: OnceLock<Target> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let target = *fuzzing::target(name).expect("a target of this name");
        if let Some(dir) = env::var_os("RJCORE_SEEDS") {
            for (n, seed) in (target.seeds)().into_iter().enumerate() {
                fs::write(Path::new(&dir).join(format!("seed-{n:03}")), seed).expect("a seed");
            }
        }
        target
    });
    LIMIT.store(TAKEN.load(Ordering::Relaxed) + MOST, Ordering::Relaxed);
    (target.run)(data);
    LIMIT.store(usize::MAX, Ordering::Relaxed);
}

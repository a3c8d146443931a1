//! Numbered pieces of work for all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::{Error, Result};

/// Has `threads` threads do pieces 0 to `count`, each as it gets to it; answers what each thread made of its own.
pub(super) fn share<S: Send>(
    threads: usize,
    count: usize,
    make: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) + Sync,
) -> Result<Vec<S>> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut own = make();
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= count {
                return own;
            }
            work(&mut own, piece);
        }
    };
    let threads = threads.min(count).max(1);
    if threads == 1 {
        return Ok(vec![run()]);
    }
    thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().name("hprof".into()).spawn_scoped(scope, run);
        let started: Vec<_> = (0..threads).map(spawn).collect::<Result<_, _>>().map_err(|e| {
            // Those that have started find nothing left to do.
            next.store(count, Ordering::Relaxed);
            Error::Threads { threads, why: e.to_string() }
        })?;
        let joined = started.into_iter().map(thread::ScopedJoinHandle::join);
        Ok(joined.map(|own| own.unwrap_or_else(|e| std::panic::resume_unwind(e))).collect())
    })
}

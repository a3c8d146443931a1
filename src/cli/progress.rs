//! The progress bar on standard error; the only user of indicatif.
//!
//! Knows nothing of what is counted: lower layers get a plain function of bytes done.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Short runs show nothing.
const DELAY: Duration = Duration::from_secs(1);
const KNOWN: &str = "{prefix} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
const OBJECTS: &str = "{prefix} {bar:30} {human_pos}/{human_len} objects, {eta} left";
const UNKNOWN: &str = "{prefix} {bytes} {bytes_per_sec}";

/// A bar of bytes that shows itself after a second, on a terminal only.
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    shown: AtomicBool,
    done: AtomicU64,
}

impl Progress {
    /// A bar up to `total_bytes` (0: not known) named `label`.
    pub fn new(label: &str, total_bytes: u64) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress::none();
        }
        let bar = ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::hidden());
        let template = if total_bytes == 0 { UNKNOWN } else { KNOWN };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(label.to_owned());
        let mut progress = Progress::none();
        progress.bar = Some(bar);
        progress
    }

    /// A bar of objects instead.
    pub fn of_objects(label: &str, total: u64) -> Progress {
        let progress = Progress::new(label, total);
        let style = ProgressStyle::with_template(OBJECTS);
        if let (Some(bar), Ok(style)) = (&progress.bar, style) {
            bar.set_style(style);
        }
        progress
    }

    /// Counts, and shows nothing.
    pub fn none() -> Progress {
        Progress {
            bar: None,
            started: Instant::now(),
            shown: AtomicBool::new(false),
            done: AtomicU64::new(0),
        }
    }

    /// `bytes` more are done; from any thread. Hand down as `&|n| progress.add(n)`.
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        let Some(bar) = &self.bar else { return };
        bar.inc(bytes);
        if !self.shown.load(Ordering::Relaxed)
            && self.started.elapsed() >= DELAY
            && !self.shown.swap(true, Ordering::Relaxed)
        {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Bytes done so far.
    pub fn bytes(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Take the bar off the terminal; dropping does the same.
    pub fn finish(self) {}
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up() {
        let progress = Progress::none();
        let add: &(dyn Fn(u64) + Sync) = &|n| progress.add(n);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| (0..1000).for_each(|_| add(3)));
            }
        });
        assert_eq!(progress.bytes(), 12_000);
        progress.finish();
    }
}

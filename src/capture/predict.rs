//! How long a stop will take, before it is made.
//!
//! Knows what each step costs, as measured on a virtual machine of two CPUs (hardware alone is quicker), and how much
//! there is to do; knows nothing of how it is done.

use std::collections::HashMap;
use std::time::Duration;

use super::report::{Method, Prediction};
use super::target::Target;
use crate::process::facts::Thread;

/// A stop of this length or less is not worth a copy of all memory.
pub(super) const SHORT: Duration = Duration::from_millis(20);

/// To stop a thread, read its registers, and let it run on.
const THREAD_US: u64 = 40;
/// What a fork takes for each KB of page tables.
const PAGE_TABLES_US: u64 = 15;
/// And for each mapping.
const MAPPING_US: u64 = 6;
/// Microseconds to copy one MB within the stop.
const MB_US: u64 = 800;

/// To copy so many bytes.
pub(super) fn to_copy(bytes: u64) -> Duration {
    Duration::from_micros(((bytes >> 10) * MB_US) >> 10)
}

/// In whole milliseconds, for people.
pub(super) fn ms(time: Duration) -> String {
    format!("{} ms", time.as_millis().max(1))
}

impl Target<'_> {
    /// For its threads: those that sleep are not stopped where there are many.
    pub(super) fn to_stop_threads(&self, known: &HashMap<i32, Thread>) -> Duration {
        let held = self.may_be_held(known).len();
        Duration::from_micros((known.len() - held) as u64 * THREAD_US)
    }

    /// For a fork, but for the threads.
    pub(super) fn to_fork(&self) -> Duration {
        let page_tables = self.facts.status.vmpte.unwrap_or(0) * PAGE_TABLES_US;
        Duration::from_micros(page_tables + self.maps.len() as u64 * MAPPING_US)
    }

    /// Notes what a method would cost, for the report.
    pub(super) fn predict(&self, method: Method, pause: Duration) {
        let mut predicted = self.predicted();
        predicted.retain(|p| p.method != method);
        predicted.push(Prediction { method, pause_ms: pause.as_secs_f64() * 1e3 });
    }
}

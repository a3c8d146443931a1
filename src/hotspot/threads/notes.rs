//! The kernel's notes of threads, found by id and by where the stack pointer is.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

use crate::corefile::ThreadNote;

/// Microseconds of a tick of USER_HZ.
const TICK_US: u64 = 10_000;

/// All of them; a look-up does not grow with their number.
#[derive(Debug)]
pub struct ThreadNotes<'a> {
    all: &'a [ThreadNote],
    by_id: HashMap<i32, &'a ThreadNote>,
    /// In order.
    by_sp: Vec<(u64, &'a ThreadNote)>,
    counts_cpu: bool,
    /// What wrote the core had the times from /proc, which counts USER_HZ.
    in_ticks: bool,
}

/// A thread's CPU time, with the digits that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuTime {
    /// Counted in ticks of 10 ms.
    Milliseconds(u64),
    /// As the kernel's own cores have it.
    Microseconds(u64),
}

impl CpuTime {
    /// As thread dumps have it: `120ms`, `120.34ms`.
    pub fn text(self) -> String {
        match self {
            CpuTime::Milliseconds(ms) => format!("{ms}ms"),
            CpuTime::Microseconds(us) => format!("{:.2}ms", us as f64 / 1000.0),
        }
    }
}

/// In ms, with three digits behind the point or none.
impl Serialize for CpuTime {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            CpuTime::Milliseconds(ms) => s.serialize_u64(*ms),
            CpuTime::Microseconds(us) => s.serialize_f64(*us as f64 / 1000.0),
        }
    }
}

impl<'a> ThreadNotes<'a> {
    /// Indexes the notes of a core.
    pub fn new(all: &'a [ThreadNote]) -> ThreadNotes<'a> {
        let mut by_id = HashMap::new();
        for note in all {
            by_id.entry(note.tid).or_insert(note);
        }
        let mut by_sp: Vec<_> = all.iter().map(|n| (n.registers().0, n)).collect();
        by_sp.sort_by_key(|n| n.0);
        let counts_cpu = all.iter().any(|n| n.cpu_us != 0);
        let in_ticks = all.iter().all(|n| n.cpu_us.is_multiple_of(TICK_US));
        ThreadNotes { all, by_id, by_sp, counts_cpu, in_ticks }
    }

    /// In the core's order; the first is the one that took the signal.
    pub fn all(&self) -> &'a [ThreadNote] {
        self.all
    }

    /// The first with this id.
    pub fn with_id(&self, tid: i32) -> Option<&'a ThreadNote> {
        self.by_id.get(&tid).copied()
    }

    /// Those whose stack pointer is in `start..end`, by it.
    pub fn within(&self, start: u64, end: u64) -> impl Iterator<Item = &'a ThreadNote> + '_ {
        let first = self.by_sp.partition_point(|n| n.0 < start);
        self.by_sp.iter().skip(first).take_while(move |n| n.0 < end).map(|n| n.1)
    }

    /// The CPU time of a thread; gdb's cores have none.
    pub fn cpu_time(&self, tid: i32) -> Option<CpuTime> {
        let note = self.with_id(tid).filter(|_| self.counts_cpu)?;
        Some(match self.in_ticks {
            true => CpuTime::Milliseconds(note.cpu_us / 1000),
            false => CpuTime::Microseconds(note.cpu_us),
        })
    }
}

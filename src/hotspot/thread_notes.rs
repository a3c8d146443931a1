//! The kernel's notes of threads, found by id and by where the stack pointer is.

use std::collections::HashMap;

use crate::corefile::ThreadNote;

/// All of them; a look-up does not grow with their number.
#[derive(Debug)]
pub struct ThreadNotes<'a> {
    all: &'a [ThreadNote],
    by_id: HashMap<i32, &'a ThreadNote>,
    /// In order.
    by_sp: Vec<(u64, &'a ThreadNote)>,
    counts_cpu: bool,
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
        ThreadNotes { all, by_id, by_sp, counts_cpu }
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
        self.by_sp[first..].iter().take_while(move |n| n.0 < end).map(|n| n.1)
    }

    /// The CPU time of a thread in ms; gdb's cores have none.
    pub fn cpu_ms(&self, tid: i32) -> Option<f64> {
        let note = self.with_id(tid).filter(|_| self.counts_cpu)?;
        Some(note.cpu_us as f64 / 1000.0)
    }
}

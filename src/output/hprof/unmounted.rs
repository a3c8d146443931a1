//! Virtual threads that no carrier runs: only a walk over the heap finds them.
//!
//! Readers that go through a file once want a trace before what refers to it, and VisualVM's wants all
//! traces before the first segment. So they are looked for before anything is written.

use crate::error::Result;
use crate::heap::{Heap, Object, Visitor, walk};
use crate::hotspot::Vm;
use crate::hotspot::threads::VirtualThreads;

/// Notes one chunk's threads.
struct Finder<'v> {
    vm: &'v Vm<'v>,
    /// The number of their class.
    klass: u32,
    threads: VirtualThreads,
    found: Vec<u64>,
}

impl Visitor for Finder<'_> {
    #[inline(always)]
    fn object(&mut self, object: Object) {
        if object.klass == self.klass && self.threads.is_unmounted(self.vm, object.bytes) {
            self.found.push(object.addr);
        }
    }

    fn clear(&mut self) {
        self.found.clear();
    }
}

/// Their addresses, in order. A program that has never made one costs nothing.
pub fn find(heap: &Heap, workers: usize) -> Result<Vec<u64>> {
    let vm = heap.vm;
    let mut all = Vec::new();
    let Some(threads) = VirtualThreads::new(vm) else { return Ok(all) };
    let klass = heap.klasses.number(threads.klass);
    let make = || Finder { vm, klass, threads, found: Vec::new() };
    walk(heap, workers, make, |finder, _| {
        all.append(&mut finder.found);
        Ok(())
    })?;
    Ok(all)
}

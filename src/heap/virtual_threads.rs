//! Virtual threads that no carrier runs: only a walk over the heap finds them.

use super::layout::Slot;
use super::{Heap, Object, Visitor, walk};
use crate::error::Result;
use crate::hotspot::Vm;
use crate::hotspot::threads::{has_stack, virtual_thread_class};

/// How to tell a virtual thread that has a stack of its own on the heap.
#[derive(Debug, Clone, Copy)]
pub struct VirtualThreads {
    /// The number of java.lang.VirtualThread.
    pub klass: u32,
    state: Slot,
    carrier: Slot,
}

impl VirtualThreads {
    /// Finds the class's fields; none before 19, and none where no virtual thread was ever made.
    pub fn new(heap: &Heap) -> Option<VirtualThreads> {
        let vm = heap.vm;
        let klass = vm.classes.number(virtual_thread_class(vm)?.addr)?;
        let slot = |name| heap.layouts().slot(vm, klass, name);
        Some(VirtualThreads { klass, state: slot("state")?, carrier: slot("carrierThread")? })
    }

    /// Whether the VirtualThread with these bytes runs, but on no carrier now.
    pub fn is_unmounted(&self, vm: &Vm, object: &[u8]) -> bool {
        let carrier = self.carrier.bits(&vm.pointers, object);
        let state = self.state.bits(&vm.pointers, object);
        carrier.is_some_and(|bits| vm.barrier.is_null(vm.mem, bits))
            && state.is_some_and(|state| has_stack(state as i32))
    }
}

/// Notes one chunk's threads.
struct Finder<'v> {
    vm: &'v Vm<'v>,
    threads: VirtualThreads,
    found: Vec<u64>,
}

impl Visitor for Finder<'_> {
    #[inline(always)]
    fn object(&mut self, object: Object) {
        if object.klass == self.threads.klass && self.threads.is_unmounted(self.vm, object.bytes) {
            self.found.push(object.addr);
        }
    }

    fn clear(&mut self) {
        self.found.clear();
    }
}

/// Their addresses, in order, found by `workers` threads. A program that has never made one costs
/// nothing.
pub fn unmounted(heap: &Heap, workers: usize) -> Result<Vec<u64>> {
    let vm = heap.vm;
    let mut all = Vec::new();
    let Some(threads) = VirtualThreads::new(heap) else { return Ok(all) };
    let make = || Finder { vm, threads, found: Vec::new() };
    walk(heap, workers, make, |finder, _| {
        all.append(&mut finder.found);
        Ok(())
    })?;
    Ok(all)
}

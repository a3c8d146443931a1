//! Where objects start for certain: what `certain` makes use of.

use std::mem::take;

use super::Heap;
use super::walk::{Object, Visitor, walk_between};
use crate::error::Result;
use crate::hotspot::barrier::Barrier;

/// The starts of TLABs, and in a collection of all new copies that old ones lead to: 8 bytes each, in order.
pub(super) fn find(heap: &Heap, threads: usize) -> Result<Vec<u64>> {
    let mut found: Vec<u64> = heap.threads.iter().map(|t| t.tlab_start).collect();
    found.retain(|start| *start != 0);
    found.sort_unstable();
    // What a full collection has done is known by other means.
    if heap.moving && matches!(heap.vm.barrier, Barrier::Forwarded(_)) {
        let known = take(&mut found);
        walk_between(heap, &known, threads, Copies::default, |copies, _| {
            found.append(&mut copies.0);
            Ok(())
        })?;
        found.extend(known);
        found.sort_unstable();
    }
    found.dedup();
    Ok(found)
}

/// Where new copies are.
#[derive(Default)]
struct Copies(Vec<u64>);

impl Visitor for Copies {
    fn object(&mut self, _: Object) {}

    fn moved(&mut self, to: u64) {
        self.0.push(to);
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

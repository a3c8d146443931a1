//! Whether a live JVM is in the middle of a stop-the-world collection, by its own flag.
//!
//! Knows where HotSpot keeps that flag; how a process's memory is read is the caller's.

use super::image::LiveImage;
use crate::process::maps::Mapping;
use crate::process::peek::{Peek, Probe};

/// Where the flag of one JVM is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Collecting {
    /// Address of `Universe::_collectedHeap`, the pointer to the heap's description.
    heap: u64,
    /// Offset of `CollectedHeap::_is_stw_gc_active` (`_is_gc_active` before JDK 23) in that.
    flag: u64,
}

impl Collecting {
    /// Finds it by the tables of the libjvm that is mapped in `maps`; `None` where they are not to
    /// be had or lack it.
    pub(crate) fn find(maps: &[Mapping], read: Peek<'_>) -> Option<Collecting> {
        let fields = LiveImage::find(maps, read)?.fields;
        Some(Collecting { heap: fields.collected_heap.opt()?, flag: fields.gc_active.opt()? })
    }
}

impl Probe for Collecting {
    fn is_collecting(&self, read: Peek<'_>) -> Option<bool> {
        let (mut heap, mut flag) = ([0; 8], [0; 1]);
        read(self.heap, &mut heap).ok()?;
        // Zero until the VM has made its heap: then nothing is collected.
        let heap = Some(u64::from_le_bytes(heap)).filter(|h| *h != 0)?;
        read(heap.checked_add(self.flag)?, &mut flag).ok()?;
        Some(flag[0] != 0)
    }
}

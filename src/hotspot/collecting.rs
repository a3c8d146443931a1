//! Whether a live JVM is in the middle of a stop-the-world collection, by its own flag.
//!
//! Knows where HotSpot keeps that flag; how a process's memory is read is the caller's.

use std::sync::Arc;

use memmap2::MmapOptions;

use crate::capture::maps::{Mapping, is_libjvm};
use crate::capture::{Peek, Probe};
use crate::corefile::memory::Memory;
use crate::symbols::Library;
use crate::vmstructs::{Fields, Tables};

/// A libjvm with its data is smaller.
const MOST: u64 = 256 << 20;

/// Where the flag of one JVM is.
#[derive(Debug, Clone, Copy)]
pub struct Collecting {
    /// Address of `Universe::_collectedHeap`, the pointer to the heap's description.
    heap: u64,
    /// Offset of `CollectedHeap::_is_stw_gc_active` (`_is_gc_active` before JDK 23) in that.
    flag: u64,
}

impl Collecting {
    /// Finds it by the tables of the libjvm that is mapped in `maps`; `None` where they are not to
    /// be had or lack it.
    pub fn find(maps: &[Mapping], read: Peek<'_>) -> Option<Collecting> {
        let first = maps.iter().position(is_libjvm)?;
        let base = maps[first].start;
        let mut mem = Memory::default();
        let mut total = 0;
        for m in maps[first..].iter().filter(|m| is_libjvm(m) && m.flags & 4 != 0) {
            total += m.bytes();
            if total > MOST {
                break;
            }
            let mut copy = MmapOptions::new().len(m.bytes() as usize).map_anon().ok()?;
            // The end of a mapping may lie beyond its file's.
            if read(m.start, &mut copy).is_ok() {
                mem.lay_under(m.start, m.bytes(), &Arc::new(copy.make_read_only().ok()?), 0);
            }
        }
        let library = Library::read(&mem, base, "gHotSpotVM").ok()?;
        let fields = Fields::load(&Tables::read(&mem, &library).ok()?);
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

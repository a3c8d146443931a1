//! From the bits of a reference to where its object is now: HotSpot's load barriers, as far as
//! they read.
//!
//! Most collectors need none. ZGC's references have colours, and may be older than a relocation.
//! Shenandoah's may lead to an object's old copy, whose header has the address of the new one;
//! so may those of any other collector in the middle of a collection.

#[cfg_attr(
    not(test),
    allow(
        clippy::indexing_slicing,
        reason = "its indices are of its own lists; to be rewritten like the others"
    )
)]
pub(super) mod compaction;
pub(super) mod shenandoah;
mod z;

use super::pointers::{KlassForm, Pointers};
use super::vm_info::flags::Flags;
use crate::corefile::memory::Memory;
use crate::error::Result;
use crate::vmstructs::{Fields, Tables};
pub use compaction::{Compaction, dead_until};
pub use z::{Colour, Z};

/// `markWord.hpp`: the low bits of a header that holds a forwarding address.
const MARKED: u64 = 3;

/// Whether this is the header of an object that a collection has marked or moved.
#[inline(always)]
pub fn is_marked(head: &[u8]) -> bool {
    head.first().is_some_and(|bits| u64::from(*bits) & MARKED == MARKED)
}

/// Whether a stop-the-world collection was under way.
pub fn collecting(mem: &Memory, fields: &Fields) -> bool {
    let active = || {
        let heap = mem.u64(fields.collected_heap.opt()?).ok()?;
        mem.u8(heap.wrapping_add(fields.gc_active.opt()?)).ok()
    };
    active().unwrap_or(0) != 0
}

/// What this VM's collector does to references.
#[derive(Debug, Clone)]
pub enum Barrier {
    /// A reference is an address.
    None,
    /// ZGC.
    Z(Box<Z>),
    /// Shenandoah: objects are moved out of the collection set, and of nothing else.
    Shenandoah(KlassForm, Vec<(u64, u64)>),
    /// Others that were collecting: whether headers hold a klass beside the forwarding address.
    Forwarded(KlassForm),
    /// Those whose full collection had written into headers where objects will be.
    Compacted(Box<Compaction>),
}

impl Barrier {
    /// By the flags.
    pub fn read(
        mem: &Memory,
        tables: &Tables,
        fields: &Fields,
        flags: &Flags,
        pointers: &Pointers,
    ) -> Result<Barrier> {
        if let Some(z) = Z::read(mem, tables, fields, flags)? {
            return Ok(Barrier::Z(z.into()));
        }
        if flags.bool("UseShenandoahGC") {
            let from = shenandoah::collection_set(mem, tables, fields)?;
            return Ok(Barrier::Shenandoah(pointers.klass, from));
        }
        Ok(match collecting(mem, fields) {
            true => Barrier::Forwarded(pointers.klass),
            false => Barrier::None,
        })
    }

    /// Whether a reference is an address: no collection had begun to mark or to move objects.
    pub fn is_none(&self) -> bool {
        matches!(self, Barrier::None)
    }

    /// The object's address by a reference that was read as 64 bits, or widened to them.
    #[inline]
    pub fn resolve(&self, mem: &Memory, bits: u64) -> u64 {
        match self {
            Barrier::None => bits,
            Barrier::Z(z) => z.resolve(mem, bits),
            Barrier::Shenandoah(_, from) if from.is_empty() => bits,
            Barrier::Compacted(c) => c.resolve(mem, bits),
            _ => self.forwardee(mem, bits).unwrap_or(bits),
        }
    }

    /// The same of a reference that stands at `slot` in the heap.
    #[inline]
    pub fn resolve_at(&self, mem: &Memory, slot: u64, bits: u64) -> u64 {
        match self {
            Barrier::Compacted(c) => c.resolve_at(mem, slot, bits),
            _ => self.resolve(mem, bits),
        }
    }

    /// The same without a look at the object: Shenandoah's old copy is not told from the new one.
    #[inline]
    pub fn address(&self, mem: &Memory, bits: u64) -> u64 {
        match self {
            Barrier::Z(z) => z.resolve(mem, bits),
            _ => bits,
        }
    }

    /// Where the object at `addr` was moved to, if its header says so.
    pub fn forwardee(&self, mem: &Memory, addr: u64) -> Option<u64> {
        let form = match self {
            Barrier::None | Barrier::Z(_) => return None,
            Barrier::Compacted(c) => return c.forwardee(mem, addr),
            Barrier::Forwarded(form) => form,
            // A full collection of Shenandoah's writes addresses into headers, too, long before
            // it moves anything there; it has no collection set.
            Barrier::Shenandoah(form, from) => {
                let i = from.partition_point(|r| r.1 <= addr);
                from.get(i).filter(|r| r.0 <= addr)?;
                form
            }
        };
        let mark = mem.u64(addr).ok()?;
        let to = mark & !MARKED;
        if mark & MARKED != MARKED || to == 0 || to == addr {
            return None;
        }
        // A full collection writes where an object will be before it moves it: then the class
        // there is most often another one.
        let klass = |addr: u64| mem.u64(addr.wrapping_add(8)).ok();
        let moved = match form {
            KlassForm::Compact(_) => mem.u64(to).ok()? & MARKED != MARKED,
            KlassForm::Wide => klass(addr)? == klass(to)?,
            KlassForm::Narrow => klass(addr)? as u32 == klass(to)? as u32,
        };
        moved.then_some(to)
    }

    /// Whether a reference in the heap is null.
    pub fn is_null(&self, mem: &Memory, bits: u64) -> bool {
        self.address(mem, bits) == 0
    }

    /// The object that a word on a stack would refer to if it were a reference. `colour` is the one
    /// that it would have had, where references there have none and HotSpot knows it.
    pub fn plausible(&self, mem: &Memory, bits: u64, colour: Option<Colour>) -> Option<u64> {
        match self {
            Barrier::Z(z) => z.plausible(mem, bits, colour),
            _ => Some(self.resolve(mem, bits)),
        }
    }
}

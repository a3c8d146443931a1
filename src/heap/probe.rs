//! What lies at an address of the heap: an object, an old copy of one, or nothing that can be read as such.

use super::Heap;
use super::klasses::NO_KLASS;
use super::report::DamageKind;
use crate::hotspot::barrier::{Barrier, dead_until};
use crate::hotspot::pointers::KlassForm;

/// Objects that must follow one another before the first is believed, where its mark alone does not prove it.
const IN_A_ROW: usize = 3;
/// An object's length is within this many bytes of its start.
pub(super) const HEAD: u64 = 512;
/// The longest header: mark, klass, an array's length.
pub(super) const HEADER: u64 = 24;

/// What an address holds.
pub(super) enum Found {
    /// An object of a loaded class: klass number and size.
    Object(u32, u64),
    /// An archived object of a class that was never loaded, and its size.
    Dormant(u64),
    /// Bytes that hold no object, and are no loss: a free chunk (CMS), dead objects that a collection wrote over.
    Skip(u64),
    /// The old copy of an object of that size that a collection under way has moved, and where the new one is.
    Moved(u64, u64),
    /// An object of so many bytes that a collection was copying onto itself: some of them are not in their new place.
    Torn(u64),
    /// Nothing that can be read as an object.
    Nothing(DamageKind),
}

pub(super) fn probe(heap: &Heap, at: u64, end: u64) -> Found {
    let mem = heap.vm.mem;
    let want = (end - at).min(HEAD);
    let present = mem.contiguous(at).min(want);
    if let Ok(head) = mem.slice(at, present)
        && present == want
        && want > 0
    {
        return probe_head(heap, at, end, head);
    }
    // The pages end within the header; another file's may go on.
    let mut copy = [0; HEAD as usize];
    for len in [want, present] {
        if len > 0 && mem.read_into(at, &mut copy[..len as usize]).is_ok() {
            return match probe_head(heap, at, end, &copy[..len as usize]) {
                Found::Nothing(_) if len < want.min(HEADER) => break,
                found => found,
            };
        }
    }
    Found::Nothing(DamageKind::NotSaved)
}

#[inline(always)]
pub(super) fn probe_head(heap: &Heap, at: u64, end: u64, head: &[u8]) -> Found {
    if heap.moving
        && let Barrier::Compacted(compaction) = &heap.vm.barrier
    {
        if let Some(next) = compaction.skip(at).or_else(|| dead_until(at, head, end)) {
            return Found::Skip(next.min(end) - at);
        }
        if compaction.is_arriving(at, head)
            && let Found::Object(_, size) | Found::Dormant(size) = sized(heap, at, end, head)
        {
            return Found::Torn(size);
        }
    }
    if heap.moving
        && let Some((size, to)) = moved(heap, at)
        && size <= end - at
    {
        return Found::Moved(size, to);
    }
    if let Some(size) = heap.collected.free_chunks.size(head) {
        return match size <= end - at {
            true => Found::Skip(size),
            false => Found::Nothing(DamageKind::Overrun),
        };
    }
    sized(heap, at, end, head)
}

/// The same by what the header says as it stands, whether or not a collection has moved the object.
#[inline(always)]
fn sized(heap: &Heap, at: u64, end: u64, head: &[u8]) -> Found {
    let p = &heap.vm.pointers;
    let Some(klass) = p.klass_of(head) else { return Found::Nothing(DamageKind::UnknownKlass) };
    let number = heap.klasses.number(klass);
    let size = if number != NO_KLASS {
        heap.klasses.bytes(number, p, head)
    } else {
        match heap.klasses.dormant(heap.vm, klass) {
            Some(rule) => rule.bytes(p, head),
            None => return Found::Nothing(DamageKind::UnknownKlass),
        }
    };
    match size {
        Some(size) if size <= end - at => match number {
            NO_KLASS => Found::Dormant(size),
            number => Found::Object(number, size),
        },
        Some(_) => Found::Nothing(DamageKind::Overrun),
        None => Found::Nothing(DamageKind::UnknownKlass),
    }
}

/// What follows the object of `size` bytes at `at`, which ends before `end`: never beyond it.
#[inline(always)]
pub(super) fn behind(heap: &Heap, at: u64, size: u64, end: u64) -> u64 {
    (at + heap.collected.free_chunks.step(at, size)).min(end)
}

/// The size of the object whose old copy is at `at`, where its header leads to a new one, and where that is.
///
/// While references of a long array are looked at in pieces, the length of one of its copies says how far that is: of
/// the old one until 15, of the new one from 16 to 23 (`psPromotionManager.cpp`, `partialArrayTaskStepper.hpp`). The
/// longer one is right. Compact headers came after that, and have no class in an old copy.
pub(super) fn moved(heap: &Heap, at: u64) -> Option<(u64, u64)> {
    let (mem, barrier) = (heap.vm.mem, &heap.vm.barrier);
    let to = barrier.forwardee(mem, at).filter(|to| barrier.forwardee(mem, *to).is_none())?;
    let r = heap.collected.regions.partition_point(|r| r.top <= to);
    let r = heap.collected.regions.get(r).filter(|r| r.start <= to)?;
    let (Found::Object(_, size) | Found::Dormant(size)) = probe(heap, to, r.top) else {
        return None;
    };
    let head = mem.slice(at, mem.contiguous(at).min(HEAD)).unwrap_or(&[]);
    match (heap.vm.pointers.klass, sized(heap, at, u64::MAX, head)) {
        (KlassForm::Compact(_), _) => Some((size, to)),
        (_, Found::Object(_, own)) => Some((own.max(size), to)),
        _ => Some((size, to)),
    }
}

/// Whether an object starts here for all that can be told: its mark is one that nothing but an object has, or a few
/// objects follow one another.
pub(super) fn resumes(heap: &Heap, start: u64, end: u64) -> bool {
    let mut at = start;
    for _ in 0..IN_A_ROW {
        match probe(heap, at, end) {
            Found::Object(_, size)
            | Found::Dormant(size)
            | Found::Skip(size)
            | Found::Moved(size, _)
            | Found::Torn(size) => {
                let mark = || heap.vm.mem.u64(start);
                if at == start && mark().is_ok_and(|m| heap.vm.pointers.is_at_rest(m)) {
                    return true;
                }
                at = behind(heap, at, size, end);
            }
            Found::Nothing(_) => return false,
        }
        if at == end {
            break;
        }
    }
    true
}

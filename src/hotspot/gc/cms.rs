//! CMS (until 13): Serial's young generation, and an old space with holes between the objects.
//!
//! The holes are FreeChunks. Their header tells them from objects, so they are walked like ones.

use super::super::Vm;
use super::super::unexported::cms;
use super::contiguous::{def_new, generations, pointer};
use super::{MarkBitmap, Region, Space, region};
use crate::error::Result;

/// GenCollectedHeap (CMSHeap from 10): DefNewGeneration and ConcurrentMarkSweepGeneration.
pub(super) fn regions(vm: &Vm, heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    let f = &vm.fields;
    let (young, old) = generations(vm, heap)?;
    let mut regions = def_new(vm, young)?;
    let space = pointer(vm, old, f.cms_space)?;
    let (bottom, end) =
        (pointer(vm, space, f.compactible_bottom)?, pointer(vm, space, f.compactible_end)?);
    regions.push(region(bottom, end, end, Space::Old)?);
    Ok((regions, None))
}

/// How a FreeChunk is told from an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// This heap has none.
    None,
    /// By a bit of its mark word, which holds the size, too (narrow oops).
    Mark,
    /// By the lowest bit of FreeChunk::_prev; `_size` is the first word (wide oops).
    Prev,
}

/// What lies between the objects of the old space.
#[derive(Debug, Clone, Copy)]
pub struct FreeChunks {
    form: Form,
    /// Where the old space starts.
    old: u64,
    /// The least that an object takes there.
    least: u64,
}

impl FreeChunks {
    /// By the VM's facts.
    pub fn of(vm: &Vm, regions: &[Region]) -> FreeChunks {
        let form = match (vm.flags.bool("UseConcMarkSweepGC"), vm.pointers.narrow_oops) {
            (false, _) => Form::None,
            (true, true) => Form::Mark,
            (true, false) => Form::Prev,
        };
        let old = regions.iter().find(|r| r.space == Space::Old).map_or(u64::MAX, |r| r.start);
        FreeChunks { form, old, least: vm.pointers.align(cms::MIN_CHUNK) }
    }

    /// The bytes from an object of `size` bytes at `at` to what follows it: in the old space no
    /// less than a free chunk takes (CompactibleFreeListSpace::adjustObjectSize).
    #[inline(always)]
    pub fn step(&self, at: u64, size: u64) -> u64 {
        if self.form == Form::None || at < self.old { size } else { size.max(self.least) }
    }

    /// The bytes of the free chunk that starts with `head`; none where it is an object.
    #[inline(always)]
    pub fn size(&self, head: &[u8]) -> Option<u64> {
        let word = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
        let words = match self.form {
            Form::None => return None,
            Form::Mark => {
                let mark = word(0)?;
                if mark & cms::MARK_MASK != cms::MARK_FREE {
                    return None;
                }
                mark >> cms::MARK_SIZE_SHIFT & cms::MARK_SIZE_MASK
            }
            Form::Prev if word(8)? & 1 == 0 => return None,
            Form::Prev => word(0)?,
        };
        words.checked_mul(8).filter(|bytes| *bytes > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_chunks_are_told_from_objects() {
        let head = |a: u64, b: u64| [a.to_le_bytes(), b.to_le_bytes()].concat();
        let size = |form, head: &[u8]| FreeChunks { form, old: 0x1000, least: 24 }.size(head);
        // 5 words, free; an unlocked object with a hash; a biased one of that bit.
        assert_eq!(size(Form::Mark, &head(5 << 8 | 0x81, 0x7000)), Some(40));
        assert_eq!(size(Form::Mark, &head(0x1234_5601, 0x7000)), None);
        assert_eq!(size(Form::Mark, &head(0x7fff_0085, 0x7000)), None);
        assert_eq!(size(Form::Prev, &head(5, 0x7001)), Some(40));
        assert_eq!(size(Form::Prev, &head(5, 0x7000)), None);
        assert_eq!(size(Form::None, &head(5, 0x7001)), None);
    }

    #[test]
    fn small_objects_take_more_in_the_old_space_only() {
        let chunks = FreeChunks { form: Form::Mark, old: 0x1000, least: 24 };
        assert_eq!((chunks.step(0xff0, 16), chunks.step(0x1000, 16)), (16, 24));
        assert_eq!(chunks.step(0x1000, 32), 32);
    }
}

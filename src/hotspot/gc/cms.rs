//! CMS (until 13): Serial's young generation, and an old space with holes between the objects.
//!
//! The holes are FreeChunks. Their header tells them from objects, so they are walked like ones.

use super::super::Vm;
use super::super::unexported::cms;
use super::contiguous::{def_new, generations, pointer};
use super::{MarkBitmap, Region, Space, region};
use crate::error::Result;

/// GenCollectedHeap (CMSHeap from 10): DefNewGeneration and ConcurrentMarkSweepGeneration.
pub fn regions(vm: &Vm, heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
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
pub enum FreeChunks {
    /// This heap has none.
    None,
    /// By a bit of its mark word, which holds the size, too (narrow oops).
    Mark,
    /// By the lowest bit of FreeChunk::_prev; `_size` is the first word (wide oops).
    Prev,
}

impl FreeChunks {
    /// By the VM's facts.
    pub fn of(vm: &Vm) -> FreeChunks {
        match (vm.flags.bool("UseConcMarkSweepGC"), vm.pointers.narrow_oops) {
            (false, _) => FreeChunks::None,
            (true, true) => FreeChunks::Mark,
            (true, false) => FreeChunks::Prev,
        }
    }

    /// The bytes of the free chunk that starts with `head`; none where it is an object.
    #[inline(always)]
    pub fn size(self, head: &[u8]) -> Option<u64> {
        let word = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
        let words = match self {
            FreeChunks::None => return None,
            FreeChunks::Mark => {
                let mark = word(0)?;
                if mark & cms::MARK_MASK != cms::MARK_FREE {
                    return None;
                }
                mark >> cms::MARK_SIZE_SHIFT & cms::MARK_SIZE_MASK
            }
            FreeChunks::Prev if word(8)? & 1 == 0 => return None,
            FreeChunks::Prev => word(0)?,
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
        // 5 words, free; an unlocked object with a hash; a biased one of that bit.
        assert_eq!(FreeChunks::Mark.size(&head(5 << 8 | 0x81, 0x7000)), Some(40));
        assert_eq!(FreeChunks::Mark.size(&head(0x1234_5601, 0x7000)), None);
        assert_eq!(FreeChunks::Mark.size(&head(0x7fff_0085, 0x7000)), None);
        assert_eq!(FreeChunks::Prev.size(&head(5, 0x7001)), Some(40));
        assert_eq!(FreeChunks::Prev.size(&head(5, 0x7000)), None);
        assert_eq!(FreeChunks::None.size(&head(5, 0x7001)), None);
    }
}

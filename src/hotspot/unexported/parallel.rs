//! Parallel's full collection until 23, which keeps what it does in two statics of libjvm without a name in the tables.

/// `parMarkBitMap.hpp`: `ParMarkBitMap {HeapWord* _region_start; size_t _region_size; BitMap _beg_bits, _end_bits; ...}`;
/// a BitMap ends with `bm_word_t* _map; idx_t _size`, before which that of 8 has its allocator. So many words hold it.
pub(crate) const BITMAP_WORDS: usize = 14;
/// `psParallelCompact.hpp`: `ParallelCompactData {HeapWord* _region_start; PSVirtualSpace* _region_vspace; size_t
/// _reserved_byte_size; RegionData* _region_data; size_t _region_count; ...}`: the index of `_region_data`.
pub(crate) const REGION_DATA: usize = 3;
/// The index of `_region_count`.
pub(crate) const REGION_COUNT: usize = 4;
/// `RegionData {HeapWord* _destination; size_t _source_region; HeapWord* _partial_obj_addr; uint _partial_obj_size; uint
/// _dc_and_los; bool _blocks_filled; int _shadow_state (from 15)}`: its bytes.
pub(crate) const REGION_DATA_SIZE: u64 = 40;
/// Offset of `_partial_obj_size`, in words.
pub(crate) const PARTIAL_SIZE: usize = 24;
/// Offset of `_dc_and_los`: the words of objects that start in the region, and above them the state.
pub(crate) const STATE: usize = 28;
/// Offset of `_shadow_state`.
pub(crate) const SHADOW: usize = 36;
/// `_shadow_state`: the region's new contents are made elsewhere, or are there.
pub(crate) const SHADOWED: [u32; 2] = [1, 2];
/// The bits of `_dc_and_los` below the state.
pub(crate) const LIVE_MASK: u32 = (1 << 27) - 1;
/// `dc_claimed`: the region is being filled, from here on.
pub(crate) const CLAIMED: u32 = 8 << 27;
/// `dc_completed`: it is filled.
pub(crate) const COMPLETED: u32 = 0xc << 27;

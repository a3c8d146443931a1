//! Full collections that slide objects together.

/// `psParallelCompact.hpp`: bytes of ParallelCompactData's regions.
pub(crate) const PARALLEL_REGION: u64 = 512 << 10;
/// `fullGCForwarding.inline.hpp` (24 and later): the words from the heap's start to the new place, from this bit on.
pub(crate) const FORWARDING_SHIFT: u32 = 2;
/// The bytes of a word.
pub(crate) const WORD: u64 = 8;

//! Compiled code: its oops, and its relocations (`relocInfo.hpp`, `relocInfo_x86.hpp`, `assembler_x86.hpp`; 8 to 28).
//!
//! A relocation is 16 bits: a type, and behind it a format and the bytes from the one before.

/// `universe.hpp`: `Universe::non_oop_word`, which stands for no object among the oops of compiled code.
pub(crate) const NON_OOP_WORD: u64 = u64::MAX;

/// Bits of what is not the type, and on x86-64 how many of them are the distance, with the format above: until 18, and
/// from 19 on, when there are more than 16 types.
pub(crate) const RELOCATION_BITS: [(u16, u16); 2] = [(12, 10), (11, 8)];
/// `oop_type`: an object in the instruction, or an index of the table of oops, which is data in front of it.
pub(crate) const RELOCATION_OOP: u16 = 1;
/// `data_prefix_tag`: data of the one that follows. The highest bit of what is not the type (`datalen_tag`) says that
/// as many 16-bit words of them follow as the others say.
pub(crate) const RELOCATION_DATA: u16 = 15;
/// `Assembler::imm_operand`: 64 bits, behind REX and the operation.
pub(crate) const FORMAT_IMMEDIATE: u16 = 0;
/// Where those are in the instruction.
pub(crate) const IMMEDIATE_AT: u64 = 2;
/// `Assembler::narrow_oop_operand`: 32 bits at the end of the instruction.
pub(crate) const FORMAT_NARROW: u16 = 3;
/// Where those may be: behind the operation, its prefixes and what it names.
pub(crate) const NARROW_AT: std::ops::RangeInclusive<u64> = 1..=11;

/// `heap.hpp` (from 9): `CodeHeap {...; int _log2_segment_size; ...; const char* _name; ...}`, so many words behind at most.
pub(crate) const CODE_HEAP_NAME_WITHIN: u64 = 16;
/// `codeCache.cpp`: what stands before the segment's own name, where there are segments.
pub(crate) const CODE_HEAP_NAME: &[u8] = b"CodeHeap '";

//! Narrow oops, narrow klasses and object headers. Nothing else shifts.

use super::unexported::{
    ARRAY_LENGTH_COMPACT, ARRAY_LENGTH_NARROW, ARRAY_LENGTH_WIDE, COMPACT_KLASS_SHIFT, mark,
};
use super::vm_info::flags::Flags;
use crate::corefile::memory::Memory;
use crate::error::{Error, Fault, Result};
use crate::vmstructs::{Fields, Tables};

/// Where an object's header keeps its klass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KlassForm {
    /// A whole pointer at 8.
    Wide,
    /// A 32-bit narrow klass at 8.
    Narrow,
    /// The upper bits of the mark word, from this bit on.
    Compact(u32),
}

/// How this VM writes pointers into the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointers {
    /// Whether references in the heap take 4 bytes.
    pub narrow_oops: bool,
    /// CompressedOops::_base.
    pub oop_base: u64,
    /// CompressedOops::_shift.
    pub oop_shift: u32,
    /// The header's form.
    pub klass: KlassForm,
    /// CompressedKlassPointers::_base.
    pub klass_base: u64,
    /// CompressedKlassPointers::_shift.
    pub klass_shift: u32,
    /// Offset of an array's 32-bit length.
    pub array_length: u64,
    /// ObjectAlignmentInBytes.
    pub alignment: u64,
}

/// Whether a word may be the address of a structure of the VM: aligned, and not in the first page, where nothing is
/// mapped.
pub(in crate::hotspot) fn may_point(word: u64) -> bool {
    word > 0x1000 && word.is_multiple_of(8)
}

impl Pointers {
    /// Reads the encoding from flags and statics.
    pub fn read(mem: &Memory, tables: &Tables, f: &Fields, flags: &Flags) -> Result<Pointers> {
        let narrow_oops = flags.bool("UseCompressedOops");
        let compact = flags.bool("UseCompactObjectHeaders");
        // 28 has narrow klasses only, and no flag for them.
        let narrow =
            flags.bool("UseCompressedClassPointers") || !flags.has("UseCompressedClassPointers");
        let what = || Error::unreadable("the compressed pointers' bases");
        let base_shift = |base: u64, shift: u64| -> Result<(u64, u32), Fault> {
            Ok((mem.u64(base)?, mem.u32(shift)?))
        };
        let (oop_base, oop_shift) = match narrow_oops {
            true => base_shift(f.oop_base.get()?, f.oop_shift.get()?).map_err(what())?,
            false => (0, 0),
        };
        let (klass_base, klass_shift) = match narrow || compact {
            true => base_shift(f.klass_base.get()?, f.klass_shift.get()?).map_err(what())?,
            false => (0, 0),
        };
        let alignment = flags.int("ObjectAlignmentInBytes").unwrap_or(8);
        if oop_shift > 8 || klass_shift > 16 || !(8..=256).contains(&alignment) {
            return Err(Error::Corrupt(format!(
                "narrow oop shift {oop_shift}, narrow klass shift {klass_shift}, \
                 object alignment {alignment}"
            )));
        }
        if !alignment.is_power_of_two() {
            return Err(Error::Corrupt(format!("object alignment {alignment}")));
        }
        let (klass, array_length) = if compact {
            let shift = tables.constant("markWord::klass_shift");
            let shift = shift.and_then(|s| u32::try_from(s).ok()).filter(|s| *s < 64);
            (KlassForm::Compact(shift.unwrap_or(COMPACT_KLASS_SHIFT)), ARRAY_LENGTH_COMPACT)
        } else if narrow {
            (KlassForm::Narrow, ARRAY_LENGTH_NARROW)
        } else {
            (KlassForm::Wide, ARRAY_LENGTH_WIDE)
        };
        Ok(Pointers {
            narrow_oops,
            oop_base,
            oop_shift,
            klass,
            klass_base,
            klass_shift,
            array_length,
            alignment,
        })
    }

    /// Bytes that a value of this signature takes in the heap, by its first character.
    #[inline]
    pub fn value_size(&self, kind: u8) -> u64 {
        match kind {
            b'Z' | b'B' => 1,
            b'C' | b'S' => 2,
            b'F' | b'I' => 4,
            b'J' | b'D' => 8,
            _ => self.oop_size(),
        }
    }

    /// Bytes that a reference takes in the heap.
    #[inline]
    pub fn oop_size(&self) -> u64 {
        if self.narrow_oops { 4 } else { 8 }
    }

    /// The address that a narrow oop means; 0 stays 0.
    #[inline(always)]
    pub fn widen(&self, narrow: u32) -> u64 {
        if narrow == 0 {
            0
        } else {
            self.oop_base.wrapping_add(u64::from(narrow) << self.oop_shift)
        }
    }

    /// The bits of a reference as the heap has it: 4 bytes are a narrow one, which is widened, 8 a
    /// wide one. What they mean is up to the collector: see `Barrier`.
    #[inline(always)]
    pub fn decode(&self, bytes: &[u8]) -> u64 {
        match *bytes {
            [a, b, c, d] => self.widen(u32::from_le_bytes([a, b, c, d])),
            _ => bytes.try_into().map_or(0, u64::from_le_bytes),
        }
    }

    /// The klass of the object whose first 16 bytes (8 with compact headers) are given.
    #[inline(always)]
    pub fn klass_of(&self, header: &[u8]) -> Option<u64> {
        let narrow = match self.klass {
            KlassForm::Wide => {
                return Some(u64::from_le_bytes(header.get(8..16)?.try_into().ok()?));
            }
            KlassForm::Narrow => u64::from(u32::from_le_bytes(header.get(8..12)?.try_into().ok()?)),
            KlassForm::Compact(shift) => {
                u64::from_le_bytes(header.get(..8)?.try_into().ok()?) >> shift
            }
        };
        if narrow == 0 {
            Some(0)
        } else {
            Some(self.klass_base.wrapping_add(narrow << self.klass_shift))
        }
    }

    /// Whether a mark is one of an object that nobody has locked or moved: unlocked, and no bit set that such a one has
    /// not. Together with a loaded class that is proof enough that an object starts there.
    pub fn is_at_rest(&self, mark: u64) -> bool {
        match self.klass {
            // The class has the upper bits: the hash must be none, so that the others are all known.
            KlassForm::Compact(shift) => mark & ((1 << shift) - 1) & !mark::AGE == mark::UNLOCKED,
            KlassForm::Wide | KlassForm::Narrow => {
                let is_biased = mark & mark::BIASED != 0;
                let free = if is_biased { mark::EPOCH } else { mark::HASH };
                mark & !(mark::AGE | mark::BIASED | free) == mark::UNLOCKED
            }
        }
    }

    /// Bytes of header before the first possible field.
    #[inline]
    pub fn header_size(&self) -> u64 {
        self.array_length
    }

    /// The bits of the reference in the heap at `addr`.
    pub fn load_bits(&self, mem: &Memory, addr: u64) -> Result<u64, Fault> {
        match self.narrow_oops {
            true => mem.u32(addr).map(|narrow| self.widen(narrow)),
            false => mem.u64(addr),
        }
    }

    /// `size` rounded up to the object alignment.
    #[inline(always)]
    pub fn align(&self, size: u64) -> u64 {
        (size + self.alignment - 1) & !(self.alignment - 1)
    }
}

//! The colours that ZGC's references carry, and what each says of how old it is.

use crate::corefile::memory::Memory;
use crate::error::{Error, Fault, Result};
use crate::hotspot::unexported::z as facts;
use crate::vmstructs::{Fields, Tables};

/// How references are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// Not known yet.
    None,
    /// Above the address; the heap is mapped once for each (until 20, and X in 21).
    Views {
        /// ZAddressOffsetMask.
        offset_mask: u64,
        /// ZAddressMetadataMask.
        metadata: u64,
        /// The bit of the view that addresses are given in.
        base: u64,
        /// The colours of references that no relocation made old.
        fresh: u64,
    },
    /// In the low 16 bits, the address above them (generational, from 21).
    Low {
        /// ZAddressOffsetMask.
        offset_mask: u64,
        /// Which of the four remapped bits (0 to 3) is the current one.
        good: u32,
        /// aarch64 has all but that one set, and a fixed shift.
        inverted: bool,
    },
}

/// The colour that references had when HotSpot last went through them: the low bits of
/// ZPointerStoreGoodMask at that time. It is kept for those that have none themselves: words of a
/// thread's stack, and its handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(u16);

impl Colour {
    /// By the word that HotSpot keeps; none where it cannot be one.
    pub fn of(word: u64) -> Option<Colour> {
        let colour = u16::try_from(word).ok()?;
        // Of the four bits one is set, or one is not: on aarch64, and in the mask of bad ones with
        // which a new thread begins.
        matches!((colour >> facts::REMAPPED_SHIFT).count_ones(), 1 | 3).then_some(Colour(colour))
    }
}

/// A reference without its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain {
    /// The address that it holds.
    pub addr: u64,
    /// What may have moved the object since.
    pub stale: Option<Stale>,
}

/// Which generation's relocation came after a reference was written. Without generations it
/// is always the young one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stale {
    /// The young generation's, or the only one's.
    Young,
    /// The old generation's.
    Old,
    /// Both; the object was in one of them.
    Both {
        /// From an old object to an old one.
        in_old: bool,
    },
    /// Any or none: a word without a colour, of which nobody knows the one that it had.
    Unknown,
}

impl Colours {
    /// The four (or three) views of one heap; `present` tells how much of one is in the core.
    pub(super) fn views(
        mem: &Memory,
        tables: &Tables,
        f: &Fields,
        x: bool,
        present: impl Fn(u64) -> usize,
    ) -> Result<Colours> {
        let pick = |x_field, z_field| if x { x_field } else { z_field };
        let globals = pick(f.x_globals, f.z_globals).get()?;
        let offset_mask = match pick(f.x_offset_mask, f.z_offset_mask).opt() {
            Some(field) => global(mem, globals, field)?,
            // A constant until 12.
            None => tables
                .constant("ZAddressOffsetMask")
                .map(|m| m as u64)
                .ok_or_else(|| Error::MissingField { what: "ZAddressOffsetMask".into() })?,
        };
        let good = global(mem, globals, pick(f.x_good_mask, f.z_good_mask).get()?)?;
        check_mask(offset_mask)?;
        let first = offset_mask + 1;
        let [marked0, marked1, remapped, finalizable] = [first, first << 1, first << 2, first << 3];
        let metadata = marked0 | marked1 | remapped | finalizable;
        if good & !metadata != 0 || !good.is_power_of_two() {
            return Err(Error::Corrupt(format!("ZAddressGoodMask is {good:#x}")));
        }
        // Any of them will do to read; what HotSpot itself would write comes first.
        let views = [good, remapped, marked0, marked1];
        let most = views.map(&present);
        let best = most.iter().copied().max().unwrap_or(0);
        let base = views.into_iter().zip(most).find(|(_, n)| *n == best).map_or(good, |(v, _)| v);
        Ok(Colours::Views { offset_mask, metadata, base, fresh: good | remapped })
    }

    /// The colours in the low bits.
    pub(super) fn generational(mem: &Memory, f: &Fields) -> Result<Colours> {
        let globals = f.z_globals.get()?;
        let offset_mask = global(mem, globals, f.z_offset_mask.get()?)?;
        check_mask(offset_mask)?;
        let mask = global(mem, globals, f.z_load_good.get()?)?;
        let remapped = mask >> facts::REMAPPED_SHIFT & 0xf;
        let inverted = remapped.count_ones() == 3;
        let bit = if inverted { remapped ^ 0xf } else { remapped };
        if !bit.is_power_of_two() {
            return Err(Error::Corrupt(format!("ZPointerLoadGoodMask is {mask:#x}")));
        }
        Ok(Colours::Low { offset_mask, good: bit.trailing_zeros(), inverted })
    }

    /// The bits of an address that count from the heap's base.
    pub(super) fn offset_mask(&self) -> u64 {
        match *self {
            Colours::None => 0,
            Colours::Views { offset_mask, .. } | Colours::Low { offset_mask, .. } => offset_mask,
        }
    }

    /// What an offset is added to.
    pub(super) fn base(&self) -> u64 {
        match *self {
            Colours::None => 0,
            Colours::Views { base, .. } => base,
            Colours::Low { offset_mask, .. } => offset_mask + 1,
        }
    }

    /// The address in a reference, and whether a relocation may have made it old. What is no
    /// reference comes back as it is.
    #[inline(always)]
    pub(super) fn take_off(&self, bits: u64) -> Plain {
        let fresh = |addr| Plain { addr, stale: None };
        match *self {
            Colours::None => fresh(bits),
            Colours::Views { offset_mask, metadata, base, fresh: good } => {
                if bits & metadata == 0 || bits & !(metadata | offset_mask) != 0 {
                    return fresh(bits); // null, too
                }
                let addr = bits & offset_mask | base;
                let stale = (bits & good == 0).then_some(Stale::Young);
                Plain { addr, stale }
            }
            Colours::Low { offset_mask, good, inverted } => {
                let bit = bits >> facts::REMAPPED_SHIFT & 0xf;
                let bit = if inverted { bit ^ 0xf } else { bit };
                // On stacks, and in handles of one thread, they have no colour.
                if bits > 0xffff && bits >> 1 <= offset_mask {
                    return Plain { addr: bits, stale: Some(Stale::Unknown) };
                }
                if !bit.is_power_of_two() {
                    return fresh(bits);
                }
                let bit = bit.trailing_zeros();
                let addr = bits >> Colours::shift(bit, inverted);
                if addr == 0 || bit == good {
                    return fresh(addr);
                }
                // One bit of its number alternates with the young, the other with the old.
                let stale = match ((bit ^ good) & 1 != 0, (bit ^ good) & 2 != 0) {
                    (true, false) => Stale::Young,
                    (false, true) => Stale::Old,
                    _ => Stale::Both { in_old: bits & facts::REMEMBERED == facts::REMEMBERED },
                };
                Plain { addr, stale: Some(stale) }
            }
        }
    }

    /// The reference that a word without a colour would be with it; others stay as they are.
    pub(super) fn put_on(&self, bits: u64, Colour(colour): Colour) -> u64 {
        let Colours::Low { offset_mask, inverted, .. } = *self else { return bits };
        let remapped = u64::from(colour) >> facts::REMAPPED_SHIFT;
        let bit = if inverted { remapped ^ 0xf } else { remapped };
        if bits >> 1 > offset_mask || !bit.is_power_of_two() {
            return bits;
        }
        bits << Colours::shift(bit.trailing_zeros(), inverted) | u64::from(colour)
    }

    /// Where the address begins in a reference with this one of the four bits.
    fn shift(bit: u32, inverted: bool) -> u32 {
        if inverted { 16 } else { facts::REMAPPED_SHIFT + 1 + bit }
    }

    /// Whether a word has the form of a reference that is not null.
    pub(super) fn is_reference(&self, bits: u64) -> bool {
        let addr = self.take_off(bits).addr;
        match *self {
            Colours::None => false,
            Colours::Views { offset_mask, metadata, .. } => {
                bits & !(metadata | offset_mask) == 0 && (bits & metadata).is_power_of_two()
            }
            Colours::Low { offset_mask, .. } => addr & !offset_mask == offset_mask + 1,
        }
    }
}

fn check_mask(mask: u64) -> Result<()> {
    if (mask + 1).is_power_of_two() && (32..48).contains(&mask.trailing_ones()) {
        return Ok(());
    }
    Err(Error::Corrupt(format!("ZAddressOffsetMask is {mask:#x}")))
}

/// ZGlobalsForVMStructs holds pointers to the values.
fn global(mem: &Memory, globals: u64, field: u64) -> Result<u64> {
    let read =
        || -> Result<u64, Fault> { mem.u64(mem.u64(mem.u64(globals)?.wrapping_add(field))?) };
    read().map_err(Error::unreadable("ZGlobalsForVMStructs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: u64 = (1 << 42) - 1;

    fn plain(addr: u64, stale: Option<Stale>) -> Plain {
        Plain { addr, stale }
    }

    #[test]
    fn views_are_one_memory() {
        let remapped = 1 << 44;
        let c = Colours::Views {
            offset_mask: MASK,
            metadata: 0xf << 42,
            base: remapped,
            fresh: remapped,
        };
        assert_eq!(c.take_off(0), plain(0, None));
        assert_eq!(c.take_off(remapped | 0x1000), plain(remapped | 0x1000, None));
        let old = c.take_off(1 << 42 | 0x1000);
        assert_eq!(old, plain(remapped | 0x1000, Some(Stale::Young)));
        // Marked by the finalizer's side only: two bits.
        let both = c.take_off(1 << 45 | 1 << 43 | 8);
        assert_eq!(both, plain(remapped | 8, Some(Stale::Young)));
        assert_eq!(c.take_off(0x7f00_0000_1000), plain(0x7f00_0000_1000, None));
        assert!(c.is_reference(remapped | 8) && !c.is_reference(0x7f00_0000_1000));
    }

    #[test]
    fn low_colours_shift() {
        let c = Colours::Low { offset_mask: MASK, good: 1, inverted: false };
        let object = 1 << 42 | 0x20_0010;
        let coloured = |bit: u64, more: u64| object << (13 + bit) | 1 << (12 + bit) | more;
        assert_eq!(c.take_off(coloured(1, 0x150)), plain(object, None));
        assert_eq!(c.take_off(coloured(0, 0x150)), plain(object, Some(Stale::Young)));
        assert_eq!(c.take_off(coloured(3, 0x150)), plain(object, Some(Stale::Old)));
        let both = Some(Stale::Both { in_old: true });
        assert_eq!(c.take_off(coloured(2, 0x170)), plain(object, both));
        // Null has colours, too; on stacks there are none.
        assert_eq!(c.take_off(0x2150), plain(0, None));
        assert_eq!(c.take_off(0), plain(0, None));
        assert_eq!(c.take_off(object), plain(object, Some(Stale::Unknown)));
        assert!(c.is_reference(object) && c.is_reference(coloured(0, 0)));
        // On a stack whose colour is known they are as old as that.
        for (colour, stale) in [
            (0x2510, None),
            (0x1510, Some(Stale::Young)),
            (0x8910, Some(Stale::Old)),
            (0x4910, Some(Stale::Both { in_old: false })),
            (0x4930, Some(Stale::Both { in_old: true })),
        ] {
            let there = c.put_on(object, Colour::of(colour).expect("a colour"));
            assert_eq!(c.take_off(there), plain(object, stale), "{colour:#x}");
        }
        // That of a new thread is none that references have.
        let bad = Colour::of(0xd2f0).expect("a colour");
        assert_eq!(c.put_on(object, bad), object);
        assert_eq!([0, 0x210, 0x1_2510, 0xf000, 0x3000].map(Colour::of), [None; 5]);
        assert!(!c.is_reference(0x2150) && !c.is_reference(0x7f00_0000_1000));
    }
}

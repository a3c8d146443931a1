//! The objects that compiled code has as constants: in its table of oops, and in its instructions.

use super::nmethod::Nmethod;
use crate::cpu::Cpu;
use crate::hotspot::Vm;
use crate::hotspot::unexported::code::{
    FORMAT_IMMEDIATE, FORMAT_NARROW, IMMEDIATE_AT, NARROW_AT, NON_OOP_WORD, RELOCATION_BITS,
    RELOCATION_DATA, RELOCATION_OOP,
};

/// Bytes of one method's oops or relocations: it has at most some MB of code.
const MAX_BYTES: u64 = 1 << 24;

impl Nmethod {
    /// The words that may be its references, old ones too.
    pub(crate) fn constants(&self, vm: &Vm) -> Vec<u64> {
        let bytes = |(start, end): (u64, u64)| {
            let size = end.saturating_sub(start).min(MAX_BYTES);
            vm.mem.slice(start, size).unwrap_or(&[])
        };
        let table = bytes(self.oops).as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w));
        let mut out: Vec<u64> = table.collect();
        // Elsewhere instructions have no objects: the collectors that need them here keep those in the table.
        if vm.cpu == Cpu::X86_64 {
            self.immediates(vm, bytes(self.relocations), &mut out);
        }
        out.retain(|w| !matches!(*w, 0 | NON_OOP_WORD));
        out
    }

    /// Those in instructions. What has an index instead has some other bits there, which lead to no object.
    fn immediates(&self, vm: &Vm, relocations: &[u8], out: &mut Vec<u64>) {
        let [until_18, since_19] = RELOCATION_BITS;
        let of_era = if vm.eras.has_32_relocations() { since_19 } else { until_18 };
        let (value_bits, offset_bits) = of_era;
        let (long, mask) = (1 << (value_bits - 1), (1u16 << value_bits) - 1);
        let mut at = self.content;
        let mut words = relocations.as_chunks::<2>().0.iter().map(|w| u16::from_le_bytes(*w));
        while let Some(word) = words.next() {
            let (kind, value) = (word >> value_bits, word & mask);
            if kind == RELOCATION_DATA {
                // Either the data themselves, or how many words of them follow.
                if value > long {
                    words.nth(usize::from(value - long) - 1);
                }
                continue;
            }
            at = at.wrapping_add(u64::from(value & ((1 << offset_bits) - 1)));
            match value >> offset_bits {
                _ if kind != RELOCATION_OOP => {}
                FORMAT_IMMEDIATE => out.extend(vm.mem.u64(at.wrapping_add(IMMEDIATE_AT))),
                FORMAT_NARROW => {
                    let narrow = NARROW_AT.filter_map(|i| vm.mem.u32(at.wrapping_add(i)).ok());
                    out.extend(narrow.map(|n| vm.pointers.widen(n)));
                }
                _ => {}
            }
        }
    }
}

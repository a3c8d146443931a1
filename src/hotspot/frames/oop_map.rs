//! Where a stub saved its caller's registers: the oop map of its frame.

use super::walk::CpuFrame;
use super::{Saved, Walker};
use crate::hotspot::code::{Blob, Stream};

/// Places of one blob that have maps.
const MAX_MAPS: u64 = 1 << 20;
/// Two for each general register; others are not read.
const MAX_REGISTER: u32 = 64;
/// Entries of one map.
const MAX_VALUES: u32 = 1 << 16;

impl Walker<'_> {
    /// `OopMapSet::update_register_map`: makes the registers that the frame saved those of its
    /// caller. Nothing is done where there is no map.
    pub(super) fn update_registers(&self, raw: &mut CpuFrame, blob: &Blob) {
        let _ = self.read_saved(raw, blob);
    }

    fn read_saved(&self, raw: &mut CpuFrame, blob: &Blob) -> Option<()> {
        let (mem, f, t) = (self.vm.mem, &self.vm.fields, &self.vm.tables);
        let set = self.word(blob.addr.wrapping_add(f.blob_oop_maps.opt()?)).filter(|s| *s != 0)?;
        let count = u64::from(mem.u32(set.wrapping_add(f.oop_maps_count.opt()?)).ok()?);
        let pairs = set.wrapping_add(t.size_of("ImmutableOopMapSet")?);
        let size = t.size_of("ImmutableOopMapPair").filter(|s| (8..=64).contains(s))?;
        let wanted = raw.pc.wrapping_sub(blob.code_begin);
        let pair = (0..count.min(MAX_MAPS)).map(|i| pairs.wrapping_add(i * size)).find(|p| {
            let pc = f.oop_maps_pair_pc.opt().and_then(|o| mem.u32(p.wrapping_add(o)).ok());
            pc.is_some_and(|pc| u64::from(pc) == wanted)
        })?;
        let offset = mem.u32(pair.wrapping_add(f.oop_maps_pair_map.opt()?)).ok()?;
        let map = pairs.wrapping_add(count * size).wrapping_add(u64::from(offset));
        let values = mem.u32(map).ok()?.min(MAX_VALUES);
        let header = t.size_of("ImmutableOopMap")?;
        let mut s = Stream::new(mem, map.wrapping_add(header), self.vm.coding());
        let constant = |name: &str| t.constant(&format!("OopMapValue::{name}"));
        let (mask, shift) = (constant("type_mask")?, constant("register_shift")?);
        let (saved, derived) = (constant("callee_saved_value")?, constant("derived_oop_value")?);
        let stack0 = self.word(f.vmreg_stack0.opt()?)?;
        for _ in 0..values {
            let value = s.int()?;
            let kind = i64::from(value) & mask;
            if kind != saved && kind != derived {
                continue;
            }
            let register = s.int()?;
            let slot = u64::from(value.wrapping_shr(shift as u32));
            if kind == saved && slot >= stack0 && register % 2 == 0 && register < MAX_REGISTER {
                let at = raw.sp.wrapping_add((slot - stack0) * 4);
                raw.registers.set(register as usize / 2, Saved::At(at));
            }
        }
        Some(())
    }
}

//! From an object's header to its klass's number and size, with one probe of one table.

use crate::hotspot::Vm;
use crate::hotspot::classes::{Kind, Size, shape};

/// The number of no klass.
pub const NO_KLASS: u32 = u32::MAX;

/// Klass addresses to numbers: open addressing, a quarter full at most.
#[derive(Debug)]
pub struct KlassTable {
    slots: Vec<(u64, u32)>,
    shift: u32,
    sizes: Vec<Size>,
    /// Metadata of the CDS archive: a klass in there that is not loaded is a dormant one.
    archive: (u64, u64),
}

impl KlassTable {
    /// Numbers the VM's classes as they stand in `vm.classes.all()`.
    pub fn new(vm: &Vm) -> KlassTable {
        let classes = vm.classes.all();
        let len = (classes.len() * 4).next_power_of_two().max(16);
        let mut table = KlassTable {
            slots: vec![(0, NO_KLASS); len],
            shift: 64 - len.trailing_zeros(),
            sizes: classes.iter().map(|k| k.size).collect(),
            archive: vm.archive.unwrap_or((0, 0)),
        };
        for (number, klass) in classes.iter().enumerate() {
            let mut i = table.slot(klass.addr);
            while table.slots[i].1 != NO_KLASS {
                i = (i + 1) & (len - 1);
            }
            table.slots[i] = (klass.addr, number as u32);
        }
        table
    }

    #[inline(always)]
    fn slot(&self, addr: u64) -> usize {
        // Fibonacci hashing; klasses are at least 8-byte aligned.
        ((addr >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// The number of the klass at `addr`, or `NO_KLASS`.
    #[inline(always)]
    pub fn number(&self, addr: u64) -> u32 {
        let mut i = self.slot(addr);
        loop {
            let (key, number) = self.slots[i];
            if key == addr || number == NO_KLASS {
                return number;
            }
            i = (i + 1) & (self.slots.len() - 1);
        }
    }

    /// How big objects of this klass are.
    #[inline(always)]
    pub fn size(&self, number: u32) -> Size {
        self.sizes[number as usize]
    }

    /// The size rule of an archived klass that was never loaded. Its objects lie in the
    /// archived heap; HotSpot's dump leaves them out ("dormant").
    pub fn dormant(&self, vm: &Vm, addr: u64) -> Option<Size> {
        let (base, top) = self.archive;
        if !addr.is_multiple_of(8) || !(base..top).contains(&addr) {
            return None;
        }
        let r = vm.reader();
        let helper = vm.mem.i32(addr.wrapping_add(vm.fields.klass_layout_helper.opt()?)).ok()?;
        let name = vm.mem.u64(addr.wrapping_add(vm.fields.klass_name.opt()?)).ok()?;
        if !(base..top).contains(&name) {
            return None;
        }
        r.symbol(name)?;
        match shape(&r.pointers, helper)? {
            (Kind::Instance, Size::Fixed(0)) => None,
            (_, size) => Some(size),
        }
    }
}

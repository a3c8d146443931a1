//! From an object's header to its klass's number and size, with one probe of one table.

use crate::hotspot::Vm;
use crate::hotspot::classes::{Kind, Size, shape};
use crate::hotspot::pointers::Pointers;

/// The number of no klass.
pub const NO_KLASS: u32 = u32::MAX;

/// Klass addresses to numbers: open addressing, a quarter full at most.
#[derive(Debug)]
pub struct KlassTable {
    slots: Vec<(u64, u32)>,
    shift: u32,
    rules: Vec<Rule>,
    /// As the classes have them: for those whose objects are asked themselves.
    sizes: Vec<Size>,
    /// Metadata of the CDS archive: a klass in there that is not loaded is a dormant one.
    archive: (u64, u64),
}

/// The sizes of a klass's objects, worked out without a branch that depends on the klass: a CPU guesses those wrong
/// where objects of many classes lie beside one another.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Of all, or of an array without elements.
    bytes: u64,
    /// All bits of an array's length, none of what is no array.
    length: u32,
    /// log2 of an element's bytes.
    log2: u8,
    /// Each object says itself.
    is_own: bool,
}

impl Rule {
    fn of(size: Size) -> Rule {
        match size {
            Size::Fixed(bytes) => Rule { bytes, length: 0, log2: 0, is_own: false },
            Size::Array { header, log2 } => {
                Rule { bytes: header, length: u32::MAX, log2: log2 as u8, is_own: false }
            }
            Size::Mirror { .. } | Size::StackChunk { .. } => {
                Rule { bytes: 0, length: 0, log2: 0, is_own: true }
            }
        }
    }
}

impl KlassTable {
    /// Numbers the VM's classes as they stand in `vm.classes.all()`.
    pub fn new(vm: &Vm) -> KlassTable {
        let classes = vm.classes.all();
        let len = (classes.len() * 4).next_power_of_two().max(16);
        let mut table = KlassTable {
            slots: vec![(0, NO_KLASS); len],
            shift: 64 - len.trailing_zeros(),
            rules: classes.iter().map(|k| Rule::of(k.size)).collect(),
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

    /// Bytes of the object of this klass whose header starts `head`: see [`Size::bytes`].
    #[inline(always)]
    pub fn bytes(&self, number: u32, p: &Pointers, head: &[u8]) -> Option<u64> {
        let rule = self.rules[number as usize];
        let at = p.array_length as usize;
        match head.get(at..).and_then(|length| length.first_chunk()) {
            Some(length) if !rule.is_own => {
                let length = u64::from(u32::from_le_bytes(*length) & rule.length);
                let bytes = rule.bytes + (length << rule.log2);
                (bytes >= p.header_size()).then(|| p.align(bytes))
            }
            _ => self.sizes[number as usize].bytes(p, head),
        }
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

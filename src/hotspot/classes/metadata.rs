//! Where the metadata of classes lies, and how much of it there is: klasses in the class space (where class pointers are
//! compressed), constant pools and methods in the other metaspace.

use super::klass::{Kind, Klass};
use crate::hotspot::Vm;
use crate::vmstructs::Field;

/// No class has more methods.
const MAX_METHODS: u32 = 1 << 16;
/// A constant pool has no more entries.
const MAX_POOL: u64 = 1 << 16;
/// A word of HotSpot's.
const WORD: u64 = 8;
/// Larger parts of a klass are damage, in words.
const MAX_WORDS: u64 = 1 << 20;

/// The metadata of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Bytes of the Klass with its tables.
    pub klass_bytes: u64,
    /// ConstantPool*; 0 of an array class.
    pub pool: u64,
    /// Bytes of the constant pool, its methods and their bytecodes. Profiles, annotations and small arrays are not counted.
    pub other_bytes: u64,
    /// Method* of the last of its methods, and its ConstMethod*; 0 where it has none.
    pub last_method: (u64, u64),
}

/// Asks for the metadata of classes: the sizes of HotSpot's types are looked up once.
#[derive(Debug)]
pub struct MetadataReader<'v> {
    vm: &'v Vm<'v>,
    klass: u64,
    array: u64,
    pool: u64,
    method: u64,
}

impl<'v> MetadataReader<'v> {
    /// Looks the sizes up.
    pub fn new(vm: &'v Vm<'v>) -> MetadataReader<'v> {
        let size = |name| vm.tables.size_of(name).unwrap_or(0);
        MetadataReader {
            vm,
            klass: size("InstanceKlass"),
            array: size("ArrayKlass"),
            pool: size("ConstantPool"),
            method: size("Method"),
        }
    }

    /// What `klass` has; nothing of what cannot be read.
    pub fn of(&self, klass: &Klass) -> Metadata {
        let (mem, f) = (self.vm.mem, &self.vm.fields);
        let word = |field: Field| mem.u64(klass.addr.wrapping_add(field.opt()?)).ok();
        let words = |field: Field| {
            let n = mem.u32(klass.addr.wrapping_add(field.opt()?)).ok().map(u64::from);
            n.filter(|n| *n <= MAX_WORDS)
        };
        let tables = words(f.klass_vtable_length).unwrap_or(0);
        if klass.kind != Kind::Instance {
            return Metadata { klass_bytes: self.array + tables * WORD, ..Metadata::default() };
        }
        let more = [f.ik_itable_length, f.ik_oop_map_size].map(|n| words(n).unwrap_or(0));
        let tables = tables + more.iter().sum::<u64>();
        let pool = word(f.ik_constants).unwrap_or(0);
        let entries = f.pool_length.opt().and_then(|n| mem.u32(pool.wrapping_add(n)).ok());
        let entries = entries.map_or(0, u64::from).min(MAX_POOL);
        let mut other_bytes = self.pool + entries * WORD;
        let mut last_method = (0, 0);
        for method in self.methods(klass) {
            let constant = f.method_const.opt().and_then(|n| mem.u64(method.wrapping_add(n)).ok());
            let constant = constant.unwrap_or(0);
            let words = f.const_size.opt().and_then(|n| mem.u32(constant.wrapping_add(n)).ok());
            other_bytes += self.method + words.map_or(0, u64::from).min(MAX_WORDS) * WORD;
            last_method = (method, constant);
        }
        Metadata { klass_bytes: self.klass + tables * WORD, pool, other_bytes, last_method }
    }

    /// The Methods that the class itself declares (InstanceKlass::_methods).
    fn methods(&self, klass: &Klass) -> impl Iterator<Item = u64> {
        let (mem, f) = (self.vm.mem, &self.vm.fields);
        let array = f.ik_methods.opt().and_then(|n| mem.u64(klass.addr.wrapping_add(n)).ok());
        let array = array.filter(|a| *a != 0).zip(f.method_array_data.opt());
        // Array<T>: its length first (array.hpp).
        let len = array.and_then(|(array, _)| mem.u32(array).ok()).filter(|n| *n <= MAX_METHODS);
        let at = move |i: u32| {
            let (array, data) = array?;
            mem.u64(array.wrapping_add(data).wrapping_add(u64::from(i) * WORD)).ok()
        };
        (0..len.unwrap_or(0)).filter_map(at)
    }
}

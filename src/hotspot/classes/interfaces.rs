//! The interfaces that a class implements.

use super::klass::{Kind, Klass};
use crate::hotspot::Vm;
use crate::hotspot::unexported::{ARRAY_LENGTH, POINTER_ARRAY_DATA};

/// More than any class has; the class-file format allows 65,535 that it names itself.
const MAX: u64 = 1 << 16;

impl Vm<'_> {
    /// The Klasses of all interfaces that a class implements, its supers' and those that interfaces extend among them. None for
    /// an array class, and where they cannot be read.
    pub fn interfaces(&self, klass: &Klass) -> Option<Vec<u64>> {
        if klass.kind != Kind::Instance {
            return None;
        }
        let (mem, f) = (self.mem, &self.fields);
        let list = mem.u64(klass.addr.wrapping_add(f.ik_interfaces.opt()?)).ok();
        let list = list.filter(|list| *list != 0)?;
        let length = mem.i32(list.wrapping_add(ARRAY_LENGTH)).ok()?;
        let length = u64::try_from(length).ok().filter(|n| *n <= MAX)?;
        let data = list.wrapping_add(f.klass_array_data.opt().unwrap_or(POINTER_ARRAY_DATA));
        (0..length).map(|i| mem.u64(data.wrapping_add(i * 8)).ok()).collect()
    }
}

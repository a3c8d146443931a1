//! Names of classes as HotSpot shows them to people (Klass::external_name).

use super::klass::{Kind, Klass};
use crate::hotspot::Vm;
use crate::hotspot::unexported::{HASH_BITS, HASH_SHIFT, LOCK_MASK, LOCK_UNLOCKED};

impl Vm<'_> {
    /// Dots for slashes. What sets a hidden class apart follows a slash: its address, which in
    /// the Symbol follows a plus sign (from 15). VM-anonymous classes have plain Symbols; 9 to 14
    /// add the address, 8 the identity hash of the mirror.
    pub fn external_name(&self, klass: &Klass) -> String {
        let name = klass.name.replace('/', ".");
        if let Some((class, address)) = name.rsplit_once("+0x") {
            return format!("{class}/0x{address}");
        }
        if !klass.has_own_loader_data || klass.kind != Kind::Instance {
            return name;
        }
        match self.eras.names_classes_by_hash() {
            true => format!("{name}/{}", self.identity_hash(klass.mirror).unwrap_or(0)),
            false => format!("{name}/{:#018x}", klass.addr),
        }
    }

    /// The hash in the mark word of an object that is not locked; 0 where it has none yet.
    fn identity_hash(&self, addr: u64) -> Option<u64> {
        let mark = self.mem.u64(addr).ok().filter(|m| m & LOCK_MASK == LOCK_UNLOCKED)?;
        let shift = self.tables.constant("markOopDesc::hash_shift").unwrap_or(HASH_SHIFT);
        Some(mark >> (shift & 63) & ((1 << HASH_BITS) - 1))
    }
}

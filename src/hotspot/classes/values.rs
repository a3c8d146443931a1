//! Value objects that lie in others (JEP 401, 28): where their fields are, and which are null.

use crate::hotspot::Reader;
use crate::hotspot::unexported::{FLAT_LAYOUT_KIND_BEFORE_END, FLAT_LAYOUT_KINDS, NULLABLE_FLAT};
use crate::vmstructs::Tables;

/// An object's fixed part is smaller than this.
const MAX_OFFSET: u32 = 1 << 24;

/// Where an object of a value class has its values when it lies on the heap by itself. Flat ones
/// start with these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueLayout {
    /// Offset of the first.
    pub payload: u32,
    /// Offset of the byte that is 0 in a flat one that is null, where there is such a byte.
    pub null_marker: Option<u32>,
}

/// What the elements of a flat array are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlatElements {
    /// The ValueKlass.
    pub klass: u64,
    /// Whether some may be null.
    pub nullable: bool,
}

/// A flat field: a value object in a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlatField {
    /// The ValueKlass; 0 where it is not known.
    pub klass: u64,
    /// Offset in the holder of the byte that is 0 where the field is null; none where it never is.
    pub null_marker: Option<u32>,
}

impl Reader<'_> {
    /// The layout of the InstanceKlass at `klass`, where it is a value class.
    pub(super) fn value_layout(&self, klass: u64) -> Option<ValueLayout> {
        let (mem, f) = (self.mem, self.fields);
        let members = mem.u64(klass.wrapping_add(f.ik_value_members.opt()?)).ok();
        let members = members.filter(|m| *m != 0)?;
        let offset = |at: u64| {
            let value = mem.u32(members.wrapping_add(at)).ok();
            value.filter(|v| (4..MAX_OFFSET).contains(v))
        };
        let payload = offset(f.value_payload.opt()?)?;
        let null_marker = offset(f.value_null_marker.opt()?).filter(|m| *m >= payload);
        Some(ValueLayout { payload, null_marker })
    }

    /// What lies in arrays of the FlatArrayKlass at `klass`.
    pub(super) fn flat_elements(&self, tables: &Tables, klass: u64) -> Option<FlatElements> {
        let at = |offset: u64| klass.wrapping_add(offset);
        let element = self.mem.u64(at(self.fields.obj_array_element.opt()?)).ok()?;
        let kind = tables.size_of("FlatArrayKlass")?.checked_sub(FLAT_LAYOUT_KIND_BEFORE_END)?;
        let kind = self.mem.u32(at(kind)).ok().filter(|k| FLAT_LAYOUT_KINDS.contains(k))?;
        Some(FlatElements { klass: element, nullable: kind >= NULLABLE_FLAT })
    }
}

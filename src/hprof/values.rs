//! What lies in the objects of an HPROF file.

use std::borrow::Cow;

use super::Dump;
use super::bytes::number;
use super::format::{primitive, ty, value_bytes};
use super::sub::{ClassRecord, Sub};
use super::text::modified_utf8;
use crate::graph::{Field, ObjectGraph, ObjectValues, Slot, Type, Value};

/// What values of HPROF's type are.
fn type_of(ty: u8) -> Type {
    primitive(ty).map_or(Type::Reference, Type::of_signature)
}

impl Dump {
    fn value_of(&self, ty: Type, bits: u64) -> Value {
        match ty.primitive(bits) {
            Some(value) => value,
            None if bits == 0 => Value::Null,
            None => self.place(bits).map_or(Value::Dangling(bits), Value::Object),
        }
    }

    /// A field by the id of its name.
    pub(super) fn field_named(&self, name: u64, class: u32) -> Field<'_> {
        let name = match self.outline.name(&self.data, name) {
            None => Cow::Borrowed("?"),
            // Nearly all are: no text is made for each reference that is described.
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => Cow::Owned(modified_utf8(bytes)),
            },
        };
        Field { name, class }
    }
}

impl ObjectValues for Dump {
    fn fields(&self, class: u32) -> Vec<(Field<'_>, Slot)> {
        let (mut out, mut offset) = (Vec::new(), 0);
        for number in self.described.chain(class).unwrap_or_default() {
            let record =
                self.described.get(number).and_then(|c| c.record(&self.data, self.outline.id));
            for (name, ty) in record.iter().flat_map(ClassRecord::fields) {
                let Some(bytes) = value_bytes(ty, self.outline.id) else { return out };
                let slot = Slot { offset, ty: type_of(ty) };
                out.push((self.field_named(name, number), slot));
                offset += bytes as u32;
            }
        }
        out
    }

    fn value(&self, place: u64, slot: Slot) -> Option<Value> {
        let (Sub::Instance { .. }, values) = self.record(place)? else { return None };
        let bytes = match slot.ty {
            Type::Reference => self.outline.id,
            ty => ty.bytes() as usize,
        };
        let at = slot.offset as usize;
        Some(self.value_of(slot.ty, number(values.get(at..at + bytes)?)))
    }

    fn statics(&self, class: u32) -> Vec<(Field<'_>, Value)> {
        let record = self.described.get(class).and_then(|c| c.record(&self.data, self.outline.id));
        let all = record.iter().flat_map(ClassRecord::statics);
        let own = all
            .filter(|(name, ..)| !super::classes::is_added(self.outline.name(&self.data, *name)));
        own.map(|(name, ty, bits)| {
            (self.field_named(name, class), self.value_of(type_of(ty), bits))
        })
        .collect()
    }

    fn length(&self, place: u64) -> Option<u64> {
        match self.record(place)?.0 {
            Sub::Objects { count, .. } | Sub::Primitives { count, .. } => Some(count.into()),
            _ => None,
        }
    }

    fn element(&self, place: u64, index: u64) -> Option<Value> {
        let (ty, values) = match self.record(place)? {
            (Sub::Objects { .. }, values) => (ty::OBJECT, values),
            (Sub::Primitives { ty, .. }, values) => (ty, values),
            _ => return None,
        };
        let each = value_bytes(ty, self.outline.id)?;
        let at = usize::try_from(index).ok()?.checked_mul(each)?;
        let bytes = values.get(at..at.checked_add(each)?)?;
        Some(self.value_of(type_of(ty), number(bytes)))
    }

    fn contents(&self, place: u64) -> Option<&[u8]> {
        match self.record(place)? {
            (Sub::Primitives { .. }, values) => Some(values),
            _ => None,
        }
    }

    fn is_big_endian(&self) -> bool {
        true
    }
}

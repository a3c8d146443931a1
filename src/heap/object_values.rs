//! What lies in the objects of a core's heap.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

use super::layout::{Shape, Slot as Laid, Strength};
use super::object_graph::{HeapGraph, class_number};
use crate::graph::{Field, ObjectGraph, ObjectValues, Slot, Type, Value};
use crate::hotspot::classes::is_reference;

impl HeapGraph<'_> {
    /// The value whose bits are given, of a reference after the collector's barrier.
    #[inline]
    fn value_of(&self, ty: Type, bits: u64) -> Value {
        match ty.primitive(bits) {
            Some(value) => value,
            None if bits == 0 => Value::Null,
            None => match self.place(bits) {
                Some(place) => Value::Object(place),
                None => Value::Dangling(bits),
            },
        }
    }

    /// The value of this type at `offset` in the object at `place`.
    #[inline]
    fn value_at(&self, place: u64, offset: u64, ty: Type) -> Option<Value> {
        let p = &self.heap().vm.pointers;
        let length = match ty {
            Type::Flat => return Some(Value::Flat),
            Type::Reference => p.oop_size(),
            _ => ty.bytes(),
        };
        // Where the object's region lies in one piece, this is what it says.
        let bytes =
            self.bytes(place).and_then(|b| b.get(offset as usize..)?.get(..length as usize));
        if let Some(bytes) = bytes {
            return Some(self.value_in(place, ty, bytes));
        }
        let (at, mut bytes) = (self.address(place).checked_add(offset)?, [0; 8]);
        let bytes = bytes.get_mut(..length as usize)?;
        self.heap().vm.mem.read_into(at, bytes).ok()?;
        Some(self.value_in(place, ty, bytes))
    }

    /// The value of this type that lies in these bytes.
    #[inline]
    fn value_in(&self, place: u64, ty: Type, bytes: &[u8]) -> Value {
        if ty == Type::Reference {
            let bits = self.heap().vm.pointers.decode(bytes);
            return self.value_of(ty, self.resolve(place, bits));
        }
        let bits = bytes.iter().rev().fold(0, |bits, b| bits << 8 | u64::from(*b));
        self.value_of(ty, bits)
    }

    fn field_and_slot(&self, laid: &Laid) -> (Field<'_>, Slot) {
        let ty = if laid.is_flat { Type::Flat } else { Type::of_signature(laid.kind) };
        (self.name_of(laid), Slot { offset: laid.offset, ty })
    }

    /// The shape of an array, how many elements it has, and its bytes to its region's end where they lie in one piece.
    #[inline]
    fn array(&self, place: u64) -> Option<(Shape, u64, Option<&[u8]>)> {
        let bytes = self.bytes(place);
        let class = match bytes {
            Some(bytes) => class_number(self.klass(bytes)),
            None => self.class_of(place),
        };
        let shape = self.heap().layouts().of.get(class as usize)?.shape;
        if !matches!(shape, Shape::Elements { .. } | Shape::FlatElements { .. }) {
            return None;
        }
        let (vm, at) = (self.heap().vm, self.heap().vm.pointers.array_length);
        let word = bytes.and_then(|b| b.get(at as usize..)?.first_chunk());
        let length = match word {
            Some(word) => u32::from_le_bytes(*word),
            None => vm.mem.u32(self.address(place) + at).ok()?,
        };
        Some((shape, length.into(), bytes))
    }
}

impl ObjectValues for HeapGraph<'_> {
    fn fields(&self, class: u32) -> Vec<(Field<'_>, Slot)> {
        let layout = self.heap().layouts().of.get(class as usize);
        let slots = layout.iter().flat_map(|l| &l.slots);
        let seen = slots.filter(|s| s.strength != Strength::Injected);
        seen.map(|s| self.field_and_slot(s)).collect()
    }

    #[inline]
    fn value(&self, place: u64, slot: Slot) -> Option<Value> {
        self.value_at(place, slot.offset.into(), slot.ty)
    }

    fn statics(&self, class: u32) -> Vec<(Field<'_>, Value)> {
        let layout = self.heap().layouts().of.get(class as usize);
        let Some((layout, mirror)) = layout.zip(self.class_object(class)) else {
            return Vec::new();
        };
        let value = |s: &Laid| {
            let (field, slot) = self.field_and_slot(s);
            Some((field, self.value(mirror, slot)?))
        };
        layout.statics.iter().filter_map(value).collect()
    }

    #[inline]
    fn length(&self, place: u64) -> Option<u64> {
        self.array(place).map(|(_, length, _)| length)
    }

    fn element(&self, place: u64, index: u64) -> Option<Value> {
        let (shape, length, _) = self.array(place)?;
        if index >= length {
            return None;
        }
        match shape {
            Shape::Elements { header, kind } => {
                let each = self.heap().vm.pointers.value_size(kind);
                let offset = u64::from(header) + index * each;
                self.value_at(place, offset, Type::of_signature(kind))
            }
            _ => Some(Value::Flat),
        }
    }

    #[inline]
    fn contents(&self, place: u64) -> Option<&[u8]> {
        let (Shape::Elements { header, kind }, length, bytes) = self.array(place)? else {
            return None;
        };
        if is_reference(kind) {
            return None;
        }
        let vm = self.heap().vm;
        let length = length * vm.pointers.value_size(kind);
        let elements = bytes.and_then(|b| b.get(header as usize..)?.get(..length as usize));
        match elements {
            Some(bytes) => Some(bytes),
            None => vm.mem.slice(self.address(place) + u64::from(header), length).ok(),
        }
    }
}

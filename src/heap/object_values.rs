//! What lies in the objects of a core's heap.

use super::layout::{Shape, Slot as Laid, Strength};
use super::object_graph::HeapGraph;
use crate::graph::{Field, NO_CLASS, ObjectGraph, ObjectValues, Slot, Type, Value};
use crate::hotspot::classes::is_reference;

impl HeapGraph<'_> {
    /// The value whose bits are given, of a reference after the collector's barrier.
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
    fn value_at(&self, place: u64, offset: u64, ty: Type) -> Option<Value> {
        let vm = self.heap().vm;
        let at = self.address(place).checked_add(offset)?;
        let bits = match ty {
            Type::Flat => 0,
            Type::Reference => vm.reader().load(at).ok()?,
            _ => match ty.bytes() {
                1 => vm.mem.u8(at).ok()?.into(),
                2 => vm.mem.u16(at).ok()?.into(),
                4 => vm.mem.u32(at).ok()?.into(),
                _ => vm.mem.u64(at).ok()?,
            },
        };
        Some(self.value_of(ty, bits))
    }

    fn field_and_slot(&self, laid: &Laid) -> (Field<'_>, Slot) {
        let ty = if laid.is_flat { Type::Flat } else { Type::of_signature(laid.kind) };
        (self.name_of(laid), Slot { offset: laid.offset, ty })
    }

    /// The shape of the objects of the class that the object at `place` has.
    fn shape(&self, place: u64) -> Option<Shape> {
        let class = Some(self.class_of(place)).filter(|c| *c != NO_CLASS)?;
        self.heap().layouts().of.get(class as usize).map(|l| l.shape)
    }
}

impl ObjectValues for HeapGraph<'_> {
    fn fields(&self, class: u32) -> Vec<(Field<'_>, Slot)> {
        let layout = self.heap().layouts().of.get(class as usize);
        let slots = layout.iter().flat_map(|l| &l.slots);
        let seen = slots.filter(|s| s.strength != Strength::Injected);
        seen.map(|s| self.field_and_slot(s)).collect()
    }

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

    fn length(&self, place: u64) -> Option<u64> {
        let vm = self.heap().vm;
        match self.shape(place)? {
            Shape::Elements { .. } | Shape::FlatElements { .. } => {
                let at = self.address(place) + vm.pointers.array_length;
                vm.mem.u32(at).ok().map(u64::from)
            }
            _ => None,
        }
    }

    fn element(&self, place: u64, index: u64) -> Option<Value> {
        if index >= self.length(place)? {
            return None;
        }
        match self.shape(place)? {
            Shape::Elements { header, kind } => {
                let each = self.heap().vm.pointers.value_size(kind);
                let offset = u64::from(header) + index * each;
                self.value_at(place, offset, Type::of_signature(kind))
            }
            _ => Some(Value::Flat),
        }
    }

    fn contents(&self, place: u64) -> Option<&[u8]> {
        let Shape::Elements { header, kind } = self.shape(place)? else { return None };
        if is_reference(kind) {
            return None;
        }
        let vm = self.heap().vm;
        let bytes = self.length(place)? * vm.pointers.value_size(kind);
        vm.mem.slice(self.address(place) + u64::from(header), bytes).ok()
    }
}

//! Per class, how its objects' bytes become a record: compiled once, run per object.

use crate::heap::Heap;
use crate::heap::layout::{FlatSlot, Layout, Shape, Slot, Strength};
use crate::hotspot::Vm;
use crate::hotspot::classes::Klass;
use crate::hotspot::classes::is_reference;
use crate::hotspot::pointers::Pointers;
use crate::output::redact::{Elements, Form, Rules};

use super::records::{double_bits, float_bits, value_size, value_type};

/// How a run of values is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// Narrow references, widened to 8 bytes each. Wide ones are swapped like longs.
    Narrow,
    /// References that are more than an address: the collector's barrier tells.
    Barrier,
    /// A value object that lies in its holder (JEP 401): null stands for it.
    Flat,
    /// Values of so many bytes that are redacted: 0 stands for each.
    Blank(u8),
    /// Bytes as they are.
    Bytes1,
    /// 16-bit values, swapped.
    Swap2,
    /// 32-bit values, swapped.
    Swap4,
    /// 64-bit values, swapped.
    Swap8,
    /// Floats: swapped, with one NaN.
    Float,
    /// Doubles: the same.
    Double,
}

impl Copy {
    /// By the first character of a signature; `reference` is how this heap's are copied.
    pub fn of(kind: u8, reference: Copy) -> Copy {
        match (is_reference(kind), kind, value_size(kind)) {
            (true, ..) => reference,
            (_, b'F', _) => Copy::Float,
            (_, b'D', _) => Copy::Double,
            (_, _, 1) => Copy::Bytes1,
            (_, _, 2) => Copy::Swap2,
            (_, _, 4) => Copy::Swap4,
            _ => Copy::Swap8,
        }
    }

    /// Bytes that one value takes in the heap.
    pub fn heap_size(self, p: &Pointers) -> u64 {
        match self {
            Copy::Narrow => 4,
            Copy::Barrier => p.oop_size(),
            Copy::Flat => 0, // not looked at
            _ => self.dump_size(),
        }
    }

    /// Bytes that one value takes in the dump.
    pub fn dump_size(self) -> u64 {
        match self {
            Copy::Blank(size) => u64::from(size),
            Copy::Bytes1 => 1,
            Copy::Swap2 => 2,
            Copy::Swap4 | Copy::Float => 4,
            Copy::Narrow | Copy::Barrier | Copy::Flat | Copy::Swap8 | Copy::Double => 8,
        }
    }

    /// Copies the values of `from`, which lie at `at`, to `to`, whose length says how many there are.
    #[inline(always)]
    pub fn run(self, vm: &Vm, at: u64, from: &[u8], to: &mut [u8]) {
        if self == Copy::Barrier {
            return through_barrier(vm, at, from, to);
        }
        self.run_plain(&vm.pointers, from, to);
    }

    #[inline(always)]
    fn run_plain(self, p: &Pointers, from: &[u8], to: &mut [u8]) {
        fn map<const N: usize, const M: usize>(
            from: &[u8],
            to: &mut [u8],
            f: impl Fn([u8; N]) -> [u8; M],
        ) {
            for (from, to) in from.as_chunks::<N>().0.iter().zip(to.as_chunks_mut::<M>().0) {
                *to = f(*from);
            }
        }
        match self {
            Copy::Narrow => map(from, to, |b| p.widen(u32::from_le_bytes(b)).to_be_bytes()),
            Copy::Flat | Copy::Blank(_) => to.fill(0),
            Copy::Bytes1 => to.copy_from_slice(&from[..to.len()]),
            Copy::Swap2 => map(from, to, |b| u16::from_le_bytes(b).to_be_bytes()),
            Copy::Swap4 => map(from, to, |b| u32::from_le_bytes(b).to_be_bytes()),
            Copy::Barrier | Copy::Swap8 => {
                map(from, to, |b| u64::from_le_bytes(b).to_be_bytes());
            }
            Copy::Float => map(from, to, |b| float_bits(u32::from_le_bytes(b)).to_be_bytes()),
            Copy::Double => map(from, to, |b| double_bits(u64::from_le_bytes(b)).to_be_bytes()),
        }
    }
}

/// References by their objects' addresses.
fn through_barrier(vm: &Vm, at: u64, from: &[u8], to: &mut [u8]) {
    let size = vm.pointers.oop_size();
    let places = (at..).step_by(size as usize);
    for ((at, from), to) in
        places.zip(from.chunks_exact(size as usize)).zip(to.as_chunks_mut::<8>().0)
    {
        *to = vm.barrier.resolve_at(vm.mem, at, vm.pointers.decode(from)).to_be_bytes();
    }
}

/// A value object in a holder, or in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flat {
    /// The number of its class.
    pub klass: u32,
    /// Where its values start.
    pub offset: u32,
    /// Where the byte is that is 0 if it is null.
    pub null_marker: Option<u32>,
    /// Where its id belongs among the values of the holder's record.
    pub place: u32,
}

impl Flat {
    /// The one at `offset`, by offsets from `start`. None where the class is not known.
    pub fn new(flat: &FlatSlot, offset: u32, start: u32, place: u32) -> Option<Flat> {
        let null_marker = flat.null_marker.map(|m| m.wrapping_sub(start));
        Some(Flat { klass: flat.klass?, offset: offset.wrapping_sub(start), null_marker, place })
    }
}

/// One field: most objects have so few that a loop over like ones would cost more than it saves.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its offset in the object.
    pub offset: u32,
    /// How it is copied.
    pub copy: Copy,
}

impl Field {
    /// Copies it from `object`, which lies at `at`, to the start of `to`; answers what follows there.
    #[inline(always)]
    pub fn run<'t>(self, vm: &Vm, at: u64, object: &[u8], to: &'t mut [u8]) -> &'t mut [u8] {
        #[inline(always)]
        fn map<'t, const N: usize, const M: usize>(
            from: &[u8],
            to: &'t mut [u8],
            f: impl Fn([u8; N]) -> [u8; M],
        ) -> &'t mut [u8] {
            match (from.first_chunk(), to.split_first_chunk_mut()) {
                (Some(from), Some((to, rest))) => {
                    *to = f(*from);
                    rest
                }
                _ => &mut [], // Plan::Instance's lengths rule it out
            }
        }
        let from = object.get(self.offset as usize..).unwrap_or(&[]);
        match self.copy {
            Copy::Narrow => {
                map(from, to, |b| vm.pointers.widen(u32::from_le_bytes(b)).to_be_bytes())
            }
            Copy::Bytes1 => map(from, to, |b: [u8; 1]| b),
            Copy::Swap2 => map(from, to, |b| u16::from_le_bytes(b).to_be_bytes()),
            Copy::Swap4 => map(from, to, |b| u32::from_le_bytes(b).to_be_bytes()),
            Copy::Swap8 => map(from, to, |b| u64::from_le_bytes(b).to_be_bytes()),
            Copy::Barrier | Copy::Flat | Copy::Blank(_) | Copy::Float | Copy::Double => {
                let (to, rest) = to.split_at_mut(self.copy.dump_size() as usize);
                self.copy.run(vm, at.wrapping_add(u64::from(self.offset)), from, to);
                rest
            }
        }
    }
}

/// Classes some of whose objects HotSpot treats apart.
#[derive(Debug, Clone, Copy)]
pub enum Special {
    /// All others.
    None,
    /// java.lang.Class, and where the klass is: only mirrors of primitive types, which have
    /// none, are dumped as objects.
    Mirror(u32),
    /// The class of the one object that stands for deleted handles, which is left out (8).
    Hidden(u64),
}

impl Special {
    fn of(vm: &Vm, klass: &Klass) -> Special {
        if !klass.is_boot {
            return Special::None;
        }
        let special = match klass.name.as_str() {
            "java/lang/Class" => vm.mirror_klass_offset().map(Special::Mirror),
            "java/lang/Object" => vm.deleted_handle().map(Special::Hidden),
            _ => None,
        };
        special.unwrap_or(Special::None)
    }
}

/// What to do with objects of one class.
#[derive(Debug, Clone)]
pub enum Plan {
    /// INSTANCE_DUMP.
    Instance {
        /// The mirror's address.
        class_id: u64,
        /// Bytes of field values.
        len: u32,
        /// Bytes that an object must have for the values to lie in it.
        object_len: u32,
        /// The fields, in the record's order.
        fields: Box<[Field]>,
        /// Value objects that lie in it: their places among the fields are null until then.
        flat: Box<[Flat]>,
        /// What is peculiar to the class.
        special: Special,
    },
    /// OBJECT_ARRAY_DUMP or PRIMITIVE_ARRAY_DUMP.
    Array {
        /// The mirror's address, for an object array.
        class_id: u64,
        /// Element type; 2 for objects.
        value_type: u8,
        /// Bytes before the first element.
        header: u32,
        /// How elements are copied.
        copy: Copy,
        /// What is redacted before, and whether as a whole.
        text: Option<(Form, bool)>,
    },
    /// OBJECT_ARRAY_DUMP of value objects that lie in the array.
    FlatArray {
        /// The mirror's address.
        class_id: u64,
        /// Bytes before the first element.
        header: u32,
        /// Bytes of an element.
        stride: u32,
        /// An element, by its own start.
        element: Flat,
    },
}

impl Plan {
    /// Compiles the plan of the class with this number; `reference` is how references are copied, `rules` say what
    /// is redacted.
    pub fn new(heap: &Heap, number: u32, reference: Copy, rules: Option<&Rules>) -> Plan {
        let vm = heap.vm;
        let (klass, layout) =
            (&vm.classes.all()[number as usize], &heap.layouts().of[number as usize]);
        let class_id = klass.mirror;
        let elements = |kind, header, copy: Copy| {
            let redacted = rules.map_or(Elements::Stay, |r| r.elements(number, kind));
            let (copy, text) = match redacted {
                Elements::Stay => (copy, None),
                Elements::Blank => (Copy::Blank(value_size(kind) as u8), None),
                Elements::Text(form, whole) => (copy, Some((form, whole))),
            };
            Plan::Array { class_id, value_type: value_type(kind), header, copy, text }
        };
        match layout.shape {
            Shape::Elements { header, kind } => elements(kind, header, Copy::of(kind, reference)),
            Shape::FlatElements { header, stride, element } => {
                match element.and_then(|e| Flat::new(&e, 0, 0, 0)) {
                    Some(element) => Plan::FlatArray { class_id, header, stride, element },
                    None => elements(b'L', header, Copy::Flat),
                }
            }
            Shape::Instance | Shape::Mirror { .. } | Shape::StackChunk { .. } => {
                let hides = |slot: &Slot| rules.is_some_and(|r| r.hides(number, slot));
                let Fields { fields, flat, len } = Fields::of(vm, layout, 0, reference, hides);
                let end = |f: &Field| f.offset + f.copy.heap_size(&vm.pointers) as u32;
                Plan::Instance {
                    class_id,
                    object_len: fields.iter().map(end).max().unwrap_or(0),
                    len,
                    fields: fields.into(),
                    flat: flat.into(),
                    special: Special::of(vm, klass),
                }
            }
        }
    }
}

/// Those of `slots` that dumps have, with their numbers, in HotSpot's order: of each class as
/// declared, or last first.
pub(super) fn in_order<'s>(vm: &Vm, slots: &'s [Slot]) -> Vec<(usize, &'s Slot)> {
    let backwards = vm.eras.dumps_fields_backwards();
    let all: Vec<(usize, &Slot)> = slots.iter().enumerate().collect();
    let classes = all.chunk_by(|a, b| a.1.declared_by == b.1.declared_by);
    let ordered = classes.flat_map(|class| {
        let at = move |i: usize| class[if backwards { class.len() - 1 - i } else { i }];
        (0..class.len()).map(at)
    });
    ordered.filter(|(_, s)| s.strength != Strength::Injected).collect()
}

/// The fields of a class and its supers, in a record's order.
pub(super) struct Fields {
    pub fields: Vec<Field>,
    pub flat: Vec<Flat>,
    /// Bytes of their values in the record.
    pub len: u32,
}

impl Fields {
    /// Offsets are counted from `start`; what is redacted `hides` says.
    pub(super) fn of(
        vm: &Vm,
        layout: &Layout,
        start: u32,
        reference: Copy,
        hides: impl Fn(&Slot) -> bool,
    ) -> Fields {
        let mut out = Fields { fields: Vec::new(), flat: Vec::new(), len: 0 };
        for (number, slot) in in_order(vm, &layout.slots) {
            let copy = match slot.is_flat {
                true => Copy::Flat,
                false if hides(slot) => Copy::Blank(value_size(slot.kind) as u8),
                false => Copy::of(slot.kind, reference),
            };
            let flat = layout.flat_at(number).filter(|_| slot.is_flat);
            out.flat.extend(flat.and_then(|f| Flat::new(f, slot.offset, start, out.len)));
            out.fields.push(Field { offset: slot.offset.wrapping_sub(start), copy });
            out.len += copy.dump_size() as u32;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hotspot::pointers::KlassForm;

    fn pointers(narrow_oops: bool) -> Pointers {
        Pointers {
            narrow_oops,
            oop_base: 0x10_0000_0000,
            oop_shift: 3,
            klass: KlassForm::Narrow,
            klass_base: 0,
            klass_shift: 0,
            array_length: 12,
            alignment: 8,
        }
    }

    #[test]
    fn references_are_widened_and_null_stays_null() {
        let mut to = [0xff; 16];
        let from = [0, 0, 0, 0, 2, 0, 0, 0];
        Copy::Narrow.run_plain(&pointers(true), &from, &mut to);
        assert_eq!(to, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10]);
    }

    #[test]
    fn every_nan_becomes_the_same() {
        let mut to = [0; 8];
        let odd = f64::from_bits(0xfff0_0000_0000_0001).to_bits().to_le_bytes();
        Copy::Double.run_plain(&pointers(true), &odd, &mut to);
        assert_eq!(to, 0x7ff8_0000_0000_0000u64.to_be_bytes());
        let mut to = [0; 4];
        Copy::Float.run_plain(&pointers(true), &(-0.0f32).to_le_bytes(), &mut to);
        assert_eq!(to, [0x80, 0, 0, 0]);
    }
}

//! Where objects hold values, by class: compiled once, and whatever reads values is made from it.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

use std::collections::HashMap;

use crate::error::Fault;
use crate::hotspot::Vm;
use crate::hotspot::classes::{FieldInfo, is_reference};
use crate::hotspot::classes::{Kind, Klass, Size};
use crate::hotspot::pointers::Pointers;

/// Value objects in value objects: so deep, and so many references in all. More is damage.
const MAX_NESTED: usize = 32;
/// The class-file format allows 65,535 fields.
const MAX_REFERENCES: usize = 1 << 16;

/// How a reference holds its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Strength {
    /// As long as its holder lives.
    Strong,
    /// The referent of a java.lang.ref.SoftReference.
    Soft,
    /// Of a WeakReference.
    Weak,
    /// Of a FinalReference: an object with a finalizer.
    Final,
    /// Of a PhantomReference, a Cleaner for one.
    Phantom,
    /// A field that the VM added and that no dump has. It holds as strongly as any.
    Injected,
}

/// A field: its place and what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Symbol of the name.
    pub name: u64,
    /// Offset in the object; of a static one in the class's mirror.
    pub offset: u32,
    /// The number of the class that declares it.
    pub declared_by: u32,
    /// First character of the signature: `B C D F I J S Z L [`.
    pub kind: u8,
    /// How it holds what it refers to. `Injected` primitives are the VM's, too.
    pub strength: Strength,
    /// The value object itself lies there (JEP 401): see [`Layout::flat`].
    pub is_flat: bool,
}

/// A value object that lies in a holder or is a flat array's element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlatSlot {
    /// Which of [`Layout::slots`] it is; 0 for an element.
    pub slot: u32,
    /// The number of its class, where that is known.
    pub klass: Option<u32>,
    /// Offset in the holder of the byte that is 0 where it is null; none where it never is.
    pub null_marker: Option<u32>,
}

/// A reference in an object, those in flat value objects too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// Offset in the object, or in a flat array's element.
    pub offset: u32,
    /// The slot, or the flat one that it lies in.
    pub slot: u32,
    /// How it holds.
    pub strength: Strength,
}

/// What an object's references are, besides those of its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// None.
    Instance,
    /// Values of one kind.
    Elements {
        /// Bytes before the first.
        header: u32,
        /// First character of their signature.
        kind: u8,
    },
    /// Value objects, each with [`Layout::references`].
    FlatElements {
        /// Bytes before the first.
        header: u32,
        /// Bytes of each.
        stride: u32,
        /// What they are, where that is known.
        element: Option<FlatSlot>,
    },
    /// A java.lang.Class: the static fields of the class whose Klass* is at `klass`.
    Mirror {
        /// Offset.
        klass: u32,
    },
    /// A StackChunk: words from `stack` on, of which some are references.
    StackChunk {
        /// Offset of the first.
        stack: u32,
    },
}

/// One class.
#[derive(Debug)]
pub struct Layout {
    /// Its fields and its supers', the nearest class's first, each class's as it declares them.
    pub slots: Box<[Slot]>,
    /// So many of them it declares itself.
    own: u32,
    /// Its static fields, as it declares them.
    pub statics: Box<[Slot]>,
    /// The flat ones of its slots, in order.
    pub flat: Box<[FlatSlot]>,
    /// All references in its objects, by offset.
    pub references: Box<[Reference]>,
    /// Those in its mirror, by offset; `slot` counts static ones.
    pub static_references: Box<[Reference]>,
    /// What else its objects hold.
    pub shape: Shape,
}

impl Layout {
    /// The fields that the class itself declares.
    pub fn own(&self) -> &[Slot] {
        self.slots.get(..self.own as usize).unwrap_or_default()
    }

    /// What lies in the flat slot with this number.
    pub fn flat_at(&self, slot: usize) -> Option<&FlatSlot> {
        self.flat.iter().find(|f| f.slot as usize == slot)
    }
}

/// All classes' layouts.
#[derive(Debug)]
pub struct Layouts {
    /// By number of klass.
    pub of: Vec<Layout>,
}

impl Layouts {
    /// Compiles them.
    pub fn new(vm: &Vm) -> Layouts {
        let compiler = Compiler::new(vm);
        Layouts { of: vm.classes.all().iter().map(|k| compiler.layout(k)).collect() }
    }

    /// The field that the class or its nearest super declares under this name, injected ones too.
    pub fn slot(&self, vm: &Vm, klass: u32, name: &str) -> Option<Slot> {
        let slots = &self.of.get(klass as usize)?.slots;
        let named = |s: &&Slot| vm.reader().symbol_bytes(s.name) == Some(name.as_bytes());
        slots.iter().find(named).copied()
    }
}

impl Slot {
    /// The bits of the value in the object with these bytes: of a reference those that the
    /// collector's barrier makes an address of.
    pub fn bits(&self, p: &Pointers, object: &[u8]) -> Option<u64> {
        let at = self.offset as usize;
        let bytes = object.get(at..at.checked_add(p.value_size(self.kind) as usize)?)?;
        Some(match is_reference(self.kind) {
            true => p.decode(bytes),
            false => bytes.iter().rev().fold(0, |bits, b| bits << 8 | u64::from(*b)),
        })
    }

    /// The value in the object (of a static one: the mirror) at `addr`: a reference's object, or the
    /// bits of a primitive.
    pub fn read(&self, vm: &Vm, addr: u64) -> Result<u64, Fault> {
        let at = addr.wrapping_add(u64::from(self.offset));
        Ok(match (is_reference(self.kind), vm.pointers.value_size(self.kind)) {
            (true, _) => vm.reader().load(at)?,
            (false, 1) => u64::from(vm.mem.u8(at)?),
            (false, 2) => u64::from(vm.mem.u16(at)?),
            (false, 4) => u64::from(vm.mem.u32(at)?),
            (false, _) => vm.mem.u64(at)?,
        })
    }
}

/// What all classes need.
struct Compiler<'v> {
    vm: &'v Vm<'v>,
    /// java.lang.ref.Reference, and the Symbol of its referent.
    referent: Option<(u64, u64)>,
    /// The classes of references that are not strong.
    weak: HashMap<u64, Strength>,
}

impl Compiler<'_> {
    fn new<'v>(vm: &'v Vm<'v>) -> Compiler<'v> {
        let reference = vm.classes.named("java/lang/ref/Reference");
        let referent = reference.and_then(|k| {
            let field = vm.classes.field(&vm.reader(), k, "referent")?;
            Some((k.addr, field.name))
        });
        let weak = [
            ("java/lang/ref/SoftReference", Strength::Soft),
            ("java/lang/ref/WeakReference", Strength::Weak),
            ("java/lang/ref/FinalReference", Strength::Final),
            ("java/lang/ref/PhantomReference", Strength::Phantom),
        ];
        let weak = weak.into_iter().filter_map(|(name, s)| Some((vm.classes.named(name)?.addr, s)));
        Compiler { vm, referent, weak: weak.collect() }
    }

    fn layout(&self, klass: &Klass) -> Layout {
        let (mut slots, mut flat, mut own) = (Vec::new(), Vec::new(), 0);
        let mut references = Vec::new();
        for k in self.vm.classes.with_supers(klass) {
            for i in k.fields.iter().filter(|i| !i.is_static) {
                let slot = self.slot(klass, k, i);
                let number = slots.len() as u32;
                if let Some(f) = i.flat {
                    flat.push(FlatSlot {
                        slot: number,
                        klass: self.value_class(f.klass),
                        null_marker: f.null_marker,
                    });
                }
                let base = Reference { offset: 0, slot: number, strength: slot.strength };
                self.references(i, base, 0, &mut references);
                slots.push(slot);
            }
            if k.addr == klass.addr {
                own = slots.len() as u32;
            }
        }
        let statics = klass.fields.iter().filter(|i| i.is_static);
        let statics: Box<[Slot]> = statics.map(|i| self.slot(klass, klass, i)).collect();
        let of_static = (0..).zip(&statics).filter(|(_, s)| is_reference(s.kind));
        let of_static = of_static.map(|(slot, s)| Reference {
            offset: s.offset,
            slot,
            strength: Strength::Strong,
        });
        let static_references = by_offset(of_static.collect());
        let shape = self.shape(klass);
        if let Shape::FlatElements { stride, element, .. } = shape {
            references = self.of_element(element, stride);
        }
        Layout {
            slots: slots.into(),
            own,
            statics,
            flat: flat.into(),
            references: by_offset(references),
            static_references,
            shape,
        }
    }

    /// The field `i` that `declarer` declares, in objects of `klass`.
    fn slot(&self, klass: &Klass, declarer: &Klass, i: &FieldInfo) -> Slot {
        let strength = match self.referent {
            _ if i.injected => Strength::Injected,
            Some(referent) if referent == (declarer.addr, i.name) => {
                let mut supers = self.vm.classes.with_supers(klass);
                let weak = supers.find_map(|k| self.weak.get(&k.addr).copied());
                weak.unwrap_or(Strength::Strong)
            }
            _ => Strength::Strong,
        };
        Slot {
            name: i.name,
            offset: i.offset,
            declared_by: self.vm.classes.number(declarer.addr).unwrap_or(super::NO_KLASS),
            kind: i.kind,
            strength,
            is_flat: i.flat.is_some(),
        }
    }

    /// Its number, where it is one whose values are known to lie flat.
    fn value_class(&self, klass: u64) -> Option<u32> {
        let number = self.vm.classes.number(klass)?;
        self.vm.classes.all().get(number as usize)?.value.map(|_| number)
    }

    /// The references of a field of an object that lies at `base.offset`: itself, or those of the
    /// value object that lies there.
    fn references(&self, i: &FieldInfo, base: Reference, depth: usize, out: &mut Vec<Reference>) {
        let offset = base.offset.wrapping_add(i.offset);
        let value = i.flat.and_then(|f| self.vm.classes.get(f.klass));
        match (i.flat, value.and_then(|k| Some((k, k.value?)))) {
            (None, _) if is_reference(i.kind) => out.push(Reference { offset, ..base }),
            (Some(_), Some((k, value))) if depth < MAX_NESTED && out.len() < MAX_REFERENCES => {
                let base = Reference { offset: offset.wrapping_sub(value.payload), ..base };
                self.of_value(k, base, depth + 1, out);
            }
            _ => {}
        }
    }

    /// Those of a value object of the class `k`, whose header would lie at `base.offset`.
    fn of_value(&self, k: &Klass, base: Reference, depth: usize, out: &mut Vec<Reference>) {
        let fields = self.vm.classes.with_supers(k).flat_map(|k| &k.fields);
        fields.filter(|i| !i.is_static).for_each(|i| self.references(i, base, depth, out));
    }

    /// Those of a flat array's element, from its own start.
    fn of_element(&self, element: Option<FlatSlot>, stride: u32) -> Vec<Reference> {
        let mut out = Vec::new();
        let klass = element.and_then(|e| self.vm.classes.all().get(e.klass? as usize));
        if let Some((k, value)) = klass.and_then(|k| Some((k, k.value?))) {
            let offset = 0u32.wrapping_sub(value.payload);
            let base = Reference { offset, slot: 0, strength: Strength::Strong };
            self.of_value(k, base, 0, &mut out);
        }
        let oop = self.vm.pointers.oop_size();
        out.retain(|r| u64::from(r.offset) + oop <= u64::from(stride));
        out
    }

    fn shape(&self, klass: &Klass) -> Shape {
        match (klass.kind, klass.size) {
            (Kind::ObjArray, Size::Array { header, .. }) => {
                Shape::Elements { header: header as u32, kind: b'L' }
            }
            (Kind::TypeArray(kind), Size::Array { header, .. }) => {
                Shape::Elements { header: header as u32, kind }
            }
            (Kind::FlatArray, Size::Array { header, log2 }) => Shape::FlatElements {
                header: header as u32,
                stride: 1 << log2.min(31),
                element: self.element(klass),
            },
            (Kind::Instance, Size::Mirror { .. }) => match self.vm.mirror_klass_offset() {
                Some(klass) => Shape::Mirror { klass },
                None => Shape::Instance,
            },
            (Kind::Instance, Size::StackChunk { base, .. }) => {
                Shape::StackChunk { stack: base as u32 }
            }
            _ => Shape::Instance,
        }
    }

    fn element(&self, array: &Klass) -> Option<FlatSlot> {
        let elements = array.flat_elements?;
        let number = self.value_class(elements.klass)?;
        let value = self.vm.classes.all().get(number as usize)?.value?;
        let null_marker = match (elements.nullable, value.null_marker) {
            (false, _) => None,
            (true, Some(marker)) => Some(marker.checked_sub(value.payload)?),
            (true, None) => return None,
        };
        Some(FlatSlot { slot: 0, klass: Some(number), null_marker })
    }
}

/// In order, each place once.
fn by_offset(mut references: Vec<Reference>) -> Box<[Reference]> {
    references.sort_by_key(|r| r.offset);
    references.dedup_by_key(|r| r.offset);
    references.into()
}

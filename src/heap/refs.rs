//! Where objects hold references, by class: compiled once, used per object.

use crate::hotspot::Vm;
use crate::hotspot::field_layout::is_reference;
use crate::hotspot::klass::{Kind, Klass, Size};

/// Value objects in value objects: so deep, and so many references in all. More is damage.
const MAX_NESTED: usize = 32;
/// The class-file format allows 65,535 fields.
const MAX_OFFSETS: usize = 1 << 16;

/// The references in objects of one class.
#[derive(Debug)]
pub enum Refs {
    /// None: arrays of primitives, and objects without such fields.
    None,
    /// Fields at these offsets, those that the VM added included.
    Fields(Box<[u32]>),
    /// Every element from this offset on.
    Elements(u32),
    /// The same of value objects that lie in the array: header, bytes of an element, and offsets in
    /// each.
    Flat {
        /// Bytes before the first element.
        header: u32,
        /// Bytes of an element.
        stride: u32,
        /// Where in each a reference is.
        references: Box<[u32]>,
    },
    /// A java.lang.Class: fields, and the static ones of the class whose Klass* is at `klass`.
    Mirror {
        /// Offsets.
        fields: Box<[u32]>,
        /// Offset of the Klass*.
        klass: u32,
    },
    /// A StackChunk: fields, and from `stack` on words of which some are references.
    Stack {
        /// Offsets.
        fields: Box<[u32]>,
        /// Offset of the first word.
        stack: u32,
    },
}

/// All classes' references.
#[derive(Debug)]
pub struct RefMap {
    /// By number of klass.
    pub of: Vec<Refs>,
    /// Offsets in a class's mirror, by number of klass.
    pub statics: Vec<Box<[u32]>>,
}

impl RefMap {
    /// Reads the layouts.
    pub fn new(vm: &Vm) -> RefMap {
        let classes = vm.classes.all();
        let statics = |k: &Klass| {
            let fields = k.fields.iter().filter(|i| i.is_static && is_reference(i.kind));
            fields.map(|i| i.offset).collect()
        };
        RefMap {
            of: classes.iter().map(|k| refs(vm, k)).collect(),
            statics: classes.iter().map(statics).collect(),
        }
    }
}

/// Offsets of the references in an object of `klass` that lies at `base`, those in flat ones too.
fn references(vm: &Vm, klass: &Klass, base: u32, depth: usize, out: &mut Vec<u32>) {
    for i in vm.classes.with_supers(klass).flat_map(|k| &k.fields).filter(|i| !i.is_static) {
        let at = base.wrapping_add(i.offset);
        let value = i.flat.and_then(|f| vm.classes.get(f.klass)).and_then(|k| Some((k, k.value?)));
        match (i.flat, value) {
            (None, _) if is_reference(i.kind) => out.push(at),
            (Some(_), Some((k, value))) if depth < MAX_NESTED && out.len() < MAX_OFFSETS => {
                references(vm, k, at.wrapping_sub(value.payload), depth + 1, out);
            }
            _ => {}
        }
    }
}

fn refs(vm: &Vm, klass: &Klass) -> Refs {
    let fields = || -> Box<[u32]> {
        let mut offsets = Vec::new();
        references(vm, klass, 0, 0, &mut offsets);
        offsets.sort_unstable();
        offsets.dedup();
        offsets.into()
    };
    match (klass.kind, klass.size) {
        (Kind::ObjArray, Size::Array { header, .. }) => Refs::Elements(header as u32),
        (Kind::FlatArray, Size::Array { header, log2 }) => {
            let elements = klass.flat_elements.and_then(|e| vm.classes.get(e.klass));
            let mut offsets = Vec::new();
            if let Some((k, value)) = elements.and_then(|k| Some((k, k.value?))) {
                references(vm, k, 0u32.wrapping_sub(value.payload), 0, &mut offsets);
            }
            let stride = 1u32.checked_shl(log2).unwrap_or(0);
            offsets.retain(|o| u64::from(*o) + vm.pointers.oop_size() <= u64::from(stride));
            match offsets.is_empty() {
                true => Refs::None,
                false => Refs::Flat { header: header as u32, stride, references: offsets.into() },
            }
        }
        (Kind::Instance, Size::Mirror { .. }) => match vm.mirror_klass_offset() {
            Some(klass) => Refs::Mirror { fields: fields(), klass },
            None => Refs::Fields(fields()),
        },
        (Kind::Instance, Size::StackChunk { base, .. }) => {
            Refs::Stack { fields: fields(), stack: base as u32 }
        }
        (Kind::Instance, _) => match fields() {
            none if none.is_empty() => Refs::None,
            some => Refs::Fields(some),
        },
        _ => Refs::None,
    }
}

//! Where objects hold references, by class: compiled once, used per object.

use crate::hotspot::Vm;
use crate::hotspot::field_layout::is_reference;
use crate::hotspot::klass::{Kind, Klass, Size};

/// The references in objects of one class.
#[derive(Debug)]
pub enum Refs {
    /// None: arrays of primitives, and objects without such fields.
    None,
    /// Fields at these offsets, those that the VM added included.
    Fields(Box<[u32]>),
    /// Every element from this offset on.
    Elements(u32),
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

fn refs(vm: &Vm, klass: &Klass) -> Refs {
    let fields = || -> Box<[u32]> {
        let all = vm.classes.with_supers(klass).flat_map(|k| &k.fields);
        let references = all.filter(|i| !i.is_static && !i.is_flat && is_reference(i.kind));
        let mut offsets: Vec<u32> = references.map(|i| i.offset).collect();
        offsets.sort_unstable();
        offsets.dedup();
        offsets.into()
    };
    match (klass.kind, klass.size) {
        (Kind::ObjArray, Size::Array { header, .. }) => Refs::Elements(header as u32),
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

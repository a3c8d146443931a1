//! What a class holds besides its mirror's own fields: what a dump's CLASS_DUMP says of it.

use super::Heap;
use crate::error::Fault;
use crate::hotspot::classes::ClassReader;
use crate::hotspot::classes::{Kind, Klass};

/// A class as an object that refers to others; 0 is null.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClassObject {
    /// The mirror of the class that Java code would call its super.
    pub super_class: u64,
    /// Its loader.
    pub loader: u64,
    /// Those who signed it.
    pub signers: u64,
    /// Its protection domain.
    pub protection_domain: u64,
    /// The values of its static fields, as the layout has them: objects, or the bits of primitives.
    pub statics: Vec<u64>,
    /// What its constant pool refers to, and those of older versions that still run.
    pub resolved_references: Vec<u64>,
    /// What a thread locks that initializes it.
    pub init_lock: u64,
}

/// Reads classes.
#[derive(Debug)]
pub(crate) struct ClassObjects<'h> {
    heap: &'h Heap<'h>,
    /// The facts that the layout has not.
    pub facts: ClassReader<'h>,
    /// The mirror of java.lang.Object.
    object: u64,
}

impl<'h> ClassObjects<'h> {
    /// Looks up what is the same for all classes.
    pub(crate) fn new(heap: &'h Heap<'h>) -> ClassObjects<'h> {
        let object = heap.vm.classes.named("java/lang/Object").map_or(0, |o| o.mirror);
        ClassObjects { heap, facts: ClassReader::new(heap.vm), object }
    }

    /// What is known without a look at the heap: super class and loader.
    pub(crate) fn outline(&self, k: &Klass) -> ClassObject {
        let vm = self.heap.vm;
        // Klass::_super of an array class is another array class; its Java super is Object.
        let super_class = match k.kind {
            Kind::Instance => k.super_klass.and_then(|s| vm.classes.get(s)).map_or(0, |s| s.mirror),
            _ => self.object,
        };
        let is_basic = matches!(k.kind, Kind::TypeArray(_))
            || k.bottom.and_then(|b| vm.classes.get(b)).is_some_and(|b| b.kind != Kind::Instance);
        let loader = if is_basic { 0 } else { k.loader };
        ClassObject { super_class, loader, ..ClassObject::default() }
    }

    /// All that the class with this number holds. An object array has what its bottom class has.
    pub(crate) fn read(&self, number: u32) -> Result<ClassObject, Fault> {
        let vm = self.heap.vm;
        let k = &vm.classes.all()[number as usize];
        let (signers, protection_domain) = self.facts.signers_and_domain(k)?;
        let mut out = ClassObject { signers, protection_domain, ..self.outline(k) };
        if k.kind == Kind::Instance {
            for slot in &self.heap.layouts().of[number as usize].statics {
                out.statics.push(slot.read(vm, k.mirror)?);
            }
            out.resolved_references = self.facts.all_resolved_references(k)?;
            out.init_lock = self.facts.init_lock(k)?;
        }
        Ok(out)
    }
}

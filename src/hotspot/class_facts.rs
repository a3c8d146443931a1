//! What a dump says of a class beyond its layout: signers, protection domain, static values.

use std::iter;

use super::Vm;
use super::field_layout::{FieldInfo, hprof_size, is_reference};
use super::klass::{Kind, Klass};
use super::unexported::{
    INIT_LOCK, INIT_LOCK_FIELDS, PREVIOUS_VERSIONS_AFTER_BREAKPOINTS, RESOLVED_REFERENCES,
};
use crate::error::Fault;

/// Versions of one class that are on stacks at once; a list longer than this runs in a circle.
const MAX_VERSIONS: usize = 1000;

/// A static field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticValue {
    /// Symbol of the name.
    pub name: u64,
    /// First character of the signature.
    pub kind: u8,
    /// The value: a reference's address, or the bits of a primitive.
    pub bits: u64,
}

/// A class's values in its mirror.
#[derive(Debug, Clone, Default)]
pub struct ClassFacts {
    /// Object ids, 0 where there is none.
    pub signers: u64,
    /// The protection domain.
    pub protection_domain: u64,
    /// Static fields in HotSpot's order of dumping, then its two extra ones.
    pub statics: Vec<StaticValue>,
}

/// Reads class facts; looks the fields of java.lang.Class up once.
#[derive(Debug)]
pub struct ClassReader<'v> {
    vm: &'v Vm<'v>,
    signers: Option<FieldInfo>,
    protection_domain: Option<FieldInfo>,
    init_lock: Option<FieldInfo>,
    /// The Symbols that name HotSpot's extra statics.
    resolved_references_name: Option<u64>,
    init_lock_name: Option<u64>,
}

impl<'v> ClassReader<'v> {
    /// Finds the fields by name: declared in newer JDKs, injected in older ones.
    pub fn new(vm: &'v Vm<'v>) -> Self {
        let field = |names: &[&str]| {
            let class = vm.classes.named("java/lang/Class")?;
            names.iter().find_map(|n| vm.classes.field(&vm.reader(), class, n))
        };
        ClassReader {
            vm,
            signers: field(&["signers", "signers_name"]),
            protection_domain: field(&["protectionDomain", "protection_domain"]),
            init_lock: field(&INIT_LOCK_FIELDS),
            resolved_references_name: vm_symbol(vm, RESOLVED_REFERENCES),
            init_lock_name: INIT_LOCK.iter().find_map(|n| vm_symbol(vm, n)),
        }
    }

    /// The facts of `klass`; an object array takes those of its bottom class.
    pub fn read(&self, klass: &Klass) -> Result<ClassFacts, Fault> {
        let vm = self.vm;
        let bottom = klass.bottom.and_then(|b| vm.classes.get(b)).unwrap_or(klass);
        let load = |field: Option<FieldInfo>| match field {
            Some(i) if bottom.kind == Kind::Instance => {
                vm.reader().load(bottom.mirror.wrapping_add(u64::from(i.offset)))
            }
            _ => Ok(0),
        };
        let mut facts = ClassFacts {
            signers: load(self.signers)?,
            protection_domain: load(self.protection_domain)?,
            statics: Vec::new(),
        };
        if klass.kind != Kind::Instance {
            return Ok(facts);
        }
        for i in vm.dumped_fields(klass).filter(|i| i.is_static) {
            let at = klass.mirror.wrapping_add(u64::from(i.offset));
            let bits = match (is_reference(i.kind), hprof_size(i.kind)) {
                (true, _) => vm.reader().load(at)?,
                (false, 1) => u64::from(vm.mem.u8(at)?),
                (false, 2) => u64::from(vm.mem.u16(at)?),
                (false, 4) => u64::from(vm.mem.u32(at)?),
                (false, _) => vm.mem.u64(at)?,
            };
            facts.statics.push(StaticValue { name: i.name, kind: i.kind, bits });
        }
        let mut extra =
            vec![(self.resolved_references_name, self.resolved_references(klass.addr)?)];
        for version in self.previous_versions(klass) {
            match self.resolved_references(version)? {
                0 => break,
                bits => extra.push((self.resolved_references_name, bits)),
            }
        }
        extra.push((self.init_lock_name, load(self.init_lock)?));
        for (name, bits) in extra {
            if let (Some(name), true) = (name, bits != 0) {
                facts.statics.push(StaticValue { name, kind: b'[', bits });
            }
        }
        Ok(facts)
    }

    /// The InstanceKlasses that a redefinition replaced and that are still in use, newest first.
    fn previous_versions(&self, klass: &Klass) -> Vec<u64> {
        let (mem, f) = (self.vm.mem, &self.vm.fields);
        let offsets = (f.ik_breakpoints.opt(), f.klass_name.opt());
        let (Some(breakpoints), Some(name)) = offsets else { return Vec::new() };
        let next = |at: &u64| {
            let to = at.wrapping_add(breakpoints + PREVIOUS_VERSIONS_AFTER_BREAKPOINTS);
            let version = mem.u64(to).ok().filter(|v| *v != 0 && *v != klass.addr)?;
            // The offset is none of the tables': the name must be the class's.
            let named = mem.u64(version.wrapping_add(name)).ok()? == klass.name_symbol;
            named.then_some(version)
        };
        iter::successors(next(&klass.addr), next).take(MAX_VERSIONS).collect()
    }

    /// The resolved references of an InstanceKlass's pool: in its ConstantPoolCache, in the pool
    /// itself in 8.
    fn resolved_references(&self, klass: u64) -> Result<u64, Fault> {
        let (mem, f) = (self.vm.mem, &self.vm.fields);
        let Some(constants) = f.ik_constants.opt() else { return Ok(0) };
        let pool = mem.u64(klass.wrapping_add(constants))?;
        if let Some(references) = f.pool_resolved_references.opt() {
            return self.vm.reader().handle(pool.wrapping_add(references));
        }
        let offsets = (f.pool_cache.opt(), f.cache_resolved_references.opt());
        let (Some(cache), Some(references)) = offsets else { return Ok(0) };
        let cache = mem.u64(pool.wrapping_add(cache))?;
        if cache == 0 { Ok(0) } else { self.vm.reader().handle(cache.wrapping_add(references)) }
    }
}

/// The Symbol among the VM's own that reads `name`.
fn vm_symbol(vm: &Vm, name: &[u8]) -> Option<u64> {
    let table = vm.fields.vm_symbols.opt()?;
    let limit = vm.tables.constant("vmSymbols::SID_LIMIT").unwrap_or(2000).clamp(0, 10_000);
    (1..limit as u64)
        .filter_map(|i| vm.mem.u64(table.wrapping_add(i * 8)).ok())
        .find(|s| vm.reader().symbol_bytes(*s) == Some(name))
}

impl Vm<'_> {
    /// Where in a java.lang.Class its klass is (java_lang_Class::_klass_offset): null in the
    /// mirror of a primitive type.
    pub fn mirror_klass_offset(&self) -> Option<u32> {
        self.mem.u32(self.fields.class_klass.opt()?).ok()
    }

    /// The fields that a class declares, in the order in which HotSpot dumps them: last first
    /// while fields were u2 slots (FieldStream ran backwards), as declared since.
    pub fn dumped_fields<'k>(&self, klass: &'k Klass) -> impl Iterator<Item = &'k FieldInfo> {
        let backwards = self.fields.ik_fieldinfo_stream.opt().is_none();
        let len = klass.fields.len();
        (0..len)
            .map(move |i| &klass.fields[if backwards { len - 1 - i } else { i }])
            .filter(|i| !i.injected)
    }
}

//! What a class refers to besides its static fields: signers, protection domain, what its constant
//! pool has resolved.

use std::iter;

use super::field_layout::FieldInfo;
use super::klass::{Kind, Klass};
use crate::error::Fault;
use crate::hotspot::Vm;
use crate::hotspot::unexported::{
    INIT_LOCK, INIT_LOCK_FIELDS, PREVIOUS_VERSIONS_AFTER_BREAKPOINTS, RESOLVED_REFERENCES,
};

/// Versions of one class that are on stacks at once; a list longer than this runs in a circle.
const MAX_VERSIONS: usize = 1000;

/// Reads class facts; looks the fields of java.lang.Class up once.
#[derive(Debug)]
pub struct ClassReader<'v> {
    vm: &'v Vm<'v>,
    signers: Option<FieldInfo>,
    protection_domain: Option<FieldInfo>,
    init_lock: Option<FieldInfo>,
    /// The Symbol that HotSpot has for resolved references, which no field names.
    pub resolved_references_name: Option<u64>,
    /// The same for the lock.
    pub init_lock_name: Option<u64>,
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

    /// Its signers and its protection domain, 0 where there is none; an object array has those of
    /// its bottom class.
    pub fn signers_and_domain(&self, klass: &Klass) -> Result<(u64, u64), Fault> {
        let bottom = klass.bottom.and_then(|b| self.vm.classes.get(b)).unwrap_or(klass);
        Ok((self.load(bottom, self.signers)?, self.load(bottom, self.protection_domain)?))
    }

    /// The object that is locked while the class is being initialized; 0 when it has been.
    pub fn init_lock(&self, klass: &Klass) -> Result<u64, Fault> {
        self.load(klass, self.init_lock)
    }

    /// The resolved references of an instance class, and of its older versions that still run; the
    /// newest first, without nulls.
    pub fn all_resolved_references(&self, klass: &Klass) -> Result<Vec<u64>, Fault> {
        let mut out = Vec::new();
        out.extend(Some(self.resolved_references(klass.addr)?).filter(|r| *r != 0));
        for version in self.previous_versions(klass) {
            match self.resolved_references(version)? {
                0 => break,
                references => out.push(references),
            }
        }
        Ok(out)
    }

    /// A field of the class's mirror.
    fn load(&self, klass: &Klass, field: Option<FieldInfo>) -> Result<u64, Fault> {
        match field {
            Some(i) if klass.kind == Kind::Instance => {
                self.vm.reader().load(klass.mirror.wrapping_add(u64::from(i.offset)))
            }
            _ => Ok(0),
        }
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
}

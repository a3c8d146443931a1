//! A HotSpot VM as its structures describe it: flags, classes, threads, handles, heap regions.
//!
//! Asks the tables for fields, never which JDK it is; what they lack is in `unexported`.
//! Knows nothing of how a heap is walked or what is written of it.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

#[doc(hidden)]
pub mod barrier;
pub mod classes;
pub(crate) mod code;
#[cfg_attr(
    not(test),
    allow(
        clippy::indexing_slicing,
        clippy::disallowed_methods,
        reason = "its indices are of its own lists; to be rewritten like the others"
    )
)]
pub(crate) mod compaction;
pub(crate) mod eras;
pub(crate) mod frames;
pub mod gc;
pub(crate) mod handles;
pub(crate) mod java;
pub(crate) mod lost_data;
pub mod nmt;
pub mod pointers;
pub(crate) mod running;
pub mod states;
pub mod threads;
mod unexported;
pub mod vm_info;

use crate::corefile::CoreFile;
use crate::corefile::memory::Memory;
use crate::cpu::Cpu;
use crate::error::{Error, Fault, Result};
use crate::symbols::Library;
use crate::vmstructs::{Field, Fields, Tables};
use barrier::Barrier;
use classes::{Classes, Klass};
use eras::Eras;
use pointers::Pointers;
use threads::ThreadNotes;
use vm_info::flags::Flags;
use vm_info::version::Version;

/// What every reader of the VM's structures needs.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The address space.
    pub mem: &'a Memory,
    /// Offsets and statics.
    pub fields: &'a Fields,
    /// How pointers are written.
    pub pointers: Pointers,
    /// What a reference means.
    pub barrier: &'a Barrier,
}

impl<'a> Reader<'a> {
    /// The object of the reference in the heap at `addr`.
    pub fn load(&self, addr: u64) -> Result<u64, Fault> {
        let bits = self.pointers.load_bits(self.mem, addr)?;
        Ok(self.barrier.resolve_at(self.mem, addr, bits))
    }

    /// The text of the Symbol at `addr`; none where it is not one.
    pub fn symbol(&self, addr: u64) -> Option<String> {
        self.symbol_bytes(addr).map(|b| String::from_utf8_lossy(b).into_owned())
    }

    /// The bytes of the Symbol at `addr`: modified UTF-8, at most 65,535.
    pub fn symbol_bytes(&self, addr: u64) -> Option<&'a [u8]> {
        let len = self.mem.u16(addr.wrapping_add(self.fields.symbol_length.opt()?)).ok()?;
        self.mem.slice(addr.wrapping_add(self.fields.symbol_body.opt()?), u64::from(len)).ok()
    }

    /// The object that `field` of the structure at `addr` leads to, be it an oop or a handle
    /// to one; 0 where there is none.
    pub fn object(&self, addr: u64, field: Field) -> Result<u64> {
        let at = addr.wrapping_add(field.get()?);
        let oop = match field.is_oop() {
            true => self.mem.u64(at).map(|bits| self.barrier.resolve(self.mem, bits)),
            false => self.handle(at),
        };
        oop.map_err(Error::unreadable(field.name()))
    }

    /// The oop behind the OopHandle (or jobject) at `addr`; 0 where it is empty.
    pub fn handle(&self, addr: u64) -> Result<u64, Fault> {
        let slot = self.mem.u64(addr.wrapping_add(self.fields.oop_handle.opt().unwrap_or(0)))?;
        if slot == 0 { Ok(0) } else { Ok(self.barrier.resolve(self.mem, self.mem.u64(slot)?)) }
    }
}

/// Whether a VM was made that has these tables; `None` if that cannot be read.
pub fn has_heap(mem: &Memory, tables: &Tables) -> Option<bool> {
    Some(mem.u64(Fields::load(tables).collected_heap.opt()?).ok()? != 0)
}

/// The VM in a core.
#[derive(Debug)]
pub struct Vm<'a> {
    /// The address space.
    pub mem: &'a Memory,
    /// libjvm's image.
    pub library: Library,
    /// vmStructs.
    pub tables: Tables,
    /// The fields found in it.
    pub fields: Fields,
    /// What hangs on the era that it is of.
    pub eras: Eras,
    /// The VM's flags.
    pub flags: Flags,
    /// Release and vendor.
    pub version: Version,
    /// Pointer encoding.
    pub pointers: Pointers,
    /// What a reference means.
    pub barrier: Barrier,
    /// The CPU that it ran on.
    pub cpu: Cpu,
    /// The threads' registers.
    pub notes: ThreadNotes<'a>,
    /// Loaded classes.
    pub classes: Classes,
    /// Bounds of the CDS archive's metadata, where one is mapped.
    pub archive: Option<(u64, u64)>,
    /// When the core was taken, in ms since 1970, where it says so.
    pub taken_ms: Option<u64>,
    /// Where an OSThread has the kernel's id of its thread, if that is known.
    pub osthread_id: Option<u64>,
    /// What libjvm's data led to where that is lost, and what was found without: OopStorages.
    pub lost_pointers: Vec<u64>,
    /// Metadata that could not be read, in words.
    pub damaged: Vec<String>,
}

impl<'a> Vm<'a> {
    /// Finds libjvm in the core and its tables.
    pub fn tables(core: &CoreFile) -> Result<(Library, Tables)> {
        let mem = core.memory();
        let none = || {
            Error::no_jvm(format!(
                "{}: no libjvm.so among the files that the process had mapped: \
                 it is not the core of a HotSpot JVM",
                core.path().display()
            ))
        };
        let read = |base: u64| -> Result<(Library, Tables)> {
            let library = Library::read(mem, base, "gHotSpotVM")?;
            let tables = Tables::read(mem, &library)?;
            Ok((library, tables))
        };
        // Of several, the one that made a VM; else the first that can be read.
        let mut first = None;
        for libjvm in core.libjvms() {
            let read = read(libjvm.start);
            if read.as_ref().is_ok_and(|(_, tables)| has_heap(mem, tables) == Some(true)) {
                return read;
            }
            let is_better = |first: &Result<_>| first.is_err() && read.is_ok();
            if first.as_ref().is_none_or(is_better) {
                first = Some(read);
            }
        }
        first.ok_or_else(none)?.map_err(|e| core.lost_libjvm_data().unwrap_or(e))
    }

    /// Finds libjvm in the core and reads the VM's metadata.
    pub fn open(core: &'a CoreFile) -> Result<Vm<'a>> {
        let mem = core.memory();
        let (library, tables) = Vm::tables(core)?;
        let fields = Fields::load(&tables);
        let eras = Eras::read(&fields, &tables);
        let version = Version::read(mem, &fields);
        let named = |e| match e {
            Error::MissingField { what } => Error::Unsupported(format!(
                "{}: rjcore does not read this HotSpot yet: its vmStructs lack {what}",
                version.text()
            )),
            e => e,
        };
        let flags = Flags::read(mem, &tables, &fields).map_err(named)?;
        // Without a VM no collector was chosen.
        if !gc::is_chosen(&flags) && has_heap(mem, &tables) == Some(false) {
            return Err(Error::no_jvm(format!(
                "{}: libjvm.so is loaded, and no VM was made with it, at least not yet",
                core.path().display()
            )));
        }
        gc::check(&flags, &fields)
            .map_err(|e| Error::Unsupported(format!("{}: {e}", version.text())))?;
        let pointers = Pointers::read(mem, &tables, &fields, &flags).map_err(named)?;
        let barrier = Barrier::read(mem, &tables, &fields, &flags, &pointers).map_err(named)?;
        let reader = Reader { mem, fields: &fields, pointers, barrier: &barrier };
        let mut damaged = core.rebuilt().words.clone();
        let classes = Classes::read(&reader, &tables, &mut damaged).map_err(named)?;
        let bound = |f: Field| mem.u64(f.opt()?).ok();
        let archive = bound(fields.archive_base)
            .zip(bound(fields.archive_top))
            .filter(|(base, top)| base < top);
        let taken_ms = core.origin().map(|o| o.captured_ms);
        let mut vm = Vm {
            mem,
            library,
            tables,
            fields,
            eras,
            flags,
            version,
            pointers,
            barrier,
            cpu: core.cpu(),
            notes: ThreadNotes::new(core.threads()),
            classes,
            archive,
            taken_ms,
            osthread_id: None,
            lost_pointers: core.rebuilt().pointers.clone(),
            damaged,
        };
        if matches!(vm.barrier, Barrier::Forwarded(_)) && threads::any_tlab(&vm) {
            vm.barrier = Barrier::None; // it was about to begin
        }
        if matches!(vm.barrier, Barrier::Forwarded(_))
            && let Some(compaction) = compaction::find(&vm)
        {
            // What was read of the classes' objects was read without.
            vm.barrier = Barrier::Compacted(compaction.into());
            let mut damaged = core.rebuilt().words.clone();
            vm.classes = Classes::read(&vm.reader(), &vm.tables, &mut damaged)?;
            vm.damaged = damaged;
        }
        vm.osthread_id = threads::osthread_id(&vm);
        Ok(vm)
    }

    /// The facts that structure readers share.
    pub fn reader(&self) -> Reader<'_> {
        let (fields, barrier) = (&self.fields, &self.barrier);
        Reader { mem: self.mem, fields, pointers: self.pointers, barrier }
    }

    /// The klass of the object at `addr`, where it is one.
    pub fn klass_of(&self, addr: u64) -> Option<&Klass> {
        let mut header = [0; 16];
        self.mem.read_into(addr, &mut header).ok()?;
        self.classes.get(self.pointers.klass_of(&header)?)
    }

    /// The reference in the field `name` of the object at `obj`; none where there is no such.
    pub fn oop_field(&self, obj: u64, name: &str) -> Option<u64> {
        let field = self.classes.field(&self.reader(), self.klass_of(obj)?, name)?;
        self.reader().load(obj.wrapping_add(u64::from(field.offset))).ok()
    }
}

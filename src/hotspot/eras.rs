//! What a HotSpot does, and no field says: each a named fact, by the era that it is of.
//!
//! Where something lies is not asked here but of its own field. What changed together with a field, and cannot be told
//! otherwise, is: the eras are known by fields that came or went with them, probed once.

use crate::vmstructs::{Fields, Tables};

/// Whether it is 8, of which it is known how the klasses of a ClassLoaderData are linked, where fields do not tell. It is
/// the one whose ClassLoaderData starts with an oop. Asked before a VM is open.
pub(crate) fn has_known_class_links(f: &Fields) -> bool {
    f.cld_class_loader.is_oop()
}

/// The eras that a HotSpot is of, as far as its behaviour hangs on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Eras {
    /// 8: the mirror of a class is an oop; later a handle to one.
    is_8: bool,
    /// Until 15: no list of the monitors in use.
    until_15: bool,
    /// From 19 on: a thread has a virtual one that it runs.
    from_19: bool,
    /// Until 20: fields are u2 slots, not a compressed stream (JDK-8292818).
    until_20: bool,
    /// 28: fields may be flat (JEP 401).
    has_values: bool,
}

impl Eras {
    /// Probes them.
    pub fn read(f: &Fields, tables: &Tables) -> Eras {
        Eras {
            is_8: f.klass_mirror.is_oop(),
            until_15: f.monitors_in_use.opt().is_none(),
            from_19: f.thread_vthread.opt().is_some(),
            until_20: f.ik_fieldinfo_stream.opt().is_none(),
            has_values: tables.constant("FieldInfo::FieldFlags::_ff_flat").is_some(),
        }
    }

    /// An interpreter's frame has no slot that keeps its method's class alive (8).
    pub fn frames_keep_no_class(&self) -> bool {
        self.is_8
    }

    /// HotSpot goes by its linked list of threads, which has the newest first (8). From 10 it goes by an array
    /// that has it last.
    pub fn has_newest_thread_first(&self) -> bool {
        self.is_8
    }

    /// What fills the end of a TLAB is at least an int[] (8); later a bare header.
    pub fn fills_with_arrays(&self) -> bool {
        self.is_8
    }

    /// References on expression stacks are among the roots that dumps have (from 9).
    pub fn dumps_expression_stacks(&self) -> bool {
        !self.is_8
    }

    /// A VM-anonymous class is set apart by its mirror's identity hash (8); later by its address.
    pub fn names_classes_by_hash(&self) -> bool {
        self.is_8
    }

    /// Thread dumps have the VM thread first, then the collector's, then the timer (8); later the newest first.
    pub fn has_vm_thread_first(&self) -> bool {
        self.is_8
    }

    /// Thread dumps say that a thread waits, even if its object cannot be told (from 9).
    pub fn tells_unknown_waits(&self) -> bool {
        !self.is_8
    }

    /// Thread dumps have no list of threads, "JNI global references" instead of "JNI global refs" and weak
    /// ones, and one space before the stack pointer (8).
    pub fn has_plain_thread_dumps(&self) -> bool {
        self.is_8
    }

    /// Thread dumps tell the monitors of callers of wait() apart (9 to 15).
    pub fn tells_relocking(&self) -> bool {
        self.until_15 && !self.is_8
    }

    /// Thread dumps have no empty lines between the threads of a deadlock (until 15).
    pub fn has_dense_deadlocks(&self) -> bool {
        self.until_15
    }

    /// Thread dumps have the kernel's ids in decimal, and behind the thread's number too (from 19).
    pub fn has_decimal_ids(&self) -> bool {
        self.from_19
    }

    /// Relocations of compiled code have 32 types (from 19: those of continuations came); before 16.
    pub fn has_32_relocations(&self) -> bool {
        self.from_19
    }

    /// Heap dumps have each class's fields last first (until 20: FieldStream ran backwards).
    pub fn dumps_fields_backwards(&self) -> bool {
        self.until_20
    }

    /// UNSIGNED5 codes bytes without the bias that came with the compressed field streams (until 20).
    pub fn has_plain_unsigned5(&self) -> bool {
        self.until_20
    }

    /// There are value classes (JEP 401), with flat fields and early writes to fields in constructors.
    pub fn has_value_classes(&self) -> bool {
        self.has_values
    }
}

//! What keeps objects alive, in one list.
//!
//! [`global`] and [`Stacks`] give the roots that HotSpot's dumps name, in their order: what threads
//! hold, JNI's and the VM's handles, the boot loader's classes. [`WideRoots`] is that list without
//! the values of frames, and more: where the search of ZGC's and Shenandoah's heaps starts, which
//! may keep too much and must lose nothing. docs/roots.md names the source of each.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

mod code;
mod threads;
mod wide;

pub use threads::{Call, EarlyEnd, Stacks, ThreadRoots, is_shown};
pub use wide::WideRoots;

use crate::error::Result;
use crate::hotspot::Vm;
use crate::hotspot::classes::Kind;
use crate::hotspot::handles::{Handle, jni_globals, monitors_used};

/// Why an object is a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RootKind {
    /// The java.lang.Thread of a thread of the VM, or the virtual thread that one carries.
    Thread,
    /// A virtual thread that no carrier runs. Its object holds what its frames do; that the object
    /// itself is a root is only a dump's way to name the thread.
    UnmountedThread,
    /// A local variable of a Java frame, or a slot of its expression stack.
    Frame,
    /// A handle of native code that a thread runs.
    JniLocal,
    /// A handle of native code that outlives calls, or one of the VM's own.
    JniGlobal,
    /// The object of an inflated monitor (8).
    Monitor,
    /// A class of the boot loader, which is never unloaded: its mirror.
    BootClass,
    /// The mirror of any other loaded class, or its loader. In a dump these hang on one another.
    Class,
    /// What a class loader's handles hold: mirrors, resolved references, modules.
    LoaderHandle,
    /// A handle in an OopStorage, weak ones too.
    VmHandle,
}

impl RootKind {
    /// Whether dumps have a record for it; the others are the wider list's.
    pub fn is_dumped(self) -> bool {
        !matches!(self, RootKind::Class | RootKind::LoaderHandle | RootKind::VmHandle)
    }
}

/// A place outside of the heap that refers to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// Why.
    pub kind: RootKind,
    /// The object's address.
    pub object: u64,
    /// The thread that holds it, where one does: its number in the list that is being made, from 0.
    pub thread: Option<u32>,
    /// The thread's frame that does: 0 is the innermost. None for the thread itself, and where it
    /// has no Java frames.
    pub frame: Option<u32>,
    /// The handle's address, where it is a handle that outlives calls.
    pub slot: Option<u64>,
}

impl Root {
    /// One of no thread.
    fn of(kind: RootKind, object: u64) -> Root {
        Root { kind, object, thread: None, frame: None, slot: None }
    }

    fn handle(kind: RootKind, handle: Handle) -> Root {
        Root { slot: Some(handle.slot), ..Root::of(kind, handle.object) }
    }
}

/// The roots of no thread, in the order of HotSpot's dumps: monitors, handles, classes. Those that
/// cannot be read are told to `damaged`; a field that the tables lack is an error.
pub fn global(vm: &Vm, damaged: &mut Vec<String>) -> Result<Vec<Root>> {
    let globals = jni_globals(vm, damaged)?;
    let monitors = monitors_used(vm, damaged)?;
    let classes = vm.classes.java().filter(|k| k.is_boot && k.kind == Kind::Instance);
    let monitors = monitors.into_iter().map(|object| Root::of(RootKind::Monitor, object));
    let globals = globals.into_iter().map(|h| Root::handle(RootKind::JniGlobal, h));
    let classes = classes.map(|k| Root::of(RootKind::BootClass, k.mirror));
    Ok(monitors.chain(globals).chain(classes).collect())
}

//! The JVM in a core as one value that owns all it reads: core, VM and heap.
//!
//! Knows the order in which they are opened; what they hold is their own matter.

use std::fmt;
use std::path::Path;

use self_cell::self_cell;

use crate::corefile::{CoreFile, Missing, OpenOptions, Sysroot};
use crate::error::Result;
use crate::heap::Heap;
use crate::hotspot::{Vm, lost_data};

self_cell!(
    struct VmOfCore {
        owner: CoreFile,
        #[covariant]
        dependent: Vm,
    }
);

self_cell!(
    struct HeapOfVm {
        owner: VmOfCore,
        #[covariant]
        dependent: Heap,
    }
);

/// A JVM whose core was opened, with its VM's metadata read and its heap's regions found. It can be kept, moved, and
/// read by many threads.
///
/// ```
/// use rjcore::Jvm;
///
/// let jvm = Jvm::open("testdata/cores/jdk17-serial.core.zst")?;
/// println!("{}: {} bytes used", jvm.vm().version.text(), jvm.heap().used());
/// // It owns what it reads, so it may go to another thread.
/// let classes = std::thread::spawn(move || jvm.vm().classes.all().len()).join();
/// assert!(classes.is_ok_and(|n| n > 400));
/// # Ok::<(), rjcore::Error>(())
/// ```
pub struct Jvm {
    heap: HeapOfVm,
    missing: Vec<Missing>,
}

impl Jvm {
    /// Opens the core at `path`, in any form that [`CoreFile::open`] knows, with the mapped files at their recorded
    /// paths, or in the bundle, laid under it, and what can be made up for of libjvm's data where that is lost.
    ///
    /// Errors: those of [`CoreFile::open`], [`CoreFile::lay_backing_files`], [`Vm::open`] and [`Heap::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Jvm> {
        let mut core = CoreFile::open(path.as_ref(), &OpenOptions::default())?;
        let missing = core.lay_backing_files(&Sysroot::default())?;
        // Where it cannot be, the VM says below what is lost.
        lost_data::restore(&mut core);
        Ok(Jvm { missing, ..Jvm::of(core)? })
    }

    /// The JVM in a core that is open already, with what its reader laid under it.
    pub fn of(core: CoreFile) -> Result<Jvm> {
        let vm = VmOfCore::try_new(core, |core| Vm::open(core))?;
        let heap = HeapOfVm::try_new(vm, |vm| Heap::open(vm.borrow_dependent()))?;
        Ok(Jvm { heap, missing: Vec::new() })
    }

    /// The core.
    pub fn core(&self) -> &CoreFile {
        self.heap.borrow_owner().borrow_owner()
    }

    /// The VM.
    pub fn vm(&self) -> &Vm<'_> {
        self.heap.borrow_owner().borrow_dependent()
    }

    /// The heap.
    pub fn heap(&self) -> &Heap<'_> {
        self.heap.borrow_dependent()
    }

    /// Files that would have been needed and were not found: what lay in them cannot be read.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }
}

impl fmt::Debug for Jvm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jvm").field("core", &self.core().path()).finish_non_exhaustive()
    }
}

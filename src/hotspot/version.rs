//! Which HotSpot this is, in its own words. For people: nothing is decided by it.

use crate::corefile::memory::Memory;
use crate::vmstructs::{Field, Fields};

/// Abstract_VM_Version.
#[derive(Debug, Clone, Default)]
pub struct Version {
    /// `_s_vm_release`, such as `17.0.15+6-Debian-1deb12u1`.
    pub release: Option<String>,
    /// `_s_internal_vm_info_string`: build, date, compiler.
    pub info: Option<String>,
}

impl Version {
    /// Reads both strings, where they are in the core.
    pub fn read(mem: &Memory, f: &Fields) -> Version {
        let text = |field: Field| {
            let p = mem.u64(field.opt()?).ok()?;
            mem.string(p).ok().filter(|s| !s.is_empty())
        };
        Version { release: text(f.vm_release), info: text(f.vm_info) }
    }

    /// How errors and reports name the VM.
    pub fn text(&self) -> String {
        format!("HotSpot {}", self.release.as_deref().unwrap_or("of an unknown release"))
    }
}

//! What a VM's own memory says, as far as the attach door depends on it.
//!
//! To read that memory is the business of layers above this one, which know its structures: they
//! hand in a [`ReadVmMemory`].

use super::target::Target;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct VmMemory {
    /// Where the libjvm.so lies that was read: of several, the one that has a VM.
    pub libjvm: u64,
    /// Whether it has made a VM, be it that it was destroyed since.
    pub has_made_vm: bool,
    /// -XX:+DisableAttachMechanism.
    pub is_disabled: bool,
    /// -XX:AltTempDir, where it is set (28 and later).
    pub temp: Option<String>,
}

/// Reads it, and stops nothing; `None` without the right to.
pub(crate) type ReadVmMemory = fn(&Target) -> Option<VmMemory>;

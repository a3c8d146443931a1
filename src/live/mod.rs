//! Live JVMs, without a core: which run here, whether they open HotSpot's attach door and why not,
//! and the talk through it.
//!
//! Knows processes, /proc, and what HotSpot shows to other processes: files in /tmp, signals,
//! names of threads, counters, the attach protocol. Knows nothing of cores, nor of what lies in a
//! JVM's memory.

pub(crate) mod attach;
pub(crate) mod diagnosis;
pub(crate) mod diagnostic;
pub(crate) mod doctor;
pub(crate) mod door;
pub(crate) mod files;
pub(crate) mod identity;
pub(crate) mod jvm;
pub(crate) mod mounts;
mod obstacles;
pub(crate) mod options;
pub(crate) mod protocol;
pub(crate) mod safepoint;
pub(crate) mod socket;
pub(crate) mod sockets;
mod surroundings;
pub(crate) mod target;
pub(crate) mod vm_memory;

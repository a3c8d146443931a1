//! Live JVMs, without a core: which run here, whether they open HotSpot's attach door and why not,
//! and the talk through it.
//!
//! Knows processes, /proc, and what HotSpot shows to other processes: files in /tmp, signals,
//! names of threads, counters, the attach protocol. Knows nothing of cores, nor of what lies in a
//! JVM's memory.

pub mod attach;
pub mod diagnosis;
pub mod diagnostic;
pub mod doctor;
pub mod door;
pub mod files;
pub mod identity;
pub mod jvm;
pub mod mounts;
mod obstacles;
pub mod options;
pub mod protocol;
pub mod safepoint;
pub mod socket;
pub mod sockets;
mod surroundings;
pub mod target;
pub mod vm_memory;

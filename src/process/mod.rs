//! What Linux says of a process that runs, and the system calls to ask for it.
//!
//! Knows /proc, control groups and the kernel's rules; changes nothing of the process by itself.

pub(crate) mod cgroup;
pub(crate) mod facts;
pub(crate) mod maps;
pub(crate) mod memory_group;
pub(crate) mod peek;
pub(crate) mod refusal;
pub(crate) mod room;
pub(crate) mod sys;

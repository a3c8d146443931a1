//! What Linux says of a process that runs, and the system calls to ask for it.
//!
//! Knows /proc, control groups and the kernel's rules; changes nothing of the process by itself.

pub mod cgroup;
pub mod facts;
pub mod maps;
pub mod peek;
pub mod refusal;
pub mod room;
pub(crate) mod sys;

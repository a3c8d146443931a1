//! A core file as an address space, with the facts that its notes carry.
pub mod memory;

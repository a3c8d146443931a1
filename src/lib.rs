//! rjcore reads the ELF core of a HotSpot JVM: heap dumps, histograms and facts, with no JDK.
//!
//! The layers, each importing only from those before it:
//! `address` -> `cpu` -> `error` -> `format` -> `process` -> `perfdata` -> `corefile` -> `symbols` -> `native` ->
//! `vmstructs` -> `hotspot` -> `heap` -> `output` -> `cli`. Two more meet running processes, `capture` and
//! `live`: they stand beside `corefile` and those after it, and only `cli` uses them.
#![forbid(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod address;
pub mod capture;
pub mod cli;
pub mod corefile;
pub mod cpu;
pub mod error;
pub mod format;
pub mod heap;
pub mod hotspot;
pub mod live;
pub mod native;
pub mod output;
pub mod perfdata;
pub mod process;
pub mod symbols;
pub mod vmstructs;

//! rjcore reads the ELF core of a HotSpot JVM: heap dumps, histograms and facts, with no JDK.
//!
//! [`Jvm`] opens a core and owns what is read of it. From there:
//!
//! - counts by class: [`output::histo::histogram`];
//! - threads, frames and locks: [`output::stack::collect`];
//! - all objects, by all CPUs: [`heap::walk`] with a [`heap::Visitor`];
//! - an HPROF dump: [`output::hprof::write_dump`].
//!
//! The folder `examples` has a program for each. Without the feature `cli` (on by default) the program's own
//! dependencies are left out. What is not said here may change with any version.
//!
//! The layers, each importing only from those before it:
//! `address` -> `cpu` -> `error` -> `format` -> `process` -> `perfdata` -> `unpack` -> `corefile` -> `symbols` ->
//! `native` -> `vmstructs` -> `hotspot` -> `graph` -> `hprof` -> `heap` -> `jvm` -> `output` -> `cli`. Two more meet
//! running processes, `capture` and `live`: they stand beside `corefile` and those after it, and only `cli` uses them.
#![warn(missing_docs)]

mod address;
pub mod capture;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod corefile;
mod cpu;
pub mod error;
pub mod format;
pub mod graph;
pub mod heap;
pub mod hotspot;
pub mod hprof;
mod jvm;
pub mod live;
mod native;
pub mod output;
mod perfdata;
pub mod process;
mod symbols;
mod unpack;
pub mod vmstructs;

pub use error::Error;
pub use jvm::Jvm;

//! rjcore reads the ELF core of a HotSpot JVM: heap dumps, histograms and facts, with no JDK.
//!
//! [`Jvm`] opens a core and owns what is read of it. From there:
//!
//! - counts by class: [`output::histo::histogram`];
//! - threads, frames and locks: [`output::stack::collect`];
//! - all objects, by all CPUs: [`heap::walk`] with a [`heap::Visitor`];
//! - an HPROF dump: [`output::hprof::write_dump`];
//! - who holds an object: [`heap::graph::Graph`].
//!
//! The folder `examples` has a program for each. Without the feature `cli` (on by default) the program's own
//! dependencies are left out. What is not said here may change with any version.
//!
//! The layers, each importing only from those above it, are in docs/design.md; `capture` and `live`, which meet running
//! processes, stand beside `corefile` and what is built on it, and only `cli` uses them.
#![warn(missing_docs)]
// What is public is what a user of the library is meant to see, and what the tests need (hidden in the documentation).
#![warn(unreachable_pub)]
// What cannot be is an error, or damage, as anything else: bytes of the target make it be.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]
#![cfg_attr(
    not(feature = "cli"),
    allow(dead_code, unused_imports, reason = "the commands use the rest")
)]

mod address;
#[cfg(feature = "cli")]
mod capture;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod collector;
pub mod corefile;
mod cpu;
pub mod error;
#[doc(hidden)]
pub mod format;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod graph;
pub mod heap;
pub mod hotspot;
pub mod hprof;
mod jvm;
#[cfg(feature = "cli")]
mod live;
#[doc(hidden)]
pub mod malloc;
mod mapped;
mod native;
pub mod output;
mod panics;
mod perfdata;
mod process;
mod symbols;
mod turns;
mod unpack;
#[doc(hidden)]
pub mod vmstructs;

pub use error::Error;
pub use jvm::Jvm;

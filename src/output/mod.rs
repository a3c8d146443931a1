//! What is made of a heap: HPROF, histograms, reports, and the files that they go to.

#[doc(hidden)]
pub mod check;
pub(crate) mod collection;
pub mod collections;
pub(crate) mod dangling;
pub mod diff;
#[cfg(feature = "cli")]
pub mod export;
pub(crate) mod fidelity;
pub mod find;
#[doc(hidden)]
pub mod gzip;
pub mod histo;
pub mod hprof;
pub mod info;
#[doc(hidden)]
pub mod interrupt;
pub mod leaks;
pub mod loaders;
#[cfg(test)]
mod made;
pub mod memory;
#[cfg(feature = "cli")]
pub mod page;
pub mod paths;
pub(crate) mod pattern;
pub(crate) mod reader;
#[doc(hidden)]
pub mod readers;
pub mod redact;
pub mod refs;
pub(crate) mod report;
pub mod retained;
pub mod show;
#[doc(hidden)]
pub mod sink;
pub mod stack;
pub mod threads;
pub mod tree;
pub mod waste;

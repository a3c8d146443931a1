//! rjcore reads the ELF core of a HotSpot JVM: heap dumps, histograms and facts, with no JDK.
//!
//! The layers, each importing only from those above it:
//! `address` -> `error` -> `format` -> `process` -> `perfdata` -> `capture` -> `live` -> `corefile` -> `symbols` -> `native` -> `vmstructs` ->
//! `hotspot` -> `heap` -> `output` ->
//! `cli`.
#![forbid(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod address;
pub mod capture;
pub mod cli;
pub mod corefile;
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

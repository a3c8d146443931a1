//! What is made of a heap: HPROF, histograms, reports. Reads no target memory by itself.

pub mod histo;
pub mod hprof;

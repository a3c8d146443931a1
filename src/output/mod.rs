//! What is made of a heap: HPROF, histograms, reports; and where bytes go: files that appear
//! whole or not at all, standard output, gzip. Reads no target memory by itself.

pub mod gzip;
pub mod histo;
pub mod hprof;
pub mod info;
pub mod interrupt;
pub mod report;
pub mod sink;

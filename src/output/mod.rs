//! What is made of a heap: HPROF, histograms, reports, and the files that they go to.

pub mod check;
pub mod collection;
pub mod gzip;
pub mod histo;
pub mod hprof;
pub mod info;
pub mod interrupt;
pub mod reader;
pub mod readers;
pub mod report;
pub mod retained;
pub mod sink;
pub mod stack;

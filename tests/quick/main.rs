//! The quick gear: what needs no JDK. Synthetic files, the sample cores in testdata, the sources themselves.
//!
//! `scripts/test.sh --quick` runs these and the unit tests.

#[path = "../support/mod.rs"]
mod support;
#[path = "../synth/mod.rs"]
mod synth;

mod children;
mod corefile;
mod diff;
mod disturbed;
mod errors;
mod examples;
mod export;
mod fidelity;
mod find;
mod goldens;
mod graph;
mod gzip;
mod hostile;
mod hprof_answers;
mod hprof_input;
mod interrupt;
mod json;
mod layers;
mod packed;
mod paths;
mod report;
mod retained;
mod sink;
mod values;

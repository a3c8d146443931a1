//! Objects: a heap of two regions that is the input. Walk, histogram, dump, graph, dominators, answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("heap", data));

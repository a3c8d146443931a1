//! HPROF files, and all answers that are made of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("hprof", data));

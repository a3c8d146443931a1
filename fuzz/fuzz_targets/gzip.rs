//! gzip archives of one member and of many, and what is in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("gzip", data));

//! Tars and zips with a core and libraries.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("bundle", data));

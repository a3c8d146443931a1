//! Oop maps of compiled code.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("oop_map", data));

//! ld.so's list of libraries, where a core has no list of files.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("link_map", data));

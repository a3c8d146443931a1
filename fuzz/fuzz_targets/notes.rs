//! The notes of a core: threads, mapped files, auxiliary vector, rjcore's own.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("notes", data));

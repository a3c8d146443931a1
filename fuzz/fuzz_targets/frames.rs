//! The stack of a sample core's thread: Java frames, native ones, values, monitors.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("frames", data));

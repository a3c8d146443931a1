//! A klass among a sample core's loaded classes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("klass", data));

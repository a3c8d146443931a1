//! The tables that libjvm exports, in memory that is all theirs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("vmstructs", data));

//! Bytecodes, signatures and StackMapTables: which locals are references.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("bytecodes", data));

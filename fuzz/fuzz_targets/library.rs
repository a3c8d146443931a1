//! An ELF image in memory and as a file: dynamic symbols, build-id, functions, call frame information.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("library", data));

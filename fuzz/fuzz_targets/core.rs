//! A whole file that says that it is a core: headers, segments, threads, native stacks, a VM where there is one.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("core", data));

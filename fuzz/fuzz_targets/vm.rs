//! Words of a sample core's VM structures: the VM and its heap are opened anew, with all that outputs read of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("vm", data));

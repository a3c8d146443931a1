//! .eh_frame_hdr and .eh_frame: one step of native unwinding.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("eh_frame", data));

//! Small languages: C++ names, lines of /proc/PID/maps, expressions of find.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("words", data));

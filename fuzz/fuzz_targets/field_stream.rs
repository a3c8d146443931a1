//! The fields of a class, as JDK 21 and later have them (a stream) and as those before have them (slots).
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("field_stream", data));

//! zstd, gzip, xz, lz4 and bzip2 archives.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("packed", data));

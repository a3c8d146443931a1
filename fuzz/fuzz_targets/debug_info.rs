//! Debug information of compiled methods: PcDescs, scopes, locals, monitors, tables of oops and metadata.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rjcore_fuzz::run("debug_info", data));

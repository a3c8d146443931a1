//! What fuzzers feed: for each parser of bytes that a target can make up, a function that reads them, and inputs to begin
//! with, cut from the sample cores.
//!
//! Compiled with the feature `fuzzing`, which only `fuzz/` sets, and in the unit tests, which run every function over its
//! seeds and some changes of them.
#![allow(
    clippy::expect_used,
    reason = "without its sample core a fuzzer has nothing to do, and says so"
)]

mod answers;
mod archives;
mod classes;
mod code;
mod cores;
mod dumps;
mod frames;
mod heap;
mod input;
mod libraries;
mod stage;
mod synth;
mod tables;
#[cfg(test)]
mod tests;
mod texts;
mod vm;

/// A parser that is fuzzed by itself.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads an input. It may be anything; a panic is a fault of rjcore.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 20] = [
    Target { name: "core", seeds: cores::seeds, run: cores::core },
    Target { name: "notes", seeds: cores::note_seeds, run: cores::notes },
    Target { name: "link_map", seeds: cores::link_map_seeds, run: cores::link_map },
    Target { name: "library", seeds: libraries::seeds, run: libraries::library },
    Target { name: "eh_frame", seeds: libraries::eh_frame_seeds, run: libraries::eh_frame },
    Target { name: "vmstructs", seeds: tables::seeds, run: tables::vmstructs },
    Target { name: "vm", seeds: vm::seeds, run: vm::vm },
    Target { name: "klass", seeds: classes::klass_seeds, run: classes::klass },
    Target { name: "field_stream", seeds: classes::field_seeds, run: classes::field_stream },
    Target { name: "heap", seeds: heap::seeds, run: heap::heap },
    Target { name: "debug_info", seeds: code::debug_info_seeds, run: code::debug_info },
    Target { name: "oop_map", seeds: code::oop_map_seeds, run: code::oop_map },
    Target { name: "bytecodes", seeds: code::bytecode_seeds, run: code::bytecodes },
    Target { name: "frames", seeds: frames::seeds, run: frames::frames },
    Target { name: "gzip", seeds: archives::gzip_seeds, run: archives::gzip },
    Target { name: "packed", seeds: archives::packed_seeds, run: archives::packed },
    Target { name: "bundle", seeds: archives::bundle_seeds, run: archives::bundle },
    Target { name: "hprof", seeds: answers::seeds, run: answers::hprof },
    Target { name: "perfdata", seeds: texts::perfdata_seeds, run: texts::perfdata },
    Target { name: "words", seeds: texts::word_seeds, run: texts::words },
];

/// The one of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|t| t.name == name)
}

//! What fuzzers ask of native code's parts that nobody else asks for one by one.

use super::cfi::{Tables, frames_at};
use super::{Registers, Unwinder, module, names};

/// Where .eh_frame_hdr is.
const HDR: u64 = 0x1_0000;

/// A step by .eh_frame_hdr, and by .eh_frame, which lies so many bytes behind it unless the header says where.
pub(crate) fn step(unwinder: &Unwinder, hdr: &[u8], frames: &[u8], gap: u64, at: &Registers) {
    for frames_at in frames_at(hdr, HDR).into_iter().chain([HDR + gap]) {
        let tables = Tables { hdr, hdr_at: HDR, frames, frames_at };
        let _ = tables.step(unwinder, HDR.wrapping_add(at.pc), at);
    }
}

/// The functions that a library's file names.
pub(crate) fn symbols(file: &[u8]) {
    module::functions(file).iter().for_each(|f| name(&f.name));
}

/// A function's name in words.
pub(crate) fn name(symbol: &[u8]) {
    let _ = names::demangled(symbol);
}

//! ELF images: a library in a core's memory, a library's file, and call frame information by itself.

use super::cores::nowhere;
use super::input::Input;
use super::stage;
use super::synth::{Core, RW, RX, libjvm, open};
use crate::native::{Unwinder, fuzzed};
use crate::symbols::Library;

const BASE: u64 = 0x7f00_0000_0000;
const STACK: u64 = 0x7fff_0000_0000;

/// An image that is mapped at [`BASE`], with a thread in it, whose stack is the image's end; and the same as a file.
pub(super) fn library(data: &[u8]) {
    let mut input = Input(data);
    let (pc, image) = (u64::from(input.u16()), input.0);
    let len = (image.len() as u64).next_multiple_of(4096).max(4096);
    let mut core = Core { align: 8, ..Core::default() };
    // The pc is the register of this number on x86-64, the stack pointer another.
    core.thread(1, 6, BASE + pc).files(1, &[(BASE, BASE + len, 0, "/opt/jdk/lib/libjvm.so")]);
    core.load(BASE, len, RX, image).load(STACK, 4096, RW, &image[image.len().min(2048)..]);
    if let Ok(core) = open(&core.build()) {
        let _ = core.libjvm_build_id();
        let _ = Library::read(core.memory(), BASE, "");
        let unwinder = Unwinder::new(&core, nowhere());
        for sp in [BASE, BASE + 64, STACK] {
            let from = unwinder.called(BASE + pc, sp, sp + 16, &[(3, BASE), (6, STACK)]);
            let _ = unwinder.walk(from, true, |_| false);
        }
    }
    fuzzed::symbols(image);
}

/// The vDSO of this process: a small library with all that one has.
fn vdso() -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let auxv = std::fs::read("/proc/self/auxv").unwrap_or_default();
    let mut pairs = auxv.as_chunks::<8>().0.chunks(2);
    let at = pairs.find(|p| u64::from_le_bytes(p[0]) == 33).map(|p| u64::from_le_bytes(p[1]));
    let mut bytes = vec![0; 8192];
    let memory = std::fs::File::open("/proc/self/mem").ok();
    let read = memory.zip(at).and_then(|(m, at)| m.read_exact_at(&mut bytes, at).ok());
    read.map_or(Vec::new(), |()| bytes)
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let at = |pc: u16, image: &[u8]| [&pc.to_le_bytes()[..], image].concat();
    let vdso = vdso();
    vec![at(0x100, &libjvm(&[7; 20], 0)), at(0xa00, &vdso), at(0xc00, &vdso)]
}

/// .eh_frame_hdr and .eh_frame: how long the first is, where they are to one another, the pc, registers.
pub(super) fn eh_frame(data: &[u8]) {
    let mut input = Input(data);
    let (len, gap, pc) = (input.u16(), input.u16(), input.u32());
    let registers: Vec<(usize, u64)> = (0..16).map(|n| (n, u64::from(input.u16()))).collect();
    let hdr = input.bytes(len.into());
    stage::on(0, |s| {
        let unwinder = Unwinder::new(s.core, nowhere());
        let sp = s.core.segments().last().map_or(0, |s| s.start);
        let from = unwinder.called(pc.into(), sp, sp, &registers);
        fuzzed::step(&unwinder, hdr, input.0, gap.into(), &from);
    });
}

pub(super) fn eh_frame_seeds() -> Vec<Vec<u8>> {
    // The vDSO's, by its program headers.
    let image = vdso();
    let word = |at: usize, len: usize| {
        let bytes = image.get(at..at + len).unwrap_or_default();
        bytes.iter().rev().fold(0usize, |sum, b| sum << 8 | usize::from(*b))
    };
    let headers = (0..word(56, 2)).map(|i| word(32, 8) + i * 56);
    let found = headers.into_iter().find(|at| word(*at, 4) == 0x6474_e550);
    let Some((from, len)) = found.map(|at| (word(at + 16, 8), word(at + 40, 8))) else {
        return Vec::new();
    };
    let Some(hdr) = image.get(from..from + len) else { return Vec::new() };
    // A pointer to .eh_frame from its own place, then the count, then the table from the header's start.
    let frames = (from + 4).wrapping_add_signed(word(from + 4, 4) as i32 as isize);
    let first = |i: usize| {
        let entry = word(from + 12 + i * 8, 4) as i32;
        (from as i64 + i64::from(entry)) as u32 + 1
    };
    let gap = frames.wrapping_sub(from) as u16;
    let seed = |pc: u32| {
        let head =
            [&(len as u16).to_le_bytes()[..], &gap.to_le_bytes(), &pc.to_le_bytes()].concat();
        let rest = image.get(frames..).unwrap_or_default();
        [&head, &[7; 32][..], hdr, rest].concat()
    };
    (0..word(from + 8, 4).min(8)).map(|i| seed(first(i).wrapping_sub(from as u32))).collect()
}

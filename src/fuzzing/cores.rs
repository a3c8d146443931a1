//! Whole core files, their notes, and ld.so's list of libraries where a core has no list of files.

use std::io::sink;

use super::heap::all_of_heap;
use super::input::Input;
use super::stage;
use super::synth::{Core, R, RW, RX, libjvm, open};
use crate::corefile::{CoreFile, Sysroot};
use crate::heap::Heap;
use crate::hotspot::{Vm, lost_data};
use crate::native::Unwinder;
use crate::output::check::Check;
use crate::output::info::Info;

const BASE: u64 = 0x7f00_0000_0000;
const STACK: u64 = 0x7fff_0000_0000;
const PAGE: u64 = 4096;

/// Nothing but the core's own file.
pub(super) fn nowhere() -> Sysroot {
    Sysroot { alone: true, ..Sysroot::default() }
}

/// Reads all that commands read of a core.
pub(super) fn read(mut core: CoreFile) {
    let missing = core.lay_backing_files(&nowhere()).unwrap_or_default();
    lost_data::restore(&mut core);
    let _ = core.truncation().map(|t| t.to_string());
    let unwinder = Unwinder::new(&core, nowhere());
    for note in core.threads().iter().take(64) {
        let _ = unwinder.walk(unwinder.caught(note), true, |_| false);
    }
    let mut info = Info::of_core(&core, 0, &missing);
    if let Ok(vm) = Vm::open(&core) {
        info.add_vm(&vm, true);
        if let Ok(heap) = Heap::open(&vm) {
            let _ = info.add_heap(&heap, 1);
            all_of_heap(&core, &heap);
        }
    }
    let _ = serde_json::to_writer(sink(), &info);
    let _ = Check::of(&core, &missing, 1);
}

/// A file that says that it is a core.
pub(super) fn core(data: &[u8]) {
    if let Ok(core) = open(data) {
        read(core);
    }
}

fn small() -> Core {
    let mut core = Core { align: 8, ..Core::default() };
    core.thread(1, 6, STACK + 0x10)
        .files(1, &[(BASE, BASE + 0x3000, 0, "/opt/jdk/lib/libjvm.so"), (BASE, BASE + 1, 0, "/x")])
        .note("CORE", 6, &words(&[6, PAGE, 33, BASE, 0, 0]));
    core
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut whole = small();
    whole.load(BASE, 0x4000, R, &libjvm(&[7; 20], 0)[..0x400]);
    whole.load(STACK, PAGE, RW, &[1; 64]);
    let mut arm = small();
    arm.machine = 183;
    arm.load(BASE, 0x4000, RX, &[]);
    // Their headers, which promise what is not there.
    let samples = stage::NAMES.map(|name| head(name, 16 << 10));
    [whole.build(), arm.build()].into_iter().chain(samples).collect()
}

/// A sample core's first bytes.
fn head(name: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let file = stage::plain(name);
    let got = crate::unpack::start(&file, &mut bytes).map_or(0, <[u8]>::len);
    bytes.truncate(got);
    bytes
}

/// The notes of a core that has some memory.
pub(super) fn notes(data: &[u8]) {
    for machine in [62, 183] {
        let mut core = Core { align: 8, machine, notes: data.to_vec(), ..Core::default() };
        core.load(BASE, 4 * PAGE, RX, &libjvm(&[7; 20], 0)[..0x400]);
        core.load(STACK, PAGE, RW, &[1; 64]);
        if let Ok(core) = open(&core.build()) {
            read(core);
        }
    }
}

pub(super) fn note_seeds() -> Vec<Vec<u8>> {
    let of_sample = |number: usize| {
        stage::on(number as u8, |s| s.core.raw_notes().next().unwrap_or_default().to_vec())
    };
    let samples = (0..stage::NAMES.len()).map(of_sample);
    let mut all: Vec<Vec<u8>> = samples.collect();
    // One of each kind is enough of the larger ones.
    all.iter_mut().for_each(|notes| notes.truncate(8 << 10));
    all.push(small().notes);
    all
}

/// ld.so's list: four words of the auxiliary vector, then memory in which it lies.
pub(super) fn link_map(data: &[u8]) {
    let mut input = Input(data);
    let aux: Vec<u64> = [3, 4, 5, 6, 7, 31]
        .into_iter()
        .flat_map(|kind| {
            let value = match kind {
                4 => 56,
                5 | 6 => u64::from(input.u16()),
                _ => BASE + u64::from(input.u16()),
            };
            [kind, value]
        })
        .collect();
    let mut core = Core { align: 8, ..Core::default() };
    core.thread(1, 6, STACK).note("CORE", 6, &words(&aux));
    // In two pieces, whose ends are not the ends of pages.
    let (first, second) = input.0.split_at(input.0.len() / 2);
    core.full(BASE, first).full(BASE + first.len() as u64, second);
    core.load(BASE + 0x10_0000, PAGE, RX, &[]);
    if let Ok(core) = open(&core.build()) {
        read(core);
    }
}

pub(super) fn link_map_seeds() -> Vec<Vec<u8>> {
    let link = |bias, name, dynamic, next, before| [bias, name, dynamic, next, before];
    // Program headers: where they are, and the dynamic section.
    let header = |kind: u64, vaddr: u64| [kind | 6 << 32, 0, vaddr, 0, 0x100, 0x100, 8];
    let mut memory = vec![0; 0x800];
    let mut put = |at: u64, values: &[u64]| {
        let bytes = words(values);
        memory[at as usize..][..bytes.len()].copy_from_slice(&bytes);
    };
    put(0x40, &header(6, 0x40));
    put(0x78, &header(2, 0x200));
    put(0xb0, &header(1, 0));
    put(0x200, &[21, BASE + 0x300, 0, 0]);
    put(0x300, &[1, BASE + 0x400, BASE + 0x40, 0, BASE]);
    put(0x400, &link(BASE, BASE + 0x700, BASE + 0x200, BASE + 0x440, 0));
    put(0x440, &link(BASE, BASE + 0x720, BASE + 0x200, BASE + 0x480, BASE + 0x400));
    put(0x480, &link(BASE, BASE + 0x720, BASE + 0x500, 0, BASE + 0x440));
    put(0x500, &[14, 7, 5, BASE + 0x700, 6, BASE + 0x600, 10, 0x100, 0, 0]);
    memory[0x720..0x733].copy_from_slice(b"/opt/jdk/libjvm.so\0");
    let heads = [[0x40u16, 3, 4096, 0, 0x720], [0, 0, 0, 0, 0x720]];
    let seed = |head: [u16; 5]| {
        [&head.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>()[..], &memory].concat()
    };
    heads.into_iter().map(seed).collect()
}

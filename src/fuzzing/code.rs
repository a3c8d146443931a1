//! What the compilers wrote down of their code, and bytecodes.

use std::sync::{Arc, OnceLock};

use super::input::Input;
use super::stage::{self, Stage};
use crate::heap::Heap;
use crate::hotspot::code::{Blob, Method, Nmethod, debug_info};
use crate::hotspot::frames::{Walker, fuzzed};

/// Places of a method that are looked at.
const MAX_PLACES: usize = 64;

/// The methods on the stacks of a core's threads.
fn methods(s: &Stage) -> Vec<Arc<Method>> {
    let (Ok(walker), Ok(heap)) = (Walker::new(s.vm), Heap::open(s.vm)) else { return Vec::new() };
    let frames = heap.threads.iter().flat_map(|t| walker.thread(t).frames);
    let mut methods: Vec<_> = frames.map(|f| f.method).collect();
    methods.sort_by_key(|m| m.addr);
    methods.dedup_by_key(|m| m.addr);
    methods
}

/// The blobs of each core that have oop maps.
fn blobs(s: &Stage, number: u8) -> &'static [Blob] {
    static FOUND: [OnceLock<Vec<Blob>>; stage::NAMES.len()] =
        [const { OnceLock::new() }; stage::NAMES.len()];
    let has_maps = |b: &Blob| maps(s, b).is_some_and(|at| at != 0);
    FOUND[usize::from(number) % stage::NAMES.len()].get_or_init(|| {
        Walker::new(s.vm).map(|w| fuzzed::blobs(&w).filter(has_maps).collect()).unwrap_or_default()
    })
}

/// Which core; where the ends of the PcDescs, the oops, the metadata and the scopes are, and a scope, two bytes each; then
/// all of these, in the place of the core's largest region.
pub(super) fn debug_info(data: &[u8]) {
    let mut input = Input(data);
    stage::on(input.u8(), |s| {
        let largest = s.core.segments().iter().max_by_key(|s| s.filesz).map(|s| s.start);
        let [pcs, oops, metadata, scopes] = [(); 4].map(|()| u64::from(input.u16()));
        let nm = Nmethod::fuzzed(largest.unwrap_or(0), pcs, oops, metadata, scopes);
        let scope = u32::from(input.u16());
        s.with(&[(nm.code_begin, input.0)], || {
            let near = |i: usize| nm.pc_desc_near(s.vm, nm.code_begin + 8 * i as u64);
            let places = (0..MAX_PLACES).filter_map(near).map(|d| d.scope);
            for at in places.chain([scope]) {
                for scope in debug_info::scopes(s.vm, &nm, at).unwrap_or_default() {
                    let _ = scope.locals(s.vm, &nm);
                    let _ = scope.expressions(s.vm, &nm);
                    let _ = scope.monitors(s.vm, &nm);
                    let _ = scope.method.line(s.vm, scope.bci);
                }
            }
            let _ = nm.original_pc(s.vm, nm.code_begin, nm.code_begin);
        });
    });
}

pub(super) fn debug_info_seeds() -> Vec<Vec<u8>> {
    let of_core = |core: u8| {
        stage::on(core, |s| {
            let bias = u8::from(stage::NAMES[usize::from(core)].starts_with("jdk25"));
            let methods = methods(s);
            // Two scopes, the second one inlined into the first, with values of all kinds and a monitor.
            let mut scopes = vec![0; 64];
            let mut put = |at: usize, numbers: &[u8]| {
                scopes[at..at + numbers.len()]
                    .copy_from_slice(&numbers.iter().map(|n| n + bias).collect::<Vec<u8>>());
            };
            put(1, &[0, 1, 5, 16, 0, 0]);
            put(8, &[1, 2, 3, 16, 16, 40]);
            put(16, &[7, 0, 16, 0, 64, 1, 9, 2, 1, 3, 4, 5, 4, 6, 7, 6, 2, 8]);
            put(40, &[1, 4, 2, 1, 1]);
            let words = |words: &[i32]| words.iter().flat_map(|w| w.to_le_bytes()).collect();
            let pcs: Vec<u8> = words(&[-1, 0, 0, 0, 8, 1, 0, 0, 24, 8, 0, 0, i32::MAX, 0, 0, 0]);
            let oops = [0; 32];
            let metadata = methods.iter().take(4).flat_map(|m| m.addr.to_le_bytes());
            let metadata: Vec<u8> = metadata.chain([0; 32]).take(32).collect();
            let head = [64u16, 64, 96, 128, 8].into_iter().flat_map(u16::to_le_bytes);
            let head: Vec<u8> = [core].into_iter().chain(head).collect();
            [&head[..], &pcs, &oops, &metadata, &scopes].concat()
        })
    };
    (0..stage::NAMES.len() as u8).map(of_core).collect()
}

/// Where the oop maps of a blob are.
fn maps(s: &Stage, blob: &Blob) -> Option<u64> {
    s.vm.mem.u64(blob.addr.wrapping_add(s.vm.fields.blob_oop_maps.opt()?)).ok()
}

/// Which core, which blob, where in its code, then its oop maps.
pub(super) fn oop_map(data: &[u8]) {
    let mut input = Input(data);
    let number = input.u8();
    stage::on(number, |s| {
        let Some(blob) = input.one_of(blobs(s, number)) else { return };
        let Some(at) = maps(s, blob) else { return };
        let pc = blob.code_begin + u64::from(input.u16());
        s.with(&[(at, input.0)], || {
            if let Ok(walker) = Walker::new(s.vm) {
                fuzzed::oop_map(&walker, blob, pc, at);
            }
        });
    });
}

pub(super) fn oop_map_seeds() -> Vec<Vec<u8>> {
    let of_core = |core: u8| {
        stage::on(core, |s| {
            let all = blobs(s, core);
            let seed = |(n, blob): (u16, &Blob)| {
                let at = maps(s, blob)?;
                // The first pair's pc.
                let pair = at + s.vm.tables.size_of("ImmutableOopMapSet")?;
                let pc = s.vm.mem.u32(pair + s.vm.fields.oop_maps_pair_pc.opt()?).ok()?;
                let head = [&[core][..], &n.to_le_bytes(), &(pc as u16).to_le_bytes()].concat();
                Some([&head[..], &s.bytes(at, 256)].concat())
            };
            let some = (0u16..).zip(all).step_by((all.len() / 12).max(1));
            some.filter_map(seed).collect::<Vec<_>>()
        })
    };
    (0..stage::NAMES.len() as u8).flat_map(of_core).collect()
}

/// How many locals, where in the code, whether value classes are there; how long signature and StackMapTable are; these
/// and the code.
pub(super) fn bytecodes(data: &[u8]) {
    let mut input = Input(data);
    let (max, bci, kind) = (input.u16(), input.u16(), input.u8());
    let (signature, table) = (input.u8(), input.u16());
    let (signature, table) = (input.bytes(signature.into()), input.bytes(table.into()));
    fuzzed::local_types(signature, table, input.0, max.into(), bci.into(), kind);
}

pub(super) fn bytecode_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for core in 0..stage::NAMES.len() as u8 {
        stage::on(core, |s| {
            let Ok(walker) = Walker::new(s.vm) else { return };
            for method in methods(s) {
                let signature = s.vm.reader().symbol_bytes(method.signature).unwrap_or_default();
                let table = fuzzed::stack_map(&walker, &method);
                let code = s.bytes(method.code, method.code_size.into());
                let head = [
                    &method.max_locals.to_le_bytes()[..],
                    &(method.code_size / 2).to_le_bytes(),
                    &[u8::from(method.is_static), signature.len().min(255) as u8],
                    &(table.len() as u16).to_le_bytes(),
                ];
                seeds.push([&head.concat(), signature, &table, &code].concat());
            }
        });
    }
    seeds
}

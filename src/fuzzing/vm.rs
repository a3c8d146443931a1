//! The VM's structures in a sample core: words of them that become others, or lead elsewhere.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use super::heap::facts;
use super::input::Input;
use super::stage::{self, Stage};
use crate::heap::Heap;
use crate::hotspot::Vm;
use crate::output::histo::histogram;

/// Records of one input: more make nothing new.
const MOST: usize = 32;
/// Bytes of a record.
const RECORD: usize = 9;

/// Addresses that structures begin at: statics, threads, classes, and what their first words lead to.
fn places(s: &Stage) -> Vec<u64> {
    let memory = s.core.memory();
    let mut places = BTreeSet::new();
    for line in s.vm.tables.lines() {
        let mut parts = line.split(' ').skip(2);
        if line.starts_with("static ")
            && let Some(at) = parts.next().and_then(|a| a.strip_prefix("0x"))
            && let Ok(at) = u64::from_str_radix(at, 16)
        {
            places.insert(at);
        }
    }
    if let Ok(heap) = Heap::open(s.vm) {
        places.extend(heap.threads.iter().flat_map(|t| [t.addr, t.object]));
    }
    places.extend(s.vm.classes.all().iter().step_by(7).map(|k| k.addr));
    // Two steps further on.
    for _ in 0..2 {
        let words = places.iter().flat_map(|at| (0..24).map(move |i| at + i * 8));
        let led: Vec<u64> = words.filter_map(|at| memory.u64(at).ok()).collect();
        let led = led.into_iter().filter(|at| at % 8 == 0 && memory.contiguous(*at) >= 8);
        places.extend(led.take(4000));
    }
    places.into_iter().filter(|at| memory.contiguous(*at) >= 8).collect()
}

/// Which core, then records: a place's number, a word behind it, how it changes, and by what.
pub(super) fn vm(data: &[u8]) {
    static PLACES: [OnceLock<Vec<u64>>; stage::NAMES.len()] =
        [const { OnceLock::new() }; stage::NAMES.len()];
    let mut input = Input(data);
    let number = input.u8() % stage::NAMES.len() as u8;
    stage::on(number, |s| {
        let places = PLACES[usize::from(number)].get_or_init(|| places(s));
        let mut changes = Vec::new();
        for _ in 0..MOST.min(input.0.len().div_ceil(RECORD)) {
            let Some(at) = input.one_of(places) else { break };
            let at = at + u64::from(input.u8()) * 8;
            let (how, by) = (input.u8(), input.u32());
            let old = s.core.memory().u64(at).unwrap_or(0);
            let other = || places.get(by as usize % places.len()).copied().unwrap_or(0);
            let _ = input.u8();
            let new = match how % 7 {
                0 => u64::from(by),
                1 => by as i32 as i64 as u64,
                2 => other(),
                3 => old ^ 1 << (by % 64),
                4 => old.wrapping_add_signed(i64::from(by as i8)),
                5 => old & !0xffff_ffff | u64::from(by),
                _ => old & 0xffff_ffff | u64::from(by) << 32,
            };
            changes.push((at, new.to_le_bytes()));
        }
        let changes: Vec<(u64, &[u8])> = changes.iter().map(|(at, b)| (*at, &b[..])).collect();
        s.with(&changes, || {
            let Ok(core) = s.again() else { return };
            let Ok(vm) = Vm::open(&core) else { return };
            if let Ok(heap) = Heap::open(&vm) {
                facts(&core, &heap);
                let _ = histogram(&heap, 1, &|_| {});
            }
        });
    });
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let record = |core: u8, n: u16, how: u8| {
        let head = [&[core][..], &n.to_le_bytes()].concat();
        [&head, &[(n % 32) as u8, how][..], &(u32::from(n) * 77).to_le_bytes(), &[0]].concat()
    };
    let one = |n: u16| record((n % 5) as u8, n * 97, (n % 7) as u8);
    (0..40).map(one).collect()
}

//! The CollectedHeap, by its shape: an object of the C heap whose spaces or regions lie one beside
//! the other in the memory that it says it reserved.

use super::MAX_CANDIDATES;
use super::search::{Search, Set};
use crate::vmstructs::Field;

/// Bytes of the smallest heap, and of the largest.
const RESERVED: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 46;
/// G1 aims at 2,048 regions.
const MAX_REGIONS: u64 = 1 << 26;

/// The heap that was found.
pub(super) struct FoundHeap {
    pub name: &'static str,
    /// The flag that chose the collector.
    pub flag: &'static str,
    pub reserved: (u64, u64),
    /// Statics that lead to it, and what they hold.
    pub statics: Vec<(u64, u64)>,
    /// Where objects end in its spaces or regions.
    pub tops: Vec<u64>,
}

/// Bottom, top and end.
type Bounds = (u64, u64, u64);
/// The spaces or regions of a heap at an address, if one is there.
type Shape = fn(&Search, u64, (u64, u64)) -> Option<Vec<Bounds>>;

/// The only one that holds, or why there is none.
pub(super) fn find(s: &Search) -> Result<FoundHeap, String> {
    let f = s.fields;
    let candidates = s.objects().filter_map(|at| Some((at, reserved(s, at)?)));
    let candidates: Vec<(u64, (u64, u64))> = candidates.take(10 * MAX_CANDIDATES).collect();
    let mut found = Vec::new();
    for &(at, reserved) in &candidates {
        for (name, flag, shape) in [
            ("Serial", "UseSerialGC", serial as Shape),
            ("G1", "UseG1GC", g1),
            ("Epsilon", "UseEpsilonGC", epsilon),
            ("Parallel", "UseParallelGC", parallel),
        ] {
            if let Some(spaces) = shape(s, at, reserved) {
                let statics = f.collected_heap.opt().map(|static_at| (static_at, at));
                let statics = statics.into_iter().collect();
                let tops = spaces.iter().map(|s| s.1).collect();
                found.push(FoundHeap { name, flag, reserved, statics, tops });
            }
        }
    }
    if found.is_empty() && is_static(s, "ParallelScavengeHeap::_young_gen") {
        found.extend(parallel_statics(s, &candidates));
    }
    match found.len() {
        1 => found.pop().ok_or_else(String::new),
        0 => Err("no heap of Serial, Parallel, G1 or Epsilon was found in what is left".into()),
        n => Err(format!("{n} places look like the heap's description")),
    }
}

fn is_static(s: &Search, name: &str) -> bool {
    s.tables.entry(name).is_some_and(|e| e.is_static)
}

/// CollectedHeap::_reserved, where it can be one.
fn reserved(s: &Search, heap: u64) -> Option<(u64, u64)> {
    let at = heap.wrapping_add(s.fields.heap_reserved.opt()?);
    let (start, words) = (s.mem.u64(at).ok()?, s.mem.u64(at.wrapping_add(8)).ok()?);
    let bytes = words.checked_mul(8).filter(|b| RESERVED.contains(b) && b.is_multiple_of(4096))?;
    let end = start.checked_add(bytes).filter(|_| start > 0 && start.is_multiple_of(4096))?;
    let mapped = s.core.segments().iter().any(|m| m.start <= start && start < m.start + m.memsz);
    let active = s.mem.u8(heap.wrapping_add(s.fields.gc_active.opt()?)).ok()?;
    (mapped && active <= 1).then_some((start, end))
}

/// Bottom, top and end of the space that `field` of `owner` leads to.
fn space(s: &Search, owner: u64, field: Field, bounds: [Field; 3]) -> Option<Bounds> {
    let space = s.word(owner, field)?;
    bounds_of(s, space, bounds)
}

fn bounds_of(s: &Search, space: u64, bounds: [Field; 3]) -> Option<Bounds> {
    let word = |field: Field| s.word(space, field).filter(|w| w.is_multiple_of(8));
    let (bottom, top, end) = (word(bounds[0])?, word(bounds[1])?, word(bounds[2])?);
    (0 < bottom && bottom <= top && top <= end).then_some((bottom, top, end))
}

/// Whether the spaces lie in `reserved`, none in another.
fn are_apart(mut spaces: Vec<Bounds>, reserved: (u64, u64)) -> bool {
    spaces.sort_unstable();
    spaces.iter().zip(spaces.iter().skip(1)).all(|(one, next)| one.2 <= next.0)
        && spaces.first().is_some_and(|s| s.0 >= reserved.0)
        && spaces.last().is_some_and(|s| s.2 <= reserved.1)
}

fn serial(s: &Search, heap: u64, reserved: (u64, u64)) -> Option<Vec<Bounds>> {
    let f = s.fields;
    let spaces = || {
        let (young, old) = match (f.gen_heap_gens.opt(), f.gen_heap_count.opt()) {
            (Some(gens), Some(count)) => {
                let at = heap.wrapping_add(gens);
                let count = s.mem.u32(heap.wrapping_add(count)).ok()?;
                let pair = (s.mem.u64(at).ok()?, s.mem.u64(at.wrapping_add(8)).ok()?);
                (count == 2).then_some(pair)?
            }
            _ => (s.word(heap, f.serial_young)?, s.word(heap, f.serial_old)?),
        };
        let is_object = |at: u64| s.mem.u64(at).is_ok_and(|w| s.is_vtable(w));
        (is_object(young) && is_object(old)).then_some(())?;
        let bounds = [f.space_bottom, f.space_top, f.space_end];
        let in_young = [f.def_new_eden, f.def_new_from, f.def_new_to];
        four(s, (young, in_young), (old, f.tenured_space), bounds)
    };
    spaces().map(Vec::from).filter(|spaces| are_apart(spaces.clone(), reserved))
}

fn epsilon(s: &Search, heap: u64, reserved: (u64, u64)) -> Option<Vec<Bounds>> {
    let bounds = [s.fields.space_bottom, s.fields.space_top, s.fields.space_end];
    let space = space(s, heap, s.fields.epsilon_space, bounds)?;
    (space.0 == reserved.0 && space.2 <= reserved.1).then(|| vec![space])
}

fn g1(s: &Search, heap: u64, reserved: (u64, u64)) -> Option<Vec<Bounds>> {
    let f = s.fields;
    let table = heap.wrapping_add(f.g1_hrm.opt()?).wrapping_add(f.hrm_regions.opt()?);
    let base = s.word(table, f.region_table_base)?;
    let len = s.word(table, f.region_table_length).filter(|n| (1..MAX_REGIONS).contains(n))?;
    let size = (reserved.1 - reserved.0) / len;
    (size.is_power_of_two() && size * len == reserved.1 - reserved.0).then_some(())?;
    let mut out = Vec::new();
    for i in 0..len {
        let region = s.mem.u64(base.wrapping_add(i * 8)).ok()?;
        // Some were never committed.
        if region != 0 {
            let bounds = bounds_of(s, region, [f.region_bottom, f.region_top, f.region_end])?;
            (bounds.0 == reserved.0 + i * size).then_some(())?;
            out.push(bounds);
        }
    }
    (!out.is_empty()).then_some(out)
}

/// 28 and later: the generations are the heap's own.
fn parallel(s: &Search, heap: u64, reserved: (u64, u64)) -> Option<Vec<Bounds>> {
    let f = s.fields;
    if is_static(s, "ParallelScavengeHeap::_young_gen") {
        return None;
    }
    let spaces = || {
        let (young, old) = (s.word(heap, f.parallel_young)?, s.word(heap, f.parallel_old)?);
        generations(s, young, old)
    };
    spaces().map(Vec::from).filter(|spaces| are_apart(spaces.clone(), reserved))
}

fn generations(s: &Search, young: u64, old: u64) -> Option<[Bounds; 4]> {
    let f = s.fields;
    // Other objects hold bounds too, such as what was committed of a space. Eden may be a space of
    // another kind (NUMA).
    let vtable = |owner, field| s.mem.u64(s.word(owner, field)?).ok();
    let kind = vtable(young, f.ps_young_from).filter(|kind| s.is_vtable(*kind))?;
    let same = [vtable(young, f.ps_young_to)?, vtable(old, f.ps_old_space)?];
    (same == [kind; 2]).then_some(())?;
    let bounds = [f.mutable_bottom, f.mutable_top, f.mutable_end];
    let in_young = [f.ps_young_eden, f.ps_young_from, f.ps_young_to];
    four(s, (young, in_young), (old, f.ps_old_space), bounds)
}

/// Eden, both survivor spaces and the old one: each generation with the fields that lead to its spaces.
fn four(
    s: &Search,
    young: (u64, [Field; 3]),
    old: (u64, Field),
    bounds: [Field; 3],
) -> Option<[Bounds; 4]> {
    let (young, [eden, from, to]) = young;
    Some([
        space(s, young, eden, bounds)?,
        space(s, young, from, bounds)?,
        space(s, young, to, bounds)?,
        space(s, old.0, old.1, bounds)?,
    ])
}

/// Until 27 they are statics: found from the spaces, that they lead to.
fn parallel_statics(s: &Search, candidates: &[(u64, (u64, u64))]) -> Vec<FoundHeap> {
    let f = s.fields;
    let bounds = [f.mutable_bottom, f.mutable_top, f.mutable_end];
    let inside = |(bottom, _, end): Bounds| {
        candidates.iter().any(|(_, (low, high))| *low <= bottom && end <= *high && bottom < end)
    };
    let is_space = |at: &u64| bounds_of(s, *at, bounds).is_some_and(inside);
    let spaces: Set = s.objects().filter(is_space).collect();
    let (Some(eden), Some(from), Some(to), Some(old_space)) =
        (f.ps_young_eden.opt(), f.ps_young_from.opt(), f.ps_young_to.opt(), f.ps_old_space.opt())
    else {
        return Vec::new();
    };
    let leads = |at: u64| s.mem.u64(at).is_ok_and(|space| spaces.contains(space));
    let (mut youngs, mut olds) = (Vec::new(), Vec::new());
    s.words(|at, word| {
        if spaces.contains(word) {
            let young = at.wrapping_sub(eden);
            if leads(young.wrapping_add(from)) && leads(young.wrapping_add(to)) {
                youngs.push(young);
            }
            olds.push(at.wrapping_sub(old_space));
        }
    });
    let mut out: Vec<FoundHeap> = Vec::new();
    youngs.truncate(MAX_CANDIDATES);
    olds.truncate(MAX_CANDIDATES);
    for young in youngs {
        for old in &olds {
            let Some(spaces) = generations(s, young, *old) else { continue };
            // The whole heap is the old space's part, then the young ones'.
            let [(eden, ..), _, _, (low, ..)] = spaces;
            let whole = |r: &(u64, u64)| are_apart(spaces.into(), *r) && r.0 == low && eden > low;
            let Some((heap, reserved)) = candidates.iter().find(|(_, r)| whole(r)) else {
                continue;
            };
            let statics =
                [(f.collected_heap, *heap), (f.parallel_young, young), (f.parallel_old, *old)];
            let statics = statics.iter().filter_map(|(f, value)| Some((f.opt()?, *value)));
            let found = FoundHeap {
                name: "Parallel",
                flag: "UseParallelGC",
                reserved: *reserved,
                statics: statics.collect(),
                tops: spaces.iter().map(|s| s.1).collect(),
            };
            // Several pointers to the same spaces are as good as one another.
            let same = |o: &FoundHeap| (o.reserved, &o.tops) == (found.reserved, &found.tops);
            if !out.iter().any(same) {
                out.push(found);
            }
        }
    }
    out
}

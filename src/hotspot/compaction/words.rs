//! The references of living objects, while a full collection is under way.

use std::collections::HashMap;

use super::super::Vm;
use super::super::barrier::compaction::Compaction;
use super::super::classes::{Kind, Klass, is_reference};
use super::super::gc::CollectedHeap;
use super::headers::walk;

/// Where objects of a class have references.
#[derive(Debug, PartialEq, Eq)]
enum Slots {
    /// In all words behind the header: an array's elements.
    Elements,
    /// In all words behind the header, or in values that lie there.
    Any,
    /// At these offsets.
    Fields(Box<[u64]>),
}

impl Slots {
    fn of(vm: &Vm, klass: &Klass) -> Option<Slots> {
        match klass.kind {
            Kind::TypeArray(_) => return None,
            Kind::ObjArray => return Some(Slots::Elements),
            Kind::FlatArray => return Some(Slots::Any),
            Kind::Instance => {}
        }
        let fields = vm.classes.with_supers(klass).flat_map(|k| &k.fields);
        let mut offsets = Vec::new();
        for field in fields.filter(|f| !f.is_static) {
            if field.flat.is_some() {
                return Some(Slots::Any);
            }
            offsets.extend(is_reference(field.kind).then_some(u64::from(field.offset)));
        }
        offsets.sort_unstable();
        Some(Slots::Fields(offsets.into()))
    }
}

/// What is known of an object's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It is to be moved, or lies below what comes.
    Certain,
    /// Nothing leaves its region or comes there: all of it may stay, or be dead.
    Possible,
    /// It is dead, or an old copy: nobody adjusts its references.
    None,
}

/// Tells which objects are alive.
struct Lives<'c> {
    c: &'c Compaction,
    /// By region: its end, how far it will be filled, and whether anything stands there.
    regions: Vec<(u64, u64, bool)>,
}

impl<'c> Lives<'c> {
    fn new(heap: &CollectedHeap, c: &'c Compaction) -> Lives<'c> {
        let region = |r: &super::super::gc::Region| {
            let top = c.tops.binary_search_by_key(&r.start, |t| t.0);
            let first = c.standing.get(c.standing.partition_point(|s| *s < r.start));
            let top = top.ok().and_then(|i| c.tops.get(i)).map_or(0, |t| t.1);
            (r.end, top, first.is_some_and(|s| *s < r.end))
        };
        Lives { c, regions: heap.regions.iter().map(region).collect() }
    }

    fn of(&self, at: u64) -> Life {
        if self.c.stands(at) {
            return Life::Certain;
        }
        let region = self.regions.get(self.regions.partition_point(|r| r.0 <= at));
        let Some((_, top, any_stands)) = region else { return Life::None };
        match self.c.piece(at) {
            Some(p) if *top > 0 && at < p.filled_below.min(*top) => Life::Certain,
            Some(_) if *top == 0 && !any_stands => Life::Possible,
            _ => Life::None,
        }
    }
}

/// Calls `each` with every reference of an object that may be alive: where it stands, its bits, the object's class, and
/// how many bytes behind the object's start it is (0 of elements), and whether the object is alive for certain.
pub(super) fn words(
    vm: &Vm,
    heap: &CollectedHeap,
    c: &Compaction,
    mut each: impl FnMut(u64, u64, (u64, u64), bool),
) {
    let slots = vm.classes.all().iter().filter_map(|k| Some((k.addr, Slots::of(vm, k)?)));
    let slots: HashMap<u64, Slots> = slots.collect();
    let (p, oop) = (&vm.pointers, vm.pointers.oop_size());
    let lives = Lives::new(heap, c);
    walk(vm, heap, |at, size| {
        let life = lives.of(at);
        if life == Life::None {
            return;
        }
        let Ok(bytes) = vm.mem.slice(at, size) else { return };
        let klass = p.klass_of(bytes).unwrap_or(0);
        let Some(slots) = slots.get(&klass) else { return };
        let certain = life == Life::Certain;
        if let Slots::Fields(offsets) = slots {
            for offset in offsets {
                let end = offset.saturating_add(oop) as usize;
                if let Some(word) = bytes.get(*offset as usize..end) {
                    each(at + offset, p.decode(word), (klass, *offset), certain);
                }
            }
            return;
        }
        let first = p.header_size().next_multiple_of(oop);
        let words = bytes.get(first as usize..).unwrap_or(&[]).chunks_exact(oop as usize);
        for (offset, word) in (first..).step_by(oop as usize).zip(words) {
            let field = if *slots == Slots::Elements { 0 } else { offset };
            each(at + offset, p.decode(word), (klass, field), certain);
        }
    });
}

//! Everything but the objects: names, classes, traces, class dumps and roots.

use std::collections::BTreeSet;

use super::DumpSummary;
use super::plan::in_order;
use super::records::{
    EMPTY_TRACE, Put, RECORD_HEADER, double_bits, float_bits, sub, tag, value_size, value_type,
};
use super::threads::{THREAD_ROOT, Traces, root};
use crate::error::Result;
use crate::heap::class_objects::{ClassObject, ClassObjects};
use crate::heap::layout::Slot;
use crate::heap::roots::{self, Stacks};
use crate::heap::{Heap, Part, Traced};
use crate::hotspot::classes::{Kind, Klass};
use crate::output::redact::Rules;

/// A record's length has 32 bits; class dumps get a new segment long before.
const SEGMENT: usize = 1 << 20;
/// Virtual threads whose stacks end early and that are named one by one: there may be a million.
const MAX_EARLY: usize = 100;

/// Appends the dump's first part to `out`. `unmounted` are virtual threads without carriers; `rules` say which static
/// fields are redacted.
pub(super) fn write(
    heap: &Heap,
    traced: Option<&Traced>,
    unmounted: &[u64],
    rules: Option<&Rules>,
    out: &mut Vec<u8>,
    summary: &mut DumpSummary,
) -> Result<()> {
    let vm = heap.vm;
    let mut unread = Vec::new();
    let global = roots::global(vm, &mut unread)?;
    summary.damaged.extend(Part::Roots.all(unread));
    let reader = ClassObjects::new(heap);
    let classes: Vec<(u32, &Klass)> =
        (0..).zip(vm.classes.all()).filter(|(_, k)| !k.is_refined).collect();
    let read = classes.iter().map(|&(number, k)| {
        reader.read(number).unwrap_or_else(|fault| {
            let text = format!("the statics of {}: {fault}", k.name);
            summary.damaged.push(Part::Statics.unread(text));
            reader.outline(k)
        })
    });
    let objects: Vec<ClassObject> = read.collect();
    let klasses: Vec<&Klass> = classes.iter().map(|c| c.1).collect();
    let records = Records {
        heap,
        rules,
        extra: [reader.facts.resolved_references_name, reader.facts.init_lock_name],
    };
    let stacks = Stacks::new(heap, traced.map(|t| &t.marks))?;
    let (threads, early) = stacks.running();
    for end in early {
        let ends = if end.ran_java { &mut summary.running } else { &mut summary.damaged };
        ends.push(Part::Stacks.unread(end.text));
    }
    let mut traces = Traces::new(vm, &klasses);
    let mut symbols = records.symbols(&classes, &objects);
    symbols.extend(traces.symbols(&threads));
    traces.wrote(symbols.iter().copied());
    utf8(heap, &symbols, out);
    for (serial, k) in (1..).zip(&klasses) {
        out.record(tag::LOAD_CLASS, 4 + 8 + 4 + 8);
        out.u4(serial);
        out.u8(k.mirror);
        out.u4(EMPTY_TRACE);
        out.u8(k.name_symbol);
    }
    // One trace for all objects, then one per thread.
    empty_trace(out);
    for (serial, t) in (1..).zip(&threads) {
        traces.trace(t, serial, out);
    }
    // Of these only the roots are kept until their turn comes: they may be a million.
    let (mut roots_of_unmounted, mut early) = (Vec::new(), Vec::new());
    for (number, &object) in (threads.len()..).zip(unmounted) {
        let mut t = stacks.unmounted(object, number);
        if let Some(why) = t.broken.take() {
            early.push(why);
        }
        utf8(heap, &traces.symbols(std::slice::from_ref(&t)), out);
        traces.trace(&t, number as u32 + 1, out);
        t.roots.iter().for_each(|r| root(r, &mut roots_of_unmounted));
        summary.rooted.extend(t.roots.iter().map(|r| r.object));
    }
    let more = early.len().saturating_sub(MAX_EARLY);
    early.truncate(MAX_EARLY);
    early.extend((more > 0).then(|| format!("and {more} more virtual threads")));
    summary.damaged.extend(early.into_iter().map(|text| Part::Stacks.unread(text)));
    let mut segment = Segment::open(out);
    for (&(number, _), object) in classes.iter().zip(&objects) {
        segment.next();
        records.class_dump(number, object, segment.out);
    }
    summary.classes = classes.len() as u64;
    let of_threads = threads.iter().flat_map(|t| &t.roots);
    summary.rooted.extend(of_threads.chain(&global).map(|r| r.object));
    for r in threads.iter().flat_map(|t| &t.roots) {
        segment.next();
        root(r, segment.out);
        summary.roots += 1;
    }
    for root in roots_of_unmounted.chunks(THREAD_ROOT) {
        segment.next();
        segment.out.extend_from_slice(root);
        summary.roots += 1;
    }
    for r in &global {
        segment.next();
        root(r, segment.out);
        summary.roots += 1;
    }
    segment.close();
    Ok(())
}

fn empty_trace(out: &mut Vec<u8>) {
    out.record(tag::TRACE, 4 + 4 + 4);
    out.u4(EMPTY_TRACE);
    out.u4(0);
    out.u4(0);
}

/// Symbols as UTF8 records.
pub(super) fn utf8<'s>(heap: &Heap, symbols: impl IntoIterator<Item = &'s u64>, out: &mut Vec<u8>) {
    for symbol in symbols {
        let text = heap.vm.reader().symbol_bytes(*symbol).unwrap_or(b"?");
        out.record(tag::UTF8, 8 + text.len() as u32);
        out.u8(*symbol);
        out.extend_from_slice(text);
    }
}

/// Makes the records of classes.
struct Records<'h> {
    heap: &'h Heap<'h>,
    rules: Option<&'h Rules<'h>>,
    /// The names of what stands behind the static fields: resolved references, and a lock.
    extra: [Option<u64>; 2],
}

/// A static field in its record.
struct Static {
    name: u64,
    kind: u8,
    bits: u64,
}

impl Records<'_> {
    /// Static fields in HotSpot's order of dumping, then its extra ones.
    fn statics(&self, number: u32, object: &ClassObject) -> Vec<Static> {
        let slots = &self.heap.layouts().of[number as usize].statics;
        // None, where they cannot be read.
        let of = |(i, slot): (usize, &Slot)| {
            let hidden = self.rules.is_some_and(|r| r.hides(number, slot));
            let bits = if hidden { 0 } else { *object.statics.get(i)? };
            Some(Static { name: slot.name, kind: slot.kind, bits })
        };
        let mut out: Vec<Static> =
            in_order(self.heap.vm, slots).into_iter().filter_map(of).collect();
        let [references, lock] = self.extra;
        let references = object.resolved_references.iter().map(|bits| (references, *bits));
        for (name, bits) in references.chain([(lock, object.init_lock)]) {
            if let (Some(name), true) = (name, bits != 0) {
                out.push(Static { name, kind: b'[', bits });
            }
        }
        out
    }

    /// The symbols that name classes and fields.
    fn symbols(&self, classes: &[(u32, &Klass)], objects: &[ClassObject]) -> BTreeSet<u64> {
        let vm = self.heap.vm;
        let mut symbols = BTreeSet::new();
        for (&(number, k), object) in classes.iter().zip(objects) {
            let layout = &self.heap.layouts().of[number as usize];
            symbols.insert(k.name_symbol);
            for slots in [layout.own(), &layout.statics] {
                symbols.extend(in_order(vm, slots).iter().map(|(_, s)| s.name));
            }
            symbols.extend(self.statics(number, object).iter().map(|s| s.name));
        }
        symbols
    }

    fn class_dump(&self, number: u32, object: &ClassObject, out: &mut Vec<u8>) {
        let vm = self.heap.vm;
        let (k, layout) =
            (&vm.classes.all()[number as usize], &self.heap.layouts().of[number as usize]);
        out.u1(sub::CLASS_DUMP);
        out.u8(k.mirror);
        out.u4(EMPTY_TRACE);
        out.u8(object.super_class);
        out.u8(object.loader);
        out.u8(object.signers);
        out.u8(object.protection_domain);
        out.u8(0);
        out.u8(0);
        let size = match k.kind {
            Kind::Instance => {
                in_order(vm, &layout.slots).iter().map(|(_, s)| value_size(s.kind)).sum()
            }
            _ => 0,
        };
        out.u4(size);
        out.u2(0); // constant pool
        let statics = self.statics(number, object);
        out.u2(statics.len() as u16);
        for s in &statics {
            out.u8(s.name);
            out.u1(value_type(s.kind));
            match (s.kind, value_size(s.kind)) {
                (b'F', _) => out.u4(float_bits(s.bits as u32)),
                (b'D', _) => out.u8(double_bits(s.bits)),
                (_, 1) => out.u1(s.bits as u8),
                (_, 2) => out.u2(s.bits as u16),
                (_, 4) => out.u4(s.bits as u32),
                _ => out.u8(s.bits),
            }
        }
        let own = in_order(vm, layout.own());
        out.u2(own.len() as u16);
        for (_, slot) in own {
            out.u8(slot.name);
            out.u1(value_type(slot.kind));
        }
    }
}

/// A HEAP_DUMP_SEGMENT being appended, and closed when it is full.
struct Segment<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl<'o> Segment<'o> {
    fn open(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.record(tag::HEAP_DUMP_SEGMENT, 0);
        Segment { out, start }
    }

    /// Before each sub-record: begins another segment where this one is full.
    fn next(&mut self) {
        if self.out.len() - self.start > SEGMENT {
            self.patch();
            self.start = self.out.len();
            self.out.record(tag::HEAP_DUMP_SEGMENT, 0);
        }
    }

    fn patch(&mut self) {
        let body = self.start + RECORD_HEADER;
        let length = (self.out.len() - body) as u32;
        self.out[body - 4..body].copy_from_slice(&length.to_be_bytes());
    }

    fn close(mut self) {
        self.patch();
    }
}

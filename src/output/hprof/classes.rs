//! Everything but the objects: names, classes, traces, class dumps and roots.

use std::collections::BTreeSet;

use super::DumpSummary;
use super::records::{
    EMPTY_TRACE, Put, RECORD_HEADER, double_bits, float_bits, sub, tag, value_type,
};
use super::threads::{Dumped, ROOT, Threads};
use crate::error::Result;
use crate::heap::{Heap, Part, Traced};
use crate::hotspot::class_facts::{ClassFacts, ClassReader};
use crate::hotspot::field_layout::hprof_size;
use crate::hotspot::frames::Walker;
use crate::hotspot::klass::{Kind, Klass};
use crate::hotspot::roots::{jni_globals, monitors_used};

/// A record's length has 32 bits; class dumps get a new segment long before.
const SEGMENT: usize = 1 << 20;

/// Appends the dump's first part to `out`. `unmounted` are virtual threads without carriers.
pub fn write(
    heap: &Heap,
    traced: Option<&Traced>,
    unmounted: &[u64],
    out: &mut Vec<u8>,
    summary: &mut DumpSummary,
) -> Result<()> {
    let vm = heap.vm;
    let mut unread = Vec::new();
    let globals = jni_globals(vm, &mut unread)?;
    let monitors = monitors_used(vm, &mut unread)?;
    summary.damaged.extend(Part::Roots.all(unread));
    let reader = ClassReader::new(vm);
    let classes: Vec<&Klass> = vm.classes.java().collect();
    let facts: Vec<ClassFacts> = classes
        .iter()
        .map(|k| {
            reader.read(k).unwrap_or_else(|fault| {
                let text = format!("the statics of {}: {fault}", k.name);
                summary.damaged.push(Part::Statics.unread(text));
                ClassFacts::default()
            })
        })
        .collect();
    let mut threads = Threads::new(Walker::new(vm)?, traced, &classes);
    let dumped = threads.collect(heap, summary);
    let mut symbols = named(heap, &facts);
    symbols.extend(threads.symbols(&dumped));
    threads.wrote(symbols.iter().copied());
    utf8(heap, &symbols, out);
    for (serial, k) in (1..).zip(&classes) {
        out.record(tag::LOAD_CLASS, 4 + 8 + 4 + 8);
        out.u4(serial);
        out.u8(k.mirror);
        out.u4(EMPTY_TRACE);
        out.u8(k.name_symbol);
    }
    // One trace for all objects, then one per thread.
    empty_trace(out);
    for (serial, t) in (1..).zip(&dumped) {
        threads.trace(t, serial, out);
    }
    // Of these only the roots are kept until their turn comes: they may be a million.
    let mut roots_of_unmounted = Vec::new();
    for (serial, &object) in (dumped.len() as u32 + 1..).zip(unmounted) {
        let t = threads.unmounted(object);
        utf8(heap, &threads.symbols(std::slice::from_ref(&t)), out);
        threads.trace(&t, serial, out);
        t.roots(serial, |root| roots_of_unmounted.extend_from_slice(root));
        summary.roots += t.root_count() as u64;
    }
    let mut segment = Segment::open(out);
    let object = vm.classes.named("java/lang/Object").map_or(0, |o| o.mirror);
    for (k, facts) in classes.iter().zip(&facts) {
        segment.next();
        class_dump(heap, k, facts, object, segment.out);
    }
    summary.classes = classes.len() as u64;
    for (serial, t) in (1..).zip(&dumped) {
        t.roots(serial, |root| {
            segment.next();
            segment.out.extend_from_slice(root);
        });
    }
    for root in roots_of_unmounted.chunks(ROOT) {
        segment.next();
        segment.out.extend_from_slice(root);
    }
    for monitor in &monitors {
        segment.next();
        segment.out.u1(sub::ROOT_MONITOR_USED);
        segment.out.u8(*monitor);
    }
    for global in &globals {
        segment.next();
        segment.out.u1(sub::ROOT_JNI_GLOBAL);
        segment.out.u8(global.object);
        segment.out.u8(global.slot);
    }
    let sticky = classes.iter().filter(|k| k.is_boot && k.kind == Kind::Instance);
    for k in sticky.clone() {
        segment.next();
        segment.out.u1(sub::ROOT_STICKY_CLASS);
        segment.out.u8(k.mirror);
    }
    segment.close();
    let frames: usize = dumped.iter().map(Dumped::root_count).sum();
    let roots = frames + monitors.len() + globals.len() + sticky.count();
    summary.roots += roots as u64;
    Ok(())
}

fn empty_trace(out: &mut Vec<u8>) {
    out.record(tag::TRACE, 4 + 4 + 4);
    out.u4(EMPTY_TRACE);
    out.u4(0);
    out.u4(0);
}

/// The symbols that name classes and fields.
fn named(heap: &Heap, facts: &[ClassFacts]) -> BTreeSet<u64> {
    let vm = heap.vm;
    let mut symbols = BTreeSet::new();
    for (k, facts) in vm.classes.java().zip(facts) {
        symbols.insert(k.name_symbol);
        symbols.extend(vm.dumped_fields(k).map(|i| i.name));
        symbols.extend(facts.statics.iter().map(|s| s.name));
    }
    symbols
}

/// Symbols as UTF8 records.
pub fn utf8<'s>(heap: &Heap, symbols: impl IntoIterator<Item = &'s u64>, out: &mut Vec<u8>) {
    for symbol in symbols {
        let text = heap.vm.reader().symbol_bytes(*symbol).unwrap_or(b"?");
        out.record(tag::UTF8, 8 + text.len() as u32);
        out.u8(*symbol);
        out.extend_from_slice(text);
    }
}

fn class_dump(heap: &Heap, k: &Klass, facts: &ClassFacts, object: u64, out: &mut Vec<u8>) {
    let vm = heap.vm;
    let mirror = |klass: Option<u64>| klass.and_then(|s| vm.classes.get(s)).map_or(0, |s| s.mirror);
    // Klass::_super of an array class is another array class; its Java super is Object.
    let super_id = match k.kind {
        Kind::Instance => mirror(k.super_klass),
        _ => object,
    };
    let is_basic = matches!(k.kind, Kind::TypeArray(_))
        || k.bottom.and_then(|b| vm.classes.get(b)).is_some_and(|b| b.kind != Kind::Instance);
    out.u1(sub::CLASS_DUMP);
    out.u8(k.mirror);
    out.u4(EMPTY_TRACE);
    out.u8(super_id);
    out.u8(if is_basic { 0 } else { k.loader });
    out.u8(facts.signers);
    out.u8(facts.protection_domain);
    out.u8(0);
    out.u8(0);
    let declared = |k| vm.dumped_fields(k).filter(|i| !i.is_static);
    let size = match k.kind {
        Kind::Instance => {
            vm.classes.with_supers(k).flat_map(declared).map(|i| hprof_size(i.kind)).sum()
        }
        _ => 0,
    };
    out.u4(size);
    out.u2(0); // constant pool
    out.u2(facts.statics.len() as u16);
    for s in &facts.statics {
        out.u8(s.name);
        out.u1(value_type(s.kind));
        match (s.kind, hprof_size(s.kind)) {
            (b'F', _) => out.u4(float_bits(s.bits as u32)),
            (b'D', _) => out.u8(double_bits(s.bits)),
            (_, 1) => out.u1(s.bits as u8),
            (_, 2) => out.u2(s.bits as u16),
            (_, 4) => out.u4(s.bits as u32),
            _ => out.u8(s.bits),
        }
    }
    out.u2(declared(k).count() as u16);
    for i in declared(k) {
        out.u8(i.name);
        out.u1(value_type(i.kind));
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

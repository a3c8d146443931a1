//! Everything but the objects: names, classes, traces, class dumps and roots.

use std::collections::BTreeSet;

use super::DumpSummary;
use super::records::{
    EMPTY_TRACE, Put, RECORD_HEADER, double_bits, float_bits, sub, tag, value_type,
};
use crate::error::Result;
use crate::heap::Heap;
use crate::hotspot::class_facts::{ClassFacts, ClassReader};
use crate::hotspot::field_layout::hprof_size;
use crate::hotspot::klass::{Kind, Klass};
use crate::hotspot::roots::{jni_globals, monitors_used};

/// A record's length has 32 bits; class dumps get a new segment long before.
const SEGMENT: usize = 1 << 20;

/// Appends the dump's first part to `out`. Returns how many threads it named.
pub fn write(heap: &Heap, out: &mut Vec<u8>, summary: &mut DumpSummary) -> Result<u32> {
    let vm = heap.vm;
    let globals = jni_globals(vm, &mut summary.damaged)?;
    let monitors = monitors_used(vm, &mut summary.damaged)?;
    let reader = ClassReader::new(vm);
    let classes: Vec<&Klass> = vm.classes.java().collect();
    let facts: Vec<ClassFacts> = classes
        .iter()
        .map(|k| {
            reader.read(k).unwrap_or_else(|fault| {
                summary.damaged.push(format!("the statics of {}: {fault}", k.name));
                ClassFacts::default()
            })
        })
        .collect();
    utf8(heap, &facts, out);
    for (serial, k) in (1..).zip(&classes) {
        out.record(tag::LOAD_CLASS, 4 + 8 + 4 + 8);
        out.u4(serial);
        out.u8(k.mirror);
        out.u4(EMPTY_TRACE);
        out.u8(k.name_symbol);
    }
    let visible = heap.threads.iter().filter(|t| t.visible);
    let threads: Vec<u64> =
        visible.flat_map(|t| [t.mounted, t.object]).filter(|t| *t != 0).collect();
    // One trace for all objects, then one per thread.
    for serial in 0..=threads.len() as u32 {
        trace(serial, out);
    }
    let mut segment = Segment::open(out);
    let object = vm.classes.named("java/lang/Object").map_or(0, |o| o.mirror);
    for (k, facts) in classes.iter().zip(&facts) {
        segment.next();
        class_dump(heap, k, facts, object, segment.out);
    }
    summary.classes = classes.len() as u64;
    for (serial, t) in (1..).zip(&threads) {
        segment.next();
        thread_root(*t, serial, segment.out);
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
    let roots = threads.len() + monitors.len() + globals.len() + sticky.count();
    summary.roots = roots as u64;
    Ok(threads.len() as u32)
}

/// A thread's trace. Its frames come with the threads issue.
pub fn trace(serial: u32, out: &mut Vec<u8>) {
    out.record(tag::TRACE, 4 + 4 + 4);
    out.u4(EMPTY_TRACE + serial);
    out.u4(serial);
    out.u4(0);
}

fn thread_root(object: u64, serial: u32, out: &mut Vec<u8>) {
    out.u1(sub::ROOT_THREAD_OBJ);
    out.u8(object);
    out.u4(serial);
    out.u4(EMPTY_TRACE + serial);
}

/// The roots of threads that only the walk over the heap finds: unmounted virtual ones.
pub fn virtual_threads(objects: &[u64], first_serial: u32, out: &mut Vec<u8>) {
    let mut segment = Segment::open(out);
    for (serial, object) in (first_serial..).zip(objects) {
        segment.next();
        thread_root(*object, serial, segment.out);
    }
    segment.close();
}

/// All symbols that the dump refers to, each once.
fn utf8(heap: &Heap, facts: &[ClassFacts], out: &mut Vec<u8>) {
    let vm = heap.vm;
    let mut symbols = BTreeSet::new();
    for (k, facts) in vm.classes.java().zip(facts) {
        symbols.insert(k.name_symbol);
        symbols.extend(vm.dumped_fields(k).map(|i| i.name));
        symbols.extend(facts.statics.iter().map(|s| s.name));
    }
    for symbol in symbols {
        let text = vm.reader().symbol_bytes(symbol).unwrap_or(b"?");
        out.record(tag::UTF8, 8 + text.len() as u32);
        out.u8(symbol);
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

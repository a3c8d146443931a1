//! The inner loops by themselves, on the sample core, with one thread and nothing written: `cargo bench --bench inner`.

use std::io::{self, Write};
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rjcore::corefile::{CoreFile, OpenOptions};
use rjcore::heap::Heap;
use rjcore::heap::graph::{Graph, Scope, View};
use rjcore::hotspot::Vm;
use rjcore::output::gzip::{DEFAULT_LEVEL, GzWriter};
use rjcore::output::histo::histogram;
use rjcore::output::hprof::plan::Copy;
use rjcore::output::hprof::write_dump;

const CORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cores/jdk17-serial.core.zst");

/// Counting, and records of a whole heap.
fn heap(c: &mut Criterion) {
    let core = CoreFile::open(Path::new(CORE), &OpenOptions::default()).expect("the sample core");
    let vm = Vm::open(&core).expect("its JVM");
    let heap = Heap::open(&vm).expect("its heap");
    let mut group = c.benchmark_group("heap");
    group.throughput(Throughput::Bytes(heap.used()));
    group.bench_function("histo", |b| b.iter(|| histogram(&heap, 1, &|_| {}).expect("counts")));
    group.bench_function("dump", |b| {
        b.iter(|| write_dump(&heap, 1, &mut io::sink(), &|_| {}).expect("a dump"));
    });
    let graph = |scope| Graph::<u32>::open(&heap, scope, View::Heap, 1, &|_| {}).expect("a graph");
    group.bench_function("numbers", |b| b.iter(|| graph(Scope::All).len()));
    group.bench_function("reachable", |b| b.iter(|| graph(Scope::Reachable).len()));
    let all = graph(Scope::All);
    group.bench_function("edges", |b| {
        b.iter(|| {
            let mut sum = 0;
            for id in 0..all.len() as u32 {
                all.edges(id, |e| sum += u64::from(e.target.unwrap_or(0)));
            }
            sum
        });
    });
    group.finish();
    // Its own dump is what gzip gets.
    let mut dump = Vec::new();
    write_dump(&heap, 1, &mut dump, &|_| {}).expect("a dump");
    let mut group = c.benchmark_group("gzip");
    group.throughput(Throughput::Bytes(dump.len() as u64));
    group.bench_function("one worker", |b| {
        b.iter(|| {
            let mut gz = GzWriter::new(io::sink(), DEFAULT_LEVEL, 1).expect("a thread");
            gz.write_all(&dump).expect("sink");
            gz.finish().expect("sink");
        });
    });
    group.finish();
}

/// Elements of arrays that stay in the cache, by how they are copied; in bytes of the heap.
fn arrays(c: &mut Criterion) {
    let core = CoreFile::open(Path::new(CORE), &OpenOptions::default()).expect("the sample core");
    let vm = Vm::open(&core).expect("its JVM");
    let from: Vec<u8> = (0..1 << 18).map(|i: u32| (i * 7) as u8).collect();
    let mut to = vec![0; from.len() * 2];
    let mut group = c.benchmark_group("array");
    group.throughput(Throughput::Bytes(from.len() as u64));
    for (name, copy) in [
        ("bytes", Copy::Bytes1),
        ("chars", Copy::Swap2),
        ("ints", Copy::Swap4),
        ("longs", Copy::Swap8),
        ("floats", Copy::Float),
        ("doubles", Copy::Double),
        ("narrow references", Copy::Narrow),
    ] {
        let count = from.len() as u64 / copy.heap_size(&vm.pointers);
        let to = &mut to[..(count * copy.dump_size()) as usize];
        group.bench_function(name, |b| b.iter(|| copy.run(&vm, 0, &from, to)));
    }
    group.finish();
}

criterion_group!(inner, heap, arrays);
criterion_main!(inner);

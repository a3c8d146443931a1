//! The rows: who claims which memory, in the order of how sure it is, and what comes of that.

use std::collections::{BTreeMap, HashSet};

use super::buffers::{self, Buffers};
use super::claims::{Claim, Claims, Part, VIEWS};
use super::metaspace::{self, Metaspace};
use super::space::{AddressSpace, is_anonymous};
use super::stacks::{self, Owner, ThreadMemory};
use super::tracking::Tracking;
use super::{
    Bytes, CodeSegment, CodeSum, Lost, PartMemory, Report, Row, UnknownArea, findings, groups,
};
use crate::address::{Address, Range};
use crate::corefile::{CoreFile, Sysroot};
use crate::error::Result;
use crate::format::files::is_counters;
use crate::format::memory_map::{MemoryMap, MemoryRange};
use crate::format::ranges::{Ranges, common, minus, union};
use crate::heap::Heap;
use crate::hotspot::code::CodeCache;
use crate::hotspot::gc::{Space, side_tables};
use crate::malloc::{self, Malloc};

/// Mappings of the unknown that are listed.
const UNKNOWN: usize = 10;

/// The whole answer.
pub(super) fn report(
    core: &CoreFile,
    heap: &Heap,
    told: Option<&MemoryMap>,
    sysroot: &Sysroot,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Report, Lost)> {
    let space = AddressSpace::of(core, told, threads)?;
    let mut lost = Lost::default();
    let OfVm { mut claims, code, threads: of_threads, meta } =
        of_vm(core, heap, &space, &mut lost.words);
    let (found, walk) = buffers::find(heap, threads, progress)?;
    lost.walk = walk;
    let malloc = malloc_heap(&mut claims, core, &space, &found, &meta);
    let Metaspace { classes, others, used, loaders } = meta;
    claims.claim(Part::Metaspace, "class space", classes).uses(used.0);
    claims.claim(Part::Metaspace, "metaspace without class space", others).uses(used.1);
    mapped(&mut claims, &space, &core.archives());
    let unknown = rest(&mut claims, &space);
    let parts = parts(&claims.all, &space);
    let mut total = Bytes::default();
    parts.iter().for_each(|p| total += p.bytes);
    lost.words.extend(malloc.problems.iter().cloned());
    let mut report = Report {
        source: space.source,
        total,
        kernel: told.map(|map| map.kernel),
        parts,
        unknown,
        malloc,
        tracking: Tracking::read(core, heap.vm, sysroot),
        direct_holders: None,
        code,
        loaders,
        threads: of_threads,
        groups: groups(told),
        findings: Vec::new(),
    };
    report.findings = findings::of(&report);
    Ok((report, lost))
}

/// What the VM's own structures tell.
#[derive(Debug)]
pub(super) struct OfVm {
    pub claims: Claims,
    pub code: Vec<CodeSegment>,
    pub threads: Vec<ThreadMemory>,
    pub meta: Metaspace,
}

/// Asks the VM's structures; what of them cannot be read is told to `lost`.
pub(super) fn of_vm(
    core: &CoreFile,
    heap: &Heap,
    space: &AddressSpace,
    lost: &mut Vec<String>,
) -> OfVm {
    let vm = heap.vm;
    let mut claims = Claims::default();
    java_heap(&mut claims, heap, space);
    let code = match CodeCache::read(vm) {
        Ok(code) => code_cache(&mut claims, &code),
        Err(e) => {
            lost.push(e.to_string());
            Vec::new()
        }
    };
    for table in side_tables(vm, &heap.collected) {
        claims.claim(Part::Collector, table.name, vec![(table.start, table.end)]);
    }
    let threads = stacks::find(core, heap, space);
    let guards = stacks::guards(&threads, space);
    let count = guards.len();
    claims.claim(Part::Stacks, "guard pages", guards).counts(count);
    for owner in [Owner::Java, Owner::Vm, Owner::Native] {
        let ranges = stacks::ranges(&threads, owner);
        let count = ranges.len();
        claims.claim(Part::Stacks, owner.title(), ranges).counts(count);
    }
    OfVm { claims, code, threads, meta: metaspace::find(vm, space) }
}

/// Spaces with their objects, and what of the reserved heap is in none.
fn java_heap(claims: &mut Claims, heap: &Heap, space: &AddressSpace) {
    let collected = &heap.collected;
    for kind in Space::ALL {
        let regions = || collected.regions.iter().filter(move |r| r.space == kind);
        if regions().next().is_none() {
            continue;
        }
        let used = regions().map(|r| r.top - r.start).sum();
        let ranges: Ranges = regions().map(|r| (r.start, r.end)).collect();
        let count = ranges.len();
        claims.claim(Part::JavaHeap, kind.name(), ranges).uses(used).counts(count);
    }
    claims.claim(Part::JavaHeap, "free", collected.reserved.into_iter().collect()).uses(0);
    // ZGC's heap is a file without a name, until 20 mapped three times: what of the file regions lie in, by its name.
    let is_heap = |a: &MemoryRange| {
        let behind = collected.regions.partition_point(|r| r.end <= a.start);
        a.shared && a.file && collected.regions.get(behind).is_some_and(|r| r.start < a.end)
    };
    let in_file = |a: &MemoryRange| (a.offset, a.offset.saturating_add(a.end - a.start));
    let mut files: BTreeMap<&str, Ranges> = BTreeMap::new();
    for a in space.areas.iter().filter(|a| is_heap(a)) {
        files.entry(&a.name).or_default().push(in_file(a));
    }
    files.values_mut().for_each(|f| *f = union(std::mem::take(f)));
    let (mut views, mut free) = (Ranges::new(), Ranges::new());
    for a in space.areas.iter().filter(|a| a.shared && a.file) {
        let Some(of_heap) = files.get(a.name.as_str()) else { continue };
        let is_view = !is_heap(a) && common(&[in_file(a)], of_heap) > 0;
        if is_view { &mut views } else { &mut free }.push((a.start, a.end));
    }
    if !files.is_empty() {
        claims.claim(Part::JavaHeap, "free pages", free).uses(0);
        claims.claim(Part::JavaHeap, VIEWS, views);
    }
}

/// A row for each segment; what is in them by kind.
fn code_cache(claims: &mut Claims, code: &CodeCache) -> Vec<CodeSegment> {
    let all = code.memory();
    let mut out = Vec::new();
    for (i, heap) in all.iter().enumerate() {
        let name = heap.name.clone().unwrap_or_else(|| match all.len() {
            1 => "methods and stubs".into(),
            _ => format!("segment {}", i + 1),
        });
        let kinds = heap.kinds.iter().map(|(kind, (blobs, bytes))| CodeSum {
            kind: *kind,
            blobs: *blobs,
            bytes: *bytes,
        });
        let kinds: Vec<CodeSum> = kinds.collect();
        let (blobs, used) = kinds.iter().fold((0, 0), |sum, k| (sum.0 + k.blobs, sum.1 + k.bytes));
        claims.claim(Part::Code, &name, vec![heap.reserved]).uses(used).counts(blobs as usize);
        out.push(CodeSegment { name, kinds });
    }
    claims.claim(Part::Code, "segment maps", all.iter().map(|m| m.segment_map).collect());
    out
}

/// The malloc heap, and the direct buffers that most often lie in it.
fn malloc_heap(
    claims: &mut Claims,
    core: &CoreFile,
    space: &AddressSpace,
    buffers: &Buffers,
    meta: &Metaspace,
) -> Malloc {
    let mem = core.memory();
    let areas = space.areas.iter().map(|a| malloc::Area {
        start: a.start,
        end: a.end,
        writable: a.flags & 2 != 0,
        name: a.name.as_bytes(),
    });
    let areas: Vec<malloc::Area<'_>> = areas.collect();
    let found = malloc::read(mem, &areas);
    let arenas = |is_main: bool| -> Ranges {
        let of = found.arenas.iter().filter(move |a| a.is_main == is_main);
        of.flat_map(|a| a.pieces.iter().copied()).collect()
    };
    let (main, others) = (arenas(true), arenas(false));
    let mut rest = Ranges::new();
    if found.allocator == malloc::Allocator::Glibc {
        // What else there is of anonymous memory may be chunks that malloc mapped; metaspace is not.
        let anonymous = space.anonymous().filter(|a| a.flags & 3 != 0);
        let known = [&main, &others, &meta.classes, &meta.others];
        let known = union(known.into_iter().flatten().copied().collect());
        rest = minus(&claims.free(span(anonymous)), &known);
    }
    let chunks: Ranges = rest
        .iter()
        .flat_map(|r| malloc::mapped_chunks(mem, r.0, r.1))
        .map(|(start, bytes)| (start, start + bytes))
        .collect();
    let buffer_claims = [
        ("ByteBuffer.allocateDirect", &buffers.owned),
        ("of native code (JNI, Netty, Unsafe)", &buffers.foreign),
    ];
    let mut of_buffers = Ranges::new();
    for (name, ranges) in buffer_claims.into_iter().filter(|(_, r)| !r.is_empty()) {
        // Of foreign ones nobody knows whose memory it is: that of a mapped file stays the file's.
        let anonymous = |r: &&(u64, u64)| space.at(r.0).is_some_and(is_anonymous);
        let ranges: Ranges = ranges.iter().filter(anonymous).copied().collect();
        let count = ranges.len();
        let claim = claims.claim(Part::Buffers, name, ranges);
        let bytes = claim.ranges.iter().map(|r| r.1 - r.0).sum();
        claim.uses(bytes).counts(count);
        of_buffers.extend(claim.ranges.iter().copied());
    }
    let of_buffers = union(of_buffers);
    let mut arena = |name: &str, is_main: bool, ranges: Ranges| {
        let of = found.arenas.iter().filter(|a| a.is_main == is_main);
        let (count, used) = of.fold((0, 0), |(n, sum), a| (n + 1, sum + a.in_use.bytes));
        if count > 0 {
            let buffers = common(&union(ranges.clone()), &of_buffers);
            claims.claim(Part::Malloc, name, ranges).uses(used - used.min(buffers)).counts(count);
        }
    };
    arena("main arena", true, main);
    arena("arenas of threads", false, others);
    if !chunks.is_empty() {
        let count = chunks.len();
        let claim = claims.claim(Part::Malloc, "large chunks (mmap)", chunks);
        let bytes = claim.ranges.iter().map(|r| r.1 - r.0).sum();
        claim.uses(bytes).counts(count);
    }
    let brk = |a: &&MemoryRange| a.name == "[heap]";
    claims.claim(Part::Malloc, "the rest of [heap]", span(space.areas.iter().filter(brk)));
    found
}

fn span<'a>(areas: impl Iterator<Item = &'a MemoryRange>) -> Ranges {
    areas.map(|a| (a.start, a.end)).collect()
}

/// Files, archives, shared memory, and what the kernel maps.
fn mapped(claims: &mut Claims, space: &AddressSpace, archives: &HashSet<&str>) {
    let mut files: BTreeMap<(Part, &str), Ranges> = BTreeMap::new();
    let mut last: Option<(&MemoryRange, Part, &str)> = None;
    for a in &space.areas {
        let name = a.name.strip_suffix(" (deleted)").unwrap_or(&a.name);
        let is_library = |l: &MemoryRange| l.name.contains(".so");
        let found = match last {
            // A library's zeroed data has no file, and follows on it.
            Some((l, part, of)) if a.start == l.end && is_library(l) && a.name.is_empty() => {
                files.entry((part, of)).or_default().push((a.start, a.end));
                None
            }
            _ if a.file => {
                let nameless = ["/memfd:", "/SYSV", "/dev/zero", "/dev/shm/", "/anon_hugepage"];
                let part = match () {
                    () if archives.contains(a.name.as_str()) => Part::Archive,
                    () if nameless.iter().any(|n| name.starts_with(n)) => Part::SharedMemory,
                    () => Part::Files,
                };
                let shown = if is_counters(name) { "hsperfdata (the VM's counters)" } else { name };
                files.entry((part, shown)).or_default().push((a.start, a.end));
                Some((a, part, shown))
            }
            _ if name.starts_with("[v") => {
                files.entry((Part::Kernel, name)).or_default().push((a.start, a.end));
                None
            }
            _ if name == "[stack]" => {
                let of = (Part::Stacks, "the first thread's stack, beyond what it uses");
                files.entry(of).or_default().push((a.start, a.end));
                None
            }
            _ => None,
        };
        last = found;
    }
    for ((part, name), ranges) in files {
        claims.claim(part, name, ranges);
    }
}

/// What nobody claims.
fn rest(claims: &mut Claims, space: &AddressSpace) -> Vec<UnknownArea> {
    let mut out = Vec::new();
    type IsOne = fn(&MemoryRange) -> bool;
    let kinds: [(&str, IsOne); 3] = [
        ("anonymous memory", |a| a.flags & 5 == 4 || a.flags & 2 != 0),
        ("anonymous memory with code", |a| a.flags & 1 != 0),
        ("reserved, without access", |_| true),
    ];
    for (name, is_one) in kinds {
        let ranges = span(space.areas.iter().filter(|a| is_one(a)));
        let ranges = claims.claim(Part::Unknown, name, ranges).ranges.clone();
        for r in ranges {
            let resident = common(&[r], &space.resident);
            let kernel = space.at(r.0).map(|a| a.name.clone()).filter(|n| !n.is_empty());
            let range = Range { start: Address(r.0), end: Address(r.1) };
            out.push(UnknownArea { range, name: kernel, resident_bytes: resident });
        }
    }
    out.retain(|a| a.resident_bytes > 0);
    out.sort_by_key(|a| (std::cmp::Reverse(a.resident_bytes), a.range.start));
    out.truncate(UNKNOWN);
    out
}

/// All claims as rows, by part.
fn parts(claims: &[Claim], space: &AddressSpace) -> Vec<PartMemory> {
    let mut parts: BTreeMap<Part, PartMemory> = BTreeMap::new();
    for claim in claims {
        let bytes = Bytes {
            reserved_bytes: claim.ranges.iter().map(|r| r.1 - r.0).sum(),
            resident_bytes: common(&claim.ranges, &space.resident),
            swapped_bytes: common(&claim.ranges, &space.swapped),
        };
        if bytes == Bytes::default() {
            continue;
        }
        let Claim { part, name, used, count, .. } = claim;
        let row = Row { name: name.clone(), bytes, used_bytes: *used, count: *count };
        let empty = || PartMemory { part: *part, bytes: Bytes::default(), rows: Vec::new() };
        let of = parts.entry(*part).or_insert_with(empty);
        of.bytes += bytes;
        of.rows.push(row);
    }
    let mut parts: Vec<PartMemory> = parts.into_values().collect();
    let order =
        |b: &Bytes| std::cmp::Reverse((b.resident_bytes, b.swapped_bytes, b.reserved_bytes));
    for of in &mut parts {
        of.rows.sort_by_key(|r| order(&r.bytes));
    }
    parts.sort_by_key(|p| (p.part == Part::Unknown, order(&p.bytes)));
    parts
}

//! What stands out, as an engineer would say it: how much, the evidence, what to do.

use std::collections::BTreeMap;

use serde::Serialize;

use super::claims::{Part, VIEWS};
use super::space::Source;
use super::stacks::Owner;
use super::tracking::State;
use super::{CodeKind, Report, Row};
use crate::hotspot::nmt;
use crate::output::report::{count, number, size};

/// Less than this is no matter.
const LEAST: u64 = 32 << 20;
/// Less of what is in memory, in percent, is none either.
const SHARE: u64 = 10;
/// A control group with less room than this, in percent of its limit, is nearly full.
const NEARLY_FULL: u64 = 10;
/// More loaders than this are more than the JDK and a program have.
const LOADERS: usize = 100;
/// Kinds of code that the text names.
const KINDS: usize = 3;
/// Holders of direct buffers that the text names.
const HOLDERS: usize = 3;
/// What is before each piece that a VM with tracking takes: its own header, and the chunk's size.
const HEADERS: u64 = nmt::HEADER + 8;
/// Files that the text names.
const FILES: usize = 3;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Matter {
    /// The control group is nearly full, or processes were killed in it.
    Limit,
    /// The Java heap's objects are the most of all.
    Objects,
    /// Heap that is in memory and holds no objects.
    UnusedHeap,
    /// Direct buffers.
    DirectBuffers,
    /// Memory that native code took with malloc and has not freed.
    NativeMemory,
    /// Memory that malloc keeps for later.
    FreeMalloc,
    /// Stacks.
    Stacks,
    /// Metaspace.
    Metaspace,
    /// Compiled code.
    Code,
    /// Mapped files.
    Files,
    /// One memory that is mapped several times, and counted as often.
    Views,
    /// Swap.
    Swap,
    /// What rjcore does not know.
    Unknown,
}

/// Something that stands out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub matter: Matter,
    /// How many bytes.
    pub bytes: u64,
    /// The fact, with its evidence.
    pub text: String,
    /// What to do about it, where something can be said.
    pub remedy: Option<String>,
}

/// What stands out of a report; the limit first, then by bytes.
pub(super) fn of(r: &Report) -> Vec<Finding> {
    let all = [
        objects(r),
        unused_heap(r),
        buffers(r),
        native(r),
        free_malloc(r),
        stacks(r),
        metaspace(r),
        code(r),
        files(r),
        views(r),
        swap(r),
        unknown(r),
    ];
    let least = LEAST.max(r.total.resident_bytes / 100 * SHARE);
    let mut out: Vec<Finding> = all.into_iter().flatten().filter(|f| f.bytes >= least).collect();
    out.sort_by_key(|f| std::cmp::Reverse(f.bytes));
    limit(r).into_iter().chain(out).collect()
}

fn finding(matter: Matter, bytes: u64, text: String, remedy: &str) -> Option<Finding> {
    Some(Finding {
        matter,
        bytes,
        text,
        remedy: Some(remedy.into()).filter(|r: &String| !r.is_empty()),
    })
}

fn rows(r: &Report, part: Part) -> impl Iterator<Item = &Row> {
    r.parts.iter().filter(move |p| p.part == part).flat_map(|p| &p.rows)
}

fn limit(r: &Report) -> Option<Finding> {
    let limited = r.groups.iter().filter_map(|g| Some((g, g.group.limit?)));
    let (group, limit) = limited.min_by_key(|(g, _)| g.left)?;
    let event = |name: &str| {
        let of = group.group.events.iter().find(|e| e.name == name);
        of.map_or(0, |e| e.count)
    };
    let left = group.left.unwrap_or(0);
    let kills = event("oom_kill");
    if kills == 0 && left > limit / 100 * NEARLY_FULL {
        return None;
    }
    let mut text = format!(
        "the control group's limit is {}; {} of it was in use and {} left ({})",
        size(limit),
        size(group.working_set),
        size(left),
        group.group.path
    );
    if kills > 0 {
        text += &format!(
            "; {} in it for lack of memory",
            count(kills, "process was killed", "processes were killed")
        );
    }
    let remedy = "what is listed below must shrink, or the limit grow; of the page cache in `usage` the kernel gives \
                  up what it can first";
    finding(Matter::Limit, group.working_set, text, remedy)
}

fn heap_sums(r: &Report) -> (u64, u64) {
    let of = rows(r, Part::JavaHeap).filter(|row| row.used_bytes.is_some());
    of.fold((0, 0), |sum, row| {
        (sum.0 + row.used_bytes.unwrap_or(0), sum.1 + row.bytes.resident_bytes)
    })
}

fn objects(r: &Report) -> Option<Finding> {
    let (used, _) = heap_sums(r);
    let text = format!("the Java heap holds {} of objects", size(used));
    let heap = r.part(Part::JavaHeap).resident_bytes;
    if heap < r.total.resident_bytes / 2 {
        return None;
    }
    finding(Matter::Objects, used, text, "rjcore leaks and rjcore retained say who holds them")
}

fn unused_heap(r: &Report) -> Option<Finding> {
    let (used, resident) = heap_sums(r);
    let unused = resident.saturating_sub(used);
    let text = format!(
        "{} of the Java heap is in memory, and {} of that is in use: {} is kept for new objects",
        size(resident),
        size(used.min(resident)),
        size(unused)
    );
    if unused < resident / 4 {
        return None;
    }
    let remedy = "a smaller -Xmx, or a heap that shrinks: -Xms below -Xmx, no -XX:+AlwaysPreTouch, \
                  -XX:G1PeriodicGCInterval (G1), -XX:MaxHeapFreeRatio, -XX:ZUncommitDelay";
    finding(Matter::UnusedHeap, unused, text, remedy)
}

fn buffers(r: &Report) -> Option<Finding> {
    let bytes = r.part(Part::Buffers).resident_bytes;
    let of: Vec<String> = rows(r, Part::Buffers)
        .map(|row| {
            let n = count(row.count.unwrap_or(0), "buffer", "buffers");
            format!("{n} with {} in memory, {}", size(row.bytes.resident_bytes), row.name)
        })
        .collect();
    let mut text = format!("direct buffers take {}: {}", size(bytes), of.join("; "));
    let holders = r.direct_holders.iter().flatten().take(HOLDERS);
    let holders: Vec<String> =
        holders.map(|h| format!("{} are held by {}", size(h.bytes), h.name())).collect();
    let ask = match &r.direct_holders {
        Some(_) => "",
        None => "rjcore leaks says who holds them; ",
    };
    if !holders.is_empty() {
        text += &format!("; {}", holders.join("; "));
    }
    let remedy = format!(
        "{ask}-XX:MaxDirectMemorySize bounds those of allocateDirect, -Dio.netty.maxDirectMemory those of Netty"
    );
    finding(Matter::DirectBuffers, bytes, text, &remedy)
}

fn malloc_sums(r: &Report) -> (u64, u64) {
    let used = rows(r, Part::Malloc).map(|row| row.used_bytes.unwrap_or(0)).sum();
    (used, r.part(Part::Malloc).resident_bytes)
}

fn native(r: &Report) -> Option<Finding> {
    let (used, resident) = malloc_sums(r);
    let used = used.min(resident);
    let largest = r.malloc.arenas.iter().flat_map(|a| &a.sizes).max_by_key(|s| s.bytes);
    let most = largest.map_or(String::new(), |s| {
        let n = count(s.chunks, "chunk", "chunks");
        format!(", most of it in {n} of at most {}", size(s.up_to))
    });
    let mut text = format!(
        "native code has taken {} from malloc, direct buffers not counted{most}",
        size(used)
    );
    if r.tracking.state != State::Kept {
        let remedy = "the VM's own share shows with -XX:NativeMemoryTracking=summary, here too; what is beyond that is of \
                      native libraries (JNI): a heap profiler such as jemalloc's names the caller";
        return finding(Matter::NativeMemory, used, text, remedy);
    }
    let buffers = rows(r, Part::Buffers).filter_map(|row| row.used_bytes).sum::<u64>();
    let all = malloc_sums(r).0 + buffers;
    let booked = r.tracking.malloced();
    let pieces = r.tracking.categories.iter().map(|c| c.booked.malloc_count).sum::<u64>();
    let headers = pieces.saturating_mul(HEADERS);
    let most = r.tracking.categories.iter().max_by_key(|c| c.booked.malloced());
    let most = most.map_or(String::new(), |c| {
        format!(", most of it, {}, as {}", size(c.booked.malloced()), c.booked.name)
    });
    text += &format!(
        "; of all that malloc has in use, {}, the VM has booked {} in {}{most}: at most {} are of native libraries",
        size(all),
        size(booked),
        count(pieces, "piece", "pieces"),
        size(all.saturating_sub(booked.saturating_add(headers)))
    );
    let remedy = "what the VM has booked as Other or Internal is Unsafe's: buffers, and what Java code takes by itself; for \
                  native libraries (JNI) a heap profiler such as jemalloc's names the caller";
    finding(Matter::NativeMemory, used, text, remedy)
}

fn free_malloc(r: &Report) -> Option<Finding> {
    let (used, resident) = malloc_sums(r);
    let free = resident.saturating_sub(used);
    let arenas = r.malloc.arenas.len() as u64;
    let text = format!(
        "{} of malloc have {} in memory, and {} of that is free: malloc keeps it for later",
        count(arenas, "arena", "arenas"),
        size(resident),
        size(free)
    );
    let remedy = "jcmd PID System.trim_native_heap (JDK 17 and later) gives it back once; the environment variable \
                  MALLOC_ARENA_MAX=2 has fewer arenas, MALLOC_TRIM_THRESHOLD_ keeps less";
    finding(Matter::FreeMalloc, free, text, remedy)
}

fn stacks(r: &Report) -> Option<Finding> {
    let of = r.part(Part::Stacks);
    let java = r.threads.iter().filter(|t| t.owner == Owner::Java).count() as u64;
    let all = r.threads.len() as u64;
    let text = format!(
        "{}, {} of them Java's, have {} of stack in memory ({} each) of {} reserved",
        count(all, "thread", "threads"),
        number(java),
        size(of.resident_bytes),
        size(of.resident_bytes / all.max(1)),
        size(of.reserved_bytes)
    );
    let remedy = "rjcore stack says what they do; fewer threads (a bound on the pool, virtual threads), or a smaller -Xss where they \
                  are deep";
    finding(Matter::Stacks, of.resident_bytes, text, remedy)
}

fn metaspace(r: &Report) -> Option<Finding> {
    let bytes = r.part(Part::Metaspace).resident_bytes;
    let loaders = r.loaders.len();
    let classes = r.loaders.iter().map(|l| l.classes).sum();
    let mut of: BTreeMap<&str, u64> = BTreeMap::new();
    for class in r.loaders.iter().filter_map(|l| l.class.as_deref()) {
        *of.entry(class).or_default() += 1;
    }
    let most = of.into_iter().max_by_key(|(class, n)| (*n, std::cmp::Reverse(*class)));
    let most = most.filter(|_| loaders > LOADERS);
    let many = most.map_or(String::new(), |(class, n)| {
        format!("; {} of these loaders are of one class, {class}", number(n))
    });
    let text = format!(
        "metaspace takes {} for {} of {}{many}",
        size(bytes),
        count(classes, "class", "classes"),
        count(loaders as u64, "loader", "loaders")
    );
    let remedy = "rjcore loaders says which can be unloaded, and what keeps the others; -XX:MaxMetaspaceSize bounds it";
    finding(Matter::Metaspace, bytes, text, remedy)
}

fn code(r: &Report) -> Option<Finding> {
    let bytes = r.part(Part::Code).resident_bytes;
    let mut kinds: BTreeMap<CodeKind, (u64, u64)> = BTreeMap::new();
    for k in r.code.iter().flat_map(|segment| &segment.kinds) {
        let of = kinds.entry(k.kind).or_default();
        *of = (of.0 + k.blobs, of.1 + k.bytes);
    }
    let mut kinds: Vec<(CodeKind, (u64, u64))> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    let most = kinds.iter().take(KINDS).map(|(kind, (blobs, bytes))| {
        let (one, many) = code_words(*kind);
        format!("{} with {}", count(*blobs, one, many), size(*bytes))
    });
    let most: Vec<String> = most.collect();
    let text = format!("the code cache takes {}: {}", size(bytes), most.join(", "));
    finding(
        Matter::Code,
        bytes,
        text,
        "-XX:ReservedCodeCacheSize bounds it; generated classes and lambdas are what fills it as a rule",
    )
}

fn code_words(kind: CodeKind) -> (&'static str, &'static str) {
    match kind {
        CodeKind::C1 => ("method of C1's", "methods of C1's"),
        CodeKind::C2 => ("method of C2's", "methods of C2's"),
        CodeKind::NativeWrapper => ("wrapper of a native method", "wrappers of native methods"),
        CodeKind::Adapter => ("blob of adapters", "blobs of adapters"),
        CodeKind::Stub => ("stub", "stubs"),
        CodeKind::Unknown => ("unknown blob", "unknown blobs"),
    }
}

fn files(r: &Report) -> Option<Finding> {
    let bytes = r.part(Part::Files).resident_bytes;
    let first = rows(r, Part::Files).take(FILES);
    let first: Vec<String> =
        first.map(|f| format!("{} ({})", f.name, size(f.bytes.resident_bytes))).collect();
    let text = format!("mapped files have {} in memory, most of {}", size(bytes), first.join(", "));
    let remedy = "the kernel drops clean pages of files when it needs room: they count as resident, and seldom against a \
                  control group's limit";
    finding(Matter::Files, bytes, text, remedy)
}

fn views(r: &Report) -> Option<Finding> {
    let row = r.row(Part::JavaHeap, VIEWS)?;
    let text = format!(
        "{} are pages of the heap that ZGC has mapped at other addresses, too: they are counted again, and are no memory \
         of their own",
        size(row.bytes.resident_bytes)
    );
    finding(Matter::Views, row.bytes.resident_bytes, text, "")
}

fn swap(r: &Report) -> Option<Finding> {
    let bytes = r.total.swapped_bytes;
    let most = r.parts.iter().max_by_key(|p| p.bytes.swapped_bytes)?;
    let text = format!(
        "{} are in swap, {} of it {}",
        size(bytes),
        size(most.bytes.swapped_bytes),
        most.part.title()
    );
    finding(
        Matter::Swap,
        bytes,
        text,
        "a collection that has to read it back takes long: swap and Java heaps do not go together",
    )
}

fn unknown(r: &Report) -> Option<Finding> {
    let bytes = r.part(Part::Unknown).resident_bytes;
    let how = match r.source {
        Source::Kernel => "",
        Source::Saved => "; pages that the core does not hold are not counted at all",
    };
    let text = format!("of {} rjcore cannot say what they are for{how}", size(bytes));
    let remedy = "its largest mappings are in the JSON; native libraries that map memory by themselves, and the collector's own \
                  structures are what it may be";
    finding(Matter::Unknown, bytes, text, remedy)
}

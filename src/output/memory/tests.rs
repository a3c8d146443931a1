//! Sentences that no program makes by itself: of answers made by hand.

use super::claims::VIEWS;
use super::*;
use crate::format::memory_map::{GroupEvent, MemoryGroup};
use crate::malloc::Allocator;

const MB: u64 = 1 << 20;

/// An answer with these rows: part, name, MB in memory, MB in swap.
fn report(rows: &[(Part, &str, u64, u64)]) -> Report {
    let mut total = Bytes::default();
    let part = |(part, name, memory, swap): &(Part, &str, u64, u64)| {
        let bytes = Bytes {
            reserved_bytes: (memory + swap) * MB,
            resident_bytes: memory * MB,
            swapped_bytes: swap * MB,
        };
        total += bytes;
        let row = Row { name: (*name).into(), bytes, used_bytes: None, count: None };
        PartMemory { part: *part, bytes, rows: vec![row] }
    };
    let parts = rows.iter().map(part).collect();
    Report {
        source: Source::Kernel,
        total,
        kernel: None,
        parts,
        unknown: Vec::new(),
        malloc: Malloc {
            allocator: Allocator::Glibc,
            library: None,
            arenas: Vec::new(),
            problems: Vec::new(),
        },
        tracking: Tracking { state: State::Off, why: None, categories: Vec::new() },
        code: Vec::new(),
        direct_holders: None,
        loaders: Vec::new(),
        threads: Vec::new(),
        groups: Vec::new(),
        findings: Vec::new(),
    }
}

/// The only thing that stands out.
fn only(report: &Report) -> Finding {
    let mut all = findings::of(report);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn a_control_group_that_is_nearly_full() {
    let mut of = report(&[]);
    let group = MemoryGroup {
        path: "/sys/fs/cgroup/shop".into(),
        limit: Some(512 * MB),
        usage: 510 * MB,
        inactive_file: 10 * MB,
        events: vec![GroupEvent { name: "oom_kill".into(), count: 2 }],
        ..MemoryGroup::default()
    };
    of.groups = vec![GroupMemory { working_set: 500 * MB, left: Some(12 * MB), group }];
    let found = only(&of);
    assert_eq!((found.matter, found.bytes), (Matter::Limit, 500 * MB));
    let text = "the control group's limit is 512.0 MB; 500.0 MB of it was in use and 12.0 MB left \
                (/sys/fs/cgroup/shop); 2 processes were killed in it for lack of memory";
    assert_eq!(found.text, text);
    // One with room enough is no matter.
    of.groups[0].group.events.clear();
    of.groups[0].left = Some(256 * MB);
    assert_eq!(findings::of(&of), []);
}

#[test]
fn a_full_code_cache() {
    let mut of = report(&[(Part::Code, "profiled nmethods", 200, 0)]);
    let sum = |kind, blobs, bytes| CodeSum { kind, blobs, bytes };
    let kinds = vec![sum(CodeKind::C1, 9000, 150 * MB), sum(CodeKind::Stub, 1, MB)];
    of.code = vec![
        CodeSegment { name: "profiled nmethods".into(), kinds },
        CodeSegment { name: "other".into(), kinds: vec![sum(CodeKind::C1, 1000, 10 * MB)] },
    ];
    let found = only(&of);
    assert_eq!(found.matter, Matter::Code);
    let text =
        "the code cache takes 200.0 MB: 10,000 methods of C1's with 160.0 MB, 1 stub with 1.0 MB";
    assert_eq!(found.text, text);
}

#[test]
fn files_views_swap_and_what_is_not_known() {
    let files = only(&report(&[(Part::Files, "/srv/shop.index", 300, 0)]));
    assert_eq!(files.matter, Matter::Files);
    assert!(files.text.ends_with("300.0 MB in memory, most of /srv/shop.index (300.0 MB)"));
    let mut views = report(&[(Part::JavaHeap, VIEWS, 100, 0), (Part::Files, "x", 900, 0)]);
    views.parts[1].bytes.resident_bytes = 0;
    let views = only(&views);
    assert_eq!((views.matter, views.bytes), (Matter::Views, 100 * MB));
    let swap = only(&report(&[(Part::Stacks, "Java threads", 20, 80)]));
    assert_eq!((swap.matter, swap.bytes), (Matter::Swap, 80 * MB));
    assert_eq!(swap.text, "80.0 MB are in swap, 80.0 MB of it thread stacks");
    let unknown = only(&report(&[(Part::Unknown, "anonymous memory", 64, 0)]));
    assert_eq!((unknown.matter, unknown.bytes), (Matter::Unknown, 64 * MB));
}

/// What is small beside all else does not stand out.
#[test]
fn what_is_little_is_no_matter() {
    assert_eq!(findings::of(&report(&[(Part::Unknown, "anonymous memory", 31, 0)])), []);
    let of = report(&[(Part::Unknown, "anonymous memory", 64, 0), (Part::Kernel, "x", 936, 0)]);
    assert_eq!(findings::of(&of), []);
}

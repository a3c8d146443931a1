//! Heaps that are laid by hand, number by number: nothing here is shared with what reads them.

use std::sync::Arc;

use memmap2::MmapMut;

use super::*;

const LIBC: u64 = 0x7f50_0000_0000;
const MAIN: u64 = LIBC + 0x100;
const BRK: u64 = 0x5555_0000_0000;
/// At 64 MB.
const HEAP: u64 = 0x7f40_0400_0000;
const THREAD: u64 = HEAP + 48;
const OTHER_HEAP: u64 = 0x7f40_0c00_0000;

/// Ways to lay an arena: how far its bins are from its start, and whether it counts its threads.
const WAYS: [(u64, bool); 4] = [(104, false), (104, true), (112, true), (24, true)];

/// Memory of the process, as runs of bytes.
#[derive(Clone)]
struct Space(Vec<(u64, Vec<u8>)>);

impl Space {
    fn put(&mut self, at: u64, word: u64) {
        let fits = |(start, bytes): &&mut (u64, Vec<u8>)| {
            (*start..start + bytes.len() as u64).contains(&at)
        };
        let (start, bytes) = self.0.iter_mut().find(fits).expect("a run");
        let at = (at - *start) as usize;
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    fn memory(&self) -> Memory {
        let mut mem = Memory::default();
        for (start, bytes) in &self.0 {
            let mut map = MmapMut::map_anon(bytes.len()).expect("memory");
            map.copy_from_slice(bytes);
            let file = Arc::new(map.try_into().expect("memory"));
            mem.lay_under(*start, bytes.len() as u64, &file, 0);
        }
        mem
    }

    /// Empty bins, and the numbers around them.
    fn arena(&mut self, at: u64, way: (u64, bool), top: u64, next: u64, system: u64) {
        let bins = at + way.0;
        for i in 0..127 {
            let bin = bins + i * 16;
            self.put(bin, bin - 16);
            self.put(bin + 8, bin - 16);
        }
        self.put(bins - 16, top);
        self.put(bins + 2048, next);
        let counts = bins + 2064;
        if way.1 {
            self.put(counts, 3);
        }
        let counts = counts + if way.1 { 8 } else { 0 };
        self.put(counts, system);
        self.put(counts + 8, system);
    }

    /// Chunks one after another, by their sizes with flags; answers where they end.
    fn chunks(&mut self, at: u64, words: &[u64]) -> u64 {
        words.iter().fold(at, |at, word| {
            self.put(at + 8, *word);
            at + (word & !7)
        })
    }

    fn areas(&self) -> Vec<Area<'static>> {
        let of = |(start, bytes): &(u64, Vec<u8>)| {
            let name: &[u8] = match *start {
                LIBC => b"/lib/x86_64-linux-gnu/libc.so.6",
                BRK => b"[heap]",
                _ => b"",
            };
            Area { start: *start, end: start + bytes.len() as u64, writable: true, name }
        };
        self.0.iter().map(of).collect()
    }

    fn read(&self) -> Malloc {
        let malloc = read(&self.memory(), &self.areas());
        for a in &malloc.arenas {
            let pieces: u64 = a.pieces.iter().map(|(start, end)| end - start).sum();
            let told = a.in_use.bytes + a.free.bytes + a.top + a.overhead + a.damaged + a.absent;
            assert_eq!(pieces, told, "{a:?}");
            let sizes = a.sizes.iter().fold((0, 0), |(n, b), s| (n + s.chunks, b + s.bytes));
            assert_eq!(sizes, (a.in_use.chunks, a.in_use.bytes));
        }
        malloc
    }
}

/// The main arena with sbrk's memory, and a thread's with one heap.
fn two_arenas(way: (u64, bool)) -> Space {
    let runs = [(LIBC, 0x1000), (BRK, 0x8000), (HEAP, 0x10000)];
    let mut s = Space(runs.map(|(at, len)| (at, vec![0; len])).to_vec());
    // In use, free (three pages), in use, and what a fastbin may hold.
    let at = s.chunks(BRK, &[0x291, 0x3001, 0x30, 0x41, 0x101]);
    s.put(BRK + 0x290 + 0x3000, 0x3000);
    s.put(at + 8, (0x8000 - (at - BRK)) | 1);
    s.arena(MAIN, way, at, THREAD, 0x8000);

    s.put(HEAP, THREAD);
    s.put(HEAP + 16, 0x10000);
    s.put(HEAP + 24, 0x10000);
    let end = THREAD + way.0 + 2064 + if way.1 { 24 } else { 16 };
    let first = end.next_multiple_of(16);
    let at = s.chunks(first, &[0x25, 0x1005, 0x45, 0x101, 0x34]);
    s.put(at - 0x30, 0x100);
    s.put(at + 8, (HEAP + 0x10000 - at) | 1);
    s.arena(THREAD, way, at, MAIN, 0x10000);
    s
}

fn sum(chunks: u64, bytes: u64) -> Sum {
    Sum { chunks, bytes }
}

#[test]
fn two_arenas_are_read_however_they_are_laid() {
    for way in WAYS {
        let malloc = two_arenas(way).read();
        assert_eq!(malloc.problems, Vec::<String>::new(), "{way:?}");
        assert_eq!(malloc.allocator, Allocator::Glibc);
        let [main, thread] = &malloc.arenas[..] else { panic!("{malloc:?}") };
        assert_eq!((main.address, main.is_main, main.system), (MAIN, true, 0x8000));
        assert_eq!(main.pieces, [(BRK, BRK + 0x8000)]);
        assert_eq!(main.in_use, sum(4, 0x290 + 0x30 + 0x40 + 0x100));
        assert_eq!(main.free, sum(1, 0x3000));
        let used = 0x290 + 0x3000 + 0x30 + 0x40 + 0x100;
        assert_eq!((main.top, main.largest_free), (0x8000 - used, 0x3000));
        // Of the free chunk from 0x290 to 0x3290, and of top from 0x3400 on.
        assert_eq!(main.trimmable, 0x2000 + 0x4000);
        let classes: Vec<_> = main.sizes.iter().map(|s| (s.up_to, s.chunks, s.bytes)).collect();
        assert_eq!(classes, [(64, 2, 0x70), (256, 1, 0x100), (1024, 1, 0x290)]);
        assert_eq!((main.damaged, main.absent, main.overhead), (0, 0, 0));

        assert_eq!((thread.address, thread.is_main), (THREAD, false));
        assert_eq!(thread.pieces, [(HEAP, HEAP + 0x10000)]);
        assert_eq!(thread.in_use, sum(4, 0x20 + 0x1000 + 0x40 + 0x30));
        assert_eq!((thread.free, thread.largest_free), (sum(1, 0x100), 0x100));
        assert_eq!(thread.damaged, 0);
    }
}

#[test]
fn small_chunks_in_fastbins_are_free() {
    for hidden in [false, true] {
        let mut s = two_arenas((112, true));
        // Chunks of 64 bytes, one in each list's order: the later one leads to the earlier.
        let first = BRK + 0x290 + 0x3000 + 0x30;
        s.put(first + 8, 0x41);
        let second = first + 0x40;
        s.chunks(second, &[0x41, 0xc1]);
        let cover = |at: u64, to: u64| if hidden { (at + 16) >> 12 ^ to } else { to };
        s.put(MAIN + 16 + 2 * 8, second);
        s.put(second + 16, cover(second, first));
        s.put(first + 16, cover(first, 0));
        let malloc = s.read();
        assert_eq!(malloc.problems, Vec::<String>::new());
        let main = &malloc.arenas[0];
        assert_eq!(main.free, sum(3, 0x3000 + 0x80));
        assert_eq!(main.in_use, sum(3, 0x290 + 0x30 + 0xc0));
        // A list that goes round counts for nothing.
        s.put(first + 16, cover(first, second));
        let malloc = s.read();
        assert_eq!(malloc.arenas[0].free, sum(1, 0x3000));
        assert!(malloc.problems[0].contains("64 bytes has no end"), "{:?}", malloc.problems);
    }
}

#[test]
fn damaged_sizes_are_stepped_over() {
    // Zero, beyond the end, no multiple, smaller than any, a mapping's. The flag of the chunk before stays: it is believed.
    for size in [1, 0x7fff_fff1, u64::MAX, 0x39, 0x11, 0x43] {
        let mut s = two_arenas((112, true));
        let bad = BRK + 0x290 + 0x3000 + 0x30;
        s.put(bad + 8, size);
        let malloc = s.read();
        let main = &malloc.arenas[0];
        assert_eq!(main.damaged, 0x40, "{size:#x}: {malloc:?}");
        assert_eq!((main.in_use, main.free), (sum(3, 0x290 + 0x30 + 0x100), sum(1, 0x3000)));
        let said = format!("64 bytes are no chunks, the first of them at {bad:#x}");
        assert!(malloc.problems.iter().any(|p| p.ends_with(&said)), "{:?}", malloc.problems);
        assert_eq!(malloc.arenas[1].damaged, 0);
    }
}

#[test]
fn rings_that_are_damaged_end() {
    // To itself, to nothing, to the heap's start.
    for next in [THREAD, 0, HEAP] {
        let mut s = two_arenas((112, true));
        s.put(THREAD + 112 + 2048, next);
        let malloc = s.read();
        assert_eq!(malloc.arenas.len(), 2);
        assert!(malloc.problems[0].starts_with("the list of arenas is damaged"));
        // The other way round the thread's arena is found by its heap.
        let mut s = two_arenas((112, true));
        s.put(MAIN + 112 + 2048, next + 8);
        let malloc = s.read();
        assert_eq!(malloc.arenas.len(), 2, "{next:#x}: {malloc:?}");
        assert_eq!(malloc.arenas[0].address, MAIN);
        assert_eq!(malloc.arenas[1].damaged, 0);
        assert!(malloc.problems.len() >= 2);
    }
}

/// A thread's arena with a heap more, behind whose forerunner two marks stand.
fn two_heaps() -> Space {
    let mut s = two_arenas((112, true));
    s.0.push((OTHER_HEAP, vec![0; 0x4000]));
    s.put(OTHER_HEAP, THREAD);
    s.put(OTHER_HEAP + 8, HEAP);
    s.put(OTHER_HEAP + 16, 0x4000);
    s.put(OTHER_HEAP + 24, 0x8000);
    // What was top is free now.
    let first = (THREAD + 112 + 2064 + 24).next_multiple_of(16);
    let old = first + 0x20 + 0x1000 + 0x40 + 0x100 + 0x30;
    let left = HEAP + 0x10000 - old - 32;
    let end = s.chunks(old, &[left | 1]);
    s.put(end, left);
    s.put(end + 8, 0x10);
    s.put(end + 24, 1);
    let top = s.chunks(OTHER_HEAP + 48, &[0x205]);
    s.put(top + 8, (OTHER_HEAP + 0x4000 - top) | 1);
    s.put(THREAD + 96, top);
    s.put(THREAD + 112 + 2072, 0x14000);
    s
}

#[test]
fn heaps_lead_to_those_before() {
    let malloc = two_heaps().read();
    assert_eq!(malloc.problems, Vec::<String>::new());
    let thread = &malloc.arenas[1];
    assert_eq!(thread.pieces, [(HEAP, HEAP + 0x10000), (OTHER_HEAP, OTHER_HEAP + 0x4000)]);
    assert_eq!(thread.in_use, sum(5, 0x20 + 0x1000 + 0x40 + 0x30 + 0x200));
    assert_eq!((thread.free.chunks, thread.top), (2, 0x4000 - 48 - 0x200));
    // The arena's heap header, itself, the marks, and the other heap's header.
    assert_eq!(thread.overhead, 48 + 2208 + 32 + 48);
    // A heap that the list has lost is found by its place.
    let mut s = two_heaps();
    s.put(OTHER_HEAP + 8, OTHER_HEAP);
    let malloc = s.read();
    assert_eq!(malloc.arenas[1].pieces.len(), 2);
    assert_eq!(malloc.problems.len(), 2, "{:?}", malloc.problems);
}

#[test]
fn what_others_took_by_sbrk_is_no_piece() {
    let mut s = two_arenas((112, true));
    // The last chunk becomes a smaller one and two marks; then somebody's 0x500 bytes, and more chunks.
    let last = BRK + 0x290 + 0x3000 + 0x30 + 0x40;
    let marks = s.chunks(last, &[0xe1]);
    s.chunks(marks, &[0x11, 0x11]);
    let again = marks + 32 + 0x500;
    for at in (marks + 32..again).step_by(8) {
        s.put(at, 0x4141_4141_4141_4141);
    }
    let top = s.chunks(again, &[0x31; 20]);
    s.put(top + 8, (BRK + 0x8000 - top) | 1);
    s.put(MAIN + 96, top);
    let malloc = s.read();
    assert_eq!(malloc.problems, Vec::<String>::new());
    let main = &malloc.arenas[0];
    assert_eq!(main.pieces, [(BRK, marks + 32), (again, BRK + 0x8000)]);
    assert_eq!(main.in_use, sum(24, 0x290 + 0x30 + 0x40 + 0xe0 + 20 * 0x30));
    assert_eq!((main.overhead, main.damaged), (32, 0));
}

#[test]
fn a_main_arena_may_have_mappings() {
    const MAPPED: u64 = 0x7f30_0000_1000;
    let mut s = two_arenas((112, true));
    s.0.push((MAPPED, vec![0; 0x8000]));
    // Top moved to a mapping that lies behind other things in one area; brk's memory ends with marks.
    let old = BRK + 0x290 + 0x3000 + 0x30 + 0x40 + 0x100;
    let left = BRK + 0x8000 - old - 32;
    let end = s.chunks(old, &[left | 1, 0x10, 0x11]) - 32;
    s.put(end, left);
    let at = MAPPED + 0x3000;
    let top = s.chunks(at, &[0x101, 0x201]);
    s.put(top + 8, (MAPPED + 0x8000 - top) | 1);
    s.put(MAIN + 96, top);
    s.put(MAIN, 2 << 32);
    s.put(MAIN + 112 + 2072, 0x8000 + 0x5000);
    let malloc = s.read();
    assert_eq!(malloc.problems, Vec::<String>::new());
    let main = &malloc.arenas[0];
    assert_eq!(main.pieces, [(BRK, BRK + 0x8000), (at, MAPPED + 0x8000)]);
    assert_eq!(main.in_use, sum(6, 0x290 + 0x30 + 0x40 + 0x100 + 0x300));
    assert_eq!((main.damaged, main.overhead), (0, 32));
}

#[test]
fn what_is_not_in_the_core_is_counted() {
    let mut s = two_arenas((112, true));
    let areas = s.areas();
    // The first page of brk's memory stays, and its last ones from where top is.
    let all = s.0.remove(1).1;
    s.0.push((BRK, all[..0x1000].to_vec()));
    s.0.push((BRK + 0x3000, all[0x3000..].to_vec()));
    let malloc = read(&s.memory(), &areas);
    // The free chunk's own header is there.
    assert_eq!((malloc.arenas[0].absent, malloc.arenas[0].damaged), (0, 0));
    let all = s.0.pop().expect("a run").1;
    s.0.push((BRK + 0x4000, all[0x1000..].to_vec()));
    let malloc = read(&s.memory(), &areas);
    assert!(malloc.problems.iter().any(|p| p.contains("top")), "{:?}", malloc.problems);
    assert_eq!(malloc.arenas.len(), 2);
    s.0.clear();
    let malloc = read(&s.memory(), &areas);
    assert_eq!((malloc.arenas.len(), malloc.problems.len()), (0, 1));
}

/// Whatever a word says, all is counted once and nothing goes on for ever.
#[test]
fn any_word_may_be_wrong() {
    let s = two_heaps();
    for (start, bytes) in &s.0 {
        let words = (0..bytes.len() as u64).step_by(8).map(|i| start + i);
        let told = |at: &u64| {
            let i = (at - start) as usize;
            bytes[i..i + 8] != [0; 8]
        };
        for at in words.filter(told).filter(|at| !(MAIN + 160..MAIN + 2100).contains(at)) {
            for word in [0, u64::MAX, at, 0x21, HEAP, MAIN, !15, OTHER_HEAP + 0x100] {
                let mut s = s.clone();
                s.put(at, word);
                assert!(s.read().problems.len() <= 8 * 8 + 8);
            }
        }
    }
}

#[test]
fn mapped_chunks_are_told_by_their_headers() {
    const AT: u64 = 0x7f20_0000_0000;
    let mut s = Space(vec![(AT, vec![0; 0x8000]), (AT + 0x9000, vec![0; 0x3000])]);
    s.put(AT + 0x1008, 0x2002);
    s.put(AT + 0x3000, 1);
    s.put(AT + 0x3008, 0xff2);
    // In use, no whole pages, beyond the end, with something before it.
    s.put(AT + 0x4008, 0x1003);
    s.put(AT + 0x5008, 0x1012);
    s.put(AT + 0x6008, 0x7002);
    s.put(AT + 0x7000, 0x10);
    s.put(AT + 0x7008, 0x1002);
    s.put(AT + 0xa008, 0x2002);
    let found: Vec<_> = mapped_chunks(&s.memory(), AT + 8, AT + 0xc000).collect();
    assert_eq!(found, [(AT + 0x1000, 0x2000), (AT + 0x3000, 0x1000), (AT + 0xa000, 0x2000)]);
    assert_eq!(mapped_chunks(&s.memory(), 0, u64::MAX).count(), 3, "one leads over the gap");
    assert_eq!(mapped_chunks(&s.memory(), u64::MAX - 1, u64::MAX).count(), 0);
}

#[test]
fn allocators_are_named_by_their_libraries() {
    let of = |names: &[&'static str]| {
        let area =
            |n: &&'static str| Area { start: 0, end: 0, writable: false, name: n.as_bytes() };
        read(&Memory::default(), &names.iter().map(area).collect::<Vec<_>>())
    };
    for (names, allocator, library) in [
        (&["/lib/libc.so.6"][..], Allocator::Glibc, Some("/lib/libc.so.6")),
        (&["/lib64/libc-2.17.so", "[heap]"], Allocator::Glibc, Some("/lib64/libc-2.17.so")),
        (
            &["/lib/libc.so.6", "/o/libjemalloc.so.2"],
            Allocator::Jemalloc,
            Some("/o/libjemalloc.so.2"),
        ),
        (
            &["/a/libtcmalloc_minimal.so.4", "/libc.so.6"],
            Allocator::Tcmalloc,
            Some("/a/libtcmalloc_minimal.so.4"),
        ),
        (&["/lib/ld-musl-x86_64.so.1"], Allocator::Musl, Some("/lib/ld-musl-x86_64.so.1")),
        (&["/lib/libcrypt.so.1", ""], Allocator::Unknown, None),
    ] {
        let malloc = of(names);
        assert_eq!((malloc.allocator, malloc.library.as_deref()), (allocator, library));
        assert_eq!(malloc.problems.is_empty(), allocator != Allocator::Glibc);
    }
}

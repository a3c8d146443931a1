//! Compiled code: its heaps by their first blobs, the interpreter by its blob, the stub that enters Java by the
//! wrappers that it left on stacks.

use std::collections::{BTreeSet, HashMap};

use super::MAX_CANDIDATES;
use super::search::{Search, Set, Tally};
use crate::hotspot::frames::call_wrapper_offset;
use crate::hotspot::threads;

/// HeapBlock's unit: from 16 bytes to 4 KB.
const SEGMENT_LOG2: std::ops::RangeInclusive<u32> = 4..=12;
const PAGE: u64 = 4096;
/// No blob's name is longer.
const MAX_NAME: u64 = 256;
/// Bytes of a CodeBlob before its code.
const MAX_HEADER: u64 = 1024;
/// What the interpreter's code is aligned to.
const ALIGNMENT: u64 = 128;
/// Pointers from data to code that are looked at; memory with more is none of a VM's.
const MAX_POINTERS: usize = MAX_CANDIDATES * 100;

/// Statics that code is found through, each with its value.
pub(super) fn find(s: &Search, threads: &Set) -> Result<Vec<(u64, u64)>, String> {
    let f = s.fields;
    let heaps = heaps(s);
    if heaps.is_empty() {
        return Err("no code cache was found".into());
    }
    let list = match (f.code_heaps.opt(), f.code_heap.opt()) {
        (Some(at), _) => (at, array(s, &heaps)?),
        (None, Some(at)) if let [heap] = heaps.as_slice() => (at, heap.0),
        _ => return Err("the code cache is not in the tables, or there are several".into()),
    };
    let missing = || "the interpreter's code was not found".to_owned();
    let queue = f.interpreter_code.opt().zip(interpreter(s, &heaps)).ok_or_else(missing)?;
    let stub = f.call_stub_return.opt().zip(call_stub(s, threads, &heaps));
    let stub = stub.ok_or("no thread's stack tells where Java is entered")?;
    Ok(vec![list, queue, stub])
}

/// A CodeHeap, and the memory of its blobs.
type Heap = (u64, u64, u64);

fn is_code(heaps: &[Heap], at: u64) -> bool {
    heaps.iter().any(|h| (h.1..h.2).contains(&at))
}

/// The CodeHeaps: their memory can be executed, its map has room for it, and its first blob has a name.
fn heaps(s: &Search) -> Vec<Heap> {
    let (f, mem) = (s.fields, s.mem);
    let fields = (f.code_heap_memory.opt(), f.code_heap_segmap.opt(), f.code_heap_log2.opt());
    let (Some(memory), Some(segmap), Some(log2)) = fields else { return Vec::new() };
    let (Some(low), Some(high)) = (f.virtual_space_low.opt(), f.virtual_space_high.opt()) else {
        return Vec::new();
    };
    let code = s.core.segments().iter().filter(|s| s.flags & 1 != 0);
    let code: Vec<(u64, u64)> = code.map(|s| (s.start, s.start.saturating_add(s.memsz))).collect();
    let mut out = BTreeSet::new();
    s.words(|at, start| {
        let heap = at.wrapping_sub(memory.wrapping_add(low));
        let is_page = start != 0 && start.is_multiple_of(PAGE);
        if !is_page || !code.iter().any(|c| (c.0..c.1).contains(&start)) {
            return;
        }
        let is_heap = || -> Option<u64> {
            let word = |offset: u64| mem.u64(heap.wrapping_add(offset)).ok();
            let end = word(memory.wrapping_add(high))?;
            let map = (word(segmap.wrapping_add(low))?, word(segmap.wrapping_add(high))?);
            let log2 = mem.u32(heap.wrapping_add(log2)).ok()?;
            let sound = SEGMENT_LOG2.contains(&log2) && start < end && map.0 < map.1;
            (sound && ((end - start) >> log2) <= map.1 - map.0).then_some(())?;
            let blob = start.wrapping_add(s.tables.size_of("HeapBlock")?);
            let name = mem.cstr(s.word(blob, f.blob_name)?, MAX_NAME).ok()?;
            (!name.is_empty() && name.iter().all(u8::is_ascii)).then_some(end)
        };
        if out.len() < MAX_CANDIDATES
            && let Some(end) = is_heap()
        {
            out.insert((heap, start, end));
        }
    });
    out.into_iter().collect()
}

/// The GrowableArray of all of them.
fn array(s: &Search, heaps: &[Heap]) -> Result<u64, String> {
    let f = s.fields;
    let of_heaps: Set = heaps.iter().map(|h| h.0).collect();
    let is_data = |at: u64| {
        let entries = (0..heaps.len() as u64).map(|i| s.mem.u64(at.wrapping_add(i * 8)).ok());
        entries
            .collect::<Option<BTreeSet<u64>>>()
            .is_some_and(|e| e.len() == heaps.len() && e.iter().all(|h| of_heaps.contains(*h)))
    };
    let mut data = Vec::new();
    s.words(|at, word| {
        if of_heaps.contains(word) && data.len() < MAX_CANDIDATES && is_data(at) {
            data.push(at);
        }
    });
    let data: Set = data.into_iter().collect();
    let mut found = None;
    s.words(|at, word| {
        if found.is_none() && data.contains(word) {
            let array = at.wrapping_sub(f.growable_data.opt().unwrap_or(0));
            let len = f.growable_len.opt().and_then(|o| s.mem.u32(array.wrapping_add(o)).ok());
            found = (len == Some(heaps.len() as u32)).then_some(array);
        }
    });
    found.ok_or_else(|| format!("{} code heaps are in no list", heaps.len()))
}

/// The StubQueue of the interpreter: it starts with the code of the blob of that name.
fn interpreter(s: &Search, heaps: &[Heap]) -> Option<u64> {
    let (f, mem) = (s.fields, s.mem);
    let is_named = |start: u64| {
        let blobs = (8..MAX_HEADER).step_by(8).map(|back| start.wrapping_sub(back));
        blobs.into_iter().any(|blob| {
            let name = s.word(blob, f.blob_name).and_then(|n| mem.cstr(n, MAX_NAME).ok());
            name == Some(b"Interpreter") && {
                let code = match f.blob_code_begin.opt() {
                    Some(_) => s.word(blob, f.blob_code_begin),
                    None => f.blob_code_offset.opt().and_then(|o| {
                        Some(blob.wrapping_add(u64::from(mem.u32(blob.wrapping_add(o)).ok()?)))
                    }),
                };
                code.is_some_and(|code| (code..code.wrapping_add(ALIGNMENT)).contains(&start))
            }
        })
    };
    let (buffer, limit) = (f.stub_queue_buffer.opt()?, f.stub_queue_limit.opt()?);
    let mut found = BTreeSet::new();
    let mut looked = 0;
    s.words(|at, start| {
        if is_code(heaps, at) || !is_code(heaps, start) || looked == MAX_POINTERS {
            return;
        }
        looked += 1;
        let queue = at.wrapping_sub(buffer);
        let len = mem.u32(queue.wrapping_add(limit)).unwrap_or(0);
        let ends = start.saturating_add(u64::from(len));
        if u64::from(len) >= PAGE && is_code(heaps, ends) && is_named(start) {
            found.insert(queue);
        }
    });
    found.first().copied().filter(|_| found.len() == 1 && looked < MAX_POINTERS)
}

/// Where calls into Java return to: below it is the frame pointer of a frame whose JavaCallWrapper names the thread.
fn call_stub(s: &Search, all: &Set, heaps: &[Heap]) -> Option<u64> {
    let f = s.fields;
    let wrapper = call_wrapper_offset(s.core.cpu(), s.tables);
    let anchor = f.thread_anchor.opt()?;
    // Compiled frames may leave the frame pointer as it was: the return address nearest to it counts.
    let mut nearest = HashMap::new();
    for thread in all.iter() {
        let stack = threads::stack(s.mem, f, thread).ok()?;
        // What lies below the last Java frame may be old.
        let last = s.word(thread.wrapping_add(anchor), f.anchor_sp);
        let Some(low) = last.filter(|sp| stack.contains(sp)) else { continue };
        let base = stack.end;
        for (from, to) in s.mem.present(low, base) {
            let from = from.next_multiple_of(8);
            let bytes = s.mem.slice(from, to.saturating_sub(from)).unwrap_or(&[]);
            let words = bytes.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w));
            for (fp, pc) in words.clone().zip(words.skip(1)) {
                if !(low..base).contains(&fp) || !is_code(heaps, pc) {
                    continue;
                }
                let at = s.mem.u64(fp.wrapping_add_signed(wrapper * 8)).unwrap_or(0);
                if (fp..base).contains(&at) && s.mem.u64(at) == Ok(thread) {
                    nearest.insert(fp, pc);
                }
            }
        }
    }
    let mut found = Tally::default();
    nearest.values().for_each(|pc| found.add(*pc));
    found.winner(nearest.len(), 90)
}

//! One pass over all objects by all cores, with the results in address order.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Heap;
use super::chunks::{CHUNK, Chunk, cut, cut_marked};
use super::failures::around_failures;
use super::klasses::NO_KLASS;
use super::marks::Marks;
use super::report::{Damage, DamageKind, WalkReport};
use crate::error::Result;
use crate::hotspot::barrier::is_marked;
use crate::hotspot::gc::{MarkBitmap, Space};
use crate::panics::survive;
use crate::turns::Turns;

/// Objects in a row that a guessed start must lead to. A wrong guess costs time, nothing else.
const PROOF: usize = 24;
/// So many chunks are asked of the disk before they are walked: without that, a core that is not in memory comes in
/// pieces of 128 KB (read_ahead_kb) while all threads wait.
const AHEAD: usize = 64;
/// A search looks so often for what the thread on the chunk before has found: chunks that lie inside of a large array
/// are searched in vain.
const LOOK: u64 = 4 << 10;
/// Objects that must follow one another before the first is believed, where its mark alone does not prove it.
const IN_A_ROW: usize = 3;
/// An object's length is within this many bytes of its start.
pub(super) const HEAD: u64 = 512;
/// The longest header: mark, klass, an array's length.
const HEADER: u64 = 24;

/// One object.
#[derive(Debug, Clone, Copy)]
pub struct Object<'b> {
    /// Its address.
    pub addr: u64,
    /// Its klass's number in `vm.classes.all()`.
    pub klass: u32,
    /// All of its bytes, header and alignment included.
    pub bytes: &'b [u8],
    /// Where it lives.
    pub space: Space,
}

/// Takes the objects of a chunk in address order.
pub trait Visitor: Send {
    /// Whether it reads the objects' contents. Their bytes are then asked of the disk before.
    const READS: bool = false;
    /// One object. Called for every loaded object once, in a chunk that counts or one that
    /// will be cleared.
    fn object(&mut self, object: Object);
    /// An archived object of a class that was never loaded starts here. No dump has it.
    fn dormant(&mut self, _addr: u64) {}
    /// Forget all objects since the last `clear`: ready for another chunk.
    fn clear(&mut self);
}

/// Walks the heap on `threads` threads. `emit` gets each chunk's visitor in address order, from one thread at a time,
/// and what was walked; the visitors are used again.
pub fn walk<V: Visitor>(
    heap: &Heap,
    threads: usize,
    make: impl Fn() -> V + Sync,
    emit: impl FnMut(&mut V, u64) -> Result<()> + Send,
) -> Result<WalkReport> {
    let traced = heap.traced(threads)?;
    let chunks = match traced {
        Some(_) => cut_marked(&heap.collected.regions),
        None => {
            let gaps = heap.threads.iter().filter_map(|t| t.tlab_gap).collect();
            cut(&heap.collected.regions, gaps)
        }
    };
    let alive = match (traced, &heap.collected.marks) {
        (Some(traced), _) => Alive::Traced(&traced.marks),
        (None, Some(bitmap)) => Alive::InCore(bitmap),
        (None, None) => Alive::None,
    };
    let threads = threads.clamp(1, chunks.len().max(1));
    let pool = super::pool(threads)?;
    let mut report = WalkReport::default();
    traced.iter().flat_map(|t| &t.damage).for_each(|d| report.add_damage(*d));
    let spare = Mutex::new(Vec::new());
    let spares = || spare.lock().unwrap_or_else(|e| e.into_inner());
    let will_need = |i: usize| {
        if let Some(chunk) = chunks.get(i).filter(|_| V::READS) {
            // A humongous object is its visitor's own matter, but for its beginning.
            let least = chunk.span_end.min(chunk.start.saturating_add(CHUNK));
            heap.vm.mem.will_need(chunk.start, chunk.limit.max(least));
        }
    };
    (0..AHEAD).for_each(will_need);
    let ends: Vec<AtomicU64> = chunks.iter().map(|_| AtomicU64::new(0)).collect();
    let work = |i: usize| {
        will_need(i + AHEAD);
        let chunk = &chunks[i];
        let spare = spares().pop();
        let mut visitor = spare.unwrap_or_else(&make);
        let start = match chunk.first {
            true => Some(chunk.start),
            false => survive(|| guess(heap, chunk, &ends[i - 1])).flatten(),
        };
        let (report, end) = match start {
            Some(start) => walk_on(heap, alive, chunk, start, &ends[i], &mut visitor, &make),
            None => (WalkReport::default(), 0),
        };
        Done { visitor, report, start, end }
    };
    let emitted = Mutex::new(Emitted { emit, report, next: 0 });
    let pass = |i: usize, mut done: Done<V>| {
        let mut emitted = emitted.lock().unwrap_or_else(|e| e.into_inner());
        let passed = emitted.pass(heap, alive, &chunks[i], &ends[i], &mut done, &make);
        spares().push(done.visitor);
        passed
    };
    let turns = Turns::of(chunks.len(), 2 * threads);
    pool.in_place_scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|_| turns.take_part(work, pass));
        }
    });
    turns.finish()?;
    Ok(emitted.into_inner().unwrap_or_else(|e| e.into_inner()).report)
}

/// A chunk that was walked.
struct Done<V> {
    visitor: V,
    report: WalkReport,
    /// First object, none where no start was found.
    start: Option<u64>,
    /// Where the next chunk's first object is.
    end: u64,
}

/// All chunks so far.
struct Emitted<E> {
    emit: E,
    report: WalkReport,
    /// Where the next chunk's first object is.
    next: u64,
}

impl<E> Emitted<E> {
    /// Takes the next chunk.
    fn pass<V: Visitor>(
        &mut self,
        heap: &Heap,
        alive: Alive,
        chunk: &Chunk,
        end: &AtomicU64,
        done: &mut Done<V>,
        make: impl Fn() -> V,
    ) -> Result<()>
    where
        E: FnMut(&mut V, u64) -> Result<()>,
    {
        let start = if chunk.first { chunk.start } else { self.next };
        // The guess was wrong, or the chunk lies inside one object: walk it as it is.
        if done.start != Some(start) {
            done.visitor.clear();
            (done.report, done.end) =
                walk_on(heap, alive, chunk, start, end, &mut done.visitor, make);
        }
        self.next = done.end;
        self.report.merge(&done.report);
        let emitted = (self.emit)(&mut done.visitor, chunk.limit - chunk.start);
        done.visitor.clear();
        emitted
    }
}

/// Where the chunk's first object is: by the `end` of the chunk before, as soon as that is known;
/// else the address in the chunk from where `PROOF` objects follow one another.
fn guess(heap: &Heap, chunk: &Chunk, end: &AtomicU64) -> Option<u64> {
    let p = &heap.vm.pointers;
    let step = p.alignment;
    let mut at = chunk.start.next_multiple_of(step);
    // Most words of a large array are no klass: sort them out before the dear look.
    let run = heap.vm.mem.contiguous(at).min(chunk.limit.saturating_sub(at));
    let run = heap.vm.mem.slice(at, run).unwrap_or(&[]);
    let base = at;
    while at < chunk.limit {
        if (at - base).is_multiple_of(LOOK)
            && let known @ 1.. = end.load(Ordering::Relaxed)
        {
            return Some(known);
        }
        let head = run.get((at - base) as usize..).filter(|h| h.len() >= 16);
        let klass = head.and_then(|h| p.klass_of(h));
        let free = |head: &[u8]| heap.collected.free_chunks.size(head).is_some();
        if klass.is_some_and(|k| heap.klasses.number(k) == NO_KLASS) && !head.is_some_and(free) {
            at += step;
            continue;
        }
        let mut next = at;
        let mut proven = 0;
        while let Found::Object(_, size) | Found::Skip(size) = probe(heap, next, chunk.span_end) {
            next = behind(heap, next, size, chunk.span_end);
            proven += 1;
            if proven == PROOF || next == chunk.span_end {
                return Some(at);
            }
        }
        at += step;
    }
    None
}

/// Which objects of a region are alive.
#[derive(Clone, Copy)]
enum Alive<'m> {
    /// All.
    None,
    /// As the collector's last marking says.
    InCore(&'m MarkBitmap),
    /// As the search from the roots found.
    Traced(&'m Marks),
}

/// What an address holds.
pub(super) enum Found {
    /// An object of a loaded class: klass number and size.
    Object(u32, u64),
    /// An archived object of a class that was never loaded, and its size.
    Dormant(u64),
    /// Bytes that hold no object, and are no loss: a free chunk (CMS), or the old copy of an
    /// object that a collection under way has moved.
    Skip(u64),
    /// Nothing that can be read as an object.
    Nothing(DamageKind),
}

pub(super) fn probe(heap: &Heap, at: u64, end: u64) -> Found {
    let mem = heap.vm.mem;
    let want = (end - at).min(HEAD);
    let present = mem.contiguous(at).min(want);
    if let Ok(head) = mem.slice(at, present)
        && present == want
        && want > 0
    {
        return probe_head(heap, at, end, head);
    }
    // The pages end within the header; another file's may go on.
    let mut copy = [0; HEAD as usize];
    for len in [want, present] {
        if len > 0 && mem.read_into(at, &mut copy[..len as usize]).is_ok() {
            return match probe_head(heap, at, end, &copy[..len as usize]) {
                Found::Nothing(_) if len < want.min(HEADER) => break,
                found => found,
            };
        }
    }
    Found::Nothing(DamageKind::NotSaved)
}

#[inline(always)]
pub(super) fn probe_head(heap: &Heap, at: u64, end: u64, head: &[u8]) -> Found {
    let p = &heap.vm.pointers;
    if heap.moving
        && let Some(size) = moved(heap, at)
        && size <= end - at
    {
        return Found::Skip(size);
    }
    if let Some(size) = heap.collected.free_chunks.size(head) {
        return match size <= end - at {
            true => Found::Skip(size),
            false => Found::Nothing(DamageKind::Overrun),
        };
    }
    let Some(klass) = p.klass_of(head) else { return Found::Nothing(DamageKind::UnknownKlass) };
    let number = heap.klasses.number(klass);
    let rule = if number != NO_KLASS {
        heap.klasses.size(number)
    } else {
        match heap.klasses.dormant(heap.vm, klass) {
            Some(rule) => rule,
            None => return Found::Nothing(DamageKind::UnknownKlass),
        }
    };
    match rule.bytes(p, head) {
        Some(size) if size <= end - at => match number {
            NO_KLASS => Found::Dormant(size),
            number => Found::Object(number, size),
        },
        Some(_) => Found::Nothing(DamageKind::Overrun),
        None => Found::Nothing(DamageKind::UnknownKlass),
    }
}

/// What follows the object of `size` bytes at `at`, which ends before `end`: never beyond it.
#[inline(always)]
fn behind(heap: &Heap, at: u64, size: u64, end: u64) -> u64 {
    (at + heap.collected.free_chunks.step(at, size)).min(end)
}

/// The size of the object whose old copy is at `at`, where its header leads to a new one.
pub(super) fn moved(heap: &Heap, at: u64) -> Option<u64> {
    let (mem, barrier) = (heap.vm.mem, &heap.vm.barrier);
    let to = barrier.forwardee(mem, at).filter(|to| barrier.forwardee(mem, *to).is_none())?;
    let r = heap.collected.regions.partition_point(|r| r.top <= to);
    let r = heap.collected.regions.get(r).filter(|r| r.start <= to)?;
    match probe(heap, to, r.top) {
        Found::Object(_, size) | Found::Dormant(size) => Some(size),
        Found::Skip(_) | Found::Nothing(_) => None,
    }
}

/// [`walk_chunk`], without the objects that rjcore itself fails on.
fn walk_on<V: Visitor>(
    heap: &Heap,
    alive: Alive,
    chunk: &Chunk,
    start: u64,
    end: &AtomicU64,
    visitor: &mut V,
    make: impl Fn() -> V,
) -> (WalkReport, u64) {
    around_failures(chunk, start, end, visitor, make, |visitor, here, failed| {
        walk_chunk(heap, alive, chunk, start, end, visitor, (here, failed))
    })
}

/// Walks the objects that start in `start..chunk.limit`. Returns what it saw, and where the
/// first object of the next chunk is, which `end` gets as soon as it is known. Of `(here, failed)`, `here` gets where
/// it is, and what starts at an address of `failed` is stepped over.
fn walk_chunk<V: Visitor>(
    heap: &Heap,
    alive: Alive,
    chunk: &Chunk,
    start: u64,
    end: &AtomicU64,
    visitor: &mut V,
    (here, failed): (&Cell<u64>, &[u64]),
) -> (WalkReport, u64) {
    let mut failed = failed.iter().copied().peekable();
    let mem = heap.vm.mem;
    let mut report = WalkReport::default();
    let space = chunk.space;
    let near = match alive {
        Alive::InCore(bitmap) => Some(bitmap.window(mem, start, chunk.limit)),
        Alive::None | Alive::Traced(_) => None,
    };
    // The first object from an address on that is alive, where marks tell that.
    let next_marked = |at: u64| match (&near, alive) {
        (Some(near), _) => near.next(at, chunk.marked_below),
        (None, Alive::Traced(marks)) => marks.next(at, chunk.marked_below),
        (None, _) => at,
    };
    let is_marked_from = |at: u64| at < chunk.marked_below && !matches!(alive, Alive::None);
    let step_over = |at: u64, kind: DamageKind, report: &mut WalkReport| {
        let next = at + heap.vm.pointers.alignment;
        let end = match is_marked_from(next) {
            true => next_marked(next),
            false => resume(heap, chunk, next),
        };
        report.add_damage(Damage { kind, space, start: at, end });
        end
    };
    let mut straddling = Vec::new();
    let mut at = start;
    while at < chunk.limit {
        // The bytes at hand: most often the whole chunk and what overhangs it.
        let run_end = at + mem.contiguous(at).min(chunk.span_end - at);
        let run = match mem.slice(at, run_end - at) {
            Ok(run) if !run.is_empty() => run,
            _ => {
                at = step_over(at, DamageKind::NotSaved, &mut report);
                continue;
            }
        };
        let base = at;
        let damage = loop {
            if at >= chunk.limit || at >= run_end {
                break None;
            }
            here.set(at);
            if failed.next_if(|f| *f <= at) == Some(at) {
                break Some(Some(DamageKind::Failed));
            }
            if at < chunk.marked_below {
                let next = next_marked(at);
                if next != at {
                    at = next; // dead, and perhaps of a class that is gone
                    continue;
                }
            }
            let head = &run[(at - base) as usize..];
            if heap.watched && is_marked(head) && heap.collected.free_chunks.size(head).is_none() {
                report.moving += 1;
            }
            match probe_head(heap, at, chunk.span_end, head) {
                Found::Object(klass, size) => {
                    let Some(bytes) = head.get(..size as usize) else { break Some(None) };
                    if size > chunk.limit - at {
                        end.store(behind(heap, at, size, chunk.span_end), Ordering::Relaxed);
                    }
                    visitor.object(Object { addr: at, klass, bytes, space });
                    let counts = &mut report.spaces[space as usize];
                    counts.objects += 1;
                    counts.bytes += size;
                    at = behind(heap, at, size, chunk.span_end);
                }
                Found::Dormant(size) => {
                    visitor.dormant(at);
                    report.add_dormant(space, size);
                    at += size;
                }
                Found::Skip(size) => at += size,
                Found::Nothing(_) if (head.len() as u64) < HEAD && run_end < chunk.span_end => {
                    break Some(None);
                }
                Found::Nothing(kind) => break Some(Some(kind)),
            }
        };
        match damage {
            None => {}
            Some(Some(kind)) => at = step_over(at, kind, &mut report),
            // The object may go on in other pages: assemble it, if all of it is there.
            Some(None) => match probe(heap, at, chunk.span_end) {
                Found::Object(klass, size) => {
                    if saved(heap, at, size) {
                        straddling.resize(size as usize, 0);
                        if mem.read_into(at, &mut straddling).is_ok() {
                            visitor.object(Object { addr: at, klass, bytes: &straddling, space });
                            let counts = &mut report.spaces[space as usize];
                            counts.objects += 1;
                            counts.bytes += size;
                        }
                    } else {
                        let kind = DamageKind::NotSaved;
                        report.add_damage(Damage { kind, space, start: at, end: at + size });
                    }
                    at = behind(heap, at, size, chunk.span_end);
                }
                Found::Dormant(size) => {
                    visitor.dormant(at);
                    report.add_dormant(space, size);
                    at += size;
                }
                Found::Skip(size) => at += size,
                Found::Nothing(kind) => at = step_over(at, kind, &mut report),
            },
        }
    }
    end.store(at, Ordering::Relaxed);
    (report, at)
}

fn saved(heap: &Heap, at: u64, size: u64) -> bool {
    let present: u64 = heap.vm.mem.present(at, at + size).map(|(from, to)| to - from).sum();
    present == size
}

/// Where objects follow one another again, from `next` on; the chunk's limit where they do not in it.
fn resume(heap: &Heap, chunk: &Chunk, mut next: u64) -> u64 {
    let alignment = heap.vm.pointers.alignment;
    while next < chunk.limit {
        if heap.vm.mem.contiguous(next) == 0 {
            let page = heap.vm.mem.present(next, chunk.limit).next();
            next = page.map_or(chunk.limit, |(from, _)| from.next_multiple_of(alignment));
        } else if resumes(heap, next, chunk.span_end) {
            return next;
        } else {
            next += alignment;
        }
    }
    chunk.limit
}

/// Whether an object starts here for all that can be told: its mark is one that nothing but an object has, or a few
/// objects follow one another.
pub(super) fn resumes(heap: &Heap, start: u64, end: u64) -> bool {
    let mut at = start;
    for _ in 0..IN_A_ROW {
        match probe(heap, at, end) {
            Found::Object(_, size) | Found::Dormant(size) | Found::Skip(size) => {
                let mark = || heap.vm.mem.u64(start);
                if at == start && mark().is_ok_and(|m| heap.vm.pointers.is_at_rest(m)) {
                    return true;
                }
                at = behind(heap, at, size, end);
            }
            Found::Nothing(_) => return false,
        }
        if at == end {
            break;
        }
    }
    true
}

//! One pass over all objects by all cores, with the results in address order.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Heap;
use super::certain;
use super::chunks::{CHUNK, Chunk, cut, cut_marked};
use super::failures::{Known, Walked, Without, around_failures};
use super::klasses::NO_KLASS;
use super::marks::Marks;
use super::probe::{Found, HEAD, behind, probe, probe_head, resumes};
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
    /// The new copy of an object, whose old one a collection under way left, is at `_to`.
    fn moved(&mut self, _to: u64) {}
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
    walk_between(heap, heap.certain(threads)?, threads, make, emit)
}

/// The same where objects are known to start at the addresses of `certain`, which are in order.
pub(super) fn walk_between<V: Visitor>(
    heap: &Heap,
    certain: &[u64],
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
    // A chunk without the objects that rjcore itself fails on.
    let walk_on = |i: usize, start: u64, visitor: &mut V| {
        let (chunk, end) = (&chunks[i], &ends[i]);
        around_failures(chunk, start, end, visitor, &make, |visitor, known| {
            walk_chunk(heap, (alive, certain), chunk, start, end, visitor, known)
        })
    };
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
            Some(start) => walk_on(i, start, &mut visitor),
            None => (WalkReport::default(), 0),
        };
        Done { visitor, report, start, end }
    };
    let emitted = Mutex::new(Emitted { emit, report, next: 0 });
    let pass = |i: usize, mut done: Done<V>| {
        let mut emitted = emitted.lock().unwrap_or_else(|e| e.into_inner());
        let passed =
            emitted.pass(&chunks[i], &mut done, |start, visitor| walk_on(i, start, visitor));
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
    /// Takes the next chunk; `walk_on` walks it from a start.
    fn pass<V: Visitor>(
        &mut self,
        chunk: &Chunk,
        done: &mut Done<V>,
        walk_on: impl Fn(u64, &mut V) -> (WalkReport, u64),
    ) -> Result<()>
    where
        E: FnMut(&mut V, u64) -> Result<()>,
    {
        let start = if chunk.first { chunk.start } else { self.next };
        // The guess was wrong, or the chunk lies inside one object: walk it as it is.
        if done.start != Some(start) {
            done.visitor.clear();
            (done.report, done.end) = walk_on(start, &mut done.visitor);
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
        while let Found::Object(_, size) | Found::Skip(size) | Found::Moved(size, _) =
            probe(heap, next, chunk.span_end)
        {
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

/// Walks the objects that start in `start..chunk.limit`. Returns what it saw, and where the
/// first object of the next chunk is, which `end` gets as soon as it is known; or what it has to be done again without.
fn walk_chunk<V: Visitor>(
    heap: &Heap,
    (alive, certain): (Alive, &[u64]),
    chunk: &Chunk,
    start: u64,
    end: &AtomicU64,
    visitor: &mut V,
    known: Known,
) -> Walked {
    let mut without = known.without.iter().peekable();
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
    // No object reaches beyond `bound`.
    let mut bound = certain::behind(certain, start, chunk.span_end);
    let step_over = |at: u64, bound: u64, kind: DamageKind, report: &mut WalkReport| {
        let next = at + heap.vm.pointers.alignment;
        let of_old = known.without.iter().find(|w| w.at == at).and_then(|w| w.next);
        let end = match (of_old, is_marked_from(next)) {
            (Some(next), _) => next,
            (None, true) => next_marked(next),
            (None, false) => resume(heap, next, chunk.limit.min(bound), bound),
        };
        let kind = match kind {
            DamageKind::Overrun if bound < chunk.span_end => DamageKind::Overlap,
            kind => kind,
        };
        report.add_damage(Damage { kind, space, start: at, end });
        end
    };
    let torn = |at: u64, size: u64, report: &mut WalkReport| {
        report.add_damage(Damage { kind: DamageKind::HalfMoved, space, start: at, end: at + size });
        at + size
    };
    let mut straddling = Vec::new();
    let mut at = start;
    while at < chunk.limit {
        // The bytes at hand: most often the whole chunk and what overhangs it.
        let run_end = at + mem.contiguous(at).min(chunk.span_end - at);
        let run = match mem.slice(at, run_end - at) {
            Ok(run) if !run.is_empty() => run,
            _ => {
                at = step_over(at, chunk.span_end, DamageKind::NotSaved, &mut report);
                continue;
            }
        };
        let base = at;
        // The object right before `at`.
        let mut last = None;
        let damage = loop {
            if at >= chunk.limit || at >= run_end {
                break None;
            }
            known.here.set(at);
            let before = last.take();
            if let Some(w) = without.next_if(|w| w.at <= at).filter(|w| w.at == at) {
                break Some(Some(w.kind));
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
            if at >= bound {
                bound = certain::behind(certain, at, chunk.span_end);
            }
            match probe_head(heap, at, bound, head) {
                Found::Object(klass, size) => {
                    let Some(bytes) = head.get(..size as usize) else { break Some(None) };
                    if size > chunk.limit - at {
                        end.store(behind(heap, at, size, bound), Ordering::Relaxed);
                    }
                    visitor.object(Object { addr: at, klass, bytes, space });
                    let counts = &mut report.spaces[space as usize];
                    counts.objects += 1;
                    counts.bytes += size;
                    last = Some(at);
                    at = behind(heap, at, size, bound);
                }
                Found::Dormant(size) => {
                    visitor.dormant(at);
                    report.add_dormant(space, size);
                    at += size;
                }
                Found::Skip(size) => at += size,
                Found::Moved(size, to) => {
                    visitor.moved(to);
                    at += size;
                }
                Found::Torn(size) => at = torn(at, size, &mut report),
                Found::Nothing(_) if (head.len() as u64) < HEAD && run_end < chunk.span_end => {
                    break Some(None);
                }
                Found::Nothing(kind) => {
                    if known.may_ask
                        && let Some(before) = before
                        && let Some(next) = certain::inside(heap, before, at, bound)
                    {
                        let kind = DamageKind::Overlap;
                        return Err(Without { at: before, kind, next: Some(next) });
                    }
                    break Some(Some(kind));
                }
            }
        };
        match damage {
            None => {}
            Some(Some(kind)) => at = step_over(at, bound, kind, &mut report),
            // The object may go on in other pages: assemble it, if all of it is there.
            Some(None) => match probe(heap, at, bound) {
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
                    at = behind(heap, at, size, bound);
                }
                Found::Dormant(size) => {
                    visitor.dormant(at);
                    report.add_dormant(space, size);
                    at += size;
                }
                Found::Skip(size) => at += size,
                Found::Moved(size, to) => {
                    visitor.moved(to);
                    at += size;
                }
                Found::Torn(size) => at = torn(at, size, &mut report),
                Found::Nothing(kind) => at = step_over(at, bound, kind, &mut report),
            },
        }
    }
    end.store(at, Ordering::Relaxed);
    Ok((report, at))
}

fn saved(heap: &Heap, at: u64, size: u64) -> bool {
    let present: u64 = heap.vm.mem.present(at, at + size).map(|(from, to)| to - from).sum();
    present == size
}

/// Where objects that end before `end` follow one another again, from `next` on; `limit` where they do not below it.
fn resume(heap: &Heap, mut next: u64, limit: u64, end: u64) -> u64 {
    let alignment = heap.vm.pointers.alignment;
    while next < limit {
        if heap.vm.mem.contiguous(next) == 0 {
            let page = heap.vm.mem.present(next, limit).next();
            next = page.map_or(limit, |(from, _)| from.next_multiple_of(alignment));
        } else if resumes(heap, next, end) {
            return next;
        } else {
            next += alignment;
        }
    }
    limit
}

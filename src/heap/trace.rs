//! Finds the objects that can be reached: a marking by all cores, without recursion, with one
//! bit per object and a queue of those that are still to be looked at.
//!
//! For heaps in which a walk would meet what is no object any more. Handles come first; then the
//! words on stacks that may be references, of which only those count that lead to an object.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Heap;
use super::chunks::CHUNK;
use super::marking::{Marking, drain};
use super::marks::Marks;
use super::places::Mark;
use super::probe::{Found, HEAD, probe, probe_head};
use super::report::{Damage, DamageKind};
use super::roots::WideRoots;
use super::scan::{Item, Scanner};
use super::starts;
use super::traced::Traced;
use crate::error::Result;
use crate::hotspot::gc::Space;

/// Dangling references that are kept; more say no more.
const MAX_DANGLING: usize = 100_000;
/// Objects behind one that only a stack leads to that must be objects, before it is believed.
const MAX_DOUBTED: usize = 20_000;
/// Rounds of looking at the stacks of virtual threads that other stacks led to.
const MAX_ROUNDS: usize = 1000;

struct Tracer<'h> {
    heap: &'h Heap<'h>,
    marks: Marks,
    scanner: Scanner<'h>,
    found: Mutex<Finds>,
    forwarded: AtomicBool,
}

/// What is met besides objects.
#[derive(Debug, Default)]
struct Finds {
    dangling: Vec<(u64, Space, DamageKind)>,
    /// Stacks of virtual threads.
    stacks: Vec<(u64, u64)>,
    /// What the object at hand refers to.
    targets: Vec<u64>,
    /// Bytes of it that lie in pieces.
    scratch: Vec<u8>,
}

/// Finds everything that can be reached.
pub(super) fn trace(heap: &Heap, threads: usize) -> Result<Traced> {
    let threads = threads.clamp(1, heap.used().div_ceil(CHUNK).max(1) as usize);
    let pool = super::pool(threads)?;
    let mut damaged = Vec::new();
    let wide = WideRoots::read(heap, &mut damaged)?;
    let scanner = Scanner::new(heap)?;
    let tracer = Tracer {
        heap,
        marks: Marks::new(scanner.places.clone()),
        scanner,
        found: Mutex::default(),
        forwarded: AtomicBool::new(false),
    };
    let mut lost = 0;
    let mut first = Vec::new();
    let mut objects: Vec<u64> = wide.roots.iter().map(|r| r.object).collect();
    objects.sort_unstable();
    objects.dedup();
    for object in objects {
        match tracer.mark(object) {
            Ok(item) => first.extend(item),
            Err(_) => lost += 1,
        }
    }
    if lost > 0 {
        damaged.push(format!("{lost} handles lead to no object"));
    }
    pool.scope(|scope| drain(&tracer, scope, first));
    let mut finds = tracer.take();
    let damage = damage(std::mem::take(&mut finds.dangling));
    // What only a stack holds may have died there long ago: where it leads nowhere, so be it.
    let mut memory = wide.memory;
    memory.append(&mut finds.stacks);
    let mut words = wide.words;
    for _ in 0..MAX_ROUNDS {
        let starts = starts::find(heap, &tracer.marks, &memory, &words);
        let mut any = false;
        for start in starts {
            if let Some(item) = tracer.adopt(start) {
                pool.scope(|scope| drain(&tracer, scope, vec![item]));
                any = true;
            }
        }
        if !any {
            break;
        }
        memory = tracer.take().stacks;
        words.clear();
    }
    let forwarded = tracer.forwarded.into_inner();
    Ok(Traced { marks: tracer.marks, damage, damaged, forwarded })
}

/// In order, and each holder once: the same at any number of threads.
fn damage(mut dangling: Vec<(u64, Space, DamageKind)>) -> Vec<Damage> {
    dangling.sort_unstable();
    dangling.dedup_by_key(|d| d.0);
    let stretch = |(at, space, kind)| Damage { kind, space, start: at, end: at };
    dangling.into_iter().map(stretch).collect()
}

impl Marking for Tracer<'_> {
    type Finds = Finds;

    fn look(&self, item: Item, todo: &mut Vec<Item>, finds: &mut Finds) {
        let mut targets = std::mem::take(&mut finds.targets);
        targets.clear();
        self.targets(item, &mut targets, todo, finds);
        for &addr in &targets {
            match self.mark(addr) {
                Ok(found) => todo.extend(found),
                Err(kind) => self.dangles(item.addr, kind, finds),
            }
        }
        finds.targets = targets;
    }

    fn gather(&self, mut finds: Finds) {
        if !finds.dangling.is_empty() || !finds.stacks.is_empty() {
            let mut all = self.found.lock().unwrap_or_else(|e| e.into_inner());
            let room = MAX_DANGLING.saturating_sub(all.dangling.len());
            all.dangling.extend(finds.dangling.into_iter().take(room));
            all.stacks.append(&mut finds.stacks);
        }
    }
}

impl<'h> Tracer<'h> {
    fn take(&self) -> Finds {
        std::mem::take(&mut self.found.lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// The object at `addr`: klass and size, or why there is none.
    #[inline]
    fn probe(&self, mark: Mark, addr: u64) -> Found {
        let r = &self.heap.collected.regions[mark.region];
        let head = self.scanner.tail(mark.region, addr);
        match head {
            Some(head) => {
                probe_head(self.heap, addr, r.top, &head[..head.len().min(HEAD as usize)])
            }
            None => probe(self.heap, addr, r.top),
        }
    }

    /// Marks the object at `addr`, or the one that it was moved to. Answers it where it was not
    /// marked before.
    #[inline]
    fn mark(&self, mut addr: u64) -> Result<Option<Item>, DamageKind> {
        let barrier = &self.heap.vm.barrier;
        for _ in 0..2 {
            let mark = self.marks.locate(addr).ok_or(DamageKind::Dangling)?;
            if self.marks.is_marked(mark) {
                return Ok(None);
            }
            if let Some(to) = barrier.forwardee(self.heap.vm.mem, addr) {
                self.forwarded.store(true, Ordering::Relaxed);
                addr = to;
                continue;
            }
            return match self.probe(mark, addr) {
                Found::Object(klass, _) => {
                    Ok(self.marks.mark(mark).then_some(Item { addr, klass, from: 0 }))
                }
                Found::Dormant(_) => {
                    self.marks.mark(mark);
                    Ok(None)
                }
                Found::Skip(_) | Found::Moved(..) | Found::Torn(_) => Ok(None),
                Found::Nothing(DamageKind::NotSaved) => Err(DamageKind::NotSaved),
                Found::Nothing(_) => Err(DamageKind::Dangling),
            };
        }
        Err(DamageKind::Dangling)
    }

    fn dangles(&self, holder: u64, kind: DamageKind, finds: &mut Finds) {
        let region = self.marks.locate(holder).map(|m| m.region);
        let space = region.map_or(Space::Old, |r| self.heap.collected.regions[r].space);
        finds.dangling.push((holder, space, kind));
    }

    /// Puts what an object refers to into `targets`, resolved; the rest of a long array goes
    /// back to the queue.
    fn targets(
        &self,
        item: Item,
        targets: &mut Vec<u64>,
        items: &mut Vec<Item>,
        finds: &mut Finds,
    ) {
        let vm = self.heap.vm;
        let scanned = self.scanner.scan(item, &mut finds.scratch, |_, _, bits| {
            // Shenandoah's forwarding is looked at where the object is.
            let addr = vm.barrier.address(vm.mem, bits);
            if addr != 0 {
                targets.push(addr);
            }
        });
        if scanned.lost {
            self.dangles(item.addr, DamageKind::NotSaved, finds);
        }
        items.extend(scanned.rest);
        if let Some(start) = scanned.stack
            && let Some(mark) = self.marks.locate(item.addr)
            && let Found::Object(_, size) = self.probe(mark, item.addr)
        {
            finds.stacks.push((start, item.addr + size));
        }
    }

    /// Whether it is a mirror that no class has: an old copy, or its class is gone.
    fn is_of_no_class(&self, item: Item, scratch: &mut Vec<u8>) -> bool {
        let class = self.scanner.class_of_mirror(item, scratch);
        class.is_some_and(|(_, mirror)| mirror != Some(item.addr))
    }

    /// Marks an object that only a stack leads to, unless it leads to what is gone: then it is
    /// dead itself, and the word on the stack an old one.
    fn adopt(&self, addr: u64) -> Option<Item> {
        let object = |addr: u64| -> Result<Option<Item>, ()> {
            let to = self.heap.vm.barrier.forwardee(self.heap.vm.mem, addr).unwrap_or(addr);
            let mark = self.marks.locate(to).ok_or(())?;
            match self.marks.is_marked(mark) {
                true => Ok(None),
                false => match self.probe(mark, to) {
                    Found::Object(klass, _) => Ok(Some(Item { addr: to, klass, from: 0 })),
                    Found::Dormant(_) => Ok(None),
                    Found::Skip(_) | Found::Moved(..) | Found::Torn(_) | Found::Nothing(_) => {
                        Err(())
                    }
                },
            }
        };
        let first = object(addr).ok()??;
        if self.heap.vm.classes.all()[first.klass as usize].is_filler() {
            return None;
        }
        let (mut targets, mut finds) = (Vec::new(), Finds::default());
        let mut seen = HashSet::from([first.addr]);
        let mut queue = vec![first];
        // An array that is being made may still hold anything, at its end too.
        while let Some(item) = queue.pop() {
            targets.clear();
            self.targets(item, &mut targets, &mut queue, &mut finds);
            if !finds.dangling.is_empty() || self.is_of_no_class(item, &mut finds.scratch) {
                return None;
            }
            for target in &targets {
                if let Some(next) = object(*target).ok()?
                    && seen.len() < MAX_DOUBTED
                    && seen.insert(next.addr)
                {
                    queue.push(next);
                }
            }
        }
        self.marks.mark(self.marks.locate(first.addr)?).then_some(first)
    }
}

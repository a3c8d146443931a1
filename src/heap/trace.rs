//! Finds the objects that can be reached: a marking by all cores, without recursion, with one
//! bit per object and a queue of those that are still to be looked at.
//!
//! For heaps in which a walk would meet what is no object any more. Handles come first; then the
//! words on stacks that may be references, of which only those count that lead to an object.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::Scope;

use super::Heap;
use super::chunks::CHUNK;
use super::live::{Live, Mark};
use super::refs::{RefMap, Refs};
use super::report::{Damage, DamageKind};
use super::starts;
use super::walk::{Found, HEAD, probe, probe_head};
use crate::error::{Error, Result};
use crate::hotspot::gc::Space;
use crate::hotspot::held::Held;

/// Objects that one piece of work hands on to another thread.
const BATCH: usize = 1024;
/// Elements of an array that are looked at in one go.
const SLICE: u32 = 4096;
/// Dangling references that are kept; more say no more.
const MAX_DANGLING: usize = 100_000;
/// Objects behind one that only a stack leads to that must be objects, before it is believed.
const MAX_DOUBTED: usize = 20_000;
/// Rounds of looking at the stacks of virtual threads that other stacks led to.
const MAX_ROUNDS: usize = 1000;

/// What the search found.
#[derive(Debug)]
pub struct Traced {
    /// The objects.
    pub live: Live,
    /// References that lead to no object, by the object that holds them.
    pub damage: Vec<Damage>,
    /// What else could not be read, in words.
    pub damaged: Vec<String>,
    /// Whether any reference led to an object's old copy.
    pub forwarded: bool,
}

impl Traced {
    /// Whether there is an object at `addr`, and it can be reached.
    pub fn reaches(&self, addr: u64) -> bool {
        self.live.locate(addr).is_some_and(|mark| self.live.is_marked(mark))
    }
}

/// An object to be looked at, or the rest of an array.
#[derive(Debug, Clone, Copy)]
struct Item {
    addr: u64,
    klass: u32,
    from: u32,
}

struct Tracer<'h> {
    heap: &'h Heap<'h>,
    live: Live,
    /// Each region's bytes, where they lie in one piece.
    bytes: Vec<Option<&'h [u8]>>,
    refs: RefMap,
    found: Mutex<Finds>,
    forwarded: AtomicBool,
}

/// What is met besides objects.
#[derive(Debug, Default)]
struct Finds {
    dangling: Vec<(u64, Space, DamageKind)>,
    /// Stacks of virtual threads.
    stacks: Vec<(u64, u64)>,
}

/// Finds everything that can be reached.
pub fn trace(heap: &Heap, threads: usize) -> Result<Traced> {
    let regions = &heap.collected.regions;
    let mem = heap.vm.mem;
    // Bits for what the core may hold, not for what a damaged table says.
    let saved: u64 = regions.iter().map(|r| heap.saved(r)).sum();
    if heap.used() / 64 > saved.saturating_add(1 << 28) {
        return Err(Error::Corrupt(format!(
            "the heap's regions have {} bytes, of which the core holds {saved}",
            heap.used()
        )));
    }
    let threads = threads.clamp(1, heap.used().div_ceil(CHUNK).max(1) as usize);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Error::Threads { threads, why: e.to_string() })?;
    let mut damaged = Vec::new();
    let held = Held::read(heap.vm, &heap.threads, &mut damaged)?;
    let tracer = Tracer {
        heap,
        live: Live::new(regions, heap.vm.pointers.alignment),
        bytes: regions.iter().map(|r| mem.slice(r.start, r.top - r.start).ok()).collect(),
        refs: RefMap::new(heap.vm),
        found: Mutex::default(),
        forwarded: AtomicBool::new(false),
    };
    let mut lost = 0;
    let mut first = Vec::new();
    for &object in &held.objects {
        match tracer.mark(object) {
            Ok(item) => first.extend(item),
            Err(_) => lost += 1,
        }
    }
    if lost > 0 {
        damaged.push(format!("{lost} handles lead to no object"));
    }
    pool.scope(|scope| tracer.drain(scope, first));
    let mut finds = tracer.take();
    let damage = damage(std::mem::take(&mut finds.dangling));
    // What only a stack holds may have died there long ago: where it leads nowhere, so be it.
    let mut memory = held.memory;
    memory.append(&mut finds.stacks);
    let mut words = held.words;
    for _ in 0..MAX_ROUNDS {
        let starts = starts::find(heap, &tracer.live, &memory, &words);
        let mut any = false;
        for start in starts {
            if let Some(item) = tracer.adopt(start) {
                pool.scope(|scope| tracer.drain(scope, vec![item]));
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
    Ok(Traced { live: tracer.live, damage, damaged, forwarded })
}

/// In order, and each holder once: the same at any number of threads.
fn damage(mut dangling: Vec<(u64, Space, DamageKind)>) -> Vec<Damage> {
    dangling.sort_unstable();
    dangling.dedup_by_key(|d| d.0);
    let stretch = |(at, space, kind)| Damage { kind, space, start: at, end: at };
    dangling.into_iter().map(stretch).collect()
}

impl<'h> Tracer<'h> {
    fn take(&self) -> Finds {
        std::mem::take(&mut self.found.lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// The object at `addr`: klass and size, or why there is none.
    #[inline]
    fn probe(&self, mark: Mark, addr: u64) -> Found {
        let r = &self.heap.collected.regions[mark.region];
        let head = self.bytes[mark.region].and_then(|b| b.get((addr - r.start) as usize..));
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
            let mark = self.live.locate(addr).ok_or(DamageKind::Dangling)?;
            if self.live.is_marked(mark) {
                return Ok(None);
            }
            if let Some(to) = barrier.forwardee(self.heap.vm.mem, addr) {
                self.forwarded.store(true, Ordering::Relaxed);
                addr = to;
                continue;
            }
            return match self.probe(mark, addr) {
                Found::Object(klass, _) => {
                    Ok(self.live.mark(mark).then_some(Item { addr, klass, from: 0 }))
                }
                Found::Dormant(_) => {
                    self.live.mark(mark);
                    Ok(None)
                }
                Found::Skip(_) => Ok(None),
                Found::Nothing(DamageKind::NotSaved) => Err(DamageKind::NotSaved),
                Found::Nothing(_) => Err(DamageKind::Dangling),
            };
        }
        Err(DamageKind::Dangling)
    }

    /// Looks at objects until there are none left, and hands some on where there are many.
    fn drain<'s>(&'s self, scope: &Scope<'s>, mut items: Vec<Item>) {
        let mut finds = Finds::default();
        let mut scratch = Vec::new();
        let mut targets = Vec::new();
        while let Some(item) = items.pop() {
            targets.clear();
            self.targets(item, &mut targets, &mut scratch, &mut items, &mut finds);
            for &addr in &targets {
                match self.mark(addr) {
                    Ok(found) => items.extend(found),
                    Err(kind) => self.dangles(item.addr, kind, &mut finds),
                }
            }
            if items.len() >= 2 * BATCH {
                let rest = items.split_off(items.len() - BATCH);
                scope.spawn(move |scope| self.drain(scope, rest));
            }
        }
        if !finds.dangling.is_empty() || !finds.stacks.is_empty() {
            let mut all = self.found.lock().unwrap_or_else(|e| e.into_inner());
            let room = MAX_DANGLING.saturating_sub(all.dangling.len());
            all.dangling.extend(finds.dangling.into_iter().take(room));
            all.stacks.append(&mut finds.stacks);
        }
    }

    fn dangles(&self, holder: u64, kind: DamageKind, finds: &mut Finds) {
        let region = self.live.locate(holder).map(|m| m.region);
        let space = region.map_or(Space::Old, |r| self.heap.collected.regions[r].space);
        finds.dangling.push((holder, space, kind));
    }

    /// Puts what an object refers to into `targets`, resolved; the rest of a long array goes
    /// back to the queue.
    fn targets(
        &self,
        item: Item,
        targets: &mut Vec<u64>,
        scratch: &mut Vec<u8>,
        items: &mut Vec<Item>,
        finds: &mut Finds,
    ) {
        let p = &self.heap.vm.pointers;
        let oop = p.oop_size();
        match &self.refs.of[item.klass as usize] {
            Refs::None => {}
            Refs::Fields(fields) => self.fields(item.addr, fields, targets, scratch),
            Refs::Elements(header) => {
                let length = self.read(item.addr + p.array_length, 4, scratch);
                let length = length.and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
                let count = length.saturating_sub(item.from).min(SLICE);
                if count == 0 {
                    return; // nothing, and perhaps the region's end
                }
                let at = item.addr + u64::from(*header) + u64::from(item.from) * oop;
                match self.read(at, u64::from(count) * oop, scratch) {
                    Some(bytes) => {
                        bytes.chunks_exact(oop as usize).for_each(|b| self.target(b, targets));
                    }
                    None => self.dangles(item.addr, DamageKind::NotSaved, finds),
                }
                let from = item.from + count;
                if from < length {
                    items.push(Item { from, ..item });
                }
            }
            Refs::Flat { header, stride, references } => {
                let length = self.read(item.addr + p.array_length, 4, scratch);
                let length = length.and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
                let count = length.saturating_sub(item.from).min(SLICE);
                if count == 0 {
                    return;
                }
                let stride = u64::from(*stride);
                let at = item.addr + u64::from(*header) + u64::from(item.from) * stride;
                match self.read(at, u64::from(count) * stride, scratch) {
                    Some(bytes) => {
                        for element in bytes.chunks_exact(stride as usize) {
                            for at in references {
                                let at = *at as usize;
                                self.target(&element[at..at + oop as usize], targets);
                            }
                        }
                    }
                    None => self.dangles(item.addr, DamageKind::NotSaved, finds),
                }
                let from = item.from + count;
                if from < length {
                    items.push(Item { from, ..item });
                }
            }
            Refs::Mirror { fields, klass } => {
                self.fields(item.addr, fields, targets, scratch);
                let klass = self.mirrored(item.addr, *klass, scratch);
                if let Some(statics) =
                    self.refs.statics.get(self.heap.klasses.number(klass) as usize)
                {
                    self.fields(item.addr, statics, targets, scratch);
                }
            }
            Refs::Stack { fields, stack } => {
                self.fields(item.addr, fields, targets, scratch);
                let Some(mark) = self.live.locate(item.addr) else { return };
                if let Found::Object(_, size) = self.probe(mark, item.addr) {
                    let start = (item.addr + u64::from(*stack)).next_multiple_of(8);
                    finds.stacks.push((start, item.addr + size));
                }
            }
        }
    }

    /// The Klass* in the mirror at `addr`, 0 where it has none.
    fn mirrored(&self, addr: u64, klass: u32, scratch: &mut Vec<u8>) -> u64 {
        let klass = self.read(addr + u64::from(klass), 8, scratch);
        klass.and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
    }

    /// Whether it is a mirror that no class has: an old copy, or its class is gone.
    fn is_of_no_class(&self, item: Item, scratch: &mut Vec<u8>) -> bool {
        let Refs::Mirror { klass, .. } = &self.refs.of[item.klass as usize] else { return false };
        let klass = self.mirrored(item.addr, *klass, scratch);
        let mirror = self.heap.vm.classes.get(klass).map(|k| k.mirror);
        klass != 0 && mirror != Some(item.addr)
    }

    fn fields(&self, addr: u64, fields: &[u32], targets: &mut Vec<u64>, scratch: &mut Vec<u8>) {
        let Some(last) = fields.last() else { return };
        let oop = self.heap.vm.pointers.oop_size();
        let len = u64::from(*last) + oop;
        // What is not saved of an object is told by the walk.
        let Some(bytes) = self.read(addr, len, scratch) else { return };
        for at in fields {
            let at = *at as usize;
            if let Some(bytes) = bytes.get(at..at + oop as usize) {
                self.target(bytes, targets);
            }
        }
    }

    #[inline(always)]
    fn target(&self, bytes: &[u8], targets: &mut Vec<u64>) {
        let vm = self.heap.vm;
        let bits = match bytes {
            &[a, b, c, d] => vm.pointers.widen(u32::from_le_bytes([a, b, c, d])),
            _ => bytes.try_into().map_or(0, u64::from_le_bytes),
        };
        // Shenandoah's forwarding is looked at where the object is.
        let addr = vm.barrier.address(vm.mem, bits);
        if addr != 0 {
            targets.push(addr);
        }
    }

    /// Bytes of the heap: borrowed where they lie in one piece.
    #[inline]
    fn read<'s>(&'s self, addr: u64, len: u64, scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        let mark = self.live.locate(addr & !(self.heap.vm.pointers.alignment - 1))?;
        let start = self.heap.collected.regions[mark.region].start;
        if let Some(bytes) = self.bytes[mark.region] {
            let at = (addr - start) as usize;
            return bytes.get(at..at.checked_add(len as usize)?);
        }
        scratch.resize(len as usize, 0);
        self.heap.vm.mem.read_into(addr, scratch).ok()?;
        Some(scratch)
    }

    /// Marks an object that only a stack leads to, unless it leads to what is gone: then it is
    /// dead itself, and the word on the stack an old one.
    fn adopt(&self, addr: u64) -> Option<Item> {
        let object = |addr: u64| -> Result<Option<Item>, ()> {
            let to = self.heap.vm.barrier.forwardee(self.heap.vm.mem, addr).unwrap_or(addr);
            let mark = self.live.locate(to).ok_or(())?;
            match self.live.is_marked(mark) {
                true => Ok(None),
                false => match self.probe(mark, to) {
                    Found::Object(klass, _) => Ok(Some(Item { addr: to, klass, from: 0 })),
                    Found::Dormant(_) => Ok(None),
                    Found::Skip(_) | Found::Nothing(_) => Err(()),
                },
            }
        };
        let first = object(addr).ok()??;
        if self.heap.vm.classes.all()[first.klass as usize].is_filler() {
            return None;
        }
        let (mut targets, mut scratch, mut finds) = (Vec::new(), Vec::new(), Finds::default());
        let mut seen = HashSet::from([first.addr]);
        let mut queue = vec![first];
        // An array that is being made may still hold anything, at its end too.
        while let Some(item) = queue.pop() {
            targets.clear();
            self.targets(item, &mut targets, &mut scratch, &mut queue, &mut finds);
            if !finds.dangling.is_empty() || self.is_of_no_class(item, &mut scratch) {
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
        self.live.mark(self.live.locate(first.addr)?).then_some(first)
    }
}

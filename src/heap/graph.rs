//! The heap as a graph: objects by dense numbers, what each refers to, and from where it is held.
//!
//! References are read from the core when they are asked for, not stored; so the graph's memory is
//! its `Index`'s, the roots, and a few words for each class. To tell what can be reached it takes one more
//! bit for each place where an object can start, until it is made.
//!
//! Roots are those that dumps name (`roots`): of frames their values, not the words of stacks.

use std::sync::atomic::{AtomicU64, Ordering};

use super::chunks::CHUNK;
use super::class_objects::ClassObjects;
use super::index::{Id, Index};
use super::layout::{Layout, Shape, Strength};
use super::marking::{Marking, drain};
use super::marks::Marks;
use super::probe::{Found, probe};
use super::report::WalkReport;
use super::report::{Part, Unread};
use super::roots::{Call, Root, Stacks, global};
use super::scan::{Item, Place as ScanPlace, Scanner};
use super::virtual_threads;
use super::{Heap, NO_KLASS};
use crate::error::{Error, Result};
pub use crate::graph::ClassPart;
use crate::graph::Plain;
use crate::hotspot::classes::{Klass, is_reference};

/// Which objects are in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All that a walk meets, garbage too; with ZGC and Shenandoah all that HotSpot may reach.
    All,
    /// Those to which a root leads, along references of any strength.
    Reachable,
}

/// Which references are in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All that the heap has.
    Heap,
    /// Those that dumps have: no fields that the VM added, and of a class not its mirror's fields.
    Dumped,
}

/// Where a reference stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In the object itself.
    Object(ScanPlace),
    /// In what the VM knows of a class.
    Class(ClassPart),
}

/// A reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge<I> {
    /// Where it stands.
    pub place: Place,
    /// How it holds.
    pub strength: Strength,
    /// Where it leads; never null.
    pub address: u64,
    /// The object there; none where there is none in the graph.
    pub target: Option<I>,
}

/// A root and its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphRoot<I> {
    /// Why, and by whom.
    pub root: Root,
    /// The object.
    pub id: I,
}

/// Objects, references and roots. `I` is the kind of number that objects have: see
/// `Index::fits`.
#[derive(Debug)]
pub struct Graph<'h, I> {
    pub(super) heap: &'h Heap<'h>,
    pub(super) scanner: Scanner<'h>,
    view: View,
    pub(super) index: Index,
    /// Those that refer to nothing and whose classes are never unloaded.
    pub(super) plain: Plain,
    classes: Vec<Box<[(ClassPart, u64)]>>,
    roots: Vec<GraphRoot<I>>,
    /// The threads that roots name by number: the object, and the calls.
    pub(super) threads: Threads,
    /// What the walk met that is no object.
    pub report: WalkReport,
    /// References of what can be reached that lead to no object; 0 in scope `All`.
    pub dangling: u64,
    /// Roots that lead to no object.
    pub lost_roots: u64,
    /// What could not be read, in words.
    pub damaged: Vec<Unread>,
}

impl<'h, I: Id> Graph<'h, I> {
    /// Makes it with `threads` threads. `progress` gets the bytes of heap as they are walked.
    ///
    /// An error where the heap has more objects than `I` has numbers, or where a walk would fail.
    pub fn open(
        heap: &'h Heap<'h>,
        scope: Scope,
        view: View,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Graph<'h, I>> {
        let scanner = Scanner::new(heap)?;
        let is_plain = heap.vm.classes.all().iter().zip(&heap.layouts().of);
        let is_plain = is_plain.map(|(k, layout)| is_plain_class(k, layout)).collect();
        let (index, plain, report) =
            Index::of_all(heap, &scanner.places, is_plain, threads, progress)?;
        let mut damaged = heap.all_damaged();
        let (roots, calls) = roots(heap, threads, &mut damaged)?;
        let classes = classes(heap, &mut damaged);
        let graph = Graph {
            heap,
            scanner,
            view,
            index,
            plain,
            classes,
            roots: Vec::new(),
            threads: calls,
            report,
            dangling: 0,
            lost_roots: 0,
            damaged,
        };
        let mut graph = match scope {
            Scope::All => graph,
            Scope::Reachable => graph.reachable(&roots, threads)?,
        };
        if !graph.index.fits::<I>() {
            let count = graph.index.len();
            return Err(Error::Unsupported(format!("{count} objects have no numbers of 32 bits")));
        }
        for root in roots {
            match graph.id(root.object) {
                Some(id) => graph.roots.push(GraphRoot { root, id }),
                None => graph.lost_roots += 1,
            }
        }
        Ok(graph)
    }

    /// The same, without what no root leads to.
    fn reachable(mut self, roots: &[Root], threads: usize) -> Result<Self> {
        let threads = threads.clamp(1, self.heap.used().div_ceil(CHUNK).max(1) as usize);
        let pool = super::pool(threads)?;
        let marks = Marks::new(self.scanner.places.clone());
        let search = Search { graph: &self, marks, dangling: AtomicU64::new(0) };
        let first: Vec<Item> = roots.iter().filter_map(|r| search.mark(r.object).ok()?).collect();
        pool.scope(|scope| drain(&search, scope, first));
        let (dangling, bits) = (search.dangling.into_inner(), search.marks.into_bits());
        self.dangling = dangling;
        self.index = Index::new(self.scanner.places.clone(), bits);
        Ok(self)
    }

    /// How many objects there are; their numbers go from 0, by address.
    pub fn len(&self) -> u64 {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes that the numbers take.
    pub fn memory(&self) -> u64 {
        self.index.memory()
    }

    /// The object at an address.
    #[inline]
    pub fn id(&self, addr: u64) -> Option<I> {
        self.index.number(addr).map(I::of)
    }

    /// An object's address; 0 where there is no such object.
    #[inline]
    pub fn address(&self, id: I) -> u64 {
        self.index.address(id.number()).unwrap_or(0)
    }

    /// The addresses of all objects, in the order of their numbers.
    pub fn addresses(&self) -> impl Iterator<Item = u64> + '_ {
        self.index.addresses()
    }

    /// The roots, in the order of dumps.
    pub fn roots(&self) -> &[GraphRoot<I>] {
        &self.roots
    }

    /// The number of the klass of the object at `addr`, and its bytes; none where it cannot be read.
    pub fn klass_and_size(&self, addr: u64) -> Option<(u32, u64)> {
        let mark = self.scanner.places.locate(addr)?;
        let top = self.heap.collected.regions[mark.region].top;
        match probe(self.heap, addr, top) {
            Found::Object(klass, size) => Some((klass, size)),
            Found::Dormant(_)
            | Found::Skip(_)
            | Found::Moved(..)
            | Found::Torn(_)
            | Found::Nothing(_) => None,
        }
    }

    /// Where objects of a klass have their references.
    pub fn layout(&self, klass: u32) -> &'h Layout {
        self.scanner.layout(klass)
    }

    /// The class whose mirror is at `addr`: its number. None for any other object, for the mirror of
    /// a primitive type, and for that of a class that is not loaded.
    pub fn class_at(&self, addr: u64) -> Option<u32> {
        let klass = self.klass(addr)?;
        self.class_of(Item { addr, klass, from: 0 }, &mut Vec::new())
    }

    fn class_of(&self, item: Item, scratch: &mut Vec<u8>) -> Option<u32> {
        let (klass, mirror) = self.scanner.class_of_mirror(item, scratch)?;
        let number = self.heap.klasses.number(klass);
        (mirror == Some(item.addr) && number != NO_KLASS).then_some(number)
    }

    /// Whether an object is the mirror of a class that is not loaded: dumps do not have it.
    pub(super) fn is_dormant(&self, item: Item, scratch: &mut Vec<u8>) -> bool {
        matches!(self.scanner.class_of_mirror(item, scratch), Some((_, None)))
    }

    /// The mirror of an object's own class, where that is in the graph.
    pub fn own_class(&self, addr: u64) -> Option<I> {
        let klass = self.klass(addr)?;
        self.id(self.heap.vm.classes.all()[klass as usize].mirror)
    }

    /// The number of the klass of the object at `addr`.
    #[inline]
    pub(super) fn klass(&self, addr: u64) -> Option<u32> {
        let mark = self.scanner.places.locate(addr)?;
        let p = &self.heap.vm.pointers;
        let klass = match self.scanner.tail(mark.region, addr) {
            Some(head) => p.klass_of(head)?,
            None => return self.klass_and_size(addr).map(|k| k.0),
        };
        Some(self.heap.klasses.number(klass)).filter(|n| *n != NO_KLASS)
    }

    /// Calls `each` with every reference of an object that is not null; in the order of its
    /// places.
    pub fn edges(&self, id: I, mut each: impl FnMut(Edge<I>)) {
        let addr = self.address(id);
        let Some(klass) = self.klass(addr) else { return };
        let (mut item, mut scratch) = (Some(Item { addr, klass, from: 0 }), Vec::new());
        while let Some(part) = item {
            item = self.part(part, &mut scratch, |place, strength, address| {
                each(Edge { place, strength, address, target: self.id(address) });
            });
        }
    }

    /// The references of an object, or of a part of it; answers what is left.
    #[inline]
    pub(super) fn part(
        &self,
        item: Item,
        scratch: &mut Vec<u8>,
        mut each: impl FnMut(Place, Strength, u64),
    ) -> Option<Item> {
        let vm = self.heap.vm;
        let class = self.class_of(item, scratch);
        let is_dumped = self.view == View::Dumped;
        if is_dumped && class.is_none() && self.is_dormant(item, scratch) {
            return None;
        }
        let scanned = self.scanner.scan(item, scratch, |place, strength, bits| {
            let hidden = strength == Strength::Injected
                || class.is_some() && matches!(place, ScanPlace::Field(_));
            if bits == 0 || is_dumped && hidden {
                return;
            }
            match vm.barrier.resolve_at(vm.mem, item.addr, bits) {
                0 => {}
                address => each(Place::Object(place), strength, address),
            }
        });
        for (part, address) in class.into_iter().flat_map(|c| &self.classes[c as usize]) {
            each(Place::Class(*part), Strength::Strong, *address);
        }
        scanned.rest
    }
}

/// Whether its objects refer to nothing, and it is of the boot loader, which unloads none: most of those without
/// references are arrays of primitives and boxes.
fn is_plain_class(k: &Klass, layout: &Layout) -> bool {
    let refers = match layout.shape {
        Shape::Instance => !layout.references.is_empty(),
        Shape::Elements { kind, .. } => is_reference(kind),
        _ => true,
    };
    !refers && k.loader == 0 && !k.has_own_loader_data
}

/// The search for what can be reached.
struct Search<'g, 'h, I> {
    graph: &'g Graph<'h, I>,
    marks: Marks,
    dangling: AtomicU64,
}

/// What a piece of work has found.
#[derive(Default)]
struct Finds {
    dangling: u64,
    scratch: Vec<u8>,
}

impl<I: Id> Search<'_, '_, I> {
    /// Marks the object at `addr`, and answers it where it was not marked before.
    #[inline]
    fn mark(&self, addr: u64) -> Result<Option<Item>, ()> {
        let mark = self.marks.locate(addr).filter(|m| self.graph.index.has(*m)).ok_or(())?;
        if self.marks.is_marked(mark) || !self.marks.mark(mark) {
            return Ok(None);
        }
        Ok(self.graph.klass(addr).map(|klass| Item { addr, klass, from: 0 }))
    }
}

impl<I: Id> Marking for Search<'_, '_, I> {
    type Finds = Finds;

    fn look(&self, item: Item, todo: &mut Vec<Item>, finds: &mut Finds) {
        let mut dangling = 0;
        let mut mark = |addr| match self.mark(addr) {
            Ok(found) => todo.extend(found),
            Err(()) => dangling += 1,
        };
        if item.from == 0 {
            // An object keeps its class.
            mark(self.graph.heap.vm.classes.all()[item.klass as usize].mirror);
        }
        let rest = self.graph.part(item, &mut finds.scratch, |_, _, addr| mark(addr));
        todo.extend(rest);
        finds.dangling += dangling;
    }

    fn gather(&self, finds: Finds) {
        self.dangling.fetch_add(finds.dangling, Ordering::Relaxed);
    }
}

/// Threads: each with its object, and its calls.
type Threads = Vec<(u64, Vec<Call>)>;

/// All that dumps name, in their order: running threads', unmounted virtual threads', then those of
/// no thread. And the threads.
fn roots(heap: &Heap, workers: usize, damaged: &mut Vec<Unread>) -> Result<(Vec<Root>, Threads)> {
    let stacks = Stacks::new(heap, heap.traced(workers)?.map(|t| &t.marks))?;
    let (running, early) = stacks.running();
    damaged.extend(Part::Stacks.all(early.into_iter().map(|end| end.text)));
    let (mut all, mut threads): (Vec<Root>, _) = (Vec::new(), Vec::new());
    let count = running.len();
    let unmounted = virtual_threads::unmounted(heap, workers)?;
    let unmounted = (count..).zip(unmounted).map(|(number, o)| stacks.unmounted(o, number));
    for thread in running.into_iter().chain(unmounted) {
        damaged.extend(Part::Stacks.all(thread.broken));
        all.extend(thread.roots);
        threads.push((thread.object, thread.calls));
    }
    let mut unread = Vec::new();
    all.extend(global(heap.vm, &mut unread)?);
    damaged.extend(Part::Roots.all(unread));
    Ok((all, threads))
}

/// What each class holds, by number of klass. Array classes that another stands for hold nothing.
fn classes(heap: &Heap, damaged: &mut Vec<Unread>) -> Vec<Box<[(ClassPart, u64)]>> {
    let reader = ClassObjects::new(heap);
    let all = (0..).zip(heap.vm.classes.all()).map(|(number, k)| {
        if k.is_refined {
            return [].into();
        }
        let of = reader.read(number).unwrap_or_else(|fault| {
            let text = format!("what the class {} holds: {fault}", k.name);
            damaged.push(Part::Classes.unread(text));
            reader.outline(k)
        });
        let parts = [
            (ClassPart::Super, of.super_class),
            (ClassPart::Loader, of.loader),
            (ClassPart::Signers, of.signers),
            (ClassPart::ProtectionDomain, of.protection_domain),
            (ClassPart::InitLock, of.init_lock),
        ];
        let references = of.resolved_references.into_iter();
        let references = references.map(|r| (ClassPart::ResolvedReferences, r));
        parts.into_iter().chain(references).filter(|(_, addr)| *addr != 0).collect()
    });
    all.collect()
}

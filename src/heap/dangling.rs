//! References that lead to no object, and from which classes' fields: counted while another walk goes on.
//!
//! Whether an object starts at an address is known for certain only once all were walked. So the walk sets a bit for
//! each object and one for each place that is referred to: a 32nd of the heap's bytes, and nothing for an object or a
//! reference. Only where a place was referred to and holds no object are the references looked at once more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::layout::Strength;
use super::marks::Marks;
use super::scan::{Item, Place, Scanner};
use super::walk::{Object, Visitor, walk};
use super::{Heap, NO_KLASS};
use crate::error::Result;

/// Where dangling references stand: the number of a class, and of its objects' places one. The numbers of elements are
/// left out.
pub type Source = (u32, Place);

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dangling {
    /// How many there are.
    pub references: u64,
    /// Objects that have at least one, class objects for their static fields.
    pub holders: u64,
    /// How many stand where.
    pub sources: BTreeMap<Source, u64>,
    /// Roots that lead to no object.
    pub lost_roots: u64,
}

/// What a walk is told of.
#[derive(Debug)]
pub struct Watch<'h> {
    heap: &'h Heap<'h>,
    scanner: Scanner<'h>,
    starts: Marks,
    wanted: Marks,
    /// A reference leads to where no object can be.
    outside: AtomicBool,
}

impl<'h> Watch<'h> {
    /// An error where the regions are far larger than what the core has of them.
    pub fn new(heap: &'h Heap<'h>) -> Result<Watch<'h>> {
        let scanner = Scanner::new(heap)?;
        let marks = || Marks::new(scanner.places.clone());
        let (starts, wanted) = (marks(), marks());
        Ok(Watch { heap, scanner, starts, wanted, outside: AtomicBool::new(false) })
    }

    /// Notes what the chunk's visitor has met: it was walked from the right place.
    pub fn pass<V>(&self, chunk: &Watched<'_, '_, V>) {
        for start in chunk.starts.iter().filter_map(|addr| self.starts.locate(*addr)) {
            self.starts.mark(start);
        }
    }

    /// Counts them, after the walk. `roots` are the objects of all roots.
    pub fn count(mut self, threads: usize, roots: &[u64]) -> Result<Dangling> {
        let lost_roots = roots.iter().filter(|r| !self.starts.has(**r)).count() as u64;
        let mut out = Dangling { lost_roots, ..Dangling::default() };
        if self.wanted.without(&self.starts) || *self.outside.get_mut() {
            walk(
                self.heap,
                threads,
                || Look::new(&self),
                |look, _| {
                    out.holders += look.holders;
                    for (source, count) in &look.sources {
                        out.references += count;
                        *out.sources.entry(*source).or_default() += count;
                    }
                    Ok(())
                },
            )?;
        }
        Ok(out)
    }

    fn resolve(&self, holder: u64, bits: u64) -> u64 {
        self.heap.vm.barrier.resolve_at(self.heap.vm.mem, holder, bits)
    }

    /// Calls `each` with the address that each reference of an object leads to, if it is not null.
    #[inline]
    fn references(&self, object: &Object, scratch: &mut Vec<u8>, mut each: impl FnMut(Place, u64)) {
        let mut item = Some(Item { addr: object.addr, klass: object.klass, from: 0 });
        while let Some(next) = item {
            let scanned = self.scanner.scan(next, scratch, |place, strength, bits| {
                if bits != 0 && strength != Strength::Injected {
                    let to = self.resolve(object.addr, bits);
                    if to != 0 {
                        each(place, to);
                    }
                }
            });
            item = scanned.rest;
        }
    }
}

/// A visitor, and what is to be noted of the objects that it meets.
#[derive(Debug)]
pub struct Watched<'w, 'h, V> {
    /// The visitor.
    pub inner: V,
    watch: Option<&'w Watch<'h>>,
    /// The chunk's objects.
    starts: Vec<u64>,
    scratch: Vec<u8>,
}

impl<'w, 'h, V> Watched<'w, 'h, V> {
    /// Without a watch nothing is noted.
    pub fn new(inner: V, watch: Option<&'w Watch<'h>>) -> Self {
        Watched { inner, watch, starts: Vec::new(), scratch: Vec::new() }
    }
}

impl<V: Visitor> Visitor for Watched<'_, '_, V> {
    const READS: bool = V::READS;

    #[inline(always)]
    fn object(&mut self, object: Object) {
        if let Some(watch) = self.watch {
            self.starts.push(object.addr);
            watch.references(&object, &mut self.scratch, |_, to| match watch.wanted.locate(to) {
                Some(place) if watch.wanted.is_marked(place) => {}
                Some(place) => drop(watch.wanted.mark(place)),
                None => watch.outside.store(true, Ordering::Relaxed),
            });
        }
        self.inner.object(object);
    }

    fn dormant(&mut self, addr: u64) {
        if self.watch.is_some() {
            self.starts.push(addr);
        }
        self.inner.dormant(addr);
    }

    fn clear(&mut self) {
        self.starts.clear();
        self.inner.clear();
    }
}

/// Looks for the references that lead to no object.
#[derive(Debug)]
struct Look<'w, 'h> {
    watch: &'w Watch<'h>,
    holders: u64,
    sources: BTreeMap<Source, u64>,
    scratch: Vec<u8>,
}

impl<'w, 'h> Look<'w, 'h> {
    fn new(watch: &'w Watch<'h>) -> Self {
        Look { watch, holders: 0, sources: BTreeMap::new(), scratch: Vec::new() }
    }
}

impl Visitor for Look<'_, '_> {
    const READS: bool = true;

    fn object(&mut self, object: Object) {
        let (watch, sources) = (self.watch, &mut self.sources);
        let mut any = false;
        watch.references(&object, &mut self.scratch, |place, to| {
            if watch.wanted.locate(to).is_some_and(|place| !watch.wanted.is_marked(place)) {
                return;
            }
            any = true;
            let source = match place {
                Place::Element(_) => (object.klass, Place::Element(0)),
                Place::FlatElement(_, reference) => {
                    (object.klass, Place::FlatElement(0, reference))
                }
                // The class is looked for below.
                Place::Static(_) => (NO_KLASS, place),
                Place::Field(_) => (object.klass, place),
            };
            *sources.entry(source).or_default() += 1;
        });
        self.holders += u64::from(any);
        if any && sources.keys().any(|s| s.0 == NO_KLASS) {
            let item = Item { addr: object.addr, klass: object.klass, from: 0 };
            let of = watch.scanner.class_of_mirror(item, &mut self.scratch);
            let number = of.map_or(NO_KLASS, |(klass, _)| watch.heap.klasses.number(klass));
            let own: Vec<Source> = sources.keys().filter(|s| s.0 == NO_KLASS).copied().collect();
            for source in own {
                let count = sources.remove(&source).unwrap_or(0);
                *sources.entry((number, source.1)).or_default() += count;
            }
        }
    }

    fn clear(&mut self) {
        self.holders = 0;
        self.sources.clear();
    }
}

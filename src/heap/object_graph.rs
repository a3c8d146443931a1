//! A core's heap as an [`ObjectGraph`].

use std::borrow::Cow;

use super::graph::{Graph, Place, Scope, View};
use super::layout::{self, Layout, Shape, Slot};
use super::report::WalkReport;
use super::scan::{self, Item};
use super::{Heap, KlassTable, NO_KLASS, model};
use crate::error::Result;
use crate::graph::{
    self, Class, Field, NO_CLASS, Numbers, ObjectGraph, ObjectValues, Plain, Reference, Root,
    Strength, Thread, Unread,
};
use crate::hotspot::pointers::Pointers;

/// All objects that a walk of a core's heap meets. A place is an address at which an object can start.
#[derive(Debug)]
pub struct HeapGraph<'h> {
    graph: Graph<'h, u64>,
    plans: Vec<Plan>,
    /// Of all classes, one behind the other: where fields with references are, and how they hold.
    fields: Vec<(u32, Strength)>,
    /// What each object is read by, at hand.
    pointers: Pointers,
    klasses: &'h KlassTable,
    /// References are addresses, and nothing need be asked of them.
    plain: bool,
    classes: Vec<Class>,
    roots: Vec<Root>,
    threads: Vec<Thread>,
    unread: Unread,
    mat_sizes: model::MatSizes,
}

/// How the references of a class's objects are read. Those without any are as those with fields, but have none: what a
/// CPU does next hangs on the class as little as can be.
#[derive(Debug, Clone, Copy)]
struct Plan {
    more: More,
    /// Which of all [`HeapGraph::fields`].
    first: u32,
    end: u32,
}

/// What there is besides fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    /// Nothing.
    None,
    /// Elements behind a header of so many bytes.
    Elements(u32),
    /// What the scanner knows: class objects, flat arrays, stack chunks.
    Scan,
}

impl From<layout::Strength> for Strength {
    #[inline]
    fn from(strength: layout::Strength) -> Strength {
        match strength {
            layout::Strength::Strong | layout::Strength::Injected => Strength::Strong,
            layout::Strength::Soft => Strength::Soft,
            layout::Strength::Weak => Strength::Weak,
            layout::Strength::Final => Strength::Final,
            layout::Strength::Phantom => Strength::Phantom,
        }
    }
}

impl<'h> HeapGraph<'h> {
    /// Walks the heap with `threads` threads. `progress` gets the bytes of heap as they are walked. An error where a
    /// walk would fail.
    pub fn open(
        heap: &'h Heap<'h>,
        view: View,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<HeapGraph<'h>> {
        let graph = Graph::open(heap, Scope::All, view, threads, progress)?;
        let mut fields = Vec::new();
        let plan = |layout: &'h Layout| {
            let first = fields.len() as u32;
            let more = match layout.shape {
                Shape::Instance if view == View::Heap || !has_injected(layout) => {
                    let of = layout.references.iter().map(|r| (r.offset, r.strength.into()));
                    fields.extend(of);
                    More::None
                }
                Shape::Elements { kind: b'L', header } => More::Elements(header),
                Shape::Elements { .. } => More::None,
                _ => More::Scan,
            };
            Plan { more, first, end: fields.len() as u32 }
        };
        Ok(HeapGraph {
            plans: heap.layouts().of.iter().map(plan).collect(),
            fields,
            pointers: heap.vm.pointers,
            klasses: &heap.klasses,
            plain: heap.vm.barrier.is_none(),
            classes: model::classes(&graph),
            roots: model::roots(&graph),
            threads: model::threads(&graph),
            unread: model::unread(&graph),
            mat_sizes: model::MatSizes::new(heap),
            graph,
        })
    }

    /// What the walk met that is no object.
    pub fn report(&self) -> &WalkReport {
        &self.graph.report
    }

    /// What besides objects could not be read.
    pub fn damaged(&self) -> &[super::Unread] {
        &self.graph.damaged
    }

    /// An object's bytes from its header to its region's end, where they lie in one piece.
    #[inline]
    pub(super) fn bytes(&self, place: u64) -> Option<&'h [u8]> {
        self.graph.scanner.at(place)
    }

    /// The class of the object whose bytes are given.
    #[inline]
    pub(super) fn klass(&self, bytes: &[u8]) -> u32 {
        self.pointers.klass_of(bytes).map_or(NO_KLASS, |k| self.klasses.number(k))
    }

    /// Where the object is now that a reference means.
    #[inline]
    pub(super) fn resolve(&self, place: u64, bits: u64) -> u64 {
        let vm = self.graph.heap.vm;
        if self.plain { bits } else { vm.barrier.resolve_at(vm.mem, self.address(place), bits) }
    }

    /// The place that a reference leads to.
    #[inline]
    fn target(&self, place: u64, bits: u64) -> Option<u64> {
        if bits == 0 {
            return None;
        }
        self.graph.scanner.places.locate(self.resolve(place, bits)).map(|m| m.bit as u64)
    }

    /// The place that the reference at this offset of the object at `place` leads to.
    #[inline(always)]
    fn reference(&self, place: u64, bytes: &[u8], at: usize) -> Option<u64> {
        let bits = match self.pointers.narrow_oops {
            true => self.pointers.widen(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)),
            false => u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?),
        };
        self.target(place, bits)
    }

    /// Calls `each` with the references of the object of this class whose bytes are given, until it answers false; whether it
    /// never did.
    #[inline]
    fn read(
        &self,
        place: u64,
        bytes: &[u8],
        klass: u32,
        mut each: impl FnMut(u64, Strength) -> bool,
    ) -> bool {
        let Some(plan) = self.plans.get(klass as usize) else { return true };
        match plan.more {
            More::None => {
                for &(offset, strength) in &self.fields[plan.first as usize..plan.end as usize] {
                    if let Some(target) = self.reference(place, bytes, offset as usize)
                        && !each(target, strength)
                    {
                        return false;
                    }
                }
                true
            }
            More::Elements(header) => {
                let (p, oop) = (&self.pointers, self.pointers.oop_size() as usize);
                let at = p.array_length as usize;
                let length = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
                let length = length.map_or(0, u32::from_le_bytes) as usize;
                let end = (header as usize).saturating_add(length.saturating_mul(oop));
                let elements = bytes.get(header as usize..end.min(bytes.len())).unwrap_or(&[]);
                for at in (0..elements.len() / oop).map(|i| i * oop) {
                    if let Some(target) = self.reference(place, elements, at)
                        && !each(target, Strength::Strong)
                    {
                        return false;
                    }
                }
                true
            }
            More::Scan => {
                let mut all = true;
                self.scan(place, |_, strength, target| all = all && each(target, strength.into()));
                all
            }
        }
    }

    /// Calls `each` with all references of an object, by all that the scanner knows.
    fn scan(&self, place: u64, mut each: impl FnMut(Place, layout::Strength, u64)) -> u32 {
        let addr = self.address(place);
        let Some(klass) = self.graph.klass(addr) else { return NO_CLASS };
        let (mut item, mut scratch) = (Some(Item { addr, klass, from: 0 }), Vec::new());
        while let Some(part) = item {
            item = self.graph.part(part, &mut scratch, |place, strength, addr| {
                if let Some(mark) = self.graph.scanner.places.locate(addr) {
                    each(place, strength, mark.bit as u64);
                }
            });
        }
        klass
    }

    /// The heap that was walked.
    pub(super) fn heap(&self) -> &'h Heap<'h> {
        self.graph.heap
    }

    /// A field by its name.
    pub(super) fn name_of(&self, slot: &Slot) -> Field<'h> {
        let name = self.heap().vm.reader().symbol_bytes(slot.name);
        let name = name.map_or(Cow::Borrowed("?"), String::from_utf8_lossy);
        Field { name, class: slot.declared_by }
    }

    fn field(&self, slots: &[Slot], number: u32) -> Field<'h> {
        let unknown = Field { name: Cow::Borrowed("?"), class: NO_CLASS };
        slots.get(number as usize).map_or(unknown, |slot| self.name_of(slot))
    }

    /// Where a reference of an object of `klass` stands; of a class object that of the class `mirrored`.
    fn describe_place(&self, klass: u32, mirrored: Option<u32>, place: Place) -> graph::Place<'h> {
        let layouts = &self.graph.heap.layouts().of;
        let layout = &layouts[klass as usize];
        match place {
            Place::Class(part) => graph::Place::Class(part),
            Place::Object(scan::Place::Element(i) | scan::Place::FlatElement(i, _)) => {
                graph::Place::Element(i.into())
            }
            Place::Object(scan::Place::Field(i)) => {
                graph::Place::Field(self.field(&layout.slots, layout.references[i as usize].slot))
            }
            Place::Object(scan::Place::Static(i)) => {
                let of = mirrored.map_or(layout, |m| &layouts[m as usize]);
                let slot = of.static_references.get(i as usize).map_or(u32::MAX, |r| r.slot);
                graph::Place::Static(self.field(&of.statics, slot))
            }
        }
    }
}

/// The number of the class that has this klass.
#[inline]
pub(super) fn class_number(klass: u32) -> u32 {
    if klass == NO_KLASS { NO_CLASS } else { klass }
}

/// Whether the VM added references to its objects.
fn has_injected(layout: &Layout) -> bool {
    layout.references.iter().any(|r| r.strength == layout::Strength::Injected)
}

impl ObjectGraph for HeapGraph<'_> {
    fn numbers(&self) -> &Numbers {
        self.graph.index.numbers()
    }

    fn plain(&self) -> Option<&Plain> {
        Some(&self.graph.plain)
    }

    #[inline]
    fn address(&self, place: u64) -> u64 {
        self.graph.scanner.places.address(place as usize).unwrap_or(0)
    }

    fn place(&self, address: u64) -> Option<u64> {
        self.graph.index.place(address)
    }

    #[inline]
    fn class_of(&self, place: u64) -> u32 {
        match self.bytes(place) {
            Some(bytes) => self.klass(bytes),
            None => self.graph.klass(self.address(place)).unwrap_or(NO_CLASS),
        }
    }

    #[inline]
    fn size(&self, place: u64) -> u64 {
        let of = |bytes: &[u8]| {
            let klass = Some(self.klass(bytes)).filter(|k| *k != NO_KLASS)?;
            self.klasses.bytes(klass, &self.pointers, bytes)
        };
        let size = self.bytes(place).and_then(of);
        let slow = || self.graph.klass_and_size(self.address(place)).map_or(0, |k| k.1);
        size.unwrap_or_else(slow)
    }

    fn mat_size(&self, place: u64) -> u64 {
        let klass = self.class_of(place);
        let layouts = &self.graph.heap.layouts().of;
        let Some(layout) = layouts.get(klass as usize) else { return 0 };
        let sizes = &self.mat_sizes;
        match layout.shape {
            Shape::Elements { kind, .. } => sizes.array(kind, self.length(place).unwrap_or(0)),
            Shape::FlatElements { .. } => sizes.array(b'L', self.length(place).unwrap_or(0)),
            Shape::Mirror { .. } => {
                let addr = self.address(place);
                let item = Item { addr, klass, from: 0 };
                match self.graph.class_at(addr) {
                    Some(class) => sizes.mirrors[class as usize],
                    None if self.graph.is_dormant(item, &mut Vec::new()) => 0,
                    None => sizes.instances[klass as usize],
                }
            }
            _ => sizes.instances[klass as usize],
        }
    }

    fn total_size(&self) -> u64 {
        self.graph.report.bytes()
    }

    #[inline]
    fn references(&self, place: u64, mut each: impl FnMut(u64, Strength)) -> u32 {
        let Some(bytes) = self.bytes(place) else {
            return self.scan(place, |_, strength, target| each(target, strength.into()));
        };
        let klass = self.klass(bytes);
        self.read(place, bytes, klass, |target, strength| {
            each(target, strength);
            true
        });
        class_number(klass)
    }

    #[inline]
    fn all_references(
        &self,
        place: u64,
        mut each: impl FnMut(u64, Strength) -> bool,
    ) -> Option<u32> {
        let Some(bytes) = self.bytes(place) else {
            let mut all = true;
            let class = self.scan(place, |_, strength, target| {
                all = all && each(target, strength.into());
            });
            return all.then_some(class);
        };
        let klass = self.klass(bytes);
        self.read(place, bytes, klass, each).then_some(class_number(klass))
    }

    #[inline]
    fn visit(&self, place: u64, mut each: impl FnMut(u64, Strength)) -> (u32, u64) {
        let Some(bytes) = self.bytes(place) else {
            return (self.references(place, each), self.size(place));
        };
        let klass = self.klass(bytes);
        if klass == NO_KLASS {
            return (NO_CLASS, 0);
        }
        self.read(place, bytes, klass, |target, strength| {
            each(target, strength);
            true
        });
        let size = self.klasses.bytes(klass, &self.pointers, bytes);
        (klass, size.unwrap_or_else(|| self.size(place)))
    }

    #[inline]
    fn class_and_size(&self, place: u64) -> (u32, u64) {
        let Some(bytes) = self.bytes(place) else {
            return (self.class_of(place), self.size(place));
        };
        let klass = self.klass(bytes);
        if klass == NO_KLASS {
            return (NO_CLASS, 0);
        }
        let size = self.klasses.bytes(klass, &self.pointers, bytes);
        (klass, size.unwrap_or_else(|| self.size(place)))
    }

    fn can_refer(&self, class: u32) -> bool {
        let plan = &self.plans[class as usize];
        plan.more != More::None || plan.first < plan.end
    }

    fn describe(&self, place: u64, mut each: impl FnMut(Reference<'_>)) {
        let klass = self.class_of(place);
        if klass == NO_CLASS {
            return;
        }
        let mirrored = self.mirrored(place);
        self.scan(place, |at, strength, target| {
            let place = self.describe_place(klass, mirrored, at);
            each(Reference { target, strength: strength.into(), place });
        });
    }

    #[inline]
    fn prefetch(&self, place: u64) {
        if let Some(bytes) = self.bytes(place) {
            crate::cpu::prefetch(bytes);
        }
    }

    fn mirrored(&self, place: u64) -> Option<u32> {
        let class = self.class_of(place);
        let layouts = &self.graph.heap.layouts().of;
        match layouts.get(class as usize)?.shape {
            Shape::Mirror { .. } => self.graph.class_at(self.address(place)),
            _ => None,
        }
    }

    fn classes(&self) -> &[Class] {
        &self.classes
    }

    fn roots(&self) -> &[Root] {
        &self.roots
    }

    fn threads(&self) -> &[Thread] {
        &self.threads
    }

    fn text(&self, place: u64, limit: usize) -> Option<String> {
        let text = self.graph.heap.vm.string(self.address(place))?;
        Some(text.chars().take(limit).collect())
    }

    fn unread(&self) -> &Unread {
        &self.unread
    }
}

//! Reads the references of objects, by their layouts: for the search of what can be reached, and
//! for the object graph.

use std::sync::Arc;

use super::Heap;
use super::layout::{Layout, Layouts, Reference, Shape, Strength};
use super::places::{Places, STRETCH};
use crate::error::{Error, Result};

/// A search has a bit for 8 bytes of regions, so a 64th of them. These bits take no more than so many times the bytes that the
/// core holds of them, and a little: `trim` leaves out what ZGC's and Shenandoah's heaps have of dead objects, so of a
/// heap with one live byte in 256 this is still true; of a header that damage made large it is not.
const BITS_FOR_SAVED: u64 = 4;
/// The little: bytes.
const UNSAVED: u64 = 4 << 20;
/// Elements of an array that are looked at in one go.
const SLICE: u32 = 4096;

/// An object to be looked at, or the rest of an array.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// Its address.
    pub addr: u64,
    /// Its klass's number.
    pub klass: u32,
    /// The first element.
    pub from: u32,
}

/// Where in an object a reference stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A field: the number of the layout's reference.
    Field(u32),
    /// An element.
    Element(u32),
    /// In a flat element: its number, and that of the layout's reference.
    FlatElement(u32, u32),
    /// In a mirror, a static field of its class: the number of the layout's static reference.
    Static(u32),
}

/// What there is beside an item's references.
#[derive(Debug, Default)]
pub struct Scanned {
    /// The rest of a long array.
    pub rest: Option<Item>,
    /// Elements are not in the core.
    pub lost: bool,
    /// It is a StackChunk, and its stack starts there.
    pub stack: Option<u64>,
}

/// Reads objects' bytes where they lie.
#[derive(Debug)]
pub struct Scanner<'h> {
    heap: &'h Heap<'h>,
    layouts: &'h Layouts,
    /// From addresses to regions.
    pub places: Arc<Places>,
    /// Each region's bytes, where they lie in one piece.
    bytes: Vec<Option<&'h [u8]>>,
    /// Of each stretch of places the bytes from its first place on to the region's end; none where those do not lie in
    /// one piece. So that an object's bytes are two loads away from its place.
    stretches: Vec<&'h [u8]>,
}

impl<'h> Scanner<'h> {
    /// Of all regions. An error where they are far larger than what the core holds: whoever scans
    /// has a bit for each place in them.
    pub fn new(heap: &'h Heap<'h>) -> Result<Scanner<'h>> {
        let regions = &heap.collected.regions;
        let saved: u64 = regions.iter().map(|r| heap.saved(r)).sum();
        if heap.used() / 64 > saved.saturating_mul(BITS_FOR_SAVED).saturating_add(UNSAVED) {
            return Err(Error::Corrupt(format!(
                "the heap's regions have {} bytes, of which the core holds {saved}",
                heap.used()
            )));
        }
        let bytes = regions.iter().map(|r| heap.vm.mem.slice(r.start, r.top - r.start).ok());
        let bytes: Vec<Option<&[u8]>> = bytes.collect();
        let places = Arc::new(Places::new(regions, heap.vm.pointers.alignment));
        let stretch =
            |(region, offset): (usize, u64)| bytes[region].and_then(|b| b.get(offset as usize..));
        let stretches = places.stretches().map(|s| stretch(s).unwrap_or_default()).collect();
        Ok(Scanner { heap, layouts: heap.layouts(), places, bytes, stretches })
    }

    /// The layout of a klass's objects.
    pub fn layout(&self, klass: u32) -> &'h Layout {
        &self.layouts.of[klass as usize]
    }

    /// The bytes of a region from `addr` on, where it lies in one piece.
    #[inline]
    pub fn tail(&self, region: usize, addr: u64) -> Option<&'h [u8]> {
        let start = self.heap.collected.regions[region].start;
        self.bytes[region].and_then(|b| b.get((addr - start) as usize..))
    }

    /// The bytes from a place on to its region's end, where that lies in one piece.
    #[inline]
    pub fn at(&self, place: u64) -> Option<&'h [u8]> {
        let stretch = self.stretches.get((place / STRETCH) as usize)?;
        stretch.get(self.places.within(place)..).filter(|b| !b.is_empty())
    }

    /// Calls `each` with every reference of an item: where it stands, how it holds, and its bits,
    /// null or not, as the heap has them. Of a long array a slice.
    #[inline]
    pub fn scan(
        &self,
        item: Item,
        scratch: &mut Vec<u8>,
        mut each: impl FnMut(Place, Strength, u64),
    ) -> Scanned {
        let p = &self.heap.vm.pointers;
        let layout = self.layout(item.klass);
        let mut out = Scanned::default();
        let field = |i: u32, r: &Reference, bits| each(Place::Field(i), r.strength, bits);
        match layout.shape {
            Shape::Elements { kind: b'L', header } => {
                let oop = p.oop_size();
                let Some((from, bytes)) = self.slice(item, header, oop, scratch, &mut out) else {
                    return out;
                };
                for (i, bytes) in (from..).zip(bytes.chunks_exact(oop as usize)) {
                    each(Place::Element(i), Strength::Strong, p.decode(bytes));
                }
            }
            Shape::Elements { .. } => {}
            Shape::FlatElements { .. } if layout.references.is_empty() => {}
            Shape::FlatElements { header, stride, .. } => {
                let stride = u64::from(stride);
                let Some((from, bytes)) = self.slice(item, header, stride, scratch, &mut out)
                else {
                    return out;
                };
                for (i, element) in (from..).zip(bytes.chunks_exact(stride as usize)) {
                    for (n, r) in (0..).zip(&layout.references) {
                        let at = r.offset as usize;
                        let bits = element.get(at..at + p.oop_size() as usize);
                        match bits.map(|bits| p.decode(bits)) {
                            Some(bits) => each(Place::FlatElement(i, n), r.strength, bits),
                            // The class says of its field that it lies behind the element.
                            None => out.lost = true,
                        }
                    }
                }
            }
            Shape::Instance => self.fields(item.addr, &layout.references, scratch, field),
            Shape::StackChunk { stack } => {
                self.fields(item.addr, &layout.references, scratch, field);
                out.stack = Some((item.addr + u64::from(stack)).next_multiple_of(8));
            }
            Shape::Mirror { klass } => {
                self.fields(item.addr, &layout.references, scratch, field);
                let klass = self.mirrored(item.addr, klass, scratch);
                if let Some(of) = self.layouts.of.get(self.heap.klasses.number(klass) as usize) {
                    self.fields(item.addr, &of.static_references, scratch, |i, r, bits| {
                        each(Place::Static(i), r.strength, bits);
                    });
                }
            }
        }
        out
    }

    /// The next elements of an array: the number of the first, and their bytes. The rest is noted
    /// in `out`.
    #[inline]
    fn slice<'s>(
        &'s self,
        item: Item,
        header: u32,
        stride: u64,
        scratch: &'s mut Vec<u8>,
        out: &mut Scanned,
    ) -> Option<(u32, &'s [u8])> {
        let length = self.read(item.addr + self.heap.vm.pointers.array_length, 4, scratch);
        let length = length.and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        let count = length.saturating_sub(item.from).min(SLICE);
        if count == 0 {
            return None; // nothing, and perhaps the region's end
        }
        let next = item.from + count;
        out.rest = (next < length).then_some(Item { from: next, ..item });
        let at = item.addr + u64::from(header) + u64::from(item.from) * stride;
        let bytes = self.read(at, u64::from(count) * stride, scratch);
        out.lost = bytes.is_none();
        Some((item.from, bytes?))
    }

    /// What is not saved of an object is told by the walk.
    #[inline]
    fn fields(
        &self,
        addr: u64,
        references: &[Reference],
        scratch: &mut Vec<u8>,
        mut each: impl FnMut(u32, &Reference, u64),
    ) {
        let Some(last) = references.last() else { return };
        let p = &self.heap.vm.pointers;
        let oop = p.oop_size();
        let Some(bytes) = self.read(addr, u64::from(last.offset) + oop, scratch) else { return };
        for (i, r) in (0..).zip(references) {
            let at = r.offset as usize;
            if let Some(bytes) = bytes.get(at..at + oop as usize) {
                each(i, r, p.decode(bytes));
            }
        }
    }

    /// The Klass* in the mirror at `addr`, 0 where it has none.
    fn mirrored(&self, addr: u64, klass: u32, scratch: &mut Vec<u8>) -> u64 {
        let klass = self.read(addr + u64::from(klass), 8, scratch);
        klass.and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
    }

    /// Of a mirror with a Klass*: that Klass*, and the mirror that it has now, where it is loaded.
    pub fn class_of_mirror(&self, item: Item, scratch: &mut Vec<u8>) -> Option<(u64, Option<u64>)> {
        let Shape::Mirror { klass } = self.layout(item.klass).shape else { return None };
        let klass = self.mirrored(item.addr, klass, scratch);
        (klass != 0).then(|| (klass, self.heap.vm.classes.get(klass).map(|k| k.mirror)))
    }

    /// Bytes of the heap: borrowed where they lie in one piece.
    #[inline]
    fn read<'s>(&'s self, addr: u64, len: u64, scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        let mark = self.places.locate(addr & !(self.heap.vm.pointers.alignment - 1))?;
        let start = self.heap.collected.regions[mark.region].start;
        if let Some(bytes) = self.bytes[mark.region] {
            let at = (addr - start) as usize;
            return bytes.get(at..at.checked_add(len as usize)?);
        }
        scratch.resize(len as usize, 0);
        self.heap.vm.mem.read_into(addr, scratch).ok()?;
        Some(scratch)
    }
}

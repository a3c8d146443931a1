//! Value objects that lie in others (JEP 401): each a record of its own, with a number for an id.
//!
//! HotSpot counts them from 1 as it meets them, level by level below each object. So do we, in the
//! order of addresses: a chunk counts its own, and the numbers before it are added when its turn
//! comes, so that they are the same at any number of threads.

use super::plan::{Copy, Field, Fields, Flat};
use super::records::{INSTANCE_HEADER, instance_header};
use crate::heap::Heap;
use crate::heap::layout::{Layout, Slot};
use crate::hotspot::Vm;
use crate::hotspot::classes::Klass;
use crate::output::redact::Rules;

/// Levels of value objects in value objects: more is damage.
const MAX_DEPTH: usize = 32;
/// Where a value object's values lie is not followed: their references are taken for those of the VM's own structures.
const NOWHERE: u64 = 0;

/// How a value class's flat objects are written.
#[derive(Debug)]
struct Plan {
    class_id: u64,
    /// Bytes of the record's values.
    len: u32,
    /// Bytes that they take in the holder, without those of flat ones.
    bytes: u32,
    fields: Box<[Field]>,
    flat: Box<[Flat]>,
}

/// The plans of all value classes, by number of klass; empty where there are none.
#[derive(Debug)]
pub(super) struct Plans(Vec<Option<Plan>>);

/// The ids of flat objects: 1, 2, 3, ... without those that an object could have as an address.
#[derive(Debug)]
pub(super) struct Ids {
    /// How many there are so far.
    pub given: u64,
    /// The alignment of objects.
    alignment: u64,
}

impl Ids {
    /// None so far.
    pub(super) fn new(alignment: u64) -> Ids {
        Ids { given: 0, alignment: alignment.max(2) }
    }

    /// The id of the object with this number, from 1.
    pub(super) fn id(&self, number: u64) -> u64 {
        number + (number - 1) / (self.alignment - 1)
    }

    /// Makes ids of numbers: of those at `places` in `bytes`, counted from what is given.
    pub(super) fn settle(&self, bytes: &mut [u8], places: &[usize]) {
        for place in places {
            if let Some(number) = bytes.get_mut(*place..).and_then(|b| b.first_chunk_mut::<8>()) {
                *number = self.id(self.given + u64::from_be_bytes(*number)).to_be_bytes();
            }
        }
    }
}

/// Records with numbers in place of ids, and where these are.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    /// The records.
    pub bytes: Vec<u8>,
    /// Offsets of the numbers in them.
    pub places: Vec<usize>,
}

impl Numbered {
    /// Empty.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }
}

impl Plans {
    /// Compiles them; `reference` is how references are copied, `rules` say what is redacted.
    pub(super) fn new(heap: &Heap, reference: Copy, rules: Option<&Rules>) -> Plans {
        let (vm, classes) = (heap.vm, heap.vm.classes.all());
        if classes.iter().all(|k| k.flat_elements.is_none() && k.flat_fields().next().is_none()) {
            return Plans(Vec::new());
        }
        let plan = |(number, (k, layout)): (u32, (&Klass, &Layout))| {
            let hides = |slot: &Slot| rules.is_some_and(|r| r.hides(number, slot));
            let Fields { fields, flat, len } =
                Fields::of(vm, layout, k.value?.payload, reference, hides);
            let end = |f: &Field| f.offset.saturating_add(f.copy.heap_size(&vm.pointers) as u32);
            Some(Plan {
                class_id: k.mirror,
                len,
                bytes: fields.iter().map(end).max().unwrap_or(0),
                fields: fields.into(),
                flat: flat.into(),
            })
        };
        Plans((0..).zip(classes.iter().zip(&heap.layouts().of)).map(plan).collect())
    }

    /// The value object in `holder`, unless it is null: its plan and its bytes.
    fn present<'b>(&self, holder: &'b [u8], flat: &Flat) -> Option<(&Plan, &'b [u8])> {
        if let Some(marker) = flat.null_marker
            && holder.get(marker as usize).is_none_or(|m| *m == 0)
        {
            return None;
        }
        let plan = self.0.get(flat.klass as usize)?.as_ref()?;
        let bytes = holder.get(flat.offset as usize..)?;
        (bytes.len() >= plan.bytes as usize).then_some((plan, bytes))
    }

    /// Numbers those of `flat` that are not null in `holder`, from `next` on, in the record's
    /// values.
    pub(super) fn number(
        &self,
        holder: &[u8],
        flat: &[Flat],
        next: &mut u64,
        values: &mut [u8],
        mut numbered: impl FnMut(u32),
    ) {
        for f in flat {
            if self.present(holder, f).is_some() {
                *next += 1;
                let place = f.place as usize;
                if let Some(id) = values.get_mut(place..).and_then(|v| v.first_chunk_mut::<8>()) {
                    *id = next.to_be_bytes();
                    numbered(f.place);
                }
            }
        }
    }

    /// Calls `each` with every value object that lies `depth` levels below these.
    fn at_depth<F: FnMut(&Plan, &[u8])>(
        &self,
        holder: &[u8],
        flat: &[Flat],
        depth: usize,
        each: &mut F,
    ) {
        for (plan, bytes) in flat.iter().filter_map(|f| self.present(holder, f)) {
            match depth {
                0 => each(plan, bytes),
                _ => self.at_depth(bytes, &plan.flat, depth - 1, each),
            }
        }
    }

    /// Writes the records of the value objects `depth` levels below those of `holder`, numbered
    /// behind `own`. What lies in them gets the numbers behind `next`.
    pub(super) fn level(
        &self,
        vm: &Vm,
        flat: &[Flat],
        depth: usize,
        (own, next): (&mut u64, &mut u64),
        holder: &[u8],
        out: &mut Numbered,
    ) {
        self.at_depth(holder, flat, depth, &mut |plan, bytes| {
            *own += 1;
            let start = out.bytes.len();
            let body = start + INSTANCE_HEADER;
            out.bytes.resize(body + plan.len as usize, 0);
            let (head, values) = out.bytes[start..].split_at_mut(INSTANCE_HEADER);
            instance_header(head, *own, plan.class_id, plan.len);
            out.places.push(start + 1);
            let mut rest = &mut values[..];
            for field in &plan.fields {
                rest = field.run(vm, NOWHERE, bytes, rest);
            }
            let places = &mut out.places;
            self.number(bytes, &plan.flat, next, values, |at| places.push(body + at as usize));
        });
    }

    /// Writes all records below one holder, whose own flat ones have the numbers behind `own`, up to
    /// `next`. Answers the last number.
    pub(super) fn below(
        &self,
        vm: &Vm,
        flat: &[Flat],
        mut own: u64,
        mut next: u64,
        holder: &[u8],
        out: &mut Numbered,
    ) -> u64 {
        for depth in 0..MAX_DEPTH {
            if own == next {
                break;
            }
            self.level(vm, flat, depth, (&mut own, &mut next), holder, out);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_an_address() {
        let ids = Ids::new(8);
        let first: Vec<u64> = (1..=16).map(|n| ids.id(n)).collect();
        assert_eq!(first, [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 17, 18]);
        let ids = Ids::new(16);
        assert_eq!([15, 16, 30, 31].map(|n| ids.id(n)), [15, 17, 31, 33]);
    }
}

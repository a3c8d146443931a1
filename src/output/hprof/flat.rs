//! Holders of flat value objects: their records, with those of what lies in them behind.

use std::io::Write;
use std::slice;

use super::objects::{BLOCK, Large, OBJECTS, Records, array_header, most_elements, segment_header};
use super::plan::{Copy, Flat, Plan};
use super::values::{Ids, Numbered};
use crate::heap::Object;

/// Bytes of an id.
const ID: usize = 8;

impl Records<'_> {
    /// Numbers the flat fields of the instance whose record of `len` bytes of values was just
    /// made, and writes them behind it.
    pub(super) fn flat_fields(&mut self, holder: &[u8], len: usize, flat: &[Flat]) {
        let (plans, vm, first) = (self.values, self.heap.vm, self.flat);
        let body = self.len - len;
        let (values, places) = (&mut self.buffer[body..self.len], &mut self.places);
        let mut next = first;
        plans.number(holder, flat, &mut next, values, |at| places.push(body + at as usize));
        if next > first {
            self.flat = plans.below(vm, flat, first, next, holder, &mut self.apart);
            self.objects += self.flat - first;
            self.append();
        }
    }

    /// A flat array and its elements.
    pub(super) fn flat_array(&mut self, object: Object, length: u64) {
        let Plan::FlatArray { class_id, header, stride, element } =
            self.plans[object.klass as usize]
        else {
            return;
        };
        let (plans, vm, first) = (self.values, self.heap.vm, self.flat);
        let head = array_header(object.addr, length as u32, class_id, OBJECTS);
        let head = head.as_slice();
        let start = self.len;
        let body = start + head.len();
        let to = self.room(head.len() + length as usize * ID);
        to.fill(0);
        to[..head.len()].copy_from_slice(head);
        let elements = object.bytes.get(header as usize..).unwrap_or(&[]);
        let elements = elements.chunks_exact(stride as usize).take(length as usize);
        let flat = slice::from_ref(&element);
        let mut next = first;
        for (i, bytes) in elements.clone().enumerate() {
            let at = body + i * ID;
            let (id, places) = (&mut self.buffer[at..at + ID], &mut self.places);
            plans.number(bytes, flat, &mut next, id, |_| places.push(at));
        }
        let (mut own, mut depth) = (first, 0);
        while own < next {
            let before = own;
            for bytes in elements.clone() {
                plans.level(vm, flat, depth, (&mut own, &mut next), bytes, &mut self.apart);
            }
            depth += 1;
            if own == before {
                break; // as deep as they may be
            }
        }
        self.objects += next - first;
        self.flat = next;
        self.append();
    }

    /// Moves records that were made apart behind the last one.
    fn append(&mut self) {
        let apart = std::mem::take(&mut self.apart);
        let start = self.len;
        self.room(apart.bytes.len()).copy_from_slice(&apart.bytes);
        self.places.extend(apart.places.iter().map(|p| start + p));
        self.apart = apart;
        self.apart.clear();
    }

    /// The same of an array that is looked at in blocks: once for its record, once for each level
    /// of what lies in it. Answers how many of these there are: their ids are those behind what
    /// `ids` has given.
    pub(super) fn large_flat_array(
        &mut self,
        array: &Large,
        out: &mut dyn Write,
        ids: &Ids,
    ) -> std::io::Result<u64> {
        let Plan::FlatArray { class_id, header, stride, element } =
            self.plans[array.klass as usize]
        else {
            return Ok(0);
        };
        let (plans, heap) = (self.values, self.heap);
        let length = array.len.min(most_elements(OBJECTS, Copy::Flat));
        self.truncated += u64::from(length < array.len);
        let head = array_header(array.addr, length as u32, class_id, OBJECTS);
        let total = head.as_slice().len() as u64 + length * ID as u64;
        out.write_all(&segment_header(total as u32))?;
        out.write_all(head.as_slice())?;
        let flat = slice::from_ref(&element);
        let (mut own, mut next) = (0, 0);
        let mut elements = Vec::new();
        let mut records = std::mem::take(&mut self.apart);
        // The first round writes the array's ids, each other one a level of records.
        for round in 0.. {
            if round > 0 && own == next {
                break;
            }
            let before = own;
            let step = (BLOCK as u64 / u64::from(stride)).max(1);
            let mut done = 0;
            while done < length {
                let n = step.min(length - done);
                elements.resize((n * u64::from(stride)) as usize, 0);
                let at = array.addr + u64::from(header) + done * u64::from(stride);
                if let Err(fault) = heap.read(at, &mut elements) {
                    elements.fill(0);
                    if round == 0 {
                        self.faults.push(fault);
                    }
                }
                for bytes in elements.chunks_exact(stride as usize) {
                    if round == 0 {
                        let at = records.bytes.len();
                        records.bytes.resize(at + ID, 0);
                        let places = &mut records.places;
                        let id = &mut records.bytes[at..];
                        plans.number(bytes, flat, &mut next, id, |_| places.push(at));
                    } else {
                        let numbers = (&mut own, &mut next);
                        plans.level(heap.vm, flat, round - 1, numbers, bytes, &mut records);
                    }
                }
                if round == 0 || records.bytes.len() > BLOCK {
                    flush(&mut records, round > 0, ids, out)?;
                }
                done += n;
            }
            flush(&mut records, round > 0, ids, out)?;
            if round > 0 && own == before {
                break;
            }
        }
        self.apart = records;
        self.objects += next;
        self.flat += next;
        Ok(next)
    }
}

/// Writes what is there, as a segment of its own if it is records.
fn flush(
    records: &mut Numbered,
    is_segment: bool,
    ids: &Ids,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if records.bytes.is_empty() {
        return Ok(());
    }
    ids.settle(&mut records.bytes, &records.places);
    if is_segment {
        out.write_all(&segment_header(records.bytes.len() as u32))?;
    }
    out.write_all(&records.bytes)?;
    records.clear();
    Ok(())
}

//! The walk's visitor: objects become sub-records in one buffer per chunk.

use std::io::Write;

use super::plan::{Copy, Plan, Special};
use super::records::{EMPTY_TRACE, INSTANCE_HEADER, RECORD_HEADER, instance_header, sub, tag};
use super::values::{Ids, Numbered, Plans};
use crate::error::{Fault, Result};
use crate::heap::{Heap, Object, Visitor};
use crate::output::redact::{Texts, Window};

/// Arrays of more bytes than this do not go through the chunk's buffer.
const LARGE: u64 = 1 << 20;
/// Bytes of a large array's record that are made at a time.
pub(super) const BLOCK: usize = 256 << 10;
/// So many bytes of a large array are asked of the disk before they are needed.
const AHEAD: u64 = 8 << 20;
/// Sub-record headers: tag, id, trace, length, then class or type.
const OBJ_ARRAY_HEADER: usize = 1 + 8 + 4 + 4 + 8;
const PRIM_ARRAY_HEADER: usize = 1 + 8 + 4 + 4 + 1;
/// The value type of references.
pub(super) const OBJECTS: u8 = 2;

/// A large array, written when its turn comes.
#[derive(Debug)]
pub(super) struct Large {
    /// Where in the buffer it belongs.
    at: usize,
    pub addr: u64,
    pub klass: u32,
    pub len: u64,
    /// Flat value objects in the buffer before it.
    flat: u64,
}

/// One chunk's records.
#[derive(Debug)]
pub(super) struct Records<'h> {
    pub(super) heap: &'h Heap<'h>,
    pub(super) plans: &'h [Plan],
    pub(super) values: &'h Plans,
    /// What is done to texts that are redacted.
    pub(super) texts: Option<&'h Texts<'h>>,
    /// Where that is done.
    pub(super) window: Window,
    /// Large enough for what has come so far; only `len` bytes of it count.
    pub(super) buffer: Vec<u8>,
    pub(super) len: usize,
    large: Vec<Large>,
    /// Offsets in it of numbers that stand for ids of flat value objects.
    pub(super) places: Vec<usize>,
    /// Records of such, before they have a place.
    pub(super) apart: Numbered,
    /// What is at hand of a large array's record.
    block: Vec<u8>,
    /// Objects written.
    pub objects: u64,
    /// Of these, flat value objects.
    pub flat: u64,
    /// Arrays cut short because a record cannot hold them.
    pub truncated: u64,
    /// Objects smaller than their fields or elements.
    pub short_objects: u64,
    /// Arrays that stopped being readable while they were written: zeroes stand for the rest.
    pub faults: Vec<Fault>,
}

impl<'h> Records<'h> {
    /// Empty.
    pub(super) fn new(
        heap: &'h Heap<'h>,
        plans: &'h [Plan],
        values: &'h Plans,
        texts: Option<&'h Texts<'h>>,
    ) -> Self {
        Records {
            heap,
            plans,
            values,
            texts,
            window: Window::default(),
            buffer: Vec::new(),
            len: RECORD_HEADER,
            large: Vec::new(),
            places: Vec::new(),
            apart: Numbered::default(),
            block: Vec::new(),
            objects: 0,
            flat: 0,
            truncated: 0,
            short_objects: 0,
            faults: Vec::new(),
        }
    }

    /// Room for `len` more bytes.
    #[inline(always)]
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        let from = self.len;
        self.len += len;
        if self.len > self.buffer.len() {
            self.grow();
        }
        &mut self.buffer[from..from + len]
    }

    #[cold]
    fn grow(&mut self) {
        let len = (self.len * 2).max(1 << 20);
        self.buffer.resize(len, 0);
    }

    fn array(&mut self, object: Object, plan: &Plan, elements: &[u8], length: u64) {
        let &Plan::Array { class_id, value_type, copy, text, header, .. } = plan else { return };
        let vm = self.heap.vm;
        let body = (length * copy.dump_size()) as usize;
        let record = array_header(object.addr, length as u32, class_id, value_type);
        let head = record.as_slice().len();
        let to = self.room(head + body);
        to[..head].copy_from_slice(record.as_slice());
        match text {
            None => copy.run(vm, object.addr + u64::from(header), elements, &mut to[head..]),
            Some(text) => self.redacted(object.addr, text, copy, elements),
        }
    }

    /// Writes the chunk's records as segments. `ids` has those of the chunks before.
    pub(super) fn write(
        &mut self,
        out: &mut dyn Write,
        ids: &mut Ids,
    ) -> Result<(), std::io::Error> {
        let mut from = 0;
        let (large, places) = (std::mem::take(&mut self.large), std::mem::take(&mut self.places));
        let (mut settled, mut base, own) = (0, ids.given, self.flat);
        for array in &large {
            let before = places.partition_point(|p| *p < array.at);
            ids.settle(&mut self.buffer, &places[settled..before]);
            settled = before;
            self.segment(from, array.at, out)?;
            // The next segment's header overwrites the bytes before its first record.
            from = array.at - RECORD_HEADER;
            match self.plans[array.klass as usize] {
                Plan::FlatArray { .. } => {
                    // Behind those of the buffer so far; the others of it come behind these.
                    ids.given = base + array.flat;
                    base += self.large_flat_array(array, out, ids)?;
                    ids.given = base;
                }
                _ => self.write_large(array, out)?,
            }
        }
        ids.settle(&mut self.buffer, &places[settled..]);
        ids.given = base + own;
        self.segment(from, self.len, out)
    }

    /// Writes `buffer[from + RECORD_HEADER..to]` as a segment.
    fn segment(&mut self, from: usize, to: usize, out: &mut dyn Write) -> std::io::Result<()> {
        if to <= from + RECORD_HEADER {
            return Ok(());
        }
        let length = (to - from - RECORD_HEADER) as u32;
        self.buffer[from..from + RECORD_HEADER].copy_from_slice(&segment_header(length));
        out.write_all(&self.buffer[from..to])
    }

    fn write_large(&mut self, array: &Large, out: &mut dyn Write) -> std::io::Result<()> {
        let heap = self.heap;
        let Plan::Array { class_id, value_type, header, copy, text } =
            self.plans[array.klass as usize]
        else {
            return Ok(());
        };
        let p = &heap.vm.pointers;
        let length = array.len.min(most_elements(value_type, copy));
        self.truncated += u64::from(length < array.len);
        let head = array_header(array.addr, length as u32, class_id, value_type);
        let total = head.as_slice().len() as u64 + length * copy.dump_size();
        out.write_all(&segment_header(total as u32))?;
        out.write_all(head.as_slice())?;
        self.block.resize(BLOCK, 0);
        let mut apart = Vec::new();
        let step = BLOCK as u64 / copy.dump_size().max(copy.heap_size(p));
        let start = array.addr + u64::from(header);
        let end = start.saturating_add(length * copy.heap_size(p));
        let mut passage = self.passage(array.addr, text, start..end);
        let mut done = 0;
        while done < length {
            let n = step.min(length - done);
            let bytes = n * copy.heap_size(p);
            let at = start + done * copy.heap_size(p);
            let ahead = at.saturating_add(AHEAD);
            heap.vm.mem.will_need(ahead, ahead.saturating_add(bytes));
            let from = match heap.vm.mem.slice(at, bytes) {
                Ok(from) => from,
                Err(_) => {
                    apart.resize(bytes as usize, 0);
                    if let Err(fault) = heap.read(at, &mut apart) {
                        apart.fill(0);
                        self.faults.push(fault);
                    }
                    &apart
                }
            };
            let from = match &mut passage {
                None => from,
                Some(passage) => passage.block(at, from),
            };
            if copy == Copy::Bytes1 {
                out.write_all(from)?;
            } else {
                let to = &mut self.block[..(n * copy.dump_size()) as usize];
                copy.run(heap.vm, at, from, to);
                out.write_all(to)?;
            }
            done += n;
        }
        Ok(())
    }
}

impl Visitor for Records<'_> {
    const READS: bool = true;

    #[inline(always)]
    fn object(&mut self, object: Object) {
        let plans = self.plans;
        let plan = &plans[object.klass as usize];
        match plan {
            Plan::Instance { class_id, len, object_len, fields, flat, special } => {
                if object.bytes.len() < *object_len as usize {
                    self.short_objects += 1; // a super class larger than its sub: damaged metadata
                    return;
                }
                match special {
                    Special::None => {}
                    Special::Mirror(at) => {
                        let at = *at as usize;
                        let klass = object.bytes.get(at..at + 8);
                        if klass.is_none_or(|k| k.iter().any(|b| *b != 0)) {
                            return;
                        }
                    }
                    Special::Hidden(addr) if *addr == object.addr => return,
                    Special::Hidden(_) => {}
                }
                self.objects += 1;
                let vm = self.heap.vm;
                let to = self.room(INSTANCE_HEADER + *len as usize);
                let (head, mut values) = to.split_at_mut(INSTANCE_HEADER);
                instance_header(head, object.addr, *class_id, *len);
                for field in fields {
                    values = field.run(vm, object.addr, object.bytes, values);
                }
                if !flat.is_empty() {
                    self.flat_fields(object.bytes, *len as usize, flat);
                }
            }
            Plan::Array { .. } | Plan::FlatArray { .. } => {
                let p = &self.heap.vm.pointers;
                let at = p.array_length as usize;
                let length = object.bytes.get(at..).and_then(|bytes| bytes.first_chunk());
                let Some(length) = length.map(|length| u64::from(u32::from_le_bytes(*length)))
                else {
                    self.short_objects += 1;
                    return;
                };
                if object.bytes.len() as u64 > LARGE {
                    self.objects += 1;
                    let (at, addr, klass) = (self.len, object.addr, object.klass);
                    self.large.push(Large { at, addr, klass, len: length, flat: self.flat });
                    return;
                }
                let Plan::Array { header, copy, .. } = plan else {
                    self.objects += 1;
                    return self.flat_array(object, length);
                };
                let end = u64::from(*header) + length * copy.heap_size(p);
                let Some(elements) = object.bytes.get(*header as usize..end as usize) else {
                    self.short_objects += 1;
                    return;
                };
                self.objects += 1;
                self.array(object, plan, elements, length);
            }
        }
    }

    fn clear(&mut self) {
        self.len = RECORD_HEADER;
        self.large.clear();
        self.faults.clear();
        self.places.clear();
        (self.objects, self.flat, self.truncated, self.short_objects) = (0, 0, 0, 0);
        if self.buffer.is_empty() {
            self.buffer.resize(1 << 20, 0);
        }
    }
}

pub(super) fn segment_header(length: u32) -> [u8; RECORD_HEADER] {
    let mut head = [0; RECORD_HEADER];
    head[0] = tag::HEAP_DUMP_SEGMENT;
    head[5..].copy_from_slice(&length.to_be_bytes());
    head
}

/// How many elements fit into a record, whose length has 32 bits and counts the record's own
/// header. HotSpot cuts longer arrays too (heapDumper.cpp, calculate_array_max_length).
pub(super) fn most_elements(value_type: u8, copy: Copy) -> u64 {
    let header = if value_type == OBJECTS { OBJ_ARRAY_HEADER } else { PRIM_ARRAY_HEADER };
    (u64::from(u32::MAX) - header as u64) / copy.dump_size()
}

pub(super) struct ArrayHeader([u8; OBJ_ARRAY_HEADER], usize);

impl ArrayHeader {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

#[inline(always)]
pub(super) fn array_header(addr: u64, length: u32, class_id: u64, value_type: u8) -> ArrayHeader {
    let mut head = [0; OBJ_ARRAY_HEADER];
    let objects = value_type == OBJECTS;
    head[0] = if objects { sub::OBJ_ARRAY_DUMP } else { sub::PRIM_ARRAY_DUMP };
    head[1..9].copy_from_slice(&addr.to_be_bytes());
    head[9..13].copy_from_slice(&EMPTY_TRACE.to_be_bytes());
    head[13..17].copy_from_slice(&length.to_be_bytes());
    if objects {
        head[17..].copy_from_slice(&class_id.to_be_bytes());
        ArrayHeader(head, OBJ_ARRAY_HEADER)
    } else {
        head[17] = value_type;
        ArrayHeader(head, PRIM_ARRAY_HEADER)
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::value_type;
    use super::*;

    #[test]
    fn arrays_are_cut_where_hotspot_cuts_them() {
        // Its own words: "cannot dump array of type long[] with length 600000000; truncating to
        // length 536870909". The others by its source.
        for (kind, most) in [
            (b'J', 536_870_909),
            (b'D', 536_870_909),
            (b'I', 1_073_741_819),
            (b'F', 1_073_741_819),
            (b'C', 2_147_483_638),
            (b'S', 2_147_483_638),
            (b'L', 536_870_908),
        ] {
            let copy = Copy::of(kind, Copy::Narrow);
            assert_eq!(most_elements(value_type(kind), copy), most, "{}", char::from(kind));
        }
        // No Java array of bytes is too long.
        for kind in [b'B', b'Z'] {
            let copy = Copy::of(kind, Copy::Narrow);
            assert!(most_elements(value_type(kind), copy) > i32::MAX as u64);
        }
    }
}

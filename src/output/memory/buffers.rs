//! Direct byte buffers: the objects on the heap, and the memory outside of it that they stand for.

use crate::error::Result;
use crate::format::ranges::Ranges;
use crate::heap::{Heap, Object, Visitor, WalkReport, walk};
use crate::hotspot::Vm;

/// The class of all of them; the others are views of one.
const CLASSES: [&str; 2] = ["java/nio/DirectByteBuffer", "java/nio/DirectByteBufferR"];

/// What a buffer's memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// ByteBuffer.allocateDirect: freed with the buffer.
    Owned,
    /// Memory that others allocated and free: JNI, Netty without cleaners, Unsafe.
    Foreign,
}

/// The memory of buffers that are no views of others.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// Of ByteBuffer.allocateDirect.
    pub owned: Ranges,
    /// Of others.
    pub foreign: Ranges,
}

/// Where a buffer's fields lie.
#[derive(Debug, Clone, Copy)]
struct Fields {
    address: usize,
    capacity: usize,
    att: usize,
    cleaner: usize,
    fd: usize,
}

struct Finder<'a> {
    vm: &'a Vm<'a>,
    /// By klass; none of all others.
    fields: &'a [Option<Fields>],
    found: Vec<(Kind, u64, u64)>,
}

impl Visitor for Finder<'_> {
    #[inline(always)]
    fn object(&mut self, object: Object) {
        if let Some(fields) = self.fields.get(object.klass as usize).copied().flatten() {
            self.found.extend(buffer(self.vm, &object, fields));
        }
    }

    fn clear(&mut self) {
        self.found.clear();
    }
}

/// The memory of a buffer; none of a view of another, of an empty one, and of a mapped file.
fn buffer(vm: &Vm, object: &Object, at: Fields) -> Option<(Kind, u64, u64)> {
    let bytes = object.bytes;
    let reference = |at: usize| {
        let bits = vm.pointers.decode(bytes.get(at..at + vm.pointers.oop_size() as usize)?);
        // A null of ZGC's has a colour.
        Some(vm.barrier.resolve_at(vm.mem, object.addr + at as u64, bits))
    };
    if reference(at.att)? != 0 {
        return None;
    }
    let address = u64::from_le_bytes(bytes.get(at.address..at.address + 8)?.try_into().ok()?);
    let capacity = i32::from_le_bytes(bytes.get(at.capacity..at.capacity + 4)?.try_into().ok()?);
    let capacity = u64::try_from(capacity).ok().filter(|n| *n > 0)?;
    let kind = match (reference(at.fd)?, reference(at.cleaner)?) {
        (0, 0) => Kind::Foreign,
        (0, _) => Kind::Owned,
        // A mapped file: its pages are the file's.
        _ => return None,
    };
    Some((kind, address, address.checked_add(capacity)?))
}

/// Walks the heap for them, on `threads` threads.
pub(super) fn find(
    heap: &Heap,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Buffers, WalkReport)> {
    let vm = heap.vm;
    let fields = vm.classes.all().iter().map(|k| {
        if !k.is_boot || !CLASSES.contains(&k.name.as_str()) {
            return None;
        }
        let field = |name| Some(vm.classes.field(&vm.reader(), k, name)?.offset as usize);
        Some(Fields {
            address: field("address")?,
            capacity: field("capacity")?,
            att: field("att")?,
            cleaner: field("cleaner")?,
            fd: field("fd")?,
        })
    });
    let fields: Vec<Option<Fields>> = fields.collect();
    let mut out = Buffers::default();
    let make = || Finder { vm, fields: &fields, found: Vec::new() };
    let report = walk(heap, threads, make, |finder, bytes| {
        for (kind, start, end) in &finder.found {
            let of = match kind {
                Kind::Owned => &mut out.owned,
                Kind::Foreign => &mut out.foreign,
            };
            of.push((*start, *end));
        }
        progress(bytes);
        Ok(())
    })?;
    Ok((out, report))
}

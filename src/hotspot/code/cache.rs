//! The code cache: from an address to the blob of code around it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::Vm;
use crate::corefile::memory::Memory;
use crate::error::{Error, Fault, Result};
use crate::hotspot::unexported::code::{CODE_HEAP_NAME, CODE_HEAP_NAME_WITHIN};
use crate::vmstructs::{Field, Fields};

/// CodeHeaps: one until 8, three segments since, and a few to come.
const MAX_HEAPS: u32 = 16;
/// Steps back in a segment map: each is at most 254 segments, and a blob has at most 2 GB.
const MAX_HOPS: usize = 1 << 16;
/// `codeHeap.hpp`: the segment map's mark of free segments.
const FREE: u8 = 0xff;
/// No blob's name is longer.
const MAX_NAME: u64 = 256;

/// What a blob of code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlobKind {
    /// A compiled Java method, or the wrapper of a native one.
    Nmethod,
    /// A frame that a stub of the VM makes and describes: its frame size counts.
    Runtime,
    /// The same, and what calls it is native code that enters Java (Panama).
    Upcall,
    /// Other code: the interpreter, adapters, stubs without frame sizes.
    Buffer,
}

/// One CodeBlob.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    /// CodeBlob*.
    pub addr: u64,
    /// What it is.
    pub kind: BlobKind,
    /// CodeBlob::_name.
    pub name: String,
    /// Where its instructions start.
    pub code_begin: u64,
    /// Where the blob ends.
    pub end: u64,
    /// Words of its frame, the return address included; 0 where it has none of its own.
    pub frame_words: u64,
    /// Where the instructions are that have its frame complete, from `code_begin`.
    pub frame_complete: u64,
}

#[derive(Debug)]
struct CodeHeap {
    name: Option<String>,
    low: u64,
    high: u64,
    segmap: u64,
    segmap_end: u64,
    /// Where the memory ends that was reserved for it.
    reserved_end: u64,
    log2: u32,
}

/// The memory of one CodeHeap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodeMemory {
    /// What is reserved for it: (start, end).
    pub reserved: (u64, u64),
    /// Its segment map, in other memory: (start, end).
    pub segment_map: (u64, u64),
    /// The VM's name for it, without quotes; none until 8, where there is only one.
    pub name: Option<String>,
    /// Of each kind of code how many blobs there are, and their bytes.
    pub kinds: BTreeMap<CodeKind, (u64, u64)>,
}

/// Who made a blob of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CodeKind {
    /// A method, by C1.
    C1,
    /// A method, by C2 or a JVMCI compiler.
    C2,
    /// The way into a native method, and from native code into Java.
    NativeWrapper,
    /// Between interpreted and compiled code.
    Adapter,
    /// The interpreter, intrinsics and what else the VM makes for itself.
    Stub,
    /// What cannot be told.
    Unknown,
}

/// All code heaps, and what is special in them.
#[derive(Debug)]
pub(crate) struct CodeCache<'v> {
    pub(super) vm: &'v Vm<'v>,
    heaps: Vec<CodeHeap>,
    /// Bytes of HeapBlock: the blob follows it.
    block_header: u64,
    /// The interpreter's code.
    interpreter: (u64, u64),
    /// StubRoutines::_call_stub_return_address: where calls from the VM into Java return to.
    pub call_stub_return: u64,
    /// CodeBlobKind constants by number, where blobs have a number.
    kinds: Vec<(i64, BlobKind)>,
}

impl<'v> CodeCache<'v> {
    /// Reads the heaps' bounds.
    pub(crate) fn read(vm: &'v Vm<'v>) -> Result<CodeCache<'v>> {
        let (mem, f) = (vm.mem, &vm.fields);
        let what = || Error::unreadable("the code cache");
        let mut addrs = Vec::new();
        match f.code_heaps.opt() {
            Some(heaps) => {
                let array = mem.u64(heaps).map_err(what())?;
                let len = mem.u32(array.wrapping_add(f.growable_len.opt().unwrap_or(0)));
                let data = mem.u64(array.wrapping_add(f.growable_data.get()?)).map_err(what())?;
                for i in 0..u64::from(len.map_err(what())?.min(MAX_HEAPS)) {
                    addrs.push(mem.u64(data.wrapping_add(i * 8)).map_err(what())?);
                }
            }
            None => addrs.push(mem.u64(f.code_heap.get()?).map_err(what())?),
        }
        let mut heaps = Vec::new();
        for heap in addrs {
            heaps.push(read_heap(mem, f, heap)?.map_err(what())?);
        }
        let size = vm.tables.size_of("HeapBlock").filter(|s| (8..=64).contains(s));
        let block_header = size.ok_or_else(|| Error::MissingField { what: "HeapBlock".into() })?;
        let queue = mem.u64(f.interpreter_code.get()?).map_err(what())?;
        let start = mem.u64(queue.wrapping_add(f.stub_queue_buffer.get()?)).map_err(what())?;
        let len = mem.u32(queue.wrapping_add(f.stub_queue_limit.get()?)).map_err(what())?;
        let interpreter = (start, start.saturating_add(u64::from(len)));
        let call_stub_return = mem.u64(f.call_stub_return.get()?).map_err(what())?;
        let known = |name: &str, kind| {
            vm.tables.constant(&format!("CodeBlobKind::{name}")).map(|number| (number, kind))
        };
        let runtime = ["RuntimeStub", "Deoptimization", "Safepoint", "Exception", "UncommonTrap"];
        let kinds = runtime
            .into_iter()
            .map(|name| (name, BlobKind::Runtime))
            .chain([("Nmethod", BlobKind::Nmethod), ("Upcall", BlobKind::Upcall)]);
        let kinds = kinds.filter_map(|(name, kind)| known(name, kind)).collect();
        Ok(CodeCache { vm, heaps, block_header, interpreter, call_stub_return, kinds })
    }

    /// Whether `pc` is in the interpreter.
    pub(crate) fn is_interpreter(&self, pc: u64) -> bool {
        (self.interpreter.0..self.interpreter.1).contains(&pc)
    }

    /// Whether `pc` is anywhere in the code cache.
    pub(crate) fn contains(&self, pc: u64) -> bool {
        self.heaps.iter().any(|h| (h.low..h.high).contains(&pc))
    }

    /// The blob around `pc` (CodeHeap::find_start).
    pub(crate) fn find(&self, pc: u64) -> Option<Blob> {
        let heap = self.heaps.iter().find(|h| (h.low..h.high).contains(&pc))?;
        let mem = self.vm.mem;
        let mut segment = (pc - heap.low) >> heap.log2;
        for hop in 0..MAX_HOPS {
            match mem.u8(heap.segmap.wrapping_add(segment)).ok()? {
                FREE => return None,
                0 => break,
                _ if hop + 1 == MAX_HOPS => return None,
                back => segment = segment.checked_sub(u64::from(back))?,
            }
        }
        let block = heap.low.wrapping_add(segment << heap.log2);
        if mem.u8(block.wrapping_add(self.vm.fields.heap_block_used.opt()?)).ok()? == 0 {
            return None;
        }
        let blob = self.blob(block.wrapping_add(self.block_header))?;
        (blob.addr <= pc && pc < blob.end).then_some(blob)
    }

    /// All blobs, by address.
    pub(in crate::hotspot) fn blobs(&self) -> impl Iterator<Item = Blob> {
        let all = self.heaps.iter().flat_map(|heap| self.blocks(heap));
        all.filter_map(|(block, _)| self.blob(block.wrapping_add(self.block_header)))
    }

    /// The memory of each CodeHeap, and what is in it.
    pub(crate) fn memory(&self) -> Vec<CodeMemory> {
        let one = |heap: &CodeHeap| {
            let mut kinds: BTreeMap<CodeKind, (u64, u64)> = BTreeMap::new();
            for (block, bytes) in self.blocks(heap) {
                let of = kinds.entry(self.made_by(block)).or_default();
                *of = (of.0 + 1, of.1 + bytes);
            }
            CodeMemory {
                reserved: (heap.low, heap.reserved_end.max(heap.high)),
                segment_map: (heap.segmap, heap.segmap_end),
                name: heap.name.clone(),
                kinds,
            }
        };
        self.heaps.iter().map(one).collect()
    }

    fn made_by(&self, block: u64) -> CodeKind {
        let Some(blob) = self.blob(block.wrapping_add(self.block_header)) else {
            return CodeKind::Unknown;
        };
        let level = || {
            let level = self.vm.fields.nmethod_comp_level.opt()?;
            self.vm.mem.u8(blob.addr.wrapping_add(level)).ok()
        };
        match blob.kind {
            BlobKind::Nmethod => match level() {
                Some(1..=3) => CodeKind::C1,
                Some(4) => CodeKind::C2,
                Some(_) => CodeKind::NativeWrapper,
                None => CodeKind::Unknown,
            },
            BlobKind::Upcall => CodeKind::NativeWrapper,
            BlobKind::Runtime => CodeKind::Stub,
            BlobKind::Buffer if blob.name.contains("adapters") => CodeKind::Adapter,
            BlobKind::Buffer => CodeKind::Stub,
        }
    }

    /// The blocks in use of a heap, and their bytes. Behind the last one is nothing, or what no block can be.
    fn blocks(&self, heap: &CodeHeap) -> impl Iterator<Item = (u64, u64)> {
        let (mem, f) = (self.vm.mem, &self.vm.fields);
        let (low, high, log2) = (heap.low, heap.high, heap.log2);
        let fields = f.heap_block_length.opt().zip(f.heap_block_used.opt());
        let mut next = fields.map(|_| low);
        let blocks = std::iter::from_fn(move || {
            let (length, used) = fields?;
            let block = next.filter(|at| *at < high)?;
            // It has the width that its neighbour leaves it.
            let segments = match used.wrapping_sub(length) {
                4 => mem.u32(block.wrapping_add(length)).map(u64::from).ok()?,
                _ => mem.u64(block.wrapping_add(length)).ok()?,
            };
            let bytes =
                segments.checked_mul(1 << log2).filter(|b| (1..=high - block).contains(b))?;
            next = Some(block + bytes);
            Some((block, bytes, mem.u8(block.wrapping_add(used)).ok()? != 0))
        });
        blocks.filter(|b| b.2).map(|b| (b.0, b.1))
    }

    /// Reads the CodeBlob at `addr`.
    fn blob(&self, addr: u64) -> Option<Blob> {
        let (mem, f) = (self.vm.mem, &self.vm.fields);
        let at = |field: Field| Some(addr.wrapping_add(field.opt()?));
        let int = |field: Field| Some(u64::from(mem.u32(at(field)?).ok()?));
        let name = mem.u64(at(f.blob_name)?).ok()?;
        let name = mem.cstr(name, MAX_NAME).map(|n| String::from_utf8_lossy(n).into_owned());
        let name = name.unwrap_or_default();
        let code_begin = match f.blob_code_begin.opt() {
            Some(offset) => mem.u64(addr.wrapping_add(offset)).ok()?,
            None => addr.wrapping_add(int(f.blob_code_offset)?),
        };
        let end = addr.wrapping_add(int(f.blob_size)?);
        if !(addr..=end).contains(&code_begin) {
            return None;
        }
        // It has 16 bits from 23 on, where other 16-bit values stand beside it.
        let complete = at(f.blob_frame_complete)?;
        let frame_complete = match f.blob_kind.opt() {
            Some(_) => i64::from(mem.u16(complete).ok()? as i16),
            None => i64::from(mem.i32(complete).ok()?),
        };
        let frame_words = mem.i32(at(f.blob_frame_size)?).ok()?;
        Some(Blob {
            kind: self.kind(addr, &name, frame_words)?,
            addr,
            name,
            code_begin,
            end,
            frame_words: u64::try_from(frame_words).unwrap_or(0).min(1 << 24),
            frame_complete: u64::try_from(frame_complete).unwrap_or(0),
        })
    }

    /// By its number; by its name before there were numbers (nmethod.cpp, codeBlob.cpp).
    fn kind(&self, addr: u64, name: &str, frame_words: i32) -> Option<BlobKind> {
        if let Some(kind) = self.vm.fields.blob_kind.opt() {
            let number = i64::from(self.vm.mem.u8(addr.wrapping_add(kind)).ok()?);
            let known = self.kinds.iter().find(|k| k.0 == number);
            return Some(known.map_or(BlobKind::Buffer, |k| k.1));
        }
        Some(match name {
            "nmethod" | "native nmethod" => BlobKind::Nmethod,
            "UpcallStub" => BlobKind::Upcall,
            _ if name.starts_with("upcall_stub") => BlobKind::Upcall,
            _ if frame_words > 0 => BlobKind::Runtime,
            _ => BlobKind::Buffer,
        })
    }
}

fn read_heap(mem: &Memory, f: &Fields, heap: u64) -> Result<Result<CodeHeap, Fault>> {
    let memory = heap.wrapping_add(f.code_heap_memory.get()?);
    let segmap = heap.wrapping_add(f.code_heap_segmap.get()?);
    let log2 = heap.wrapping_add(f.code_heap_log2.get()?);
    let (low, high) = (f.virtual_space_low.get()?, f.virtual_space_high.get()?);
    let boundary = f.virtual_space_high_boundary.opt().unwrap_or(high);
    let read = || -> Result<CodeHeap, Fault> {
        Ok(CodeHeap {
            name: heap_name(mem, log2),
            low: mem.u64(memory.wrapping_add(low))?,
            high: mem.u64(memory.wrapping_add(high))?,
            segmap: mem.u64(segmap.wrapping_add(low))?,
            segmap_end: mem.u64(segmap.wrapping_add(high))?,
            reserved_end: mem.u64(memory.wrapping_add(boundary))?,
            log2: mem.u32(log2)? & 31,
        })
    };
    Ok(read())
}

/// The name of the CodeHeap whose `_log2_segment_size` is at `log2`: the first word behind it that leads to one.
fn heap_name(mem: &Memory, log2: u64) -> Option<String> {
    let words = (1..=CODE_HEAP_NAME_WITHIN).map(|i| (log2 & !7).wrapping_add(8 * i));
    let mut names = words.filter_map(|at| mem.cstr(mem.u64(at).ok()?, MAX_NAME).ok());
    names.find_map(|name| {
        let name = String::from_utf8_lossy(name.strip_prefix(CODE_HEAP_NAME)?).into_owned();
        Some(name.trim_end_matches('\'').to_owned())
    })
}

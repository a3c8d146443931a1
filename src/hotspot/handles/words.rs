//! Memory of a thread in which any word may be a reference: its stack, the JavaThread itself, and
//! the VM's own handles.

use std::ops::Range;

use super::MAX_CHUNKS;
use crate::error::Result;
use crate::hotspot::Vm;
use crate::hotspot::pointers::may_point;
use crate::hotspot::states::VmState;
use crate::hotspot::threads::{self, JavaThread};
use crate::hotspot::unexported::{
    ARENA_CHUNK_HEADER, ARENA_CHUNK_LENGTH, ARENA_WORDS, HANDLE_MARK_AREA,
};

/// An Arena's chunk of 1 GB is a mistake.
const MAX_ARENA: u64 = 1 << 30;
/// JavaThread has about 2 KB.
const MAX_THREAD: u64 = 1 << 16;

/// What a thread has besides its handles.
#[derive(Debug, Default)]
pub struct ThreadWords {
    /// Its stack, as far as Java frames or HotSpot's own may have references there: start, end.
    pub stack: (u64, u64),
    /// The JavaThread: start, end.
    pub itself: (u64, u64),
    /// Registers, where it runs what may have references in them.
    pub registers: Vec<u64>,
}

impl Vm<'_> {
    /// Where a thread may have references.
    pub fn thread_words(&self, t: &JavaThread) -> Result<ThreadWords> {
        let f = &self.fields;
        let mut out = ThreadWords::default();
        let field = |offset: u64| self.mem.u64(t.addr.wrapping_add(offset)).unwrap_or(0);
        let Range { start: mut low, end: base } = threads::stack(self.mem, f, t.addr)?;
        if matches!(self.vm_state(t), Some(VmState::InNative | VmState::Blocked)) {
            // What runs now keeps references in handles: the last Java frame comes first.
            let anchor = f.thread_anchor.get()?.wrapping_add(f.anchor_sp.get()?);
            let last = field(anchor);
            low = if (low..base).contains(&last) { last & !7 } else { base };
        } else {
            // The kernel's thread ids may be those of another namespace; the stack pointer is not.
            for note in self.notes.within(low, base) {
                let (sp, registers) = note.registers();
                low = sp & !7;
                out.registers.extend(registers);
            }
        }
        out.stack = (low, base);
        let size = self.tables.size_of("JavaThread").unwrap_or(0).min(MAX_THREAD);
        out.itself = (t.addr, t.addr.wrapping_add(size));
        Ok(out)
    }

    /// Where the VM's own handles of a thread (HandleArea) lie: an Arena's chunks. The tables do
    /// not name `Thread::_handle_area`; the thread's last HandleMark proves it, which has the
    /// thread and the area.
    pub fn handle_area(&self, t: &JavaThread) -> Vec<(u64, u64)> {
        let (mem, words) = (self.mem, self.words_of(t));
        let mut out = Vec::new();
        let area = words.iter().find_map(|mark| {
            (mem.u64(*mark).ok()? == t.addr).then_some(())?;
            let area = mem.u64(mark.wrapping_add(HANDLE_MARK_AREA)).ok()?;
            words.contains(&area).then_some(area)
        });
        let Some(area) = area else { return out };
        // First chunk, last chunk, end of use, end of the last chunk: in all JDKs in this order.
        let arena: Vec<u64> =
            (0..ARENA_WORDS).filter_map(|i| mem.u64(area.wrapping_add(i * 8)).ok()).collect();
        let found = arena.windows(4).find_map(|w| {
            let &[first, chunk, used, max] = w else { return None };
            let len = mem.u64(chunk.wrapping_add(ARENA_CHUNK_LENGTH)).ok()?;
            let room = chunk..chunk.saturating_add(len).saturating_add(ARENA_CHUNK_HEADER);
            let chunks = may_point(first) && used > chunk;
            (chunks && used <= max && room.contains(&used) && max <= room.end)
                .then_some((first, chunk, used))
        });
        let Some((mut at, last, used)) = found else { return out };
        for _ in 0..MAX_CHUNKS {
            if at == last || at == 0 {
                break;
            }
            let len = mem.u64(at.wrapping_add(ARENA_CHUNK_LENGTH)).unwrap_or(0).min(MAX_ARENA);
            out.push((at, at.saturating_add(len)));
            at = mem.u64(at).unwrap_or(0);
        }
        if at == last {
            out.push((last, used));
        }
        out
    }

    /// The words of a JavaThread that may be pointers.
    pub(in crate::hotspot) fn words_of(&self, t: &JavaThread) -> Vec<u64> {
        let size = self.tables.size_of("JavaThread").unwrap_or(0).min(MAX_THREAD);
        let words = (0..size / 8).filter_map(|i| self.mem.u64(t.addr.wrapping_add(i * 8)).ok());
        words.filter(|w| may_point(*w)).collect()
    }

    /// The JNIHandleBlocks that a stack names behind the thread `thread`: JavaCallWrapper and the
    /// FrameData of an upcall both have the thread, then the block.
    pub fn handle_blocks_on_stack(&self, stack: (u64, u64), thread: u64) -> Vec<u64> {
        let pages = self.mem.present(stack.0, stack.1).flat_map(|(from, to)| {
            let from = from.next_multiple_of(8);
            let bytes = self.mem.slice(from, to.saturating_sub(from)).unwrap_or(&[]);
            let words = bytes.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w));
            words.clone().zip(words.skip(1))
        });
        let behind = pages.filter(|w| w.0 == thread).map(|w| w.1);
        behind.filter(|b| self.is_handle_block(*b)).collect()
    }
}

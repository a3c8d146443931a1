//! What keeps objects alive: every handle and every place of a thread that refers to one.
//!
//! More than the roots that a dump names (`roots`): the start of a search for all objects that
//! can be reached, weakly held ones too, as HotSpot's own search has them.

use std::collections::BTreeSet;

use super::Vm;
use super::frames::Walker;
use super::roots::{data_pointers, jni_globals, read_monitors, read_storage, tell};
use super::threads::JavaThread;
use super::unexported::{
    ACTIVE_ARRAY_BLOCKS, ACTIVE_ARRAY_COUNT, ARENA_CHUNK_HEADER, ARENA_CHUNK_LENGTH, ARENA_WORDS,
    BLOCK_OWNER, CLD_HANDLES, HANDLE_CHUNK_NEXT, HANDLE_CHUNK_OOPS, HANDLE_CHUNK_SIZE,
    HANDLE_MARK_AREA, OOP_STORAGE_ARRAY, OOP_STORAGE_NAME,
};
use crate::error::Result;

/// More chunks of 32 handles than any loader or thread has: the list runs in a circle.
const MAX_CHUNKS: usize = 1 << 24;
/// A stack of 1 GB is a mistake.
const MAX_STACK: u64 = 1 << 30;
/// JavaThread has about 2 KB.
const MAX_THREAD: u64 = 1 << 16;

/// Objects that handles hold, by their addresses; and words that may be references.
#[derive(Debug, Default)]
pub struct Held {
    /// What handles refer to.
    pub objects: Vec<u64>,
    /// Memory in which any word may be a reference: stacks from the stack pointer on, and the
    /// JavaThreads themselves.
    pub memory: Vec<(u64, u64)>,
    /// Registers, likewise.
    pub words: Vec<u64>,
}

impl Held {
    /// Reads all handles. What cannot be read is told to `damaged`.
    pub fn read(vm: &Vm, threads: &[JavaThread], damaged: &mut Vec<String>) -> Result<Held> {
        let mut held = Held::default();
        held.classes(vm, damaged)?;
        held.storages(vm, damaged);
        // Until 11 some are in statics: Universe's, which the tables bound, and
        // SystemDictionary::_system_loader_lock_obj, which they do not name.
        if vm.fields.universe_oops.opt().is_some() {
            held.memory.extend(&vm.library.data);
        }
        held.objects.extend(jni_globals(vm, &mut Vec::new())?.iter().map(|h| h.object));
        let walker = Walker::new(vm)?;
        for t in threads {
            held.objects.extend([t.object, t.mounted]);
            let bounds = held.stack(vm, t)?;
            held.local_handles(&walker, t, bounds)?;
            held.handle_area(vm, t);
        }
        // Until 15 a monitor keeps its object; later it is weakly held, in an OopStorage.
        if vm.fields.monitor_blocks.opt().is_some() {
            tell(read_monitors(vm, &mut held.words), damaged)?;
        }
        held.objects.retain(|o| *o != 0);
        held.objects.sort_unstable();
        held.objects.dedup();
        Ok(held)
    }

    /// Mirrors and loaders, and all else that a ClassLoaderData's handles hold: resolved
    /// references, modules, protection domains.
    fn classes(&mut self, vm: &Vm, damaged: &mut Vec<String>) -> Result<()> {
        for k in vm.classes.all() {
            self.objects.extend([k.mirror, k.loader]);
        }
        let f = &vm.fields;
        let mut known = false;
        let mut cld = vm.mem.u64(f.cld_head.get()?).unwrap_or(0);
        for _ in 0..MAX_CHUNKS {
            if cld == 0 {
                break;
            }
            let chunks = chunks(vm, cld.wrapping_add(CLD_HANDLES));
            // The first class's mirror handle proves that these are the handles.
            let klass = vm.mem.u64(cld.wrapping_add(f.cld_klasses.get()?)).unwrap_or(0);
            let mirror = vm.mem.u64(klass.wrapping_add(f.klass_mirror.get()?)).unwrap_or(0);
            let inside = |c: &u64| (*c..c.wrapping_add(HANDLE_CHUNK_SIZE)).contains(&mirror);
            known |= chunks.iter().any(inside);
            if known {
                for chunk in chunks {
                    let size = vm.mem.u32(chunk.wrapping_add(HANDLE_CHUNK_SIZE)).unwrap_or(0);
                    self.slots(vm, chunk, u64::from(size).min(HANDLE_CHUNK_OOPS));
                }
            }
            cld = vm.mem.u64(cld.wrapping_add(f.cld_next.get()?)).unwrap_or(0);
        }
        if !known {
            damaged.push("the class loaders' handles were not found: objects that only they hold are missing".into());
        }
        Ok(())
    }

    fn slots(&mut self, vm: &Vm, start: u64, count: u64) {
        for i in 0..count {
            let bits = vm.mem.u64(start.wrapping_add(i * 8)).unwrap_or(0);
            self.objects.push(vm.barrier.resolve(vm.mem, bits));
        }
    }

    /// All OopStorages, whatever their names, by their form: each block knows its owner.
    fn storages(&mut self, vm: &Vm, damaged: &mut Vec<String>) {
        let mem = vm.mem;
        let is_storage = |s: &u64| -> Option<bool> {
            let name = mem.u64(s.wrapping_add(OOP_STORAGE_NAME)).ok()?;
            let array = mem.u64(s.wrapping_add(OOP_STORAGE_ARRAY)).ok()?;
            let (size, count) =
                (mem.u64(array).ok()?, mem.u64(array.wrapping_add(ACTIVE_ARRAY_COUNT)).ok()?);
            if count == 0 || count > size {
                return None;
            }
            let block = mem.u64(array.wrapping_add(ACTIVE_ARRAY_BLOCKS)).ok()?;
            if mem.u64(block.wrapping_add(BLOCK_OWNER)).ok()? != *s {
                return None;
            }
            // A stale pointer may lead to a compiler's node that points to itself: a vtable is no
            // name.
            let name = mem.string(name).ok()?;
            Some(!name.is_empty() && name.bytes().all(|b| b == b' ' || b.is_ascii_graphic()))
        };
        let found: BTreeSet<u64> =
            data_pointers(vm).filter(|s| is_storage(s) == Some(true)).collect();
        if found.is_empty() {
            damaged
                .push("no OopStorage was found: objects that only handles hold are missing".into());
        }
        let mut handles = Vec::new();
        for storage in found {
            if let Err(fault) = read_storage(vm, storage, &mut handles) {
                damaged.push(format!("the handles of the OopStorage at {storage:#x}: {fault}"));
            }
        }
        self.objects.extend(handles.iter().map(|h| h.object));
    }

    /// JNI local handles: those of the thread's innermost native frame, and of each native caller
    /// of Java further down its stack.
    fn local_handles(&mut self, walker: &Walker, t: &JavaThread, bounds: (u64, u64)) -> Result<()> {
        let vm = walker.vm;
        let active = vm.fields.thread_active_handles.get()?;
        let stack = walker.thread(t);
        let mut blocks = stack.callers_handles;
        blocks.extend(vm.mem.u64(t.addr.wrapping_add(active)).ok());
        if stack.broken.is_some() {
            // JavaCallWrapper and the FrameData of an upcall both have the thread, then the block.
            blocks.extend(words_behind(vm, bounds, t.addr).filter(|b| vm.is_handle_block(*b)));
        }
        blocks.sort_unstable();
        blocks.dedup();
        self.objects.extend(blocks.into_iter().flat_map(|b| vm.local_handles(b)));
        Ok(())
    }

    /// The VM's own handles of a thread (HandleArea), and where they lie: an Arena's chunks. The
    /// tables do not name `Thread::_handle_area`; the thread's last HandleMark proves it, which has
    /// the thread and the area.
    fn handle_area(&mut self, vm: &Vm, t: &JavaThread) {
        let (mem, words) = (vm.mem, words_of(vm, t));
        let area = words.iter().find_map(|mark| {
            (mem.u64(*mark).ok()? == t.addr).then_some(())?;
            let area = mem.u64(mark.wrapping_add(HANDLE_MARK_AREA)).ok()?;
            words.contains(&area).then_some(area)
        });
        let Some(area) = area else { return };
        // First chunk, last chunk, end of use, end of the last chunk: in all JDKs in this order.
        let arena: Vec<u64> =
            (0..ARENA_WORDS).filter_map(|i| mem.u64(area.wrapping_add(i * 8)).ok()).collect();
        let found = arena.windows(4).find_map(|w| {
            let &[first, chunk, used, max] = w else { return None };
            let len = mem.u64(chunk.wrapping_add(ARENA_CHUNK_LENGTH)).ok()?;
            let room = chunk..chunk.saturating_add(len).saturating_add(ARENA_CHUNK_HEADER);
            let chunks = first > 0x1000 && first.is_multiple_of(8) && used > chunk;
            (chunks && used <= max && room.contains(&used) && max <= room.end)
                .then_some((first, chunk, used))
        });
        let Some((mut at, last, used)) = found else { return };
        for _ in 0..MAX_CHUNKS {
            if at == last || at == 0 {
                break;
            }
            let len = mem.u64(at.wrapping_add(ARENA_CHUNK_LENGTH)).unwrap_or(0).min(MAX_STACK);
            self.memory.push((at, at.saturating_add(len)));
            at = mem.u64(at).unwrap_or(0);
        }
        if at == last {
            self.memory.push((last, used));
        }
    }

    /// The thread's stack as far as Java frames or HotSpot's own may have references there, and
    /// the JavaThread itself.
    fn stack(&mut self, vm: &Vm, t: &JavaThread) -> Result<(u64, u64)> {
        let f = &vm.fields;
        let field = |offset: u64| vm.mem.u64(t.addr.wrapping_add(offset)).unwrap_or(0);
        let (base, size) = (field(f.thread_stack_base.get()?), field(f.thread_stack_size.get()?));
        let mut low = base.saturating_sub(size.min(MAX_STACK));
        let state = vm.mem.i32(t.addr.wrapping_add(f.thread_state.get()?)).map(i64::from);
        let is = |name: &str| state.ok().is_some_and(|s| vm.tables.constant(name) == Some(s));
        if is("_thread_in_native") || is("_thread_blocked") {
            // What runs now keeps references in handles: the last Java frame comes first.
            let anchor = f.thread_anchor.get()?.wrapping_add(f.anchor_sp.get()?);
            let last = field(anchor);
            low = if (low..base).contains(&last) { last & !7 } else { base };
        } else {
            // The kernel's thread ids may be those of another namespace; the stack pointer is not.
            for note in vm.notes.within(low, base) {
                let (sp, registers) = note.registers();
                low = sp & !7;
                self.words.extend(registers);
            }
        }
        self.memory.push((low, base));
        let size = vm.tables.size_of("JavaThread").unwrap_or(0).min(MAX_THREAD);
        self.memory.push((t.addr, t.addr.wrapping_add(size)));
        Ok((low, base))
    }
}

/// The words of a JavaThread.
fn words_of(vm: &Vm, t: &JavaThread) -> Vec<u64> {
    let size = vm.tables.size_of("JavaThread").unwrap_or(0).min(MAX_THREAD);
    let words = (0..size / 8).filter_map(|i| vm.mem.u64(t.addr.wrapping_add(i * 8)).ok());
    words.filter(|w| *w > 0x1000 && w.is_multiple_of(8)).collect()
}

/// What follows each word `word` of a stack.
fn words_behind<'v>(
    vm: &'v Vm,
    (start, end): (u64, u64),
    word: u64,
) -> impl Iterator<Item = u64> + 'v {
    let pages = vm.mem.present(start, end).flat_map(move |(from, to)| {
        let from = from.next_multiple_of(8);
        vm.mem.slice(from, to.saturating_sub(from)).unwrap_or(&[]).as_chunks::<8>().0.windows(2)
    });
    let words = pages.map(|w| [u64::from_le_bytes(w[0]), u64::from_le_bytes(w[1])]);
    words.filter(move |w| w[0] == word).map(|w| w[1])
}

/// The chunks of a ChunkedHandleList.
fn chunks(vm: &Vm, list: u64) -> Vec<u64> {
    let mut out = Vec::new();
    let mut chunk = vm.mem.u64(list).unwrap_or(0);
    while chunk != 0 && chunk.is_multiple_of(8) && out.len() < MAX_CHUNKS {
        out.push(chunk);
        chunk = vm.mem.u64(chunk.wrapping_add(HANDLE_CHUNK_NEXT)).unwrap_or(0);
    }
    out
}

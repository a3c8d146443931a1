//! Frames of virtual threads: those that a continuation left on the heap, and where on a carrier's
//! stack they belong.
//!
//! A thread that wakes gets back its innermost frames only. The last of them returns into a stub,
//! the return barrier, in place of the frame that entered the continuation.

use super::walk::{Bounds, Caller, CpuFrame, NO_ROOM};
use super::{Packed, Registers, Stack, Trust, Walker};
use crate::hotspot::classes::Size;
use crate::hotspot::code::{Blob, BlobKind};
use crate::hotspot::threads::JavaThread;
use crate::hotspot::unexported::{
    CHUNK_HAS_BITMAP, CONTINUATION_ENTRY_CONT, CONTINUATION_ENTRY_PARENT,
};

/// Chunks of one continuation: each holds some frames at least.
const MAX_CHUNKS: usize = 1 << 16;
/// Continuations within one another on one stack: Java has no more than one.
const MAX_ENTRIES: usize = 64;
/// A JavaThread has about 2 KB.
const MAX_THREAD: u64 = 1 << 14;
/// A class's methods.
const MAX_METHODS: u32 = 1 << 16;

/// What is the same for all continuations.
#[derive(Debug)]
pub(super) struct Entries {
    /// The InstanceKlass of jdk.internal.vm.Continuation.
    klass: u64,
    /// Where its enterSpecial goes on when what it called returns, or another place in its code.
    pc: u64,
}

impl Walker<'_> {
    /// A return into a stub: frames of a continuation that are still in its chunk come next. Answers
    /// the frame that entered it, and that one's code.
    pub(super) fn return_barrier(
        &self,
        raw: &CpuFrame,
        bounds: Bounds,
        out: &mut Stack,
    ) -> Result<(CpuFrame, Blob), String> {
        let found = || {
            let entries = self.continuations.get_or_init(|| self.entries()).as_ref()?;
            let (entry, cont) = self.cont_entry(entries, raw.sp, bounds)?;
            let blob = self.code.find(entries.pc).filter(|b| b.kind == BlobKind::Nmethod)?;
            Some((entries.pc, entry, cont, blob))
        };
        let (pc, sp, cont, blob) =
            found().ok_or_else(|| format!("{:#x} is in a stub that was not called", raw.pc))?;
        out.barriers.push((out.frames.len(), cont));
        Ok((CpuFrame { sp, fp: 0, pc, trust: Trust::Exact, registers: Registers::default() }, blob))
    }

    fn entries(&self) -> Option<Entries> {
        let (vm, f) = (self.vm, &self.vm.fields);
        let klass = vm.classes.named("jdk/internal/vm/Continuation")?.addr;
        let named = f.continuation_return.opt().and_then(|at| self.word(at)).filter(|pc| *pc != 0);
        let compiled = || {
            let methods = self.word(klass.wrapping_add(f.ik_methods.opt()?))?;
            let count = vm.mem.u32(methods).ok()?.min(MAX_METHODS);
            let all = (1..=u64::from(count)).map(|i| self.word(methods.wrapping_add(i * 8)));
            let method = all.flatten().find(|m| {
                let name = self.method(*m).and_then(|m| vm.reader().symbol_bytes(m.name));
                name == Some(b"enterSpecial")
            });
            let nmethod = self.word(method?.wrapping_add(f.method_compiled.opt()?))?;
            self.code.find(nmethod).map(|blob| blob.code_begin)
        };
        Some(Entries { klass, pc: named.or_else(compiled)? })
    }

    /// The innermost ContinuationEntry at or above `sp`, which lies where the frame that entered
    /// begins, and its Continuation. Before 25 no table tells where a JavaThread has it: it is the
    /// word that leads to an entry on the stack whose `_cont` is a Continuation.
    fn cont_entry(&self, entries: &Entries, sp: u64, bounds: Bounds) -> Option<(u64, u64)> {
        let (vm, f) = (self.vm, &self.vm.fields);
        let thread = (bounds.thread != 0).then_some(bounds.thread)?;
        let continuation = |entry: u64| {
            let bits = self.word(entry.wrapping_add(CONTINUATION_ENTRY_CONT))?;
            let cont = self.stack_oop(bits, bounds.colour);
            let klass = vm.klass_of(cont).filter(|_| cont != 0)?;
            vm.classes.with_supers(klass).any(|k| k.addr == entries.klass).then_some(cont)
        };
        let on_stack =
            |entry: &u64| entry.is_multiple_of(8) && (bounds.low..bounds.high).contains(entry);
        let innermost = match f.thread_cont_entry.opt() {
            Some(offset) => self.word(thread.wrapping_add(offset)).filter(on_stack),
            None => {
                let size = vm.tables.size_of("JavaThread")?.min(MAX_THREAD);
                let words = (0..size / 8).filter_map(|i| self.word(thread.wrapping_add(i * 8)));
                words.filter(on_stack).find(|entry| continuation(*entry).is_some())
            }
        };
        let parent = f.cont_entry_parent.opt().unwrap_or(CONTINUATION_ENTRY_PARENT);
        let next = |entry: &u64| self.word(entry.wrapping_add(parent)).filter(on_stack);
        let mut all = std::iter::successors(innermost, next).take(MAX_ENTRIES);
        let entry = all.find(|entry| *entry >= sp)?;
        Some((entry, continuation(entry)?))
    }

    /// Tells a mounted virtual thread's frames from its carrier's, and puts those that are still
    /// in its chunk where they belong.
    pub(super) fn split(&self, t: &JavaThread, stack: &mut Stack) {
        // The outermost first: the others' places stay as they are.
        for (at, cont) in std::mem::take(&mut stack.barriers).into_iter().rev() {
            let rest = self.chunks(cont);
            let more = rest.frames.len();
            stack.insert(at, rest.frames);
            let wrappers = stack.wrappers.iter_mut().map(|w| &mut w.0);
            let entries = stack.entries.iter_mut().map(|e| &mut e.before);
            for before in wrappers.chain(entries).filter(|b| **b > at) {
                *before += more;
            }
            stack.broken = stack.broken.take().or(rest.broken);
        }
        if t.mounted == 0 {
            return;
        }
        let entry = stack.frames.iter().position(|f| f.enters_continuation);
        for frame in stack.frames.iter_mut().take(entry.unwrap_or(0)) {
            frame.in_continuation = true;
        }
    }

    /// The frames that a virtual thread left on the heap.
    pub(crate) fn continuation(&self, thread: u64) -> Stack {
        self.chunks(self.vm.oop_field(thread, "cont").unwrap_or(0))
    }

    /// The frames in the chunks of a Continuation.
    fn chunks(&self, cont: u64) -> Stack {
        let mut out = Stack::default();
        let vm = self.vm;
        let mut chunk = vm.oop_field(cont, "tail").unwrap_or(0);
        for _ in 0..MAX_CHUNKS {
            if chunk == 0 || out.broken.is_some() {
                break;
            }
            if !self.frames.take(1) {
                out.broken = Some(NO_ROOM.into());
                break;
            }
            if let Err(why) = self.chunk(chunk, &mut out) {
                out.broken = Some(why);
            }
            chunk = vm.oop_field(chunk, "parent").unwrap_or(0);
        }
        if chunk != 0 && out.broken.is_none() {
            out.broken = Some("its chunks have no end".into());
        }
        for frame in &mut out.frames {
            frame.in_continuation = true;
        }
        out
    }

    /// The frames of one StackChunk: a stack as it was on the thread, from `sp` to `bottom`.
    fn chunk(&self, chunk: u64, out: &mut Stack) -> Result<(), String> {
        let vm = self.vm;
        let what = || format!("the StackChunk at {chunk:#x} cannot be read");
        let klass = vm.klass_of(chunk).ok_or_else(what)?;
        let base = match klass.size {
            Size::StackChunk { base, .. } => base,
            _ => return Err(what()),
        };
        let field = |name: &str| vm.classes.field(&vm.reader(), klass, name);
        let int = |name: &str| {
            let f = field(name)?;
            vm.mem.i32(chunk.wrapping_add(u64::from(f.offset))).ok().map(i64::from)
        };
        let size = int("size").filter(|s| (0..1 << 27).contains(s)).ok_or_else(what)?;
        let sp = int("sp").filter(|s| (0..=size).contains(s)).ok_or_else(what)?;
        // 21: the size of the arguments at the end; later where they begin.
        let bottom = int("bottom").or_else(|| Some(size - int("argsize")?));
        let bottom = bottom.filter(|b| (0..=size).contains(b)).ok_or_else(what)?;
        if sp >= bottom {
            return Ok(());
        }
        let start = chunk.wrapping_add(base);
        let word = |index: i64| start.wrapping_add_signed(index * 8);
        let pc = field("pc").and_then(|f| self.word(chunk.wrapping_add(u64::from(f.offset))));
        let at = word(sp);
        let Caller::Frame(mut raw) = self.above(at, Trust::Exact) else { return Err(what()) };
        raw.pc = pc.filter(|pc| *pc != 0).map_or(raw.pc, |pc| self.cpu.strip(pc));
        let mut more = self.walk(
            raw,
            Bounds { low: start, high: word(bottom), thread: 0, colour: None },
            false,
        );
        let flags = field("flags").map(|f| vm.mem.u8(chunk.wrapping_add(u64::from(f.offset))));
        if flags.is_some_and(|f| f.is_ok_and(|f| f & CHUNK_HAS_BITMAP != 0)) {
            let packed = Packed { start, bitmap: word(size) };
            more.frames.iter_mut().for_each(|f| f.packed = Some(packed));
        }
        out.insert(out.frames.len(), more.frames);
        out.broken = more.broken;
        Ok(())
    }
}

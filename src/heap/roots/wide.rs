//! Where the search of a heap starts in which only what can be reached counts (ZGC, Shenandoah).
//!
//! The list of roots that dumps name, and wider in these places, so that nothing is lost that
//! HotSpot's own search would have:
//!
//! - Classes: the mirrors and loaders of all, not the boot loader's only; what loaders' handles hold.
//! - Handles: those of every OopStorage, weakly held ones too.
//! - Threads: those that HotSpot hides as well; the handles of each native caller on a stack,
//!   whether a frame stands for it or not.
//! - Compiled code: the constants of what has a frame, or of all, whatever HotSpot visits.
//! - What a debugger left with a thread that has not run on yet.
//! - Frames: not their values but all words of stacks, registers and the VM's own structures, any
//!   of which may be a reference. So it may keep what is dead.

use super::code::constants;
use super::{Root, RootKind, global};
use crate::error::Result;
use crate::heap::Heap;
use crate::hotspot::Vm;
use crate::hotspot::barrier::Colour;
use crate::hotspot::frames::Walker;
use crate::hotspot::handles::{
    Handle, loader_handles, note, read_monitors, read_storage, storages,
};
use crate::hotspot::threads::JavaThread;

/// Roots for certain, and words that may be some.
#[derive(Debug, Default)]
pub struct WideRoots {
    /// What handles, threads and classes refer to.
    pub roots: Vec<Root>,
    /// Memory in which any word may be a reference: start, end.
    pub memory: Vec<(u64, u64)>,
    /// Registers and monitors, likewise.
    pub words: Vec<u64>,
    /// Stacks whose walk broke off.
    broken: Vec<(u64, u64)>,
}

impl WideRoots {
    /// Reads all of them. What cannot be read is told to `damaged`.
    pub fn read(heap: &Heap, damaged: &mut Vec<String>) -> Result<WideRoots> {
        let vm = heap.vm;
        // Who writes roots tells what is damaged among them. A monitor's object may have died.
        let mut roots = global(vm, &mut Vec::new())?;
        roots.retain(|r| r.kind != RootKind::Monitor);
        let mut out = WideRoots { roots, ..WideRoots::default() };
        out.classes(vm, damaged)?;
        out.storages(vm, damaged);
        // Until 11 some are in statics: Universe's, which the tables bound, and
        // SystemDictionary::_system_loader_lock_obj, which they do not name.
        if vm.fields.universe_oops.opt().is_some() {
            out.memory.extend(&vm.library.data);
        }
        let walker = Walker::new(vm)?;
        for (number, t) in (0..).zip(&heap.threads) {
            out.thread(&walker, t, number)?;
        }
        out.words.extend(constants(&walker, &out.broken));
        // Until 15 a monitor keeps its object; later it is weakly held, in an OopStorage.
        if vm.fields.monitor_blocks.opt().is_some() {
            note(read_monitors(vm, &mut out.words), damaged)?;
        }
        out.roots.retain(|r| r.object != 0);
        Ok(out)
    }

    fn handles(&mut self, kind: RootKind, handles: Vec<Handle>) {
        self.roots.extend(handles.into_iter().map(|h| Root::handle(kind, h)));
    }

    fn classes(&mut self, vm: &Vm, damaged: &mut Vec<String>) -> Result<()> {
        let all = vm.classes.all().iter().flat_map(|k| [k.mirror, k.loader]);
        self.roots.extend(all.map(|object| Root::of(RootKind::Class, object)));
        match loader_handles(vm)? {
            Some(handles) => self.handles(RootKind::LoaderHandle, handles),
            None => damaged.push("the class loaders' handles were not found: objects that only they hold are missing".into()),
        }
        Ok(())
    }

    fn storages(&mut self, vm: &Vm, damaged: &mut Vec<String>) {
        let found = storages(vm);
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
        self.handles(RootKind::VmHandle, handles);
    }

    /// A thread, the one that it carries, the JNI locals of its innermost native frame and of each
    /// native caller of Java further down its stack; and where else it may have references.
    fn thread(&mut self, walker: &Walker, t: &JavaThread, number: u32) -> Result<()> {
        let vm = walker.vm;
        let words = vm.thread_words(t)?;
        let active = vm.fields.thread_active_handles.get()?;
        let stack = walker.thread(t);
        let mut blocks = stack.callers_handles;
        blocks.extend(vm.mem.u64(t.addr.wrapping_add(active)).ok());
        if stack.broken.is_some() {
            blocks.extend(vm.handle_blocks_on_stack(words.stack, t.addr));
            self.broken.push(words.stack);
        }
        blocks.sort_unstable();
        blocks.dedup();
        let root = |kind, object| Root { thread: Some(number), ..Root::of(kind, object) };
        self.roots.extend([t.object, t.mounted].map(|o| root(RootKind::Thread, o)));
        // By any of the thread's colours, where its references have none themselves.
        let colours: Vec<_> = t.ages.all().map(Some).chain([None]).collect();
        for block in blocks {
            let locals = colours.iter().flat_map(|c| vm.local_handles(block, *c));
            self.roots.extend(locals.map(|o| root(RootKind::JniLocal, o)));
        }
        let memory = [vec![words.stack, words.itself], vm.handle_area(t)].concat();
        for colour in t.ages.all() {
            let old = memory.iter().flat_map(|(start, end)| moved(vm, *start, *end, colour));
            self.words.extend(old);
        }
        self.memory.extend(memory);
        self.memory.extend(vm.debugger_words(t));
        self.words.extend(words.registers);
        Ok(())
    }
}

/// Where the objects are now to which words of a thread lead if they have this colour, of those that
/// were moved.
fn moved(vm: &Vm, start: u64, end: u64, colour: Colour) -> Vec<u64> {
    let words = (start..end).step_by(8).filter_map(|at| vm.mem.u64(at).ok());
    let now = |bits: u64| vm.barrier.plausible(vm.mem, bits, Some(colour)).filter(|o| *o != bits);
    words.filter_map(now).collect()
}

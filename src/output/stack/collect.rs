//! Reads a core's threads.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::frames::{FrameReader, Owner};
use super::{
    Address, Carried, JniHandles, NativeEnd, NativeFrame, Object, Stack, Thread, ThreadDump,
    VirtualThread, VmThread, Waiter,
};
use crate::corefile::CoreFile;
use crate::error::{Remark, Result};
use crate::heap::layout::Slot;
use crate::heap::virtual_threads::VirtualThreads;
use crate::heap::{Heap, Object as HeapObject, Visitor, WalkReport, walk};
use crate::hotspot::Vm;
use crate::hotspot::frames::{self, FrameKind, NativeRun, Trust, Walker};
use crate::hotspot::handles::jni_counts;
use crate::hotspot::threads::{AwaitedLock, JavaThread, Locks, ThreadFacts, deadlocks};
use crate::hotspot::vm_info::perfdata::{self, Counter};
use crate::native::Unwinder;
use crate::output::redact::Redaction;

/// What to read.
#[derive(Debug, Clone, Copy)]
pub struct Options<'u> {
    /// Search the heap: for java.util.concurrent locks and their owners, and for virtual threads.
    pub heap: bool,
    /// Virtual threads without carriers to show, at most.
    pub virtual_threads: usize,
    /// Local variables and expression stacks, too.
    pub values: bool,
    /// What of these is not to be shown.
    pub redaction: Option<&'u Redaction>,
    /// What reads native frames, where they are wanted.
    pub native: Option<&'u Unwinder<'u>>,
    /// Threads to search with.
    pub workers: usize,
}

/// Reads all threads. `progress` gets the bytes of heap as they are searched. Also answers the
/// search's own report, if there was one.
pub fn collect(
    core: &CoreFile,
    heap: &Heap,
    options: Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(ThreadDump, WalkReport)> {
    let vm = heap.vm;
    let walker = Walker::new(vm)?;
    let threads = &heap.threads;
    let locks = Locks::read(vm, threads);
    let facts: Vec<ThreadFacts> = threads.iter().map(|t| vm.thread_facts(t.object)).collect();
    let (found, report) = match options.heap {
        true => search(heap, options, progress)?,
        false => Default::default(),
    };
    let mut reader = FrameReader::new(&walker, &locks, options.values, options.redaction);
    let mut owned: HashMap<u64, Vec<u64>> = HashMap::new();
    for (synchronizer, owner) in &found.synchronizers {
        owned.entry(*owner).or_default().push(*synchronizer);
    }
    let shown = threads.iter().zip(&facts).map(|(t, facts)| {
        let stack = match options.native {
            Some(unwinder) => walker.mixed(t, unwinder),
            None => (walker.thread(t), Vec::new()),
        };
        let synchronizers = options.heap.then(|| {
            let all = owned.get(&t.object).map_or(&[][..], Vec::as_slice);
            all.iter().map(|o| object(&reader, *o)).collect()
        });
        thread(&mut reader, Owner { thread: t, facts }, stack, synchronizers)
    });
    let shown: Vec<Thread> = shown.collect();
    let mut stacks = Stacks::default();
    let unmounted = found.virtual_threads.iter().map(|t| VirtualThread {
        number: vm.thread_facts(*t).number,
        name: thread_name(vm, *t),
        object: Address(*t),
        stack: stacks.get(&mut reader, walker.continuation(*t), options.values),
    });
    let unmounted: Vec<VirtualThread> = unmounted.collect();
    let kernel_names = core.thread_names();
    let kernel_name = |tid| kernel_names.get(&tid).map(|name| (*name).to_owned());
    let native = |tid| options.native.map(|unwinder| native_stack(&walker, tid, unwinder));
    let (listed, unlisted): (Vec<_>, Vec<_>) =
        vm.vm_threads(threads, kernel_name).into_iter().partition(|t| t.listed);
    let vm_threads = listed.into_iter().map(|t| VmThread {
        name: t.name,
        cpu_ms: vm.notes.cpu_time(t.tid),
        os_priority: os_priority(vm),
        tid: (t.addr != 0).then_some(Address(t.addr)),
        nid: t.tid as u32,
        os_state: t.state,
        stack: native(t.tid),
    });
    let vm_threads: Vec<VmThread> = vm_threads.collect();
    let known: HashSet<u32> =
        threads.iter().map(|t| t.tid).chain(vm_threads.iter().map(|t| t.nid)).collect();
    let other_name = |tid| match unlisted.iter().find(|t| t.tid == tid) {
        Some(t) => t.name.clone(),
        None => kernel_name(tid).unwrap_or_else(|| "(no thread of the VM)".into()),
    };
    let others = vm.notes.all().iter();
    let others = others.filter(|n| options.native.is_some() && !known.contains(&(n.tid as u32)));
    let others = others.map(|n| VmThread {
        name: other_name(n.tid),
        cpu_ms: vm.notes.cpu_time(n.tid),
        os_priority: None,
        tid: None,
        nid: n.tid as u32,
        os_state: None,
        stack: native(n.tid),
    });
    let other_threads = others.collect();
    let dump = ThreadDump {
        vm: version(vm),
        taken_ms: vm.taken_ms.or_else(|| {
            let (start, up) = perfdata::times(&perfdata::read(vm))?;
            Some(start.saturating_add(up?))
        }),
        list: vm.fields.thread_list.opt().and_then(|l| vm.mem.u64(l).ok()).map(Address),
        deadlocks: find_deadlocks(&reader, threads, &facts),
        threads: shown,
        vm_threads,
        other_threads,
        virtual_threads: unmounted,
        virtual_thread_count: found.virtual_thread_count,
        jni_handles: jni_counts(vm).map(|(global, weak)| JniHandles { global, weak }),
        eras: vm.eras,
    };
    Ok((dump, report))
}

fn thread(
    reader: &mut FrameReader,
    owner: Owner,
    (frames, native): (frames::Stack, Vec<NativeRun>),
    synchronizers: Option<Vec<Object>>,
) -> Thread {
    let (vm, t) = (reader.walker.vm, owner.thread);
    let sp = reader.walker.last_sp(t, &frames);
    let broken = frames.broken.clone().map(Remark::from);
    let mut own = frames.clone();
    own.broken = None;
    // What the continuation called is the virtual thread's.
    let enters = frames.frames.iter().position(|f| f.enters_continuation);
    let enters = enters.filter(|_| t.mounted != 0);
    let (virtual_runs, runs): (Vec<_>, Vec<_>) =
        native.into_iter().partition(|run| enters.is_some_and(|at| run.before <= at));
    let carries = (t.mounted != 0).then(|| Carried {
        number: vm.thread_facts(t.mounted).number,
        name: thread_name(vm, t.mounted),
        stack: stack(reader, own, Some(&owner), |f| f.in_continuation, &virtual_runs),
    });
    let mut stack = stack(reader, frames, Some(&owner), |f| !f.in_continuation, &runs);
    stack.broken = broken.or(stack.broken);
    Thread {
        name: if t.name.is_empty() && t.object == 0 {
            "(no thread object)".into()
        } else {
            t.name.clone()
        },
        number: owner.facts.number,
        daemon: owner.facts.daemon,
        priority: owner.facts.priority,
        os_priority: os_priority(vm),
        cpu_ms: vm.notes.cpu_time(t.tid as i32).filter(|_| t.tid != 0),
        allocated: vm.allocated_bytes(t),
        tid: Address(t.addr),
        nid: t.tid,
        os_state: vm.os_state(t.addr),
        sp: Address(sp),
        state: owner.facts.state.filter(|_| t.mounted == 0),
        vm_state: vm.vm_state(t),
        stack,
        carries,
        synchronizers,
    }
}

/// Frames as they are shown, those that are wanted. The frame that enters a continuation is none of them.
fn stack(
    reader: &mut FrameReader,
    stack: frames::Stack,
    owner: Option<&Owner>,
    wanted: impl Fn(&frames::Frame) -> bool,
    runs: &[NativeRun],
) -> Stack {
    let wanted = |f: &&frames::Frame| wanted(f) && !f.enters_continuation;
    let frames = stack.frames.iter().filter(wanted);
    let frames = frames.enumerate().map(|(i, f)| reader.frame(f, owner, i == 0)).collect();
    let before = |run: &NativeRun| {
        let above = &stack.frames[..run.before.min(stack.frames.len())];
        above.iter().filter(wanted).count()
    };
    let broken = stack.broken.or_else(|| reader.walker.without_values()).map(Remark::from);
    let mut out = Stack { frames, broken, ..Stack::default() };
    for run in runs {
        add_native(&mut out, before(run), run);
    }
    out
}

/// The stacks of virtual threads, each kind once: of a million threads most stand in a few places.
#[derive(Default)]
struct Stacks(HashMap<Vec<Place>, Rc<Stack>>);

/// Method, bytecode index, how it runs, how sure it is: all that a shown frame depends on.
type Place = (u64, i32, FrameKind, Trust);

impl Stacks {
    /// `values` says that frames have values, which are not the same.
    fn get(&mut self, reader: &mut FrameReader, s: frames::Stack, values: bool) -> Rc<Stack> {
        if values || s.broken.is_some() {
            return Rc::new(stack(reader, s, None, |_| true, &[]));
        }
        let place = |f: &frames::Frame| (f.method.addr, f.bci, f.kind, f.trust);
        let places: Vec<Place> = s.frames.iter().map(place).collect();
        let new = || Rc::new(stack(reader, s, None, |_| true, &[]));
        self.0.entry(places).or_insert_with(new).clone()
    }
}

/// Adds native frames behind as many Java frames.
fn add_native(stack: &mut Stack, before: usize, run: &NativeRun) {
    stack.native.extend(run.frames.iter().map(|f| NativeFrame {
        before,
        pc: Address(f.pc),
        library: f.library.clone(),
        library_offset: f.library.is_some().then_some(Address(f.offset)),
        function: f.function.as_ref().map(|f| f.0.clone()),
        function_offset: f.function.as_ref().map(|f| f.1),
        trust: if f.guessed { Trust::Guessed } else { Trust::Exact },
    }));
    let why = run.broken.clone();
    stack.native_broken.extend(why.map(|why| NativeEnd { before, why }));
}

/// The stack of a thread that runs no Java.
fn native_stack(walker: &Walker, tid: i32, unwinder: &Unwinder) -> Stack {
    let mut out = Stack::default();
    add_native(&mut out, 0, &walker.native_only(tid, unwinder));
    out
}

fn thread_name(vm: &Vm, thread: u64) -> String {
    vm.oop_field(thread, "name").and_then(|n| vm.text(n)).unwrap_or_default()
}

fn object(reader: &FrameReader, at: u64) -> Object {
    Object { address: Address(at), class: reader.class_of(at) }
}

/// `os::get_native_priority`: 0 unless the VM was told to use priorities.
fn os_priority(vm: &Vm) -> Option<i32> {
    (vm.flags.int("ThreadPriorityPolicy") == Some(0)).then_some(0)
}

fn version(vm: &Vm) -> String {
    let counters = perfdata::read(vm);
    let text = |name: &str| match counters.get(&format!("java.property.java.vm.{name}")) {
        Some(Counter::Text(t)) => Some(t.clone()),
        _ => None,
    };
    let name = text("name").unwrap_or_else(|| "HotSpot".into());
    let release = vm.version.release.clone().or_else(|| text("version")).unwrap_or_default();
    let info = text("info").map(|i| format!(" {i}")).unwrap_or_default();
    format!("{name} ({release}{info})")
}

fn find_deadlocks(
    reader: &FrameReader,
    threads: &[JavaThread],
    facts: &[ThreadFacts],
) -> Vec<Vec<Waiter>> {
    let (vm, locks) = (reader.walker.vm, reader.locks);
    let by_object: HashMap<u64, usize> =
        threads.iter().enumerate().map(|(i, t)| (t.object, i)).rev().collect();
    let wanted = |i: usize| {
        let t: &JavaThread = threads.get(i)?;
        let pending = vm.fields.thread_pending_monitor.opt()?;
        let pending = vm.mem.u64(t.addr.wrapping_add(pending)).unwrap_or(0);
        if let Some(m) = (pending != 0).then(|| locks.monitor_at(pending)).flatten() {
            return Some((AwaitedLock::Monitor(m), locks.owner(&m)));
        }
        let blocker = facts.get(i)?.park_blocker;
        let owner = vm.oop_field(blocker, "exclusiveOwnerThread").filter(|o| *o != 0)?;
        let owner = *by_object.get(&owner)?;
        Some((AwaitedLock::Synchronizer(blocker), Some(owner)))
    };
    let waiter = |(i, what, owner): (usize, AwaitedLock, Option<usize>)| {
        let name = |i: usize| threads.get(i).map_or(String::new(), |t| t.name.clone());
        let (monitor, at) = match what {
            AwaitedLock::Monitor(m) => (Some(Address(m.addr)), m.object),
            AwaitedLock::Synchronizer(s) => (None, s),
        };
        let owner = owner.map_or(String::new(), name);
        Waiter { thread: i, name: name(i), monitor, object: object(reader, at), owner }
    };
    let found = deadlocks(threads.len(), wanted);
    found.into_iter().map(|cycle| cycle.into_iter().map(waiter).collect()).collect()
}

/// What a search of the heap found.
#[derive(Default)]
struct Found {
    /// Ownable synchronizers that are owned, and their owners.
    synchronizers: Vec<(u64, u64)>,
    virtual_threads: Vec<u64>,
    virtual_thread_count: u64,
}

struct Searcher<'h> {
    vm: &'h Vm<'h>,
    /// By klass number: whether its objects are ownable synchronizers.
    ownable: &'h [bool],
    owner: Option<Slot>,
    virtuals: Option<VirtualThreads>,
    limit: usize,
    found: Found,
}

impl Visitor for Searcher<'_> {
    #[inline(always)]
    fn object(&mut self, object: HeapObject) {
        if self.ownable.get(object.klass as usize) == Some(&true) {
            let bits = self.owner.and_then(|s| s.bits(&self.vm.pointers, object.bytes));
            if let Some(bits) = bits.filter(|bits| *bits != 0) {
                let owner = self.vm.barrier.resolve_at(self.vm.mem, object.addr, bits);
                self.found.synchronizers.push((object.addr, owner));
            }
        } else if let Some(virtuals) = &self.virtuals
            && virtuals.klass == object.klass
            && virtuals.is_unmounted(self.vm, object.bytes)
        {
            self.found.virtual_thread_count += 1;
            if self.found.virtual_threads.len() < self.limit {
                self.found.virtual_threads.push(object.addr);
            }
        }
    }

    fn clear(&mut self) {
        self.found = Found::default();
    }
}

fn search(
    heap: &Heap,
    options: Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Found, WalkReport)> {
    let vm = heap.vm;
    let base = vm.classes.named("java/util/concurrent/locks/AbstractOwnableSynchronizer");
    let owner = base.and_then(|k| {
        let number = vm.classes.number(k.addr)?;
        heap.layouts().slot(vm, number, "exclusiveOwnerThread")
    });
    let ownable: Vec<bool> = vm
        .classes
        .all()
        .iter()
        .map(|k| base.is_some_and(|b| vm.classes.with_supers(k).any(|s| s.addr == b.addr)))
        .collect();
    let virtuals = VirtualThreads::new(heap);
    let make = || Searcher {
        vm,
        ownable: &ownable,
        owner,
        virtuals,
        limit: options.virtual_threads,
        found: Found::default(),
    };
    let mut all = Found::default();
    let report = walk(heap, options.workers, make, |s, bytes| {
        all.synchronizers.append(&mut s.found.synchronizers);
        all.virtual_thread_count += s.found.virtual_thread_count;
        let room = options.virtual_threads - all.virtual_threads.len();
        all.virtual_threads.extend(s.found.virtual_threads.drain(..).take(room));
        progress(bytes);
        Ok(())
    })?;
    Ok((all, report))
}

//! Java threads: the VM's list, their java.lang.Thread objects and their TLABs. What thread dumps say of
//! them (`facts`), their monitors (`locks`), the kernel's notes of them (`notes`), and how old their references are
//! (`ages`).
//!
//! Knows nothing of stacks: a JavaThread's address is all that `frames` needs.

mod ages;
mod facts;
mod locks;
mod notes;

pub use ages::StackAges;
pub use facts::{ThreadFacts, VmThread};
pub use locks::{AwaitedLock, Locks, ObjectMonitor, Waiter, deadlocks};
pub use notes::{CpuTime, ThreadNotes};

use std::ops::Range;

use crate::corefile::{Memory, ThreadNote};
use crate::error::{Error, Result};
use crate::hotspot::Vm;
use crate::hotspot::classes::Klass;
use crate::hotspot::unexported::threads::BEING_BEFORE_FULLY_INITIALIZED;
use crate::hotspot::unexported::{PLAIN_THREAD, VIRTUAL_THREAD_STACKLESS, is_hidden_thread};
use crate::vmstructs::Fields;
use ages::Watermarks;

/// A stack of 1 GB is a mistake.
const MAX_STACK: u64 = 1 << 30;
/// More threads than Linux allows by default.
const MAX_THREADS: u32 = 1 << 22;

/// Threads that prove where an OSThread has its id.
const MAX_COMPARED: usize = 64;
/// An OSThread has about 200 bytes.
const MAX_OSTHREAD: u64 = 1 << 10;

/// The memory of the stack of the JavaThread at `thread`; empty where that cannot be read. An error where the tables do
/// not tell.
pub(in crate::hotspot) fn stack(mem: &Memory, f: &Fields, thread: u64) -> Result<Range<u64>> {
    let field = |offset| mem.u64(thread.wrapping_add(offset)).unwrap_or(0);
    let (base, size) = (field(f.thread_stack_base.get()?), field(f.thread_stack_size.get()?));
    Ok(base.saturating_sub(size.min(MAX_STACK))..base)
}

/// The memory of a Java thread's stack, guard pages included; empty where the tables do not tell it.
pub fn stack_of(vm: &Vm, thread: &JavaThread) -> Range<u64> {
    stack(vm.mem, &vm.fields, thread.addr).unwrap_or(0..0)
}

/// One JavaThread.
#[derive(Debug, Clone)]
pub struct JavaThread {
    /// JavaThread*.
    pub addr: u64,
    /// The java.lang.Thread object, 0 before it has one.
    pub object: u64,
    /// The virtual thread that it carries, 0 if none.
    pub mounted: u64,
    /// The kernel's thread id, 0 if unknown.
    pub tid: u32,
    /// JavaThread::_thread_state; none where it could not be read.
    pub state: Option<i32>,
    /// The object's name.
    pub name: String,
    /// It is about to end (JavaThread::is_exiting).
    pub is_exiting: bool,
    /// One of the VM's own, of which it shows nothing (JavaThread::is_hidden_from_external_view).
    pub is_hidden: bool,
    /// Where its TLAB starts, 0 where it has none.
    pub tlab_start: u64,
    /// The part of its TLAB that holds no objects, where it has one: (top, end).
    pub tlab_gap: Option<(u64, u64)>,
    /// How old the references on its stack and in its handles are, where they do not say it.
    pub ages: StackAges,
}

/// java.lang.VirtualThread: none before 19, and none where no virtual thread was ever made.
pub fn virtual_thread_class<'v>(vm: &'v Vm) -> Option<&'v Klass> {
    let klass = vm.classes.named("java/lang/VirtualThread")?;
    let object = vm.classes.named("java/lang/Object")?;
    (klass.init_state + BEING_BEFORE_FULLY_INITIALIZED >= object.init_state).then_some(klass)
}

/// Whether a virtual thread in this state has a stack.
pub fn has_stack(state: i32) -> bool {
    !VIRTUAL_THREAD_STACKLESS.contains(&state)
}

/// All Java threads in the list's order. Unreadable ones are told to `damaged`.
pub fn read(vm: &Vm, damaged: &mut Vec<String>) -> Result<Vec<JavaThread>> {
    let addresses = list(vm, damaged)?;
    let has_ages = ages::has_ages(vm) && !addresses.is_empty();
    let watermarks = if has_ages { Watermarks::find(vm, &addresses) } else { None };
    if has_ages && watermarks.is_none() {
        damaged.push("the stacks' watermarks were not found: references on stacks may lead to where their objects were".into());
    }
    let reader = ThreadReader {
        vm,
        exiting: vm.tables.constant("JavaThread::_thread_exiting"),
        reserve: tlab_reserve(vm),
    };
    let mut out = Vec::new();
    for addr in addresses {
        match reader.read(addr) {
            Ok(mut t) => {
                if let Some(watermarks) = &watermarks {
                    t.ages = watermarks.ages(vm.mem, addr).unwrap_or_else(|| {
                        damaged.push(format!(
                            "the StackWatermark of the thread at {addr:#x} is not readable: references on its stack may \
                             lead to where their objects were"
                        ));
                        StackAges::default()
                    });
                }
                out.push(t);
            }
            Err(e @ Error::MissingField { .. }) => return Err(e),
            Err(e) => damaged.push(e.to_string()),
        }
    }
    let class = |t: &JavaThread| vm.mem.u64(t.addr).ok();
    let plain = out.iter().find(|t| t.name == PLAIN_THREAD).and_then(class);
    for t in &mut out {
        t.is_hidden = is_hidden_thread(&t.name) && plain.is_none_or(|p| class(t) != Some(p));
    }
    Ok(out)
}

/// The JavaThreads' addresses: a linked list until 11, an array since.
fn list(vm: &Vm, damaged: &mut Vec<String>) -> Result<Vec<u64>> {
    let f = &vm.fields;
    let endless = |n: usize| Error::Corrupt(format!("a list of {n} threads"));
    let mut out = Vec::new();
    let what = || Error::unreadable("the list of threads");
    if let (Some(first), Some(next)) = (f.thread_first.opt(), f.thread_next.opt()) {
        let mut at = vm.mem.u64(first).map_err(what())?;
        while at != 0 {
            out.push(at);
            if out.len() > MAX_THREADS as usize {
                return Err(endless(out.len()));
            }
            at = vm.mem.u64(at.wrapping_add(next)).unwrap_or_else(|fault| {
                damaged.push(format!("the list of threads behind {at:#x}: {fault}"));
                0
            });
        }
        if !vm.eras.has_newest_thread_first() {
            out.reverse();
        }
        return Ok(out);
    }
    let list = vm.mem.u64(f.thread_list.get()?).map_err(what())?;
    let len = vm.mem.u32(list.wrapping_add(f.threads_length.get()?)).map_err(what())?;
    if len > MAX_THREADS {
        return Err(endless(len as usize));
    }
    let array = vm.mem.u64(list.wrapping_add(f.threads_array.get()?)).map_err(what())?;
    for i in 0..u64::from(len) {
        match vm.mem.u64(array.wrapping_add(i * 8)) {
            Ok(addr) => out.push(addr),
            Err(fault) => damaged.push(format!("JavaThread {i}: {fault}")),
        }
    }
    Ok(out)
}

/// Whether a thread has a TLAB. A collection that stops the world takes them all away before it moves or marks anything.
pub fn any_tlab(vm: &Vm) -> bool {
    let (Some(tlab), Some(start)) = (vm.fields.thread_tlab.opt(), vm.fields.tlab_start.opt())
    else {
        return false;
    };
    let has = |thread: &u64| {
        let start = vm.mem.u64(thread.wrapping_add(tlab).wrapping_add(start));
        start.is_ok_and(|start| start != 0)
    };
    list(vm, &mut Vec::new()).is_ok_and(|all| all.iter().any(has))
}

/// Reads one thread, with the facts that are the same for all.
struct ThreadReader<'v> {
    vm: &'v Vm<'v>,
    /// JavaThread::_thread_exiting; unknown in 8.
    exiting: Option<i64>,
    reserve: u64,
}

impl ThreadReader<'_> {
    fn read(&self, addr: u64) -> Result<JavaThread> {
        let (vm, f) = (self.vm, &self.vm.fields);
        let what = || Error::unreadable(format!("the JavaThread at {addr:#x}"));
        let at = |offset: u64| addr.wrapping_add(offset);
        let object = vm.reader().object(addr, f.thread_obj)?;
        let vthread = f.thread_vthread.opt().map(|_| vm.reader().object(addr, f.thread_vthread));
        let vthread = vthread.transpose()?.unwrap_or(0);
        let mounted = if vthread == object { 0 } else { vthread };
        // _thread_exiting and the states behind it count up (javaThread.hpp).
        let is_exiting = match self.exiting {
            Some(exiting) => {
                let state = vm.mem.i32(at(f.thread_terminated.get()?)).map_err(what())?;
                i64::from(state) >= exiting
            }
            None => false,
        };
        let name = vm.oop_field(object, "name").and_then(|s| vm.text(s)).unwrap_or_default();
        let tlab = at(f.thread_tlab.get()?);
        let tlab = |offset: u64| vm.mem.u64(tlab.wrapping_add(offset)).map_err(what());
        let (start, top) = (tlab(f.tlab_start.get()?)?, tlab(f.tlab_top.get()?)?);
        let end = tlab(f.tlab_end.get()?)?;
        let tlab_gap = (start != 0 && start <= top && top <= end)
            .then(|| (top, end.saturating_add(self.reserve)));
        let tid = || match vm.osthread_id {
            Some(id) => {
                let os = vm.mem.u64(at(f.thread_osthread.opt()?)).ok()?;
                vm.mem.u32(os.wrapping_add(id)).ok()
            }
            None => note_of(vm, addr).map(|n| n.tid as u32),
        };
        let state = f.thread_state.opt().and_then(|o| vm.mem.i32(at(o)).ok());
        Ok(JavaThread {
            addr,
            object,
            mounted,
            tid: tid().unwrap_or(0),
            state,
            name,
            is_exiting,
            is_hidden: false,
            tlab_start: start,
            tlab_gap,
            ages: StackAges::default(),
        })
    }
}

/// The registers of the thread whose stack the JavaThread at `addr` has.
fn note_of<'v>(vm: &Vm<'v>, addr: u64) -> Option<&'v ThreadNote> {
    let (base, size) = (vm.fields.thread_stack_base.opt()?, vm.fields.thread_stack_size.opt()?);
    let word = |offset: u64| vm.mem.u64(addr.wrapping_add(offset)).ok();
    let high = word(base)?;
    let low = high.checked_sub(word(size)?)?;
    vm.notes.within(low, high).next()
}

/// The offset of `OSThread::_thread_id`. The tables of the Zero VM lack it: there it is the first
/// that holds the kernel's id in each thread's OSThread.
pub fn osthread_id(vm: &Vm) -> Option<u64> {
    if let Some(known) = vm.fields.osthread_id.opt() {
        return Some(known);
    }
    let osthread = vm.fields.thread_osthread.opt()?;
    let known = list(vm, &mut Vec::new()).ok()?.into_iter().filter_map(|thread| {
        let os = vm.mem.u64(thread.wrapping_add(osthread)).ok()?;
        Some((os, note_of(vm, thread)?.tid))
    });
    let known: Vec<(u64, i32)> = known.take(MAX_COMPARED).collect();
    let size = vm.tables.size_of("OSThread")?.min(MAX_OSTHREAD);
    let is = |offset: &u64| {
        known.iter().all(|(os, tid)| vm.mem.i32(os.wrapping_add(*offset)) == Ok(*tid))
    };
    (0..size).step_by(4).find(is).filter(|_| !known.is_empty())
}

/// Bytes kept free behind a TLAB's end for the filler that retires it
/// (threadLocalAllocBuffer.cpp, `end_reserve`).
fn tlab_reserve(vm: &Vm) -> u64 {
    let word = |field: crate::vmstructs::Field| {
        vm.mem.u64(field.opt()?).ok().filter(|words| *words < 1 << 20)
    };
    let prefetch = vm.fields.tlab_prefetch_reserve.opt();
    let prefetch = prefetch.and_then(|a| vm.mem.i32(a).ok()).and_then(|v| u64::try_from(v).ok());
    let prefetch = prefetch.filter(|words| *words < 1 << 20).unwrap_or(0);
    // min_dummy_object_size: an object header, rounded up. In 8 the header of an
    // int[].
    let filler = match vm.eras.fills_with_arrays() {
        true => (vm.pointers.array_length + 4).div_ceil(8),
        false => word(vm.fields.lab_alignment_reserve).unwrap_or(2),
    };
    vm.pointers.align(filler.max(prefetch) * 8)
}

//! Threads' stacks: Java threads' as the VM knows them, all others' by the stack pointer and, where the CPU has it in a
//! register, the thread pointer.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde::Serialize;

use super::space::{AddressSpace, is_anonymous};
use crate::corefile::{CoreFile, ThreadNote};
use crate::format::ranges::{Ranges, both, common, union};
use crate::heap::Heap;
use crate::hotspot::Vm;
use crate::hotspot::threads::{self, JavaThread};

/// glibc has a thread's own data (struct pthread, nptl/descr.h, to which the thread pointer leads) at the upper end of its
/// stack: less than a page.
const PTHREAD: u64 = 4096;
/// Larger stacks are mistakes.
const MAX_STACK: u64 = 1 << 30;

/// Whose stack it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A Java thread.
    Java,
    /// A thread of the VM's own: the collector's, the VM thread.
    Vm,
    /// Any other thread of the process, the one that started the JVM among them.
    Native,
}

impl Owner {
    /// In words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Owner::Java => "Java threads",
            Owner::Vm => "threads of the VM",
            Owner::Native => "other threads",
        }
    }
}

/// What a thread takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThreadMemory {
    /// Its name, or the kernel's for it.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// The kernel's id; 0 where that is not known.
    pub os_thread: u32,
    /// Bytes reserved for its stack.
    pub stack_reserved_bytes: u64,
    /// Bytes of it in memory.
    pub stack_resident_bytes: u64,
    /// Bytes of its TLAB, in the Java heap; none of a thread that has none.
    pub tlab_bytes: Option<u64>,
    /// Bytes that it allocated in the Java heap since it was started.
    pub allocated_bytes: Option<u64>,
    /// Bytes of direct buffers that nothing but it holds; none where that was not asked, and of what is no Java thread.
    pub direct_bytes: Option<u64>,
    /// The java.lang.Thread.
    #[serde(skip)]
    pub(super) object: Option<u64>,
    #[serde(skip)]
    pub(super) stack: Range<u64>,
}

/// All threads of the process, those with the most stack in memory first.
pub(super) fn find(core: &CoreFile, heap: &Heap, space: &AddressSpace) -> Vec<ThreadMemory> {
    let (vm, java) = (heap.vm, &heap.threads);
    let names = core.thread_names();
    let kernel_name = |tid: i32| names.get(&tid).map(|n| (*n).to_owned());
    let of_vm = vm.vm_threads(java, kernel_name).into_iter().map(|t| (t.tid, t.name));
    let of_vm: HashMap<i32, String> = of_vm.collect();
    let known: HashSet<u32> = java.iter().map(|t| t.tid).collect();
    let mut out: Vec<ThreadMemory> = java.iter().map(|t| java_thread(vm, t)).collect();
    for note in core.threads().iter().filter(|n| !known.contains(&(n.tid as u32))) {
        let (name, owner) = match of_vm.get(&note.tid) {
            Some(name) => (Some(name.clone()), Owner::Vm),
            None => (kernel_name(note.tid), Owner::Native),
        };
        out.push(ThreadMemory {
            name: name.unwrap_or_default(),
            owner,
            os_thread: note.tid as u32,
            stack_reserved_bytes: 0,
            stack_resident_bytes: 0,
            tlab_bytes: None,
            allocated_bytes: None,
            direct_bytes: None,
            object: None,
            stack: native_stack(note, space).unwrap_or(0..0),
        });
    }
    for t in &mut out {
        let stack = [(t.stack.start, t.stack.end)];
        t.stack_reserved_bytes = t.stack.end - t.stack.start;
        t.stack_resident_bytes = common(&stack, &space.resident);
    }
    out.sort_by_key(|t| (Reverse(t.stack_resident_bytes), t.os_thread));
    out
}

/// The stacks of these threads.
pub(super) fn ranges(threads: &[ThreadMemory], owner: Owner) -> Ranges {
    let of = threads.iter().filter(|t| t.owner == owner && !t.stack.is_empty());
    of.map(|t| (t.stack.start, t.stack.end)).collect()
}

/// What of the stacks nobody may touch.
pub(super) fn guards(threads: &[ThreadMemory], space: &AddressSpace) -> Ranges {
    let stacks = threads.iter().filter(|t| !t.stack.is_empty());
    let stacks = union(stacks.map(|t| (t.stack.start, t.stack.end)).collect());
    let shut = space.areas.iter().filter(|a| is_anonymous(a) && a.flags & 7 == 0);
    both(&stacks, &shut.map(|a| (a.start, a.end)).collect::<Ranges>()).collect()
}

fn java_thread(vm: &Vm, t: &JavaThread) -> ThreadMemory {
    let tlab = vm.tlab(t).map(|(start, end)| end.saturating_sub(start));
    ThreadMemory {
        name: t.name.clone(),
        owner: Owner::Java,
        os_thread: t.tid,
        stack_reserved_bytes: 0,
        stack_resident_bytes: 0,
        tlab_bytes: tlab,
        allocated_bytes: vm.allocated_bytes(t),
        direct_bytes: None,
        object: Some(t.object),
        stack: threads::stack_of(vm, t),
    }
}

/// The mapping that the stack pointer lies in, up to the thread's own data.
fn native_stack(note: &ThreadNote, space: &AddressSpace) -> Option<Range<u64>> {
    let (sp, words) = note.registers();
    let area = space.at(sp).filter(|a| is_anonymous(a) && a.flags & 2 != 0)?;
    let pointer = note.cpu.facts().thread_pointer.and_then(|i| words.get(i).copied());
    // The first thread has its own data elsewhere.
    let top = pointer.filter(|p| sp < *p && *p < area.end);
    let end = top.map_or(area.end, |p| p.saturating_add(PTHREAD).min(area.end));
    (end - area.start <= MAX_STACK).then_some(area.start..end)
}

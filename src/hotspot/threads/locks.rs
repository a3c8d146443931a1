//! Monitors: which there are, who owns them, and who waits for whom in a circle.

use std::collections::HashMap;

use super::JavaThread;
use crate::hotspot::Vm;
use crate::hotspot::unexported::threads::{ANONYMOUS_OWNER, LOCK_MASK, MONITOR};
use crate::vmstructs::Field;

/// More inflated monitors than this run in a circle.
const MAX_MONITORS: usize = 1 << 24;
/// `lockStack.hpp`: entries; the stack has 8 in all JDKs so far.
const MAX_LOCK_STACK: u64 = 64;
/// A stack of 1 GB is a mistake.
const MAX_STACK: u64 = 1 << 30;

/// An ObjectMonitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectMonitor {
    /// ObjectMonitor*.
    pub addr: u64,
    /// The object, 0 where it died.
    pub object: u64,
    /// `_owner` as it is: a JavaThread, a place on its stack, or a thread's id.
    pub owner: u64,
}

/// All that is known of locks.
#[derive(Debug)]
pub struct Locks<'v> {
    vm: &'v Vm<'v>,
    by_object: HashMap<u64, ObjectMonitor>,
    owners: Owners,
}

/// Threads by what an ObjectMonitor says of its owner; by their numbers in the list of threads.
#[derive(Debug, Default)]
struct Owners {
    by_addr: HashMap<u64, usize>,
    by_id: HashMap<u64, usize>,
    /// By the objects that they have locked lightly.
    by_locked: HashMap<u64, usize>,
    /// Stacks by their ends: start, end, thread.
    stacks: Vec<(u64, u64, usize)>,
}

impl<'v> Locks<'v> {
    /// Reads all monitors and the threads' lock stacks.
    pub fn read(vm: &'v Vm<'v>, threads: &[JavaThread]) -> Locks<'v> {
        let owners = Owners::read(vm, threads);
        let mut locks = Locks { vm, by_object: HashMap::new(), owners };
        for addr in monitors(vm) {
            if let Some(m) = locks.monitor_at(addr).filter(|m| m.object != 0) {
                locks.by_object.insert(m.object, m);
            }
        }
        locks
    }

    /// The ObjectMonitor at `addr`.
    pub fn monitor_at(&self, addr: u64) -> Option<ObjectMonitor> {
        let f = &self.vm.fields;
        let word = |field: Field| self.vm.mem.u64(addr.wrapping_add(field.opt()?)).ok();
        let bits = word(f.monitor_object)?;
        // An oop in old VMs, a weak handle since. A handle's slot is no object of the heap.
        let object = match f.monitor_next_om.opt() {
            None => self.vm.barrier.resolve(self.vm.mem, bits),
            Some(_) if bits == 0 => 0,
            Some(_) => self.vm.barrier.resolve(self.vm.mem, self.vm.mem.u64(bits).ok()?),
        };
        Some(ObjectMonitor { addr, object, owner: word(f.monitor_owner)? })
    }

    /// The monitor of an object that has one.
    pub fn monitor_of(&self, object: u64) -> Option<ObjectMonitor> {
        let mark = self.vm.mem.u64(object).ok()?;
        if mark & LOCK_MASK != MONITOR {
            return None;
        }
        self.by_object
            .get(&object)
            .copied()
            .or_else(|| self.monitor_at(mark & !LOCK_MASK).filter(|m| m.object == object))
    }

    /// Whether the JavaThread at `thread` owns a monitor.
    pub fn is_owner(&self, m: &ObjectMonitor, thread: u64) -> bool {
        self.owner(m).is_some_and(|i| self.owners.by_addr.get(&thread) == Some(&i))
    }

    /// The thread that owns a monitor: its number in the list of threads.
    pub fn owner(&self, m: &ObjectMonitor) -> Option<usize> {
        if m.owner == 0 {
            return None;
        }
        let owners = &self.owners;
        if m.owner == ANONYMOUS_OWNER {
            return owners.by_locked.get(&m.object).copied();
        }
        match self.vm.fields.thread_owner_id.opt() {
            Some(_) => owners.by_id.get(&m.owner).copied(),
            None => owners.by_addr.get(&m.owner).copied().or_else(|| owners.by_stack(m.owner)),
        }
    }
}

impl Owners {
    fn read(vm: &Vm, threads: &[JavaThread]) -> Owners {
        let f = &vm.fields;
        let mut out = Owners::default();
        for (i, t) in threads.iter().enumerate() {
            let word = |field: Field| vm.mem.u64(t.addr.wrapping_add(field.opt()?)).ok();
            out.by_addr.entry(t.addr).or_insert(i);
            if let Some(id) = word(f.thread_owner_id) {
                out.by_id.entry(id).or_insert(i);
            }
            for object in lock_stack(vm, t).unwrap_or_default() {
                out.by_locked.entry(object).or_insert(i);
            }
            let base = word(f.thread_stack_base).unwrap_or(0);
            let size = word(f.thread_stack_size).unwrap_or(0).min(MAX_STACK);
            out.stacks.push((base.saturating_sub(size), base, i));
        }
        out.stacks.sort_unstable_by_key(|s| (s.1, s.2));
        out
    }

    /// The thread in whose stack an address is: stacks are disjoint.
    fn by_stack(&self, addr: u64) -> Option<usize> {
        let i = self.stacks.partition_point(|s| s.1 <= addr);
        self.stacks.get(i).filter(|s| s.0 <= addr).map(|s| s.2)
    }
}

/// The objects on a thread's lock stack; `_top` is an offset from the JavaThread.
fn lock_stack(vm: &Vm, t: &JavaThread) -> Option<Vec<u64>> {
    let f = &vm.fields;
    let stack = f.thread_lock_stack.opt()?;
    let top = u64::from(vm.mem.u32(t.addr.wrapping_add(stack + f.lock_stack_top.opt()?)).ok()?);
    let base = stack + f.lock_stack_base.opt()?;
    let count = top.saturating_sub(base) / 8;
    let slots = (0..count.min(MAX_LOCK_STACK)).map(|i| t.addr.wrapping_add(base + i * 8));
    let object = |at| vm.barrier.plausible(vm.mem, vm.mem.u64(at).ok()?, t.ages.head());
    Some(slots.filter_map(object).collect())
}

/// The addresses of all ObjectMonitors: a list from 16 on, blocks of them before.
fn monitors(vm: &Vm) -> Vec<u64> {
    let f = &vm.fields;
    let mut out = Vec::new();
    let list = f.monitors_in_use.opt().zip(f.monitor_next_om.opt());
    if let Some((list, next)) = list {
        let head = list.wrapping_add(f.monitor_list_head.opt().unwrap_or(0));
        let mut at = vm.mem.u64(head).unwrap_or(0);
        while at != 0 && out.len() < MAX_MONITORS {
            out.push(at);
            at = vm.mem.u64(at.wrapping_add(next)).unwrap_or(0);
        }
        return out;
    }
    let (Some(first), Some(next)) = (f.monitor_blocks.opt(), f.monitor_next.opt()) else {
        return out;
    };
    let size = vm.tables.size_of("ObjectMonitor").filter(|s| (1..4096).contains(s));
    let count = vm.tables.constant("ObjectSynchronizer::_BLOCKSIZE");
    let (Some(size), Some(count)) = (size, count.filter(|n| (1..4096).contains(n))) else {
        return out;
    };
    let mut block = vm.mem.u64(first).unwrap_or(0);
    while block != 0 && out.len() < MAX_MONITORS {
        out.extend((1..count as u64).map(|i| block.wrapping_add(i * size)));
        block = vm.mem.u64(block.wrapping_add(next)).unwrap_or(0);
    }
    out
}

/// What a thread waits for to own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwaitedLock {
    /// An inflated monitor.
    Monitor(ObjectMonitor),
    /// A java.util.concurrent ownable synchronizer.
    Synchronizer(u64),
}

/// A thread in a deadlock: who, what it wants, who has it.
pub type Waiter = (usize, AwaitedLock, Option<usize>);

/// Threads that wait for one another in a circle (ThreadService::find_deadlocks_at_safepoint).
/// `wanted` gives what a thread waits for, and its owner.
pub fn deadlocks(
    threads: usize,
    wanted: impl Fn(usize) -> Option<(AwaitedLock, Option<usize>)>,
) -> Vec<Vec<Waiter>> {
    let mut number: HashMap<usize, usize> = HashMap::new();
    let mut out = Vec::new();
    for first in 0..threads {
        if number.contains_key(&first) {
            continue;
        }
        let this = number.len();
        number.insert(first, this);
        let (mut at, mut previous) = (first, first);
        let mut cycle = Vec::new();
        while let Some((what, owner)) = wanted(at) {
            cycle.push((at, what, owner));
            let Some(owner) = owner else { break };
            let next = number.len();
            match number.get(&owner) {
                None => {
                    number.insert(owner, next);
                }
                Some(n) if *n < this => break,
                Some(_) if owner == previous => break,
                Some(_) => {
                    out.push(std::mem::take(&mut cycle));
                    break;
                }
            }
            previous = owner;
            at = owner;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads by whom they wait for.
    fn found(waits: &[Option<usize>]) -> Vec<Vec<usize>> {
        let wanted = |i: usize| waits[i].map(|o| (AwaitedLock::Synchronizer(o as u64), Some(o)));
        let all = deadlocks(waits.len(), wanted);
        all.iter().map(|c| c.iter().map(|w| w.0).collect()).collect()
    }

    #[test]
    fn circles_are_found_once() {
        assert_eq!(found(&[Some(1), Some(0), None]), [[0, 1]]);
        assert_eq!(
            found(&[Some(1), Some(2), Some(0), Some(4), Some(3)]),
            [vec![0, 1, 2], vec![3, 4]]
        );
    }

    #[test]
    fn a_thread_that_waits_for_one_in_a_circle_is_shown_with_it_if_it_comes_first() {
        assert_eq!(found(&[Some(1), Some(2), Some(1)]), [[0, 1, 2]]);
        assert_eq!(found(&[Some(1), Some(0), Some(0)]), [[0, 1]]);
    }

    #[test]
    fn chains_are_no_circles() {
        assert!(found(&[Some(1), Some(2), None]).is_empty());
        assert!(found(&[Some(0)]).is_empty());
    }
}

//! What a thread dump says of a thread beside its stack.

use std::collections::HashSet;

use super::JavaThread;
use crate::corefile::ThreadNote;
use crate::hotspot::Vm;
use crate::hotspot::classes::{Kind, Klass};
use crate::hotspot::states::{JavaState, OsState, VmState};
use crate::hotspot::unexported::threads::{
    BEING_BEFORE_FULLY_INITIALIZED, CLASS_WAITS, OS_STATES, STATE_BEFORE_INTERRUPTED, STATUS,
    TIMER, UNNAMED,
};

/// JavaThread has about 2 KB.
const MAX_THREAD: u64 = 1 << 14;
/// How far behind the thread pointer glibc keeps the argument of a thread's start.
const MAX_TCB: u64 = 0x1000;
/// Names of threads.
const MAX_NAME: u64 = 256;

/// Whether `kernel` is how the kernel may know a thread of this name: its first 15 bytes, or from
/// 26 on its beginning and its end with two dots between.
fn shortened(name: &str, kernel: &str) -> bool {
    match kernel.split_once("..") {
        Some((start, end)) => name.starts_with(start) && name.ends_with(end),
        None => name.starts_with(kernel),
    }
}

/// The java.lang.Thread's side of a thread.
#[derive(Debug, Clone, Default)]
pub struct ThreadFacts {
    /// `getId()`.
    pub number: Option<i64>,
    /// `isDaemon()`.
    pub daemon: bool,
    /// `getPriority()`.
    pub priority: Option<i32>,
    /// `java.lang.Thread.State`; none where it could not be read.
    pub state: Option<JavaState>,
    /// `LockSupport.getBlocker`, 0 if there is none.
    pub park_blocker: u64,
}

/// The state that a JavaThreadStatus stands for.
fn java_state(status: i64) -> JavaState {
    STATUS.iter().find(|s| s.0 == status).map_or(JavaState::Unknown(status), |s| s.1)
}

/// A thread of the VM's own: collector, compiler control, timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmThread {
    /// Thread*, where it was found.
    pub addr: u64,
    /// Its name, or the kernel's name of it.
    pub name: String,
    /// The kernel's id.
    pub tid: i32,
    /// OSThread::_state.
    pub state: Option<OsState>,
    /// HotSpot's own thread dumps list it.
    pub listed: bool,
}

impl Vm<'_> {
    fn primitive(&self, object: u64, name: &str) -> Option<i64> {
        let field = self.classes.field(&self.reader(), self.klass_of(object)?, name)?;
        let at = object.wrapping_add(u64::from(field.offset));
        Some(match field.kind {
            b'J' => self.mem.u64(at).ok()? as i64,
            b'I' => self.mem.i32(at).ok()?.into(),
            b'Z' => (self.mem.u8(at).ok()? != 0).into(),
            _ => return None,
        })
    }

    /// The facts of the java.lang.Thread at `object`. From 19 most are in a FieldHolder.
    pub fn thread_facts(&self, object: u64) -> ThreadFacts {
        let holder = self.oop_field(object, "holder").unwrap_or(0);
        let either =
            |name: &str| self.primitive(holder, name).or_else(|| self.primitive(object, name));
        ThreadFacts {
            number: self.primitive(object, "tid"),
            daemon: either("daemon") == Some(1),
            priority: either("priority").map(|p| p as i32),
            state: either("threadStatus").map(java_state),
            park_blocker: self.oop_field(object, "parkBlocker").unwrap_or(0),
        }
    }

    /// JavaThread::_thread_state; none where it could not be read.
    pub fn vm_state(&self, t: &JavaThread) -> Option<VmState> {
        let number = i64::from(t.state?);
        let is_it = |s: &VmState| self.tables.constant(&format!("_{s}")) == Some(number);
        Some(VmState::ALL.iter().copied().find(is_it).unwrap_or(VmState::Unknown(number)))
    }

    /// OSThread::_state of the Thread at `thread`.
    pub fn os_state(&self, thread: u64) -> Option<OsState> {
        let f = &self.fields;
        let os = self.mem.u64(thread.wrapping_add(f.thread_osthread.opt()?)).ok()?;
        let state = match (f.osthread_state.opt(), f.osthread_interrupted.opt()) {
            (Some(state), _) => state,
            (None, Some(interrupted)) => interrupted.checked_sub(STATE_BEFORE_INTERRUPTED)?,
            (None, None) => return None,
        };
        let number = self.mem.i32(os.wrapping_add(state)).ok()?;
        let known = usize::try_from(number).ok().and_then(|n| OS_STATES.get(n));
        Some(known.copied().unwrap_or(OsState::Unknown(number.into())))
    }

    /// `Thread::cooked_allocated_bytes`: what was counted, and what is used of the TLAB.
    pub fn allocated_bytes(&self, t: &JavaThread) -> Option<u64> {
        let f = &self.fields;
        let at = |o: u64| self.mem.u64(t.addr.wrapping_add(o)).ok();
        let counted = at(f.thread_allocated.opt()?)?;
        let tlab = f.thread_tlab.opt()?;
        let (start, top) = (at(tlab + f.tlab_start.opt()?)?, at(tlab + f.tlab_top.opt()?)?);
        Some(counted.wrapping_add(top.saturating_sub(start)))
    }

    /// The thread's buffer for allocation: bytes from its start to where it is full, and those of them that are used.
    /// None where it has none.
    pub fn tlab(&self, t: &JavaThread) -> Option<(u64, u64)> {
        let f = &self.fields;
        let tlab = f.thread_tlab.opt()?;
        let at = |field: crate::vmstructs::Field| {
            self.mem.u64(t.addr.wrapping_add(tlab + field.opt()?)).ok()
        };
        let (start, top, end) = (at(f.tlab_start)?, at(f.tlab_top)?, at(f.tlab_end)?);
        (start != 0 && start <= top && top <= end).then(|| (end - start, top - start))
    }

    /// The class whose initialisation by another thread this one waits for. The tables do not
    /// name `JavaThread::_class_to_be_initialized`: it is the one word of the JavaThread that is
    /// such a class.
    pub fn awaited_class(&self, t: &JavaThread) -> Option<&Klass> {
        // Object is initialised in all VMs that have run a thread.
        let object = self.classes.named("java/lang/Object")?.init_state;
        let being_initialized = object.checked_sub(BEING_BEFORE_FULLY_INITIALIZED)?;
        if !CLASS_WAITS.contains(&(being_initialized, self.os_state(t.addr)?)) {
            return None;
        }
        let size = self.tables.size_of("JavaThread")?.min(MAX_THREAD);
        let words = (0..size / 8).filter_map(|i| self.mem.u64(t.addr.wrapping_add(i * 8)).ok());
        let mut found = words.filter_map(|w| self.classes.get(w));
        found.find(|k| k.kind == Kind::Instance && k.init_state == being_initialized)
    }

    /// The Thread that a kernel's thread runs. glibc keeps the argument of its start, a Thread,
    /// near the thread pointer (x86-64: fs); its OSThread's id proves it.
    fn thread_of(&self, note: &ThreadNote) -> Option<u64> {
        let (_, words) = note.registers();
        let start = *words.get(self.cpu.facts().thread_pointer?)?;
        let f = &self.fields;
        let (osthread, id) = (f.thread_osthread.opt()?, self.osthread_id?);
        let is_thread = |t: &u64| -> Option<bool> {
            let os = self.mem.u64(t.wrapping_add(osthread)).ok().filter(|o| *o > 0x1000)?;
            Some(self.mem.i32(os.wrapping_add(id)).ok()? == note.tid)
        };
        (0..MAX_TCB / 8)
            .filter_map(|i| self.mem.u64(start.wrapping_add(i * 8)).ok())
            .filter(|t| *t > 0x1000 && t.is_multiple_of(8))
            .find(|t| is_thread(t) == Some(true))
    }

    /// The threads that are no Java threads, newest first, as HotSpot lists them. `kernel_name`
    /// gives what the core itself calls them.
    pub fn vm_threads(
        &self,
        threads: &[JavaThread],
        kernel_name: impl Fn(i32) -> Option<String>,
    ) -> Vec<VmThread> {
        let ids: HashSet<u32> = threads.iter().map(|t| t.tid).collect();
        let java: HashSet<u64> = threads.iter().map(|t| t.addr).collect();
        // That of the process: threads have it that nobody named.
        let inherited = self.notes.all().iter().map(|n| n.tid).min().and_then(&kernel_name);
        let mut out: Vec<VmThread> = self
            .notes
            .all()
            .iter()
            .filter(|n| !ids.contains(&(n.tid as u32)))
            .filter_map(|n| self.vm_thread(n, kernel_name(n.tid), inherited.as_deref()))
            .filter(|t| t.addr == 0 || !java.contains(&t.addr))
            .collect();
        // The thread that started the process only waits for the VM's end: it is no Thread.
        if out.iter().any(|t| t.addr != 0) {
            out.retain(|t| t.addr != 0);
        }
        let nameless = out.iter().filter(|t| t.name.is_empty()).count();
        for t in out.iter_mut().filter(|t| t.name.is_empty()) {
            t.name = if nameless == 1 { TIMER } else { "(a thread of the VM)" }.into();
        }
        match self.eras.has_vm_thread_first() {
            true => out.sort_by_key(|t| (t.name != "VM Thread", t.tid)),
            false => out.sort_by_key(|t| std::cmp::Reverse(t.tid)),
        }
        out
    }

    fn vm_thread(
        &self,
        note: &ThreadNote,
        kernel: Option<String>,
        inherited: Option<&str>,
    ) -> Option<VmThread> {
        let addr = self.thread_of(note);
        let kernel = kernel.as_deref();
        let unnamed = UNNAMED.iter().find(|u| kernel.is_some_and(|k| shortened(u.0, k)));
        // Where it is no NamedThread, something else may lie there.
        let own = addr.and_then(|a| self.named_thread(a));
        let own =
            own.filter(|own| unnamed.is_none_or(|_| kernel.is_some_and(|k| shortened(own, k))));
        let (name, listed) = match (own, unnamed, kernel) {
            (Some(own), ..) => (own, true),
            (None, Some((name, listed)), _) => ((*name).to_owned(), *listed),
            (None, None, Some(k)) if addr.is_some() && Some(k) == inherited => {
                (TIMER.to_owned(), true)
            }
            (None, None, Some(k)) => (k.to_owned(), true),
            // Of those without a name the timer alone is in all VMs.
            (None, None, None) if addr.is_some() => (String::new(), true),
            (None, None, None) => return None,
        };
        let state = addr.and_then(|a| self.os_state(a));
        Some(VmThread { addr: addr.unwrap_or(0), name, tid: note.tid, state, listed })
    }

    /// `NamedThread::_name` of the Thread at `addr`, if it looks like a name.
    fn named_thread(&self, addr: u64) -> Option<String> {
        let name = self.fields.named_thread_name.opt()?;
        let name = self.mem.u64(addr.wrapping_add(name)).ok()?;
        let bytes = self.mem.cstr(name, MAX_NAME).ok().filter(|b| b.len() > 2)?;
        let plain = bytes.iter().all(|b| (b' '..0x7f).contains(b));
        plain.then(|| String::from_utf8_lossy(bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_names_are_short() {
        assert!(shortened(TIMER, "VM Periodic Tas"));
        assert!(shortened(TIMER, "VM Peri..Thread"));
        assert!(shortened("G1 Conc#0", "G1 Conc#0"));
        assert!(!shortened("G1 Conc#0", "G1 Refine#0"));
    }
}

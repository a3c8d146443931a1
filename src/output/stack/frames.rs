//! Frames as they are shown: where they are in the source, and what they lock.

use std::collections::HashMap;

use super::{Address, Frame, Lock, LockKind, Place, Slot, SlotPlace};
use crate::hotspot::Vm;
use crate::hotspot::frames::{self, FrameKind, Value, Walker};
use crate::hotspot::states::JavaState;
use crate::hotspot::threads::{JavaThread, Locks, ThreadFacts};
use crate::output::redact::Redaction;

/// Makes frames of what the walk found.
#[derive(Debug)]
pub(super) struct FrameReader<'w> {
    pub walker: &'w Walker<'w>,
    pub locks: &'w Locks<'w>,
    /// By the class: its name and its module.
    classes: HashMap<u64, (String, Option<String>)>,
    /// Whether values are wanted.
    values: bool,
    /// What of these is not to be shown.
    redaction: Option<&'w Redaction>,
}

/// Whose frames they are.
pub(super) struct Owner<'t> {
    pub thread: &'t JavaThread,
    pub facts: &'t ThreadFacts,
}

impl<'w> FrameReader<'w> {
    pub(super) fn new(
        walker: &'w Walker<'w>,
        locks: &'w Locks<'w>,
        values: bool,
        redaction: Option<&'w Redaction>,
    ) -> FrameReader<'w> {
        FrameReader { walker, locks, classes: HashMap::new(), values, redaction }
    }

    fn vm(&self) -> &'w Vm<'w> {
        self.walker.vm
    }

    /// One frame; `first` says that it is the innermost of its thread. A virtual thread that no
    /// carrier runs has no thread: it locks nothing that the VM would tell.
    pub(super) fn frame(
        &mut self,
        frame: &frames::Frame,
        owner: Option<&Owner>,
        first: bool,
    ) -> Frame {
        let vm = self.vm();
        let m = &frame.method;
        let symbol = |at: u64| vm.reader().symbol(at).unwrap_or_else(|| "?".into());
        let (class, module) = self
            .classes
            .entry(m.holder)
            .or_insert_with(|| match vm.classes.get(m.holder) {
                Some(k) => (vm.external_name(k), vm.module(k).map(|m| m.text())),
                None => (unloaded(vm, m.holder), None),
            })
            .clone();
        let locks = match owner {
            Some(owner) => self.lock_lines(frame, owner, first),
            None => Vec::new(),
        };
        let values = if self.values { self.values(frame, &class) } else { Vec::new() };
        Frame {
            place: Place {
                class,
                module,
                method: symbol(m.name),
                descriptor: symbol(m.signature),
                file: (m.source_file != 0).then(|| symbol(m.source_file)),
                line: m.line(vm, frame.bci),
                bci: frame.bci,
                native: m.is_native,
            },
            kind: frame.kind,
            trust: frame.trust,
            locks,
            values,
        }
    }

    /// Those of a frame of a method of `class`.
    fn values(&self, frame: &frames::Frame, class: &str) -> Vec<Slot> {
        // What a native method's frame has behind its arguments is the VM's own.
        let expressions = match frame.method.is_native {
            true => Vec::new(),
            false => self.walker.expressions(frame),
        };
        let all =
            [(SlotPlace::Local, self.walker.typed_locals(frame)), (SlotPlace::Stack, expressions)];
        let slots = all.into_iter().flat_map(|(place, values)| {
            values.into_iter().enumerate().map(move |(i, v)| (place, i, v))
        });
        let hides_numbers = self.redaction.is_some_and(|r| r.hides_numbers_of(class));
        slots
            .filter_map(|(place, i, v)| {
                let class_of = |at| self.class_of(at);
                Slot::new(self.vm(), place, i, v, class_of, self.redaction)
            })
            .map(|slot| if hides_numbers { slot.without_number() } else { slot })
            .collect()
    }

    /// `javaVFrame::print_lock_info_on`.
    fn lock_lines(&self, frame: &frames::Frame, owner: &Owner, first: bool) -> Vec<Lock> {
        let mut out = Vec::new();
        if first {
            out.extend(self.waits(frame, owner));
        }
        let mut found = false;
        for m in self.walker.monitors(frame) {
            if m.eliminated && frame.kind != FrameKind::Interpreted {
                match m.is_scalar {
                    true => {
                        out.push(Lock { kind: LockKind::Eliminated, object: None, class: None });
                    }
                    false if m.object != 0 => out.push(self.lock(LockKind::Eliminated, m.object)),
                    false => {}
                }
                continue;
            }
            if m.object == 0 {
                continue;
            }
            let kind = match (first, found) {
                (true, false) if self.wants(m.object, owner.thread) => LockKind::WaitingToLock,
                (false, _)
                    if self.vm().eras.tells_relocking() && self.wants(m.object, owner.thread) =>
                {
                    LockKind::WaitingToRelockInWait
                }
                _ => LockKind::Locked,
            };
            out.push(self.lock(kind, m.object));
            found = true;
        }
        out
    }

    /// What the innermost frame waits for.
    fn waits(&self, frame: &frames::Frame, owner: &Owner) -> Option<Lock> {
        let vm = self.vm();
        let name = vm.reader().symbol(frame.method.name).unwrap_or_default();
        let holder = vm.classes.get(frame.method.holder).map_or("", |k| k.name.as_str());
        if holder == "java/lang/Object" && (name == "wait" || name == "wait0") {
            let locals = self.walker.locals(frame);
            let Some(Value::Object(object)) = locals.first().copied() else {
                let says = locals.is_empty() && vm.eras.tells_unknown_waits();
                return says.then_some(Lock {
                    kind: LockKind::WaitingOn,
                    object: None,
                    class: None,
                });
            };
            let kind = match owner.facts.state == Some(JavaState::BlockedOnMonitorEnter) {
                true => LockKind::WaitingToRelockInWait,
                false => LockKind::WaitingOn,
            };
            return (object != 0).then(|| self.lock(kind, object));
        }
        if owner.facts.park_blocker != 0 {
            return Some(self.lock(LockKind::ParkingToWaitFor, owner.facts.park_blocker));
        }
        let class = vm.awaited_class(owner.thread)?;
        Some(Lock {
            kind: LockKind::WaitingOnTheClassInitializationMonitorFor,
            object: None,
            class: Some(vm.external_name(class)),
        })
    }

    /// Whether the thread still waits for the monitor of an object that its frame has listed.
    fn wants(&self, object: u64, t: &JavaThread) -> bool {
        let vm = self.vm();
        let Some(m) = self.locks.monitor_of(object) else { return false };
        let pending = vm.fields.thread_pending_monitor.opt();
        let pending = pending.and_then(|o| vm.mem.u64(t.addr.wrapping_add(o)).ok());
        pending == Some(m.addr) || !self.locks.is_owner(&m, t.addr)
    }

    fn lock(&self, kind: LockKind, object: u64) -> Lock {
        Lock { kind, object: Some(Address(object)), class: Some(self.class_of(object)) }
    }

    /// An object's class in words; of a mirror the class that it stands for.
    pub(super) fn class_of(&self, object: u64) -> String {
        let vm = self.vm();
        let Some(klass) = vm.klass_of(object) else { return "?".into() };
        if klass.name != "java/lang/Class" {
            return vm.external_name(klass);
        }
        let of = vm.mirror_klass_offset();
        let of = of.and_then(|o| vm.mem.u64(object.wrapping_add(u64::from(o))).ok());
        let name = of.and_then(|k| vm.classes.get(k)).map(|k| vm.external_name(k));
        format!("java.lang.Class for {}", name.as_deref().unwrap_or("?"))
    }
}

/// The name of a class that is not among the loaded ones: an earlier version of one.
fn unloaded(vm: &Vm, holder: u64) -> String {
    let name = vm.fields.klass_name.opt();
    let name = name.and_then(|o| vm.mem.u64(holder.wrapping_add(o)).ok());
    name.and_then(|n| vm.reader().symbol(n)).map_or("?".into(), |n| n.replace('/', "."))
}

//! Threads and their stacks: all that `jcmd Thread.print -l -e` gives, from a core.
//!
//! `collect` reads it once; `text` prints it as HotSpot does, `group` threads with the same
//! stack together. As JSON it is itself.

mod collect;
#[cfg(feature = "cli")]
pub mod flame;
pub mod folded;
mod frames;
pub mod group;
pub mod text;
mod values;

pub use collect::{Options, collect};
pub use values::{Number, Slot, SlotKind, SlotPlace};

use std::fmt;
use std::rc::Rc;

use serde::Serialize;

use super::reader::{Facts, Objects, Reader, Source};
pub use crate::address::Address;
use crate::error::{Error, Remark, Result};
use crate::heap::{self, Unread};
use crate::hotspot::eras::Eras;
pub use crate::hotspot::frames::{FrameKind, Trust};
pub use crate::hotspot::states::{JavaState, OsState, VmState};
use crate::hotspot::threads::CpuTime;

/// What `stack` reads: threads, their frames with values, and locks. Of objects those that hold
/// locks and threads, which a dump reads too.
pub(super) const READER: Reader =
    Reader { name: "stack", command: "stack", on_request: false, facts, objects: Objects::Few };

fn facts(from: &Source) -> Result<Facts> {
    let options = Options {
        heap: false,
        virtual_threads: 0,
        values: true,
        redaction: None,
        native: None,
        workers: from.threads,
    };
    let (dump, _) = collect(from.core, from.heap, options, &|_| ())?;
    let bytes = serde_json::to_vec(&dump).map_err(|e| Error::from_write(e.into()))?;
    Ok(Facts { bytes, metadata: None })
}

/// Everything about the threads of a core.
#[derive(Debug, Serialize)]
pub struct ThreadDump {
    /// `OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode, sharing)`.
    pub vm: String,
    /// When the core was taken, in ms since 1970, where it says so.
    pub taken_ms: Option<u64>,
    /// Address of the VM's list of threads, where it has one.
    pub list: Option<Address>,
    /// Java threads, as the VM lists them.
    pub threads: Vec<Thread>,
    /// The VM's own.
    pub vm_threads: Vec<VmThread>,
    /// Those that HotSpot does not know, where native frames were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_threads: Vec<VmThread>,
    /// Virtual threads without a carrier, those that were asked for.
    pub virtual_threads: Vec<VirtualThread>,
    /// How many of them there are.
    pub virtual_thread_count: u64,
    /// JNI's global and weak handles.
    pub jni_handles: Option<JniHandles>,
    /// Threads that wait for one another.
    pub deadlocks: Vec<Vec<Waiter>>,
    /// HotSpot's way of writing some things changed: see `text`.
    #[serde(skip)]
    pub eras: Eras,
}

/// JNI's handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct JniHandles {
    /// Global ones.
    pub global: u64,
    /// Weak global ones.
    pub weak: u64,
}

/// A Java thread.
#[derive(Debug, Serialize)]
pub struct Thread {
    /// `getName()`.
    pub name: String,
    /// `getId()`.
    pub number: Option<i64>,
    /// `isDaemon()`.
    pub daemon: bool,
    /// `getPriority()`.
    pub priority: Option<i32>,
    /// Priority for the kernel, where it is known.
    pub os_priority: Option<i32>,
    /// CPU time in ms, where the core has it.
    pub cpu_ms: Option<CpuTime>,
    /// Bytes that it allocated.
    pub allocated: Option<u64>,
    /// JavaThread*.
    pub tid: Address,
    /// The kernel's id.
    pub nid: u32,
    /// What it does, as the VM told the system.
    pub os_state: Option<OsState>,
    /// Stack pointer of its last Java frame, 0 if none.
    pub sp: Address,
    /// `java.lang.Thread.State`, as HotSpot words it; none of one that carries a virtual thread.
    pub state: Option<JavaState>,
    /// The VM's own state of it.
    pub vm_state: Option<VmState>,
    /// Its Java frames.
    pub stack: Stack,
    /// The virtual thread that it carries.
    pub carries: Option<Carried>,
    /// java.util.concurrent locks that it owns; none where nobody looked for them.
    pub synchronizers: Option<Vec<Object>>,
}

/// A mounted virtual thread.
#[derive(Debug, Serialize)]
pub struct Carried {
    /// `getId()`.
    pub number: Option<i64>,
    /// `getName()`.
    pub name: String,
    /// Its Java frames.
    pub stack: Stack,
}

/// A virtual thread that no carrier runs.
#[derive(Debug, Serialize)]
pub struct VirtualThread {
    /// `getId()`.
    pub number: Option<i64>,
    /// `getName()`.
    pub name: String,
    /// The java.lang.VirtualThread.
    pub object: Address,
    /// Its Java frames: those of the same stack share it.
    pub stack: Rc<Stack>,
}

/// A thread of the VM's own.
#[derive(Debug, Serialize)]
pub struct VmThread {
    /// Its name.
    pub name: String,
    /// CPU time in ms, where the core has it.
    pub cpu_ms: Option<CpuTime>,
    /// Priority for the kernel, where it is known.
    pub os_priority: Option<i32>,
    /// Thread*, where it was found.
    pub tid: Option<Address>,
    /// The kernel's id.
    pub nid: u32,
    /// What it does.
    pub os_state: Option<OsState>,
    /// Its native frames, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<Stack>,
}

/// Frames, innermost first.
#[derive(Debug, Default, Serialize)]
pub struct Stack {
    /// The Java frames.
    pub frames: Vec<Frame>,
    /// Why the walk ended before the bottom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<Remark>,
    /// The native frames, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub native: Vec<NativeFrame>,
    /// Where native frames end early.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub native_broken: Vec<NativeEnd>,
}

/// A native frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NativeFrame {
    /// How many of the Java frames are above it.
    pub before: usize,
    /// Where it goes on.
    pub pc: Address,
    /// The path of the library that is mapped there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<Rc<str>>,
    /// The pc as that library's file counts addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library_offset: Option<Address>,
    /// The function, as in its source, without parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<Rc<str>>,
    /// Bytes from its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_offset: Option<u64>,
    /// How sure the walk is of it: exact or guessed.
    pub trust: Trust,
}

/// Where native frames end before Java code or the bottom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NativeEnd {
    /// How many of the Java frames are above.
    pub before: usize,
    /// Why.
    #[serde(flatten)]
    pub why: Remark,
}

/// A part of a stack.
#[derive(Debug, Clone, Copy)]
pub enum Part<'s> {
    /// A Java frame.
    Java(&'s Frame),
    /// A native one.
    Native(&'s NativeFrame),
    /// Native frames that are not known.
    NativeEnd(&'s NativeEnd),
}

impl Stack {
    /// All frames in their order, innermost first.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        (0..=self.frames.len()).flat_map(move |i| {
            let native = self.native_at(i).iter().map(Part::Native);
            let ends = self.native_broken.iter().filter(move |e| e.before == i);
            let java = self.frames.get(i).map(Part::Java);
            native.chain(ends.map(Part::NativeEnd)).chain(java)
        })
    }

    fn native_at(&self, i: usize) -> &[NativeFrame] {
        let start = self.native.partition_point(|f| f.before < i);
        let end = self.native.partition_point(|f| f.before <= i);
        &self.native[start..end]
    }
}

/// Where in the program a Java frame is: what frames of one stack have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Place {
    /// As HotSpot shows it to people.
    pub class: String,
    /// The method's name.
    pub method: String,
    /// The method's descriptor.
    pub descriptor: String,
    /// `java.base@17.0.15`, where the class is in a named module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The source file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Bytecode index.
    pub bci: i32,
    /// Declared native.
    pub native: bool,
}

/// A Java frame.
#[derive(Debug, Clone, Serialize)]
pub struct Frame {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// How its code runs.
    pub kind: FrameKind,
    /// How sure the walk is of it.
    pub trust: Trust,
    /// What it holds or waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<Lock>,
    /// Local variables and expression stack, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Slot>,
}

/// One line about a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// What the frame does with it.
    pub kind: LockKind,
    /// The object; none where it is not known, or only a class is meant.
    pub object: Option<Address>,
    /// Its class, or the class that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

/// What a frame does with a lock; the names are HotSpot's words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LockKind {
    /// It holds the monitor.
    Locked,
    /// It waits until the monitor is free.
    WaitingToLock,
    /// It was notified, and waits until the monitor that it gave up is free again.
    WaitingToRelockInWait,
    /// It waits to be notified.
    WaitingOn,
    /// It is parked, with this object as the reason (LockSupport.getBlocker).
    ParkingToWaitFor,
    /// It waits until another thread has initialised the class.
    WaitingOnTheClassInitializationMonitorFor,
    /// The compiler left the locking away.
    Eliminated,
}

impl LockKind {
    /// Its name in JSON.
    pub fn code(self) -> &'static str {
        match self {
            LockKind::Locked => "locked",
            LockKind::WaitingToLock => "waiting_to_lock",
            LockKind::WaitingToRelockInWait => "waiting_to_relock_in_wait",
            LockKind::WaitingOn => "waiting_on",
            LockKind::ParkingToWaitFor => "parking_to_wait_for",
            LockKind::WaitingOnTheClassInitializationMonitorFor => {
                "waiting_on_the_class_initialization_monitor_for"
            }
            LockKind::Eliminated => "eliminated",
        }
    }

    /// HotSpot's words; `known` says whether there is an object to name.
    fn text(self, known: bool) -> &'static str {
        match (self, known) {
            (LockKind::Locked, _) => "locked",
            (LockKind::WaitingToLock, _) => "waiting to lock",
            (LockKind::WaitingToRelockInWait, _) => "waiting to re-lock in wait()",
            (LockKind::WaitingOn, true) => "waiting on",
            (LockKind::WaitingOn, false) => "waiting on <no object reference available>",
            // Two spaces, as HotSpot has them.
            (LockKind::ParkingToWaitFor, _) => "parking to wait for ",
            (LockKind::WaitingOnTheClassInitializationMonitorFor, _) => {
                "waiting on the Class initialization monitor for"
            }
            (LockKind::Eliminated, true) => "eliminated",
            (LockKind::Eliminated, false) => "eliminated <owner is scalar replaced>",
        }
    }
}

/// What a thread is, and of a Java thread what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A Java thread in this state, where it has one: it may have no java.lang.Thread yet.
    Platform(Option<JavaState>),
    /// A Java thread that runs a virtual one just now.
    Carrier,
    /// A virtual thread that a carrier runs.
    MountedVirtual,
    /// A virtual thread that no carrier runs.
    Virtual,
    /// A thread that runs no Java.
    Native,
}

impl Role {
    /// The role of a thread that the VM lists.
    pub fn of(t: &Thread) -> Role {
        if t.carries.is_some() { Role::Carrier } else { Role::Platform(t.state) }
    }

    /// Its state, of a Java thread.
    pub fn state(self) -> Option<JavaState> {
        if let Role::Platform(state) = self { state } else { None }
    }

    /// Its name in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Role::Platform(_) => "platform",
            Role::Carrier => "carrier",
            Role::MountedVirtual => "mounted_virtual",
            Role::Virtual => "virtual",
            Role::Native => "native",
        }
    }
}

/// In words: of a Java thread its state.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Platform(Some(state)) => return state.fmt(f),
            Role::Platform(None) => "not known",
            Role::Carrier => "carrier",
            Role::MountedVirtual => "virtual, mounted",
            Role::Virtual => "virtual",
            Role::Native => "no Java thread",
        })
    }
}

/// An object by its class.
#[derive(Debug, Serialize)]
pub struct Object {
    /// Where it is.
    pub address: Address,
    /// Its class.
    pub class: String,
}

/// A thread of a deadlock.
#[derive(Debug, Serialize)]
pub struct Waiter {
    /// Its place in `threads`.
    pub thread: usize,
    /// Its name.
    pub name: String,
    /// The ObjectMonitor, where it waits for one.
    pub monitor: Option<Address>,
    /// The object or synchronizer that it waits for.
    pub object: Object,
    /// The name of the thread that has it.
    pub owner: String,
}

impl ThreadDump {
    /// The notes on stacks whose walk ended before the bottom.
    pub fn broken(&self) -> Vec<Unread> {
        let java = self.threads.iter().flat_map(|t| {
            let carried = t.carries.as_ref().map(|c| (&c.name, &c.stack));
            [(&t.name, &t.stack)].into_iter().chain(carried)
        });
        let unmounted = self.virtual_threads.iter().map(|t| (&t.name, &*t.stack));
        let others = self.vm_threads.iter().chain(&self.other_threads);
        let others = others.filter_map(|t| Some((&t.name, t.stack.as_ref()?)));
        let of = |(name, stack): (&String, &Stack)| {
            let unread = |what: &str, why: &Remark| Unread {
                advice: why.advice,
                ..heap::Part::Stacks.unread(format!("{what} of \"{name}\" {}", why.text))
            };
            let java = stack.broken.iter();
            let java = java.map(|b| unread("the stack", &b.clone().about("ends early")));
            let native = stack.native_broken.iter();
            let native =
                native.map(|n| unread("the native frames", &n.why.clone().about("end early")));
            java.chain(native).collect::<Vec<_>>()
        };
        java.chain(unmounted).chain(others).flat_map(of).collect()
    }
}

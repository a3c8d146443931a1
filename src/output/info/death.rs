//! How the process died: the signal, who sent it, and an OutOfMemoryError behind it.

use serde::Serialize;

use crate::address::Address;
use crate::corefile::{CoreFile, SigInfo};
use crate::error::Result;
use crate::heap::{Heap, Object, Visitor, walk};
use crate::hotspot::Vm;

/// SI_USER, SI_QUEUE, SI_TKILL (asm-generic/siginfo.h): a process sent it, which si_pid names.
const BY_PROCESS: [i32; 3] = [0, -1, -6];
/// OutOfMemoryErrors of one chunk that are looked at, and of all.
const MAX_ERRORS: usize = 1000;
/// Characters of their messages that are shown.
const MAX_TEXT: usize = 200;

/// How the process died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signal {
    /// `si_signo`.
    pub number: i32,
    /// `SIGSEGV`.
    pub name: String,
    /// `si_code`, where the core has it.
    pub code: Option<i32>,
    /// `si_addr` of a fault.
    pub address: Option<Address>,
    /// Who sent it, where a process did.
    pub sender: Option<Sender>,
    /// The kernel's id of the thread that took it.
    pub tid: Option<i32>,
    /// That thread's name, if it is a Java thread.
    pub thread: Option<String>,
}

/// The process that sent a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sender {
    /// `si_pid`: 0 where it is not in the process's PID namespace.
    pub pid: i32,
    /// `si_uid`.
    pub uid: u32,
    /// Whether it is the process itself, as when it aborts.
    pub is_itself: bool,
}

/// What is known of memory that ran out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutOfMemory {
    /// What HotSpot ended the process for: `OutOfMemory encountered: Java heap space`.
    pub reported: Option<String>,
    /// OutOfMemoryErrors in the heap that were thrown, by message, most first.
    pub thrown: Vec<Thrown>,
    /// What -XX:OnOutOfMemoryError runs, where another process sent the signal: that may be it. HotSpot
    /// runs it before it throws the error.
    pub command: Option<String>,
}

/// Errors of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Thrown {
    /// `getMessage()`.
    pub message: Option<String>,
    /// How many.
    pub count: u64,
}

impl Signal {
    /// The signal that killed the process; none where it went on to live.
    pub fn of(core: &CoreFile) -> Option<Signal> {
        let info = core.siginfo();
        let signo = info.map(|s| s.signo).or_else(|| Some(core.threads().first()?.signal))?;
        // A debugger's or a container's stop is no death: 0, SIGTRAP, SIGSTOP.
        // A thread of a live process may have had a signal in hand; HotSpot uses some itself.
        if matches!(signo, 0 | 5 | 19) || core.origin().is_some() {
            return None;
        }
        let fault = matches!(signo, 4 | 7 | 8 | 11);
        let sender = info.filter(|s| BY_PROCESS.contains(&s.code)).map(|s| sender(core, s));
        Some(Signal {
            number: signo,
            name: signal_name(signo),
            code: info.map(|s| s.code),
            address: info.filter(|_| fault && sender.is_none()).map(|s| Address(s.addr)),
            sender,
            tid: core.threads().first().map(|t| t.tid),
            thread: None,
        })
    }

    /// Whether the process was made to abort: HotSpot itself does so when it gives up.
    pub fn is_abort(&self) -> bool {
        self.number == 6
    }
}

/// si_pid and si_uid lie where a fault's si_addr is.
fn sender(core: &CoreFile, info: SigInfo) -> Sender {
    let pid = info.addr as i32;
    let is_itself = core.psinfo().is_some_and(|p| p.pid == pid);
    Sender { pid, uid: (info.addr >> 32) as u32, is_itself }
}

/// What of memory that ran out may be behind `signal`: what HotSpot reported before it aborted, the
/// errors in the heap, what it runs for them. Walks the heap with `threads` threads.
pub(super) fn out_of_memory(
    heap: &Heap,
    signal: &Signal,
    threads: usize,
) -> Result<Option<OutOfMemory>> {
    let sent = signal.sender.as_ref().is_some_and(|s| !s.is_itself);
    let command = heap.vm.flags.text("OnOutOfMemoryError").filter(|c| sent && !c.is_empty());
    let found = OutOfMemory {
        reported: heap.vm.reported_out_of_memory(),
        thrown: thrown(heap, threads)?,
        command: command.map(str::to_owned),
    };
    Ok((found != OutOfMemory::default()).then_some(found))
}

/// Collects the objects of some classes.
struct Errors<'h> {
    wanted: &'h [bool],
    found: Vec<u64>,
}

impl Visitor for Errors<'_> {
    fn object(&mut self, object: Object) {
        if self.wanted.get(object.klass as usize) == Some(&true) && self.found.len() < MAX_ERRORS {
            self.found.push(object.addr);
        }
    }

    fn clear(&mut self) {
        self.found.clear();
    }
}

fn thrown(heap: &Heap, threads: usize) -> Result<Vec<Thrown>> {
    let vm = heap.vm;
    let Some(base) = vm.classes.named("java/lang/OutOfMemoryError") else {
        return Ok(Vec::new());
    };
    let is_one = |k| vm.classes.with_supers(k).any(|s| s.addr == base.addr);
    let wanted: Vec<bool> = vm.classes.all().iter().map(is_one).collect();
    let mut all = Vec::new();
    walk(
        heap,
        threads,
        || Errors { wanted: &wanted, found: Vec::new() },
        |errors, _| {
            let room = MAX_ERRORS - all.len();
            all.extend(errors.found.drain(..).take(room));
            Ok(())
        },
    )?;
    let mut out: Vec<Thrown> = Vec::new();
    for message in all.into_iter().filter(|e| was_thrown(vm, *e)).map(|e| message(vm, e)) {
        match out.iter_mut().find(|t| t.message == message) {
            Some(known) => known.count += 1,
            None => out.push(Thrown { message, count: 1 }),
        }
    }
    out.sort_by(|a, b| (b.count, &a.message).cmp(&(a.count, &b.message)));
    Ok(out)
}

/// The VM makes some errors when it starts, to have them when there is no memory: they have no
/// `stackTrace` before they are thrown.
fn was_thrown(vm: &Vm, error: u64) -> bool {
    vm.oop_field(error, "stackTrace").is_some_and(|s| s != 0)
}

fn message(vm: &Vm, error: u64) -> Option<String> {
    let text = vm.oop_field(error, "detailMessage").filter(|m| *m != 0)?;
    Some(vm.string(text)?.chars().take(MAX_TEXT).collect())
}

/// Linux's signals by number, the same on x86-64 and aarch64 (asm-generic/signal.h).
fn signal_name(signo: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let name = usize::try_from(signo - 1).ok().and_then(|i| NAMES.get(i));
    name.map_or_else(|| format!("signal {signo}"), |n| format!("SIG{n}"))
}

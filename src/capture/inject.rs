//! System calls made by a thread of the target on our behalf, such that the thread gets back to
//! itself whatever becomes of us.
//!
//! Knows how to borrow a stopped thread and to give it back exactly; knows nothing of what the
//! calls are for. See [`Rescue`] for what happens if rjcore dies meanwhile.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use super::freeze::is_dead;
use super::registers::{Lender, Regs};
use super::rescue::{MakeRescue, Rescue};
use super::stopped::Stopped;
use super::x86_64::{self, MAX_XSTATE};
use crate::cpu::{Calls, Cpu};
use crate::format::notes::NT_PRSTATUS;
use crate::process::maps::Mapping;
use crate::process::sys::{self, Status};

/// A libc is smaller than this; of larger mappings only the start is searched.
const SEARCHED: u64 = 32 << 20;
/// -ERESTARTNOINTR: the kernel wants the call to be made again.
const RESTART: i64 = -513;

/// CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_IO: what a child must not take a copy of.
/// No exit signal: neither SIGCHLD nor a plain waitpid in the target sees the child.
const SNAPSHOT: u64 = 0x200 | 0x400 | 0x4_0000 | 0x8000_0000;

/// All signals but SIGSYS, which a seccomp filter sends instead of making a call: where it is
/// blocked, the kernel ends the process by it, and so we would not get to take it away.
const BLOCKED: u64 = !(1 << (libc::SIGSYS - 1));

/// What a target offers for borrowing its threads.
#[derive(Debug)]
pub(super) struct Injector {
    memory: File,
    lender: Lender,
    rescue: MakeRescue,
    /// The regset of a thread's extended state.
    extended: u32,
    syscall: u64,
    restorer: u64,
}

/// How one is made on `cpu`; none where rjcore does not know that CPU's signal frame.
fn maker(cpu: Cpu) -> Option<MakeRescue> {
    match cpu {
        Cpu::X86_64 => Some(x86_64::rescue),
        Cpu::Aarch64 => None,
    }
}

/// Why no thread can be borrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CannotBorrow {
    /// rjcore does not know how threads are borrowed on this CPU.
    Cpu,
    /// Not those of this process, in words.
    Process(String),
}

impl fmt::Display for CannotBorrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CannotBorrow::Cpu => f.write_str("rjcore borrows threads on x86-64 only so far"),
            CannotBorrow::Process(why) => f.write_str(why),
        }
    }
}

impl From<String> for CannotBorrow {
    fn from(why: String) -> CannotBorrow {
        CannotBorrow::Process(why)
    }
}

impl Injector {
    /// Looks for the two pieces of code that a call needs. They are in every libc.
    ///
    /// `cpu` is the one that rjcore runs on, if it knows that. Answers why calls cannot be made.
    pub(super) fn new(
        cpu: Option<Cpu>,
        pid: i32,
        maps: &[Mapping],
    ) -> Result<Injector, CannotBorrow> {
        let lender = Lender::of(cpu).ok_or(CannotBorrow::Cpu)?;
        let rescue = cpu.and_then(maker).ok_or(CannotBorrow::Cpu)?;
        let extended = lender.facts.extended_state.ok_or(CannotBorrow::Cpu)?;
        let wanted = lender.borrowing;
        if uses_shadow_stack(pid) {
            let why = "its threads have shadow stacks, which forbid borrowed returns";
            return Err(why.to_owned().into());
        }
        let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"));
        let memory = memory.map_err(|e| format!("its memory cannot be written to: {e}"))?;
        let text = |m: &&Mapping| m.flags & 3 == 1 && m.has_file();
        let libc = |m: &&Mapping| {
            let name = String::from_utf8_lossy(&m.name).into_owned();
            let name = name.rsplit('/').next().unwrap_or("").to_owned();
            name.starts_with("libc") || name.starts_with("ld-")
        };
        let first = maps.iter().filter(text).filter(libc);
        let then = maps.iter().filter(text).filter(|m| !libc(m));
        let (mut syscall, mut restorer) = (None, None);
        for m in first.chain(then) {
            let mut code = vec![0; m.bytes().min(SEARCHED) as usize];
            let n = memory.read_at(&mut code, m.start).unwrap_or(0);
            let find = |what| Some(m.start + memchr::memmem::find(&code[..n], what)? as u64);
            syscall = syscall.or_else(|| find(wanted.syscall));
            restorer = restorer.or_else(|| find(wanted.restorer));
            if let (Some(syscall), Some(restorer)) = (syscall, restorer) {
                return Ok(Injector { memory, lender, rescue, extended, syscall, restorer });
            }
        }
        let why = "no libc in it holds the code that a borrowed thread needs to come back";
        Err(why.to_owned().into())
    }

    /// The first of the stopped threads that can be borrowed, ready for calls.
    pub(super) fn borrow_one(
        &self,
        threads: &[Stopped],
        maps: &[Mapping],
    ) -> Result<BorrowedThread<'_>, String> {
        let mut second = None;
        for t in threads {
            // One with a signal in hand must have it first.
            if !matches!(t.status, Status::Interrupted | Status::GroupStop(_)) {
                continue;
            }
            match BorrowedThread::new(self, t.tid, maps) {
                Some(b) if !b.regs.has_restart_block() => return Ok(b.unfiltered()),
                Some(b) => second = second.or(Some(b)),
                None => {}
            }
        }
        second
            .map(BorrowedThread::unfiltered)
            .ok_or_else(|| "no thread of it waits in a system call and could be borrowed".into())
    }

    /// The numbers of system calls.
    pub(super) fn calls(&self) -> &'static Calls {
        &self.lender.borrowing.calls
    }

    /// Makes a stopped process of ours, which is never to run again, do a system call.
    pub(super) fn call_in_child(&self, child: i32, call: u64, args: &[u64]) -> io::Result<i64> {
        let regs = general(child, self.lender)?;
        let calling = regs.calling(self.syscall, regs.stack(), call, args);
        sys::set_registers(child, NT_PRSTATUS, &calling.bytes())?;
        run_call(child, self.lender, is_filtered(child)).map(|done| done.result)
    }
}

/// Sets the seccomp filter of a stopped thread of ours aside, if it has one and we may; answers the
/// thread's options.
pub(super) fn suspend_filter(tid: i32) -> u64 {
    let suspended = sys::TRACESYSGOOD | sys::SUSPEND_SECCOMP;
    match is_filtered(tid) && sys::set_options(tid, suspended).is_ok() {
        true => suspended,
        false => sys::TRACESYSGOOD,
    }
}

fn thread_status(tid: i32, key: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|l| Some(l.strip_prefix(key)?.trim().to_owned()))
}

/// Whether the thread has a seccomp filter.
pub(super) fn is_filtered(tid: i32) -> bool {
    thread_status(tid, "Seccomp:").is_some_and(|mode| mode == "2")
}

/// Whether SIGSYS waits for the thread.
fn sigsys_waits(tid: i32) -> bool {
    let pending = thread_status(tid, "SigPnd:").and_then(|p| u64::from_str_radix(&p, 16).ok());
    pending.unwrap_or(0) & !BLOCKED != 0
}

/// Shadow stacks check return addresses: the kernel names them in the status of a thread.
fn uses_shadow_stack(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|l| l.starts_with("x86_Thread_features:") && l.contains("shstk"))
}

fn general(tid: i32, lender: Lender) -> io::Result<Regs> {
    let bytes = sys::registers(tid, NT_PRSTATUS, 512)?;
    Regs::parse(&bytes, lender)
        .ok_or_else(|| io::Error::other("not the registers of a 64-bit thread"))
}

/// A thread of the target that makes calls for us; dropped, it is itself again.
#[derive(Debug)]
pub(super) struct BorrowedThread<'i> {
    injector: &'i Injector,
    tid: i32,
    regs: Regs,
    mask: u64,
    options: u64,
    /// Its seccomp filter looks at our calls.
    filtered: bool,
    rescue: Rescue,
    /// What lay where the rescue lies.
    under: Vec<u8>,
    /// The thread's registers are not its own now.
    away: bool,
}

struct CallResult {
    result: i64,
    /// What it made, if it made a process.
    child: Option<i32>,
}

impl<'i> BorrowedThread<'i> {
    fn new(injector: &'i Injector, tid: i32, maps: &[Mapping]) -> Option<BorrowedThread<'i>> {
        let regs = general(tid, injector.lender).ok()?;
        if !regs.in_syscall() {
            return None;
        }
        let mask = sys::signal_mask(tid).ok()?;
        let xstate = sys::registers(tid, injector.extended, MAX_XSTATE).ok()?;
        let Injector { syscall, restorer, .. } = *injector;
        let rescue = (injector.rescue)(&regs, mask, &xstate, syscall, restorer);
        // The stack must reach down that far, in writable memory of its own.
        let end = rescue.at.checked_add(rescue.bytes.len() as u64)?;
        let stack = maps.iter().find(|m| m.start <= rescue.at && end <= m.end)?;
        if stack.flags & 2 == 0 || stack.shared {
            return None;
        }
        let mut under = vec![0; rescue.bytes.len()];
        injector.memory.read_exact_at(&mut under, rescue.at).ok()?;
        let (options, filtered, away) = (sys::TRACESYSGOOD, false, false);
        Some(BorrowedThread { injector, tid, regs, mask, options, filtered, rescue, under, away })
    }

    fn unfiltered(mut self) -> BorrowedThread<'i> {
        self.options = suspend_filter(self.tid);
        self.filtered = self.options & sys::SUSPEND_SECCOMP == 0 && is_filtered(self.tid);
        self
    }

    /// Whether a call that the process has no use for itself could be its end: it has a seccomp
    /// filter, which may be one that kills, and we may neither read it nor set it aside.
    pub(super) fn is_filtered(&self) -> bool {
        self.filtered
    }

    /// One system call; the answer is its result or a negative errno.
    pub(super) fn call(&mut self, call: u64, args: &[u64]) -> io::Result<i64> {
        self.run(call, args).map(|done| done.result)
    }

    /// A child that shares nothing that could be missed: a snapshot of the memory. It is ours
    /// (traced, stopped before its first instruction). Answers its id here and in the target.
    pub(super) fn fork(&mut self) -> io::Result<(i32, i32)> {
        sys::set_options(self.tid, self.options | sys::TRACECLONE)?;
        let done = self.run(self.injector.calls().clone, &[SNAPSHOT, self.rescue.child_frame]);
        let _ = sys::set_options(self.tid, self.options);
        match done? {
            CallResult { result, child: Some(child) } if result > 0 => Ok((child, result as i32)),
            CallResult { result, .. } if result < 0 => {
                Err(io::Error::from_raw_os_error(-result as i32))
            }
            _ => Err(io::Error::other("clone made no process that is traced")),
        }
    }

    fn run(&mut self, call: u64, args: &[u64]) -> io::Result<CallResult> {
        let (memory, rescue) = (&self.injector.memory, &self.rescue);
        if !self.away {
            memory.write_all_at(&rescue.bytes, rescue.at)?;
        }
        loop {
            // Registers before the mask, and the mask before the registers on the way back: a
            // thread that is let go in between has a way home and its own mask.
            let calling = self.regs.calling(self.injector.syscall, rescue.frame, call, args);
            sys::set_registers(self.tid, NT_PRSTATUS, &calling.bytes())?;
            self.away = true;
            sys::set_signal_mask(self.tid, BLOCKED)?;
            match run_call(self.tid, self.injector.lender, self.filtered)? {
                CallResult { result: RESTART, child: None } => {}
                done => return Ok(done),
            }
        }
    }

    /// Gives the thread back to itself. It stands at the end of its own system call again, and
    /// the kernel restarts that as if nothing had been.
    pub(super) fn give_back(mut self) -> io::Result<()> {
        self.restore()
    }

    fn restore(&mut self) -> io::Result<()> {
        if !self.away {
            return Ok(());
        }
        self.away = false;
        sys::set_signal_mask(self.tid, self.mask)?;
        sys::set_registers(self.tid, NT_PRSTATUS, &self.regs.bytes())?;
        self.injector.memory.write_all_at(&self.under, self.rescue.at)
    }
}

impl Drop for BorrowedThread<'_> {
    fn drop(&mut self) {
        let _ = self.restore();
    }
}

/// Runs a thread through the system call that its registers are set for; `filtered` if a seccomp
/// filter looks at it.
fn run_call(tid: i32, lender: Lender, filtered: bool) -> io::Result<CallResult> {
    let mut child = None;
    let mut entered = false;
    loop {
        sys::run_to_syscall(tid)?;
        match next_stop(tid)? {
            // A filter that answers with a signal: the call was not made, and the signal comes
            // next. It ends here, where the thread is not let on with it.
            Status::Syscall if entered && filtered && sigsys_waits(tid) => {}
            Status::Syscall if entered => break,
            Status::Syscall => entered = true,
            Status::Event(libc::PTRACE_EVENT_CLONE) => {
                child = i32::try_from(sys::event_message(tid)?).ok();
            }
            Status::Signal(libc::SIGSYS) => {
                return Ok(CallResult { result: -i64::from(libc::ENOSYS), child: None });
            }
            Status::Interrupted | Status::GroupStop(_) => {}
            Status::Gone => return Err(io::Error::other("the process has ended")),
            other => return Err(io::Error::other(format!("an unexpected stop: {other:?}"))),
        }
    }
    Ok(CallResult { result: general(tid, lender)?.result(), child })
}

/// Waits for what happens next to the thread.
///
/// A leader that was killed is not told by waitpid as long as other traced threads of its process
/// are still to be reaped, and nobody would do that before it. So its state is looked at, too.
fn next_stop(tid: i32) -> io::Result<Status> {
    let mut turn = 0u32;
    loop {
        if let Some(status) = sys::wait(tid, false)? {
            return Ok(status);
        }
        if turn >= 20 && is_dead(tid, tid) {
            return Ok(Status::Gone);
        }
        sys::relax(turn);
        turn = turn.saturating_add(1);
    }
}

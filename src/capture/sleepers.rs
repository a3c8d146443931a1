//! Threads that sleep in a system call: held, but not stopped.
//!
//! To stop a thread and to let it run on takes two switches to it, some 40 µs; of ten thousand threads that is half a
//! second. But a thread that sleeps in a system call writes to no memory of its process, and it need not be stopped as
//! long as it stops by itself before it runs on: at the end of its call (PTRACE_SYSCALL). Until then its registers are
//! those with which it entered the call. So each is made to enter its call once more while the process runs, and what
//! wakes up before the stop is let go. Within the stop nothing is done for those that sleep on.
//!
//! Knows ptrace; knows nothing of what the stop is for. A thread of rjcore's own is their tracer: its end lets go of
//! all that sleep without waking them, which PTRACE_DETACH could not.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::priority::HighPriority;
use super::stopped::{Registers, Stopped};
use crate::cpu::Cpu;
use crate::process::sys::{self, Status};

/// How long a thread that woke up may have to wait until it is seen and let go.
const LOOK: Duration = Duration::from_millis(1);
/// How long one thread may take to stop or to enter its call before the next one is asked.
const PATIENCE: Duration = Duration::from_millis(1);
/// How long the tracer's end may take.
const END: Duration = Duration::from_millis(200);

/// What the tracer is asked, with where its answer goes.
enum Order {
    /// Say when all have been asked to enter their calls again.
    Ready(Sender<()>),
    /// From now on let go of none. The threads that are held, and those of them that did not stop in that time.
    Hold(Duration, Sender<Held>),
    /// The registers of all that are held.
    Registers(Sender<Vec<(i32, Registers)>>),
    /// Let those run on that woke up meanwhile.
    LetGo(Sender<()>),
}

/// The threads of a process that run none of its code.
#[derive(Debug)]
pub(super) struct Held {
    /// All of them.
    pub tids: HashSet<i32>,
    /// Those that neither sleep nor have stopped.
    pub stuck: Vec<i32>,
}

/// Sleeping threads and their tracer; dropped, all are let go.
#[derive(Debug)]
pub(super) struct Sleepers {
    orders: Option<Sender<Order>>,
    tracer: Option<JoinHandle<()>>,
    /// The tracer's id.
    tid: i32,
}

impl Sleepers {
    /// Takes charge of `tids`, threads that slept when they were last looked at, as far as they still do. None where no
    /// thread can be had for it.
    pub(super) fn watch(cpu: Cpu, tids: Vec<i32>) -> Option<Sleepers> {
        let (orders, of_tracer) = channel();
        let (id, own) = channel();
        let tracer = thread::Builder::new().name("sleepers".into()).spawn(move || {
            let _ = id.send(rustix::thread::gettid().as_raw_nonzero().get());
            Tracer::new(cpu).serve(tids, &of_tracer);
        });
        let tracer = Some(tracer.ok()?);
        let sleepers = Sleepers { orders: Some(orders), tracer, tid: own.recv().unwrap_or(0) };
        sleepers.ask(Order::Ready)?;
        Some(sleepers)
    }

    /// From now on a thread that wakes up stands still; those that neither sleep nor stand still have `allowed` to stop. None
    /// where the tracer has failed.
    pub(super) fn hold(&self, allowed: Duration) -> Option<Held> {
        self.ask(|answer| Order::Hold(allowed, answer))
    }

    /// Their registers, once they are held.
    pub(super) fn registers(&self) -> Vec<(i32, Registers)> {
        self.ask(Order::Registers).unwrap_or_default()
    }

    /// Those that woke up since they were held run on; the others may from now on.
    pub(super) fn let_go(&self) {
        self.ask(Order::LetGo);
    }

    fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Option<T> {
        let (answer, answered) = channel();
        self.orders.as_ref()?.send(order(answer)).ok()?;
        answered.recv().ok()
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(tracer) = self.tracer.take() {
            let _ = tracer.join();
        }
        // The kernel lets go of its tracees after it has said that the thread is done.
        let deadline = Instant::now() + END;
        let task = format!("/proc/self/task/{}", self.tid);
        while self.tid != 0 && Path::new(&task).exists() && Instant::now() < deadline {
            sys::relax(20);
        }
    }
}

/// The thread that traces them, and what it knows of each.
struct Tracer {
    cpu: Cpu,
    /// Asked to stop, or on the way into a system call.
    entering: HashSet<i32>,
    /// In a system call, at whose end they stop; with the registers of its beginning.
    asleep: HashMap<i32, Registers>,
    /// Woken up since they are held, and stopped.
    woken: Vec<Stopped>,
    held: bool,
    /// Room for one set of registers.
    buf: Vec<u8>,
    looked: Instant,
}

impl Tracer {
    fn new(cpu: Cpu) -> Tracer {
        let (entering, asleep) = (HashSet::new(), HashMap::new());
        let (buf, looked) = (Registers::buffer(), Instant::now());
        Tracer { cpu, entering, asleep, woken: Vec::new(), held: false, buf, looked }
    }

    fn serve(mut self, tids: Vec<i32>, orders: &Receiver<Order>) {
        let _hurry = HighPriority::new();
        for tid in tids {
            self.take(tid);
            self.look_now_and_then();
        }
        loop {
            // A receiver that is gone needs no answer.
            match orders.recv_timeout(LOOK) {
                Ok(Order::Ready(answer)) => _ = answer.send(()),
                Ok(Order::Hold(allowed, answer)) => _ = answer.send(self.hold(allowed)),
                Ok(Order::Registers(answer)) => _ = answer.send(self.registers()),
                Ok(Order::LetGo(answer)) => {
                    self.let_go();
                    _ = answer.send(());
                }
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return self.let_go(),
            }
        }
    }

    /// Has a thread enter its call again.
    fn take(&mut self, tid: i32) {
        // Another's, or gone.
        if sys::seize(tid).is_err() {
            return;
        }
        self.entering.insert(tid);
        let (deadline, mut turn) = (Instant::now() + PATIENCE, 0);
        let _ = sys::interrupt(tid);
        while self.entering.contains(&tid) && Instant::now() < deadline {
            match sys::wait(tid, false) {
                Ok(Some(status)) => self.saw(tid, status),
                Ok(None) => sys::relax(turn),
                Err(_) => _ = self.entering.remove(&tid),
            }
            turn += 1;
        }
    }

    /// What becomes of a thread that something happened to.
    fn saw(&mut self, tid: i32, status: Status) {
        let entering = self.entering.remove(&tid);
        self.asleep.remove(&tid);
        let stopped = Stopped { tid, status };
        match status {
            Status::Gone => return,
            // Our interrupt: on to its call.
            Status::Interrupted if entering && !self.held && sys::run_to_syscall(tid).is_ok() => {
                self.entering.insert(tid);
                return;
            }
            Status::Syscall if entering && !self.held => {
                let registers = Registers::read(self.cpu, &stopped, &mut self.buf);
                if let Some(registers) = registers
                    && sys::run_to_syscall(tid).is_ok()
                {
                    self.asleep.insert(tid, registers);
                    return;
                }
            }
            _ => {}
        }
        match self.held {
            true => self.woken.push(stopped),
            false => _ = sys::detach(tid, stopped.signal()),
        }
    }

    /// Sees to all to whom something happened.
    fn look(&mut self) {
        while let Ok(Some((tid, status))) = sys::wait_for_any() {
            self.saw(tid, status);
        }
        self.looked = Instant::now();
    }

    fn look_now_and_then(&mut self) {
        if self.looked.elapsed() > LOOK {
            self.look();
        }
    }

    fn hold(&mut self, allowed: Duration) -> Held {
        self.look();
        self.held = true;
        self.entering.retain(|&tid| sys::interrupt(tid).is_ok());
        let (deadline, mut turn) = (Instant::now() + allowed, 0);
        while !self.entering.is_empty() && Instant::now() < deadline {
            self.look();
            sys::relax(turn);
            turn += 1;
        }
        let asleep = self.asleep.keys().copied();
        let tids = asleep.chain(self.woken.iter().map(|t| t.tid)).collect();
        Held { tids, stuck: self.entering.iter().copied().collect() }
    }

    fn registers(&mut self) -> Vec<(i32, Registers)> {
        self.look();
        let woken = self.woken.iter();
        let woken =
            woken.filter_map(|t| Some((t.tid, Registers::read(self.cpu, t, &mut self.buf)?)));
        woken.chain(self.asleep.drain()).collect()
    }

    fn let_go(&mut self) {
        self.look();
        self.held = false;
        for t in self.woken.drain(..) {
            if sys::detach(t.tid, t.signal()).is_err() {
                let _ = sys::wait(t.tid, false);
            }
        }
    }
}

//! Whether a JVM waits for a safepoint that is not reached, and which thread holds it up: told
//! from outside, by what its threads do for a moment.
//!
//! A VM Thread that begins a safepoint asks its threads again and again and sleeps for up to 1 ms
//! in between (safepoint.cpp: back_off; naked_short_sleep in JDK 8). With nothing to do it waits
//! on a futex. A thread that does not come to the safepoint meanwhile computes. So both are seen
//! in /proc, and nothing is stopped. Knows nothing of the threads' stacks.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::target::{ATTACH_LISTENER, Target, VM_THREAD, threads};
use crate::cpu::Cpu;
use crate::process::facts::Thread;

/// How long the threads are watched.
const WATCH: Duration = Duration::from_millis(400);
/// How often within that.
const LOOKS: u32 = 20;
/// So many waits of the VM Thread in that time are the polling of a safepoint.
const POLLS: u64 = 60;
/// At every so many of these, it is seen which threads still run: one that holds up a safepoint
/// does at each, however little of a CPU it gets.
const RUNS: u32 = 4;
/// clock ticks a second in /proc (USER_HZ).
const TICKS: f64 = 100.0;

/// A thread that computes while a safepoint is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Holder {
    /// Its id here.
    pub tid: i32,
    /// Its id in its own namespace: `nid` in thread dumps.
    pub inner: i32,
    /// Its name, 15 characters at most.
    pub name: String,
    /// CPU time that it used while it was watched, in percent of one CPU.
    pub cpu_percent: u32,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Observed {
    /// How often the VM Thread slept and looked again, and in how many ms.
    pub polls: u64,
    /// For how long, in ms.
    pub watched_ms: u64,
    /// Whether all that says that a safepoint is waited for.
    pub waiting: bool,
    /// Who computes meanwhile, the busiest first.
    pub holders: Vec<Holder>,
    /// The Attach Listener is there, but does not wait for clients.
    pub listener_busy: bool,
}

/// What a thread waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Sleep,
    Futex,
    Accept,
    /// Another system call, or none: it runs.
    Other,
}

/// The system call that a thread is in; `None` without the right to ask, or where this machine's calls are
/// not known.
fn system_call(pid: i32, tid: i32) -> Option<Call> {
    let waits = &Cpu::HOST?.facts().waits;
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?;
    let number = text.split_whitespace().next()?.parse::<u64>();
    Some(match number {
        Ok(n) if waits.sleep.contains(&n) => Call::Sleep,
        Ok(n) if waits.futex == n => Call::Futex,
        Ok(n) if waits.accept.contains(&n) => Call::Accept,
        _ => Call::Other,
    })
}

fn ticks(t: &Thread) -> u64 {
    t.stat.utime + t.stat.stime
}

/// HotSpot's own threads, which no safepoint waits for.
fn is_internal(name: &str) -> bool {
    const BEGINNINGS: [&str; 16] = [
        "VM Thread",
        "VM Periodic",
        "GC ",
        "G1 ",
        "ParGC",
        "Gang worker",
        "Concurrent Mark",
        "C1 Compiler",
        "C2 Compiler",
        "Sweeper",
        "ZWorker",
        "ZDri",
        "ZDirector",
        "ZStat",
        "Shenandoah",
        "Runtime",
    ];
    BEGINNINGS.iter().any(|b| name.starts_with(b))
}

/// Whether it runs or waits for a CPU, and may be in Java.
fn is_computing(t: &Thread) -> bool {
    t.stat.state == 'R' && !is_internal(&t.name)
}

/// Watches the threads for 0.4 s.
pub(crate) fn watch(target: &Target) -> Observed {
    let pid = target.pid();
    let (Some(vm), started) = (target.thread(VM_THREAD), Instant::now()) else {
        return Observed::default();
    };
    let before = threads(pid);
    let listener = target.thread(ATTACH_LISTENER);
    let (mut waits_on_futex, mut asleep, mut asked) = (0, 0, 0);
    let (mut listener_asked, mut listener_accepts) = (0, 0);
    let mut running: Vec<i32> = before.iter().filter(|t| is_computing(t)).map(|t| t.tid).collect();
    for look in 1..=LOOKS {
        sleep(WATCH / LOOKS);
        if look % RUNS == 0 {
            running.retain(|tid| Thread::read(pid, *tid).is_some_and(|t| is_computing(&t)));
        }
        if let Some(call) = system_call(pid, vm.tid) {
            asked += 1;
            waits_on_futex += u32::from(call == Call::Futex);
            asleep += u32::from(call == Call::Sleep);
        }
        if let Some(call) = listener.and_then(|l| system_call(pid, l.tid)) {
            listener_asked += 1;
            listener_accepts += u32::from(call == Call::Accept);
        }
    }
    let after = threads(pid);
    let elapsed = started.elapsed();
    let by_tid: HashMap<i32, &Thread> = before.iter().map(|b| (b.tid, b)).collect();
    let earlier = |t: &Thread| by_tid.get(&t.tid).copied();
    let running: HashSet<i32> = running.into_iter().collect();
    let vm_waits = |all: &[Thread]| all.iter().find(|t| t.tid == vm.tid).map_or(0, |t| t.waits);
    let polls = vm_waits(&after).saturating_sub(vm_waits(&before));
    // Where the calls are not to be seen, so many waits are all there is to go by.
    let sleeps = asked == 0 || (asleep > 0 && waits_on_futex * 4 < asked);
    let mut holders: Vec<Holder> = after
        .iter()
        .filter(|t| running.contains(&t.tid))
        .filter_map(|t| {
            let used = ticks(t).saturating_sub(ticks(earlier(t)?)) as f64 / TICKS;
            let part = used / elapsed.as_secs_f64();
            Some(Holder {
                tid: t.tid,
                inner: t.inner,
                name: t.name.clone(),
                cpu_percent: (part * 100.0).round() as u32,
            })
        })
        .collect();
    holders.sort_by_key(|h| std::cmp::Reverse(h.cpu_percent));
    Observed {
        polls,
        watched_ms: elapsed.as_millis() as u64,
        waiting: polls >= POLLS && sleeps,
        holders,
        listener_busy: listener_asked > 0 && listener_accepts == 0,
    }
}

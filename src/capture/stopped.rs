//! A thread that stands still: how it stopped, and its registers, as the notes of a core have them.
//!
//! Knows ptrace's stops; knows nothing of who stopped it and what for.

use super::x86_64;
use crate::cpu::Cpu;
use crate::format::notes::{NT_FPREGSET, NT_PRSTATUS};
use crate::process::sys::{self, Status};

/// A thread that stands still.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopped {
    /// Its id as this process sees it.
    pub tid: i32,
    /// How it stopped.
    pub status: Status,
}

impl Stopped {
    /// The signal that it must be given back.
    pub(super) fn signal(&self) -> i32 {
        match self.status {
            Status::Signal(signal) => signal,
            _ => 0,
        }
    }
}

/// All registers of a thread, as the notes of a core have them.
#[derive(Debug, Clone, Default)]
pub(super) struct Registers {
    /// The general registers, raw.
    pub general: Vec<u8>,
    /// NT_FPREGSET, raw; empty if unknown.
    pub floating: Vec<u8>,
    /// The CPU's extended state, raw; empty if there is none.
    pub extended: Vec<u8>,
    /// The signal that it had in hand, with its siginfo_t.
    pub signal: Option<(i32, [u8; 128])>,
}

impl Registers {
    /// Room to read them, to be used again: the largest set has room for 64 KB and takes 3.
    pub(super) fn buffer() -> Vec<u8> {
        vec![0; x86_64::MAX_XSTATE]
    }

    /// Those of a stopped thread of ours, with [`Registers::buffer`]; none if it is gone.
    pub(super) fn read(cpu: Cpu, t: &Stopped, buf: &mut [u8]) -> Option<Registers> {
        let mut set = |kind| {
            let n = sys::registers_into(t.tid, kind, buf).ok()?;
            Some(buf[..n].to_vec())
        };
        let general = set(NT_PRSTATUS)?;
        let extended = cpu.facts().extended_state.and_then(&mut set).unwrap_or_default();
        // A call each, and a thousand threads are a thousand calls more.
        let floating = x86_64::legacy_state(&extended);
        let floating = floating.or_else(|| set(NT_FPREGSET)).unwrap_or_default();
        let signal = match t.signal() {
            0 => None,
            signal => sys::signal_info(t.tid).ok().map(|info| (signal, info)),
        };
        Some(Registers { general, floating, extended, signal })
    }
}

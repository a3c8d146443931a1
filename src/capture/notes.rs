//! The notes of a core: threads with their registers, the process, its mapped files.
//!
//! Knows the kernel's structures (linux/elfcore.h, fs/binfmt_elf.c), in the kernel's order.

use crate::cpu::Cpu;
use crate::format::notes::{
    NT_AUXV, NT_FILE, NT_FPREGSET, NT_ORIGIN, NT_PRPSINFO, NT_PRSTATUS, NT_SIGINFO, OWNER, Origin,
    files, note,
};
use crate::process::facts::{Facts, Thread};
use crate::process::maps::{Mapping, PAGE};

/// USER_HZ, the unit of times in /proc, on all CPUs that rjcore knows.
const TICKS: u64 = 100;

/// A thread as it stood.
#[derive(Debug)]
pub struct ThreadState {
    /// What /proc says.
    pub facts: Thread,
    /// The general registers, raw.
    pub general: Vec<u8>,
    /// NT_FPREGSET, raw; empty if unknown.
    pub floating: Vec<u8>,
    /// The CPU's extended state, raw; empty if there is none.
    pub extended: Vec<u8>,
    /// The signal that it had in hand, with its siginfo_t.
    pub signal: Option<(i32, [u8; 128])>,
}

/// All notes, as the content of one PT_NOTE aligned to 4.
pub fn notes(
    cpu: Cpu,
    process: &Facts,
    threads: &[ThreadState],
    maps: &[Mapping],
    origin: &Origin,
) -> Vec<u8> {
    let mut out = Vec::new();
    // The kernel's order, which readers expect: the process's notes stand among the first
    // thread's.
    for (i, t) in threads.iter().enumerate() {
        note(&mut out, "CORE", NT_PRSTATUS, &prstatus(t));
        if i == 0 {
            note(&mut out, "CORE", NT_PRPSINFO, &prpsinfo(process));
        }
        if let Some((_, info)) = &t.signal {
            note(&mut out, "CORE", NT_SIGINFO, info);
        }
        if i == 0 {
            note(&mut out, "CORE", NT_AUXV, &process.auxv);
            note(&mut out, "CORE", NT_FILE, &mapped(maps));
            let text = serde_json::to_vec(origin).unwrap_or_default();
            note(&mut out, OWNER, NT_ORIGIN, &text);
        }
        if !t.floating.is_empty() {
            note(&mut out, "CORE", NT_FPREGSET, &t.floating);
        }
        if let Some(kind) = cpu.facts().extended_state.filter(|_| !t.extended.is_empty()) {
            note(&mut out, "LINUX", kind, &t.extended);
        }
    }
    out
}

/// A structure written field by field.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn i32s(&mut self, values: &[i32]) {
        values.iter().for_each(|v| self.0.extend(v.to_le_bytes()));
    }

    fn u64s(&mut self, values: &[u64]) {
        values.iter().for_each(|v| self.0.extend(v.to_le_bytes()));
    }

    /// `bytes` and zeros, `room` in all, the last one a zero.
    fn text(&mut self, bytes: &[u8], room: usize) {
        let end = self.0.len() + room;
        self.0.extend(&bytes[..bytes.len().min(room - 1)]);
        self.0.resize(end, 0);
    }
}

/// `struct elf_prstatus`.
fn prstatus(t: &ThreadState) -> Vec<u8> {
    let stat = &t.facts.stat;
    let signal = t.signal.as_ref().map_or(0, |s| s.0);
    let mut f = Fields::default();
    f.i32s(&[signal, 0, 0]);
    // pr_cursig is 16 bits wide, then padding.
    f.i32s(&[signal & 0xffff]);
    f.u64s(&[t.facts.pending, t.facts.blocked]);
    f.i32s(&[t.facts.inner, stat.ppid, stat.pgrp, stat.session]);
    let children = [stat.cutime, stat.cstime].map(|t| u64::try_from(t).unwrap_or(0));
    for ticks in [stat.utime, stat.stime, children[0], children[1]] {
        f.u64s(&[ticks / TICKS, ticks % TICKS * (1_000_000 / TICKS)]);
    }
    f.0.extend(&t.general);
    // pr_fpvalid, padded to the structure's alignment.
    f.i32s(&[i32::from(!t.floating.is_empty()), 0]);
    f.0
}

/// `struct elf_prpsinfo`.
fn prpsinfo(process: &Facts) -> Vec<u8> {
    const STATES: &[u8] = b"RSDTZW";
    let stat = &process.stat;
    let letter = u8::try_from(stat.state).unwrap_or(b'.');
    let number = STATES.iter().position(|s| *s == letter);
    let mut f = Fields::default();
    f.0.extend([number.unwrap_or(6) as u8, letter, u8::from(letter == b'Z'), stat.nice as u8]);
    f.i32s(&[0]);
    f.u64s(&[stat.flags.into()]);
    f.i32s(&[process.status.ruid as i32, process.status.rgid as i32]);
    f.i32s(&[process.inner, stat.ppid, stat.pgrp, stat.session]);
    f.text(stat.comm.as_bytes(), 16);
    f.text(&process.command, 80);
    f.0
}

/// NT_FILE: what the kernel would list, by pages.
fn mapped(maps: &[Mapping]) -> Vec<u8> {
    let listed = maps.iter().filter(|m| m.has_file());
    files(PAGE, listed.map(|m| (m.start, m.end, m.offset, &m.name[..])))
}

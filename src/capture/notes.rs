//! The notes of a core: threads with their registers, the process, its mapped files.
//!
//! Knows the kernel's structures (linux/elfcore.h, fs/binfmt_elf.c), in the kernel's order.

use std::ops::Range;

use super::stopped::Registers;
use crate::cpu::Cpu;
use crate::format::memory_map::{MemoryMap, NT_MEMORY};
use crate::format::notes::{
    NT_AUXV, NT_FILE, NT_FPREGSET, NT_ORIGIN, NT_PRPSINFO, NT_PRSTATUS, NT_SIGINFO, OWNER, Origin,
    files, note,
};
use crate::format::process::{prpsinfo, prstatus};
use crate::process::facts::{Facts, Thread};
use crate::process::maps::{Mapping, PAGE};

/// USER_HZ, the unit of times in /proc, on all CPUs that rjcore knows.
const TICKS: u64 = 100;

/// A thread as it stood.
#[derive(Debug)]
pub(super) struct ThreadState {
    /// What /proc says.
    pub facts: Thread,
    /// As it stood still.
    pub registers: Registers,
}

/// All notes, as the content of one PT_NOTE aligned to 4.
pub(super) fn notes(
    cpu: Cpu,
    process: &Facts,
    threads: &[ThreadState],
    maps: &[Mapping],
    origin: &Origin,
    memory: &MemoryMap,
) -> Vec<u8> {
    let mut out = Vec::new();
    // The kernel's order, which readers expect: the process's notes stand among the first
    // thread's.
    for (i, t) in threads.iter().enumerate() {
        note(&mut out, "CORE", NT_PRSTATUS, &prstatus(t));
        if i == 0 {
            note(&mut out, "CORE", NT_PRPSINFO, &prpsinfo(process));
        }
        if let Some((_, info)) = &t.registers.signal {
            note(&mut out, "CORE", NT_SIGINFO, info);
        }
        if i == 0 {
            note(&mut out, "CORE", NT_AUXV, &process.auxv);
            note(&mut out, "CORE", NT_FILE, &mapped(maps));
            let text = serde_json::to_vec(origin).unwrap_or_default();
            note(&mut out, OWNER, NT_ORIGIN, &text);
            note(&mut out, OWNER, NT_MEMORY, &memory.to_note());
        }
        let Registers { floating, extended, .. } = &t.registers;
        if !floating.is_empty() {
            note(&mut out, "CORE", NT_FPREGSET, floating);
        }
        if let Some(kind) = cpu.facts().extended_state.filter(|_| !extended.is_empty()) {
            note(&mut out, "LINUX", kind, extended);
        }
    }
    out
}

/// A structure, written field by field to where the format has them.
struct Fields(Vec<u8>);

impl Fields {
    fn new(len: usize) -> Fields {
        Fields(vec![0; len])
    }

    fn bytes(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn i32s(&mut self, at: usize, values: &[i32]) {
        let each = values.iter().enumerate();
        each.for_each(|(i, v)| self.bytes(at + i * 4, &v.to_le_bytes()));
    }

    fn u64s(&mut self, at: usize, values: &[u64]) {
        let each = values.iter().enumerate();
        each.for_each(|(i, v)| self.bytes(at + i * 8, &v.to_le_bytes()));
    }

    /// `text` and zeros, the last byte a zero.
    fn text(&mut self, place: Range<usize>, text: &[u8]) {
        self.bytes(place.start, &text[..text.len().min(place.len() - 1)]);
    }
}

/// `struct elf_prstatus`.
fn prstatus(t: &ThreadState) -> Vec<u8> {
    use prstatus::{CURSIG, PID, REGISTERS, SIGHOLD, SIGNO, SIGPEND, UTIME};
    let stat = &t.facts.stat;
    let Registers { general, floating, signal, .. } = &t.registers;
    let signal = signal.as_ref().map_or(0, |s| s.0);
    let behind = REGISTERS + general.len();
    let mut f = Fields::new(behind + 8);
    f.i32s(SIGNO, &[signal]);
    f.i32s(CURSIG, &[signal & 0xffff]);
    f.u64s(SIGPEND, &[t.facts.pending]);
    f.u64s(SIGHOLD, &[t.facts.blocked]);
    f.i32s(PID, &[t.facts.inner, stat.ppid, stat.pgrp, stat.session]);
    let children = [stat.cutime, stat.cstime].map(|t| u64::try_from(t).unwrap_or(0));
    let times = [stat.utime, stat.stime, children[0], children[1]];
    let times = times.map(|ticks| [ticks / TICKS, ticks % TICKS * (1_000_000 / TICKS)]);
    f.u64s(UTIME, times.as_flattened());
    f.bytes(REGISTERS, general);
    // pr_fpvalid.
    f.i32s(behind, &[i32::from(!floating.is_empty())]);
    f.0
}

/// `struct elf_prpsinfo`.
fn prpsinfo(process: &Facts) -> Vec<u8> {
    use prpsinfo::{ARGUMENTS, FLAG, NAME, PID, STATE, UID};
    const STATES: &[u8] = b"RSDTZW";
    let stat = &process.stat;
    let letter = u8::try_from(stat.state).unwrap_or(b'.');
    let number = STATES.iter().position(|s| *s == letter);
    let mut f = Fields::new(ARGUMENTS.end);
    let state = [number.unwrap_or(6) as u8, letter, u8::from(letter == b'Z'), stat.nice as u8];
    f.bytes(STATE, &state);
    f.u64s(FLAG, &[stat.flags.into()]);
    f.i32s(UID, &[process.status.ruid as i32, process.status.rgid as i32]);
    f.i32s(PID, &[process.inner, stat.ppid, stat.pgrp, stat.session]);
    f.text(NAME, stat.comm.as_bytes());
    f.text(ARGUMENTS, &process.command);
    f.0
}

/// NT_FILE: what the kernel would list, by pages.
fn mapped(maps: &[Mapping]) -> Vec<u8> {
    let listed = maps.iter().filter(|m| m.has_file());
    files(PAGE, listed.map(|m| (m.start, m.end, m.offset, &m.name[..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This process's own main thread, by offsets that were counted by hand in linux/elfcore.h.
    #[test]
    fn structures_are_the_kernels() {
        let pid = std::process::id() as i32;
        let facts = Thread::read(pid, pid).expect("a thread");
        let (inner, stat) = (facts.inner, facts.stat.clone());
        let general: Vec<u8> = (0..216).map(|i| i as u8).collect();
        let signal = Some((0x1_000b, [0; 128]));
        let registers = Registers { general, floating: vec![1], extended: Vec::new(), signal };
        let t = ThreadState { facts, registers };
        let d = prstatus(&t);
        let i32_at = |d: &[u8], at: usize| i32::from_le_bytes(d[at..at + 4].try_into().unwrap());
        let u64_at = |d: &[u8], at: usize| u64::from_le_bytes(d[at..at + 8].try_into().unwrap());
        assert_eq!((d.len(), i32_at(&d, 0), i32_at(&d, 12)), (336, 0x1_000b, 11));
        assert_eq!(
            [32, 36, 40, 44].map(|at| i32_at(&d, at)),
            [inner, stat.ppid, stat.pgrp, stat.session]
        );
        assert_eq!(
            [48, 56].map(|at| u64_at(&d, at)),
            [stat.utime / 100, stat.utime % 100 * 10_000]
        );
        assert_eq!(
            (&d[112..328], i32_at(&d, 328), i32_at(&d, 332)),
            (&t.registers.general[..], 1, 0)
        );
        let process = Facts::read(pid).expect("a process");
        let d = prpsinfo(&process);
        assert_eq!((d.len(), i32_at(&d, 24), i32_at(&d, 28)), (136, process.inner, stat.ppid));
        assert_eq!(i32_at(&d, 16), process.status.ruid as i32);
        let name = process.stat.comm.as_bytes();
        assert_eq!((&d[40..40 + name.len()], d[55], d[135]), (name, 0, 0));
        let start = process.command.len().min(79);
        assert_eq!(d[56..56 + start], process.command[..start]);
    }
}

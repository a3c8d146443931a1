//! The notes of a core: threads with their registers, the process, its mapped files.
//!
//! Knows the kernel's structures (linux/elfcore.h, fs/binfmt_elf.c), in the kernel's order; and
//! one note of rjcore's own, for what the kernel has no note for.

use serde::{Deserialize, Serialize};

use crate::process::facts::{Facts, Thread};
use crate::process::maps::{Mapping, PAGE};

const NT_PRSTATUS: u32 = 1;
const NT_FPREGSET: u32 = 2;
const NT_PRPSINFO: u32 = 3;
const NT_AUXV: u32 = 6;
const NT_X86_XSTATE: u32 = 0x202;
const NT_SIGINFO: u32 = 0x5349_4749;
const NT_FILE: u32 = 0x4649_4c45;
/// Owner of the note that only rjcore reads.
pub const OWNER: &str = "rjcore";
/// Type of that note; its text is [`Origin`] as JSON. "rj" and a number: readers that look at the
/// type alone, whatever the owner, know none like it.
pub const NT_ORIGIN: u32 = 0x726a_0001;
/// Its type in cores of rjcore 0.1 and before, which others take for NT_PRSTATUS.
pub const NT_ORIGIN_OLD: u32 = 1;
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
    /// NT_X86_XSTATE, raw; empty if there is none.
    pub extended: Vec<u8>,
    /// The signal that it had in hand, with its siginfo_t.
    pub signal: Option<(i32, [u8; 128])>,
}

/// How a core came about: what rjcore writes of itself into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The rjcore that wrote it.
    pub version: String,
    /// ms since 1970 when the process stood still.
    pub captured_ms: u64,
    /// `fork`, `precopy` or `stop`.
    pub method: String,
    /// The process's id where rjcore ran, which in a container is not its own.
    pub pid: i32,
    /// The threads by the id in their NT_PRSTATUS.
    pub threads: Vec<ThreadName>,
}

/// The kernel's name of a thread, at most 15 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadName {
    /// As in its NT_PRSTATUS.
    pub tid: i32,
    /// The name.
    pub name: String,
}

/// All notes, as the content of one PT_NOTE aligned to 4.
pub fn notes(
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
            note(&mut out, "CORE", NT_FILE, &files(maps));
            let text = serde_json::to_vec(origin).unwrap_or_default();
            note(&mut out, OWNER, NT_ORIGIN, &text);
        }
        if !t.floating.is_empty() {
            note(&mut out, "CORE", NT_FPREGSET, &t.floating);
        }
        if !t.extended.is_empty() {
            note(&mut out, "LINUX", NT_X86_XSTATE, &t.extended);
        }
    }
    out
}

fn note(out: &mut Vec<u8>, owner: &str, kind: u32, content: &[u8]) {
    out.extend((owner.len() as u32 + 1).to_le_bytes());
    out.extend((content.len() as u32).to_le_bytes());
    out.extend(kind.to_le_bytes());
    out.extend(owner.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(content);
    out.resize(out.len().next_multiple_of(4), 0);
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

/// NT_FILE, `fill_files_note`: count, page size, (start, end, offset in pages) each, the paths.
fn files(maps: &[Mapping]) -> Vec<u8> {
    let files = || maps.iter().filter(|m| m.has_file());
    let mut f = Fields::default();
    f.u64s(&[files().count() as u64, PAGE]);
    files().for_each(|m| f.u64s(&[m.start, m.end, m.offset / PAGE]));
    files().for_each(|m| f.text(&m.name, m.name.len() + 1));
    f.0
}

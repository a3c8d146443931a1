//! A core's notes: their types, how one is written, and rjcore's own, for what the kernel has no note for.
//!
//! Knows the kernel's structures (linux/elfcore.h, fs/binfmt_elf.c); nothing of where the facts come from.

use serde::{Deserialize, Serialize};

/// A thread: its id, its general registers, the processor time that it took.
pub const NT_PRSTATUS: u32 = 1;
/// A thread's floating-point registers.
pub const NT_FPREGSET: u32 = 2;
/// The process: its id, its name, its arguments.
pub const NT_PRPSINFO: u32 = 3;
/// The auxiliary vector.
pub const NT_AUXV: u32 = 6;
/// `siginfo_t` of the signal that a thread had in hand.
pub const NT_SIGINFO: u32 = 0x5349_4749;
/// The mapped files.
pub const NT_FILE: u32 = 0x4649_4c45;
/// Owner of the note that only rjcore reads.
pub const OWNER: &str = "rjcore";
/// Type of that note; its text is [`Origin`] as JSON. "rj" and a number: readers that look at the
/// type alone, whatever the owner, know none like it.
pub const NT_ORIGIN: u32 = 0x726a_0001;
/// Its type in cores of rjcore 0.1 and before, which others take for NT_PRSTATUS.
pub const NT_ORIGIN_OLD: u32 = 1;

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

/// Appends a note, aligned to 4: `owner`, its type `kind`, what it says.
pub fn note(out: &mut Vec<u8>, owner: &str, kind: u32, content: &[u8]) {
    out.extend((owner.len() as u32 + 1).to_le_bytes());
    out.extend((content.len() as u32).to_le_bytes());
    out.extend(kind.to_le_bytes());
    out.extend(owner.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(content);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// What NT_FILE says: `fill_files_note` has a count, the unit of offsets, (start, end, offset in
/// units) each, then the paths, each with a zero at its end.
pub fn files<'a>(
    unit: u64,
    files: impl Iterator<Item = (u64, u64, u64, &'a [u8])> + Clone,
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut words = |values: &[u64]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    words(&[files.clone().count() as u64, unit]);
    files.clone().for_each(|(start, end, offset, _)| words(&[start, end, offset / unit]));
    for (.., path) in files {
        out.extend(path);
        out.push(0);
    }
    out
}

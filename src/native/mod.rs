//! Native frames: from a thread's registers to the bottom of its stack, by the call frame
//! information (.eh_frame) of the libraries that it runs through.
//!
//! Knows ELF, DWARF's call frame information and, by `cpu`, the registers. Knows nothing of HotSpot:
//! where code without a library begins, which has frames of its own, the caller says.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

mod cfi;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
mod module;
mod names;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::corefile::room::Room;
use crate::corefile::{CoreFile, Sysroot, ThreadNote};
use crate::cpu::{Facts, MAX_REGISTERS};
use crate::error::Remark;
use cfi::Step;
use module::Module;

/// Frames of one run: a stack of 1 GB of the smallest ones has fewer.
pub(crate) const MAX_FRAMES: usize = 1 << 20;
/// Bytes of memory for a frame: the smallest is a return address.
const FRAME: u64 = 8;
/// Where a frame pointer is to be believed without any table: a frame is smaller.
const MAX_GUESSED_FRAME: u64 = 1 << 20;
/// Of memory as it is nothing is kept: of that in many pieces, and of names. A core may name thousands of libraries, all
/// at one place.
const MAX_KEPT: usize = 256 << 20;
/// AT_SYSINFO_EHDR: where the kernel mapped the vDSO.
const AT_SYSINFO_EHDR: u64 = 33;

/// What is known of a frame's registers.
#[derive(Debug, Clone, Copy)]
pub struct Registers {
    /// Where it goes on.
    pub pc: u64,
    /// Its stack pointer.
    pub sp: u64,
    /// Its frame pointer.
    pub fp: Option<u64>,
    /// By DWARF's number, without those three.
    other: [Option<u64>; MAX_REGISTERS],
}

/// A native frame.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Where it goes on.
    pub pc: u64,
    /// The library's path; none in memory that no file is mapped to.
    pub library: Option<Rc<str>>,
    /// The pc as the library's own file counts addresses.
    pub offset: u64,
    /// The function, demangled, and how far in it the pc is.
    pub function: Option<(Rc<str>, u64)>,
    /// Found by a frame pointer alone, or by a file that nothing proves to be the right one.
    pub guessed: bool,
}

/// How a run of native frames ends.
#[derive(Debug, Clone)]
pub enum End {
    /// At the stack's bottom.
    Bottom,
    /// In the caller's own code.
    Stopped(Box<Registers>),
    /// Earlier, and why.
    Broken(Remark),
}

/// A run of native frames, innermost first.
#[derive(Debug, Clone)]
pub struct Run {
    /// The frames.
    pub frames: Vec<Frame>,
    /// What comes after them.
    pub end: End,
}

/// Unwinds native frames of one core.
#[derive(Debug)]
pub struct Unwinder<'c> {
    core: &'c CoreFile,
    sysroot: Sysroot,
    cpu: &'static Facts,
    /// By path; the vDSO has none.
    modules: RefCell<HashMap<String, Rc<Module>>>,
    /// A stack may be of one function a million times.
    names: RefCell<HashMap<Vec<u8>, Rc<str>>>,
    /// Bytes that may still be kept of libraries that have no file at hand.
    room: Cell<usize>,
    /// Frames that may still be walked, of all threads together.
    frames: Room,
}

impl<'c> Unwinder<'c> {
    /// Files are looked for as for the core itself: see [`CoreFile::lay_backing_files`].
    pub fn new(core: &'c CoreFile, sysroot: Sysroot) -> Unwinder<'c> {
        let cpu = core.cpu().facts();
        let (modules, names) = Default::default();
        let frames = Room::of(core.memory(), FRAME);
        Unwinder { core, sysroot, cpu, modules, names, room: Cell::new(MAX_KEPT), frames }
    }

    /// Leaves room for so many frames of all threads.
    #[cfg(test)]
    pub(crate) fn leave(&self, frames: u64) {
        self.frames.leave(frames);
    }

    /// A thread's registers where it was caught.
    pub fn caught(&self, note: &ThreadNote) -> Registers {
        let (_, words) = note.registers();
        let word = |i: usize| words.get(i).copied();
        let mut other = [None; MAX_REGISTERS];
        for (to, from) in other.iter_mut().zip(self.cpu.dwarf) {
            *to = word(*from);
        }
        Registers {
            pc: self.cpu.strip(word(self.cpu.pc).unwrap_or(0)),
            sp: word(self.cpu.sp).unwrap_or(0),
            fp: word(self.cpu.fp),
            other,
        }
    }

    /// Those of a frame of which little is known. `saved` has others by DWARF's number.
    pub fn called(&self, pc: u64, sp: u64, fp: u64, saved: &[(usize, u64)]) -> Registers {
        let mut other = [None; MAX_REGISTERS];
        for (number, value) in saved {
            if let Some(to) = other.get_mut(*number) {
                *to = Some(*value);
            }
        }
        Registers { pc: self.cpu.strip(pc), sp, fp: Some(fp), other }
    }

    /// The values of registers by their place in NT_PRSTATUS, those that are known.
    pub fn known(&self, of: &Registers) -> impl Iterator<Item = (usize, u64)> {
        let all = self.cpu.dwarf.iter().zip(of.other);
        all.filter_map(|(note, value)| Some((*note, value?)))
    }

    /// Walks from `from` until `stop` says that a pc is in the caller's own code. `caught` says
    /// that the pc is where the thread stands, not where a call returns to.
    pub fn walk(&self, from: Registers, caught: bool, stop: impl Fn(u64) -> bool) -> Run {
        let mut frames = Vec::new();
        let (mut at, mut standing, mut guessed) = (from, caught, false);
        let end = loop {
            if stop(at.pc) {
                break End::Stopped(Box::new(at));
            }
            if frames.len() >= MAX_FRAMES {
                break End::Broken("the stack has no end".into());
            }
            if !self.frames.take(1) {
                let why = "the threads have more native frames than the core's memory can hold";
                break End::Broken(why.into());
            }
            if !self.is_code(at.pc) {
                break End::Broken(format!("{:#x} is in no code", at.pc).into());
            }
            // A call may be the last instruction of its function.
            let place = if standing { at.pc } else { at.pc.wrapping_sub(1) };
            let module = self.module_at(place);
            frames.push(self.frame(module.as_deref(), at.pc, place, guessed));
            let step = match &module {
                Some(m) => m.step(self, place, &at),
                None => Step::Unknown("no library is mapped there".into()),
            };
            let innermost = standing;
            let next = match step {
                Step::Bottom => break End::Bottom,
                Step::Caller { registers, signal } => {
                    guessed |= module.is_some_and(|m| !m.proven);
                    standing = signal;
                    *registers
                }
                Step::Unknown(_)
                    if !innermost && module.as_ref().is_some_and(|m| m.is_outermost(place)) =>
                {
                    break End::Bottom;
                }
                Step::Unknown(why) => match self.by_frame_pointer(&at) {
                    Some(registers) => {
                        (guessed, standing) = (true, false);
                        registers
                    }
                    None => break End::Broken(why.about(format_args!("{:#x}", at.pc))),
                },
            };
            if next.pc == 0 {
                break End::Bottom;
            }
            // A leaf of aarch64 has nothing on the stack.
            if next.sp < at.sp || next.sp == at.sp && !innermost {
                break End::Broken(format!("the caller's stack pointer is {:#x}", next.sp).into());
            }
            at = next;
        };
        Run { frames, end }
    }

    fn frame(&self, module: Option<&Module>, pc: u64, place: u64, guessed: bool) -> Frame {
        let found = module.and_then(|m| m.symbol(place));
        let function = found.map(|(name, start)| {
            let mut known = self.names.borrow_mut();
            let new = || names::demangled(name).into();
            let name = known.entry(name.to_vec()).or_insert_with(new).clone();
            (name, pc.wrapping_sub(start))
        });
        Frame {
            pc,
            library: module.map(|m| m.path.clone()),
            offset: module.map_or(0, |m| pc.wrapping_sub(m.bias)),
            function,
            guessed,
        }
    }

    /// The caller by the frame pointer, which code may use for anything else.
    fn by_frame_pointer(&self, at: &Registers) -> Option<Registers> {
        let fp = at
            .fp
            .filter(|fp| fp.is_multiple_of(8) && *fp >= at.sp && fp - at.sp < MAX_GUESSED_FRAME)?;
        let (saved, pc) = (self.word(fp)?, self.cpu.strip(self.word(fp.checked_add(8)?)?));
        self.is_code(pc).then(|| self.called(pc, fp.saturating_add(16), saved, &[]))
    }

    fn word(&self, addr: u64) -> Option<u64> {
        self.core.memory().u64(addr).ok()
    }

    /// Whether the process may run what is at `pc`.
    fn is_code(&self, pc: u64) -> bool {
        let segments = self.core.segments();
        let i = segments.partition_point(|s| s.start <= pc);
        let segment = i.checked_sub(1).and_then(|i| segments.get(i));
        let runs = segment.is_some_and(|s| pc - s.start < s.memsz && s.flags & 1 != 0);
        runs || self.core.mapping_at(pc).is_some()
    }

    fn module_at(&self, pc: u64) -> Option<Rc<Module>> {
        let mapping = self.core.mapping_at(pc);
        let path = mapping.map_or("", |m| m.path.as_str());
        let mut known = self.modules.borrow_mut();
        if !known.contains_key(path) {
            let module = match mapping {
                Some(mapping) => Module::of_file(self.core, mapping, &self.sysroot, &self.room),
                None => {
                    let vdso = self.core.auxv().iter().find(|a| a.0 == AT_SYSINFO_EHDR)?.1;
                    Module::in_memory(self.core, "[vdso]", vdso, None, &self.room)
                }
            };
            known.insert(path.to_owned(), Rc::new(module));
        }
        known.get(path).filter(|m| mapping.is_some() || m.holds(pc)).cloned()
    }
}

//! One step by DWARF's call frame information: a frame's registers to its caller's.

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, Encoding, EndianSlice, EvaluationResult,
    Expression, Format, FrameDescriptionEntry, LittleEndian, Location, ParsedEhFrameHdr, Register,
    RegisterRule, UnwindContext, UnwindExpression, UnwindSection, UnwindTableRow, Value,
};

use super::{Registers, Unwinder};
use crate::cpu::MAX_REGISTERS;
use crate::error::Remark;

type Slice<'d> = EndianSlice<'d, LittleEndian>;

/// Steps of one expression: those of compilers and of libc have a few dozen.
const MAX_STEPS: u32 = 1000;
const ENCODING: Encoding = Encoding { format: Format::Dwarf32, version: 4, address_size: 8 };

/// What comes below a frame.
pub(super) enum Step {
    Caller {
        registers: Box<Registers>,
        /// It was interrupted by a signal, rather than that it called.
        signal: bool,
    },
    Bottom,
    /// No table tells, and why.
    Unknown(Remark),
}

/// .eh_frame_hdr and .eh_frame of a library, and where its file says that they are.
pub(super) struct Tables<'d> {
    pub hdr: &'d [u8],
    pub hdr_at: u64,
    pub frames: &'d [u8],
    pub frames_at: u64,
}

/// Where .eh_frame is, by the header at `hdr_at`.
pub(super) fn frames_at(hdr: &[u8], hdr_at: u64) -> Option<u64> {
    let bases = BaseAddresses::default().set_eh_frame_hdr(hdr_at);
    let parsed = EhFrameHdr::new(hdr, LittleEndian).parse(&bases, 8).ok()?;
    match parsed.eh_frame_ptr() {
        gimli::Pointer::Direct(at) => Some(at),
        gimli::Pointer::Indirect(_) => None,
    }
}

impl<'d> Tables<'d> {
    /// The caller of the frame `at`, whose place in the library is `place` as its file counts.
    pub(super) fn step(&self, unwinder: &Unwinder, place: u64, at: &Registers) -> Step {
        let unknown =
            |e: gimli::Error| Step::Unknown(format!("its .eh_frame does not tell: {e}").into());
        let bases =
            BaseAddresses::default().set_eh_frame_hdr(self.hdr_at).set_eh_frame(self.frames_at);
        let hdr = match EhFrameHdr::new(self.hdr, LittleEndian).parse(&bases, 8) {
            Ok(hdr) => hdr,
            Err(e) => return unknown(e),
        };
        let frames = EhFrame::new(self.frames, LittleEndian);
        let fde = match self.description(&hdr, &frames, &bases, place) {
            Ok(fde) => fde,
            Err(e) => return unknown(e),
        };
        let mut context = UnwindContext::new();
        let row = match fde.unwind_info_for_address(&frames, &bases, &mut context, place) {
            Ok(row) => row,
            Err(e) => return unknown(e),
        };
        let ra = usize::from(fde.cie().return_address_register().0);
        let frame = Frame { unwinder, frames, at };
        match frame.caller(row, ra) {
            Some(Caller::Registers(registers)) => {
                Step::Caller { registers, signal: fde.is_signal_trampoline() }
            }
            Some(Caller::Bottom) => Step::Bottom,
            None => Step::Unknown("what its caller saved is not in the core".into()),
        }
    }

    /// What the tables say of the function around `place`. The crate's own search takes it that the header's count and
    /// pointers are right.
    fn description(
        &self,
        hdr: &ParsedEhFrameHdr<Slice<'d>>,
        frames: &EhFrame<Slice<'d>>,
        bases: &BaseAddresses,
        place: u64,
    ) -> gimli::Result<FrameDescriptionEntry<Slice<'d>>> {
        let none = gimli::Error::NoUnwindInfoForAddress;
        let table = hdr.table().ok_or(none)?;
        // No entry has less than two pointers of two bytes.
        if table.iter(bases).size_hint().0 > self.hdr.len() / 4 {
            return Err(none);
        }
        let at = table.lookup(place, bases)?.direct()?.checked_sub(self.frames_at).ok_or(none)?;
        let at = usize::try_from(at).map_err(|_| none)?.into();
        let fde = frames.fde_from_offset(bases, at, EhFrame::cie_from_offset)?;
        if fde.contains(place) { Ok(fde) } else { Err(none) }
    }
}

/// Where a frame's row leads.
enum Caller {
    /// To a caller, which had these.
    Registers(Box<Registers>),
    /// Nowhere: it is the stack's last.
    Bottom,
}

struct Frame<'f> {
    unwinder: &'f Unwinder<'f>,
    frames: EhFrame<Slice<'f>>,
    at: &'f Registers,
}

impl Frame<'_> {
    fn register(&self, number: usize) -> Option<u64> {
        let cpu = self.unwinder.cpu;
        match number {
            n if n == cpu.dwarf_sp => Some(self.at.sp),
            n if n == cpu.dwarf_fp => self.at.fp,
            n => self.at.other.get(n).copied().flatten(),
        }
    }

    /// None where a value is not known.
    fn caller(&self, row: &UnwindTableRow<usize>, ra: usize) -> Option<Caller> {
        let cpu = self.unwinder.cpu;
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                self.register(usize::from(register.0))?.wrapping_add_signed(*offset)
            }
            CfaRule::Expression(e) => self.evaluate(e, None)?,
        };
        let restored = |number: usize| match row.register(Register(number as u16)) {
            Some(rule) => self.restore(&rule, number, cfa),
            // The ABIs' default: callees keep it.
            None => self.register(number),
        };
        let pc = match row.register(Register(ra as u16)) {
            Some(RegisterRule::Undefined) => return Some(Caller::Bottom),
            // x86-64 has no such register: the number behind all others stands for the return address.
            None if ra == cpu.dwarf.len() => return Some(Caller::Bottom),
            Some(rule) => self.restore(&rule, ra, cfa)?,
            // A leaf of aarch64. What called something else cannot have left it there.
            None => self.register(ra)?,
        };
        let mut other = [None; MAX_REGISTERS];
        for (number, to) in other.iter_mut().enumerate() {
            *to = restored(number);
        }
        let sp = match row.register(Register(cpu.dwarf_sp as u16)) {
            Some(rule) => self.restore(&rule, cpu.dwarf_sp, cfa)?,
            None => cfa,
        };
        Some(Caller::Registers(Box::new(Registers {
            pc: self.unwinder.cpu.strip(pc),
            sp,
            fp: restored(cpu.dwarf_fp),
            other,
        })))
    }

    fn restore(&self, rule: &RegisterRule<usize>, number: usize, cfa: u64) -> Option<u64> {
        match rule {
            RegisterRule::SameValue => self.register(number),
            RegisterRule::Offset(o) => self.unwinder.word(cfa.wrapping_add_signed(*o)),
            RegisterRule::ValOffset(o) => Some(cfa.wrapping_add_signed(*o)),
            RegisterRule::Register(r) => self.register(usize::from(r.0)),
            RegisterRule::Expression(e) => self.unwinder.word(self.evaluate(e, Some(cfa))?),
            RegisterRule::ValExpression(e) => self.evaluate(e, Some(cfa)),
            RegisterRule::Constant(c) => Some(*c),
            _ => None,
        }
    }

    /// An expression's value; `first` is on its stack.
    fn evaluate(&self, e: &UnwindExpression<usize>, first: Option<u64>) -> Option<u64> {
        let expression: Expression<Slice> = e.get(&self.frames).ok()?;
        let mut evaluation = expression.evaluation(ENCODING);
        evaluation.set_max_iterations(MAX_STEPS);
        if let Some(first) = first {
            evaluation.set_initial_value(first);
        }
        let mut result = evaluation.evaluate().ok()?;
        // Ends by the most iterations: each answer is one.
        loop {
            result = match result {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = self.register(usize::from(register.0))?;
                    evaluation.resume_with_register(Value::Generic(value)).ok()?
                }
                EvaluationResult::RequiresMemory { address, size, .. } => {
                    let mut bytes = [0; 8];
                    let part = bytes.get_mut(..usize::from(size))?;
                    self.unwinder.core.memory().read_into(address, part).ok()?;
                    let value = Value::Generic(u64::from_le_bytes(bytes));
                    evaluation.resume_with_memory(value).ok()?
                }
                _ => return None,
            };
        }
        match evaluation.as_result().last()?.location {
            Location::Address { address } => Some(address),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corefile::{CoreFile, Sysroot};
    use std::path::Path;

    /// DW_OP_breg0 with offset 0: pushes a register.
    const PUSH: [u8; 2] = [0x70, 0];

    /// More questions than any expression asks are no answer, whatever number they stop at.
    #[test]
    fn an_expression_that_never_ends() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("testdata/cores/jdk17-serial.core.zst");
        let core = CoreFile::open(&path, &Default::default()).expect("a core");
        let unwinder = Unwinder::new(&core, Sysroot::default());
        let at = unwinder.called(0, 0, 0, &[(0, 7)]);
        let value = |pushes: usize| {
            let bytes = PUSH.repeat(pushes);
            let frame =
                Frame { unwinder: &unwinder, frames: EhFrame::new(&bytes, LittleEndian), at: &at };
            frame.evaluate(&UnwindExpression { offset: 0, length: bytes.len() }, None)
        };
        assert_eq!(value(1), Some(7));
        for pushes in MAX_STEPS as usize - 2..MAX_STEPS as usize + 4 {
            let end = value(pushes);
            assert!(end.is_none() || end == Some(7), "{pushes}: {end:?}");
        }
        assert_eq!(value(MAX_STEPS as usize * 2), None);
    }

    /// .eh_frame_hdr with words of 8 bytes: where .eh_frame is, a count, a table of one entry.
    fn header(frames_at: u64, count: u64, entry: [u64; 2]) -> Vec<u8> {
        let words = [frames_at, count, entry[0], entry[1]];
        [1, 4, 4, 4].into_iter().chain(words.into_iter().flat_map(u64::to_le_bytes)).collect()
    }

    /// Found by fuzzing: a count that no file has room for, and functions that are described before the descriptions.
    #[test]
    fn a_header_that_lies() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("testdata/cores/jdk17-serial.core.zst");
        let core = CoreFile::open(&path, &Default::default()).expect("a core");
        let unwinder = Unwinder::new(&core, Sysroot::default());
        let at = unwinder.called(0, 0, 0, &[]);
        for (count, entry) in [
            (u64::MAX, [0, 0x1000]),
            (1 << 61, [0, 0x1000]),
            (1, [0, 5]),
            (1, [0, 0x1000]),
            (1, [0, u64::MAX]),
        ] {
            let hdr = header(0x1000, count, entry);
            let tables = Tables { hdr: &hdr, hdr_at: 0, frames: &[0; 64], frames_at: 0x1000 };
            assert!(matches!(tables.step(&unwinder, 7, &at), Step::Unknown(_)), "{count:#x}");
        }
    }
}

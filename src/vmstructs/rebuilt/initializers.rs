//! What a static initialiser writes, found without running it: its instructions are followed one
//! by one, and those that do more than to move constants end the search.
//!
//! Nothing of the file is ever executed. Writes go to the image alone, steps are counted, functions
//! that are called are not entered: what they answer is unknown.

use std::collections::HashMap;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::image::{Image, State};

/// vmStructs.cpp's initialisers have 2,000 instructions at most.
const MAX_STEPS: usize = 100_000;
/// Where the stack of the function would start: no address of a process.
const STACK: u64 = 0xffff_8000_0000_0000;
/// What it may take of it.
const MAX_STACK: u64 = 64 << 10;
/// The longest instruction.
const LONGEST: u64 = 15;
/// Registers that a function may change (System V ABI).
const CALL_CLOBBERED: [Register; 9] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];

/// A write of the function: where, which bytes; none where they are unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    /// Address.
    pub at: u64,
    /// Bytes written.
    pub len: usize,
    /// The bytes, if they are known.
    pub bytes: Option<[u8; 16]>,
}

/// Where the search ended before the function did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stopped {
    /// The instruction's address.
    pub at: u64,
    /// Why.
    pub what: String,
}

/// Follows the function at `start`, `left` steps at most, which it takes off. Answers its writes to
/// the data in their order, and whether its end was reached.
pub(super) fn follow(
    image: &Image,
    start: u64,
    left: &mut usize,
) -> (Vec<Write>, Result<(), Stopped>) {
    let range = image.function(start);
    let mut run = Run {
        image,
        general: HashMap::new(),
        vectors: HashMap::new(),
        stack: HashMap::new(),
        own: HashMap::new(),
        writes: Vec::new(),
        zero: None,
    };
    run.general.insert(Register::RSP, STACK);
    let mut at = start;
    for _ in 0..MAX_STEPS.min(*left) {
        *left -= 1;
        let code = (1..=LONGEST).rev().find_map(|n| image.constant(at, n));
        let Some(code) = code else {
            return (run.writes, stop(at, "it leads out of the code"));
        };
        let mut decoder = Decoder::with_ip(64, code, at, DecoderOptions::NONE);
        let instruction = decoder.decode();
        match run.step(&instruction, &range) {
            Ok(Next::At(next)) => at = next,
            Ok(Next::Done) => return (run.writes, Ok(())),
            Err(what) => return (run.writes, stop(at, what)),
        }
    }
    (run.writes, stop(at, "it has no end"))
}

fn stop(at: u64, what: impl Into<String>) -> Result<(), Stopped> {
    Err(Stopped { at, what: what.into() })
}

enum Next {
    At(u64),
    Done,
}

struct Run<'i, 'f> {
    image: &'i Image<'f>,
    /// 64-bit registers whose value is known.
    general: HashMap<Register, u64>,
    /// XMM registers, likewise.
    vectors: HashMap<Register, [u8; 16]>,
    /// 8-byte slots of the stack, likewise.
    stack: HashMap<u64, u64>,
    /// What the function wrote to the data, byte by byte; none where that is unknown.
    own: HashMap<u64, Option<u8>>,
    writes: Vec<Write>,
    /// The zero flag.
    zero: Option<bool>,
}

/// A value of up to 16 bytes, if it is known.
type Value = Option<[u8; 16]>;

fn value(word: Option<u64>) -> Value {
    word.map(|w| u128::from(w).to_le_bytes())
}

fn word_of(value: [u8; 16]) -> u64 {
    u128::from_le_bytes(value) as u64
}

/// A value with its low (0) or high (1) half replaced.
fn with_half(old: [u8; 16], which: u8, half: u64) -> [u8; 16] {
    let shift = u32::from(which & 1) * 64;
    let kept = u128::from_le_bytes(old) & !(u128::from(u64::MAX) << shift);
    (kept | u128::from(half) << shift).to_le_bytes()
}

fn low(value: Value, len: usize) -> Option<u64> {
    let word = word_of(value?);
    Some(if len < 8 { word & ((1 << (len * 8)) - 1) } else { word })
}

impl Run<'_, '_> {
    fn step(&mut self, i: &Instruction, range: &std::ops::Range<u64>) -> Result<Next, String> {
        let unsupported = || Err(format!("{:?} is more than a move", i.mnemonic()));
        match i.mnemonic() {
            Mnemonic::Nop | Mnemonic::Endbr64 => {}
            Mnemonic::Mov
            | Mnemonic::Movaps
            | Mnemonic::Movups
            | Mnemonic::Movdqa
            | Mnemonic::Movdqu
            | Mnemonic::Movapd
            | Mnemonic::Movupd
            | Mnemonic::Movq
            | Mnemonic::Movd => {
                let len = self.width(i);
                let from = self.operand(i, 1, len)?;
                // What a wider register gets beyond the operand's bytes is zero.
                let from = from.map(|mut b| {
                    b.iter_mut().skip(len).for_each(|b| *b = 0);
                    b
                });
                self.assign(i, 0, from, len)?;
            }
            Mnemonic::Movhps | Mnemonic::Movhpd => {
                if i.op0_kind() != OpKind::Register {
                    return unsupported();
                }
                let half = self.operand(i, 1, 8)?;
                let old = self.vectors.get(&i.op0_register()).copied();
                let joined = half.zip(old).map(|(half, old)| with_half(old, 1, word_of(half)));
                self.set_vector(i.op0_register(), joined);
            }
            Mnemonic::Punpcklqdq if i.op1_kind() == OpKind::Register => {
                let (to, from) = (i.op0_register(), i.op1_register());
                let half = self.vectors.get(&from).copied();
                let old = self.vectors.get(&to).copied();
                let joined = half.zip(old).map(|(half, old)| with_half(old, 1, word_of(half)));
                self.set_vector(to, joined);
            }
            Mnemonic::Pinsrq => {
                let half = low(self.operand(i, 1, 8)?, 8);
                let old = self.vectors.get(&i.op0_register()).copied();
                let which = i.immediate8() & 1;
                let joined = half.zip(old).map(|(half, old)| with_half(old, which, half));
                self.set_vector(i.op0_register(), joined);
            }
            Mnemonic::Lea => {
                let address = self.address(i);
                self.assign(i, 0, value(address), 8)?;
            }
            Mnemonic::Xor | Mnemonic::Pxor | Mnemonic::Xorps
                if i.op0_kind() == OpKind::Register
                    && i.op1_kind() == OpKind::Register
                    && i.op0_register() == i.op1_register() =>
            {
                let len = self.width(i);
                self.assign(i, 0, Some([0; 16]), len)?;
                if i.mnemonic() == Mnemonic::Xor {
                    self.zero = Some(true);
                }
            }
            Mnemonic::Add | Mnemonic::Sub if i.op0_register() == Register::RSP => {
                let by = low(self.operand(i, 1, 8)?, 8).ok_or("the stack is lost")?;
                let sp = self.sp()?;
                let sp = match i.mnemonic() {
                    Mnemonic::Add => sp.wrapping_add(by),
                    _ => sp.wrapping_sub(by),
                };
                self.set_sp(sp)?;
                self.zero = None;
            }
            Mnemonic::Push => {
                let pushed = low(self.operand(i, 0, 8)?, 8);
                let sp = self.sp()?.wrapping_sub(8);
                self.set_sp(sp)?;
                self.set_slot(sp, pushed);
            }
            Mnemonic::Pop => {
                let sp = self.sp()?;
                let popped = self.stack.get(&sp).copied();
                self.set_sp(sp.wrapping_add(8))?;
                self.assign(i, 0, value(popped), 8)?;
            }
            Mnemonic::Leave => {
                let base = self.general.get(&Register::RBP).copied().ok_or("the stack is lost")?;
                self.set_sp(base.wrapping_add(8))?;
                let saved = self.stack.get(&base).copied();
                self.set_general(Register::RBP, saved);
            }
            Mnemonic::Cmp | Mnemonic::Test => {
                let len = self.width(i);
                // A guard of a static that others may have made: it is taken as it was at first.
                // Both ways of such a branch lead to the same writes elsewhere.
                let left = self.compared(i, 0, len)?;
                let right = self.compared(i, 1, len)?;
                self.zero = left.zip(right).map(|(a, b)| match i.mnemonic() {
                    Mnemonic::Cmp => a == b,
                    _ => a & b == 0,
                });
            }
            Mnemonic::Je | Mnemonic::Jne => {
                let zero = self.zero.ok_or("a branch by what is not known")?;
                if zero == (i.mnemonic() == Mnemonic::Je) {
                    return self.jump(i.near_branch_target(), range);
                }
            }
            Mnemonic::Jmp if i.op0_kind() == OpKind::NearBranch64 => {
                return self.jump(i.near_branch_target(), range);
            }
            Mnemonic::Call => {
                for r in CALL_CLOBBERED {
                    self.general.remove(&r);
                }
                self.vectors.clear();
                self.zero = None;
            }
            Mnemonic::Ret if i.op0_kind() != OpKind::Immediate16 => {
                return match self.sp()? {
                    STACK => Ok(Next::Done),
                    _ => Err("it returns elsewhere".into()),
                };
            }
            Mnemonic::INVALID => return Err("no instruction".into()),
            _ => return unsupported(),
        }
        Ok(Next::At(i.next_ip()))
    }

    /// A jump out of the function is its last call.
    fn jump(&self, to: u64, range: &std::ops::Range<u64>) -> Result<Next, String> {
        match range.contains(&to) {
            true => Ok(Next::At(to)),
            false if self.sp()? == STACK => Ok(Next::Done),
            false => Err("a jump out of the function".into()),
        }
    }

    /// Bytes that the instruction moves or compares.
    fn width(&self, i: &Instruction) -> usize {
        let memory = i.op0_kind() == OpKind::Memory || i.op1_kind() == OpKind::Memory;
        match i.mnemonic() {
            Mnemonic::Movq => 8,
            Mnemonic::Movd => 4,
            _ if memory => i.memory_size().size(),
            _ => i.op0_register().size(),
        }
    }

    fn operand(&self, i: &Instruction, n: u32, len: usize) -> Result<Value, String> {
        Ok(match i.op_kind(n) {
            OpKind::Register => self.register(i.op_register(n)),
            OpKind::Memory => match self.address(i) {
                Some(at) => self.load(at, len, false),
                None => None,
            },
            OpKind::Immediate8
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate32to64
            | OpKind::Immediate64 => value(Some(i.immediate(n))),
            kind => return Err(format!("an operand of kind {kind:?}")),
        })
    }

    fn compared(&self, i: &Instruction, n: u32, len: usize) -> Result<Option<u64>, String> {
        let value = match (i.op_kind(n), self.address(i)) {
            (OpKind::Memory, Some(at)) => self.load(at, len, true),
            _ => self.operand(i, n, len)?,
        };
        Ok(low(value, len))
    }

    fn register(&self, r: Register) -> Value {
        if r.is_xmm() {
            return self.vectors.get(&r).copied();
        }
        // The second byte of a register is nothing that moves of constants use.
        let high = matches!(r, Register::AH | Register::BH | Register::CH | Register::DH);
        value(self.general.get(&r.full_register()).copied().filter(|_| !high))
    }

    fn assign(&mut self, i: &Instruction, n: u32, from: Value, len: usize) -> Result<(), String> {
        match i.op_kind(n) {
            OpKind::Register => {
                let r = i.op_register(n);
                if r.is_xmm() {
                    self.set_vector(r, from);
                } else if r == Register::RSP {
                    self.set_sp(low(from, 8).ok_or("the stack is lost")?)?;
                } else if r.is_gpr64() || r.is_gpr32() {
                    // 32 bits written clear the others.
                    self.set_general(r.full_register(), low(from, r.size()));
                } else {
                    self.set_general(r.full_register(), None);
                }
                Ok(())
            }
            OpKind::Memory => {
                let at = self.address(i).ok_or("a write to where is not known")?;
                self.store(at, from, len)
            }
            kind => Err(format!("an operand of kind {kind:?}")),
        }
    }

    fn set_general(&mut self, r: Register, value: Option<u64>) {
        match value {
            Some(v) => self.general.insert(r, v),
            None => self.general.remove(&r),
        };
    }

    fn set_vector(&mut self, r: Register, value: Value) {
        match value {
            Some(v) => self.vectors.insert(r, v),
            None => self.vectors.remove(&r),
        };
    }

    fn sp(&self) -> Result<u64, String> {
        self.general.get(&Register::RSP).copied().ok_or_else(|| "the stack is lost".into())
    }

    fn set_sp(&mut self, sp: u64) -> Result<(), String> {
        if !(STACK - MAX_STACK..=STACK).contains(&sp) {
            return Err("its stack is too large".into());
        }
        self.general.insert(Register::RSP, sp);
        Ok(())
    }

    fn set_slot(&mut self, at: u64, value: Option<u64>) {
        match value {
            Some(v) => self.stack.insert(at, v),
            None => self.stack.remove(&at),
        };
    }

    fn address(&self, i: &Instruction) -> Option<u64> {
        if i.is_ip_rel_memory_operand() {
            return Some(i.ip_rel_memory_address());
        }
        // Thread-local storage is elsewhere.
        if matches!(i.segment_prefix(), Register::FS | Register::GS) {
            return None;
        }
        let register = |r: Register| match r {
            Register::None => Some(0),
            r => self.general.get(&r.full_register()).copied(),
        };
        let index = register(i.memory_index())?;
        let scaled = index.wrapping_mul(u64::from(i.memory_index_scale()));
        let base = register(i.memory_base())?;
        Some(base.wrapping_add(scaled).wrapping_add(i.memory_displacement64()))
    }

    /// What can be read at `at`: constants, and what the function wrote itself. `initial`: what the
    /// data held at first, too.
    fn load(&self, at: u64, len: usize, initial: bool) -> Value {
        if len > 16 {
            return None;
        }
        if self.is_stack(at) {
            let slot = self.stack.get(&at).copied();
            return value(slot.filter(|_| len == 8));
        }
        let mut out = [0; 16];
        if let Some(bytes) = self.image.constant(at, len as u64) {
            out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            return Some(out);
        }
        let end = at.checked_add(len as u64)?;
        let holds = initial || self.image.relro.start <= at && end <= self.image.relro.end;
        for (to, at) in out.iter_mut().zip(at..end) {
            *to = match self.own.get(&at) {
                Some(own) => (*own)?,
                None => match self.image.bytes(at, 1)? {
                    ([byte], State::Initial) if holds => *byte,
                    _ => return None,
                },
            };
        }
        Some(out)
    }

    fn store(&mut self, at: u64, from: Value, len: usize) -> Result<(), String> {
        if self.is_stack(at) {
            // Of slots that are written in part nothing is known.
            for slot in (0..=len as u64 / 8).map(|i| (at & !7).wrapping_add(i * 8)) {
                self.stack.remove(&slot);
            }
            if len == 8 && at.is_multiple_of(8) {
                self.set_slot(at, low(from, 8));
            }
            return Ok(());
        }
        if len > 16 || self.image.bytes(at, len).is_none() {
            return Err("a write outside of the library's data".into());
        }
        for (i, at) in (at..at + len as u64).enumerate() {
            self.own.insert(at, from.and_then(|b| b.get(i).copied()));
        }
        self.writes.push(Write { at, len, bytes: from });
        Ok(())
    }

    fn is_stack(&self, at: u64) -> bool {
        (STACK - MAX_STACK..STACK).contains(&at)
    }
}

#[cfg(test)]
mod tests;

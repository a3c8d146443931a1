//! What the compiler wrote down of the Java frames at one pc: ScopeDesc and its values.

use super::super::Vm;
use super::method::Method;
use super::nmethod::Nmethod;
use super::stream::Stream;

/// Frames inlined into one another: MaxInlineLevel is 15, and recursion adds little.
const MAX_SCOPES: usize = 1 << 10;
/// Locals or stack slots of one frame (JVMS 4.11).
const MAX_VALUES: u32 = 1 << 16;

/// One Java frame that is inlined, or that is all of a compiled one.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// Its method.
    pub method: Method,
    /// Bytecode index; -1 is the entry.
    pub bci: i32,
    locals: u32,
    expressions: u32,
    monitors: u32,
}

/// Where a value is in a frame (location.hpp).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    /// Location::Type.
    pub kind: u32,
    /// In a register, or in the frame.
    pub in_register: bool,
    /// VMReg number of the register, or offset in the frame in slots of 4 bytes.
    pub offset: u32,
}

/// A value in the debug information.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ScopeValue {
    /// Somewhere in the frame.
    Location(Location),
    /// An int constant.
    Int(i32),
    /// An object that the code refers to.
    Oop(u64),
    /// A long constant.
    Long(i64),
    /// A double constant.
    Double(f64),
    /// An object that exists only in pieces (scalar-replaced), or may.
    Scalar,
    /// The other half of a long or double.
    Marker,
}

/// A monitor of a compiled frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Monitor {
    /// The object.
    pub owner: ScopeValue,
    /// The compiler left the locking out.
    pub eliminated: bool,
}

/// The scopes at a decode offset, innermost first.
pub(crate) fn scopes(vm: &Vm, nm: &Nmethod, mut offset: u32) -> Option<Vec<Scope>> {
    let mut out = Vec::new();
    while offset != 0 && out.len() < MAX_SCOPES {
        let mut s = stream(vm, nm, offset);
        let sender = s.int()?;
        let method = nm.method_at(vm, s.int()?)?;
        let bci = (s.int()? as i32).wrapping_sub(1);
        out.push(Scope {
            method,
            bci,
            locals: s.int()?,
            expressions: s.int()?,
            monitors: s.int()?,
        });
        // A sender stands before what it called.
        if sender >= offset {
            return None;
        }
        offset = sender;
    }
    Some(out)
}

fn stream<'v>(vm: &'v Vm, nm: &Nmethod, offset: u32) -> Stream<'v> {
    Stream::new(vm.mem, nm.scopes_data.wrapping_add(u64::from(offset)), vm.coding())
}

impl Scope {
    /// The local variables; none where they cannot be read.
    pub(crate) fn locals(&self, vm: &Vm, nm: &Nmethod) -> Option<Vec<ScopeValue>> {
        values(vm, nm, self.locals)
    }

    /// The expression stack.
    pub(crate) fn expressions(&self, vm: &Vm, nm: &Nmethod) -> Option<Vec<ScopeValue>> {
        values(vm, nm, self.expressions)
    }

    /// The monitors that the frame holds, or waits for, first taken first.
    pub(crate) fn monitors(&self, vm: &Vm, nm: &Nmethod) -> Option<Vec<Monitor>> {
        if self.monitors == 0 {
            return Some(Vec::new());
        }
        let mut s = stream(vm, nm, self.monitors);
        let count = s.int()?.min(MAX_VALUES);
        let mut out = Vec::new();
        for _ in 0..count {
            s.int()?; // where the BasicLock is
            let owner = value(vm, nm, &mut s)?;
            out.push(Monitor { owner, eliminated: s.byte()? != 0 });
        }
        Some(out)
    }
}

fn values(vm: &Vm, nm: &Nmethod, offset: u32) -> Option<Vec<ScopeValue>> {
    if offset == 0 {
        return Some(Vec::new());
    }
    let mut s = stream(vm, nm, offset);
    let count = s.int()?.min(MAX_VALUES);
    let mut out = Vec::new();
    for _ in 0..count {
        out.push(value(vm, nm, &mut s)?);
    }
    Some(out)
}

/// One value (debugInfo.cpp, `ScopeValue::read_from`). Objects are described in full in a list of
/// their own; here they have their numbers only.
fn value(vm: &Vm, nm: &Nmethod, s: &mut Stream) -> Option<ScopeValue> {
    Some(match s.int()? {
        0 => ScopeValue::Location(location(s.int()?)),
        1 => ScopeValue::Int(s.signed()?),
        2 => ScopeValue::Oop(nm.oop_at(vm, s.int()?)?),
        3 => ScopeValue::Long(s.long()?),
        4 => ScopeValue::Double(s.double()?),
        6 => {
            s.int()?;
            ScopeValue::Scalar
        }
        8 => ScopeValue::Marker,
        _ => return None,
    })
}

/// `location.hpp`: the type in four bits, a bit for registers, then the offset.
fn location(bits: u32) -> Location {
    Location { kind: bits & 15, in_register: bits >> 4 & 1 != 0, offset: bits >> 5 }
}

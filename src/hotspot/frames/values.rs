//! The values in a frame: locals, expression stack, monitors.

use super::oop_mask::Slot;
use super::walk::relative;
use super::{Frame, Packed, Place, Saved, Walker};
use crate::hotspot::barrier::Colour;
use crate::hotspot::code::{Location, ScopeValue};

/// Monitors of one interpreted frame, and slots of its expression stack.
const MAX_SLOTS: u64 = 1 << 16;

/// A slot of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    /// Nothing that is used any more, or not known.
    Dead,
    /// An object; null is 0.
    Object(u64),
    /// The bits of a primitive, or of something whose type is not known.
    Bits(u64),
    /// An int, or what the bytecodes take for one.
    Int(i32),
    /// A long.
    Long(i64),
    /// A float.
    Float(f32),
    /// A double.
    Double(f64),
    /// An object that exists in pieces only.
    Scalar,
}

/// A monitor of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Monitor {
    /// The object, 0 where it is not known.
    pub object: u64,
    /// The compiler left the locking out.
    pub eliminated: bool,
    /// The object exists in pieces only.
    pub is_scalar: bool,
}

impl Walker<'_> {
    /// The monitors of a frame, last taken first, as HotSpot prints them.
    pub(crate) fn monitors(&self, frame: &Frame) -> Vec<Monitor> {
        match &frame.place {
            Place::Interpreted { fp, .. } => self.interpreted_monitors(*fp, frame),
            Place::Native { .. } => Vec::new(),
            Place::Compiled { nmethod, scope, .. } => {
                let all = scope.monitors(self.vm, nmethod).unwrap_or_default();
                if !self.values.take(all.len() as u64) {
                    return Vec::new();
                }
                let monitor = |m: &crate::hotspot::code::Monitor| {
                    let value = self.scope_value(frame, m.owner);
                    Monitor {
                        object: if let Value::Object(o) = value { o } else { 0 },
                        eliminated: m.eliminated,
                        is_scalar: value == Value::Scalar,
                    }
                };
                all.iter().rev().map(monitor).collect()
            }
        }
    }

    /// BasicObjectLocks between the frame's fixed part and its expression stack; the last taken
    /// has the lowest address.
    fn interpreted_monitors(&self, fp: u64, frame: &Frame) -> Vec<Monitor> {
        let mut out = Vec::new();
        let Some((start, end)) = self.monitor_block(fp) else { return out };
        let size = self.vm.tables.size_of("BasicObjectLock").filter(|s| (16..=64).contains(s));
        let (Some(size), Some(obj)) = (size, self.vm.fields.basic_lock_obj.opt()) else {
            return out;
        };
        if !self.values.take((end - start) / size) {
            return out;
        }
        let mut at = start;
        while at.saturating_add(size) <= end && out.len() < MAX_SLOTS as usize {
            let bits = self.word(at.wrapping_add(obj)).unwrap_or(0);
            let object = self.oop(bits, frame);
            if object != 0 {
                out.push(Monitor { object, eliminated: false, is_scalar: false });
            }
            at = at.wrapping_add(size);
        }
        out
    }

    fn monitor_block(&self, fp: u64) -> Option<(u64, u64)> {
        let (start, end) = match self.is_zero() {
            true => self.zero_monitors(fp)?,
            false => {
                let end = fp.wrapping_add_signed(self.layout.monitors * 8);
                (relative(fp, self.word(end)?), end)
            }
        };
        (start <= end && end - start <= MAX_SLOTS * 16).then_some((start, end))
    }

    /// The object that a word of a stack or a register refers to.
    pub(crate) fn stack_oop(&self, bits: u64, colour: Option<Colour>) -> u64 {
        if bits == 0 {
            return 0;
        }
        self.vm.barrier.plausible(self.vm.mem, bits, colour).unwrap_or(0)
    }

    /// The object that a slot's bits refer to, which are known to be a reference.
    fn oop(&self, bits: u64, frame: &Frame) -> u64 {
        match frame.packed {
            Some(_) if self.vm.pointers.narrow_oops => self.narrow_oop(bits),
            _ => self.stack_oop(bits, frame.colour),
        }
    }

    fn narrow_oop(&self, bits: u64) -> u64 {
        self.vm.barrier.resolve(self.vm.mem, self.vm.pointers.widen(bits as u32))
    }

    /// The object at a word, if it is one.
    fn plausible(&self, bits: u64, colour: Option<Colour>) -> Option<u64> {
        if bits == 0 || !bits.is_multiple_of(8) {
            return None;
        }
        let object = self.stack_oop(bits, colour);
        (object != 0 && self.vm.klass_of(object).is_some()).then_some(object)
    }

    /// The local variables. Where nothing says which of an interpreted frame are objects, those
    /// are that can be.
    pub(crate) fn locals(&self, frame: &Frame) -> Vec<Value> {
        match &frame.place {
            Place::Native { .. } => Vec::new(),
            Place::Interpreted { fp, .. } => {
                let first = match self.is_zero() {
                    true => self.zero_locals(*fp),
                    false => self.slot(*fp, self.layout.locals).map(|word| relative(*fp, word)),
                };
                let Some(first) = first else { return Vec::new() };
                if !self.values.take(u64::from(frame.method.max_locals)) {
                    return Vec::new();
                }
                let at = |i: u16| first.wrapping_sub(u64::from(i) * 8);
                let known = self.local_types(&frame.method, frame.bci);
                let value = |i: u16| match known.as_ref().and_then(|k| k.get(usize::from(i))) {
                    Some(Slot::Reference) => match self.word(at(i)) {
                        Some(bits) => Value::Object(self.oop(bits, frame)),
                        None => Value::Dead,
                    },
                    Some(_) => self.word(at(i)).map_or(Value::Dead, Value::Bits),
                    None => self.slot_value(at(i), frame),
                };
                (0..frame.method.max_locals).map(value).collect()
            }
            Place::Compiled { nmethod, scope, .. } => {
                let all = scope.locals(self.vm, nmethod).unwrap_or_default();
                if !self.values.take(all.len() as u64) {
                    return Vec::new();
                }
                all.into_iter().map(|v| self.scope_value(frame, v)).collect()
            }
        }
    }

    /// The local variables as the method's bytecodes use them: a long or double is one value, in
    /// its first slot, and slots that nothing uses at this place are dead.
    pub(crate) fn typed_locals(&self, frame: &Frame) -> Vec<Value> {
        let raw = self.locals(frame);
        let Some(types) = self.local_types(&frame.method, frame.bci) else { return raw };
        // The interpreter has a long's bits in its second slot, compiled code in either.
        let wide = |i: usize| {
            [i + 1, i].into_iter().find_map(|i| match raw.get(i)? {
                Value::Bits(bits) => Some(*bits),
                Value::Long(v) => Some(*v as u64),
                _ => None,
            })
        };
        let typed = |(i, value): (usize, &Value)| match (types.get(i), *value) {
            (Some(Slot::Unset | Slot::Half | Slot::Conflict), _) => Value::Dead,
            (Some(Slot::Long), _) => wide(i).map_or(Value::Dead, |bits| Value::Long(bits as i64)),
            (Some(Slot::Double), _) => {
                wide(i).map_or(Value::Dead, |bits| Value::Double(f64::from_bits(bits)))
            }
            (Some(Slot::Int), Value::Bits(bits)) => Value::Int(bits as i32),
            (Some(Slot::Float), Value::Bits(bits)) => Value::Float(f32::from_bits(bits as u32)),
            (Some(Slot::Float), Value::Int(bits)) => Value::Float(f32::from_bits(bits as u32)),
            (_, value) => value,
        };
        raw.iter().enumerate().map(typed).collect()
    }

    /// The expression stack, its first slot first.
    pub(crate) fn expressions(&self, frame: &Frame) -> Vec<Value> {
        match &frame.place {
            Place::Native { .. } => Vec::new(),
            Place::Interpreted { fp, sp, arguments } => {
                let Some((bottom, _)) = self.monitor_block(*fp) else { return Vec::new() };
                // The stack's top while the frame calls; of the innermost one its stack pointer.
                let last = match self.is_zero() {
                    true => self.zero_top(*fp).unwrap_or(bottom),
                    false => self.slot(*fp, self.layout.last_sp).unwrap_or(0),
                };
                let top = if last == 0 { *sp } else { relative(*fp, last) };
                let slots = bottom.saturating_sub(top) / 8;
                if slots > MAX_SLOTS || !self.values.take(slots) {
                    return Vec::new();
                }
                // What it gave to the frame that it called is that one's.
                let slots = slots.saturating_sub(u64::from(*arguments));
                let at = |i: u64| bottom.wrapping_sub(i * 8);
                (1..=slots).map(|i| self.slot_value(at(i), frame)).collect()
            }
            Place::Compiled { nmethod, scope, .. } => {
                let all = scope.expressions(self.vm, nmethod).unwrap_or_default();
                if !self.values.take(all.len() as u64) {
                    return Vec::new();
                }
                all.into_iter().map(|v| self.scope_value(frame, v)).collect()
            }
        }
    }

    fn slot_value(&self, at: u64, frame: &Frame) -> Value {
        let Some(bits) = self.word(at) else { return Value::Dead };
        let object = match frame.packed {
            Some(packed) => self.is_packed(packed, at).then(|| self.oop(bits, frame)),
            None => self.plausible(bits, frame.colour),
        };
        match object {
            Some(object) => Value::Object(object),
            None => Value::Bits(bits),
        }
    }

    /// Whether the slot at `at` holds a reference.
    fn is_packed(&self, packed: Packed, at: u64) -> bool {
        let bit = at.wrapping_sub(packed.start) / self.vm.pointers.oop_size();
        let word = self.word(packed.bitmap.wrapping_add(bit / 64 * 8));
        word.is_some_and(|w| w >> (bit % 64) & 1 != 0)
    }

    /// `StackValue::create_stack_value`.
    fn scope_value(&self, frame: &Frame, value: ScopeValue) -> Value {
        match value {
            ScopeValue::Location(l) => self.location(frame, l),
            ScopeValue::Int(v) => Value::Int(v),
            ScopeValue::Oop(o) => Value::Object(o),
            ScopeValue::Long(v) => Value::Bits(v as u64),
            ScopeValue::Double(v) => Value::Bits(v.to_bits()),
            ScopeValue::Scalar => Value::Scalar,
            ScopeValue::Marker => Value::Dead,
        }
    }

    fn location(&self, frame: &Frame, l: Location) -> Value {
        let Place::Compiled { sp, registers, .. } = &frame.place else { return Value::Dead };
        let bits = if l.in_register {
            match registers.get(l.offset as usize / 2) {
                Saved::Value(v) => v,
                Saved::At(at) => match self.word(at) {
                    Some(v) => v,
                    None => return Value::Dead,
                },
                Saved::Lost => return Value::Dead,
            }
        } else {
            let at = sp.wrapping_add(u64::from(l.offset) * 4);
            match self.word(at) {
                Some(v) => v,
                None => return Value::Dead,
            }
        };
        let constant = |name: &str| {
            self.vm.tables.constant(&format!("Location::{name}")) == Some(i64::from(l.kind))
        };
        if constant("oop") {
            Value::Object(self.oop(bits, frame))
        } else if constant("narrowoop") {
            Value::Object(self.narrow_oop(bits))
        } else if constant("invalid") {
            Value::Dead
        } else if constant("normal") {
            Value::Int(bits as i32)
        } else {
            Value::Bits(bits)
        }
    }
}

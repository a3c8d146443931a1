//! The values in a frame.

use std::fmt::{self, Write};

use serde::{Serialize, Serializer};

use super::Address;
use crate::hotspot::Vm;
use crate::hotspot::classes::{Kind, Size};
use crate::hotspot::frames::Value;
use crate::output::redact::Redaction;

/// Characters of a String that are shown.
const MAX_TEXT: usize = 100;

/// Where a value lies in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotPlace {
    /// A local variable.
    Local,
    /// The expression stack.
    Stack,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SlotKind {
    /// A reference to an object.
    Object,
    /// A reference to none.
    Null,
    /// An int; boolean, byte, char and short too.
    Int,
    /// A long.
    Long,
    /// A float.
    Float,
    /// A double.
    Double,
    /// Bits whose type is not known.
    Bits,
    /// An object that the compiler took apart.
    ScalarReplaced,
}

impl SlotPlace {
    /// Its name in JSON.
    pub fn code(self) -> &'static str {
        match self {
            SlotPlace::Local => "local",
            SlotPlace::Stack => "stack",
        }
    }
}

impl SlotKind {
    /// Its name in JSON.
    pub fn code(self) -> &'static str {
        match self {
            SlotKind::Object => "object",
            SlotKind::Null => "null",
            SlotKind::ScalarReplaced => "scalar_replaced",
            number => number.name(),
        }
    }

    /// Of a number, for people.
    fn name(self) -> &'static str {
        match self {
            SlotKind::Int => "int",
            SlotKind::Long => "long",
            SlotKind::Float => "float",
            SlotKind::Double => "double",
            SlotKind::Object | SlotKind::Null | SlotKind::Bits | SlotKind::ScalarReplaced => "bits",
        }
    }
}

/// A number in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// An int.
    Int(i32),
    /// A long.
    Long(i64),
    /// A float.
    Float(f32),
    /// A double.
    Double(f64),
    /// Bits whose type is not known.
    Bits(u64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(v) => write!(f, "{v}"),
            Number::Long(v) => write!(f, "{v}"),
            Number::Float(v) => write!(f, "{v:?}"),
            Number::Double(v) => write!(f, "{v:?}"),
            Number::Bits(v) => write!(f, "{v:#x}"),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A local variable or a slot of the expression stack that is in use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slot {
    /// Where it lies.
    pub place: SlotPlace,
    /// Its number; a long's or double's is that of its first slot.
    pub slot: usize,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: SlotKind,
    /// The object, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Address>,
    /// The object's class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// An array's elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// A String's text, the first 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether the String goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<bool>,
    /// The number, as text: JSON's have 53 bits. Of `bits` hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Number>,
    /// The number is not shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

impl Slot {
    /// A value; none where there is nothing in use. Texts are shown as `redaction` says.
    pub(super) fn new(
        vm: &Vm,
        place: SlotPlace,
        slot: usize,
        value: Value,
        class_of: impl Fn(u64) -> String,
        redaction: Option<&Redaction>,
    ) -> Option<Slot> {
        let bare = |kind| Slot {
            place,
            slot,
            kind,
            object: None,
            class: None,
            length: None,
            text: None,
            cut: None,
            value: None,
            redacted: false,
        };
        let number = |kind, value| Slot { value: Some(value), ..bare(kind) };
        Some(match value {
            Value::Dead => return None,
            Value::Int(v) => number(SlotKind::Int, Number::Int(v)),
            Value::Long(v) => number(SlotKind::Long, Number::Long(v)),
            Value::Float(v) => number(SlotKind::Float, Number::Float(v)),
            Value::Double(v) => number(SlotKind::Double, Number::Double(v)),
            Value::Bits(bits) => number(SlotKind::Bits, Number::Bits(bits)),
            Value::Scalar => bare(SlotKind::ScalarReplaced),
            Value::Object(0) => bare(SlotKind::Null),
            Value::Object(at) => {
                let klass = vm.klass_of(at);
                let is_array = klass.is_some_and(|k| {
                    k.kind != Kind::Instance && matches!(k.size, Size::Array { .. })
                });
                let length = vm.mem.u32(at.wrapping_add(vm.pointers.array_length)).ok();
                let class = class_of(at);
                let whole = vm.string(at).map(|text| match redaction {
                    Some(redaction) => redaction.shown(&class, &text).into_owned(),
                    None => text,
                });
                let text: Option<String> =
                    whole.as_ref().map(|t| t.chars().take(MAX_TEXT).collect());
                Slot {
                    object: Some(Address(at)),
                    class: Some(class),
                    length: length.filter(|_| is_array),
                    cut: whole.zip(text.as_ref()).map(|(whole, text)| text.len() < whole.len()),
                    text,
                    ..bare(SlotKind::Object)
                }
            }
        })
    }

    /// The same without the number that it may have.
    pub(super) fn without_number(self) -> Slot {
        Slot { redacted: self.value.is_some(), value: None, ..self }
    }

    /// A line of text.
    pub fn text(&self, out: &mut String) {
        let place = match self.place {
            SlotPlace::Local => "local",
            SlotPlace::Stack => "stack",
        };
        let _ = write!(out, "\t  {place} {}:", self.slot);
        if let (Some(at), Some(class)) = (self.object, &self.class) {
            let _ = write!(out, " <{:#018x}> (a {class}", at.0);
            if let Some(n) = self.length {
                let _ = write!(out, ", length {n}");
            }
            out.push(')');
        }
        if let Some(text) = &self.text {
            let _ = write!(out, " {text:?}{}", if self.cut == Some(true) { "..." } else { "" });
        }
        let _ = match (self.kind, self.value) {
            _ if self.redacted => write!(out, " redacted ({})", self.kind.name()),
            (SlotKind::Null, _) => write!(out, " null"),
            (SlotKind::ScalarReplaced, _) => write!(out, " an object that the compiler took apart"),
            // An int has the lower half; what the upper one has then is left over.
            (_, Some(bits @ Number::Bits(v))) => write!(out, " {} ({bits})", v as i32),
            (_, Some(v @ Number::Int(_))) => write!(out, " {v}"),
            (_, Some(v @ Number::Long(_))) => write!(out, " {v} (long)"),
            (_, Some(v @ Number::Float(_))) => write!(out, " {v} (float)"),
            (_, Some(v @ Number::Double(_))) => write!(out, " {v} (double)"),
            (_, None) => Ok(()),
        };
        out.push('\n');
    }
}

//! The values in a frame, in words.

use std::fmt::Write;

use serde::Serialize;

use super::Address;
use crate::hotspot::Vm;
use crate::hotspot::frames::Value;
use crate::hotspot::klass::{Kind, Size};

/// Characters of a String that are shown.
const MAX_TEXT: usize = 100;

/// A local variable or a slot of the expression stack that is in use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Slot {
    /// `local` or `stack`.
    pub place: &'static str,
    /// Its number; a long's or double's is that of its first slot.
    pub slot: usize,
    /// `object`, `null`, `int` (boolean, byte, char and short too), `long`, `float`, `double`; `bits`
    /// where the type is not known; `scalar_replaced` of an object that the compiler took apart.
    #[serde(rename = "type")]
    pub kind: &'static str,
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
    pub value: Option<String>,
}

impl Slot {
    /// A value; none where there is nothing in use.
    pub(super) fn new(
        vm: &Vm,
        place: &'static str,
        slot: usize,
        value: Value,
        class_of: impl Fn(u64) -> String,
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
        };
        let number = |kind, value: String| Slot { value: Some(value), ..bare(kind) };
        Some(match value {
            Value::Dead => return None,
            Value::Int(v) => number("int", v.to_string()),
            Value::Long(v) => number("long", v.to_string()),
            Value::Float(v) => number("float", format!("{v:?}")),
            Value::Double(v) => number("double", format!("{v:?}")),
            Value::Bits(bits) => number("bits", format!("{bits:#x}")),
            Value::Scalar => bare("scalar_replaced"),
            Value::Object(0) => bare("null"),
            Value::Object(at) => {
                let klass = vm.klass_of(at);
                let is_array = klass.is_some_and(|k| {
                    k.kind != Kind::Instance && matches!(k.size, Size::Array { .. })
                });
                let length = vm.mem.u32(at.wrapping_add(vm.pointers.array_length)).ok();
                let whole = vm.string(at);
                let text: Option<String> =
                    whole.as_ref().map(|t| t.chars().take(MAX_TEXT).collect());
                Slot {
                    object: Some(Address(at)),
                    class: Some(class_of(at)),
                    length: length.filter(|_| is_array),
                    cut: whole.zip(text.as_ref()).map(|(whole, text)| text.len() < whole.len()),
                    text,
                    ..bare("object")
                }
            }
        })
    }

    /// A line of text.
    pub fn text(&self, out: &mut String) {
        let _ = write!(out, "\t  {} {}:", self.place, self.slot);
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
        match (self.kind, &self.value) {
            ("null", _) => *out += " null",
            ("scalar_replaced", _) => *out += " an object that the compiler took apart",
            // An int has the lower half; what the upper one has then is left over.
            ("bits", Some(bits)) => {
                let low = u64::from_str_radix(bits.trim_start_matches("0x"), 16).unwrap_or(0);
                let _ = write!(out, " {} ({bits})", low as i32);
            }
            ("int", Some(value)) => {
                let _ = write!(out, " {value}");
            }
            (kind, Some(value)) => {
                let _ = write!(out, " {value} ({kind})");
            }
            (_, None) => {}
        }
        out.push('\n');
    }
}

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
    /// Its number.
    pub slot: usize,
    /// The object, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Address>,
    /// The object's class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// An array's elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// A String's text, a number, `null`, or what else is to be said.
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
        let bare = Slot { place, slot, object: None, class: None, length: None, value: None };
        let said = |value: String| Some(Slot { value: Some(value), ..bare.clone() });
        match value {
            Value::Dead => None,
            Value::Int(v) => said(v.to_string()),
            // An int has the lower half; what the upper one has then is left over.
            Value::Bits(bits) => said(format!("{} ({bits:#x})", bits as i32)),
            Value::Scalar => said("an object that the compiler took apart".into()),
            Value::Object(0) => said("null".into()),
            Value::Object(at) => {
                let klass = vm.klass_of(at);
                let is_array = klass.is_some_and(|k| {
                    k.kind != Kind::Instance && matches!(k.size, Size::Array { .. })
                });
                let length = vm.mem.u32(at.wrapping_add(vm.pointers.array_length)).ok();
                let text = vm.string(at).map(|t| {
                    let cut: String = t.chars().take(MAX_TEXT).collect();
                    let more = if cut.len() < t.len() { "..." } else { "" };
                    format!("{cut:?}{more}")
                });
                Some(Slot {
                    object: Some(Address(at)),
                    class: Some(class_of(at)),
                    length: length.filter(|_| is_array),
                    value: text,
                    ..bare
                })
            }
        }
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
        if let Some(value) = &self.value {
            let _ = write!(out, " {value}");
        }
        out.push('\n');
    }
}

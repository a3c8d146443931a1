//! java.lang.String as text.

use crate::hotspot::Vm;
use crate::hotspot::classes::{Kind, Size};

/// Strings that rjcore shows are names and properties, not documents.
const MAX_CHARS: u64 = 1 << 20;

impl Vm<'_> {
    /// The text of the String or char[] at `addr`; none where it is not a readable one. A
    /// Thread's name is a char[] in 8.
    pub fn text(&self, addr: u64) -> Option<String> {
        match self.klass_of(addr)?.kind {
            Kind::TypeArray(b'C') => self.characters(addr, None),
            _ => self.string(addr),
        }
    }

    /// The array that has the characters of the String at `addr`; the array itself if a char[] lies there.
    pub(crate) fn characters_of(&self, addr: u64) -> Option<u64> {
        match self.klass_of(addr)?.kind {
            Kind::TypeArray(_) => Some(addr),
            _ => self.oop_field(addr, "value").filter(|a| *a != 0),
        }
    }

    /// The text of the String at `addr`; none where it is not a readable one.
    pub fn string(&self, addr: u64) -> Option<String> {
        let klass = self.klass_of(addr)?;
        if klass.name != "java/lang/String" {
            return None;
        }
        // JEP 254: coder 0 is Latin-1, 1 is UTF-16. Before, all were UTF-16.
        let coder = self.classes.field(&self.reader(), klass, "coder");
        let coder = coder.map(|c| self.mem.u8(addr.wrapping_add(u64::from(c.offset))));
        self.characters(self.oop_field(addr, "value")?, coder.transpose().ok()?)
    }

    fn characters(&self, array: u64, coder: Option<u8>) -> Option<String> {
        let array_klass = self.klass_of(array)?;
        let Size::Array { header, .. } = array_klass.size else { return None };
        let len = u64::from(self.mem.u32(array.wrapping_add(self.pointers.array_length)).ok()?);
        let read = |len: u64| {
            let mut bytes = vec![0; len.min(MAX_CHARS) as usize];
            self.mem.read_into(array.wrapping_add(header), &mut bytes).ok().map(|()| bytes)
        };
        let utf16 = |bytes: Vec<u8>| {
            let units: Vec<u16> =
                bytes.as_chunks().0.iter().map(|c| u16::from_le_bytes(*c)).collect();
            String::from_utf16_lossy(&units)
        };
        if array_klass.kind == Kind::TypeArray(b'C') {
            return read(len * 2).map(utf16);
        }
        match coder? {
            0 => read(len).map(|b| b.into_iter().map(char::from).collect()),
            _ => read(len).map(utf16),
        }
    }
}

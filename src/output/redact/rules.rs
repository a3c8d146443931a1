//! What is replaced, class by class: asked once for each, when its plan is compiled.

use super::key::Form;
use super::{Redaction, What};
use crate::heap::layout::{Slot, Strength};
use crate::heap::{Heap, java_name};
use crate::hotspot::Vm;
use crate::hotspot::classes::is_reference;

/// Fields of the JDK's own classes that say how objects are laid out and hold no data of the program's. Without them
/// readers of dumps could not tell strings, collections, buffers and threads apart.
const LAYOUT: [(&str, &[&str]); 7] = [
    ("java.lang.String", &["coder"]),
    ("java.lang.Thread", &["priority", "daemon", "tid", "threadStatus", "eetop"]),
    ("java.lang.Thread$FieldHolder", &["priority", "daemon", "threadStatus"]),
    ("java.lang.VirtualThread", &["state"]),
    ("jdk.internal.vm.StackChunk", &["size", "sp", "bottom"]),
    ("java.nio.Buffer", &["mark", "position", "limit", "capacity", "address"]),
    // java.util.* and below.
    ("java.util.", &["size", "count", "elementCount", "baseCount", "head", "tail"]),
];

/// What happens to an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// Nothing.
    Stay,
    /// All become 0.
    Blank,
    /// They are a text: replaced as a whole, or what fits a pattern.
    Text(Form, bool),
}

/// What is asked of a class once.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfClass {
    /// Its values stay.
    kept: bool,
    /// These of the fields that it declares stay in any case.
    layout: &'static [&'static str],
}

impl OfClass {
    /// Of the class with this Java name, perhaps the boot loader's.
    pub(super) fn new(redaction: &Redaction, name: &str, is_boot: bool) -> OfClass {
        let own = LAYOUT.iter().filter(|_| is_boot).find(|(class, _)| match class.ends_with('.') {
            true => name.starts_with(class),
            false => name == *class,
        });
        OfClass { kept: redaction.keeps(name), layout: own.map_or(&[], |(_, fields)| *fields) }
    }
}

impl Redaction {
    /// Whether the value of a field of a primitive type is replaced, in objects of `class`.
    pub(super) fn hides(
        &self,
        class: OfClass,
        declared_by: OfClass,
        name: &[u8],
        kind: u8,
    ) -> bool {
        if is_reference(kind) || class.kept || declared_by.kept {
            return false;
        }
        if self.what.primitives {
            return !declared_by.layout.iter().any(|own| own.as_bytes() == name);
        }
        // Who knows the hash of a short text finds the text: String.hash, HashMap.Node.hash and their like.
        self.touches_texts() && matches!(kind, b'I' | b'J') && is_hash(name)
    }

    /// What happens to the elements of an array class, which are of this kind.
    pub(super) fn elements(&self, class: OfClass, kind: u8) -> Elements {
        let What { strings, primitives } = self.what;
        let (strings, primitives) = (strings && !class.kept, primitives && !class.kept);
        let form = match kind {
            b'C' => Form::Chars,
            b'I' => Form::Words,
            _ => Form::Bytes,
        };
        let scanned = match self.patterns.is_empty() {
            true => Elements::Stay,
            false => Elements::Text(form, false),
        };
        match kind {
            _ if is_reference(kind) => Elements::Stay,
            b'B' | b'C' if strings => Elements::Text(form, true),
            b'B' | b'C' => scanned,
            // int[] may be code points; and until it is used again, free room in the heap is an int[] over what lay there.
            b'I' if strings || primitives => Elements::Blank,
            b'I' => scanned,
            _ if primitives => Elements::Blank,
            _ => Elements::Stay,
        }
    }
}

/// The rules of one core's heap.
#[derive(Debug)]
pub struct Rules<'h> {
    vm: &'h Vm<'h>,
    redaction: &'h Redaction,
    /// By number of klass.
    of: Vec<OfClass>,
}

impl<'h> Rules<'h> {
    /// Asks for each class once.
    pub(crate) fn new(heap: &Heap<'h>, redaction: &'h Redaction) -> Rules<'h> {
        let vm = heap.vm;
        let of = vm
            .classes
            .all()
            .iter()
            .map(|k| OfClass::new(redaction, &java_name(&vm.external_name(k)), k.is_boot));
        Rules { vm, redaction, of: of.collect() }
    }

    /// Whether the value of a field is replaced in objects of the class with this number; of a static field, in the
    /// class.
    pub(crate) fn hides(&self, class: u32, slot: &Slot) -> bool {
        // What the VM added is no data, and in no dump.
        if slot.strength == Strength::Injected {
            return false;
        }
        let Some(of) = self.of.get(class as usize) else { return true };
        let declared_by = self.of.get(slot.declared_by as usize).unwrap_or(of);
        let name = self.vm.reader().symbol_bytes(slot.name).unwrap_or(b"");
        self.redaction.hides(*of, *declared_by, name, slot.kind)
    }

    /// What happens to the elements of the array class with this number, of this kind.
    pub(crate) fn elements(&self, class: u32, kind: u8) -> Elements {
        self.of.get(class as usize).map_or(Elements::Blank, |of| self.redaction.elements(*of, kind))
    }
}

fn is_hash(name: &[u8]) -> bool {
    name.windows(4).any(|w| w.eq_ignore_ascii_case(b"hash"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction(strings: bool, primitives: bool, keep: &[&str], patterns: &[&str]) -> Redaction {
        let keep = keep.iter().map(|k| k.parse().expect("any text is one")).collect();
        let patterns = patterns.iter().map(|p| p.parse().expect("a pattern")).collect();
        Redaction::new(What { strings, primitives }, keep, patterns, None)
    }

    #[test]
    fn fields_by_what_is_asked_for() {
        let hides = |r: &Redaction, class: &str, declared_by: &str, name: &str, kind| {
            let of = |class| OfClass::new(r, class, class.starts_with("java."));
            r.hides(of(class), of(declared_by), name.as_bytes(), kind)
        };
        let all = redaction(true, true, &["a.Kept", "a.Base"], &[]);
        assert!(hides(&all, "a.B", "a.B", "n", b'J'));
        assert!(!hides(&all, "a.B", "a.B", "n", b'L'));
        assert!(
            !hides(&all, "a.Kept", "a.B", "n", b'J') && !hides(&all, "a.B", "a.Base", "n", b'J')
        );
        assert!(!hides(&all, "java.util.HashMap", "java.util.HashMap", "size", b'I'));
        assert!(hides(&all, "java.util.HashMap", "java.util.HashMap", "modCount", b'I'));
        assert!(hides(&all, "a.Map", "a.Map", "size", b'I'));
        assert!(!hides(&all, "java.lang.String", "java.lang.String", "coder", b'B'));
        let strings = redaction(true, false, &[], &[]);
        assert!(hides(&strings, "a.B", "a.B", "cachedHash", b'I'));
        assert!(!hides(&strings, "a.B", "a.B", "n", b'I'));
        assert!(hides(&redaction(false, false, &[], &["x"]), "a.B", "a.B", "hashCode", b'I'));
        assert!(!hides(&redaction(false, false, &[], &[]), "a.B", "a.B", "hash", b'I'));
    }

    #[test]
    fn elements_by_what_is_asked_for() {
        let elements = |r: &Redaction, kind| {
            let name = if kind == b'B' { "byte[]" } else { "other[]" };
            r.elements(OfClass::new(r, name, true), kind)
        };
        use Elements::{Blank, Stay, Text};
        let of = |r: &Redaction| b"BCIJL".map(|kind| elements(r, kind));
        let (bytes, chars, words) = (Form::Bytes, Form::Chars, Form::Words);
        let (b, c) = (Text(bytes, true), Text(chars, true));
        assert_eq!(of(&redaction(true, false, &[], &[])), [b, c, Blank, Stay, Stay]);
        assert_eq!(of(&redaction(false, true, &[], &[])), [Stay, Stay, Blank, Blank, Stay]);
        assert_eq!(of(&redaction(true, true, &["byte[]"], &[])), [Stay, c, Blank, Blank, Stay]);
        let scanned = [Text(bytes, false), Text(chars, false), Text(words, false), Stay, Stay];
        assert_eq!(of(&redaction(false, false, &[], &["x"])), scanned);
        let kept = redaction(true, true, &["*"], &["x"]);
        assert_eq!(of(&kept), scanned);
    }
}

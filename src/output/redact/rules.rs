//! What is replaced, class by class: asked once for each, when its plan is compiled.

use super::text::Form;
use super::{Redaction, What};
use crate::heap::Heap;
use crate::heap::java_name;
use crate::heap::layout::{Slot, Strength};
use crate::hotspot::Vm;
use crate::hotspot::classes::is_reference;

/// Fields of the JDK's own classes that say how objects are laid out and hold no data of the program's. Without them
/// readers of dumps could not tell strings, collections, buffers and threads apart.
const KEPT: [(&str, &[&str]); 7] = [
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

/// The rules of one heap.
#[derive(Debug)]
pub struct Rules<'h> {
    vm: &'h Vm<'h>,
    redaction: &'h Redaction,
    /// By number of klass: whether its values stay.
    kept: Vec<bool>,
    /// By number of klass: which of the built-in fields are its own.
    layout: Vec<&'static [&'static str]>,
}

impl<'h> Rules<'h> {
    /// Asks for each class once.
    pub(crate) fn new(heap: &Heap<'h>, redaction: &'h Redaction) -> Rules<'h> {
        let vm = heap.vm;
        let (mut kept, mut layout) = (Vec::new(), Vec::new());
        for klass in vm.classes.all() {
            let name = java_name(&vm.external_name(klass));
            kept.push(redaction.keeps(&name));
            let own = KEPT.iter().find(|(class, _)| match class.ends_with('.') {
                true => name.starts_with(class),
                false => name == *class,
            });
            layout.push(own.filter(|_| klass.is_boot).map_or(&[][..], |(_, fields)| *fields));
        }
        Rules { vm, redaction, kept, layout }
    }

    /// Whether the value of a field is replaced in objects of the class with this number; of a static field, in the
    /// class.
    pub(crate) fn hides(&self, class: u32, slot: &Slot) -> bool {
        let kept = |number: u32| self.kept.get(number as usize).is_some_and(|k| *k);
        // What the VM added is no data.
        let is_data = !is_reference(slot.kind) && slot.strength != Strength::Injected;
        if !is_data || kept(class) || kept(slot.declared_by) {
            return false;
        }
        let What { primitives, .. } = self.redaction.what;
        let name = self.vm.reader().symbol_bytes(slot.name).unwrap_or(b"");
        let layout = self.layout.get(slot.declared_by as usize);
        if primitives {
            return !layout.is_some_and(|own| own.iter().any(|n| n.as_bytes() == name));
        }
        // Who knows the hash of a short text finds the text: String.hash, HashMap.Node.hash and their like.
        self.redaction.touches_texts() && slot.kind == b'I' && is_hash(name)
    }

    /// What happens to the elements of the array class with this number, of this kind.
    pub(crate) fn elements(&self, class: u32, kind: u8) -> Elements {
        let What { strings, primitives } = self.redaction.what;
        let kept = self.kept.get(class as usize).is_some_and(|k| *k);
        let form = match kind {
            b'C' => Form::Chars,
            b'I' => Form::Words,
            _ => Form::Bytes,
        };
        match kind {
            _ if is_reference(kind) => Elements::Stay,
            b'B' | b'C' if strings && !kept => Elements::Text(form, true),
            // int[] may be code points; and until it is used again, free room in the heap is an int[] over what lay there.
            b'I' if strings && !kept => Elements::Blank,
            b'B' | b'C' => self.scan(form),
            _ if primitives && !kept => Elements::Blank,
            b'I' => self.scan(form),
            _ => Elements::Stay,
        }
    }

    fn scan(&self, form: Form) -> Elements {
        match self.redaction.patterns.is_empty() {
            true => Elements::Stay,
            false => Elements::Text(form, false),
        }
    }
}

fn is_hash(name: &[u8]) -> bool {
    name.windows(4).any(|w| w.eq_ignore_ascii_case(b"hash"))
}

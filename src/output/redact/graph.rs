//! A graph of objects that shows of contents only what is not redacted: the answer is that of a redacted dump.

use super::Redaction;
use super::rules::{Elements, OfClass};
use crate::graph::{
    Class, ClassKind, Field, Numbers, ObjectGraph, ObjectValues, PRIMITIVES, Plain, Reference,
    Root, Slot, Strength, Thread, Type, Unread, Value,
};

/// What is behind the end of a text that is cut may be needed to see that a pattern fits.
const BEYOND: usize = 4096;

/// A graph, and what of its contents is hidden; nothing, where no redaction is asked for.
pub(crate) struct Redacted<'g, G> {
    graph: &'g G,
    hidden: Option<Hidden<'g>>,
}

struct Hidden<'g> {
    redaction: &'g Redaction,
    of: Vec<OfClass>,
    /// Of each class the hidden fields of its objects: their slots' offsets, in order.
    slots: Vec<Vec<u32>>,
    /// Of each class whether the elements of its arrays are hidden.
    elements: Vec<bool>,
}

impl<'g, G: ObjectGraph> Redacted<'g, G> {
    /// Asks for each class once.
    pub(crate) fn new(graph: &'g G, redaction: Option<&'g Redaction>) -> Redacted<'g, G> {
        Redacted { graph, hidden: redaction.map(|r| Hidden::new(graph, r)) }
    }
}

impl<'g> Hidden<'g> {
    fn new(graph: &impl ObjectGraph, redaction: &'g Redaction) -> Hidden<'g> {
        let classes = graph.classes();
        let of = |c: &Class| OfClass::new(redaction, &c.name, c.loader.is_none());
        let of: Vec<OfClass> = classes.iter().map(of).collect();
        let mut hidden = Hidden { redaction, of, slots: Vec::new(), elements: Vec::new() };
        for (number, class) in (0..).zip(classes) {
            let fields = graph.fields(number).into_iter();
            let fields = fields.filter(|(field, slot)| hidden.hides(number, field, slot.ty));
            let mut slots: Vec<u32> = fields.map(|(_, slot)| slot.offset).collect();
            slots.sort_unstable();
            hidden.slots.push(slots);
            let element = class.name.strip_suffix("[]");
            let kind = PRIMITIVES.iter().find(|p| Some(p.1) == element).map(|p| p.0);
            let elements = kind.map(|kind| redaction.elements(hidden.of[number as usize], kind));
            // Of primitives under another name are the arrays that cover free room.
            let unnamed = class.kind == ClassKind::Primitives;
            hidden.elements.push(elements.map_or(unnamed, |e| e != Elements::Stay));
        }
        hidden
    }

    fn hides(&self, class: u32, field: &Field<'_>, ty: Type) -> bool {
        let Some(of) = self.of.get(class as usize) else { return true };
        let declared_by = self.of.get(field.class as usize).unwrap_or(of);
        self.redaction.hides(*of, *declared_by, field.name.as_bytes(), signature(ty))
    }
}

/// The first character of a signature of this type.
fn signature(ty: Type) -> u8 {
    match ty {
        Type::Boolean => b'Z',
        Type::Char => b'C',
        Type::Float => b'F',
        Type::Double => b'D',
        Type::Byte => b'B',
        Type::Short => b'S',
        Type::Int => b'I',
        Type::Long => b'J',
        Type::Reference | Type::Flat => b'L',
    }
}

/// 0 of the same type, of a primitive.
fn blank(value: Value) -> Value {
    match value.ty() {
        Type::Flat | Type::Reference => value,
        ty => ty.primitive(0).unwrap_or(value),
    }
}

impl<G: ObjectGraph> ObjectValues for Redacted<'_, G> {
    fn fields(&self, class: u32) -> Vec<(Field<'_>, Slot)> {
        self.graph.fields(class)
    }

    fn slot(&self, class: u32, name: &str) -> Option<Slot> {
        self.graph.slot(class, name)
    }

    #[inline]
    fn value(&self, place: u64, slot: Slot) -> Option<Value> {
        let value = self.graph.value(place, slot)?;
        let Some(hidden) = &self.hidden else { return Some(value) };
        let slots = hidden.slots.get(self.graph.class_of(place) as usize);
        let is_hidden = slots.is_none_or(|s| s.binary_search(&slot.offset).is_ok());
        Some(if is_hidden { blank(value) } else { value })
    }

    fn statics(&self, class: u32) -> Vec<(Field<'_>, Value)> {
        let mut all = self.graph.statics(class);
        if let Some(hidden) = &self.hidden {
            for (field, value) in &mut all {
                if hidden.hides(class, field, value.ty()) {
                    *value = blank(*value);
                }
            }
        }
        all
    }

    #[inline]
    fn length(&self, place: u64) -> Option<u64> {
        self.graph.length(place)
    }

    fn element(&self, place: u64, index: u64) -> Option<Value> {
        let value = self.graph.element(place, index)?;
        let Some(hidden) = &self.hidden else { return Some(value) };
        let elements = hidden.elements.get(self.graph.class_of(place) as usize);
        Some(if elements.is_none_or(|hidden| *hidden) { blank(value) } else { value })
    }

    /// As they are: who asks compares them, and shows none.
    #[inline]
    fn contents(&self, place: u64) -> Option<&[u8]> {
        self.graph.contents(place)
    }

    fn is_big_endian(&self) -> bool {
        self.graph.is_big_endian()
    }
}

impl<G: ObjectGraph> ObjectGraph for Redacted<'_, G> {
    fn text(&self, place: u64, limit: usize) -> Option<String> {
        let Some(hidden) = &self.hidden else { return self.graph.text(place, limit) };
        let text = self.graph.text(place, limit.saturating_add(BEYOND))?;
        let class = self.graph.classes().get(self.graph.class_of(place) as usize);
        let shown = hidden.redaction.shown(class.map_or("", |c| &c.name), &text);
        Some(shown.chars().take(limit).collect())
    }

    #[inline]
    fn plain(&self) -> Option<&Plain> {
        self.graph.plain()
    }
    fn numbers(&self) -> &Numbers {
        self.graph.numbers()
    }
    #[inline]
    fn address(&self, place: u64) -> u64 {
        self.graph.address(place)
    }
    #[inline]
    fn place(&self, address: u64) -> Option<u64> {
        self.graph.place(address)
    }
    #[inline]
    fn class_of(&self, place: u64) -> u32 {
        self.graph.class_of(place)
    }
    #[inline]
    fn size(&self, place: u64) -> u64 {
        self.graph.size(place)
    }
    #[inline]
    fn mat_size(&self, place: u64) -> u64 {
        self.graph.mat_size(place)
    }
    fn total_size(&self) -> u64 {
        self.graph.total_size()
    }
    #[inline]
    fn references(&self, place: u64, each: impl FnMut(u64, Strength)) -> u32 {
        self.graph.references(place, each)
    }
    #[inline]
    fn all_references(&self, place: u64, each: impl FnMut(u64, Strength) -> bool) -> Option<u32> {
        self.graph.all_references(place, each)
    }
    #[inline]
    fn visit(&self, place: u64, each: impl FnMut(u64, Strength)) -> (u32, u64) {
        self.graph.visit(place, each)
    }
    #[inline]
    fn class_and_size(&self, place: u64) -> (u32, u64) {
        self.graph.class_and_size(place)
    }
    #[inline]
    fn can_refer(&self, class: u32) -> bool {
        self.graph.can_refer(class)
    }
    fn describe(&self, place: u64, each: impl FnMut(Reference<'_>)) {
        self.graph.describe(place, each);
    }
    #[inline]
    fn prefetch(&self, place: u64) {
        self.graph.prefetch(place);
    }
    #[inline]
    fn mirrored(&self, place: u64) -> Option<u32> {
        self.graph.mirrored(place)
    }
    fn class_object(&self, class: u32) -> Option<u64> {
        self.graph.class_object(class)
    }
    fn classes(&self) -> &[Class] {
        self.graph.classes()
    }
    fn subclasses(&self, name: &str) -> Vec<bool> {
        self.graph.subclasses(name)
    }
    fn roots(&self) -> &[Root] {
        self.graph.roots()
    }
    fn threads(&self) -> &[Thread] {
        self.graph.threads()
    }
    fn unread(&self) -> &Unread {
        self.graph.unread()
    }
}

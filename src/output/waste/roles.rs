//! What the objects of each class are, as far as waste is concerned.

use crate::graph::{ClassKind, ObjectGraph, Slot, Type, Value};
use crate::output::collections::Collections;

/// What objects of a class are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::output) enum Role {
    /// A java.lang.String.
    String,
    /// A java.lang.Integer or another number in a box.
    Box,
    Collection,
    /// A StringBuilder or another that fills an array of bytes or chars.
    Builder,
    /// An array of primitives.
    Primitives(Type),
    /// An array of references.
    Objects,
    Other,
}

/// The boxes, where each keeps those that it shares, and how.
const BOXES: [(&str, &str, &str); 8] = [
    ("java.lang.Integer", "java.lang.Integer$IntegerCache", "cache"),
    ("java.lang.Long", "java.lang.Long$LongCache", "cache"),
    ("java.lang.Short", "java.lang.Short$ShortCache", "cache"),
    ("java.lang.Byte", "java.lang.Byte$ByteCache", "cache"),
    ("java.lang.Character", "java.lang.Character$CharacterCache", "cache"),
    ("java.lang.Boolean", "java.lang.Boolean", "TRUE"),
    ("java.lang.Float", "", ""),
    ("java.lang.Double", "", ""),
];

/// Those that fill an array: class, array, how much of it.
const BUILDERS: [(&str, &str, &str); 3] = [
    ("java.lang.AbstractStringBuilder", "value", "count"),
    ("java.io.ByteArrayOutputStream", "buf", "count"),
    ("java.io.CharArrayWriter", "buf", "count"),
];

/// Where the parts of a text are, or of another filled array.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    pub array: Slot,
    pub count: Option<Slot>,
    pub coder: Option<Slot>,
    pub offset: Option<Slot>,
}

/// A text in an array.
pub(in crate::output) struct Text<'a> {
    /// As it lies there.
    pub bytes: &'a [u8],
    pub array: u64,
    /// Bytes of a character: 1, or 2 of UTF-16.
    pub each: u64,
    /// It is an array of chars, whose bytes lie as the input has chars.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "tables alone ask for it"))]
    is_char: bool,
    /// The array is longer.
    pub is_part: bool,
}

#[cfg(feature = "cli")]
impl Text<'_> {
    /// Appends its characters as UTF-16, the low byte first.
    pub(in crate::output) fn utf16(&self, graph: &impl ObjectGraph, out: &mut Vec<u8>) {
        match self.each {
            1 => out.extend(self.bytes.iter().flat_map(|b| [*b, 0])),
            _ if self.is_char && graph.is_big_endian() => {
                out.extend(self.bytes.as_chunks().0.iter().flat_map(|[high, low]| [*low, *high]));
            }
            _ => out.extend_from_slice(self.bytes),
        }
    }
}

/// The roles of all classes.
pub(in crate::output) struct Roles {
    of: Vec<Role>,
    /// Of strings, boxes (the value) and builders.
    slots: Vec<Option<Slots>>,
    /// The shared boxes: they stay.
    shared: Vec<u64>,
}

impl Roles {
    pub(in crate::output) fn new<G: ObjectGraph>(graph: &G, collections: &Collections) -> Roles {
        let of_class = |number: u32| (role(graph, collections, number), slots(graph, number));
        let all: Vec<_> = (0..graph.classes().len() as u32).map(of_class).collect();
        let with_slots = |(role, slots): &(Role, Option<Slots>)| match (role, slots) {
            (Role::String | Role::Box | Role::Builder, None) => Role::Other,
            _ => *role,
        };
        Roles {
            of: all.iter().map(with_slots).collect(),
            slots: all.into_iter().map(|(_, slots)| slots).collect(),
            shared: shared_boxes(graph),
        }
    }

    #[inline]
    pub(in crate::output) fn of(&self, class: u32) -> Role {
        self.of.get(class as usize).copied().unwrap_or(Role::Other)
    }

    /// Whether all code shares this box.
    pub(super) fn is_shared_box(&self, place: u64) -> bool {
        self.shared.binary_search(&place).is_ok()
    }

    fn slots(&self, class: u32) -> Option<&Slots> {
        self.slots.get(class as usize)?.as_ref()
    }

    /// The array of a String's or a builder's characters.
    pub(super) fn array_of(&self, graph: &impl ObjectGraph, class: u32, place: u64) -> Option<u64> {
        match self.of(class) {
            Role::String | Role::Builder => graph.value(place, self.slots(class)?.array)?.object(),
            _ => None,
        }
    }

    /// The text of a String, or what a builder has been filled with; none where it cannot be read.
    pub(in crate::output) fn text<'g>(
        &self,
        graph: &'g impl ObjectGraph,
        class: u32,
        place: u64,
    ) -> Option<Text<'g>> {
        let slots = self.slots(class)?;
        let number = |slot: Option<Slot>| match slot {
            Some(slot) => graph.value(place, slot)?.integer().and_then(|n| usize::try_from(n).ok()),
            None => Some(0),
        };
        let array = graph.value(place, slots.array)?.object()?;
        let bytes = graph.contents(array)?;
        let coder = number(slots.coder)?;
        // Where texts have a coder they lie in bytes.
        let is_char =
            slots.coder.is_none() && self.of(graph.class_of(array)) == Role::Primitives(Type::Char);
        let each = if is_char || coder == 1 { 2 } else { 1 };
        let Some(count) = slots.count else {
            return Some(Text { bytes, array, each, is_char, is_part: false });
        };
        let from = number(slots.offset)?.checked_mul(each as usize)?;
        let length = number(Some(count))?.checked_mul(each as usize)?;
        let used = bytes.get(from..from.checked_add(length)?)?;
        let is_part = used.len() < bytes.len();
        Some(Text { bytes: used, array, each, is_char, is_part })
    }

    /// The value in a box: its class's place among the boxes, and its bits.
    pub(super) fn boxed(&self, graph: &impl ObjectGraph, class: u32, place: u64) -> Option<u64> {
        Some(match graph.value(place, self.slots(class)?.array)? {
            Value::Float(f) => f.to_bits().into(),
            Value::Double(d) => d.to_bits(),
            value => value.integer()? as u64,
        })
    }
}

fn role<G: ObjectGraph>(graph: &G, collections: &Collections, number: u32) -> Role {
    let class = &graph.classes()[number as usize];
    let element = class.name.strip_suffix("[]").and_then(primitive);
    match class.kind {
        ClassKind::Objects => Role::Objects,
        ClassKind::Primitives => element.map_or(Role::Other, Role::Primitives),
        ClassKind::Instance if class.name == "java.lang.String" => Role::String,
        ClassKind::Instance if BOXES.iter().any(|b| b.0 == class.name) => Role::Box,
        ClassKind::Instance if collections.kind(number).is_some() => Role::Collection,
        ClassKind::Instance if builder(graph, number).is_some() => Role::Builder,
        ClassKind::Instance => Role::Other,
    }
}

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "boolean" => Type::Boolean,
        "char" => Type::Char,
        "float" => Type::Float,
        "double" => Type::Double,
        "byte" => Type::Byte,
        "short" => Type::Short,
        "int" => Type::Int,
        "long" => Type::Long,
        _ => return None,
    })
}

/// How the class fills an array, if it or a super of it is one of those.
fn builder(
    graph: &impl ObjectGraph,
    number: u32,
) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let class = |n: u32| graph.classes().get(n as usize);
    let supers = std::iter::successors(Some(number), |n| class(*n)?.super_class);
    // StringBuilder is two below Object; damage may make a circle.
    supers.take(8).find_map(|n| BUILDERS.iter().find(|b| class(n).is_some_and(|c| c.name == b.0)))
}

fn slots(graph: &impl ObjectGraph, number: u32) -> Option<Slots> {
    let class = &graph.classes()[number as usize];
    let slot = |name| graph.slot(number, name);
    if class.kind != ClassKind::Instance {
        return None;
    }
    if class.name == "java.lang.String" {
        let (offset, count) = (slot("offset"), slot("count"));
        return Some(Slots { array: slot("value")?, coder: slot("coder"), offset, count });
    }
    if BOXES.iter().any(|b| b.0 == class.name) {
        return Some(Slots { array: slot("value")?, coder: None, offset: None, count: None });
    }
    let (_, array, count) = builder(graph, number)?;
    let (array, count) = (slot(array)?, slot(count)?);
    Some(Slots { array, count: Some(count), coder: slot("coder"), offset: None })
}

/// The places of the boxes that valueOf shares, in order.
fn shared_boxes<G: ObjectGraph>(graph: &G) -> Vec<u64> {
    let mut all = Vec::new();
    for (_, holder, field) in BOXES {
        let is_it = |c: &crate::graph::Class| c.name == holder && c.loader.is_none();
        let Some(number) = graph.classes().iter().position(is_it) else { continue };
        for (name, value) in graph.statics(number as u32) {
            let Some(object) = value.object() else { continue };
            if name.name == field && field == "cache" {
                let length = graph.length(object).unwrap_or(0).min(1 << 20);
                all.extend((0..length).filter_map(|i| graph.element(object, i)?.object()));
            } else if field == "TRUE" && (name.name == "TRUE" || name.name == "FALSE") {
                all.push(object);
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

//! What lies in an object: fields, elements, entries, text.

use serde::Serialize;

use crate::address::Address;
use crate::graph::{self, ClassKind, NO_CLASS, ObjectGraph, Value};
use crate::output::collections::{Collections, Descriptions, Reader};
use crate::output::retained::{class_name, label};

/// Characters of a String that is shown itself.
const TEXT: usize = 2000;
/// Fields of one object at most; the class-file format allows 65,535 a class.
const MAX_FIELDS: usize = 10_000;

/// A value: a primitive, or a reference with what tells its object from others.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Shown {
    /// `boolean` to `double`, `object`, `null`; `dangling` where a reference leads to no object, `flat` of a value
    /// object that lies where the field is; `unreadable`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// A primitive as text; of a boxed one (java.lang.Integer) what is in it; of a char its code unit as a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where a reference leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Address>,
    /// The object's class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Of a class object its class, of a thread its name, of a String its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The elements of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// The entries of a collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
}

/// A field and its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The class that declares it.
    pub declared_by: String,
    /// What lies there.
    #[serde(flatten)]
    pub value: Shown,
}

/// An entry of a collection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Of a map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Shown>,
    /// The element, or the key's value.
    pub value: Shown,
}

/// A collection as what it holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Collection {
    /// `list`, `set`, `map`, `queue`, `deque`, `collection`.
    pub kind: &'static str,
    /// How many entries it has; null where that cannot be read.
    pub size: Option<u64>,
    /// It has more than that: they were counted, up to there.
    pub more: bool,
    /// Elements of its backing array.
    pub capacity: Option<u64>,
    /// The first of them; null where they cannot be read.
    pub entries: Option<Vec<Entry>>,
}

/// What lies in an object.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Contents {
    /// Of an instance.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// Of a class object the static fields of its class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statics: Option<Vec<Field>>,
    /// Of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Of an array the first ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elements: Option<Vec<Shown>>,
    /// Of a String, its first characters; of an array of chars or bytes, if it is text, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of a collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<Collection>,
}

/// What lies in the object at `place`: of elements and entries the first `top`.
pub fn contents<G: ObjectGraph>(graph: &G, place: u64, top: usize) -> Contents {
    let known = Collections::new(graph, &Descriptions::known());
    let mut show = Show { graph, reader: known.reader(graph) };
    let class = graph.class_of(place);
    let mut out = Contents {
        length: graph.length(place),
        text: graph.text(place, TEXT).or_else(|| show.array_text(place)),
        collection: show.collection(place, top),
        ..Contents::default()
    };
    out.elements = out.length.map(|length| {
        let first = 0..length.min(top as u64);
        first.map(|i| show.value(graph.element(place, i))).collect()
    });
    out.statics = graph.mirrored(place).map(|of| {
        let statics = graph.statics(of).into_iter().take(MAX_FIELDS);
        statics.map(|(field, value)| show.field(&field, Some(value))).collect()
    });
    if out.length.is_none() && class != NO_CLASS {
        let fields = graph.fields(class).into_iter().take(MAX_FIELDS);
        let field = |(field, slot)| show.field(&field, graph.value(place, slot));
        out.fields = fields.map(field).collect();
    }
    out
}

struct Show<'a, G> {
    graph: &'a G,
    reader: Reader<'a, G>,
}

impl<G: ObjectGraph> Show<'_, G> {
    fn field(&mut self, field: &graph::Field<'_>, value: Option<Value>) -> Field {
        Field {
            name: field.name.to_string(),
            declared_by: class_name(self.graph, field.class),
            value: self.value(value),
        }
    }

    fn value(&mut self, value: Option<Value>) -> Shown {
        let Some(Value::Object(place)) = value else { return Shown::primitive(value) };
        let size = self.reader.look(place).and_then(|seen| seen.size);
        Shown { entries: size, ..Shown::object(self.graph, place) }
    }

    fn collection(&mut self, place: u64, top: usize) -> Option<Collection> {
        let seen = self.reader.look(place)?;
        let mut found = Vec::new();
        let walked = self.reader.entries(place, top as u64, |entry| found.push(entry));
        let mut entry = |of: crate::output::collections::Entry| Entry {
            key: of.key.map(|key| self.value(Some(key))),
            value: self.value(Some(of.value)),
        };
        let entries = walked.map(|_| found.into_iter().map(&mut entry).collect());
        Some(Collection {
            kind: seen.kind.name(),
            size: seen.size,
            more: seen.more,
            capacity: seen.capacity,
            entries,
        })
    }

    /// The text in an array of chars or bytes, where all of what is shown is printable.
    fn array_text(&self, place: u64) -> Option<String> {
        let class = self.graph.classes().get(self.graph.class_of(place) as usize)?;
        let units = self.graph.length(place).filter(|n| *n > 0)?.min(TEXT as u64);
        let unit = |i| self.graph.element(place, i);
        let text = match (class.kind, class.name.as_str()) {
            (ClassKind::Primitives, "char[]") => {
                let units = (0..units).map(|i| Some(unit(i)?.integer()? as u16));
                String::from_utf16(&units.collect::<Option<Vec<u16>>>()?).ok()?
            }
            (ClassKind::Primitives, "byte[]") => {
                let bytes = (0..units).map(|i| Some(unit(i)?.integer()? as u8));
                let bytes = bytes.collect::<Option<Vec<u8>>>()?;
                let valid = match std::str::from_utf8(&bytes) {
                    Ok(text) => text,
                    // The limit may lie in a character.
                    Err(e) if bytes.len() - e.valid_up_to() < 4 => {
                        std::str::from_utf8(&bytes[..e.valid_up_to()]).ok()?
                    }
                    Err(_) => return None,
                };
                valid.to_owned()
            }
            _ => return None,
        };
        let is_text = |c: char| !c.is_control() || c.is_whitespace();
        text.chars().all(is_text).then_some(text)
    }
}

/// The classes of boxed primitives.
const BOXED: [&str; 8] = [
    "java.lang.Boolean",
    "java.lang.Character",
    "java.lang.Float",
    "java.lang.Double",
    "java.lang.Byte",
    "java.lang.Short",
    "java.lang.Integer",
    "java.lang.Long",
];

impl Shown {
    /// A reference to the object at `place`.
    pub fn object(graph: &impl ObjectGraph, place: u64) -> Shown {
        let class = class_name(graph, graph.class_of(place));
        let boxed = BOXED.contains(&class.as_str()).then(|| graph::field(graph, place, "value"));
        Shown {
            kind: "object",
            value: Shown::primitive(boxed.flatten()).value,
            object: Some(Address(graph.address(place))),
            class: Some(class),
            label: label(graph, place),
            length: graph.length(place),
            entries: None,
        }
    }

    /// Of all values but references to objects.
    fn primitive(value: Option<Value>) -> Shown {
        let (kind, text) = match value {
            None | Some(Value::Object(_)) => ("unreadable", None),
            Some(Value::Null) => ("null", None),
            Some(Value::Flat) => ("flat", None),
            Some(Value::Dangling(at)) => {
                return Shown { kind: "dangling", object: Some(Address(at)), ..Shown::default() };
            }
            Some(Value::Boolean(b)) => ("boolean", Some(b.to_string())),
            Some(Value::Char(c)) => ("char", Some(c.to_string())),
            Some(Value::Float(f)) => ("float", Some(f.to_string())),
            Some(Value::Double(d)) => ("double", Some(d.to_string())),
            Some(Value::Byte(n)) => ("byte", Some(n.to_string())),
            Some(Value::Short(n)) => ("short", Some(n.to_string())),
            Some(Value::Int(n)) => ("int", Some(n.to_string())),
            Some(Value::Long(n)) => ("long", Some(n.to_string())),
        };
        Shown { kind, value: text, ..Shown::default() }
    }
}

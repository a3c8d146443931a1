//! A graph of objects made by hand, for tests.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::graph::{
    Class, ClassKind, Field, NO_CLASS, Numbers, ObjectGraph, ObjectValues, Place, Reference, Root,
    RootKind, Slot, Strength, Thread, Type, Unread, Value,
};

/// What an object has.
enum Has {
    Fields(Vec<Value>),
    Elements(Vec<Value>),
    Primitives(Type, Vec<u8>),
}

/// Objects by number; their places are their numbers.
pub(super) struct Made {
    numbers: Numbers,
    objects: Vec<(u32, Has)>,
    classes: Vec<Class>,
    /// Of each class its own fields.
    fields: Vec<Vec<(String, Type)>>,
    statics: Vec<Vec<(String, Value)>>,
    by_name: HashMap<String, u32>,
    roots: Vec<Root>,
    threads: Vec<Thread>,
    unread: Unread,
}

#[allow(dead_code, reason = "not all tests use all of it")]
impl Made {
    pub(super) fn new() -> Made {
        let mut made = Made {
            numbers: Numbers::dense(0),
            objects: Vec::new(),
            classes: Vec::new(),
            fields: Vec::new(),
            statics: Vec::new(),
            by_name: HashMap::new(),
            roots: Vec::new(),
            threads: Vec::new(),
            unread: Unread::default(),
        };
        made.class("java.lang.Object", "", "");
        made
    }

    /// A class with fields such as `key value size:int`. Without a super class one of java.lang.Object.
    pub(super) fn class(&mut self, name: &str, of: &str, fields: &str) -> u32 {
        let number = self.classes.len() as u32;
        let kind = match name.strip_suffix("[]") {
            None => ClassKind::Instance,
            Some("byte" | "char" | "int" | "long") => ClassKind::Primitives,
            Some(_) => ClassKind::Objects,
        };
        let super_class =
            if number == 0 { None } else { Some(self.by_name.get(of).map_or(0, |n| *n)) };
        self.classes.push(Class {
            name: name.into(),
            kind,
            super_class,
            interfaces: None,
            object: None,
            loader: None,
            is_permanent: false,
        });
        let field = |text: &str| match text.split_once(':') {
            None => (text.to_owned(), Type::Reference),
            Some((name, "int")) => (name.to_owned(), Type::Int),
            Some((name, "long")) => (name.to_owned(), Type::Long),
            Some((name, "byte")) => (name.to_owned(), Type::Byte),
            Some((name, ty)) => panic!("{ty} of {name}"),
        };
        self.fields.push(fields.split_whitespace().map(field).collect());
        self.statics.push(Vec::new());
        self.by_name.insert(name.into(), number);
        number
    }

    fn number(&mut self, class: &str) -> u32 {
        match self.by_name.get(class) {
            Some(number) => *number,
            None => self.class(class, "", ""),
        }
    }

    fn add(&mut self, class: u32, has: Has) -> Value {
        self.objects.push((class, has));
        self.numbers = Numbers::dense(self.objects.len() as u64);
        Value::Object(self.objects.len() as u64 - 1)
    }

    /// An object with these values of fields, null or 0 in the others.
    pub(super) fn object(&mut self, class: &str, values: &[(&str, Value)]) -> Value {
        let number = self.number(class);
        let of = |(name, ty): (String, Type)| {
            let given = values.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
            given.or(ty.primitive(0)).unwrap_or(Value::Null)
        };
        let all = self.all_fields(number);
        for (name, _) in values {
            assert!(all.iter().any(|(n, _, _)| n == name), "{class} has no {name}");
        }
        let has = all.into_iter().map(|(name, ty, _)| of((name, ty))).collect();
        self.add(number, Has::Fields(has))
    }

    /// Gives a field another value.
    pub(super) fn set(&mut self, object: Value, field: &str, value: Value) {
        let place = object.object().expect("an object");
        let at = self.all_fields(self.class_of(place)).iter().position(|(n, _, _)| n == field);
        match &mut self.objects[place as usize].1 {
            Has::Fields(values) => values[at.expect("a field")] = value,
            _ => panic!("no fields"),
        }
    }

    pub(super) fn array(&mut self, class: &str, elements: &[Value]) -> Value {
        let number = self.number(class);
        self.add(number, Has::Elements(elements.to_vec()))
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Value {
        let number = self.number("byte[]");
        self.add(number, Has::Primitives(Type::Byte, bytes.to_vec()))
    }

    pub(super) fn chars(&mut self, text: &str) -> Value {
        let number = self.number("char[]");
        let bytes = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.add(number, Has::Primitives(Type::Char, bytes))
    }

    pub(super) fn longs(&mut self, all: &[i64]) -> Value {
        let number = self.number("long[]");
        let bytes = all.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.add(number, Has::Primitives(Type::Long, bytes))
    }

    pub(super) fn set_static(&mut self, class: &str, field: &str, value: Value) {
        let number = self.number(class);
        self.statics[number as usize].push((field.into(), value));
    }

    /// Held from outside.
    pub(super) fn root(&mut self, object: Value) {
        let place = object.object().expect("an object");
        self.roots.push(Root { kind: RootKind::JniGlobal, place, thread: None, frame: None });
    }

    /// All fields, with the classes that declare them.
    fn all_fields(&self, class: u32) -> Vec<(String, Type, u32)> {
        let (mut at, mut out) = (Some(class), Vec::new());
        while let Some(class) = at {
            let own = self.fields[class as usize].iter();
            out.extend(own.map(|(name, ty)| (name.clone(), *ty, class)));
            at = self.classes[class as usize].super_class;
        }
        out
    }

    fn held(&self, place: u64) -> Vec<(u64, Strength, Place<'static>)> {
        let Some((class, has)) = self.objects.get(place as usize) else { return Vec::new() };
        match has {
            Has::Primitives(..) => Vec::new(),
            Has::Elements(all) => (0..)
                .zip(all)
                .filter_map(|(i, v)| Some((v.object()?, Strength::Strong, Place::Element(i))))
                .collect(),
            Has::Fields(values) => {
                let fields = self.all_fields(*class);
                let of = |((name, _, class), value): ((String, Type, u32), &Value)| {
                    let weak = name == "referent";
                    let strength = if weak { Strength::Weak } else { Strength::Strong };
                    let field = Field { name: Cow::Owned(name), class };
                    Some((value.object()?, strength, Place::Field(field)))
                };
                fields.into_iter().zip(values).filter_map(of).collect()
            }
        }
    }
}

impl ObjectValues for Made {
    fn fields(&self, class: u32) -> Vec<(Field<'_>, Slot)> {
        let slot = |(offset, (name, ty, class)): (u32, (String, Type, u32))| {
            (Field { name: Cow::Owned(name), class }, Slot { offset, ty })
        };
        (0..).zip(self.all_fields(class)).map(slot).collect()
    }
    fn value(&self, place: u64, slot: Slot) -> Option<Value> {
        match &self.objects.get(place as usize)?.1 {
            Has::Fields(values) => values.get(slot.offset as usize).copied(),
            _ => None,
        }
    }
    fn statics(&self, class: u32) -> Vec<(Field<'_>, Value)> {
        let all = self.statics[class as usize].iter();
        all.map(|(name, value)| (Field { name: name.into(), class }, *value)).collect()
    }
    fn length(&self, place: u64) -> Option<u64> {
        match &self.objects.get(place as usize)?.1 {
            Has::Fields(_) => None,
            Has::Elements(all) => Some(all.len() as u64),
            Has::Primitives(ty, bytes) => Some(bytes.len() as u64 / ty.bytes()),
        }
    }
    fn element(&self, place: u64, index: u64) -> Option<Value> {
        match &self.objects.get(place as usize)?.1 {
            Has::Fields(_) => None,
            Has::Elements(all) => all.get(index as usize).copied(),
            Has::Primitives(ty, bytes) => {
                let size = ty.bytes() as usize;
                let of = bytes.chunks_exact(size).nth(index as usize)?;
                ty.primitive(of.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
            }
        }
    }
    fn contents(&self, place: u64) -> Option<&[u8]> {
        match &self.objects.get(place as usize)?.1 {
            Has::Primitives(_, bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl ObjectGraph for Made {
    fn numbers(&self) -> &Numbers {
        &self.numbers
    }
    fn address(&self, place: u64) -> u64 {
        place * 8
    }
    fn place(&self, address: u64) -> Option<u64> {
        Some(address / 8).filter(|p| self.numbers.has(*p))
    }
    fn class_of(&self, place: u64) -> u32 {
        self.objects.get(place as usize).map_or(NO_CLASS, |o| o.0)
    }
    /// A header of 12 bytes, of arrays 16; references of 4.
    fn size(&self, place: u64) -> u64 {
        let bytes = match self.objects.get(place as usize).map(|o| &o.1) {
            None => 0,
            Some(Has::Fields(values)) => {
                let long = |v: &&Value| matches!(v, Value::Long(_) | Value::Double(_));
                12 + values.len() * 4 + values.iter().filter(long).count() * 4
            }
            Some(Has::Elements(all)) => 16 + all.len() * 4,
            Some(Has::Primitives(_, bytes)) => 16 + bytes.len(),
        };
        (bytes as u64).next_multiple_of(8)
    }
    fn mat_size(&self, place: u64) -> u64 {
        self.size(place)
    }
    fn total_size(&self) -> u64 {
        self.numbers.iter().map(|p| self.size(p)).sum()
    }
    fn references(&self, place: u64, mut each: impl FnMut(u64, Strength)) -> u32 {
        self.held(place).into_iter().for_each(|(target, strength, _)| each(target, strength));
        self.class_of(place)
    }
    fn can_refer(&self, class: u32) -> bool {
        match self.classes[class as usize].kind {
            ClassKind::Instance => {
                self.all_fields(class).iter().any(|(_, ty, _)| *ty == Type::Reference)
            }
            ClassKind::Objects => true,
            ClassKind::Primitives => false,
        }
    }
    fn describe(&self, place: u64, mut each: impl FnMut(Reference<'_>)) {
        for (target, strength, place) in self.held(place) {
            each(Reference { target, strength, place });
        }
    }
    fn mirrored(&self, _: u64) -> Option<u32> {
        None
    }
    fn classes(&self) -> &[Class] {
        &self.classes
    }
    fn roots(&self) -> &[Root] {
        &self.roots
    }
    fn threads(&self) -> &[Thread] {
        &self.threads
    }
    fn text(&self, _: u64, _: usize) -> Option<String> {
        None
    }
    fn unread(&self) -> &Unread {
        &self.unread
    }
}

//! What lies in objects: the values of fields and of arrays' elements.

use super::{Field, NO_CLASS, ObjectGraph};

/// What kind of value a field or an element has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are Java's")]
pub enum Type {
    Boolean,
    Char,
    Float,
    Double,
    Byte,
    Short,
    Int,
    Long,
    /// An object, or null.
    Reference,
    /// A value object that lies where the field is (JEP 401); what is in it is not told.
    Flat,
}

impl Type {
    /// By a signature's first character.
    pub fn of_signature(kind: u8) -> Type {
        match kind {
            b'Z' => Type::Boolean,
            b'C' => Type::Char,
            b'F' => Type::Float,
            b'D' => Type::Double,
            b'B' => Type::Byte,
            b'S' => Type::Short,
            b'I' => Type::Int,
            b'J' => Type::Long,
            _ => Type::Reference,
        }
    }

    /// Bytes of a primitive; 0 for the others.
    pub fn bytes(self) -> u64 {
        match self {
            Type::Boolean | Type::Byte => 1,
            Type::Char | Type::Short => 2,
            Type::Float | Type::Int => 4,
            Type::Double | Type::Long => 8,
            Type::Reference | Type::Flat => 0,
        }
    }

    /// The primitive of this type whose bits are given, in the low ones; none of a reference.
    pub(crate) fn primitive(self, bits: u64) -> Option<Value> {
        Some(match self {
            Type::Boolean => Value::Boolean(bits & 0xff != 0),
            Type::Char => Value::Char(bits as u16),
            Type::Float => Value::Float(f32::from_bits(bits as u32)),
            Type::Double => Value::Double(f64::from_bits(bits)),
            Type::Byte => Value::Byte(bits as i8),
            Type::Short => Value::Short(bits as i16),
            Type::Int => Value::Int(bits as i32),
            Type::Long => Value::Long(bits as i64),
            Type::Flat => Value::Flat,
            Type::Reference => return None,
        })
    }
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names are Java's")]
pub enum Value {
    Boolean(bool),
    /// A UTF-16 code unit.
    Char(u16),
    Float(f32),
    Double(f64),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Null,
    /// The object at this place.
    Object(u64),
    /// A reference to this address, where no object of the graph is.
    Dangling(u64),
    /// Of [`Type::Flat`].
    Flat,
}

impl Value {
    /// The type of what holds it.
    pub fn ty(self) -> Type {
        match self {
            Value::Boolean(_) => Type::Boolean,
            Value::Char(_) => Type::Char,
            Value::Float(_) => Type::Float,
            Value::Double(_) => Type::Double,
            Value::Byte(_) => Type::Byte,
            Value::Short(_) => Type::Short,
            Value::Int(_) => Type::Int,
            Value::Long(_) => Type::Long,
            Value::Null | Value::Object(_) | Value::Dangling(_) => Type::Reference,
            Value::Flat => Type::Flat,
        }
    }

    /// Of an integer type, a char or a boolean: as a number.
    pub fn integer(self) -> Option<i64> {
        Some(match self {
            Value::Boolean(b) => b.into(),
            Value::Char(c) => c.into(),
            Value::Byte(n) => n.into(),
            Value::Short(n) => n.into(),
            Value::Int(n) => n.into(),
            Value::Long(n) => n,
            _ => return None,
        })
    }

    /// The place of the object that it refers to.
    pub fn object(self) -> Option<u64> {
        match self {
            Value::Object(place) => Some(place),
            _ => None,
        }
    }
}

/// Where a field lies in the objects of a class: asked for once, read from many. One class's slot fits its subclasses'
/// objects only where the input lays out supers first, so it is asked for by each object's own class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// As the input counts it.
    pub(crate) offset: u32,
    /// What lies there.
    pub ty: Type,
}

/// What lies in the objects of a graph. As [`ObjectGraph`]'s methods these answer none for what is not there or cannot be
/// read; none of them trusts what is in the input.
pub trait ObjectValues {
    /// The fields of a class's instances, its own first, then those of its supers; each class's in the input's order.
    /// None that the VM added.
    fn fields(&self, _class: u32) -> Vec<(Field<'_>, Slot)> {
        Vec::new()
    }

    /// The field of this name that the class or its nearest super declares.
    fn slot(&self, class: u32, name: &str) -> Option<Slot> {
        self.fields(class).into_iter().find(|(field, _)| field.name == name).map(|(_, slot)| slot)
    }

    /// The value in the object at a place, whose class has that slot.
    fn value(&self, _place: u64, _slot: Slot) -> Option<Value> {
        None
    }

    /// The static fields that a class declares, with their values.
    fn statics(&self, _class: u32) -> Vec<(Field<'_>, Value)> {
        Vec::new()
    }

    /// The elements of an array.
    fn length(&self, _place: u64) -> Option<u64> {
        None
    }

    /// An array's element, from 0.
    fn element(&self, _place: u64, _index: u64) -> Option<Value> {
        None
    }

    /// The elements of an array of primitives as they lie in the input; chars in the byte order that [`ObjectValues::is_big_endian`] tells.
    fn contents(&self, _place: u64) -> Option<&[u8]> {
        None
    }

    /// Whether [`ObjectValues::contents`] has the high byte of a value first.
    fn is_big_endian(&self) -> bool {
        false
    }
}

/// The value of the field of this name in the object at a place. Slower than to ask for the slot once.
pub fn field(graph: &impl ObjectGraph, place: u64, name: &str) -> Option<Value> {
    let class = graph.class_of(place);
    if class == NO_CLASS {
        return None;
    }
    graph.value(place, graph.slot(class, name)?)
}

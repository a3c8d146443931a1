//! The tables `refs` and `class_fields`.

use std::ops::Range;

use super::plan::{ROWS, places, weighed};
use super::rows::Rows;
use crate::graph::{ClassKind, ClassPart, Field, ObjectGraph, Place, Strength, Type, Value};

/// What the VM knows of a class, as rows of `class_fields` that no class declares.
const PARTS: [(ClassPart, &str); 6] = [
    (ClassPart::Super, "<super>"),
    (ClassPart::Loader, "<loader>"),
    (ClassPart::Signers, "<signers>"),
    (ClassPart::ProtectionDomain, "<protection_domain>"),
    (ClassPart::ResolvedReferences, "<resolved_references>"),
    (ClassPart::InitLock, "<init_lock>"),
];

/// A field that a class declares.
struct Declared {
    class: u32,
    name: String,
    is_static: bool,
    ty: &'static str,
}

/// All fields that classes declare: their numbers are their rows in `class_fields`.
pub(super) struct ClassFields {
    /// By class.
    all: Vec<Declared>,
    /// Their numbers, of each class and of those of a kind by name.
    by_name: Vec<u32>,
    /// Where those of each class begin.
    first: Vec<u32>,
}

impl ClassFields {
    /// Asks for each class once.
    pub(super) fn new(graph: &impl ObjectGraph) -> ClassFields {
        let (mut all, mut first) = (Vec::new(), Vec::new());
        for class in 0..graph.classes().len() as u32 {
            first.push(all.len() as u32);
            let own = |field: &Field<'_>| field.class == class;
            for (field, slot) in graph.fields(class).into_iter().filter(|f| own(&f.0)) {
                let (name, ty) = (field.name.into_owned(), type_name(slot.ty));
                all.push(Declared { class, name, is_static: false, ty });
            }
            for (field, value) in graph.statics(class) {
                let (name, ty) = (field.name.into_owned(), type_name(value.ty()));
                all.push(Declared { class, name, is_static: true, ty });
            }
        }
        first.push(all.len() as u32);
        let mut by_name: Vec<u32> = (0..all.len() as u32).collect();
        let key = |number: &u32| {
            let of: &Declared = &all[*number as usize];
            (of.class, of.is_static, &of.name)
        };
        by_name.sort_by(|a, b| key(a).cmp(&key(b)));
        ClassFields { all, by_name, first }
    }

    /// The number of a field; none where the input does not say which it is.
    fn number(&self, field: &Field<'_>, is_static: bool) -> Option<u32> {
        let class = field.class as usize;
        let (from, to) = (*self.first.get(class)?, *self.first.get(class + 1)?);
        let own = self.by_name.get(from as usize..to as usize)?;
        let key = |number: &u32| {
            let of = &self.all[*number as usize];
            (of.is_static, of.name.as_str())
        };
        let at = own.binary_search_by(|n| key(n).cmp(&(is_static, &field.name))).ok()?;
        Some(own[at])
    }

    /// The number of what the VM knows.
    fn part(&self, part: ClassPart) -> Option<u32> {
        let at = PARTS.iter().position(|p| p.0 == part)?;
        Some((self.all.len() + at) as u32)
    }

    /// How many rows `class_fields` has.
    pub(super) fn len(&self) -> u64 {
        (self.all.len() + PARTS.len()) as u64
    }

    /// These rows of `class_fields`.
    pub(super) fn fill(&self, piece: &Range<u64>, rows: &mut Rows<'_>) {
        for number in piece.clone() {
            let (class, name, kind, ty) = match self.all.get(number as usize) {
                Some(field) => {
                    let kind = if field.is_static { "static" } else { "instance" };
                    (Some(field.class), field.name.as_str(), kind, field.ty)
                }
                None => (None, PARTS[number as usize - self.all.len()].1, "vm", "reference"),
            };
            rows.int(number as u32);
            rows.int(class);
            rows.text(name);
            rows.text(kind);
            rows.text(ty);
            rows.end();
        }
    }
}

fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Boolean => "boolean",
        Type::Char => "char",
        Type::Float => "float",
        Type::Double => "double",
        Type::Byte => "byte",
        Type::Short => "short",
        Type::Int => "int",
        Type::Long => "long",
        Type::Reference => "reference",
        Type::Flat => "flat",
    }
}

/// References of one row group.
pub(super) enum Piece {
    /// All of the objects with these numbers.
    Objects(Range<u64>),
    /// Those of the array at this place with these indices.
    Elements(u64, Range<u64>),
}

impl Piece {
    /// How many objects are done with it.
    pub(super) fn objects(&self) -> u64 {
        match self {
            Piece::Objects(objects) => objects.end - objects.start,
            Piece::Elements(_, indices) => u64::from(indices.start == 0),
        }
    }
}

/// Into which pieces the references of all objects fall. A pass over all of them, by all threads of the pool that this is
/// called in.
pub(super) fn pieces(graph: &impl ObjectGraph, done: impl Fn(u64) + Sync) -> Vec<Piece> {
    let numbers = graph.numbers();
    let count = |place: u64| {
        let mut count = 0;
        if can_refer(graph, place) {
            graph.references(place, |_, _| count += 1);
        }
        count
    };
    let mut pieces = Vec::new();
    for (objects, weight) in weighed(numbers, ROWS, count, done) {
        let place = numbers.select(objects.start).unwrap_or(0);
        match elements(graph, place).filter(|_| weight > ROWS) {
            Some(length) => {
                let part = |i: u64| i * ROWS..length.min((i + 1) * ROWS);
                pieces.extend((0..length.div_ceil(ROWS)).map(|i| Piece::Elements(place, part(i))));
            }
            None => pieces.push(Piece::Objects(objects)),
        }
    }
    pieces
}

/// Whether an object may refer to others, without a look at it where that is known.
#[inline]
fn can_refer(graph: &impl ObjectGraph, place: u64) -> bool {
    let word = |plain: &[u64]| plain.get((place / 64) as usize).copied().unwrap_or(0);
    graph.plain().is_none_or(|plain| word(&plain.objects) >> (place % 64) & 1 == 0)
}

/// How many elements an array of references has, where each can be asked for.
fn elements(graph: &impl ObjectGraph, place: u64) -> Option<u64> {
    let class = graph.classes().get(graph.class_of(place) as usize)?;
    let is_flat = || graph.element(place, 0) == Some(Value::Flat);
    (class.kind == ClassKind::Objects && !is_flat()).then(|| graph.length(place))?
}

/// The rows of a piece of `refs`.
pub(super) fn fill(
    graph: &impl ObjectGraph,
    fields: &ClassFields,
    piece: &Piece,
    rows: &mut Rows<'_>,
) {
    let mut row =
        |from: u64, target: u64, field: Option<u32>, index: Option<u64>, strength: Strength| {
            rows.long(from);
            rows.long(graph.address(target));
            rows.int(field);
            rows.long(index);
            rows.text(strength.name());
            rows.end();
        };
    match piece {
        Piece::Objects(objects) => {
            for place in places(graph.numbers(), objects).filter(|p| can_refer(graph, *p)) {
                let from = graph.address(place);
                graph.describe(place, |reference| {
                    let (field, index) = match &reference.place {
                        Place::Field(field) => (fields.number(field, false), None),
                        Place::Static(field) => (fields.number(field, true), None),
                        Place::Class(part) => (fields.part(*part), None),
                        Place::Element(index) => (None, Some(*index)),
                    };
                    row(from, reference.target, field, index, reference.strength);
                });
            }
        }
        Piece::Elements(place, indices) => {
            let from = graph.address(*place);
            for index in indices.clone() {
                if let Some(target) = graph.element(*place, index).and_then(Value::object) {
                    row(from, target, None, Some(index), Strength::Strong);
                }
            }
        }
    }
}

//! A description made ready for a graph: names by number, paths taken apart.

use std::collections::HashMap;

use super::described::{Described, Kind, Paths, Room, Store};
use crate::graph::{ObjectGraph, Slot};

/// A field's name by its number.
pub(super) type Name = u32;

/// The names of fields, each once. `|` stands between those that one field has in several versions.
#[derive(Debug, Default)]
pub(super) struct Names {
    all: Vec<String>,
    numbers: HashMap<String, Name>,
}

impl Names {
    fn number(&mut self, name: &str) -> Name {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.all.len() as Name;
        self.all.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Where a class's objects have the field.
    pub(super) fn slot(&self, graph: &impl ObjectGraph, class: u32, name: Name) -> Option<Slot> {
        let name = self.all.get(name as usize)?;
        name.split('|').find_map(|name| graph.slot(class, name))
    }
}

/// From one object to a value: field by field, and of all elements of an array once.
#[derive(Debug)]
pub(super) struct Path {
    pub fields: Vec<Name>,
    /// The last of these is an array: for each of its elements the fields from there on.
    pub each: Option<Vec<Name>>,
}

impl Path {
    fn new(text: &str, names: &mut Names) -> Path {
        let mut of = |text: &str| -> Vec<Name> {
            text.split('.').filter(|n| !n.is_empty()).map(|n| names.number(n)).collect()
        };
        match text.split_once("[]") {
            Some((array, rest)) => Path { fields: of(array), each: Some(of(rest)) },
            None => Path { fields: of(text), each: None },
        }
    }
}

/// Whether a description makes sense; if not, why.
pub(super) fn check(of: &Described) -> Result<(), String> {
    let mut paths: Vec<&str> = of.arrays.iter().map(String::as_str).collect();
    match &of.size {
        Some(Paths::One(path)) => paths.push(path),
        Some(Paths::Sum(all)) => paths.extend(all.iter().map(String::as_str)),
        None => {}
    }
    if of.size.is_none() && of.store.is_none() {
        return Err("neither a size nor a store".into());
    }
    for path in paths {
        let names = path.replace("[]", "");
        if names.split('.').any(str::is_empty) || path.matches("[]").count() > 1 {
            return Err(format!("{path:?} is no path of fields"));
        }
    }
    match of.class.matches('*').count() {
        0 | 1 => Ok(()),
        _ => Err("more than one *".into()),
    }
}

/// A store with names by number.
#[derive(Debug)]
pub(super) enum Hold {
    SizeOnly,
    Within(Path),
    Array(Path),
    Table(Path),
    Ring {
        array: Path,
        head: Name,
        tail: Option<Name>,
    },
    Buckets {
        table: Path,
        next: Option<Name>,
        key: Option<Name>,
        value: Option<Name>,
        also: Option<Name>,
    },
    Chain {
        first: Path,
        next: Name,
        key: Option<Name>,
        value: Name,
        holes: bool,
    },
    Tree {
        root: Path,
        left: Name,
        right: Name,
        key: Option<Name>,
        value: Option<Name>,
    },
    Pairs(Path),
    Columns {
        keys: Path,
        values: Option<Path>,
        null_key: Option<Name>,
    },
    Fields {
        keys: Vec<Name>,
        values: Vec<Name>,
        absent: Option<u64>,
    },
    Bits {
        bits: Path,
        universe: Path,
    },
}

/// A description for one graph.
#[derive(Debug)]
pub(super) struct Plan {
    pub class: String,
    pub kind: Kind,
    pub size: Option<Vec<Path>>,
    pub hold: Hold,
    pub room: Room,
    /// All backing arrays: the first is the one whose length is the capacity.
    pub arrays: Vec<Path>,
    pub one_empty: bool,
    /// The fields that a class must have for it.
    pub needs: Vec<Name>,
}

impl Plan {
    pub(super) fn new<G: ObjectGraph>(of: &Described, graph: &G, names: &mut Names) -> Plan {
        let hold = hold(of.store.as_ref(), graph, names);
        let mut path = |text: &String| Path::new(text, names);
        let size = of.size.as_ref().map(|size| match size {
            Paths::One(one) => vec![path(one)],
            Paths::Sum(all) => all.iter().map(&mut path).collect(),
        });
        let mut arrays: Vec<Path> = Vec::new();
        let backing = match &of.store {
            Some(Store::Array(a) | Store::Table(a) | Store::Pairs(a)) => vec![a],
            Some(Store::Ring { array, .. }) => vec![array],
            Some(Store::Buckets { table, .. }) => vec![table],
            // Of an EnumMap the keys are all of the enum, and its class's.
            Some(Store::Columns { keys, values, .. }) => match of.room {
                Some(Room::Fixed) => values.iter().collect(),
                _ => [keys].into_iter().chain(values).collect(),
            },
            _ => Vec::new(),
        };
        arrays.extend(backing.into_iter().chain(&of.arrays).map(&mut path));
        let room = of.room.unwrap_or(match &of.store {
            Some(Store::Array(_)) => Room::Exact,
            Some(Store::Ring { .. }) => Room::OneMore,
            Some(Store::Table(_) | Store::Buckets { .. } | Store::Columns { .. }) => Room::Hash,
            _ => Room::Fixed,
        });
        let own = hold.paths().into_iter().chain(size.iter().flatten()).chain(&arrays);
        let mut needs: Vec<Name> = own.filter_map(|p| p.fields.first().copied()).collect();
        needs.extend(hold.own_fields());
        needs.sort_unstable();
        needs.dedup();
        Plan {
            class: of.class.clone(),
            kind: of.kind,
            size,
            hold,
            room,
            arrays,
            one_empty: of.one_empty,
            needs,
        }
    }
}

fn hold<G: ObjectGraph>(store: Option<&Store>, graph: &G, names: &mut Names) -> Hold {
    let Some(store) = store else { return Hold::SizeOnly };
    let one = |names: &mut Names, name: &Option<String>| name.as_ref().map(|n| names.number(n));
    match store {
        Store::Within(path) => Hold::Within(Path::new(path, names)),
        Store::Array(path) => Hold::Array(Path::new(path, names)),
        Store::Table(path) => Hold::Table(Path::new(path, names)),
        Store::Pairs(path) => Hold::Pairs(Path::new(path, names)),
        Store::Ring { array, head, tail } => Hold::Ring {
            array: Path::new(array, names),
            head: names.number(head),
            tail: one(names, tail),
        },
        Store::Buckets { table, next, key, value, also } => Hold::Buckets {
            table: Path::new(table, names),
            next: one(names, next),
            key: one(names, key),
            value: one(names, value),
            also: one(names, also),
        },
        Store::Chain { first, next, key, value, holes } => Hold::Chain {
            first: Path::new(first, names),
            next: names.number(next),
            key: one(names, key),
            value: names.number(value),
            holes: *holes,
        },
        Store::Tree { root, left, right, key, value } => Hold::Tree {
            root: Path::new(root, names),
            left: names.number(left),
            right: names.number(right),
            key: one(names, key),
            value: one(names, value),
        },
        Store::Columns { keys, values, null_key } => Hold::Columns {
            keys: Path::new(keys, names),
            values: values.as_ref().map(|v| Path::new(v, names)),
            null_key: one(names, null_key),
        },
        Store::Fields { keys, values, absent } => Hold::Fields {
            keys: keys.iter().map(|k| names.number(k)).collect(),
            values: values.iter().map(|v| names.number(v)).collect(),
            absent: absent.as_ref().and_then(|a| static_object(graph, a)),
        },
        Store::Bits { bits, universe } => {
            Hold::Bits { bits: Path::new(bits, names), universe: Path::new(universe, names) }
        }
    }
}

impl Hold {
    fn paths(&self) -> Vec<&Path> {
        match self {
            Hold::SizeOnly | Hold::Fields { .. } => Vec::new(),
            Hold::Within(path) | Hold::Array(path) | Hold::Table(path) | Hold::Pairs(path) => {
                vec![path]
            }
            Hold::Ring { array, .. } => vec![array],
            Hold::Buckets { table, .. } => vec![table],
            Hold::Chain { first, .. } => vec![first],
            Hold::Tree { root, .. } => vec![root],
            Hold::Columns { keys, values, .. } => [keys].into_iter().chain(values).collect(),
            Hold::Bits { bits, universe } => vec![bits, universe],
        }
    }

    /// Fields of the collection itself that are no paths.
    fn own_fields(&self) -> Vec<Name> {
        match self {
            Hold::Ring { head, tail, .. } => [*head].into_iter().chain(*tail).collect(),
            Hold::Fields { keys, values, .. } => [keys.clone(), values.clone()].concat(),
            Hold::Columns { null_key, .. } => null_key.iter().copied().collect(),
            _ => Vec::new(),
        }
    }
}

/// The object that a static field `package.Class.field` has.
fn static_object(graph: &impl ObjectGraph, name: &str) -> Option<u64> {
    let (class, field) = name.rsplit_once('.')?;
    let number = graph.classes().iter().position(|c| c.name == class && c.loader.is_none())?;
    let all = graph.statics(number as u32);
    all.iter().find(|(f, _)| f.name == field)?.1.object()
}

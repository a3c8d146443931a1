//! What a collection says of itself: its size, its backing arrays.

use super::Collections;
use super::described::{Kind, Room};
use super::plan::{Hold, Name, Path, Plan};
use crate::graph::{NO_CLASS, ObjectGraph, Slot, Value};

/// Collections in one another that are looked into.
pub(super) const MAX_WITHIN: usize = 8;

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it is.
    pub kind: Kind,
    /// The described class that its own is or comes from.
    pub class: String,
    /// How many entries it has; none where it cannot be read.
    pub size: Option<u64>,
    /// It has more: they were counted, and only so far.
    pub more: bool,
    /// Elements of its backing array; none where there is no array.
    pub capacity: Option<u64>,
}

/// Reads the collections of a graph. It remembers where fields are; one for each thread.
pub struct Reader<'a, G> {
    collections: &'a Collections,
    pub(super) graph: &'a G,
    /// By name the class that was last asked for, and its slot.
    memo: Vec<(u32, Option<Slot>)>,
}

impl<'a, G: ObjectGraph> Reader<'a, G> {
    pub(super) fn new(collections: &'a Collections, graph: &'a G) -> Reader<'a, G> {
        Reader { collections, graph, memo: vec![(NO_CLASS, None); collections.names.len()] }
    }

    /// Calls `each` with the places of a collection's backing arrays, and answers the collection within it, if its entries
    /// are there.
    pub fn parts(&mut self, place: u64, mut each: impl FnMut(u64)) -> Option<u64> {
        let plan = self.plan(place)?;
        for path in &plan.arrays {
            let array = self.follow(place, &path.fields).and_then(Value::object);
            array.into_iter().for_each(&mut each);
        }
        match &plan.hold {
            Hold::Within(path) => {
                let inner = self.follow(place, &path.fields)?.object()?;
                self.plan(inner).map(|_| inner)
            }
            _ => None,
        }
    }

    /// Whether an empty one of this class is a shared one.
    pub fn has_one_empty(&self, place: u64) -> bool {
        self.plan(place).is_some_and(|p| p.one_empty)
    }

    /// Whether its entries are in another collection.
    pub fn is_wrapper(&self, place: u64) -> bool {
        self.plan(place).is_some_and(|p| matches!(p.hold, Hold::Within(_)))
    }

    /// Elements that a backing array of `length` must have for so many entries.
    pub fn needed(&self, place: u64, entries: u64, length: u64) -> u64 {
        let hash = |entries: u64, length: u64| {
            let all = entries.saturating_mul(4).div_ceil(3).max(1);
            if length.is_power_of_two() { all.next_power_of_two() } else { all }
        };
        let room = self.plan(place).map_or(Room::Fixed, |p| p.room);
        let needed = match room {
            Room::Fixed => length,
            Room::Exact => entries,
            Room::OneMore => entries + 1,
            Room::Hash => hash(entries, length),
            Room::HashAndOne => hash(entries, length.saturating_sub(1)).saturating_add(1),
            Room::Identity => entries.saturating_mul(3).next_power_of_two().max(8),
        };
        needed.min(length)
    }

    /// The collection that has the entries, and how it has them.
    pub(super) fn innermost(&mut self, place: u64) -> Option<(u64, &'a Plan)> {
        let mut at = place;
        for _ in 0..MAX_WITHIN {
            let plan = self.plan(at)?;
            let Hold::Within(path) = &plan.hold else { return Some((at, plan)) };
            at = self.follow(at, &path.fields)?.object()?;
        }
        None
    }

    pub(super) fn plan(&self, place: u64) -> Option<&'a Plan> {
        self.collections.plan(self.graph.class_of(place))
    }

    pub(super) fn capacity(&mut self, place: u64, plan: &Plan) -> Option<u64> {
        let array = self.follow(place, &plan.arrays.first()?.fields)?.object()?;
        self.graph.length(array)
    }

    /// The value of a field.
    pub(super) fn field(&mut self, place: u64, name: Name) -> Option<Value> {
        let class = self.graph.class_of(place);
        if class == NO_CLASS {
            return None;
        }
        let (known, slot) = self.memo[name as usize];
        let slot = match known == class {
            true => slot,
            false => {
                let slot = self.slot(class, name);
                self.memo[name as usize] = (class, slot);
                slot
            }
        };
        self.graph.value(place, slot?)
    }

    fn slot(&self, class: u32, name: Name) -> Option<Slot> {
        let slots = &self.collections.slots;
        let known = slots.read().ok().and_then(|s| s.get(&(class, name)).copied());
        known.unwrap_or_else(|| {
            let slot = self.collections.names.slot(self.graph, class, name);
            if let Ok(mut slots) = slots.write() {
                slots.insert((class, name), slot);
            }
            slot
        })
    }

    /// The value at the end of some fields, null where one before is null.
    pub(super) fn follow(&mut self, place: u64, fields: &[Name]) -> Option<Value> {
        let mut value = Value::Object(place);
        for name in fields {
            match value {
                Value::Object(place) => value = self.field(place, *name)?,
                Value::Null => return Some(Value::Null),
                _ => return None,
            }
        }
        Some(value)
    }

    /// Adds what a path leads to; null is 0. None where it cannot be read.
    pub(super) fn sum(&mut self, place: u64, path: &Path, sum: &mut i64) -> Option<()> {
        let value = self.follow(place, &path.fields)?;
        let mut add = |value: Value| {
            let number = if value == Value::Null { Some(0) } else { value.integer() };
            number.map(|n| *sum = sum.saturating_add(n))
        };
        let Some(fields) = &path.each else { return add(value) };
        let Some(array) = value.object() else { return Some(()) };
        for i in 0..self.graph.length(array)? {
            if let Some(element) = self.graph.element(array, i)?.object() {
                add(self.follow(element, fields)?);
            }
        }
        Some(())
    }
}

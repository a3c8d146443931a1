//! The entries of a collection, one by one.

use std::ops::Range;

use super::described::{Kind, Room};
use super::plan::{Hold, Name, Path, Plan};
use super::read::{MAX_WITHIN, Reader, Seen};
use crate::graph::{ObjectGraph, Value};

/// Entries that are counted where a collection does not say how many it has.
const MAX_COUNTED: u64 = 1 << 20;

/// An entry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Of a map the key.
    pub key: Option<Value>,
    /// The value, or the element.
    pub value: Value,
}

/// How far entries were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// So many.
    pub count: u64,
    /// These are all.
    pub whole: bool,
}

/// Calls a function with at most so many entries.
struct Passed<F> {
    each: F,
    count: u64,
    most: u64,
}

impl<F: FnMut(Entry)> Passed<F> {
    /// Whether there was room for it.
    fn on(&mut self, key: Option<Value>, value: Value) -> bool {
        if self.count >= self.most {
            return false;
        }
        self.count += 1;
        (self.each)(Entry { key, value });
        true
    }
}

/// Tells when a chain comes back to where it was, with two words (Brent): the place is remembered at each power of two of steps.
struct Circle {
    seen: u64,
    steps: u64,
}

impl Circle {
    fn new() -> Circle {
        Circle { seen: u64::MAX, steps: 0 }
    }

    fn closes(&mut self, place: u64) -> bool {
        if place == self.seen {
            return true;
        }
        self.steps += 1;
        if self.steps.is_power_of_two() {
            self.seen = place;
        }
        false
    }
}

/// Neither null nor 0.
fn is_set(value: Value) -> bool {
    match value {
        Value::Null => false,
        Value::Float(f) => f.to_bits() != 0,
        Value::Double(d) => d.to_bits() != 0,
        value => value.integer() != Some(0),
    }
}

impl<G: ObjectGraph> Reader<'_, G> {
    /// What is to be told of the collection at a place; none where it is none.
    pub fn look(&mut self, place: u64) -> Option<Seen> {
        let outer = self.plan(place)?;
        let (at, plan) = self.innermost(place)?;
        let size = self.count(place, MAX_COUNTED);
        Some(Seen {
            kind: outer.kind,
            class: outer.class.clone(),
            size: size.map(|s| s.count),
            more: size.is_some_and(|s| !s.whole),
            capacity: self.capacity(at, plan),
        })
    }

    /// How many entries a collection has, by what it says or by counting up to `most` of them. None where that cannot be read.
    pub fn count(&mut self, place: u64, most: u64) -> Option<Walked> {
        let mut at = place;
        for _ in 0..MAX_WITHIN {
            let plan = self.plan(at)?;
            if let Some(paths) = &plan.size {
                let mut sum = 0i64;
                for path in paths {
                    self.sum(at, path, &mut sum)?;
                }
                let count = u64::try_from(sum).ok()?;
                return Some(Walked { count, whole: true });
            }
            match &plan.hold {
                Hold::Within(path) => at = self.follow(at, &path.fields)?.object()?,
                Hold::Array(path) => {
                    let array = self.follow(at, &path.fields)?;
                    let count = array.object().map_or(Some(0), |a| self.graph.length(a))?;
                    return Some(Walked { count, whole: true });
                }
                _ => return self.entries(at, most, |_| ()),
            }
        }
        None
    }

    /// Calls `each` with the first entries of the collection at a place, `most` at most, in its own order. None where it is
    /// no collection whose entries are known, or cannot be read.
    pub fn entries(&mut self, place: u64, most: u64, each: impl FnMut(Entry)) -> Option<Walked> {
        let (at, plan) = self.innermost(place)?;
        let keys_only = plan.kind == Kind::Map && self.plan(place)?.kind != Kind::Map;
        let mut each = each;
        let each = |entry: Entry| match (keys_only, entry.key) {
            (true, Some(value)) => each(Entry { key: None, value }),
            _ => each(entry),
        };
        let mut to = Passed { each, count: 0, most };
        let whole = match &plan.hold {
            Hold::SizeOnly | Hold::Within(_) => None,
            Hold::Array(path) => {
                let size = if plan.size.is_some() { self.count(at, 0)?.count } else { u64::MAX };
                match self.follow(at, &path.fields)?.object() {
                    Some(array) => self.elements(array, 0..size, &mut to),
                    None => Some(true),
                }
            }
            Hold::Table(path) => {
                let array = self.follow(at, &path.fields)?;
                self.table(array, &mut to)
            }
            Hold::Pairs(path) => {
                let array = self.follow(at, &path.fields)?;
                self.pairs(array, &mut to)
            }
            Hold::Ring { array, head, tail } => self.ring(at, array, (*head, *tail), &mut to),
            Hold::Columns { .. } => self.columns(at, plan, &mut to),
            Hold::Fields { keys, values, absent } => {
                self.own_fields(at, (keys, values), *absent, &mut to)
            }
            Hold::Bits { bits, universe } => {
                let bits = self.follow(at, &bits.fields)?;
                let universe = self.follow(at, &universe.fields)?.object()?;
                self.bits(bits, universe, &mut to)
            }
            Hold::Buckets { table, next, key, value, also } => {
                let of = Chain { next: *next, key: *key, value: *value, holes: also.is_some() };
                let table = self.follow(at, &table.fields)?;
                self.buckets(table, of, *also, &mut to)
            }
            Hold::Chain { first, next, key, value, holes } => {
                let first = self.follow(at, &first.fields)?.object();
                let of = Chain { next: Some(*next), key: *key, value: Some(*value), holes: *holes };
                self.chain(first, of, &mut to)
            }
            Hold::Tree { root, left, right, key, value } => {
                let root = self.follow(at, &root.fields)?.object();
                self.tree(root, (*left, *right), (*key, *value), &mut to)
            }
        };
        Some(Walked { count: to.count, whole: whole? })
    }

    // Each of these answers whether all were passed on, none where something cannot be read.

    fn table<F: FnMut(Entry)>(&self, array: Value, to: &mut Passed<F>) -> Option<bool> {
        let Some(array) = array.object() else { return Some(true) };
        for i in 0..self.graph.length(array)? {
            let value = self.graph.element(array, i)?;
            if is_set(value) && !to.on(None, value) {
                return Some(false);
            }
        }
        Some(true)
    }

    fn pairs<F: FnMut(Entry)>(&self, array: Value, to: &mut Passed<F>) -> Option<bool> {
        let Some(array) = array.object() else { return Some(true) };
        for i in 0..self.graph.length(array)? / 2 {
            let key = self.graph.element(array, 2 * i)?;
            if key != Value::Null && !to.on(Some(key), self.graph.element(array, 2 * i + 1)?) {
                return Some(false);
            }
        }
        Some(true)
    }

    fn ring<F: FnMut(Entry)>(
        &mut self,
        at: u64,
        array: &Path,
        (head, tail): (Name, Option<Name>),
        to: &mut Passed<F>,
    ) -> Option<bool> {
        let Some(array) = self.follow(at, &array.fields)?.object() else { return Some(true) };
        let length = self.graph.length(array)?;
        let index = |r: &mut Self, name: Name| {
            let index = u64::try_from(r.field(at, name)?.integer()?).ok()?;
            Some(index).filter(|i| *i < length.max(1))
        };
        let head = index(self, head)?;
        let size = match tail {
            Some(tail) if length > 0 => (index(self, tail)? + length - head) % length,
            Some(_) => 0,
            None => self.count(at, 0)?.count.min(length),
        };
        let first = head..(head + size).min(length);
        let around = 0..size - (first.end - first.start);
        Some(self.elements(array, first, to)? && self.elements(array, around, to)?)
    }

    fn columns<F: FnMut(Entry)>(
        &mut self,
        at: u64,
        plan: &Plan,
        to: &mut Passed<F>,
    ) -> Option<bool> {
        let Hold::Columns { keys, values, null_key } = &plan.hold else { return None };
        let Some(keys) = self.follow(at, &keys.fields)?.object() else { return Some(true) };
        let values = match values {
            Some(path) => match self.follow(at, &path.fields)?.object() {
                None => return Some(true),
                values => values,
            },
            None => None,
        };
        let null_key = null_key.and_then(|n| self.field(at, n)).is_some_and(is_set);
        let mut length = self.graph.length(keys)?;
        if plan.room == Room::Exact {
            length = length.min(self.count(at, 0)?.count);
        }
        for i in 0..length {
            let key = self.graph.element(keys, i)?;
            let value = match values {
                Some(values) => Some(self.graph.element(values, i)?),
                None => None,
            };
            let is_there = match plan.room {
                Room::Exact => true,
                Room::Fixed => value != Some(Value::Null),
                _ => is_set(key) || (null_key && i + 1 == length),
            };
            let (key, value) = match value {
                Some(value) => (Some(key), value),
                None => (None, key),
            };
            if is_there && !to.on(key, value) {
                return Some(false);
            }
        }
        Some(true)
    }

    fn own_fields<F: FnMut(Entry)>(
        &mut self,
        at: u64,
        (keys, values): (&[Name], &[Name]),
        absent: Option<u64>,
        to: &mut Passed<F>,
    ) -> Option<bool> {
        for (i, value) in values.iter().enumerate() {
            let value = self.field(at, *value)?;
            let is_absent =
                value == Value::Null || absent.is_some_and(|a| value == Value::Object(a));
            // The first is always there, be it null.
            if i > 0 && is_absent {
                continue;
            }
            let key = match keys.get(i) {
                Some(key) => Some(self.field(at, *key)?),
                None => None,
            };
            if !to.on(key, value) {
                return Some(false);
            }
        }
        Some(true)
    }

    fn bits<F: FnMut(Entry)>(
        &self,
        bits: Value,
        universe: u64,
        to: &mut Passed<F>,
    ) -> Option<bool> {
        for i in 0..self.graph.length(universe)? {
            let word = match bits {
                Value::Long(word) if i < 64 => word,
                Value::Object(words) => match self.graph.element(words, i / 64) {
                    Some(Value::Long(word)) => word,
                    _ => 0,
                },
                _ => 0,
            };
            if word >> (i % 64) & 1 != 0 && !to.on(None, self.graph.element(universe, i)?) {
                return Some(false);
            }
        }
        Some(true)
    }

    fn buckets<F: FnMut(Entry)>(
        &mut self,
        table: Value,
        of: Chain,
        also: Option<Name>,
        to: &mut Passed<F>,
    ) -> Option<bool> {
        let Some(table) = table.object() else { return Some(true) };
        for i in 0..self.graph.length(table)? {
            let mut node = self.graph.element(table, i)?.object();
            // A bin that is a tree has its nodes as a chain, too.
            if let Some(chain) = node.zip(also).and_then(|(place, also)| self.field(place, also)) {
                node = chain.object();
            }
            if !self.chain(node, of, to)? {
                return Some(false);
            }
        }
        Some(true)
    }

    fn elements<F: FnMut(Entry)>(
        &self,
        array: u64,
        range: Range<u64>,
        to: &mut Passed<F>,
    ) -> Option<bool> {
        for i in range.start..range.end.min(self.graph.length(array)?) {
            if !to.on(None, self.graph.element(array, i)?) {
                return Some(false);
            }
        }
        Some(true)
    }

    /// The key and the value of a node.
    fn node(
        &mut self,
        node: u64,
        key: Option<Name>,
        value: Option<Name>,
    ) -> Option<(Option<Value>, Value)> {
        let key = match key {
            Some(name) => Some(self.field(node, name)?),
            None => None,
        };
        match value {
            Some(name) => Some((key, self.field(node, name)?)),
            None => Some((None, key?)),
        }
    }

    /// Whether all of the chain were passed on. Nothing of it is remembered: a circle is left when it closes.
    fn chain<F: FnMut(Entry)>(
        &mut self,
        first: Option<u64>,
        of: Chain,
        to: &mut Passed<F>,
    ) -> Option<bool> {
        let (mut at, mut circle) = (first, Circle::new());
        while let Some(node) = at {
            if circle.closes(node) {
                return Some(false);
            }
            let (key, value) = self.node(node, of.key, of.value)?;
            // What was taken out of a queue is null, or the node itself.
            let is_nothing = match key {
                Some(key) => key == Value::Null,
                None => value == Value::Null || value == Value::Object(node),
            };
            let is_entry = !(of.holes && is_nothing);
            if is_entry && !to.on(key, value) {
                return Some(false);
            }
            let Some(next) = of.next else { break };
            let next = self.field(node, next)?.object();
            // A node that was taken out refers to itself.
            at = next.filter(|n| *n != node);
        }
        Some(true)
    }

    /// In order, without recursion.
    fn tree<F: FnMut(Entry)>(
        &mut self,
        root: Option<u64>,
        (left, right): (Name, Name),
        (key, value): (Option<Name>, Option<Name>),
        to: &mut Passed<F>,
    ) -> Option<bool> {
        let (mut at, mut above) = (root, Vec::new());
        loop {
            while let Some(node) = at {
                // A tree that is balanced is not deeper; a circle would be.
                if above.len() > MAX_DEPTH {
                    return Some(false);
                }
                above.push(node);
                at = self.field(node, left)?.object();
            }
            let Some(node) = above.pop() else { return Some(true) };
            let (key, value) = self.node(node, key, value)?;
            if !to.on(key, value) {
                return Some(false);
            }
            at = self.field(node, right)?.object();
        }
    }
}

/// The depth of a tree that is followed.
const MAX_DEPTH: usize = 256;

/// How a chain's nodes are read.
#[derive(Clone, Copy)]
struct Chain {
    next: Option<Name>,
    key: Option<Name>,
    value: Option<Name>,
    holes: bool,
}

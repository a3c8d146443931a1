//! The dominator tree, level by level: what hangs below an object, the largest first, many of one class as one line.
//!
//! Only what is shown is looked into: the cost is that of the objects right below the lines, and of their references.

mod start;
mod text;

pub use start::{Start, topmost};
pub use text::{path, table};

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::Serialize;

use super::retained::{class_name, label, share, strength_name};
use crate::address::hex;
use crate::graph::dominators::{Dominators, TopDown};
use crate::graph::{ClassPart, Id, ObjectGraph, Place, Strength};

/// An object with less than one such part of its level is counted with others of its class.
const SINGLE: u64 = 100;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Levels.
    pub depth: usize,
    /// Lines of each level below a line.
    pub top: usize,
    /// Bytes that a line has at least.
    pub least: u64,
    /// No objects are counted as one.
    pub expand: bool,
}

/// An object, or several of a class that are held alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Its address, where it is one.
    #[serde(serialize_with = "address", skip_serializing_if = "Option::is_none")]
    pub object: Option<u64>,
    /// The class.
    pub class: String,
    /// Of a class object its class, of a thread its name, of a String its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How the object of the line above refers to it, where it does: a field's name, `[12]` of an array's element.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How many objects it is.
    pub objects: u64,
    /// Their own bytes.
    pub shallow: u64,
    /// Bytes that would be freed if all of them went.
    pub retained: u64,
    /// Of all that is held as strongly, in percent.
    pub share: f64,
    /// Bytes below that only weaker references hold.
    pub weaker: u64,
    /// How they are held.
    #[serde(serialize_with = "strength_name")]
    pub strength: Strength,
    /// What hangs below; not looked into below the last level.
    #[serde(flatten)]
    pub below: Option<Level>,
}

fn address<S: serde::Serializer>(of: &Option<u64>, s: S) -> Result<S::Ok, S::Error> {
    match of {
        Some(address) => hex(address, s),
        None => s.serialize_none(),
    }
}

/// What hangs right below a line.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Level {
    /// The largest first.
    pub children: Vec<Line>,
    /// Those that are not shown.
    pub left: Left,
}

/// Objects that are not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// How many.
    pub objects: u64,
    /// Bytes that would be freed if all of them went.
    pub retained: u64,
}

/// An object of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<I> {
    /// Its place.
    pub place: u64,
    /// Its number; none of a part, which is folded into what holds it.
    pub number: Option<I>,
    /// How it is held.
    pub strength: Strength,
    /// Bytes that would be freed if it went.
    pub retained: u64,
}

impl<I: Id> Item<I> {
    /// The node with this number.
    pub fn node<G: ObjectGraph>(tree: &Dominators<'_, G, I>, place: u64, number: I) -> Item<I> {
        let (strength, retained) = (tree.strength(number), tree.retained(number));
        Item { place, number: Some(number), strength, retained }
    }

    /// A part of an object that is held so.
    pub fn part<G: ObjectGraph>(
        tree: &Dominators<'_, G, I>,
        place: u64,
        strength: Strength,
    ) -> Item<I> {
        Item { place, number: None, strength, retained: tree.part_retained(place) }
    }
}

/// Makes lines of a tree.
pub struct Lines<'t, 'g, G, I> {
    tree: &'t Dominators<'g, G, I>,
    down: TopDown<'t, I>,
    limits: Limits,
}

impl<'t, 'g, G: ObjectGraph, I: Id> Lines<'t, 'g, G, I> {
    /// Of a tree, from the top down.
    pub fn new(tree: &'t Dominators<'g, G, I>, limits: Limits) -> Lines<'t, 'g, G, I> {
        Lines { tree, down: tree.top_down(), limits }
    }

    /// What no single object holds.
    pub fn top(&self) -> Level {
        let all = self.down.children(I::default());
        let items = all.map(|n| Item::node(self.tree, self.down.place(n), n)).collect();
        self.level(items, None, self.limits.depth)
    }

    /// Some objects of which none holds another.
    pub fn of(&self, items: Vec<Item<I>>) -> Level {
        self.level(items, None, self.limits.depth)
    }

    /// An object, with what hangs below.
    pub fn below(&self, item: Item<I>) -> Line {
        let mut line = self.line(&[item]);
        line.below = Some(self.level(self.children(&[item]), Some(item.place), self.limits.depth));
        line
    }

    /// An object alone.
    pub fn single(&self, item: Item<I>) -> Line {
        self.line(&[item])
    }

    /// What dominates an object, the nearest first, `most` at most.
    pub fn above(&self, item: &Item<I>, most: usize) -> Vec<Line> {
        let mut at = item.number.map_or(I::default(), |n| self.tree.dominator(n));
        let mut lines = Vec::new();
        while at != I::default() && lines.len() < most {
            lines.push(self.line(&[Item::node(self.tree, self.down.place(at), at)]));
            at = self.tree.dominator(at);
        }
        lines
    }

    /// All that hangs right below some objects.
    fn children(&self, items: &[Item<I>]) -> Vec<Item<I>> {
        let mut all = Vec::new();
        for item in items {
            let nodes = item.number.into_iter().flat_map(|n| self.down.children(n));
            all.extend(nodes.map(|n| Item::node(self.tree, self.down.place(n), n)));
            self.tree.direct_parts(item.place, |part| {
                all.push(Item::part(self.tree, part, item.strength));
            });
        }
        all
    }

    /// Lines of some objects; `holder` is what all of them hang below, where that is one.
    fn level(&self, mut items: Vec<Item<I>>, holder: Option<u64>, depth: usize) -> Level {
        items.sort_unstable_by_key(|i| (Reverse(i.retained), i.place));
        let mut level = Level::default();
        if depth == 0 {
            return level;
        }
        let mut groups = self.groups(items);
        let small = |group: &[Item<I>]| sum(group) < self.limits.least;
        let kept = groups.iter().take(self.limits.top).take_while(|g| !small(g)).count();
        for group in groups.drain(kept..) {
            level.left.objects += group.len() as u64;
            level.left.retained += sum(&group);
        }
        let fields = self.fields(holder, &groups);
        for group in groups {
            let mut line = self.line(&group);
            if let [one] = &group[..] {
                line.field = fields.get(&one.place).cloned();
            }
            if depth > 1 {
                let holder = Some(group[0].place).filter(|_| group.len() == 1);
                line.below = Some(self.level(self.children(&group), holder, depth - 1));
            }
            level.children.push(line);
        }
        level
    }

    /// Objects that are lines of their own, and others by their class; the largest first.
    fn groups(&self, items: Vec<Item<I>>) -> Vec<Vec<Item<I>>> {
        let all = sum(&items);
        let own = items.iter().take(self.limits.top);
        let own = own.take_while(|i| i.retained >= all / SINGLE).count();
        let own = if self.limits.expand { items.len() } else { own };
        let mut groups: Vec<Vec<Item<I>>> = Vec::new();
        let mut of_class: HashMap<(u32, Strength), usize> = HashMap::new();
        for (i, item) in items.into_iter().enumerate() {
            if i < own {
                groups.push(vec![item]);
                continue;
            }
            let key = (self.tree.graph().class_of(item.place), item.strength);
            let group = *of_class.entry(key).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(item);
        }
        groups.sort_by_cached_key(|g| (Reverse(sum(g)), g[0].place));
        groups
    }

    fn line(&self, items: &[Item<I>]) -> Line {
        let (tree, graph, first) = (self.tree, self.tree.graph(), items[0]);
        let one = items.len() == 1;
        let retained = sum(items);
        let weaker = |i: &Item<I>| i.number.map_or(0, |n| tree.weaker(n));
        Line {
            object: one.then(|| graph.address(first.place)),
            class: class_name(graph, graph.class_of(first.place)),
            label: if one { label(graph, first.place) } else { None },
            field: None,
            objects: items.len() as u64,
            shallow: items.iter().map(|i| tree.size(i.place)).sum(),
            retained,
            share: share(retained, tree.held(first.strength)),
            weaker: items.iter().map(weaker).sum(),
            strength: first.strength,
            below: None,
        }
    }

    /// How `holder` refers to those objects that are lines of their own, by place.
    fn fields(&self, holder: Option<u64>, groups: &[Vec<Item<I>>]) -> HashMap<u64, String> {
        let single = groups.iter().filter(|g| g.len() == 1);
        let wanted: HashMap<u64, ()> = single.map(|g| (g[0].place, ())).collect();
        let mut fields = HashMap::new();
        if let Some(holder) = holder.filter(|_| !wanted.is_empty()) {
            self.tree.graph().describe(holder, |reference| {
                if wanted.contains_key(&reference.target) {
                    fields.entry(reference.target).or_insert_with(|| at(&reference.place));
                }
            });
        }
        fields
    }
}

fn sum<I>(items: &[Item<I>]) -> u64 {
    items.iter().map(|i| i.retained).sum()
}

/// Where a reference stands, in a word.
fn at(place: &Place<'_>) -> String {
    match place {
        Place::Field(field) | Place::Static(field) => field.name.clone().into_owned(),
        Place::Element(index) => format!("[{index}]"),
        Place::Class(part) => match part {
            ClassPart::Super => "<super class>",
            ClassPart::Loader => "<loader>",
            ClassPart::Signers => "<signers>",
            ClassPart::ProtectionDomain => "<protection domain>",
            ClassPart::ResolvedReferences => "<constants>",
            ClassPart::InitLock => "<lock>",
        }
        .into(),
    }
}

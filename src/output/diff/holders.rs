//! Who holds what, as far as it is much: the dominator tree with objects of one class as one, made the same way of two
//! heaps and compared branch by branch.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{change, lasting};
use crate::error::Result;
use crate::graph::dominators::{Dominators, TopDown, Watch};
use crate::graph::{Id, NO_CLASS, ObjectGraph, Place, Strength};
use crate::output::retained::class_name;

/// Levels of a tree that are looked at; links of one class behind one another are one level.
const MAX_DEPTH: usize = 64;
/// What a branch retains at least to be looked into: one such part of the heap, and so many bytes.
const PARTS: u64 = 2_000;
const LEAST: u64 = 4 << 10;
/// So many objects more, and one more for ten that were there, are what piles up: what they hold is theirs.
const PILE: u64 = 100;

/// How many, and what they retain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Objects.
    pub objects: u64,
    /// Bytes that would be freed if all of them went.
    pub retained: u64,
}

/// Objects of a class that hang below those of another, or below nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branch {
    of: Sum,
    below: BTreeMap<Step, Branch>,
}

/// What a branch has in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Step {
    /// Its class; of a class object `class com.acme.Order`.
    pub class: String,
    /// By which field the one object above refers to it, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// What is strongly held, from the top down, as far as it is much.
///
/// An error where `watch` allows no more memory: up to 16 bytes for each object while one class's are looked at.
pub fn holders<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    watch: Watch<'_>,
) -> Result<Branch> {
    // The tree from the top down, too.
    (watch.room)(tree.count() * (size_of::<Item<I>>() + 3 * size_of::<I>()) as u64)?;
    (watch.step)("looking at holders", tree.count());
    let all = tree.held(Strength::Strong);
    let least = (all / PARTS).max(LEAST);
    let down = tree.top_down();
    let mut branch = Branch { of: Sum { objects: 0, retained: all }, below: BTreeMap::new() };
    let top = Item { place: NOWHERE, number: I::default() };
    let is_class = tree.graph().classes().iter().map(|c| c.name == "java.lang.Class").collect();
    Level { tree, down, is_class, least }.below(vec![top], None, &mut branch, MAX_DEPTH);
    Ok(branch)
}

/// The place of what holds all that no single object holds.
const NOWHERE: u64 = u64::MAX;

/// An object.
#[derive(Clone, Copy)]
struct Item<I> {
    place: u64,
    /// Its number; 0 of a part, which is folded into what holds it.
    number: I,
}

/// Objects that are counted as one: their class, what a class object stands for, and the field.
type Kind = (u32, Option<u32>, Option<String>);

/// All of a kind.
struct Alike<I> {
    kind: Kind,
    sum: Sum,
    items: Vec<Item<I>>,
}

/// What hangs below a branch, by kind.
struct Kinds<I> {
    all: Vec<Alike<I>>,
    numbers: HashMap<Kind, usize>,
    /// The number of the one that was asked for last: most objects are of the kind of the one before.
    last: usize,
}

impl<I> Default for Kinds<I> {
    fn default() -> Self {
        Kinds { all: Vec::new(), numbers: HashMap::new(), last: 0 }
    }
}

impl<I> Kinds<I> {
    fn of(&mut self, kind: Kind) -> &mut Alike<I> {
        if self.all.get(self.last).is_none_or(|last| last.kind != kind) {
            self.last = *self.numbers.entry(kind.clone()).or_insert(self.all.len());
            if self.last == self.all.len() {
                self.all.push(Alike { kind, sum: Sum::default(), items: Vec::new() });
            }
        }
        &mut self.all[self.last]
    }
}

struct Level<'t, 'g, G, I> {
    tree: &'t Dominators<'g, G, I>,
    down: TopDown<'t, I>,
    /// Of each class whether its objects are class objects.
    is_class: Vec<bool>,
    least: u64,
}

impl<G: ObjectGraph, I: Id> Level<'_, '_, G, I> {
    /// Adds what hangs below some objects of one class to their branch.
    fn below(&self, mut items: Vec<Item<I>>, class: Option<u32>, to: &mut Branch, depth: usize) {
        let graph = self.tree.graph();
        let fields = match items[..] {
            [Item { place, .. }] if place != NOWHERE => self.fields(place),
            _ => HashMap::new(),
        };
        let mut kinds = Kinds::default();
        while let Some(item) = items.pop() {
            self.each(item, |item, retained| {
                let place = item.place;
                let own = graph.class_of(place);
                let is_class = self.is_class.get(own as usize).is_none_or(|is| *is);
                let mirrored = if is_class { graph.mirrored(place) } else { None };
                if Some(own) == class && mirrored.is_none() {
                    // One behind the other: a list, a tree of nodes.
                    to.of.objects += 1;
                    items.push(item);
                    return;
                }
                let field = if fields.is_empty() { None } else { fields.get(&place).cloned() };
                let of = kinds.of((own, mirrored, field));
                of.sum.objects += 1;
                of.sum.retained += retained;
                if own != NO_CLASS && graph.can_refer(own) {
                    of.items.push(item);
                }
            });
        }
        for Alike { kind: (class, mirrored, field), sum: of, items } in kinds.all {
            let name = match mirrored {
                Some(of) => format!("class {}", class_name(graph, of)),
                None => class_name(graph, class),
            };
            let branch = to.below.entry(Step { class: lasting(&name), field }).or_default();
            branch.of.objects += of.objects;
            branch.of.retained += of.retained;
            let class = Some(class).filter(|_| mirrored.is_none());
            match of.retained >= self.least && depth > 0 {
                true => self.below(items, class, branch, depth - 1),
                false => branch.of.objects += self.behind(items, class),
            }
        }
    }

    /// How many more of one class hang behind some objects of it, one behind the other.
    fn behind(&self, mut items: Vec<Item<I>>, class: Option<u32>) -> u64 {
        let mut count = 0;
        while let (Some(class), Some(item)) = (class, items.pop()) {
            self.each(item, |item, _| {
                if self.tree.graph().class_of(item.place) == class {
                    count += 1;
                    items.push(item);
                }
            });
        }
        count
    }

    /// What is strongly held right below an object, with what it retains.
    fn each(&self, item: Item<I>, mut each: impl FnMut(Item<I>, u64)) {
        let tree = self.tree;
        let is_part = item.number == I::default() && item.place != NOWHERE;
        let children = (!is_part).then(|| self.down.children(item.number));
        for number in children.into_iter().flatten() {
            if let Some(soon) = self.down.next(number) {
                tree.graph().prefetch(self.down.place(soon));
            }
            if tree.strength(number) == Strength::Strong {
                let place = self.down.place(number);
                each(Item { place, number }, tree.retained(number));
            }
        }
        if item.place != NOWHERE {
            tree.direct_parts(item.place, |place| {
                each(Item { place, number: I::default() }, tree.part_retained(place));
            });
        }
    }

    /// By which fields an object refers to others.
    fn fields(&self, holder: u64) -> HashMap<u64, String> {
        let mut fields = HashMap::new();
        self.tree.graph().describe(holder, |reference| {
            if let Place::Field(field) | Place::Static(field) = &reference.place {
                fields.entry(reference.target).or_insert_with(|| field.name.clone().into_owned());
            }
        });
        fields
    }
}

/// A branch that grew, or shrank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grown {
    /// From what nothing else holds down to it.
    pub path: Vec<Step>,
    /// Before.
    pub before: Sum,
    /// After.
    pub after: Sum,
    /// What it retains: after, less before, without what is told of branches below it.
    pub retained_change: i64,
    /// Its objects: after, less before.
    pub objects_change: i64,
}

/// Where it grew or shrank by so many bytes at least, the largest change first. Told is the branch whose objects became
/// many more or fewer; else the last one that explains it.
pub fn grown(before: &Branch, after: &Branch, least: u64) -> Vec<Grown> {
    let mut found = Compared { least: least.max(1), path: Vec::new(), found: Vec::new() };
    found.visit(Some(before), Some(after));
    let mut found = found.found;
    found.sort_by_cached_key(|g| (Reverse(g.retained_change.unsigned_abs()), g.path.clone()));
    found
}

fn sum(of: Option<&Branch>) -> Sum {
    of.map(|b| b.of).unwrap_or_default()
}

fn child<'b>(of: Option<&'b Branch>, step: &Step) -> Option<&'b Branch> {
    of?.below.get(step)
}

struct Compared {
    least: u64,
    path: Vec<Step>,
    found: Vec<Grown>,
}

impl Compared {
    fn visit(&mut self, before: Option<&Branch>, after: Option<&Branch>) {
        let [old, new] = [before, after].map(sum);
        let grown = change(old.retained, new.retained);
        let piles_up = self.path.last().is_some() && is_pile(old.objects, new.objects);
        let mut rest = grown;
        if !piles_up {
            let children = [before, after].into_iter().flatten().flat_map(|b| b.below.keys());
            let mut children: Vec<&Step> = children.collect();
            children.sort();
            children.dedup();
            for step in children {
                let [old, new] = [child(before, step), child(after, step)];
                let by = change(sum(old).retained, sum(new).retained);
                if by.unsigned_abs() >= self.least {
                    rest -= by;
                    self.path.push(step.clone());
                    self.visit(old, new);
                    self.path.pop();
                }
            }
        }
        if rest.unsigned_abs() >= self.least && !self.path.is_empty() {
            self.found.push(Grown {
                path: self.path.clone(),
                before: old,
                after: new,
                retained_change: rest,
                objects_change: change(old.objects, new.objects),
            });
        }
    }
}

fn is_pile(before: u64, after: u64) -> bool {
    before.abs_diff(after) >= PILE.max(before.min(after) / 10)
}

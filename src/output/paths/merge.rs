//! The paths to many objects as one tree: what is the same by class and field is one branch.
//!
//! Each object on a path is looked at once, however many paths lead through it. A list's links are one branch, as are
//! all references from a class to itself.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use serde::Serialize;

use super::{retained, words};
use crate::address::Address;
use crate::graph::dominators::Dominators;
use crate::graph::paths::{By, Paths};
use crate::graph::{Bits, ClassKind, Id, ObjectGraph, RootKind, Strength};
use crate::output::retained::{class_name, label, strength_name};

/// Branches behind one another at most: what lies deeper counts in the last.
const DEEPEST: u32 = 60;
/// Rows of the tree for each branch that is asked for at a place.
const ROWS: usize = 10;

/// Paths merged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Merged {
    /// How many objects paths lead to.
    pub objects: u64,
    /// Bytes that would be freed if all of them went.
    pub retained: u64,
    /// The branches from the roots down, each before those below it.
    pub branches: Vec<Branch>,
}

/// A branch: what objects of one class, held in one way, hold of those that are sought.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Branch {
    /// How deep it lies, roots at 0.
    pub depth: u32,
    /// How the objects of the branch above hold those of this one, as in a path's steps.
    pub by: &'static str,
    /// The field's name, or what a path's step has there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The class that declares the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared_by: Option<String>,
    /// How the references hold at least.
    #[serde(serialize_with = "strength_name")]
    pub strength: Strength,
    /// The class of its objects.
    pub class: String,
    /// How many objects of it are on the paths.
    pub holders: u64,
    /// Some of them are held by others of them.
    pub nested: bool,
    /// The one object, if it is one.
    pub object: Option<Address>,
    /// Of a class object its class, of a thread its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// So many of the objects that are sought are in it or below it.
    pub objects: u64,
    /// Bytes that would be freed if these went.
    pub retained: u64,
    /// Branches right below it that are not shown.
    pub left_out: u64,
}

/// How a branch hangs on the one above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    above: u32,
    kind: &'static str,
    /// A name and the class that declares the field; [`NONE`] for none.
    name: u32,
    declared_by: u32,
    class: u32,
    /// Of a class object the class that it stands for.
    mirrored: u32,
}

const NONE: u32 = u32::MAX;

/// A branch while objects are counted.
struct Growing {
    key: Key,
    depth: u32,
    first: u64,
    strength: Strength,
    holders: u64,
    nested: bool,
    objects: u64,
    retained: u64,
}

struct Merge<'t, 'g, G, I: Id> {
    tree: &'t Dominators<'g, G, I>,
    paths: &'t Paths<'g, G, I>,
    /// The branch of each object that is on a path, by number; [`NONE`] before it is known.
    branch_of: Vec<u32>,
    branches: Vec<Growing>,
    known: HashMap<Key, u32>,
    names: HashMap<String, u32>,
    path: Vec<u64>,
}

/// Merges the paths to all objects for which `is_wanted` says so, by class: those that paths lead to. At most `top`
/// branches at one place, the widest first. 4 bytes for each object.
pub fn merged<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    paths: &Paths<'_, G, I>,
    is_wanted: &[bool],
    top: usize,
) -> Merged {
    let numbers = tree.graph().numbers();
    let wanted = |place: u64| {
        let class = tree.graph().class_of(place);
        is_wanted.get(class as usize).copied().unwrap_or(false)
    };
    let mut merge = Merge {
        tree,
        paths,
        branch_of: vec![NONE; numbers.len() as usize],
        branches: Vec::new(),
        known: HashMap::new(),
        names: HashMap::new(),
        path: Vec::new(),
    };
    let covered = covered(tree, &wanted);
    let mut objects = 0;
    for place in numbers.iter().filter(|p| wanted(*p)) {
        let Some(branch) = merge.branch(place) else { continue };
        objects += 1;
        let bytes = match merge.is_within(place, &covered, &wanted) {
            true => 0,
            false => retained(tree, place).unwrap_or(0),
        };
        let branch = &mut merge.branches[branch as usize];
        branch.objects += 1;
        branch.retained += bytes;
    }
    // A branch has a higher number than the one above.
    for i in (0..merge.branches.len()).rev() {
        let (below, above) = (&merge.branches[i], merge.branches[i].key.above);
        let (objects, retained) = (below.objects, below.retained);
        if let Some(above) = merge.branches.get_mut(above as usize) {
            above.objects += objects;
            above.retained += retained;
        }
    }
    let roots = merge.branches.iter().filter(|b| b.key.above == NONE);
    let retained = roots.map(|b| b.retained).sum();
    let branches = merge.finish(top);
    Merged { objects, retained, branches }
}

/// The nodes that one of those that are wanted dominates, by number.
fn covered<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    wanted: &impl Fn(u64) -> bool,
) -> Bits {
    let covered = Bits::new(tree.count());
    let places = tree.places();
    for i in 1..tree.count() {
        let above = tree.dominator(I::of(i)).number();
        if above != 0 && (covered.has(above) || wanted(places[above as usize].number())) {
            covered.set(i);
        }
    }
    covered
}

impl<G: ObjectGraph, I: Id> Merge<'_, '_, G, I> {
    /// Whether the object goes with another one that is wanted.
    fn is_within(&self, place: u64, covered: &Bits, wanted: &impl Fn(u64) -> bool) -> bool {
        let mut at = place;
        loop {
            if let Some(number) = self.tree.number(at) {
                return covered.has(number.number());
            }
            // A part has one holder, so that is the one on its path.
            match self.paths.holder(at).filter(|_| self.tree.is_part(at)) {
                Some(holder) if wanted(holder) => return true,
                Some(holder) => at = holder,
                None => return false,
            }
        }
    }

    /// The branch of the object at `place`; none where no path leads to it.
    fn branch(&mut self, place: u64) -> Option<u32> {
        if !self.paths.is_reached(place) {
            return None;
        }
        let numbers = self.tree.graph().numbers();
        let mut path = std::mem::take(&mut self.path);
        let (mut at, mut above) = (Some(place), NONE);
        let mut holder = None;
        while let Some(place) = at {
            let known = self.branch_of[numbers.rank(place) as usize];
            if known != NONE {
                (above, holder) = (known, Some(place));
                break;
            }
            path.push(place);
            at = self.paths.holder(place);
        }
        while let Some(place) = path.pop() {
            above = self.grow(above, holder, place);
            self.branch_of[numbers.rank(place) as usize] = above;
            holder = Some(place);
        }
        self.path = path;
        Some(above)
    }

    /// The branch of an object whose holder is in the branch `above`.
    fn grow(&mut self, above: u32, holder: Option<u64>, place: u64) -> u32 {
        let graph = self.tree.graph();
        let class = graph.class_of(place);
        let mirrored = graph.mirrored(place);
        if let Some(of) = self.branches.get_mut(above as usize) {
            // A class's objects that hold one another are one branch, but for class objects.
            let is_same = of.key.class == class && mirrored.is_none() && of.key.mirrored == NONE;
            if is_same || of.depth >= DEEPEST {
                (of.nested, of.holders) = (true, of.holders + 1);
                return above;
            }
        }
        let (kind, name, declared_by, strength) = match holder {
            None => self.root(place),
            Some(holder) => self.link(holder, place),
        };
        let mirrored = mirrored.unwrap_or(NONE);
        let key = Key { above, kind, name, declared_by, class, mirrored };
        let next = self.branches.len() as u32;
        let number = *self.known.entry(key).or_insert(next);
        if number == next {
            let depth = self.branches.get(above as usize).map_or(0, |b| b.depth + 1);
            self.branches.push(Growing {
                key,
                depth,
                first: place,
                strength,
                holders: 0,
                nested: false,
                objects: 0,
                retained: 0,
            });
        }
        let of = &mut self.branches[number as usize];
        of.holders += 1;
        of.strength = of.strength.max(strength);
        number
    }

    fn root(&mut self, place: u64) -> (&'static str, u32, u32, Strength) {
        let kind = match self.paths.root_link(place).by {
            By::Root { kind, .. } => kind,
            _ => RootKind::Other(0xff),
        };
        let name = number(&mut self.names, words::root(kind));
        ("root", name, NONE, Strength::Strong)
    }

    /// How `holder` holds the object at `place`: elements of arrays are all one.
    fn link(&mut self, holder: u64, place: u64) -> (&'static str, u32, u32, Strength) {
        let graph = self.tree.graph();
        let of = graph.classes().get(graph.class_of(holder) as usize);
        if of.is_some_and(|c| c.kind != ClassKind::Instance) {
            let own = graph.class_object(graph.class_of(holder));
            return match own == Some(place) {
                true => ("own_class", NONE, NONE, Strength::Strong),
                false => ("element", NONE, NONE, Strength::Strong),
            };
        }
        let names = &mut self.names;
        let found = self.paths.reference(holder, place, |at| {
            use crate::graph::Place;
            match at {
                Place::Field(f) => ("field", number(names, &f.name), f.class),
                Place::Static(f) => ("static", number(names, &f.name), f.class),
                Place::Element(_) => ("element", NONE, NONE),
                Place::Class(part) => ("class_part", number(names, words::part(*part)), NONE),
            }
        });
        if let Some(((kind, name, class), strength)) = found {
            return (kind, name, class, strength);
        }
        let named = words::named(graph, &self.paths.link_besides(holder, place).by);
        let name = named.name.map_or(NONE, |name| number(&mut self.names, &name));
        (named.kind, name, NONE, Strength::Strong)
    }

    /// The widest branches, each before those below it.
    fn finish(self, top: usize) -> Vec<Branch> {
        let mut below: HashMap<u32, Vec<u32>> = HashMap::new();
        for (i, branch) in (0..).zip(&self.branches) {
            below.entry(branch.key.above).or_default().push(i);
        }
        let width = |i: &u32| {
            let of = &self.branches[*i as usize];
            (of.retained, of.objects, Reverse(*i))
        };
        for of in below.values_mut() {
            of.sort_unstable_by_key(|i| Reverse(width(i)));
        }
        let at = |i: u32| below.get(&i).map_or(&[][..], Vec::as_slice);
        // The widest are shown, wherever they are.
        let (mut heap, mut shown) = (BinaryHeap::new(), HashMap::from([(NONE, 0)]));
        let reach = |heap: &mut BinaryHeap<_>, i| {
            heap.extend(at(i).iter().take(top).map(|b| (width(b), *b)));
        };
        reach(&mut heap, NONE);
        while let Some((_, branch)) = heap.pop().filter(|_| shown.len() <= top * ROWS) {
            shown.insert(branch, 0u64);
            *shown.entry(self.branches[branch as usize].key.above).or_default() += 1;
            reach(&mut heap, branch);
        }
        let names: HashMap<u32, &str> =
            self.names.iter().map(|(name, number)| (*number, name.as_str())).collect();
        let mut out = Vec::new();
        let mut todo: Vec<u32> = at(NONE).iter().rev().copied().collect();
        while let Some(branch) = todo.pop() {
            let Some(below_shown) = shown.get(&branch) else { continue };
            let below = at(branch);
            todo.extend(below.iter().rev());
            let left_out = below.len() as u64 - below_shown;
            out.push(self.branches[branch as usize].finish(self.tree.graph(), &names, left_out));
        }
        out
    }
}

impl Growing {
    fn finish(
        &self,
        graph: &impl ObjectGraph,
        names: &HashMap<u32, &str>,
        left_out: u64,
    ) -> Branch {
        let key = &self.key;
        let is_one = self.holders == 1 || key.mirrored != NONE;
        Branch {
            depth: self.depth,
            by: key.kind,
            name: names.get(&key.name).map(|n| (*n).to_owned()),
            declared_by: (key.declared_by != NONE).then(|| class_name(graph, key.declared_by)),
            strength: self.strength,
            class: class_name(graph, key.class),
            holders: self.holders,
            nested: self.nested,
            object: is_one.then(|| Address(graph.address(self.first))),
            label: if is_one { label(graph, self.first) } else { None },
            objects: self.objects,
            retained: self.retained,
            left_out,
        }
    }
}

/// The number of a name.
fn number(names: &mut HashMap<String, u32>, name: &str) -> u32 {
    match names.get(name) {
        Some(number) => *number,
        None => {
            let number = names.len() as u32;
            names.insert(name.to_owned(), number);
            number
        }
    }
}

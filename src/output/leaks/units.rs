//! Where much memory comes together: the dominator tree's nodes of at least the threshold, of which few are left.
//!
//! A node that holds that much is a place of its own, a *unit*, but for
//! - links of a list and parents of a tree, which belong to the first of them;
//! - several of a kind that an array or a collection holds, of which none stands out: they belong to their holder.
//!
//! What a unit has is its own: less what is in the units below it. So what all have is all there is, each byte once.

use std::collections::{HashMap, HashSet};

use super::glue::Kinds;
use super::weights::Weights;
use crate::graph::dominators::{Dominators, TopDown};
use crate::graph::{Id, ObjectGraph, Place};

/// So far above a link of a list its like is looked for: the links may have others between them.
const PERIOD: usize = 4;
/// So often the like has to have come before.
const REPEATS: u32 = 3;
/// So many of a kind may be a group.
pub(super) const GROUP: usize = 3;

/// The nodes where a sort of memory comes together.
pub(super) struct Units<I> {
    /// The first node of each, in order: number 0 is what no single object holds.
    pub tops: Vec<I>,
    /// What each holds that no other does.
    pub own: Vec<u64>,
    /// The tops but for number 0.
    pub tops_set: HashSet<I>,
    /// What a top holds at least.
    pub least: u64,
}

impl<I: Id> Units<I> {
    /// Without any.
    pub(super) fn none() -> Units<I> {
        Units { tops: Vec::new(), own: Vec::new(), tops_set: HashSet::new(), least: u64::MAX }
    }

    /// Whether a node that holds so many bytes is a top.
    #[inline]
    pub(super) fn is_top(&self, number: I, bytes: u64) -> bool {
        bytes >= self.least && self.tops_set.contains(&number)
    }
}

/// A node that holds much.
#[derive(Clone, Copy)]
struct Heavy {
    unit: usize,
    /// Of its holder's group: so is what is below it.
    is_grouped: bool,
    name: u32,
    /// How many of its like are above it, one behind the other.
    run: u32,
}

/// Finds them: all that hold at least `least` bytes, which is more than 0.
pub(super) fn units<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    down: TopDown<'_, I>,
    kinds: &Kinds<'_>,
    weights: &Weights<'_, '_, G, I>,
    least: u64,
) -> Units<I> {
    let all: Vec<I> =
        (1..tree.count()).map(I::of).filter(|n| weights.at(*n) >= least.max(1)).collect();
    let mut below: HashMap<I, Vec<I>> = HashMap::new();
    for number in &all {
        below.entry(tree.dominator(*number)).or_default().push(*number);
    }
    let mut finder = Finder { tree, down, kinds, weights, below, heavy: HashMap::new() };
    let root = I::default();
    let mut units =
        Units { tops: vec![root], own: vec![weights.at(root)], tops_set: HashSet::new(), least };
    finder.heavy.insert(root, Heavy { unit: 0, is_grouped: false, name: 0, run: 0 });
    // A dominator's number is lower than those of what it dominates.
    let holders = std::iter::once(root).chain(all);
    for holder in holders {
        for (number, is_grouped) in finder.children(holder) {
            let above = finder.heavy[&holder];
            let of = match above.is_grouped || is_grouped {
                true => Heavy { is_grouped: true, name: 0, run: 0, ..above },
                false => finder.place(number, holder, units.tops.len()),
            };
            let bytes = weights.at(number);
            if of.unit == units.tops.len() {
                units.tops.push(number);
                units.own.push(0);
                units.tops_set.insert(number);
            }
            // Below a group all is the group's.
            if of.unit != above.unit {
                units.own[above.unit] = units.own[above.unit].saturating_sub(bytes);
                units.own[of.unit] += bytes;
            }
            finder.heavy.insert(number, of);
        }
    }
    units
}

struct Finder<'a, 't, 'g, G, I> {
    tree: &'a Dominators<'g, G, I>,
    down: TopDown<'a, I>,
    kinds: &'a Kinds<'g>,
    weights: &'a Weights<'t, 'g, G, I>,
    /// The heavy nodes right below heavy ones.
    below: HashMap<I, Vec<I>>,
    heavy: HashMap<I, Heavy>,
}

impl<G: ObjectGraph, I: Id> Finder<'_, '_, '_, G, I> {
    fn name(&self, number: I) -> u32 {
        self.kinds.name_at(self.tree.graph(), self.down.place(number))
    }

    /// The heavy nodes right below one, each with whether it is one of several of a kind.
    fn children(&self, holder: I) -> Vec<(I, bool)> {
        let Some(children) = self.below.get(&holder) else { return Vec::new() };
        if children.len() < GROUP {
            return children.iter().map(|n| (*n, false)).collect();
        }
        let mut sums: HashMap<u32, (usize, u64, u64)> = HashMap::new();
        let kinds: Vec<u32> = children.iter().map(|n| self.kind(*n)).collect();
        for (number, kind) in children.iter().zip(&kinds) {
            let (bytes, sum) = (self.weights.at(*number), sums.entry(*kind).or_default());
            *sum = (sum.0 + 1, sum.1 + bytes, sum.2.max(bytes));
        }
        let by_field = self.by_field(holder);
        let is_grouped = |number: &I, kind: &u32| {
            let (count, bytes, most) = sums[kind];
            let is_even = count >= GROUP && most <= bytes / 2;
            let is_class = self.kinds.class_class == Some(*kind);
            is_even && !is_class && !by_field.contains(&self.down.place(*number))
        };
        children.iter().zip(&kinds).map(|(n, kind)| (*n, is_grouped(n, kind))).collect()
    }

    /// What a node is, or what it leads to where it only leads on: its class's name.
    fn kind(&self, mut number: I) -> u32 {
        loop {
            let name = self.name(number);
            match self.below.get(&number).map(Vec::as_slice) {
                Some(&[one]) if self.kinds.is_glue(name) => number = one,
                _ => return name,
            }
        }
    }

    /// What an instance itself refers to: each field has a part of its own.
    fn by_field(&self, holder: I) -> HashSet<u64> {
        let mut places = HashSet::new();
        if holder != I::default() {
            self.tree.graph().describe(self.down.place(holder), |reference| {
                if let Place::Field(_) | Place::Static(_) = reference.place {
                    places.insert(reference.target);
                }
            });
        }
        places
    }

    /// The unit of a node that is in no group; `new` is the number of the next one.
    fn place(&self, number: I, holder: I, new: usize) -> Heavy {
        let name = self.name(number);
        let mut of = Heavy { unit: new, is_grouped: false, name, run: 0 };
        if self.kinds.class_class == Some(name) {
            return of;
        }
        let mut above = holder;
        for distance in 1..=PERIOD {
            let Some(like) = self.heavy.get(&above).filter(|_| above != I::default()) else {
                break;
            };
            if like.name == name {
                of.run = like.run + 1;
                if distance == 1 || of.run >= REPEATS {
                    of.unit = self.heavy[&holder].unit;
                }
                break;
            }
            above = self.tree.dominator(above);
        }
        of
    }
}

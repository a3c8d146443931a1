//! What is in what a unit holds: from kind to kind of object, down the dominator tree. What only leads on, such as a
//! map's nodes and arrays, is looked through.

use std::collections::{HashSet, VecDeque};

use super::glue::Kinds;
use super::units::{GROUP, Units};
use super::weights::Weights;
use crate::graph::dominators::{Dominators, TopDown};
use crate::graph::{Id, ObjectGraph};

/// How many kinds are told.
const DEPTH: usize = 8;
/// A kind is told where it holds so many percent of the one before.
const MOST: u64 = 50;
/// Fewer of a kind are single objects, of which each has to hold the threshold itself.
const MANY: u64 = 8;
/// What has less than one of so many parts of the mean does not belong to a group.
const SMALL: u64 = 20;
/// Objects whose paths are looked at: the nearest, and as many among all the others.
pub(super) const SAMPLES: usize = 40;

/// Objects of one kind.
#[derive(Debug, Clone)]
pub(super) struct Kind<I> {
    /// The number of their class's name.
    pub name: u32,
    /// How many: those that are within others of the kind count, too.
    pub objects: u64,
    /// What they hold.
    pub bytes: u64,
    /// In how many classes of the name.
    pub classes: u64,
    /// Those that are nodes and not within others.
    pub nodes: Vec<I>,
    /// The places of those that are folded into their holders.
    parts: Vec<I>,
}

impl<I: Id> Kind<I> {
    /// Of so many nodes.
    pub(super) fn of_nodes(name: u32, bytes: u64, nodes: Vec<I>) -> Kind<I> {
        let objects = nodes.len() as u64;
        Kind { name, objects, bytes, classes: 1, nodes, parts: Vec::new() }
    }

    /// The places of some of them.
    pub(super) fn sample(&self, down: TopDown<'_, I>) -> Vec<u64> {
        match self.nodes.len() >= self.parts.len() {
            true => evenly(&self.nodes, |n| down.place(*n)),
            false => evenly(&self.parts, |p| p.number()),
        }
    }
}

/// The first of all, and every so many-th of the others.
fn evenly<T>(all: &[T], place: impl Fn(&T) -> u64) -> Vec<u64> {
    let (first, rest) = all.split_at(all.len().min(SAMPLES));
    let step = rest.len().div_ceil(SAMPLES).max(1);
    first.iter().chain(rest.iter().step_by(step)).map(place).collect()
}

/// Kinds by their names' numbers, found without a search: there may be millions of objects to sort into them.
struct Sorted<I> {
    /// By the name's number where its kind is in `kinds`, from 1 on; 0 for nowhere.
    at: Vec<u32>,
    kinds: Vec<Kind<I>>,
    /// Of each the first class that was met.
    classes: Vec<u32>,
}

impl<I: Id> Sorted<I> {
    /// For so many names.
    fn new(names: usize) -> Sorted<I> {
        Sorted { at: vec![0; names], kinds: Vec::new(), classes: Vec::new() }
    }

    /// The kind of objects of this class, whose name has this number.
    #[inline]
    fn kind(&mut self, name: u32, class: u32) -> &mut Kind<I> {
        let at = &mut self.at[name as usize];
        if *at == 0 {
            self.kinds.push(Kind::of_nodes(name, 0, Vec::new()));
            self.classes.push(class);
            *at = self.kinds.len() as u32;
        }
        let at = *at as usize - 1;
        let kind = &mut self.kinds[at];
        kind.classes = kind.classes.max(1 + u64::from(self.classes[at] != class));
        kind
    }
}

/// What is right below objects once what only leads on is looked through.
pub(super) struct Below<I> {
    sorted: Sorted<I>,
    /// By the name's number, of the kinds that were looked through for themselves: how many.
    within: Vec<u64>,
    /// Own bytes of what only leads on.
    glue: u64,
}

impl<I: Id> Below<I> {
    /// The kind that holds the most, then by name.
    fn largest(self) -> Option<Kind<I>> {
        self.sorted.kinds.into_iter().max_by_key(|k| (k.bytes, std::cmp::Reverse(k.name)))
    }

    /// Whether it is much of the same, or one thing that is large itself: at least so many bytes. Many parts of
    /// different kinds, each of them small, are just a large program.
    fn stands_out(&self, own: u64, least: u64) -> bool {
        let kinds = &self.sorted.kinds;
        let many = kinds.iter().filter(|k| k.objects >= MANY).map(|k| k.bytes);
        let many = many.fold(self.glue.saturating_add(own), u64::saturating_add);
        many >= least || kinds.iter().any(|k| k.bytes >= least)
    }
}

/// Looks at what is below nodes.
pub(super) struct Looker<'a, 't, 'g, G, I> {
    pub tree: &'a Dominators<'g, G, I>,
    pub down: TopDown<'a, I>,
    pub kinds: &'a Kinds<'g>,
    pub weights: &'a Weights<'t, 'g, G, I>,
    pub units: &'a Units<I>,
    /// The places of parts that are suspects of their own.
    pub apart: HashSet<u64>,
}

impl<G: ObjectGraph, I: Id> Looker<'_, '_, '_, G, I> {
    fn name(&self, place: u64) -> u32 {
        self.kinds.name_at(self.tree.graph(), place)
    }

    /// What is right below the objects of a kind. What is of the kinds in `through` is counted and looked through.
    fn below(&self, of: &Kind<I>, through: &[u32]) -> Below<I> {
        let names = self.kinds.names.len();
        let mut found = Below { sorted: Sorted::new(names), within: vec![0; names], glue: 0 };
        let mut queue = VecDeque::new();
        for first in &of.nodes {
            queue.push_back(*first);
            while let Some(holder) = queue.pop_front() {
                for number in self.down.children(holder) {
                    if let Some(soon) = self.down.next(number) {
                        self.tree.graph().prefetch(self.down.place(soon));
                    }
                    let bytes = self.weights.at(number);
                    if bytes == 0 || self.units.is_top(number, bytes) {
                        continue;
                    }
                    let place = self.down.place(number);
                    let class = self.tree.graph().class_of(place);
                    let name = self.kinds.name_of(class);
                    let is_through = through.contains(&name);
                    if is_through || self.kinds.is_glue(name) && self.leads_on(number) {
                        found.within[name as usize] += u64::from(is_through);
                        found.glue += self.weights.own(number, place);
                        queue.push_back(number);
                    } else {
                        let of = found.sorted.kind(name, class);
                        of.objects += 1;
                        of.bytes += bytes;
                        of.nodes.push(number);
                    }
                }
                if self.weights.counts_parts(holder) {
                    self.parts(self.down.place(holder), through, &mut found);
                }
            }
        }
        of.parts.iter().for_each(|part| self.parts(part.number(), through, &mut found));
        found
    }

    /// Whether there is anything in a collection; an empty one is a thing of its own.
    fn leads_on(&self, number: I) -> bool {
        if self.down.first(number).is_some() {
            return true;
        }
        let mut any = false;
        self.tree.direct_parts(self.down.place(number), |_| any = true);
        any
    }

    /// The same of the parts of one object. They lie a few deep at most.
    fn parts(&self, place: u64, through: &[u32], found: &mut Below<I>) {
        self.tree.direct_parts(place, |part| {
            if self.apart.contains(&part) {
                return;
            }
            let class = self.tree.graph().class_of(part);
            let name = self.kinds.name_of(class);
            let is_through = through.contains(&name);
            if is_through || self.kinds.is_glue(name) {
                found.within[name as usize] += u64::from(is_through);
                found.glue += self.tree.size(part);
                self.parts(part, through, found);
                return;
            }
            let bytes = self.tree.part_retained(part);
            let of = found.sorted.kind(name, class);
            of.objects += 1;
            of.bytes += bytes;
            of.parts.push(I::of(part));
        });
    }

    /// The kinds in a unit, from the one node at its top; none where nothing of it stands out. The first is that node.
    pub(super) fn levels(&self, top: I, own: u64, least: u64) -> Option<Vec<Kind<I>>> {
        let place = self.down.place(top);
        let name = self.name(place);
        let mut first = Kind::of_nodes(name, own, vec![top]);
        let through: &[u32] = if self.kinds.is_glue(name) { &[] } else { &[name] };
        let below = self.below(&first, through);
        first.objects += below.within[name as usize];
        below
            .stands_out(self.weights.own(top, place), least)
            .then(|| self.follow(vec![first], below))
    }

    /// The same of a part that is folded into a node.
    pub(super) fn levels_of_part(
        &self,
        holder: I,
        part: u64,
        bytes: u64,
        least: u64,
    ) -> Option<Vec<Kind<I>>> {
        let name = self.name(part);
        let mut first = Kind::of_nodes(name, bytes, Vec::new());
        (first.objects, first.parts) = (1, vec![I::of(part)]);
        let below = self.below(&first, &[]);
        let own = if self.weights.counts_parts(holder) { self.tree.size(part) } else { 0 };
        below.stands_out(own, least).then(|| self.follow(vec![first], below))
    }

    /// The parts right in an object that hold at least so much, with their bytes; none where it is a collection of one,
    /// or has several of a kind of which none stands out.
    pub(super) fn heavy_parts(&self, holder: I, place: u64, least: u64) -> Vec<(u64, u64)> {
        let mut heavy: Vec<(u64, u64)> = Vec::new();
        if !self.weights.counts_parts(holder) {
            return heavy;
        }
        self.tree.direct_parts(place, |part| {
            let bytes = self.tree.part_retained(part);
            if bytes >= least {
                heavy.push((part, bytes));
            }
        });
        let is_collection = self.kinds.is_glue(self.name(place));
        if is_collection {
            let (sum, most) = heavy.iter().fold((0, 0), |(s, m), h| (s + h.1, h.1.max(m)));
            if heavy.len() == 1 || heavy.len() >= GROUP && most <= sum / 2 {
                heavy.clear();
            }
        }
        heavy
    }

    /// The kinds in objects of one kind.
    pub(super) fn levels_of(&self, kind: Kind<I>) -> Vec<Kind<I>> {
        let below = self.below(&kind, &[kind.name]);
        self.follow(vec![kind], below)
    }

    fn follow(&self, mut levels: Vec<Kind<I>>, mut below: Below<I>) -> Vec<Kind<I>> {
        // The kinds that lie within one another, so that they are one level.
        let mut mutual: Vec<u32> = Vec::new();
        for _ in 0..2 * DEPTH {
            let Some(largest) = below.largest() else { break };
            let held = levels.last().map_or(0, |l| l.bytes);
            if largest.bytes < held / 100 * MOST || levels.len() > DEPTH {
                break;
            }
            if let Some(at) = levels.iter().position(|l| l.name == largest.name) {
                mutual.extend(levels[at..].iter().map(|l| l.name));
                levels.truncate(at + 1);
            } else {
                let is_string = self.kinds.text(largest.name) == "java.lang.String";
                levels.push(largest);
                if is_string {
                    break;
                }
            }
            let Some(level) = levels.last_mut() else { break };
            let through = [&[level.name], mutual.as_slice()].concat();
            below = self.below(level, &through);
            let within = below.within[level.name as usize];
            let outer = level.nodes.len() + level.parts.len();
            level.objects = level.objects.max(outer as u64 + within);
        }
        levels
    }

    /// The kinds of what no single object holds, each of at least so many bytes and objects of its own.
    pub(super) fn groups(&self, least: u64) -> Vec<Kind<I>> {
        let mut kinds = self.by_kind(self.down.children(I::default()));
        // Each class has static fields of its own.
        kinds.retain(|k| k.bytes >= least && self.kinds.class_class != Some(k.name));
        for kind in &mut kinds {
            // Such as the JVM's own threads, beside those of a pool.
            let least = kind.bytes / kind.objects / SMALL;
            kind.nodes.retain(|n| self.weights.at(*n) >= least);
            kind.objects = kind.nodes.len() as u64;
        }
        kinds.retain(|k| k.objects > 1);
        kinds
    }

    /// The kinds of what is held just so strongly as is weighed, and by objects that are held more strongly.
    pub(super) fn waiting(&self, least: u64) -> Vec<Kind<I>> {
        let (tree, strength) = (self.tree, self.weights.strength);
        let is_first = |number: &I| {
            let dominator = tree.dominator(*number);
            Some(tree.strength(*number)) == strength
                && (dominator == I::default() || Some(tree.strength(dominator)) != strength)
        };
        let mut kinds = self.by_kind((1..tree.count()).map(I::of).filter(is_first));
        kinds.retain(|k| k.bytes >= least);
        kinds
    }

    /// Nodes by kind, the kinds that hold the most first.
    fn by_kind(&self, nodes: impl Iterator<Item = I>) -> Vec<Kind<I>> {
        let mut sorted = Sorted::new(self.kinds.names.len());
        for number in nodes {
            let bytes = self.weights.at(number);
            if bytes == 0 || self.units.is_top(number, bytes) {
                continue;
            }
            let class = self.tree.graph().class_of(self.down.place(number));
            let of = sorted.kind(self.kinds.name_of(class), class);
            of.objects += 1;
            of.bytes += bytes;
            of.nodes.push(number);
        }
        let mut kinds = sorted.kinds;
        kinds.sort_by_key(|k| (std::cmp::Reverse(k.bytes), k.name));
        kinds
    }
}

//! A tree of boxes, each as large as what it stands for, as the page's pictures take it; and that of who holds the
//! memory, made of a dominator tree.
//!
//! A heap has more objects than a page can show. What is large stands for itself. The rest of what an object holds is
//! shown by class; objects of a class that lie in one another (the links of a list) are one box. Of boxes with very many
//! objects, evenly spaced ones are looked into, and what is below is marked as approximate. Nothing is drawn by chance:
//! the same heap gives the same picture.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use serde::Serialize;

use crate::graph::dominators::{Dominators, TopDown};
use crate::graph::{Id, NO_CLASS, ObjectGraph, Strength};
use crate::output::page::document::shown;
use crate::output::retained::{Totals, class_name, label};

/// Objects of a box that are looked into.
const LOOKS: usize = 1 << 13;
/// Objects in a box that stand for themselves, at most.
const SINGLES: usize = 40;
/// Classes in a box.
const CLASSES: usize = 40;
/// Boxes in one another.
const DEPTH: u32 = 60;
/// The part of all bytes that a box has at least, if it is not the last of its kind.
const LEAST: u64 = 20_000;
/// A box of one object has at least this part of the box that it lies in.
const SINGLE: u64 = 200;
/// Boxes at most, whatever room there is.
const BOXES: usize = 60_000;

/// What is told of a box besides its size.
pub(super) const APPROXIMATE: u8 = 1;
/// Its name is of rjcore's own words.
pub(super) const WORDS: u8 = 2;

/// A box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// The number of the box that it lies in; its own of the first.
    pub(super) parent: u32,
    /// The number of its name.
    pub(super) name: u32,
    /// What it is as large as: bytes, or threads.
    pub(super) value: u64,
    /// How many objects stand in it, those below not counted.
    pub(super) count: u64,
    /// What of the value is these objects' own.
    pub(super) own: u64,
    /// [`APPROXIMATE`], [`WORDS`].
    pub(super) flags: u8,
    /// Of one object its address, and what tells it from others.
    pub(super) object: Option<(u64, Option<String>)>,
}

/// Boxes in boxes. Each stands behind the one that it lies in, so that the first so many of them are a picture, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Picture {
    /// All names.
    pub(super) names: Vec<String>,
    /// All boxes, the one that holds all first.
    pub(super) nodes: Vec<Node>,
    /// Boxes that were not looked into, as there are too many.
    pub(super) unopened: u64,
}

/// A picture as the page's script reads it: lists by box.
#[derive(Serialize)]
struct Lists<'p> {
    names: Vec<&'p str>,
    parent: Vec<u32>,
    name: Vec<u32>,
    value: Vec<u64>,
    count: Vec<u64>,
    own: Vec<u64>,
    flags: Vec<u8>,
    /// By the number of the box.
    address: HashMapInOrder<String>,
    label: HashMapInOrder<&'p str>,
}

type HashMapInOrder<V> = std::collections::BTreeMap<usize, V>;

impl Picture {
    /// As JSON in at most `limit` bytes: the first boxes, for which there is room; and how many these are.
    pub(super) fn json(&self, limit: usize) -> (String, usize) {
        let mut boxes = self.room(limit);
        loop {
            let json = self.first(boxes);
            if json.len() <= limit || boxes == 0 {
                return (json, boxes);
            }
            boxes -= boxes.div_ceil(20);
        }
    }

    /// How many boxes take so many bytes, about.
    fn room(&self, limit: usize) -> usize {
        let mut named = vec![false; self.names.len()];
        let mut bytes = 200;
        for (i, node) in self.nodes.iter().enumerate() {
            let digits = |n: u64| n.checked_ilog10().unwrap_or(0) as usize + 2;
            let numbers = [u64::from(node.parent), u64::from(node.name), node.value, node.count];
            bytes += 2 + numbers.into_iter().chain([node.own]).map(digits).sum::<usize>();
            if !std::mem::replace(&mut named[node.name as usize], true) {
                bytes += self.names[node.name as usize].len() + 3;
            }
            if let Some((_, label)) = &node.object {
                bytes += 30 + label.as_ref().map_or(0, |l| l.len() + 12);
            }
            if bytes > limit {
                return i;
            }
        }
        self.nodes.len()
    }

    fn first(&self, boxes: usize) -> String {
        let mut numbers = vec![None; self.names.len()];
        let mut names = Vec::new();
        let nodes = &self.nodes[..boxes];
        let mut name = |node: &Node| {
            *numbers[node.name as usize].get_or_insert_with(|| {
                names.push(self.names[node.name as usize].as_str());
                names.len() as u32 - 1
            })
        };
        let name = nodes.iter().map(&mut name).collect();
        let objects =
            || nodes.iter().enumerate().filter_map(|(i, n)| Some((i, n.object.as_ref()?)));
        let lists = Lists {
            parent: nodes.iter().map(|n| n.parent).collect(),
            name,
            value: nodes.iter().map(|n| n.value).collect(),
            count: nodes.iter().map(|n| n.count).collect(),
            own: nodes.iter().map(|n| n.own).collect(),
            flags: nodes.iter().map(|n| n.flags).collect(),
            address: objects().map(|(i, o)| (i, format!("{:#x}", o.0))).collect(),
            label: objects().filter_map(|(i, o)| Some((i, o.1.as_deref()?))).collect(),
            names,
        };
        let json = serde_json::to_string(&lists).unwrap_or_else(|_| "{}".into());
        // Nothing in it may end the script element that it stands in.
        let mut out = String::with_capacity(json.len());
        for c in json.chars() {
            match c {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    out.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                c => out.push(c),
            }
        }
        out
    }

    /// The boxes that lie in box `node` itself.
    pub(super) fn inside(&self, node: u32) -> impl Iterator<Item = &Node> {
        self.nodes.iter().skip(1).filter(move |n| n.parent == node)
    }
}

/// An object of a box, and how many it stands for.
#[derive(Clone, Copy)]
struct Member<I> {
    object: Object<I>,
    weight: f64,
}

#[derive(Clone, Copy)]
enum Object<I> {
    /// A node of the dominator tree.
    Node(I),
    /// What is folded into its holder, by its place.
    Part(u64),
}

/// A box that is not looked into yet.
struct Closed<I> {
    node: u32,
    class: u32,
    members: Vec<Member<I>>,
    depth: u32,
}

/// What is found in a box.
#[derive(Default)]
struct Found<I> {
    own: f64,
    singles: Vec<(u64, Member<I>, u32)>,
    classes: HashMap<u32, Of<I>>,
    approximate: bool,
}

/// Objects of a class in a box.
struct Of<I> {
    count: f64,
    bytes: f64,
    members: Vec<Member<I>>,
}

struct Painter<'t, 'g, G, I> {
    tree: &'t Dominators<'g, G, I>,
    below: TopDown<'t, I>,
    picture: Picture,
    /// Names of classes by their numbers.
    names: HashMap<u32, u32>,
    closed: HashMap<u32, Closed<I>>,
    /// By size, the largest first, then the first.
    next: BinaryHeap<(u64, Reverse<u32>)>,
    least: u64,
}

/// The picture of who holds the memory: of all objects those that nothing else holds, what they hold, and so on; and
/// besides them what is not strongly held.
pub(super) fn of_heap<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>) -> Picture {
    let totals = Totals::of(tree);
    let mut painter = Painter {
        tree,
        below: tree.top_down(),
        picture: Picture::default(),
        names: HashMap::new(),
        closed: HashMap::new(),
        next: BinaryHeap::new(),
        least: (totals.bytes / LEAST).max(1),
    };
    painter.paint(&totals);
    painter.picture
}

impl<G: ObjectGraph, I: Id> Painter<'_, '_, G, I> {
    fn paint(&mut self, totals: &Totals) {
        self.words("all objects", 0, totals.bytes, 0);
        let all = Member { object: Object::Node(I::default()), weight: 1.0 };
        let all = Closed { node: 0, class: NO_CLASS, members: vec![all], depth: 0 };
        self.open(all, totals.strong);
        let weaker = [
            (totals.soft, "held by soft references at most"),
            (totals.weak, "held by weak references at most"),
            (totals.finalizable, "waiting to be finalized"),
            (totals.phantom, "held by phantom references at most"),
            (totals.garbage, "garbage"),
        ];
        for (bytes, what) in weaker.into_iter().filter(|(bytes, _)| *bytes > 0) {
            self.words(what, 0, bytes, 0);
        }
        while let Some((bytes, Reverse(node))) = self.next.pop() {
            if self.picture.nodes.len() >= BOXES {
                self.picture.unopened = self.next.len() as u64 + 1;
                break;
            }
            if let Some(closed) = self.closed.remove(&node) {
                self.open(closed, bytes);
            }
        }
    }

    /// A box that rjcore names itself.
    fn words(&mut self, name: &str, parent: u32, value: u64, count: u64) {
        let name = self.named(name);
        let flags = WORDS;
        self.picture.nodes.push(Node { parent, name, value, count, own: 0, flags, object: None });
    }

    fn named(&mut self, name: &str) -> u32 {
        let known = self.picture.names.iter().take(16).position(|n| n == name);
        known.unwrap_or_else(|| {
            self.picture.names.push(name.to_owned());
            self.picture.names.len() - 1
        }) as u32
    }

    fn class_name(&mut self, class: u32) -> u32 {
        let (graph, names) = (self.tree.graph(), &mut self.picture.names);
        *self.names.entry(class).or_insert_with(|| {
            names.push(shown(&class_name(graph, class)));
            names.len() as u32 - 1
        })
    }

    fn place(&self, object: Object<I>) -> u64 {
        match object {
            Object::Node(number) => self.below.place(number),
            Object::Part(place) => place,
        }
    }

    fn retained(&self, object: Object<I>) -> u64 {
        match object {
            Object::Node(number) => self.tree.retained(number),
            Object::Part(place) => self.tree.part_retained(place),
        }
    }

    /// Calls `each` with all that an object holds itself.
    fn held(&self, object: Object<I>, each: &mut impl FnMut(Object<I>)) {
        if let Object::Node(number) = object {
            // What is held less strongly than its holder would be freed without it.
            let strong = |n: &I| self.tree.strength(*n) == Strength::Strong;
            self.below.children(number).filter(strong).for_each(|n| each(Object::Node(n)));
            if number == I::default() {
                return;
            }
        }
        self.tree.direct_parts(self.place(object), |part| each(Object::Part(part)));
    }

    /// Looks into a box of so many bytes.
    fn open(&mut self, closed: Closed<I>, bytes: u64) {
        let mut found = Found { approximate: self.is_approximate(closed.node), ..Found::default() };
        let mut round = closed.members;
        let mut looks = 0;
        while !round.is_empty() && looks < LOOKS {
            if round.len() > LOOKS - looks {
                found.approximate = true;
                round = spaced(round, LOOKS - looks);
            }
            looks += round.len();
            round = self.look(&round, closed.class, bytes, &mut found);
        }
        // What was not looked at is as what was.
        found.approximate |= !round.is_empty();
        self.add(closed.node, closed.depth, bytes, found);
    }

    fn is_approximate(&self, node: u32) -> bool {
        self.picture.nodes[node as usize].flags & APPROXIMATE != 0
    }

    /// Looks at some objects of a box; answers those of the same class that they hold.
    fn look(
        &self,
        members: &[Member<I>],
        class: u32,
        bytes: u64,
        found: &mut Found<I>,
    ) -> Vec<Member<I>> {
        let least = (bytes / SINGLE).max(self.least);
        let mut small = 0u64;
        let mut large: Vec<(u64, Member<I>)> = Vec::new();
        for member in members {
            if !matches!(member.object, Object::Node(number) if number == I::default()) {
                found.own += member.weight * self.tree.size(self.place(member.object)) as f64;
            }
            self.held(member.object, &mut |object| {
                let retained = self.retained(object);
                if retained >= least {
                    large.push((retained, Member { object, weight: member.weight }));
                } else {
                    small += 1;
                }
            });
        }
        // Of the many small ones, every so-many-th.
        let step = small.div_ceil(LOOKS as u64).max(1);
        found.approximate |= step > 1;
        let mut at = 0u64;
        let mut chosen: Vec<(u64, Member<I>)> = Vec::new();
        for member in members {
            self.held(member.object, &mut |object| {
                let retained = self.retained(object);
                if retained < least {
                    if at.is_multiple_of(step) {
                        let weight = member.weight * step as f64;
                        chosen.push((retained, Member { object, weight }));
                    }
                    at += 1;
                }
            });
        }
        let mut same = Vec::new();
        let is_large = large.len();
        for (i, (retained, member)) in large.into_iter().chain(chosen).enumerate() {
            let of = self.tree.graph().class_of(self.place(member.object));
            if of == class && class != NO_CLASS {
                same.push(member);
            } else if i < is_large && member.weight == 1.0 {
                found.singles.push((retained, member, of));
            } else {
                add_to(&mut found.classes, of, retained, member);
            }
        }
        same
    }

    /// Puts what was found into the box.
    fn add(&mut self, node: u32, depth: u32, bytes: u64, mut found: Found<I>) {
        let order = |a: &(u64, Member<I>, u32)| (Reverse(a.0), self.place(a.1.object));
        found.singles.sort_by_key(order);
        for (retained, member, class) in found.singles.split_off(SINGLES.min(found.singles.len())) {
            add_to(&mut found.classes, class, retained, member);
        }
        let singles: f64 = found.singles.iter().map(|s| s.0 as f64).sum();
        let all = found.own + singles + total(&found.classes);
        // Estimates add up to what is known.
        let scale = if found.approximate && all > 0.0 { bytes as f64 / all } else { 1.0 };
        let of = |bytes: f64| (bytes * scale) as u64;
        let mut boxes: Vec<(u64, u64, u32, Vec<Member<I>>)> = Vec::new();
        for (_, member, class) in found.singles {
            let retained = self.retained(member.object) as f64;
            boxes.push((of(retained), 1, class, vec![member]));
        }
        for (class, group) in found.classes {
            let count = (group.count * scale).round().max(1.0) as u64;
            boxes.push((of(group.bytes), count, class, group.members));
        }
        boxes.sort_by_key(|b| (Reverse(b.0), b.2, b.3.first().map(|m| self.place(m.object))));
        let least = self.least;
        let kept = boxes.iter().take_while(|b| b.0 >= least).count().min(SINGLES + CLASSES);
        let others = boxes.split_off(kept);
        self.picture.nodes[node as usize].own = of(found.own).min(bytes);
        let flags = if found.approximate { APPROXIMATE } else { 0 };
        for (value, count, class, members) in boxes {
            let number = self.picture.nodes.len() as u32;
            let name = self.class_name(class);
            let object = match members[..] {
                [member] if count == 1 => {
                    let place = self.place(member.object);
                    let graph = self.tree.graph();
                    Some((graph.address(place), label(graph, place).map(|l| shown(&l))))
                }
                _ => None,
            };
            self.picture.nodes.push(Node {
                parent: node,
                name,
                value,
                count,
                own: 0,
                flags,
                object,
            });
            if value >= 2 * least && depth < DEPTH {
                self.next.push((value, Reverse(number)));
                let closed = Closed { node: number, class, members, depth: depth + 1 };
                self.closed.insert(number, closed);
            }
        }
        let value = others.iter().map(|o| o.0).sum();
        let count = others.iter().map(|o| o.1).sum();
        if value > 0 {
            self.words("others", node, value, count);
            if let Some(last) = self.picture.nodes.last_mut() {
                last.flags |= flags;
            }
        }
    }
}

fn add_to<I>(classes: &mut HashMap<u32, Of<I>>, class: u32, retained: u64, member: Member<I>) {
    let of = classes.entry(class).or_insert(Of { count: 0.0, bytes: 0.0, members: Vec::new() });
    of.count += member.weight;
    of.bytes += member.weight * retained as f64;
    of.members.push(member);
}

/// So many of all, evenly spaced, that stand for all.
fn spaced<I: Copy>(all: Vec<Member<I>>, count: usize) -> Vec<Member<I>> {
    let count = count.max(1);
    let factor = all.len() as f64 / count as f64;
    let at = |i: usize| (i as u128 * all.len() as u128 / count as u128) as usize;
    (0..count).map(|i| Member { weight: all[at(i)].weight * factor, ..all[at(i)] }).collect()
}

/// Bytes of all, added in the order of classes: sums of fractions hang on the order.
fn total<I>(classes: &HashMap<u32, Of<I>>) -> f64 {
    let mut all: Vec<(&u32, f64)> = classes.iter().map(|(class, of)| (class, of.bytes)).collect();
    all.sort_unstable_by_key(|(class, _)| **class);
    all.into_iter().map(|(_, bytes)| bytes).sum()
}

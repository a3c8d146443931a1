//! What is in suspects, by class: one pass over all nodes, by all threads.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::OfClass;
use super::glue::Kinds;
use super::units::Units;
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph, Strength};

/// How many classes of each are told.
const CLASSES: usize = 12;
/// The mark of what is in no suspect.
const NONE: u8 = u8::MAX;
/// How many suspects there can be.
pub(super) const MOST: usize = NONE as usize - 1;

/// What is in one suspect.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    /// Those with the most bytes first.
    pub classes: Vec<OfClass>,
    /// Of all of them.
    pub class_count: u64,
    /// Class loaders.
    pub loaders: u64,
}

/// What a suspect begins with.
pub(super) enum Start<'a, I> {
    /// A node.
    Node(I),
    /// The objects of a group.
    Nodes(&'a [I]),
    /// The place of what is folded into a node.
    Part(u64),
}

/// Whose each node is: the suspect's number from 1 on, of at most [`MOST`]. 0 and [`NONE`]: nobody's.
pub(super) fn owners<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    units: &Units<I>,
    starts: &[Start<'_, I>],
) -> Vec<u8> {
    let mut owners = vec![0; tree.count() as usize];
    units.tops_set.iter().for_each(|top| owners[top.index()] = NONE);
    for (owner, start) in (1..=MOST as u8).zip(starts) {
        match start {
            Start::Node(node) => owners[node.index()] = owner,
            Start::Nodes(nodes) => nodes.iter().for_each(|n| owners[n.index()] = owner),
            Start::Part(_) => {}
        }
    }
    // A dominator's number is lower than those of what it dominates.
    for i in 1..owners.len() {
        if owners[i] == 0 {
            owners[i] = owners[tree.dominator(I::of(i as u64)).index()];
        }
    }
    owners
}

/// What is in suspects, of what is held with this strength. The parts `apart` are in no node's.
pub(super) fn contents<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    kinds: &Kinds<'_>,
    owners: &[u8],
    strength: Strength,
    starts: &[Start<'_, I>],
    apart: &HashSet<u64>,
) -> Vec<Content> {
    let graph = tree.graph();
    let loaders: HashSet<u64> = graph.classes().iter().filter_map(|c| c.loader).collect();
    let of_loaders: HashSet<u32> = loaders.iter().map(|l| kinds.name_at(graph, *l)).collect();
    let is_of_loaders: Vec<bool> =
        (0..kinds.names.len() as u32).map(|name| of_loaders.contains(&name)).collect();
    let count = |room: &mut Room, owner: u8, place: u64, (class, bytes): (u32, u64)| {
        let name = kinds.name_of(class);
        let is_loader = is_of_loaders[name as usize] && loaders.contains(&place);
        room.add((owner, name), Sum { objects: 1, bytes, loaders: u64::from(is_loader) });
    };
    let mut sums: BTreeMap<(u8, u32), Sum> = BTreeMap::new();
    tree.each_node(
        Room::new,
        |room, place, number| {
            let owner = owners[number.index()];
            if owner == 0 || owner == NONE || tree.strength(number) != strength {
                return;
            }
            whole(tree, place, apart, &mut |place, of| count(room, owner, place, of));
        },
        |room| room.gather(&mut sums),
    );
    for (owner, start) in (1..=MOST as u8).zip(starts) {
        let Start::Part(part) = start else { continue };
        let mut room = Room::new();
        whole(tree, *part, apart, &mut |place, of| count(&mut room, owner, place, of));
        room.gather(&mut sums);
    }
    let mut contents = vec![Content::default(); starts.len()];
    for ((owner, name), Sum { objects, bytes, loaders }) in sums {
        let Some(of) = contents.get_mut(usize::from(owner) - 1) else { continue };
        of.classes.push(OfClass { class: kinds.text(name).into(), objects, bytes });
        of.class_count += 1;
        of.loaders += loaders;
    }
    for of in &mut contents {
        of.classes.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.class.cmp(&b.class)));
        of.classes.truncate(CLASSES);
    }
    contents
}

/// Objects of one class.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    objects: u64,
    bytes: u64,
    /// Those that are class loaders.
    loaders: u64,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.loaders += other.loaders;
    }
}

/// Sums by owner and the name of the class. Most objects are of few classes, whose sums are found without a search.
struct Room {
    recent: Vec<((u8, u32), Sum)>,
    rest: HashMap<(u8, u32), Sum>,
}

impl Room {
    const RECENT: usize = 64;

    fn new() -> Room {
        Room { recent: vec![((0, 0), Sum::default()); Room::RECENT], rest: HashMap::new() }
    }

    #[inline]
    fn add(&mut self, key: (u8, u32), sum: Sum) {
        let recent = &mut self.recent[key.1 as usize % Room::RECENT];
        if recent.0 != key {
            let (before, of) = std::mem::replace(recent, (key, Sum::default()));
            self.rest.entry(before).or_default().add(of);
        }
        recent.1.add(sum);
    }

    fn gather(self, sums: &mut BTreeMap<(u8, u32), Sum>) {
        let all = self.rest.into_iter().chain(self.recent);
        // Nobody has the number 0.
        for (key, sum) in all.filter(|(key, _)| key.0 != 0) {
            sums.entry(key).or_default().add(sum);
        }
    }
}

/// Calls `each` with an object and all parts in it but for those apart: places, classes and bytes. Parts lie a few deep at
/// most.
fn whole<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    place: u64,
    apart: &HashSet<u64>,
    each: &mut impl FnMut(u64, (u32, u64)),
) {
    let of = tree.visit_parts(place, |part| {
        if apart.is_empty() || !apart.contains(&part) {
            whole(tree, part, apart, each);
        }
    });
    each(place, of);
}

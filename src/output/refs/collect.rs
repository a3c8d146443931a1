//! The pass over all objects that can be reached, for references and what belongs to them.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::layout::{Buffer, Layouts, Reference, Role};
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph, Slot, Strength, Value};

/// References, and what they refer to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// How many there are.
    pub references: u64,
    /// That refer to nothing (any more).
    pub cleared: u64,
    /// To what is strongly held.
    pub strong: u64,
    /// To what references of their own strength hold at most.
    pub alone: u64,
    /// To what is held otherwise: by references of another strength.
    pub other: u64,
}

impl Counts {
    pub(super) fn add(&mut self, more: &Counts) {
        self.references += more.references;
        self.cleared += more.cleared;
        self.strong += more.strong;
        self.alone += more.alone;
        self.other += more.other;
    }

    fn count(&mut self, own: Strength, referent: Option<Strength>) {
        self.references += 1;
        match referent {
            None => self.cleared += 1,
            Some(Strength::Strong) => self.strong += 1,
            Some(strength) if strength == own => self.alone += 1,
            Some(_) => self.other += 1,
        }
    }
}

/// Direct byte buffers that own their memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Buffers {
    pub count: u64,
    pub capacity: u64,
}

impl Buffers {
    fn add(&mut self, more: Buffers) {
        self.count += more.count;
        self.capacity += more.capacity;
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Collected<I> {
    /// By class.
    pub counts: BTreeMap<u32, Counts>,
    /// A class of references, and what hangs on one of it directly; in order, each once.
    pub tops: Vec<(u32, I)>,
    /// What hangs on references directly, by strength and class: objects, bytes that they retain.
    pub referents: BTreeMap<(Strength, u32), (u64, u64)>,
    /// By class of the cleaner and of what it runs.
    pub cleaners: BTreeMap<(u32, Option<u32>), Counts>,
    /// The places of queues that are not empty, in order.
    pub queues: Vec<u64>,
    /// References that are linked by `discovered`.
    pub linked: u64,
    /// Strongly held, not so, and those of files.
    pub buffers: [Buffers; 3],
    /// What is to free memory, and how much.
    pub deallocators: Buffers,
}

impl<I> Default for Collected<I> {
    fn default() -> Self {
        Collected {
            counts: BTreeMap::new(),
            tops: Vec::new(),
            referents: BTreeMap::new(),
            cleaners: BTreeMap::new(),
            queues: Vec::new(),
            linked: 0,
            buffers: Default::default(),
            deallocators: Buffers::default(),
        }
    }
}

/// What a piece of work has found.
struct Room<I> {
    found: Collected<I>,
    /// References that are linked, each maybe twice.
    linked: Vec<u64>,
}

/// Looks at one object.
struct Look<'t, 'g, G, I> {
    tree: &'t Dominators<'g, G, I>,
    layouts: &'t Layouts,
}

impl<I: Id> Collected<I> {
    /// By all threads of the tree's pool.
    pub(super) fn find<G: ObjectGraph>(
        tree: &Dominators<'_, G, I>,
        layouts: &Layouts,
    ) -> Collected<I> {
        let look = Look { tree, layouts };
        let mut all = Collected::<I>::default();
        let mut linked = HashSet::new();
        tree.each_node(
            || Room { found: Collected::default(), linked: Vec::new() },
            |room, place, number| {
                let strength = tree.strength(number);
                look.node(room, place, number, strength);
                look.object(room, place, strength);
                tree.parts(place, &mut |part| look.object(room, part, strength));
            },
            |room| {
                linked.extend(room.linked);
                all.gather(room.found);
            },
        );
        all.linked = linked.len() as u64;
        all.tops.sort_unstable();
        all.tops.dedup();
        all.queues.sort_unstable();
        all
    }

    fn gather(&mut self, more: Collected<I>) {
        for (class, more) in more.counts {
            self.counts.entry(class).or_default().add(&more);
        }
        self.tops.extend(more.tops);
        for (key, (objects, bytes)) in more.referents {
            let sum = self.referents.entry(key).or_default();
            *sum = (sum.0 + objects, sum.1 + bytes);
        }
        for (key, more) in more.cleaners {
            self.cleaners.entry(key).or_default().add(&more);
        }
        self.queues.extend(more.queues);
        self.buffers.iter_mut().zip(more.buffers).for_each(|(sum, more)| sum.add(more));
        self.deallocators.add(more.deallocators);
    }
}

impl<G: ObjectGraph, I: Id> Look<'_, '_, G, I> {
    fn value(&self, place: u64, slot: Option<Slot>) -> Option<Value> {
        self.tree.graph().value(place, slot?)
    }

    fn target(&self, place: u64, slot: Option<Slot>) -> Option<u64> {
        self.value(place, slot)?.object()
    }

    /// Whether what is held so hangs on a reference directly.
    fn is_top(&self, number: I, strength: Strength) -> bool {
        strength != Strength::Strong && self.tree.strength(self.tree.dominator(number)) != strength
    }

    fn node(&self, room: &mut Room<I>, place: u64, number: I, strength: Strength) {
        if self.is_top(number, strength) {
            let class = self.tree.graph().class_of(place);
            let sum = room.found.referents.entry((strength, class)).or_default();
            *sum = (sum.0 + 1, sum.1 + self.tree.retained(number));
        }
    }

    fn object(&self, room: &mut Room<I>, place: u64, strength: Strength) {
        let class = self.tree.graph().class_of(place);
        match self.layouts.role(class) {
            None => {}
            Some(Role::Reference(reference)) => self.reference(room, place, class, &reference),
            Some(Role::Queue(head, _)) => {
                room.found.queues.extend(self.target(place, head).map(|_| place));
            }
            Some(Role::Buffer(buffer)) => self.buffer(room, place, &buffer, strength),
            Some(Role::Deallocator(size)) => {
                let size = self.value(place, size).and_then(Value::integer).unwrap_or(0);
                let capacity = u64::try_from(size).unwrap_or(0);
                room.found.deallocators.add(Buffers { count: 1, capacity });
            }
        }
    }

    fn reference(&self, room: &mut Room<I>, place: u64, class: u32, of: &Reference) {
        let referent = self.target(place, of.referent);
        let number = referent.and_then(|r| self.tree.number(r));
        // What cannot be reached by its reference is no object: damage.
        let strength = number.map(|n| self.tree.strength(n));
        room.found.counts.entry(class).or_default().count(of.strength, strength);
        if let Some(number) = number.filter(|_| strength == Some(of.strength))
            && self.is_top(number, of.strength)
        {
            room.found.tops.push((class, number));
        }
        if let Some(discovered) = self.target(place, of.discovered).filter(|d| *d != place) {
            room.linked.extend([place, discovered]);
        }
        if let Some(action) = of.cleaner {
            let action = self.target(place, action).map(|a| self.tree.graph().class_of(a));
            let counts = room.found.cleaners.entry((class, action)).or_default();
            counts.count(of.strength, strength);
        }
    }

    fn buffer(&self, room: &mut Room<I>, place: u64, of: &Buffer, strength: Strength) {
        // A slice or a duplicate has none.
        if self.target(place, of.cleaner).is_none() {
            return;
        }
        let kind = match (self.target(place, of.fd), strength) {
            (Some(_), _) => 2,
            (None, Strength::Strong) => 0,
            (None, _) => 1,
        };
        let capacity = self.value(place, of.capacity).and_then(Value::integer).unwrap_or(0);
        let capacity = u64::try_from(capacity).unwrap_or(0);
        room.found.buffers[kind].add(Buffers { count: 1, capacity });
    }
}

//! What is weighed: how much of a sort of memory each node of a dominator tree holds.

use crate::graph::dominators::Dominators;
use crate::graph::{Class, ClassKind, Id, ObjectGraph, Slot, Strength, Value};

/// Memory outside of the heap by the buffers that own it.
const DIRECT: &str = "java.nio.DirectByteBuffer";

/// So much of a sort of memory each node holds.
pub(super) struct Weights<'t, 'g, G, I> {
    tree: &'t Dominators<'g, G, I>,
    /// Of what is held just so; none of memory outside of the heap.
    pub strength: Option<Strength>,
    /// By number; empty where the tree itself has it.
    below: Vec<u64>,
}

impl<'t, 'g, G: ObjectGraph, I: Id> Weights<'t, 'g, G, I> {
    /// Bytes that are held with just this strength.
    pub(super) fn of(tree: &'t Dominators<'g, G, I>, strength: Strength) -> Self {
        if strength == Strength::Strong {
            return Weights { tree, strength: Some(strength), below: Vec::new() };
        }
        let mut below = vec![0; tree.count() as usize];
        for i in (1..tree.count()).rev() {
            let number = I::of(i);
            let dominator = tree.dominator(number);
            if tree.strength(number) == strength {
                below[number.index()] = tree.retained(number);
            }
            let passes = dominator == I::default() || tree.strength(dominator) != strength;
            if passes {
                below[dominator.index()] += below[number.index()];
            }
        }
        Weights { tree, strength: Some(strength), below }
    }

    /// Bytes outside of the heap that these nodes own.
    pub(super) fn outside(tree: &'t Dominators<'g, G, I>, own: &[(I, u64)]) -> Self {
        let mut below = vec![0_u64; tree.count() as usize];
        for (number, bytes) in own {
            below[number.index()] = below[number.index()].saturating_add(*bytes);
        }
        for i in (1..tree.count()).rev() {
            let dominator = tree.dominator(I::of(i)).index();
            below[dominator] = below[dominator].saturating_add(below[i as usize]);
        }
        Weights { tree, strength: None, below }
    }

    /// What a node holds; of number 0: all of it.
    #[inline]
    pub(super) fn at(&self, number: I) -> u64 {
        match self.below.is_empty() {
            true => {
                let strong = self.tree.strength(number) == Strength::Strong;
                if strong { self.tree.retained(number) } else { 0 }
            }
            false => self.below[number.index()],
        }
    }

    /// Whether what is folded into a node is of what is weighed.
    pub(super) fn counts_parts(&self, holder: I) -> bool {
        holder != I::default() && self.strength == Some(self.tree.strength(holder))
    }

    /// A node's own bytes, without parts.
    pub(super) fn own(&self, number: I, place: u64) -> u64 {
        if self.counts_parts(number) { self.tree.size(place) } else { 0 }
    }
}

/// Which direct buffers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Buffers {
    /// Those that own their memory: a cleaner frees it.
    Owned,
    /// Those of native code's memory, too: whose it is, that knows.
    All,
}

/// The direct buffers that can be reached, in order, with the bytes of their memory. Views of others have none, and files'
/// are unmapped.
pub(super) fn direct_buffers<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    which: Buffers,
) -> Vec<(I, u64)> {
    let graph = tree.graph();
    // By class: where the fields are of those that are buffers.
    let slots = (0..).zip(graph.classes()).map(|(number, class): (u32, &Class)| {
        let is_one = class.name.starts_with(DIRECT) && class.kind == ClassKind::Instance;
        is_one.then(|| ["capacity", "cleaner", "fd", "att"].map(|name| graph.slot(number, name)))
    });
    let slots: Vec<Option<[Option<Slot>; 4]>> = slots.collect();
    let mut buffers: Vec<(I, u64)> = Vec::new();
    if slots.iter().all(Option::is_none) {
        return buffers;
    }
    tree.each_node(
        Vec::new,
        |found, place, number| {
            let of = slots.get(graph.class_of(place) as usize);
            let Some([capacity, cleaner, fd, att]) = of.and_then(Option::as_ref) else { return };
            let value = |slot: &Option<Slot>| graph.value(place, (*slot)?);
            let object = |slot| value(slot).and_then(Value::object);
            let owns = match object(cleaner) {
                Some(cleaner) => !unmaps(graph, cleaner),
                None => which == Buffers::All && object(att).is_none(),
            };
            let bytes = value(capacity).and_then(Value::integer);
            if let (Some(bytes @ 1..), None, true) = (bytes, object(fd), owns) {
                found.push((number, bytes as u64));
            }
        },
        |found| buffers.extend(found),
    );
    buffers.sort_unstable();
    buffers
}

/// Whether a cleaner unmaps a file.
fn unmaps(graph: &impl ObjectGraph, cleaner: u64) -> bool {
    let mut unmaps = false;
    graph.references(cleaner, |target, _| {
        let class = graph.classes().get(graph.class_of(target) as usize);
        unmaps |= class.is_some_and(|c| c.name.contains("Unmapper"));
    });
    unmaps
}

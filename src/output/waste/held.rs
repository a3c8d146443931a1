//! What is strongly held, whose arrays belong to whom, and how large arrays are.

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::roles::{Role, Roles};
use crate::graph::dominators::Dominators;
use crate::graph::{Bits, Id, NO_CLASS, ObjectGraph, Type, ones};
use crate::output::collections::Collections;

/// Words of 64 places that a thread looks at in one go.
const CHUNK: usize = 4096;

/// What is strongly held. Five bits for each place.
pub(super) struct Held {
    pub strong: Bits,
    /// Arrays of strings, and what belongs to a collection: arrays, the collection within it.
    pub owned: Bits,
    /// Collections whose entries are in another.
    pub wrappers: Bits,
    /// Arrays of references, and what else leads on to what is in a collection.
    pub containers: Bits,
    /// What it matters of whether it belongs to another: collections, and arrays of primitives or without elements.
    pub later: Bits,
    words: usize,
}

/// What was counted of strongly held objects.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub objects: u64,
    pub bytes: u64,
    pub measure: Measure,
}

/// How large arrays are, seen from those that there are.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    /// By bytes of an element, the least that an array has besides its elements.
    headers: [u64; 9],
    /// The same of arrays of references, if one takes 4 bytes, and if it takes 8.
    references: [u64; 2],
    narrow: bool,
    /// All sizes in one: what they are multiples of.
    sizes: u64,
}

impl Default for Measure {
    fn default() -> Measure {
        Measure { headers: [u64::MAX; 9], references: [u64::MAX; 2], narrow: false, sizes: 0 }
    }
}

impl Measure {
    /// An object of so many bytes.
    pub(super) fn object(&mut self, size: u64) {
        self.sizes |= size;
    }

    /// An array.
    pub(super) fn array(&mut self, role: Role, length: u64, size: u64) {
        let besides = |each: u64| length.checked_mul(each).and_then(|of| size.checked_sub(of));
        match role {
            Role::Primitives(ty) => {
                let header = &mut self.headers[ty.bytes().min(8) as usize];
                *header = besides(ty.bytes()).map_or(*header, |b| b.min(*header));
            }
            _ => {
                for (header, each) in self.references.iter_mut().zip([4, 8]) {
                    *header = besides(each).map_or(*header, |b| b.min(*header));
                }
                self.narrow |= besides(8).is_none();
            }
        }
    }

    fn add(&mut self, other: &Measure) {
        let all = self.headers.iter_mut().chain(&mut self.references);
        for (own, of) in all.zip(other.headers.iter().chain(&other.references)) {
            *own = (*own).min(*of);
        }
        self.narrow |= other.narrow;
        self.sizes |= other.sizes;
    }

    /// Bytes of an element of an array of that role.
    pub(super) fn each(&self, role: Role) -> u64 {
        match role {
            Role::Primitives(ty) => ty.bytes().max(1),
            _ if self.narrow => 4,
            _ => 8,
        }
    }

    /// Bytes of an array of that role and length.
    pub(super) fn array_bytes(&self, role: Role, length: u64) -> u64 {
        let each = self.each(role);
        let header = match role {
            Role::Primitives(_) => self.headers[each.min(8) as usize],
            _ => self.references[usize::from(!self.narrow)],
        };
        let header = if header == u64::MAX { 16 } else { header };
        let align = 1u64 << self.sizes.trailing_zeros().clamp(3, 8);
        header.saturating_add(length.saturating_mul(each)).next_multiple_of(align)
    }
}

impl Counts {
    pub(super) fn add(&mut self, other: &Counts) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.measure.add(&other.measure);
    }
}

impl Held {
    /// What is strongly held, and of it nothing yet.
    pub(super) fn of<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>, roles: &Roles) -> Held {
        let graph = tree.graph();
        let bits = || Bits::new(graph.numbers().places());
        let held = Held {
            strong: tree.strongly_held(),
            owned: bits(),
            wrappers: bits(),
            containers: bits(),
            later: bits(),
            words: graph.numbers().bits().len(),
        };
        held.pass_over_locks(graph, roles);
        held
    }

    /// Notes what belongs to the collections around it.
    pub(super) fn own_within<G: ObjectGraph, I: Id>(
        &self,
        tree: &Dominators<'_, G, I>,
        collections: &Collections,
    ) {
        self.each_word(tree, |words| {
            let mut reader = collections.reader(tree.graph());
            for place in words.flat_map(|w| ones(w as u64 * 64, self.wrappers.word(w))) {
                let inner = reader.parts(place, |_| ());
                if let Some(inner) = inner.filter(|inner| is_own(tree, place, *inner)) {
                    self.owned.set(inner);
                }
            }
        });
    }

    /// What classes are locked by until they are initialized, an `int[0]` each, is the VM's.
    fn pass_over_locks<G: ObjectGraph>(&self, graph: &G, roles: &Roles) {
        for class_object in graph.classes().iter().filter_map(|c| c.object) {
            graph.references(class_object, |target, _| {
                let is_ints = roles.of(graph.class_of(target)) == Role::Primitives(Type::Int);
                if is_ints && graph.length(target) == Some(0) {
                    self.owned.set(target);
                }
            });
        }
    }

    /// Calls `work` with stretches of words of the bits, by all threads.
    pub(super) fn each_word<G: ObjectGraph, I: Id>(
        &self,
        tree: &Dominators<'_, G, I>,
        work: impl Fn(Range<usize>) + Sync,
    ) {
        tree.pool().install(|| {
            (0..self.words.div_ceil(CHUNK)).into_par_iter().for_each(|c| {
                work(c * CHUNK..((c + 1) * CHUNK).min(self.words));
            });
        });
    }

    /// Calls `work` with the places and classes of those objects whose bits are set in what `bits` answers by word, by all
    /// threads: `make` makes what a thread works with for a while, and `gather` gets it then, in any order.
    pub(super) fn each_of<G: ObjectGraph, I: Id, T>(
        &self,
        bits: impl Fn(usize) -> u64 + Sync,
        tree: &Dominators<'_, G, I>,
        make: impl Fn() -> T + Sync,
        work: impl Fn(&mut T, u64, u32) + Sync,
        gather: impl FnMut(T) + Send,
    ) {
        let gather = Mutex::new(gather);
        let graph = tree.graph();
        self.each_word(tree, |words| {
            let mut room = make();
            for place in words.flat_map(|w| ones(w as u64 * 64, bits(w))) {
                let class = graph.class_of(place);
                if class != NO_CLASS {
                    work(&mut room, place, class);
                }
            }
            gather.lock().unwrap_or_else(|e| e.into_inner())(room);
        });
    }
}

/// Whether an object would go with `holder`, which refers to it: nobody else holds it.
pub(super) fn is_own<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    holder: u64,
    place: u64,
) -> bool {
    let dominator = tree.number(place).map(|number| tree.dominator(number));
    tree.is_part(place) || dominator.is_some_and(|of| Some(of) == tree.number(holder))
}

//! Who holds what is wasted: the field that leads to it. What lies in arrays and collections is held by the field that leads
//! to those, however deep they are in one another.
//!
//! Fields are numbered by their names. Arrays of references, collections and their nodes get the field that leads to them
//! first: breadth first from all fields of other objects. It takes 8 bytes and a bit for each of these, 4 for each wasteful
//! object. Where several fields lead to one object, one that leads to it at once goes first, then the first by name.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rayon::prelude::*;

use super::Found;
use super::held::Held;
use crate::graph::dominators::Dominators;
use crate::graph::{
    Bits, Class, ClassKind, Id, Numbers, ObjectGraph, Place, RootKind, Slot, Strength, Type,
};
use crate::output::collections::Collections;

/// The number of no field.
pub(super) const NOBODY: u32 = u32::MAX;
/// Set where what is held lies in what the field leads to.
pub(super) const INSIDE: u32 = 1 << 31;
/// Containers that one thread follows alone.
const FEW: usize = 4096;

/// What leads to objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Field {
    /// Its class; empty for what is no field.
    pub class: String,
    pub name: String,
}

/// Where an object's references are, and the numbers of their fields; none of those that are inside of a collection.
type Leads = Box<[(Slot, Option<u32>)]>;

/// All fields, by number.
pub(super) struct Fields {
    pub all: Vec<Field>,
    /// Of each class those of its objects.
    of_class: Vec<Leads>,
    /// From outside of other objects: static fields, constants, stacks.
    first: Vec<(u64, u32)>,
}

/// A class's fields by which its objects hold others, each with the class that declares it.
fn holding<G: ObjectGraph>(
    graph: &G,
    number: u32,
) -> impl Iterator<Item = (crate::graph::Field<'_>, Slot)> {
    let class = &graph.classes()[number as usize];
    let all = match class.kind {
        ClassKind::Instance => graph.fields(number),
        _ => Vec::new(),
    };
    all.into_iter().filter(move |(field, slot)| {
        let is_referent = field.name == "referent"
            && graph
                .classes()
                .get(field.class as usize)
                .is_some_and(|c| c.name == "java.lang.ref.Reference");
        slot.ty == Type::Reference && !is_referent
    })
}

/// Of each class whether its objects lead on to what is in a collection: arrays of references, and those with fields that are
/// inside of one.
pub(super) fn containers<G: ObjectGraph>(graph: &G, collections: &Collections) -> Vec<bool> {
    let is_one = |(number, class): (u32, &Class)| {
        class.kind == ClassKind::Objects
            || holding(graph, number).any(|(field, _)| collections.is_inner(field.class))
    };
    (0..).zip(graph.classes()).map(is_one).collect()
}

impl Fields {
    pub(super) fn new<G: ObjectGraph>(graph: &G, collections: &Collections, held: &Held) -> Fields {
        let mut names = Names::default();
        let classes = graph.classes();
        let name = |class: u32| classes.get(class as usize).map_or("?", |c| c.name.as_str());
        let mut of_class = Vec::new();
        for number in 0..classes.len() as u32 {
            let of = holding(graph, number).map(|(field, slot)| {
                let own = !collections.is_inner(field.class);
                (slot, own.then(|| names.number(name(field.class), &field.name)))
            });
            of_class.push(of.collect::<Leads>());
        }
        let first = outside(graph, held, &mut names);
        names.in_order(Fields { all: Vec::new(), of_class, first })
    }

    /// Of each class whether its objects have fields of their own: none of those that are inside of a collection.
    fn own(&self) -> Vec<bool> {
        self.of_class.iter().map(|leads| leads.iter().any(|(_, own)| own.is_some())).collect()
    }

    /// Calls `each` with what an object's fields lead to, as far as `wanted` wants it.
    fn lead<G: ObjectGraph>(
        &self,
        graph: &G,
        (place, class): (u64, u32),
        wanted: impl Fn(u64) -> bool,
        mut each: impl FnMut(u64, Option<u32>),
    ) {
        if graph.classes().get(class as usize).is_some_and(|c| c.kind == ClassKind::Objects) {
            graph.references(place, |target, _| {
                if wanted(target) {
                    each(target, None);
                }
            });
            return;
        }
        let Some(leads) = self.of_class.get(class as usize).filter(|of| !of.is_empty()) else {
            return;
        };
        // Most lead to nothing that is asked for, and that is quick to see.
        if graph.all_references(place, |target, _| !wanted(target)).is_some() {
            return;
        }
        for (slot, number) in leads {
            let target = graph.value(place, *slot).and_then(|v| v.object());
            if let Some(target) = target.filter(|t| wanted(*t)) {
                each(target, *number);
            }
        }
    }
}

/// What leads to objects from class objects and from outside of the heap.
fn outside<G: ObjectGraph>(graph: &G, held: &Held, names: &mut Names) -> Vec<(u64, u32)> {
    let mut first = Vec::new();
    for class in graph.classes() {
        let Some(object) = class.object.filter(|o| held.strong.has(*o)) else { continue };
        graph.describe(object, |reference| {
            let field = match &reference.place {
                Place::Static(field) => &*field.name,
                Place::Class(_) => "(constants)",
                _ => return,
            };
            if reference.strength == Strength::Strong {
                first.push((reference.target, names.number(&class.name, field)));
            }
        });
    }
    for root in graph.roots() {
        let thread = root.thread.and_then(|t| graph.threads().get(t as usize));
        let name = match (root.kind, thread) {
            (RootKind::UnmountedThread, _) => continue,
            (RootKind::Thread, _) => "(threads)".into(),
            (RootKind::Frame | RootKind::JniLocal, Some(t)) => format!("(stack of {:?})", t.name),
            _ => "(JNI handles and the VM)".into(),
        };
        first.push((root.place, names.number("", &name)));
    }
    first
}

/// Gives fields numbers.
#[derive(Default)]
struct Names {
    numbers: HashMap<(String, String), u32>,
    all: Vec<Field>,
}

impl Names {
    fn number(&mut self, class: &str, name: &str) -> u32 {
        let key = (class.to_owned(), name.to_owned());
        *self.numbers.entry(key).or_insert_with_key(|(class, name)| {
            self.all.push(Field { class: class.clone(), name: name.clone() });
            self.all.len() as u32 - 1
        })
    }

    /// Numbers in the order of names: what no field is comes last.
    fn in_order(self, mut fields: Fields) -> Fields {
        let mut order: Vec<u32> = (0..self.all.len() as u32).collect();
        order.sort_by_key(|n| {
            let of = &self.all[*n as usize];
            (of.class.is_empty(), of.name == "(constants)", of)
        });
        let mut new = vec![0; order.len()];
        (0..).zip(&order).for_each(|(at, old)| new[*old as usize] = at);
        let renumber = |n: &mut u32| *n = new[*n as usize];
        fields.of_class.iter_mut().flatten().flat_map(|(_, n)| n).for_each(renumber);
        fields.first.iter_mut().for_each(|(_, n)| renumber(n));
        fields.all = order.iter().map(|n| self.all[*n as usize].clone()).collect();
        fields
    }
}

/// Containers, and the fields that lead to them: how many containers are between, and the field's number.
struct Containers {
    numbers: Numbers,
    labels: Vec<AtomicU64>,
}

const UNLABELLED: u64 = u64::MAX;

impl Containers {
    /// Of the places of all.
    fn of(bits: &Bits) -> Containers {
        let numbers = Numbers::of(bits.to_words());
        let labels = (0..numbers.len()).map(|_| AtomicU64::new(UNLABELLED)).collect();
        Containers { numbers, labels }
    }

    /// Notes who leads to a container; whether it is the first.
    fn note(&self, place: u64, depth: u32, field: u32) -> bool {
        let label = &self.labels[self.numbers.rank(place) as usize];
        let new = u64::from(depth) << 32 | u64::from(field);
        label.fetch_min(new, Ordering::Relaxed) == UNLABELLED
    }

    fn label(&self, place: u64) -> Option<u32> {
        let label = self.labels[self.numbers.rank(place) as usize].load(Ordering::Relaxed);
        (label != UNLABELLED).then_some(label as u32)
    }

    /// From containers to those in them, breadth first.
    fn spread<G: ObjectGraph>(&self, graph: &G, fields: &Fields, mut from: Vec<u64>) {
        let mut depth = 0u32;
        while !from.is_empty() {
            depth = depth.saturating_add(1);
            let below = |place: u64| {
                let mut found = Vec::new();
                let Some(label) = self.label(place) else { return found };
                let wanted = |target| self.numbers.has(target);
                fields.lead(graph, (place, graph.class_of(place)), wanted, |target, own| {
                    if own.is_none() && self.note(target, depth, label) {
                        found.push(target);
                    }
                });
                found
            };
            from = match from.len() < FEW {
                true => from.into_iter().flat_map(below).collect(),
                false => from.into_par_iter().flat_map_iter(below).collect(),
            };
        }
    }
}

/// The holder of each: a field's number, with [`INSIDE`] or not, or [`NOBODY`]. `found` is in the order of places.
pub(super) fn holders<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    fields: &Fields,
    held: &Held,
    found: &[Found<I>],
) -> Vec<u32> {
    let graph = tree.graph();
    let marked = Bits::new(graph.numbers().places());
    found.iter().for_each(|f| {
        marked.set(f.place());
    });
    let marked = Numbers::of(marked.into_words());
    let by: Vec<AtomicU32> = found.iter().map(|_| AtomicU32::new(NOBODY)).collect();
    let hold = |place: u64, field: u32| {
        if marked.has(place) {
            by[marked.rank(place) as usize].fetch_min(field, Ordering::Relaxed);
        }
    };
    let containers = Containers::of(&held.containers);
    let lead = |found: &mut Vec<u64>, place: u64, field: u32| {
        hold(place, field);
        if containers.numbers.has(place) && containers.note(place, 0, field) {
            found.push(place);
        }
    };
    let mut first = Vec::new();
    fields.first.iter().for_each(|(place, field)| lead(&mut first, *place, *field));
    let wanted = marked.bits().iter().zip(containers.numbers.bits()).map(|(m, c)| m | c);
    let wanted: Vec<u64> = wanted.collect();
    let wanted = |target: u64| {
        wanted.get((target / 64) as usize).is_some_and(|w| w >> (target % 64) & 1 != 0)
    };
    let has_own = fields.own();
    // What refers to nothing holds nobody.
    let plain = graph.plain();
    let refers = |word: usize| !plain.map_or(0, |p| p.objects[word]);
    held.each_of(
        |word| held.strong.word(word) & refers(word),
        tree,
        Vec::new,
        |found, place, class| {
            if !has_own.get(class as usize).is_some_and(|has| *has) {
                return;
            }
            fields.lead(graph, (place, class), wanted, |target, own| {
                own.into_iter().for_each(|field| lead(found, target, field));
            });
        },
        |mut found| first.append(&mut found),
    );
    tree.pool().install(|| containers.spread(graph, fields, first));
    held.each_of(
        |word| held.containers.word(word),
        tree,
        || (),
        |(), place, class| {
            let Some(label) = containers.label(place) else { return };
            fields.lead(
                graph,
                (place, class),
                |t| marked.has(t),
                |target, own| {
                    if own.is_none() {
                        hold(target, label | INSIDE);
                    }
                },
            );
        },
        |()| (),
    );
    by.into_iter().map(AtomicU32::into_inner).collect()
}

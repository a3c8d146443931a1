//! What of a thread holds what: of the objects that a thread dominates directly, whether the rest of its object, its
//! thread locals or one of its frames holds them.
//!
//! That is asked in the order in which they would go: the innermost frame returns first, the object itself goes last. So
//! what several of them hold counts for the one that goes last.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph, Place, Root, RootKind, Strength};

/// What of a thread holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// A field of its object that is none of the next two; the object itself.
    Rest,
    /// Its thread locals.
    Locals,
    /// Its inheritable thread locals.
    Inheritable,
    /// A frame by its number, 0 is the innermost; native code without a Java frame has none.
    Frame(Option<u32>),
}

impl Share {
    /// The later it goes, the less.
    fn order(self) -> (u8, Reverse<Option<u32>>) {
        match self {
            Share::Rest => (0, Reverse(None)),
            Share::Locals => (1, Reverse(None)),
            Share::Inheritable => (2, Reverse(None)),
            Share::Frame(frame) => (3, Reverse(frame)),
        }
    }
}

/// A thread, and what each share of it holds.
#[derive(Debug)]
pub(super) struct Thread<I> {
    /// Its number among the graph's threads.
    pub thread: usize,
    pub place: u64,
    pub number: I,
    /// No carrier runs it.
    pub unmounted: bool,
    /// Bytes; each share once, the rest first, then by order.
    pub shares: Vec<(Share, u64)>,
    /// What its frames have: frame, place, and whether nothing else holds it. Innermost frame first, each object once
    /// in a frame; of what several frames have, alone is the one that goes last.
    pub locals: Vec<(Option<u32>, u64, bool)>,
}

/// All threads that can be reached, in the graph's order.
#[derive(Debug)]
pub(super) struct Shares<I> {
    pub threads: Vec<Thread<I>>,
}

/// Whether a root is what a thread has in its frames.
pub(super) fn is_local(root: &Root) -> bool {
    root.thread.is_some() && !matches!(root.kind, RootKind::Thread | RootKind::UnmountedThread)
}

/// What a thread refers to by itself: how, and where it leads.
type Direct = Vec<(Share, u64)>;

/// By number of node: under which thread it is, as the node just below that; 0 where it is under none.
struct Below<I>(Vec<I>);

impl<I: Id> Below<I> {
    /// `is_thread` has a bit for each number.
    fn new<G: ObjectGraph>(tree: &Dominators<'_, G, I>, threads: &HashMap<I, usize>) -> Below<I> {
        let mut below = vec![I::default(); tree.count() as usize];
        for i in 1..below.len() {
            let dominator = tree.dominator(I::of(i as u64));
            below[i] = match dominator != I::default() && threads.contains_key(&dominator) {
                true => I::of(i as u64),
                false => below[dominator.index()],
            };
        }
        Below(below)
    }

    /// Whether a thread dominates the node directly.
    fn is_child(&self, number: I) -> bool {
        number != I::default() && self.0[number.index()] == number
    }

    /// The one just below `thread` that dominates `number`; none where it is not under that.
    fn child<G: ObjectGraph>(
        &self,
        tree: &Dominators<'_, G, I>,
        thread: I,
        number: I,
    ) -> Option<I> {
        let mut at = self.0[number.index()];
        // Threads within threads: virtual ones.
        while at != I::default() && tree.dominator(at) != thread {
            at = self.0[tree.dominator(at).index()];
        }
        (at != I::default()).then_some(at)
    }
}

impl<I: Id> Shares<I> {
    /// Finds them: one pass over all nodes, and their references where they are under a thread. 4 bytes a node with
    /// numbers of 4.
    pub(super) fn find<G: ObjectGraph>(tree: &Dominators<'_, G, I>) -> Shares<I> {
        let graph = tree.graph();
        let mut threads: Vec<(usize, u64, I)> = Vec::new();
        let mut numbers: HashMap<I, usize> = HashMap::new();
        for (thread, known) in graph.threads().iter().enumerate() {
            let Some(place) = known.object else { continue };
            let Some(number) = tree.number(place) else { continue };
            numbers.entry(number).or_insert_with(|| {
                threads.push((thread, place, number));
                threads.len() - 1
            });
        }
        let below = Below::new(tree, &numbers);
        let mut direct = direct(tree, &threads);
        // Between children of one thread: who refers to whom, as strongly as the thread is held itself.
        let mut edges: Vec<(I, I)> = Vec::new();
        let between = |from: I, by: Strength, target: u64, out: &mut Vec<(I, I)>| {
            let Some(to) = tree.number(target).filter(|to| below.is_child(*to)) else { return };
            let thread = tree.dominator(to);
            if by.max(tree.strength(from)) <= tree.strength(thread) {
                let child = below.child(tree, thread, from);
                out.extend(child.filter(|c| *c != to).map(|c| (c, to)));
            }
        };
        tree.each_node(
            Vec::new,
            |out, place, number| {
                if below.0[number.index()] == I::default() {
                    return;
                }
                let class = graph.references(place, |target, strength| {
                    between(number, strength, target, out);
                });
                if let Some(object) = graph.class_object(class) {
                    between(number, Strength::Strong, object, out);
                }
            },
            |out| edges.extend(out),
        );
        for ((_, _, number), of) in threads.iter().zip(&direct) {
            if below.0[number.index()] != I::default() {
                for (_, target) in of {
                    between(*number, Strength::Strong, *target, &mut edges);
                }
            }
        }
        edges.sort_unstable();
        edges.dedup();
        let mut children: Vec<I> = (1..tree.count()).map(I::of).collect();
        children.retain(|n| below.is_child(*n));
        // By thread, in order of their numbers.
        let mut of: Vec<Vec<I>> = threads.iter().map(|_| Vec::new()).collect();
        for child in children {
            of[numbers[&tree.dominator(child)]].push(child);
        }
        let unmounted = unmounted(graph);
        let all = threads.into_iter().zip(&mut direct).zip(of);
        let all = all.map(|(((thread, place, number), direct), children)| {
            let (shares, locals) = divide(tree, number, direct, &children, &edges);
            let unmounted = unmounted.contains(&place);
            Thread { thread, place, number, unmounted, shares, locals }
        });
        Shares { threads: all.collect() }
    }
}

/// The places of virtual threads that no carrier runs.
fn unmounted(graph: &impl ObjectGraph) -> HashSet<u64> {
    let roots = graph.roots().iter().filter(|r| r.kind == RootKind::UnmountedThread);
    roots.map(|r| r.place).collect()
}

/// What each thread refers to by its fields, its class and its frames, in the order in which they are asked.
fn direct<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    threads: &[(usize, u64, I)],
) -> Vec<Direct> {
    let graph = tree.graph();
    let mut index = vec![None; graph.threads().len()];
    let mut by_place: HashMap<u64, usize> = HashMap::new();
    let of = |(i, (thread, place, _)): (usize, &(usize, u64, I))| {
        index[*thread] = Some(i);
        by_place.insert(*place, i);
        let mut out = Vec::new();
        graph.describe(*place, |reference| {
            let name = match &reference.place {
                Place::Field(field) => field.name.as_ref(),
                _ => "",
            };
            let share = match name {
                "threadLocals" => Share::Locals,
                "inheritableThreadLocals" => Share::Inheritable,
                _ => Share::Rest,
            };
            if reference.strength == Strength::Strong {
                out.push((share, reference.target));
            }
        });
        out.extend(graph.class_object(graph.class_of(*place)).map(|class| (Share::Rest, class)));
        out
    };
    let mut all: Vec<Direct> = threads.iter().enumerate().map(of).collect();
    for root in graph.roots().iter().filter(|r| is_local(r)) {
        let thread = root.thread.and_then(|t| *index.get(t as usize)?);
        if let Some(thread) = thread.filter(|t| threads[*t].1 != root.place) {
            all[thread].push((Share::Frame(root.frame), root.place));
        }
    }
    for of in &mut all {
        of.sort_by_key(|(share, place)| (share.order(), *place));
        of.dedup();
    }
    all
}

/// What the shares of a thread hold. `edges` are those between children of threads, in order.
#[allow(clippy::type_complexity, reason = "two lists of Thread")]
fn divide<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    number: I,
    direct: &Direct,
    children: &[I],
    edges: &[(I, I)],
) -> (Vec<(Share, u64)>, Vec<(Option<u32>, u64, bool)>) {
    // A child that is held more weakly than the thread is none of what it retains.
    let own = tree.strength(number);
    let mut shares: Vec<(Share, u64)> = Vec::new();
    let mut locals = Vec::new();
    let mut taken = vec![false; children.len()];
    let mut parts = HashSet::new();
    let mut retained = tree.retained(number);
    let mut todo: Vec<usize> = Vec::new();
    for (share, target) in direct {
        let mut bytes = 0;
        let mut alone = false;
        if tree.is_part(*target) {
            if parts.insert(*target) {
                (bytes, alone) = (tree.part_retained(*target), true);
            }
        } else if let Some(child) = tree.number(*target)
            && let Ok(index) = children.binary_search(&child)
        {
            alone = tree.strength(child) == own && !taken[index];
            todo.push(index);
        }
        while let Some(index) = todo.pop() {
            if tree.strength(children[index]) != own || std::mem::replace(&mut taken[index], true) {
                continue;
            }
            bytes += tree.retained(children[index]);
            let from = edges.partition_point(|(from, _)| *from < children[index]);
            let next = edges[from..].iter().take_while(|(from, _)| *from == children[index]);
            todo.extend(next.filter_map(|(_, to)| children.binary_search(to).ok()));
        }
        retained = retained.saturating_sub(bytes);
        match shares.last_mut().filter(|(last, _)| last == share) {
            Some((_, sum)) => *sum += bytes,
            None => shares.push((*share, bytes)),
        }
        if let Share::Frame(frame) = share {
            locals.push((*frame, *target, alone));
        }
    }
    // The object itself, and what nothing that is known leads to.
    match shares.first_mut().filter(|(first, _)| *first == Share::Rest) {
        Some((_, sum)) => *sum += retained,
        None => shares.insert(0, (Share::Rest, retained)),
    }
    locals.sort_by_key(|(frame, place, _)| (frame.is_none(), *frame, *place));
    (shares, locals)
}

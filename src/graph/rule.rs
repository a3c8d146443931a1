//! Which references hold, and from where: the strong rule's and Eclipse MAT's.

use std::collections::{HashMap, HashSet};

use super::{ObjectGraph, Root, RootKind, Strength};

/// What it means that an object holds another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// What a garbage collection would free if the holder went: a reference that is weaker than strong holds only what
    /// nothing holds more strongly.
    Strong,
    /// Eclipse MAT's: every reference holds, weak ones too.
    Mat,
}

/// A graph under a rule: what it adds to the references of objects, and its roots.
pub(super) struct Ruled<'g, G> {
    pub graph: &'g G,
    pub rule: Rule,
    /// Of each class, what its objects hold besides their own references.
    classes: Vec<OfClass>,
    /// What threads hold by their frames, by the place of the thread's object.
    locals: HashMap<u64, Vec<u64>>,
    /// The places that are held from outside, in order.
    pub roots: Vec<u64>,
}

/// What objects of a class hold besides what they refer to.
#[derive(Debug, Clone, Copy, Default)]
struct OfClass {
    /// The class object, where it does not live for ever.
    object: Option<u64>,
    /// Some of its objects are threads that hold what is in their frames.
    has_locals: bool,
    /// Its objects hold more than what they refer to: one of both.
    has_more: bool,
    /// Its objects hold nothing at all.
    is_leaf: bool,
}

impl<'g, G: ObjectGraph> Ruled<'g, G> {
    pub(super) fn new(graph: &'g G, rule: Rule) -> Ruled<'g, G> {
        let (roots, locals) = roots(graph, rule);
        let held: HashSet<u64> = roots.iter().copied().collect();
        let of = |number| {
            let object = graph.class_object(number).filter(|o| !held.contains(o));
            let is_leaf = object.is_none() && !graph.can_refer(number);
            OfClass { object, has_locals: false, has_more: object.is_some(), is_leaf }
        };
        let mut classes: Vec<OfClass> = (0..graph.classes().len() as u32).map(of).collect();
        for &thread in locals.keys() {
            if let Some(of) = classes.get_mut(graph.class_of(thread) as usize) {
                (of.has_locals, of.has_more, of.is_leaf) = (true, true, false);
            }
        }
        Ruled { graph, rule, classes, locals, roots }
    }

    /// Whether an object holds nothing, by its class.
    #[inline]
    pub(super) fn is_leaf(&self, class: u32) -> bool {
        self.classes.get(class as usize).is_none_or(|c| c.is_leaf)
    }

    /// How a reference counts.
    #[inline]
    fn counted(&self, strength: Strength) -> Strength {
        if self.rule == Rule::Mat { Strength::Strong } else { strength }
    }

    /// What an object holds besides its references, of its class, and of a thread: most hold nothing.
    #[inline]
    fn besides(&self, place: u64, class: u32) -> Option<impl Iterator<Item = u64> + '_> {
        let of = self.classes.get(class as usize).filter(|of| of.has_more)?;
        let locals = if of.has_locals { self.locals.get(&place) } else { None };
        Some(of.object.into_iter().chain(locals.into_iter().flatten().copied()))
    }

    /// Calls `each` with what an object holds, by all that the rule counts; answers its class.
    #[inline]
    pub(super) fn references(&self, place: u64, mut each: impl FnMut(u64, Strength)) -> u32 {
        let class = self.graph.references(place, |target, strength| {
            each(target, self.counted(strength));
        });
        if let Some(more) = self.besides(place, class) {
            more.for_each(|target| each(target, Strength::Strong));
        }
        class
    }

    /// Whether `each` answers true for all that an object holds; it is not asked any more after it did not.
    #[inline]
    pub(super) fn all_references(
        &self,
        place: u64,
        mut each: impl FnMut(u64, Strength) -> bool,
    ) -> bool {
        let all = self
            .graph
            .all_references(place, |target, strength| each(target, self.counted(strength)));
        all.is_some_and(|class| {
            let mut more = self.besides(place, class).into_iter().flatten();
            more.all(|target| each(target, Strength::Strong))
        })
    }

    /// Calls `each` with what an object holds; answers its class and its own bytes.
    #[inline]
    pub(super) fn visit(&self, place: u64, mut each: impl FnMut(u64, Strength)) -> (u32, u64) {
        let (class, size) = self.graph.visit(place, |target, strength| {
            each(target, self.counted(strength));
        });
        if let Some(more) = self.besides(place, class) {
            more.for_each(|target| each(target, Strength::Strong));
        }
        match self.rule {
            Rule::Strong => (class, size),
            Rule::Mat => (class, self.graph.mat_size(place)),
        }
    }

    /// Who holds what a root leads to.
    pub(super) fn holder(&self, root: &Root) -> Holder {
        holder(self.graph, self.rule, root)
    }

    /// An object's own bytes.
    #[inline]
    pub(super) fn size(&self, place: u64) -> u64 {
        match self.rule {
            Rule::Strong => self.graph.size(place),
            Rule::Mat => self.graph.mat_size(place),
        }
    }
}

/// Who holds what a root leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// The JVM or native code.
    Outside,
    /// The thread at this place, with its frames.
    Thread(u64),
    /// Who refers to it: the root itself keeps nothing.
    Others,
}

/// By the rule.
fn holder(graph: &impl ObjectGraph, rule: Rule, root: &Root) -> Holder {
    let thread = root.thread.and_then(|t| graph.threads().get(t as usize)?.object);
    match (root.kind, thread) {
        (RootKind::UnmountedThread, _) if rule == Rule::Strong => Holder::Others,
        (RootKind::Thread | RootKind::UnmountedThread, _) | (_, None) => Holder::Outside,
        (_, Some(thread)) if thread == root.place => Holder::Others,
        (_, Some(thread)) => Holder::Thread(thread),
    }
}

/// The places that are held from outside, and what threads hold by their frames.
fn roots<G: ObjectGraph>(graph: &G, rule: Rule) -> (Vec<u64>, HashMap<u64, Vec<u64>>) {
    let mut places = Vec::new();
    let mut locals: HashMap<u64, Vec<u64>> = HashMap::new();
    for root in graph.roots() {
        match holder(graph, rule, root) {
            Holder::Outside => places.push(root.place),
            Holder::Thread(thread) => locals.entry(thread).or_default().push(root.place),
            Holder::Others => {}
        }
    }
    let permanent = graph.classes().iter().filter(|c| c.is_permanent);
    if rule == Rule::Strong {
        places.extend(permanent.filter_map(|c| c.object));
    }
    places.sort_unstable();
    places.dedup();
    for of in locals.values_mut() {
        of.sort_unstable();
        of.dedup();
    }
    (places, locals)
}

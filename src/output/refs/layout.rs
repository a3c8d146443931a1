//! Where the objects of java.lang.ref and java.nio have their fields, by class.

use crate::graph::{NO_CLASS, ObjectGraph, Slot, Strength, Value};

/// Supers above a class. No compiler makes so many.
const MAX_SUPERS: usize = 256;

/// What objects of a class are to this command.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Reference(Reference),
    /// A ReferenceQueue, with its `head` and its `queueLength`.
    Queue(Option<Slot>, Option<Slot>),
    /// A DirectByteBuffer.
    Buffer(Buffer),
    /// What frees a DirectByteBuffer's memory: its `size`.
    Deallocator(Option<Slot>),
}

/// A java.lang.ref.Reference.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference {
    pub strength: Strength,
    pub referent: Option<Slot>,
    pub next: Option<Slot>,
    pub discovered: Option<Slot>,
    /// It cleans up, by what this refers to or by itself.
    pub cleaner: Option<Option<Slot>>,
}

/// A java.nio.DirectByteBuffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffer {
    pub capacity: Option<Slot>,
    /// Not null in the one that owns the memory.
    pub cleaner: Option<Slot>,
    /// Not null where a file is mapped.
    pub fd: Option<Slot>,
}

/// By class.
#[derive(Debug)]
pub(super) struct Layouts {
    roles: Vec<Option<Role>>,
}

/// The number of the boot loader's class of this name.
pub(super) fn named(graph: &impl ObjectGraph, name: &str) -> Option<u32> {
    let is_it = |c: &crate::graph::Class| c.name == name && c.loader.is_none();
    graph.classes().iter().position(is_it).map(|n| n as u32)
}

/// The static field of the boot loader's class of this name.
pub(super) fn static_field(graph: &impl ObjectGraph, class: &str, names: &[&str]) -> Option<Value> {
    let statics = graph.statics(named(graph, class)?);
    let found = statics.into_iter().find(|(field, _)| names.contains(&field.name.as_ref()));
    found.map(|(_, value)| value)
}

/// The field of objects of `class` that `declarer` declares under one of these names.
pub(super) fn declared(
    graph: &impl ObjectGraph,
    class: u32,
    declarer: u32,
    names: &[&str],
) -> Option<Slot> {
    let all = graph.fields(class).into_iter();
    let mut found = all.filter(|(f, _)| f.class == declarer && names.contains(&f.name.as_ref()));
    found.next().map(|(_, slot)| slot)
}

impl Layouts {
    pub(super) fn of(graph: &impl ObjectGraph) -> Layouts {
        let finder = Finder::new(graph);
        let roles = (0..graph.classes().len() as u32).map(|class| finder.role(class)).collect();
        Layouts { roles }
    }

    #[inline]
    pub(super) fn role(&self, class: u32) -> Option<Role> {
        if class == NO_CLASS { None } else { *self.roles.get(class as usize)? }
    }

    pub(super) fn reference(&self, class: u32) -> Option<Reference> {
        match self.role(class)? {
            Role::Reference(reference) => Some(reference),
            _ => None,
        }
    }
}

/// The classes that roles are of.
struct Finder<'g, G> {
    graph: &'g G,
    reference: Option<u32>,
    strengths: Vec<(u32, Strength)>,
    queue: Option<u32>,
    buffer: Option<u32>,
    deallocator: Option<u32>,
    /// Classes whose objects clean up.
    cleaners: Vec<u32>,
}

impl<'g, G: ObjectGraph> Finder<'g, G> {
    fn new(graph: &'g G) -> Finder<'g, G> {
        let named = |name| named(graph, name);
        let strengths = [
            ("java.lang.ref.SoftReference", Strength::Soft),
            ("java.lang.ref.WeakReference", Strength::Weak),
            ("java.lang.ref.FinalReference", Strength::Final),
            ("java.lang.ref.PhantomReference", Strength::Phantom),
        ];
        let strengths = strengths.into_iter().filter_map(|(name, s)| Some((named(name)?, s)));
        let cleaners = [
            "sun.misc.Cleaner",
            "jdk.internal.ref.Cleaner",
            "jdk.internal.ref.PhantomCleanable",
            "jdk.internal.ref.WeakCleanable",
            "jdk.internal.ref.SoftCleanable",
        ];
        Finder {
            graph,
            reference: named("java.lang.ref.Reference"),
            strengths: strengths.collect(),
            queue: named("java.lang.ref.ReferenceQueue"),
            buffer: named("java.nio.DirectByteBuffer"),
            deallocator: named("java.nio.DirectByteBuffer$Deallocator"),
            cleaners: cleaners.into_iter().filter_map(named).collect(),
        }
    }

    fn role(&self, class: u32) -> Option<Role> {
        let graph = self.graph;
        let classes = graph.classes();
        let next = |class: &u32| classes.get(*class as usize)?.super_class;
        let supers = std::iter::successors(Some(class), next).take(MAX_SUPERS);
        let supers: Vec<u32> = supers.collect();
        let is = |of: Option<u32>| of.is_some_and(|of| supers.contains(&of));
        if let Some(reference) = self.reference.filter(|r| supers.contains(r)) {
            let strength =
                supers.iter().find_map(|s| self.strengths.iter().find(|(c, _)| c == s))?.1;
            let own = |name| declared(graph, class, reference, &[name]);
            let cleans = self.cleaners.iter().any(|c| supers.contains(c));
            let action = || graph.slot(class, "thunk").or_else(|| graph.slot(class, "action"));
            return Some(Role::Reference(Reference {
                strength,
                referent: own("referent"),
                next: own("next"),
                discovered: own("discovered"),
                cleaner: cleans.then(action),
            }));
        }
        if is(self.queue) {
            let (head, length) = (graph.slot(class, "head"), graph.slot(class, "queueLength"));
            return Some(Role::Queue(head, length));
        }
        if is(self.buffer) {
            return Some(Role::Buffer(Buffer {
                capacity: graph.slot(class, "capacity"),
                cleaner: graph.slot(class, "cleaner"),
                fd: graph.slot(class, "fd"),
            }));
        }
        is(self.deallocator).then(|| Role::Deallocator(graph.slot(class, "size")))
    }
}

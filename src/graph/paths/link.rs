//! Why an object is held by the one before it on a path: by which field or element, by which frame, from outside.

use std::collections::HashMap;

use super::super::rule::{Holder, Ruled};
use super::super::{Id, ObjectGraph, Place, Root, RootKind, Strength};
use super::Paths;

/// How one object on a path holds the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// From outside: the object is a root.
    Root {
        /// Why; a class that is never unloaded is a [`RootKind::StickyClass`].
        kind: RootKind,
        /// Of a thread its number in [`ObjectGraph::threads`].
        thread: Option<u32>,
    },
    /// A reference in the object.
    Reference(Place<'static>),
    /// The object is a thread, and its frames, or native code that it runs, hold the next one.
    Local {
        /// What of it.
        kind: RootKind,
        /// The thread's number.
        thread: u32,
        /// The frame's number among the thread's, 0 is the innermost.
        frame: Option<u32>,
    },
    /// The next one is its class, which it keeps.
    OwnClass,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// By what.
    pub by: By,
    /// How strongly.
    pub strength: Strength,
}

impl Link {
    fn strong(by: By) -> Link {
        Link { by, strength: Strength::Strong }
    }
}

/// Numbers of roots by place: those from outside, and those that hang on a thread, with the thread's place before.
pub(super) fn roots<G: ObjectGraph>(
    ruled: &Ruled<'_, G>,
) -> (HashMap<u64, u32>, HashMap<(u64, u64), u32>) {
    let (mut roots, mut locals) = (HashMap::new(), HashMap::new());
    for (i, root) in (0..).zip(ruled.graph.roots()) {
        match ruled.holder(root) {
            Holder::Thread(thread) => drop(locals.entry((thread, root.place)).or_insert(i)),
            // That it is a thread says more than any other reason.
            Holder::Outside if root.kind == RootKind::Thread => {
                roots.insert(root.place, i);
            }
            Holder::Outside => drop(roots.entry(root.place).or_insert(i)),
            Holder::Others => {}
        }
    }
    (roots, locals)
}

impl<G: ObjectGraph, I: Id> Paths<'_, G, I> {
    fn root(&self, number: u32) -> Root {
        self.graph().roots()[number as usize]
    }

    /// Why the object at `place` is a root.
    pub fn root_link(&self, place: u64) -> Link {
        let root = self.roots.get(&place).map(|r| self.root(*r));
        let kind = root.map_or(RootKind::StickyClass, |r| r.kind);
        Link::strong(By::Root { kind, thread: root.and_then(|r| r.thread) })
    }

    /// How the object at `holder` holds that at `place`: the strongest of its references to it, and of those the
    /// first. Takes time in its references.
    pub fn link(&self, holder: u64, place: u64) -> Link {
        match self.reference(holder, place, |of| of.clone().into_owned()) {
            Some((of, strength)) => Link { by: By::Reference(of), strength },
            None => self.link_besides(holder, place),
        }
    }

    /// The same reference, of which `make` takes what it needs; none where no reference of the object leads there.
    pub fn reference<T>(
        &self,
        holder: u64,
        place: u64,
        mut make: impl FnMut(&Place<'_>) -> T,
    ) -> Option<(T, Strength)> {
        let mut best: Option<(T, Strength)> = None;
        self.graph().describe(holder, |reference| {
            let is_better = best.as_ref().is_none_or(|b| reference.strength < b.1);
            if reference.target == place && is_better && reference.strength <= self.weakest {
                best = Some((make(&reference.place), reference.strength));
            }
        });
        best
    }

    /// How it holds it where none of its references leads there.
    pub fn link_besides(&self, holder: u64, place: u64) -> Link {
        let local = self.locals.get(&(holder, place)).map(|r| self.root(*r));
        Link::strong(match local.and_then(|r| Some((r, r.thread?))) {
            Some((root, thread)) => By::Local { kind: root.kind, thread, frame: root.frame },
            None => By::OwnClass,
        })
    }
}

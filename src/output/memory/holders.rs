//! Who holds direct buffers, where it was asked to be found: by the dominator tree of the heap.

use serde::Serialize;

use super::{Report, findings};
use crate::address::Address;
use crate::error::Result;
use crate::graph::dominators::{Dominators, Watch};
use crate::graph::{Id, ObjectGraph};
use crate::output::leaks::{self, FieldName, Limits};

/// A holder has at least this share of the direct buffers, in percent.
const SHARE: f64 = 10.0;

/// What holds a large part of the direct buffers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Bytes outside of the heap.
    pub bytes: u64,
    /// The field through which they accumulate: the last one on the way that is not inside of a collection.
    pub field: Option<FieldName>,
    /// The class of what holds them.
    pub class: String,
    /// The one object that does.
    pub object: Option<Address>,
    /// The thread that it is reached from.
    pub thread: Option<String>,
}

impl Report {
    /// Adds who holds direct buffers, and what threads hold of them: what nothing else does.
    ///
    /// An error where `watch` allows no more memory.
    pub fn add_holders<G: ObjectGraph, I: Id>(
        &mut self,
        tree: &Dominators<'_, G, I>,
        watch: Watch<'_>,
    ) -> Result<()> {
        let limits = Limits { share: SHARE, min: 1 };
        let (suspects, of_threads) = leaks::find_outside(tree, limits, watch)?;
        let holder = |s: leaks::Suspect| Holder {
            bytes: s.bytes,
            field: s.field,
            class: s.class,
            object: s.object.map(Address),
            thread: s.thread.map(|t| t.name),
        };
        self.direct_holders = Some(suspects.into_iter().map(holder).collect());
        for t in &mut self.threads {
            t.direct_bytes = t.object.map(|at| of_threads.get(&at).copied().unwrap_or(0));
        }
        self.findings = findings::of(self);
        Ok(())
    }
}

impl Holder {
    /// `io.netty.buffer.PoolArena.chunks`, or what there is instead.
    pub(super) fn name(&self) -> String {
        let name = self
            .field
            .as_ref()
            .map_or_else(|| self.class.clone(), |f| format!("{}.{}", f.class, f.name));
        match &self.thread {
            Some(thread) => format!("{name}, from thread \"{thread}\""),
            None => name,
        }
    }
}

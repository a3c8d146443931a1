//! Which row of the answer each byte of the address space belongs to: whoever claims it first.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::format::ranges::{Ranges, union};

/// The row of the heap's pages that ZGC has mapped once more.
pub(super) const VIEWS: &str = "the same pages, mapped again (ZGC)";

/// What memory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The Java heap.
    JavaHeap,
    /// What the VM knows of classes: metaspace and class space.
    Metaspace,
    /// CDS and AOT archives.
    Archive,
    /// The code cache.
    Code,
    /// The threads' stacks.
    Stacks,
    /// What the collector keeps beside the heap.
    Collector,
    /// Direct byte buffers.
    Buffers,
    /// The malloc heap, without direct buffers.
    Malloc,
    /// Mapped files: libraries, jars, what the program mapped.
    Files,
    /// Shared memory that has no lasting file.
    SharedMemory,
    /// What Linux maps into every process.
    Kernel,
    /// Memory that nothing that rjcore knows leads to.
    Unknown,
}

impl Part {
    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Part::JavaHeap => "Java heap",
            Part::Metaspace => "metaspace",
            Part::Archive => "CDS archives",
            Part::Code => "code cache",
            Part::Stacks => "thread stacks",
            Part::Collector => "garbage collector",
            Part::Buffers => "direct buffers",
            Part::Malloc => "malloc heap",
            Part::Files => "mapped files",
            Part::SharedMemory => "shared memory",
            Part::Kernel => "of the kernel",
            Part::Unknown => "unknown",
        }
    }
}

/// A row before it is counted.
#[derive(Debug)]
pub(super) struct Claim {
    pub part: Part,
    pub name: String,
    /// In order and disjoint, and in no other claim.
    pub ranges: Ranges,
    /// Bytes of it that are in use, where that can be told.
    pub used: Option<u64>,
    /// How many things are in it: stacks, arenas, buffers.
    pub count: Option<u64>,
}

/// All claims so far.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub all: Vec<Claim>,
    /// Where what is claimed starts, and where it ends.
    taken: BTreeMap<u64, u64>,
}

impl Claims {
    /// Gives what of `ranges` nobody has to a row.
    pub(super) fn claim(&mut self, part: Part, name: &str, ranges: Ranges) -> &mut Claim {
        let ranges = self.free(ranges);
        self.taken.extend(ranges.iter().copied());
        let claim = Claim { part, name: name.into(), ranges, used: None, count: None };
        let i = self.all.len();
        self.all.push(claim);
        &mut self.all[i]
    }

    /// What of `ranges` nobody has.
    pub(super) fn free(&self, ranges: Ranges) -> Ranges {
        let ranges = ranges.into_iter().filter(|r| r.0 < r.1).collect();
        let mut out = Ranges::new();
        for (start, end) in union(ranges) {
            let before = self.taken.range(..start).next_back();
            let mut at = before.map_or(start, |(_, to)| start.max(*to));
            for (&from, &to) in self.taken.range(start..end) {
                if at < from {
                    out.push((at, from));
                }
                at = to;
            }
            if at < end {
                out.push((at, end));
            }
        }
        out
    }
}

impl Claim {
    pub(super) fn uses(&mut self, bytes: u64) -> &mut Claim {
        self.used = Some(bytes);
        self
    }

    pub(super) fn counts(&mut self, things: usize) -> &mut Claim {
        self.count = Some(things as u64);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_belongs_to_who_claims_it_first() {
        let mut claims = Claims::default();
        claims.claim(Part::Buffers, "a", vec![(20, 30), (10, 15), (14, 18)]);
        claims.claim(Part::Malloc, "b", vec![(0, 100), (7, 7)]).uses(5).counts(2);
        let ranges: Vec<_> = claims.all.iter().map(|c| c.ranges.clone()).collect();
        assert_eq!(ranges, [vec![(10, 18), (20, 30)], vec![(0, 10), (18, 20), (30, 100)]]);
        assert_eq!((claims.all[1].used, claims.all[1].count), (Some(5), Some(2)));
        assert_eq!(claims.free(vec![(90, 110)]), [(100, 110)]);
        claims.claim(Part::Files, "c", vec![(120, 130)]);
        assert_eq!(claims.free(vec![(99, 121), (125, 140)]), [(100, 120), (130, 140)]);
    }
}

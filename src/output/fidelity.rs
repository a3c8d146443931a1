//! What an answer about a heap's objects lacks, and what each of that costs it.
//!
//! Sums up what the walk, the reading of the metadata and the count of dangling references told; looks at no core.

use serde::Serialize;

use super::report::{Gaps, count, number, size_exact};
use crate::heap::{DamageKind, Heap, Part, SpaceWalk, WalkReport};
use crate::hotspot::gc::Space;

/// The bytes of a space below its regions' tops. Each of them is in one of the sums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SpaceFidelity {
    /// Which.
    pub space: Space,
    /// How many regions it has.
    pub regions: u64,
    /// All of the bytes.
    pub used: u64,
    /// Objects that were read.
    pub objects: u64,
    /// Their bytes.
    pub walked: u64,
    /// Bytes that hold no object by the VM's own account: the unused ends of TLABs, free chunks, what a marking found
    /// dead, old copies, what cannot be reached where only that counts.
    pub skipped: u64,
    /// Bytes of archived objects of classes that were never loaded, which no dump has.
    pub dormant: u64,
    /// Bytes that are there and hold no readable object.
    pub unparsable: u64,
    /// In how many stretches.
    pub unparsable_stretches: u64,
    /// Bytes of what lies on pages that are not in the core.
    pub absent: u64,
    /// In how many stretches.
    pub absent_stretches: u64,
}

/// The spaces that the heap has, in the order of reports, as this walk met them.
pub(crate) fn spaces(heap: &Heap, walk: &WalkReport) -> Vec<SpaceFidelity> {
    let of = |space: Space| {
        let regions = || heap.collected.regions.iter().filter(move |r| r.space == space);
        let used = regions().map(|r| r.top - r.start).sum();
        let seen = walk.spaces[space as usize];
        SpaceFidelity::new(space, regions().count() as u64, used, &seen)
    };
    Space::ALL.into_iter().map(of).filter(|s| s.regions > 0).collect()
}

impl SpaceFidelity {
    fn new(space: Space, regions: u64, used: u64, seen: &SpaceWalk) -> SpaceFidelity {
        let told = [seen.bytes, seen.dormant, seen.unparsable, seen.absent];
        SpaceFidelity {
            space,
            regions,
            used,
            objects: seen.objects,
            walked: seen.bytes,
            // A walk looks at each byte once.
            skipped: told.iter().fold(used, |left, bytes| left.saturating_sub(*bytes)),
            dormant: seen.dormant,
            unparsable: seen.unparsable,
            unparsable_stretches: seen.unparsable_stretches,
            absent: seen.absent,
            absent_stretches: seen.absent_stretches,
        }
    }
}

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LossKind {
    /// Heap that is not in the core.
    Absent,
    /// Heap that holds no readable object.
    Unparsable,
    /// Objects that a collection was moving.
    Collection,
    /// Pages of the process that a capture just now could not read.
    Capture,
    /// Roots that lead to no object.
    LostRoots,
    /// References that lead to no object.
    Dangling,
    /// What besides objects could not be read.
    #[serde(untagged)]
    Part(Part),
}

/// Something that an answer lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Loss {
    /// What.
    pub code: LossKind,
    /// How many: stretches of heap, things that were told, references, roots.
    pub count: u64,
    /// Bytes of heap, where it is heap.
    pub bytes: Option<u64>,
    /// What that costs the answer, for people.
    pub text: String,
}

/// All that an answer lacks, by what its walk met, its gaps, and how many runs of pages a capture just now could not read.
/// None where the gaps are whole, and none were unreadable.
pub(crate) fn losses(spaces: &[SpaceFidelity], gaps: &Gaps, unreadable: u64) -> Vec<Loss> {
    let mut out = Vec::new();
    let mut lost = |code, count: u64, bytes: Option<u64>, text: &str| {
        if count > 0 {
            out.push(Loss { code, count, bytes, text: text.into() });
        }
    };
    let sum = |of: fn(&SpaceFidelity) -> u64| spaces.iter().map(of).sum::<u64>();
    lost(
        LossKind::Absent,
        sum(|s| s.absent_stretches),
        Some(sum(|s| s.absent)),
        "the objects that lie there, wholly or in part, are missing",
    );
    lost(
        LossKind::Unparsable,
        sum(|s| s.unparsable_stretches),
        Some(sum(|s| s.unparsable)),
        "what objects there may be are missing",
    );
    if let Some(collection) = gaps.collection.as_ref().filter(|c| c.affected) {
        lost(LossKind::Collection, 1, None, &collection.text);
    }
    lost(
        LossKind::Capture,
        unreadable,
        None,
        "pages that the process itself could read are missing",
    );
    let mut parts: Vec<(Part, u64)> = Vec::new();
    for unread in &gaps.metadata {
        match parts.iter_mut().find(|p| p.0 == unread.part) {
            Some(part) => part.1 += 1,
            None => parts.push((unread.part, 1)),
        }
    }
    parts.sort_unstable();
    for (part, count) in parts {
        lost(LossKind::Part(part), count, None, cost(part));
    }
    let dangling = gaps.dangling.as_ref().filter(|d| !d.is_none());
    // The search of what can be reached notes their holders.
    let holders = gaps.by_space.iter().filter(|s| s.kind == DamageKind::Dangling);
    let holders: u64 = holders.map(|s| s.stretches).sum();
    lost(
        LossKind::LostRoots,
        dangling.map_or(0, |d| d.lost_roots),
        None,
        "readers find nothing where these roots lead",
    );
    lost(
        LossKind::Dangling,
        dangling.map_or(0, |d| d.references).max(holders),
        None,
        "readers take these for null, or stop there: what only they lead to seems to be garbage",
    );
    out
}

/// What it costs that something of this part could not be read.
fn cost(part: Part) -> &'static str {
    match part {
        Part::Classes => {
            "objects of these classes are not known for such, and lie in what is unparsable"
        }
        Part::Threads => "these threads are missing, and what only they hold seems to be garbage",
        Part::Stacks => "callers' frames are missing, and what only these hold seems to be garbage",
        Part::Roots => "roots are missing, and what only they hold seems to be garbage",
        Part::Statics => {
            "these static fields are missing, and what only they hold seems to be garbage"
        }
        Part::Fields => "these objects are missing",
        Part::Elements => "zeroes stand for these elements",
        Part::Records => "what these records would have told is missing",
        Part::Interfaces => "objects of classes that implement them are not found by them",
        Part::References => "some may lead to no object, and that is not told",
        Part::Memory => "it may stand in another row of `rjcore memory`",
    }
}

/// A line for each.
pub(crate) fn lines<'l>(
    losses: impl IntoIterator<Item = &'l Loss>,
) -> impl Iterator<Item = String> {
    losses.into_iter().map(|loss| {
        let what = match loss.code {
            LossKind::Absent => "heap that is not in the core",
            LossKind::Unparsable => "heap that is not readable",
            LossKind::Collection => return loss.text.clone(),
            LossKind::Capture => "pages that could not be captured",
            LossKind::LostRoots => "roots that lead to no object",
            LossKind::Dangling => "references that lead to no object",
            LossKind::Part(part) => part.text(),
        };
        let many = match loss.bytes {
            Some(bytes) => {
                format!("{} in {}", size_exact(bytes), count(loss.count, "stretch", "stretches"))
            }
            None => number(loss.count),
        };
        format!("{what}: {many}: {}", loss.text)
    })
}

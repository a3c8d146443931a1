//! What a walk saw and what it could not: counts per space, and damage per region.

use serde::Serialize;

use crate::address::hex;
use crate::error::{Advice, Wording, with_advice};
use crate::hotspot::gc::Space;

/// Damage entries that are kept one by one; all are counted.
const MAX_KEPT: usize = 1000;

/// Why bytes of a region yielded no objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DamageKind {
    /// The header names no class that is loaded.
    UnknownKlass,
    /// The object would end beyond its region.
    Overrun,
    /// The object would reach into one that is known to start there: memory that was given out and not written yet, say.
    Overlap,
    /// The pages are not in the core.
    NotSaved,
    /// The object that starts here refers to what is no object.
    Dangling,
    /// rjcore itself failed on the object that starts here.
    Failed,
    /// A collection was copying the object that starts here onto itself.
    HalfMoved,
}

impl DamageKind {
    /// The words for it.
    pub fn text(self) -> &'static str {
        match self {
            DamageKind::UnknownKlass => "no loaded class in the header",
            DamageKind::Overrun => "object larger than its region",
            DamageKind::Overlap => "reaches into another object",
            DamageKind::NotSaved => "not in the core",
            DamageKind::Dangling => "refers to what is no object",
            DamageKind::Failed => "rjcore itself failed on it",
            DamageKind::HalfMoved => "half moved by the collection",
        }
    }
}

/// Bytes that were stepped over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Why.
    pub kind: DamageKind,
    /// In what space.
    pub space: Space,
    /// Where it starts.
    #[serde(serialize_with = "hex")]
    pub start: u64,
    /// Where objects start again, or the region ends.
    #[serde(serialize_with = "hex")]
    pub end: u64,
}

/// Something besides objects that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// What it belongs to.
    #[serde(rename = "code")]
    pub part: Part,
    /// What and where it is, for people.
    pub text: String,
    /// What may be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
}

impl Unread {
    /// With its advice, for people.
    pub fn line(&self, wording: Wording) -> String {
        with_advice(&self.text, self.advice, wording)
    }
}

/// Parts of what a core tells beside its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Class loaders and their classes.
    Classes,
    /// The list of threads, and the threads.
    Threads,
    /// A thread's stack ends early.
    Stacks,
    /// Handles and other roots.
    Roots,
    /// Static fields.
    Statics,
    /// Objects smaller than their class's fields.
    Fields,
    /// Elements of large arrays.
    Elements,
    /// Records of an HPROF file.
    Records,
    /// Which classes implement an interface.
    Interfaces,
    /// Where references lead.
    References,
    /// Memory beside the heap: what it is for.
    Memory,
}

impl Part {
    /// The words for what of it could not be read.
    pub fn text(self) -> &'static str {
        match self {
            Part::Classes => "classes that are not readable",
            Part::Threads => "threads that are not readable",
            Part::Stacks => "stacks that end early",
            Part::Roots => "roots that are not readable",
            Part::Statics => "static fields that are not readable",
            Part::Fields => "objects smaller than their fields",
            Part::Elements => "elements that are not in the core",
            Part::Records => "records that are not readable",
            Part::Interfaces => "interfaces whose classes are not known",
            Part::References => "references that were not looked at",
            Part::Memory => "memory that could not be told apart",
        }
    }

    /// Something of this part that could not be read.
    pub fn unread(self, text: impl Into<String>) -> Unread {
        Unread { part: self, text: text.into(), advice: None }
    }

    /// The same of several.
    pub fn all(self, texts: impl IntoIterator<Item = String>) -> impl Iterator<Item = Unread> {
        texts.into_iter().map(move |text| self.unread(text))
    }
}

/// Objects and bytes of one space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SpaceCount {
    /// Objects, dormant ones left out.
    pub objects: u64,
    /// Their bytes on the heap.
    pub bytes: u64,
}

/// What a walk made of the bytes of one space. What is in none of these counts holds no object by the VM's own account:
/// the unused ends of TLABs, free chunks, what a marking found dead, old copies, what cannot be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SpaceWalk {
    /// Objects, dormant ones left out.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of archived objects of classes that were never loaded.
    pub dormant: u64,
    /// Bytes that are there and hold no readable object.
    pub unparsable: u64,
    /// In how many stretches.
    pub unparsable_stretches: u64,
    /// Bytes of what could not be read because pages are not in the core.
    pub absent: u64,
    /// In how many stretches.
    pub absent_stretches: u64,
}

/// The sums of a walk.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WalkReport {
    /// By `Space::ALL`'s order.
    pub spaces: [SpaceWalk; Space::ALL.len()],
    /// Archived objects of classes that were never loaded: not dumped, as in HotSpot.
    pub dormant: SpaceCount,
    /// What was stepped over, the first thousand.
    pub damage: Vec<Damage>,
    /// How many stretches of damage there are in all.
    pub damaged: u64,
    /// Their bytes.
    pub damaged_bytes: u64,
    /// Objects whose headers say that a collection under way marked or moved them.
    pub moving: u64,
}

/// The process stopped in the middle of a garbage collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Caught {
    /// Objects were being moved, or nothing rules it out.
    pub moving: bool,
    /// It was a full collection whose headers say where objects will be: they were found by that.
    #[serde(skip)]
    pub compacting: bool,
}

impl WalkReport {
    /// Objects in all spaces.
    pub fn objects(&self) -> u64 {
        self.spaces.iter().map(|s| s.objects).sum()
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.spaces.iter().map(|s| s.bytes).sum()
    }

    /// Adds an archived object of a class that was never loaded.
    pub(super) fn add_dormant(&mut self, space: Space, size: u64) {
        self.dormant.objects += 1;
        self.dormant.bytes += size;
        self.spaces[space as usize].dormant += size;
    }

    /// Adds a stretch of damage.
    pub fn add_damage(&mut self, d: Damage) {
        let bytes = d.end.saturating_sub(d.start);
        self.damaged += 1;
        self.damaged_bytes += bytes;
        let space = &mut self.spaces[d.space as usize];
        match d.kind {
            DamageKind::NotSaved => {
                space.absent += bytes;
                space.absent_stretches += 1;
            }
            DamageKind::UnknownKlass
            | DamageKind::Overrun
            | DamageKind::Overlap
            | DamageKind::Failed
            | DamageKind::HalfMoved => {
                space.unparsable += bytes;
                space.unparsable_stretches += 1;
            }
            DamageKind::Dangling => {}
        }
        if self.damage.len() < MAX_KEPT {
            self.damage.push(d);
        }
    }

    /// Adds another part's counts behind this one's.
    pub fn merge(&mut self, other: &WalkReport) {
        for (a, b) in self.spaces.iter_mut().zip(&other.spaces) {
            a.objects += b.objects;
            a.bytes += b.bytes;
            a.dormant += b.dormant;
            a.unparsable += b.unparsable;
            a.unparsable_stretches += b.unparsable_stretches;
            a.absent += b.absent;
            a.absent_stretches += b.absent_stretches;
        }
        self.dormant.objects += other.dormant.objects;
        self.dormant.bytes += other.dormant.bytes;
        self.damaged += other.damaged;
        self.damaged_bytes += other.damaged_bytes;
        self.moving += other.moving;
        let room = MAX_KEPT - self.damage.len();
        self.damage.extend(other.damage.iter().take(room));
    }
}

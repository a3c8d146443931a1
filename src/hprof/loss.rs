//! What of a file could not be read, and what its writer left out.

use std::collections::BTreeMap;

use super::format::tag;
use super::sub::Stop;

/// Stretches that are told one by one; all are counted.
const TOLD: usize = 10;

/// A stretch of a heap dump that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hole {
    /// Offset in the (unpacked) file of the sub-record that could not be read.
    pub at: usize,
    /// Bytes from there to the end of the record.
    pub bytes: u64,
    pub why: Stop,
}

/// What is missing, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loss {
    /// Bytes that the last record ought to have beyond the end of the file.
    pub cut_off: u64,
    /// Bytes of that record that are there and could not be used.
    pub cut_rest: u64,
    /// The archive that the file was packed in ended early, or was damaged; in words.
    pub archive: Option<String>,
    /// There are segments, but no HEAP_DUMP_END: whoever wrote the file was not done.
    pub no_end: bool,
    /// There is no heap dump at all.
    pub no_heap: bool,
    /// Stretches of the heap dump that could not be read, and their bytes.
    pub holes: u64,
    /// Their bytes.
    pub hole_bytes: u64,
    /// Records of names, classes, frames and traces that are shorter than they must be.
    pub short_records: u64,
    /// Records of tags that the format does not have, by tag: stepped over.
    pub unknown: BTreeMap<u8, u64>,
    /// Objects whose id another one has: the first in the file stands.
    pub repeated: u64,
    /// Objects of classes that the file does not describe: nothing is known of their fields.
    pub unclassed: u64,
    /// Instances that have fewer bytes than their class's fields take.
    pub short_instances: u64,
    /// Classes whose super classes go in a circle, or on for ever.
    pub circular: u64,
    /// Roots that lead to no object.
    pub lost_roots: u64,
    told: Vec<Hole>,
}

impl Loss {
    /// One more stretch.
    pub(super) fn hole(&mut self, hole: Hole) {
        self.holes += 1;
        self.hole_bytes += hole.bytes;
        if self.told.len() < TOLD {
            self.told.push(hole);
        }
    }

    /// Whether all that the format has was read. That roots lead to objects that no dump has is no loss: HotSpot's
    /// own name such.
    pub fn is_whole(&self) -> bool {
        *self == Loss { lost_roots: self.lost_roots, ..Loss::default() }
    }

    /// All of it in sentences, the worst first.
    pub fn notes(&self) -> Vec<String> {
        let mut out = Vec::new();
        out.extend(self.archive.clone());
        if self.cut_off > 0 {
            let unused = match self.cut_rest {
                0 => String::new(),
                rest => format!("; {rest} more of it could not be used"),
            };
            out.push(format!(
                "the file is cut off: {} bytes of its last record are missing{unused}",
                self.cut_off
            ));
        }
        if self.no_heap {
            out.push("the file has no heap dump in it".into());
        }
        if self.no_end {
            out.push("the file has no HEAP_DUMP_END: its writer was not done".into());
        }
        for hole in &self.told {
            let why = match hole.why {
                Stop::Short => "it is longer than its record".into(),
                Stop::Tag(tag) => format!("tag {tag:#04x} is not known"),
                Stop::Type(ty) => format!("type {ty} is not known"),
            };
            out.push(format!(
                "a heap dump record at offset {:#x} could not be read ({why}); {} bytes were stepped over",
                hole.at, hole.bytes
            ));
        }
        if self.holes > self.told.len() as u64 {
            let more = self.holes - self.told.len() as u64;
            out.push(format!("{more} more such, {} bytes in all", self.hole_bytes));
        }
        for (tag, n) in &self.unknown {
            out.push(format!("records of the unknown tag {tag:#04x} were stepped over: {n}"));
        }
        for (n, what) in [
            (self.short_records, "records are shorter than they must be"),
            (self.repeated, "objects have the id of another one: the first stands"),
            (self.unclassed, "objects are of classes that the file does not describe"),
            (self.short_instances, "objects have fewer bytes than their fields take"),
            (self.circular, "classes are their own super class, or have too many"),
        ] {
            if n > 0 {
                out.push(format!("{n} {what}"));
            }
        }
        out
    }
}

/// Whether the format has records of this tag.
pub(super) fn is_known(tag: u8) -> bool {
    matches!(
        tag,
        tag::UTF8..=tag::HEAP_SUMMARY
            | tag::START_THREAD..=tag::CONTROL_SETTINGS
            | tag::HEAP_DUMP_SEGMENT
            | tag::HEAP_DUMP_END
    )
}

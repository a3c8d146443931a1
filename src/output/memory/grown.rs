//! Two answers of one process, or of two: which row grew.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Bytes, Part, Report};

/// The difference of two answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grown {
    /// Bytes in memory before.
    pub before_resident_bytes: u64,
    /// And now.
    pub resident_bytes: u64,
    /// Rows that are not the same, those that grew most first.
    pub rows: Vec<GrownRow>,
}

/// A row that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrownRow {
    /// Of which part.
    pub part: Part,
    /// Its name.
    pub name: String,
    /// Before; all 0 where there was none.
    pub before: Bytes,
    /// Now.
    pub now: Bytes,
    /// Bytes in memory and in swap that it has more.
    pub grown: i64,
    /// Things in it before, and now.
    pub counts: Counts,
}

/// How many things were in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Before.
    pub before: Option<u64>,
    /// Now.
    pub now: Option<u64>,
}

/// A row's bytes, and how many things were in it.
type Held = (Bytes, Option<u64>);

/// What grew from one to the other.
pub fn grown(before: &Report, now: &Report) -> Grown {
    let mut rows: BTreeMap<(Part, &str), [Held; 2]> = BTreeMap::new();
    for (i, report) in [before, now].into_iter().enumerate() {
        for (part, row) in report.parts.iter().flat_map(|p| p.rows.iter().map(|r| (p.part, r))) {
            rows.entry((part, &row.name)).or_default()[i] = (row.bytes, row.count);
        }
    }
    let held = |b: &Bytes| b.resident_bytes.saturating_add(b.swapped_bytes) as i64;
    let row = |((part, name), [(before, was), (now, is)]): ((Part, &str), [Held; 2])| GrownRow {
        part,
        name: name.into(),
        before,
        now,
        grown: held(&now).wrapping_sub(held(&before)),
        counts: Counts { before: was, now: is },
    };
    let mut rows: Vec<GrownRow> = rows.into_iter().map(row).filter(|r| r.before != r.now).collect();
    rows.sort_by_key(|r| std::cmp::Reverse(r.grown));
    Grown {
        before_resident_bytes: before.total.resident_bytes,
        resident_bytes: now.total.resident_bytes,
        rows,
    }
}

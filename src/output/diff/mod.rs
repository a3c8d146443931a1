//! What changed between two heaps: by class, package, loader, thread or kind of root, and by who holds it.
//!
//! Two heaps of one process or of two runs of one program: nothing is told apart by its address.

mod gate;
mod holders;
mod text;

pub use gate::{Gate, Passed, Quantity};
pub use holders::{Branch, Grown, Step, Sum, grown, holders};
pub use text::text;

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::Serialize;

use super::retained::{Group, Totals};

/// A heap of the two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// Where it was read from.
    pub file: String,
    /// All bytes by how they are held.
    pub totals: Totals,
}

/// All that changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// Bytes that are strongly held: after, less before.
    pub strong_change: i64,
    /// What its holders hold more of, or less, the largest change first.
    pub grown: Vec<Grown>,
    /// How many there are, also those that are not shown.
    pub grown_count: usize,
    /// Groups, those first of which what they retain changed most.
    pub groups: Vec<Change>,
    /// How many changed, also those that are not shown.
    pub group_count: usize,
    /// What was to be checked.
    pub gates: Vec<Passed>,
}

/// What a group has on one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Objects that can be reached.
    pub objects: u64,
    /// Their own bytes.
    pub shallow: u64,
    /// Bytes that would be freed if all of them went.
    pub retained: u64,
}

/// On which sides a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// After only.
    New,
    /// Before only.
    Gone,
    /// On both.
    Both,
}

/// A group that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What its objects have in common.
    pub name: String,
    /// On which sides it is.
    pub presence: Presence,
    /// Before.
    pub before: Sums,
    /// After.
    pub after: Sums,
    /// What it retains: after, less before.
    pub retained_change: i64,
    /// Its own bytes: after, less before.
    pub shallow_change: i64,
    /// Its objects: after, less before.
    pub objects_change: i64,
}

/// `after` less `before`.
pub(crate) fn change(before: u64, after: u64) -> i64 {
    let by = i64::try_from(before.abs_diff(after)).unwrap_or(i64::MAX);
    if after < before { -by } else { by }
}

/// The groups that changed, those first of which what they retain changed most.
pub fn changes(before: &[Group], after: &[Group]) -> Vec<Change> {
    let mut all: HashMap<String, [Option<Sums>; 2]> = HashMap::new();
    for (side, groups) in [before, after].into_iter().enumerate() {
        for group in groups {
            let of = all.entry(lasting(&group.name)).or_default()[side].get_or_insert_default();
            of.objects += group.objects;
            of.shallow += group.shallow;
            of.retained += group.retained;
        }
    }
    let of = |(name, [before, after]): (String, [Option<Sums>; 2])| {
        let presence = match (before, after) {
            (None, _) => Presence::New,
            (_, None) => Presence::Gone,
            _ => Presence::Both,
        };
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        Change {
            name,
            presence,
            before,
            after,
            retained_change: change(before.retained, after.retained),
            shallow_change: change(before.shallow, after.shallow),
            objects_change: change(before.objects, after.objects),
        }
    };
    let mut changes: Vec<Change> =
        all.into_iter().map(of).filter(|c| c.before != c.after).collect();
    changes.sort_by(|a, b| {
        let by = |c: &Change| {
            [c.retained_change, c.shallow_change, c.objects_change]
                .map(|n| Reverse(n.unsigned_abs()))
        };
        (by(a), &a.name).cmp(&(by(b), &b.name))
    });
    changes
}

/// A name without what is another in the next run: the address of an object, and that of a hidden class.
pub(super) fn lasting(name: &str) -> String {
    let name = name.split(" @ 0x").next().unwrap_or(name);
    match name.find("/0x").or_else(|| name.find("+0x")) {
        Some(at) => {
            let behind = name[at + 3..].trim_start_matches(|c: char| c.is_ascii_hexdigit());
            format!("{}{behind}", &name[..at])
        }
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;

//! An address of the process as JSON has it.

use serde::{Serialize, Serializer};

/// An address, which JSON has as text (`"0x7f0012345678"`): its numbers have 53 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub u64);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{:#x}", self.0))
    }
}

/// A run of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first one.
    pub start: Address,
    /// The first one behind it.
    pub end: Address,
}

/// For `#[serde(serialize_with)]`: a number as the [`Address`] that it is.
pub(crate) fn hex<S: Serializer>(address: &u64, s: S) -> Result<S::Ok, S::Error> {
    Address(*address).serialize(s)
}

/// For `#[serde(serialize_with)]`: pairs of start and end as [`Range`]s.
pub(crate) fn ranges<S: Serializer>(all: &[(u64, u64)], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(
        all.iter().map(|(start, end)| Range { start: Address(*start), end: Address(*end) }),
    )
}

//! The jvmstat counters (perfMemory.hpp): their format, and the file that a live JVM keeps them in.
//!
//! Knows nothing of what the counters mean.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

use std::collections::BTreeMap;

/// PerfDataPrologue::magic, as it stands in memory on a little-endian machine.
const MAGIC: u32 = 0xc0c0_feca;
/// `-XX:PerfDataMemorySize` is 32 KB by default.
pub(crate) const MAX_SIZE: u64 = 16 << 20;

/// A counter's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counter {
    /// A jlong.
    Long(i64),
    /// A byte string.
    Text(String),
}

impl Counter {
    /// The number, if it is one and not negative.
    pub fn number(&self) -> Option<u64> {
        match self {
            Counter::Long(n) => u64::try_from(*n).ok(),
            Counter::Text(_) => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Counter::Text(text) => Some(text),
            Counter::Long(_) => None,
        }
    }
}

/// All counters of a PerfData region by name; empty for what is none. What is damaged ends the
/// list.
pub(crate) fn parse(all: &[u8]) -> BTreeMap<String, Counter> {
    let mut out = BTreeMap::new();
    let word =
        |at: usize| Some(i32::from_le_bytes(all.get(at..at.checked_add(4)?)?.try_into().ok()?));
    if word(0) != Some(MAGIC as i32) {
        return out;
    }
    // PerfDataPrologue: entry_offset at 24, num_entries at 28.
    let (Some(first), Some(count)) = (word(24), word(28)) else { return out };
    let mut at = first.max(0) as usize;
    for _ in 0..count.clamp(0, 100_000) {
        // PerfDataEntry: entry_length, name_offset, vector_length, type, 3 bytes, data_offset.
        let (Some(size), Some(name), Some(vector), Some(data)) =
            (word(at), word(at + 4), word(at + 8), word(at + 16))
        else {
            break;
        };
        let Some(entry) = all.get(at..at + size.max(0) as usize).filter(|e| e.len() >= 20) else {
            break;
        };
        let text = |from: i32, max: usize| {
            let bytes = entry.get(from.max(0) as usize..)?;
            let text = bytes.get(..max).unwrap_or(bytes).split(|b| *b == 0).next()?;
            Some(String::from_utf8_lossy(text).into_owned())
        };
        let value = match entry.get(12).copied().unwrap_or(0) {
            b'J' => entry
                .get(data.max(0) as usize..)
                .and_then(|b| b.get(..8))
                .and_then(|b| b.try_into().ok())
                .map(|b| Counter::Long(i64::from_le_bytes(b))),
            b'B' => text(data, vector.max(0) as usize).map(Counter::Text),
            _ => None,
        };
        if let (Some(name), Some(value)) = (text(name, 1024), value) {
            out.insert(name, value);
        }
        at += size.max(20) as usize;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_region_has_no_counters() {
        assert!(parse(b"").is_empty());
        assert!(parse(&[0; 64]).is_empty());
        let mut cut = vec![0; 40];
        cut[..4].copy_from_slice(&MAGIC.to_le_bytes());
        cut[24..28].copy_from_slice(&32i32.to_le_bytes());
        cut[28..32].copy_from_slice(&9i32.to_le_bytes());
        assert!(parse(&cut).is_empty());
    }

    #[test]
    fn numbers_and_texts() {
        let mut all = vec![0; 32];
        all[..4].copy_from_slice(&MAGIC.to_le_bytes());
        all[24..28].copy_from_slice(&32i32.to_le_bytes());
        all[28..32].copy_from_slice(&2i32.to_le_bytes());
        let mut entry = |kind: u8, name: &str, data: &[u8]| {
            let mut e = vec![0u8; 20];
            e.extend(name.as_bytes());
            e.push(0);
            let at = e.len() as i32;
            e.extend(data);
            let size = e.len() as i32;
            e[..4].copy_from_slice(&size.to_le_bytes());
            e[4..8].copy_from_slice(&20i32.to_le_bytes());
            e[8..12].copy_from_slice(&(data.len() as i32).to_le_bytes());
            e[12] = kind;
            e[16..20].copy_from_slice(&at.to_le_bytes());
            all.extend(e);
        };
        entry(b'J', "n", &7i64.to_le_bytes());
        entry(b'B', "t", b"text\0\0");
        let got = parse(&all);
        assert_eq!(got["n"].number(), Some(7));
        assert_eq!(got["t"].text(), Some("text"));
        assert_eq!(parse(&all[..all.len() - 1]).len(), 1, "the cut-off one is left out");
    }
}

//! What Linux said of a process's memory when it was captured: mappings, which pages were in memory or in swap, the
//! kernel's own sums, the control groups' limits. A core has no note for that; this is rjcore's own.

use std::io::Read;

use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// Type of the note (owner [`super::notes::OWNER`]); its text is a [`MemoryMap`] as JSON, compressed with zstd.
pub const NT_MEMORY: u32 = 0x726a_0002;

/// The text is at most so many times as long as the note, so that a small file cannot take much memory: in those that
/// were seen, 8 times.
const MAX_RATIO: u64 = 64;
/// Which does not hold of the shortest.
const SHORT: u64 = 64 << 10;
/// zstd's level for it: it is short, and the process may be waiting.
const LEVEL: i32 = 3;

/// The memory of a process, as Linux tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryMap {
    /// All mappings, by address.
    pub mappings: Vec<MemoryRange>,
    /// Addresses whose pages were in memory, in order. The page of zeros is none.
    #[serde(with = "deltas")]
    pub resident: Ranges,
    /// Addresses whose pages were in swap.
    #[serde(with = "deltas")]
    pub swapped: Ranges,
    /// The kernel's sums.
    pub kernel: KernelSums,
    /// The memory control group of the process, and those above it that have a limit.
    pub groups: Vec<MemoryGroup>,
}

/// A line of /proc/PID/maps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryRange {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// 4 read, 2 write, 1 execute.
    pub flags: u32,
    /// Writes reach the file, or other processes.
    pub shared: bool,
    /// It has a file behind it, be it one without a name.
    pub file: bool,
    /// Where in the file it starts, in bytes.
    pub offset: u64,
    /// The path, or the kernel's name; empty for plain anonymous memory.
    pub name: String,
}

/// Sums of proc_pid_status(5), in bytes; none where the kernel does not have them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelSums {
    /// VmRSS.
    pub resident: Option<u64>,
    /// RssAnon.
    pub anonymous: Option<u64>,
    /// RssFile.
    pub file: Option<u64>,
    /// RssShmem.
    pub shared_memory: Option<u64>,
    /// VmSwap.
    pub swapped: Option<u64>,
    /// HugetlbPages, which VmRSS does not count.
    pub huge_pool: Option<u64>,
    /// VmPTE: page tables, which VmRSS does not count.
    pub page_tables: Option<u64>,
}

/// A memory control group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryGroup {
    /// Its directory.
    pub path: String,
    /// Its limit in bytes, if it has one.
    pub limit: Option<u64>,
    /// What it takes, page cache included.
    pub usage: u64,
    /// Of that, page cache that can go at once (inactive_file).
    pub inactive_file: u64,
    /// The limit of its swap.
    pub swap_limit: Option<u64>,
    /// What it has in swap.
    pub swap: Option<u64>,
    /// How often its limit was reached (`max`), nothing could be found below it (`oom`), a process was killed
    /// (`oom_kill`): memory.events' names and numbers.
    pub events: Vec<GroupEvent>,
}

/// One line of memory.events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupEvent {
    /// The kernel's name for it.
    pub name: String,
    /// How often.
    pub count: u64,
}

impl MemoryGroup {
    /// What it takes without page cache that can go at once: what counts against the limit.
    pub fn working_set(&self) -> u64 {
        self.usage.saturating_sub(self.inactive_file)
    }
}

impl MemoryMap {
    /// As the note has it.
    pub fn to_note(&self) -> Vec<u8> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        zstd::encode_all(&text[..], LEVEL).unwrap_or_default()
    }

    /// What a note says; none where it is damaged.
    pub fn of_note(note: &[u8]) -> Option<MemoryMap> {
        let mut text = Vec::new();
        let most = (note.len() as u64).saturating_mul(MAX_RATIO).max(SHORT);
        zstd::Decoder::new(note).ok()?.take(most).read_to_end(&mut text).ok()?;
        let map: MemoryMap = serde_json::from_slice(&text).ok()?;
        let behind = map.mappings.iter().skip(1);
        let in_order = map.mappings.iter().zip(behind).all(|(a, b)| a.end <= b.start);
        (!map.mappings.is_empty() && in_order && map.mappings.iter().all(|m| m.start < m.end))
            .then_some(map)
    }
}

/// Ranges in order as a flat list of distances: from the end before to the start, and from there to the end.
mod deltas {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Ranges;

    pub(super) fn serialize<S: Serializer>(all: &Ranges, s: S) -> Result<S::Ok, S::Error> {
        let mut last = 0;
        s.collect_seq(all.iter().flat_map(|&(start, end)| {
            let pair = [start - last, end - start];
            last = end;
            pair
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Ranges, D::Error> {
        let mut at = 0u64;
        let mut step = |n: u64| {
            at = at.checked_add(n).ok_or_else(|| D::Error::custom("an address of over 64 bits"))?;
            Ok(at)
        };
        let all = Vec::<u64>::deserialize(d)?;
        all.as_chunks().0.iter().map(|&[gap, len]| Ok((step(gap)?, step(len)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> MemoryMap {
        let range = |start: u64, end: u64, name: &str| MemoryRange {
            start,
            end,
            flags: 6,
            shared: false,
            file: false,
            offset: 0,
            name: name.into(),
        };
        MemoryMap {
            mappings: vec![range(0x1000, 0x9000, ""), range(0x9000, 0xa000, "[heap]")],
            resident: vec![(0x1000, 0x2000), (0x4000, 0x9000), (0x9000, 0xa000)],
            swapped: vec![(0x2000, 0x3000)],
            kernel: KernelSums { resident: Some(0x7000), ..KernelSums::default() },
            groups: vec![MemoryGroup { limit: Some(1 << 30), usage: 10, ..MemoryGroup::default() }],
        }
    }

    #[test]
    fn a_note_says_what_was_written() {
        assert_eq!(MemoryMap::of_note(&map().to_note()), Some(map()));
    }

    /// A short note cannot take much memory: what is behind the bound is not unpacked, and the text ends too early.
    #[test]
    fn a_bomb_is_no_map() {
        let text = serde_json::to_string(&map()).expect("JSON");
        let padded = |spaces: usize| {
            let text = text.replacen('{', &("{".to_owned() + &" ".repeat(spaces)), 1);
            zstd::encode_all(text.as_bytes(), LEVEL).expect("bytes")
        };
        assert!(MemoryMap::of_note(&padded(1000)).is_some());
        assert_eq!(MemoryMap::of_note(&padded(10 << 20)), None);
    }

    #[test]
    fn damage_is_no_map() {
        let note = map().to_note();
        assert_eq!(MemoryMap::of_note(&note[..note.len() - 5]), None);
        assert_eq!(MemoryMap::of_note(b""), None);
        assert_eq!(MemoryMap::of_note(&MemoryMap::default().to_note()), None);
        let packed = |text: String| zstd::encode_all(text.as_bytes(), LEVEL).expect("bytes");
        let text = serde_json::to_string(&map()).expect("JSON");
        assert!(MemoryMap::of_note(&packed(text.clone())).is_some());
        let beyond = text.replacen("\"resident\":[", "\"resident\":[18446744073709551615,9,", 1);
        assert_eq!(MemoryMap::of_note(&packed(beyond)), None);
        let turned = text.replacen("\"start\":4096", "\"start\":40960", 1);
        assert_eq!(MemoryMap::of_note(&packed(turned)), None);
    }
}

//! The jvmstat counters (perfMemory.hpp): a second, self-describing source of facts.

use std::collections::BTreeMap;

use super::Vm;

/// PerfDataPrologue::magic, as it stands in memory on a little-endian machine.
const MAGIC: u32 = 0xc0c0_feca;
/// `-XX:PerfDataMemorySize` is 32 KB by default.
const MAX_SIZE: u64 = 16 << 20;

/// A counter's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counter {
    /// A jlong.
    Long(i64),
    /// A byte string.
    Text(String),
}

/// All counters by name; empty where PerfData is off or not in the core.
pub fn read(vm: &Vm) -> BTreeMap<String, Counter> {
    let mut out = BTreeMap::new();
    let bound = |f: crate::vmstructs::Field| vm.mem.u64(f.opt()?).ok();
    let Some((start, top)) = bound(vm.fields.perf_start).zip(bound(vm.fields.perf_top)) else {
        return out;
    };
    let len = top.saturating_sub(start).min(MAX_SIZE);
    let Ok(all) = vm.mem.slice(start, len) else { return out };
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
            let bytes = &bytes[..bytes.len().min(max)];
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
        };
        let value = match entry[12] {
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

/// When the VM started, in ms since 1970, and how long it had run, in ms. The second comes from a
/// sampled counter that a VM whose periodic sampling is off (25's default) does not have.
pub fn times(counters: &BTreeMap<String, Counter>) -> Option<(u64, Option<u64>)> {
    let long = |name: &str| match counters.get(name)? {
        Counter::Long(v) => u64::try_from(*v).ok(),
        Counter::Text(_) => None,
    };
    let uptime = || {
        let ticks = long("sun.os.hrt.ticks")?;
        let frequency = long("sun.os.hrt.frequency").filter(|f| *f > 0)?;
        Some((u128::from(ticks) * 1000 / u128::from(frequency)) as u64)
    };
    Some((long("sun.rt.createVmBeginTime")?, uptime()))
}

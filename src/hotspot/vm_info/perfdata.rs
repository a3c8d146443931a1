//! The jvmstat counters (perfMemory.hpp): a second, self-describing source of facts.

use std::collections::BTreeMap;

use crate::hotspot::Vm;
pub use crate::perfdata::Counter;
use crate::perfdata::{MAX_SIZE, parse};

/// All counters by name; empty where PerfData is off or not in the core.
pub fn read(vm: &Vm) -> BTreeMap<String, Counter> {
    let bound = |f: crate::vmstructs::Field| vm.mem.u64(f.opt()?).ok();
    let Some((start, top)) = bound(vm.fields.perf_start).zip(bound(vm.fields.perf_top)) else {
        return BTreeMap::new();
    };
    let len = top.saturating_sub(start).min(MAX_SIZE);
    vm.mem.slice(start, len).map(parse).unwrap_or_default()
}

/// When the VM started, in ms since 1970, and how long it had run, in ms. The second comes from a
/// sampled counter that a VM whose periodic sampling is off (25's default) does not have.
pub fn times(counters: &BTreeMap<String, Counter>) -> Option<(u64, Option<u64>)> {
    let long = |name: &str| counters.get(name)?.number();
    let uptime = || {
        let ticks = long("sun.os.hrt.ticks")?;
        let frequency = long("sun.os.hrt.frequency").filter(|f| *f > 0)?;
        Some((u128::from(ticks) * 1000 / u128::from(frequency)) as u64)
    };
    Some((long("sun.rt.createVmBeginTime")?, uptime()))
}

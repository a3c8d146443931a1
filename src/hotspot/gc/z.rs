//! ZGC: pages of one, many or a part of a granule (2 MB), found through the page table.
//!
//! What a page says, and where its objects went, is in `barrier::z`, which references need too.

use std::collections::BTreeMap;

use super::super::Vm;
use super::super::barrier::{Barrier, Z};
use super::super::states::{Generation, PageKind};
use super::super::unexported::z as facts;
use super::{MarkBitmap, Region, RegionCount, RegionKind, Space, region};
use crate::corefile::memory::Memory;
use crate::error::{Error, Result};

/// All pages in use.
pub(super) fn regions(vm: &Vm, _heap: u64) -> Result<(Vec<Region>, Option<MarkBitmap>)> {
    let Barrier::Z(z) = &vm.barrier else {
        return Err(Error::Corrupt("ZGC is chosen by no flag".into()));
    };
    let mut out = Vec::new();
    let mut last = 0;
    for (granule, addr) in z.pages(vm.mem) {
        // A page of many granules stands in the table as often.
        if addr == last {
            continue;
        }
        last = addr;
        let mut page = z.page(vm.mem, addr)?;
        if page.start >> z.granule_shift() != granule || page.end > z.offset_mask() + 1 {
            return Err(Error::Corrupt(format!(
                "the ZPage at {addr:#x} is for {:#x}, and stands in the page table for granule {granule}",
                page.start
            )));
        }
        if z.is_given_back(vm.mem, addr) {
            continue;
        }
        // Being compacted in place, its objects that are still to be moved lie above its top.
        if z.is_in_place(vm.mem, page.start, addr) {
            page.top = page.end;
        }
        let age = || z.age(vm.mem, addr);
        let space = match page.kind {
            PageKind::Large => Space::Humongous,
            _ if !z.is_generational() => Space::Regular,
            _ if !z.is_young(vm.mem, addr) => Space::Old,
            _ if age() == Some(facts::EDEN) => Space::Eden,
            _ => Space::Survivor,
        };
        let base = z.base();
        if page.kind == PageKind::Large {
            let bytes = only_object(vm, base | page.start).unwrap_or(u64::MAX);
            page.top = page.top.min(page.start.saturating_add(bytes));
        }
        out.push(region(base | page.start, base | page.top, base | page.end, space)?);
    }
    Ok((out, None))
}

/// Bytes of a large page's one object, an array. The page's top is its end, and what lies between
/// was perhaps never written to. 0 before it has a class.
fn only_object(vm: &Vm, addr: u64) -> Option<u64> {
    // Mark, klass and an array's length.
    let mut head = [0; 24];
    vm.mem.read_into(addr, &mut head).ok()?;
    match vm.pointers.klass_of(&head)? {
        0 => Some(0),
        klass => vm.classes.get(klass)?.size.bytes(&vm.pointers, &head),
    }
}

/// Pages by their generation and size.
pub(super) fn page_kinds(z: &Z, mem: &Memory) -> Vec<RegionCount> {
    let mut counts: BTreeMap<(Option<Generation>, PageKind), u64> = BTreeMap::new();
    let mut last = 0;
    for (_, addr) in z.pages(mem).filter(|p| !z.is_given_back(mem, p.1)) {
        // A page of many granules stands in the table as often.
        if let Some(page) = z.page(mem, addr).ok().filter(|_| addr != last) {
            let generation = z.is_generational().then(|| match z.is_young(mem, addr) {
                true => Generation::Young,
                false => Generation::Old,
            });
            *counts.entry((generation, page.kind)).or_default() += 1;
        }
        last = addr;
    }
    let count = |((generation, kind), regions)| RegionCount {
        kind: RegionKind::Page(kind),
        generation,
        regions,
    };
    counts.into_iter().map(count).collect()
}

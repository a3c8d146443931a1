//! Metaspace: which mappings hold it, how much of it is used, and which class loaders take most.

use std::collections::HashMap;

use serde::Serialize;

use super::space::{AddressSpace, is_anonymous};
use crate::address::Address;
use crate::format::ranges::Ranges;
use crate::hotspot::Vm;
use crate::hotspot::classes::MetadataReader;
use crate::hotspot::pointers::KlassForm;
use crate::hotspot::vm_info::perfdata;

/// What the classes of one loader take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoaderMetadata {
    /// The java.lang.ClassLoader; none for the boot loader.
    pub object: Option<Address>,
    /// Its class; none for the boot loader.
    pub class: Option<String>,
    /// Its classes, those of arrays among them.
    pub classes: u64,
    /// Bytes of their klasses, constant pools, methods and bytecodes. What else there is, profiles and annotations, is
    /// not counted by loader.
    pub bytes: u64,
}

/// Metaspace.
#[derive(Debug, Default)]
pub(super) struct Metaspace {
    /// Mappings of the class space.
    pub classes: Ranges,
    /// Mappings of all else.
    pub others: Ranges,
    /// Bytes in use of the class space, and of the rest: by the VM's counters, which it sets at collections, or what the
    /// classes that are there take, if that is more.
    pub used: (u64, u64),
    /// Loaders, those with the most bytes first.
    pub loaders: Vec<LoaderMetadata>,
}

/// Looks at all classes.
pub(super) fn find(vm: &Vm, space: &AddressSpace) -> Metaspace {
    let reader = MetadataReader::new(vm);
    let (mut klasses, mut others) = (Vec::new(), Vec::new());
    let mut counted = (0, 0);
    let mut loaders: HashMap<u64, (u64, u64)> = HashMap::new();
    for klass in vm.classes.all().iter().filter(|k| !k.is_refined) {
        let data = reader.of(klass);
        klasses.push(klass.addr);
        others.extend([data.pool, data.last_method.0, data.last_method.1]);
        // What is in an archive is not in metaspace.
        let is_archived = vm.archive.is_some_and(|(base, top)| (base..top).contains(&klass.addr));
        if !is_archived {
            counted = (counted.0 + data.klass_bytes, counted.1 + data.other_bytes);
        }
        let sum = loaders.entry(klass.loader).or_default();
        *sum = (sum.0 + 1, sum.1 + data.klass_bytes + data.other_bytes);
    }
    let is_compressed = !matches!(vm.pointers.klass, KlassForm::Wide);
    let classes = areas(space, klasses);
    let (classes, more) = if is_compressed { (classes, Vec::new()) } else { (Vec::new(), classes) };
    let mut others = areas(space, others);
    others.extend(more);
    let counters = perfdata::read(vm);
    let counter = |name: &str| counters.get(name).and_then(perfdata::Counter::number);
    let of_classes = counter("sun.gc.compressedclassspace.used").unwrap_or(0);
    let of_others = counter("sun.gc.metaspace.used").unwrap_or(0).saturating_sub(of_classes);
    let counted = if is_compressed { counted } else { (0, counted.0 + counted.1) };
    let name = |klass| vm.external_name(klass);
    let loader = |(object, (classes, bytes)): (u64, (u64, u64))| LoaderMetadata {
        object: Some(Address(object)).filter(|o| o.0 != 0),
        class: Some(object).filter(|o| *o != 0).map(|o| vm.klass_of(o).map_or("?".into(), name)),
        classes,
        bytes,
    };
    let mut loaders: Vec<LoaderMetadata> = loaders.into_iter().map(loader).collect();
    loaders.sort_by_key(|l| (std::cmp::Reverse(l.bytes), l.object));
    Metaspace {
        classes,
        others,
        used: (of_classes.max(counted.0), of_others.max(counted.1)),
        loaders,
    }
}

/// The anonymous mappings that these addresses lie in; those of an archive lie in a file's.
fn areas(space: &AddressSpace, mut addresses: Vec<u64>) -> Ranges {
    addresses.sort_unstable();
    let mut out = Ranges::new();
    for addr in addresses.into_iter().filter(|a| *a != 0) {
        if out.last().is_some_and(|last| addr < last.1) {
            continue;
        }
        let area = space.at(addr).filter(|a| is_anonymous(a));
        out.extend(area.map(|a| (a.start, a.end)));
    }
    out
}

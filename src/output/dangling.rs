//! References and roots that lead to no object, by the names of the fields that they stand in.

use std::cmp::Reverse;

use serde::Serialize;

use crate::heap::Heap;
use crate::heap::dangling::{Dangling, Source};
use crate::heap::layout::{Reference, Slot};
use crate::heap::scan::Place;
use crate::hprof;

/// Fields with dangling references that are kept one by one; all are counted.
const MAX_KEPT: usize = 1000;

/// References and roots that lead to no object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct DanglingReferences {
    /// References.
    pub references: u64,
    /// Objects that have them, class objects for their static fields.
    pub holders: u64,
    /// Roots.
    pub lost_roots: u64,
    /// How many fields, and classes of arrays, they stand in.
    pub places: u64,
    /// Those with the most of them (up to 1000).
    pub from: Vec<DanglingFrom>,
    /// An HPROF file has them: that is no loss, for HotSpot's own refer to class objects that they leave out.
    #[serde(skip)]
    pub is_usual: bool,
}

/// Dangling references of one field of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DanglingFrom {
    /// The class of the objects; of a static field the class that declares it.
    pub class: String,
    /// The field; none of an array's elements.
    pub field: Option<String>,
    /// Whether it is a static one.
    #[serde(rename = "static")]
    pub is_static: bool,
    /// How many.
    pub references: u64,
}

impl DanglingReferences {
    /// With names, of the heap in which they were counted.
    pub(crate) fn of(heap: &Heap, counted: &Dangling) -> DanglingReferences {
        let mut sources: Vec<(&Source, u64)> =
            counted.sources.iter().map(|(s, n)| (s, *n)).collect();
        // Stable: those with as many stay in the order of classes.
        sources.sort_by_key(|s| Reverse(s.1));
        let from = sources.iter().take(MAX_KEPT).map(|(source, n)| from(heap, source, *n));
        DanglingReferences {
            references: counted.references,
            holders: counted.holders,
            lost_roots: counted.lost_roots,
            places: sources.len() as u64,
            from: from.collect(),
            is_usual: false,
        }
    }

    /// Of an HPROF file.
    pub(crate) fn of_dump(counted: &hprof::Dangling) -> DanglingReferences {
        let mut sources: Vec<_> = counted.sources.iter().collect();
        sources.sort_by_key(|s| Reverse(*s.1));
        let from = sources.iter().take(MAX_KEPT).map(|&((class, field, is_static), n)| {
            let (class, field) = (class.clone(), field.clone());
            DanglingFrom { class, field, is_static: *is_static, references: *n }
        });
        DanglingReferences {
            references: counted.references,
            holders: counted.holders,
            lost_roots: 0,
            places: sources.len() as u64,
            from: from.collect(),
            is_usual: true,
        }
    }

    /// Nothing is lost by them.
    pub(crate) fn is_none(&self) -> bool {
        self.is_usual || (self.references == 0 && self.lost_roots == 0)
    }
}

fn from(heap: &Heap, &(klass, place): &Source, references: u64) -> DanglingFrom {
    let vm = heap.vm;
    let of = vm.classes.all().get(klass as usize);
    let layout = heap.layouts().of.get(klass as usize);
    let named = |references: Option<&[Reference]>, slots: Option<&[Slot]>, i: u32| {
        let slot = slots?.get(references?.get(i as usize)?.slot as usize)?;
        vm.reader().symbol(slot.name)
    };
    let field = match place {
        Place::Element(_) | Place::FlatElement(..) => None,
        Place::Field(i) => {
            Some(named(layout.map(|l| &*l.references), layout.map(|l| &*l.slots), i))
        }
        Place::Static(i) => {
            Some(named(layout.map(|l| &*l.static_references), layout.map(|l| &*l.statics), i))
        }
    };
    DanglingFrom {
        class: of.map_or_else(|| "?".into(), |k| vm.external_name(k)),
        field: field.map(|name| name.unwrap_or_else(|| "?".into())),
        is_static: matches!(place, Place::Static(_)),
        references,
    }
}

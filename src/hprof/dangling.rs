//! References that lead to no object of the file, and from which classes' fields.

use std::collections::BTreeMap;

use super::bytes::number;
use super::sub::Sub;
use super::workers::share;
use super::{Dump, NO_CLASS};
use crate::error::Result;
use crate::graph::Place;

/// Objects that a thread looks at before it takes the next ones.
const PIECE: u64 = 1 << 16;

/// Stands for the field of what the VM knows of a class: its loader, its constants.
const VM_PART: &str = "<class>";

/// Where they stand: the class, the field's name, whether it is a static one. Elements have no name.
pub(crate) type Source = (String, Option<String>, bool);

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dangling {
    /// How many there are.
    pub references: u64,
    /// Objects that have at least one, class objects for their static fields.
    pub holders: u64,
    /// How many stand where.
    pub sources: BTreeMap<Source, u64>,
}

impl Dangling {
    fn add(&mut self, source: Source) {
        self.references += 1;
        *self.sources.entry(source).or_default() += 1;
    }
}

impl Dump {
    /// Looks at all references of the file. HotSpot's own dumps have such, too: to objects of the CDS archive that it
    /// leaves out.
    pub fn dangling(&self, threads: usize) -> Result<Dangling> {
        let pieces = self.numbers.len().div_ceil(PIECE) as usize;
        let found = share(threads, pieces, Dangling::default, |own, piece| {
            let first = piece as u64 * PIECE;
            for place in first..(first + PIECE).min(self.numbers.len()) {
                let before = own.references;
                self.dangling_of(place, own);
                own.holders += u64::from(own.references > before);
            }
        })?;
        let mut all = Dangling::default();
        for own in found {
            all.references += own.references;
            all.holders += own.holders;
            own.sources.into_iter().for_each(|(s, n)| *all.sources.entry(s).or_default() += n);
        }
        Ok(all)
    }

    fn dangling_of(&self, place: u64, own: &mut Dangling) {
        let dangles = |id: u64| id != 0 && self.ids.number(id).is_none();
        match self.record(place) {
            Some((Sub::Instance { class, .. }, values)) => {
                let class = self.described.number(class);
                for slot in self.described.get(class).iter().flat_map(|c| &c.slots) {
                    if dangles(self.id_at(values, slot)) {
                        let name = self.field_named(slot.name, slot.class).name.into_owned();
                        own.add((self.histogram_name(class), Some(name), false));
                    }
                }
            }
            Some((Sub::Objects { class, .. }, values)) => {
                let ids = values.chunks_exact(self.outline.id);
                for _ in ids.filter(|id| dangles(number(id))) {
                    own.add((self.histogram_name(self.described.number(class)), None, false));
                }
            }
            Some((Sub::Class { id }, _)) => {
                let class = match self.described.number(id) {
                    NO_CLASS => "?".into(),
                    class => self.histogram_name(class),
                };
                self.class_references(place, |id, place| {
                    if dangles(id) {
                        let name = match place {
                            Place::Static(field) => field.name.into_owned(),
                            _ => VM_PART.into(),
                        };
                        own.add((class.clone(), Some(name), true));
                    }
                });
            }
            _ => {}
        }
    }
}

//! References that lead to no object of the file, and from which classes' fields.

use std::collections::BTreeMap;

use super::Dump;
use super::bytes::number;
use super::sub::Sub;
use super::workers::share;
use crate::error::Result;
use crate::graph::Place;

/// Objects that a thread looks at before it takes the next ones.
const PIECE: u64 = 1 << 16;

/// Stands for the field of what the VM knows of a class: its loader, its constants.
const VM_PART: &str = "<class>";

/// Where they stand: the class, the field's name, whether it is a static one. Elements have no name.
pub(crate) type Source = (String, Option<String>, bool);

/// The same before it has names: a damaged file may have as many of them as objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Spot {
    /// A field of a class's objects: that class, the number of its slot.
    Field(u32, usize),
    /// Elements of this class's arrays.
    Elements(u32),
    /// A static field, or what the VM knows: of which there are a few for each class.
    Class(u32, String),
}

/// What one thread has found.
#[derive(Default)]
struct Found {
    holders: u64,
    spots: BTreeMap<Spot, u64>,
}

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

impl Dump {
    /// Looks at all references of the file. HotSpot's own dumps have such, too: to objects of the CDS archive that it
    /// leaves out.
    pub fn dangling(&self, threads: usize) -> Result<Dangling> {
        let pieces = self.numbers.len().div_ceil(PIECE) as usize;
        let found = share(threads, pieces, Found::default, |own, piece| {
            let first = piece as u64 * PIECE;
            for place in first..(first + PIECE).min(self.numbers.len()) {
                own.holders += u64::from(self.dangling_of(place, &mut own.spots));
            }
        })?;
        let mut all = Dangling::default();
        for own in found {
            all.holders += own.holders;
            for (spot, count) in own.spots {
                all.references += count;
                *all.sources.entry(self.source(spot)).or_default() += count;
            }
        }
        Ok(all)
    }

    /// Counts those of one object by where they stand; whether there are any.
    fn dangling_of(&self, place: u64, spots: &mut BTreeMap<Spot, u64>) -> bool {
        let dangles = |id: u64| id != 0 && self.ids.number(id).is_none();
        let mut any = false;
        let mut add = |spot, count| {
            any = true;
            *spots.entry(spot).or_default() += count;
        };
        match self.record(place) {
            Some((Sub::Instance { class, .. }, values)) => {
                let class = self.described.number(class);
                let slots = self.described.get(class).map_or(&[][..], |c| &c.slots);
                for (number, slot) in slots.iter().enumerate() {
                    if dangles(self.id_at(values, slot)) {
                        add(Spot::Field(class, number), 1);
                    }
                }
            }
            Some((Sub::Objects { class, .. }, values)) => {
                let ids = values.chunks_exact(self.outline.id);
                let count = ids.filter(|id| dangles(number(id))).count();
                if count > 0 {
                    add(Spot::Elements(self.described.number(class)), count as u64);
                }
            }
            Some((Sub::Class { id }, _)) => {
                let class = self.described.number(id);
                self.class_references(place, |id, place| {
                    if dangles(id) {
                        let name = match place {
                            Place::Static(field) => field.name.into_owned(),
                            _ => VM_PART.into(),
                        };
                        add(Spot::Class(class, name), 1);
                    }
                });
            }
            _ => {}
        }
        any
    }

    fn source(&self, spot: Spot) -> Source {
        match spot {
            Spot::Field(class, number) => {
                let slot = self.described.get(class).and_then(|c| c.slots.get(number));
                let name = slot.map(|s| self.field_named(s.name, s.class).name.into_owned());
                (self.histogram_name(class), name, false)
            }
            Spot::Elements(class) => (self.histogram_name(class), None, false),
            Spot::Class(class, name) => (self.histogram_name(class), Some(name), true),
        }
    }
}

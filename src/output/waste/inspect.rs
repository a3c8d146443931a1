//! The second pass: each strongly held object as what it is, and what of it is more than it need be.

use super::duplicates::Print;
use super::held::{Held, is_own};
use super::roles::{Role, Roles, Text};
use super::{Found, Kind};
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph, Type};
use crate::output::collections::{Collections, Reader};

/// Used less than one in so many, a collection is sparse.
const SPARSE: u64 = 4;
/// Collections in one another that are looked into.
const MAX_WITHIN: usize = 8;

/// What was seen.
#[derive(Debug)]
pub(super) struct Seen<I> {
    /// What could be saved whatever else is true.
    pub found: Vec<Found<I>>,
    /// What could, of those objects that are not duplicates.
    pub perhaps: Vec<Found<I>>,
    pub strings: Vec<Print<I>>,
    pub arrays: Vec<Print<I>>,
    pub boxes: Vec<Print<I>>,
    /// Arrays without elements, with their classes.
    pub zero: Vec<(u32, I)>,
    /// Objects whose contents cannot be read.
    pub unreadable: u64,
}

impl<I> Default for Seen<I> {
    fn default() -> Seen<I> {
        Seen {
            found: Vec::new(),
            perhaps: Vec::new(),
            strings: Vec::new(),
            arrays: Vec::new(),
            boxes: Vec::new(),
            zero: Vec::new(),
            unreadable: 0,
        }
    }
}

impl<I: Id> Seen<I> {
    fn and(&mut self, mut other: Seen<I>) {
        self.found.append(&mut other.found);
        self.perhaps.append(&mut other.perhaps);
        self.strings.append(&mut other.strings);
        self.arrays.append(&mut other.arrays);
        self.boxes.append(&mut other.boxes);
        self.zero.append(&mut other.zero);
        self.unreadable += other.unreadable;
    }
}

/// What a thread works with.
struct Room<'a, G, I> {
    seen: Seen<I>,
    reader: Reader<'a, G>,
}

/// Looks at all that is strongly held, by all threads.
pub(super) fn inspect<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    roles: &Roles,
    held: &Held,
    collections: &Collections,
) -> Seen<I> {
    let graph = tree.graph();
    let mut all = Seen::default();
    all.strings.reserve_exact(held.counts.strings as usize);
    all.boxes.reserve_exact(held.counts.boxes as usize);
    let of = Inspect { tree, graph, roles, held };
    held.each(
        tree,
        || Room { seen: Seen::default(), reader: collections.reader(graph) },
        |room: &mut Room<'_, G, I>, place, class| of.object(room, place, class),
        |room| all.and(room.seen),
    );
    all
}

struct Inspect<'a, 'g, G, I> {
    tree: &'a Dominators<'g, G, I>,
    graph: &'g G,
    roles: &'a Roles,
    held: &'a Held,
}

impl<G: ObjectGraph, I: Id> Inspect<'_, '_, G, I> {
    fn object(&self, room: &mut Room<'_, G, I>, place: u64, class: u32) {
        let seen = &mut room.seen;
        match self.roles.of(class) {
            Role::String => self.string(seen, place, class),
            Role::Box => match self.roles.boxed(self.graph, class, place) {
                Some(bits) => seen.boxes.push(Print::exact(class.into(), bits, place)),
                None => seen.unreadable += 1,
            },
            Role::Builder => {
                if let Some(text) = self.roles.text(self.graph, class, place).filter(|t| t.is_part)
                {
                    let saves = self.cut(place, &text);
                    seen.found.push(Found::new(place, saves, Kind::OverlongArrays));
                }
            }
            Role::Collection if !self.held.owned.has(place) => self.collection(room, place),
            role @ (Role::Primitives(_) | Role::Objects) if !self.held.owned.has(place) => {
                self.array(seen, place, class, role);
            }
            _ => {}
        }
    }

    /// What would be saved if a text's array were no longer than it. An array that others share stays as it is.
    fn cut(&self, holder: u64, text: &Text<'_>) -> u64 {
        if !is_own(self.tree, holder, text.array) {
            return 0;
        }
        let role = self.roles.of(self.graph.class_of(text.array));
        let measure = &self.held.counts.measure;
        let length = text.bytes.len() as u64 / measure.each(role);
        self.graph.size(text.array).saturating_sub(measure.array_bytes(role, length))
    }

    fn string(&self, seen: &mut Seen<I>, place: u64, class: u32) {
        let Some(text) = self.roles.text(self.graph, class, place) else {
            seen.unreadable += 1;
            return;
        };
        seen.strings.push(Print::new(text.each, text.bytes, place));
        if text.is_part {
            let saves = self.cut(place, &text);
            seen.perhaps.push(Found::new(place, saves, Kind::OverlongArrays));
        } else if text.each == 2 && is_own(self.tree, place, text.array) {
            let chars = text.bytes.chunks_exact(2);
            let is_char =
                self.roles.of(self.graph.class_of(text.array)) == Role::Primitives(Type::Char);
            let high = usize::from(!(is_char && self.graph.is_big_endian()));
            if !text.bytes.is_empty() && chars.clone().all(|c| c[high] == 0) {
                let bytes = Role::Primitives(Type::Byte);
                let narrow = self.held.counts.measure.array_bytes(bytes, chars.len() as u64);
                let saves = self.graph.size(text.array).saturating_sub(narrow);
                seen.perhaps.push(Found::new(place, saves, Kind::WideStrings));
            }
        }
    }

    fn array(&self, seen: &mut Seen<I>, place: u64, class: u32, role: Role) {
        let Some(length) = self.graph.length(place) else { return };
        if length == 0 {
            seen.zero.push((class, I::of(place)));
            return;
        }
        let Role::Primitives(ty) = role else { return };
        let Some(bytes) = self.graph.contents(place) else {
            seen.unreadable += 1;
            return;
        };
        seen.arrays.push(Print::new(class.into(), bytes, place));
        if !matches!(ty, Type::Byte | Type::Char) {
            return;
        }
        let used = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at as u64 + 1);
        let used = used.div_ceil(ty.bytes());
        if used <= length / 2 {
            let cut = self.held.counts.measure.array_bytes(role, used);
            let saves = self.graph.size(place).saturating_sub(cut);
            seen.perhaps.push(Found::new(place, saves, Kind::OverlongArrays));
        }
    }

    fn collection(&self, room: &mut Room<'_, G, I>, place: u64) {
        let reader = &mut room.reader;
        let mut bytes = self.graph.size(place);
        let (mut arrays, mut at) = (Vec::new(), place);
        for _ in 0..MAX_WITHIN {
            let inner = reader.parts(at, |array| {
                if is_own(self.tree, at, array) {
                    arrays.push(array);
                }
            });
            match inner {
                // A view of a collection that others have, too, or a wrapper of what is none.
                None if reader.is_wrapper(at) => return,
                Some(inner) if !self.held.owned.has(inner) => return,
                Some(inner) => at = inner,
                None => break,
            }
            bytes += self.graph.size(at);
        }
        let most = if arrays.is_empty() { 1 } else { u64::MAX };
        let Some(count) = reader.count(at, most) else {
            room.seen.unreadable += 1;
            return;
        };
        if count.count == 0 {
            if count.whole && !reader.has_one_empty(at) {
                bytes += arrays.iter().map(|array| self.graph.size(*array)).sum::<u64>();
                room.seen.found.push(Found::new(place, bytes, Kind::EmptyCollections));
            }
            return;
        }
        let (mut saves, mut is_sparse) = (0, false);
        for array in arrays {
            let Some(length) = self.graph.length(array) else { continue };
            let needed = reader.needed(at, count.count, length);
            let role = self.roles.of(self.graph.class_of(array));
            let cut = self.held.counts.measure.array_bytes(role, needed);
            if needed < length {
                saves += self.graph.size(array).saturating_sub(cut);
                is_sparse |= needed.saturating_mul(SPARSE) <= length;
            }
        }
        let kind = if is_sparse { Kind::SparseCollections } else { Kind::UnusedHeadroom };
        room.seen.found.push(Found::new(place, saves, kind));
    }
}

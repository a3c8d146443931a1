//! Each strongly held object as what it is, and what of it is more than it need be: a pass over all of them, and one over
//! those of which it matters whether they belong to another.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::duplicates::{Print, Prints};
use super::held::{Counts, Held, Measure, is_own};
use super::roles::{Role, Roles, Text};
use super::{Found, Kind, WORD};
use crate::error::Result;
use crate::graph::dominators::{Dominators, Watch};
use crate::graph::{Id, NO_CLASS, ObjectGraph, Type, ones};
use crate::output::collections::{Collections, Reader};

/// Used less than one in so many, a collection is sparse.
const SPARSE: u64 = 4;
/// Collections in one another that are looked into.
const MAX_WITHIN: usize = 8;

/// What was seen. `P` is how prints are kept.
#[derive(Debug)]
pub(super) struct Seen<I, P> {
    pub counts: Counts,
    /// What could be saved whatever else is true.
    pub found: Vec<Found<I>>,
    /// What could, of those objects that are not duplicates.
    pub perhaps: Vec<Found<I>>,
    /// Of both what is an array that could be shorter.
    cuts: Vec<Cut<I>>,
    pub strings: P,
    pub arrays: P,
    pub boxes: P,
    /// Arrays without elements, with their classes.
    pub zero: Vec<(u32, I)>,
    /// Objects whose contents cannot be read.
    pub unreadable: u64,
}

/// What one thread saw for a while.
type Part<I> = Seen<I, Vec<Print<I>>>;
/// All of it.
pub(super) type All<I> = Seen<I, Prints<I>>;

impl<I, P: Default> Default for Seen<I, P> {
    fn default() -> Seen<I, P> {
        Seen {
            counts: Counts::default(),
            found: Vec::new(),
            perhaps: Vec::new(),
            cuts: Vec::new(),
            strings: P::default(),
            arrays: P::default(),
            boxes: P::default(),
            zero: Vec::new(),
            unreadable: 0,
        }
    }
}

impl<I: Id> All<I> {
    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> u64 {
        let prints = [&self.strings, &self.arrays, &self.boxes].map(Prints::len);
        let prints = prints.iter().sum::<usize>() * size_of::<Print<I>>();
        let found = (self.found.len() + self.perhaps.len()) * size_of::<Found<I>>();
        let zero = self.zero.len() * size_of::<(u32, I)>();
        (prints + found + self.cuts.len() * size_of::<Cut<I>>() + zero) as u64
    }

    fn and(&mut self, mut other: Part<I>) {
        self.counts.add(&other.counts);
        self.found.append(&mut other.found);
        self.perhaps.append(&mut other.perhaps);
        self.cuts.append(&mut other.cuts);
        self.strings.add(other.strings);
        self.arrays.add(other.arrays);
        self.boxes.add(other.boxes);
        self.zero.append(&mut other.zero);
        self.unreadable += other.unreadable;
    }
}

/// An object whose array could be shorter: what that saves is known once it is known how large arrays are.
#[derive(Debug, Clone, Copy)]
struct Cut<I> {
    place: I,
    /// Words of 8 bytes that the array has.
    words: u32,
    /// The elements that are needed, and of what arrays.
    length: u32,
    role: Role,
    kind: Kind,
    /// Whatever else is true.
    anyway: bool,
}

impl<I: Id> Cut<I> {
    fn new(place: u64, kind: Kind, size: u64, role: Role, length: u64) -> Cut<I> {
        let words = u32::try_from(size / WORD).unwrap_or(u32::MAX);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        Cut { place: I::of(place), words, length, role, kind, anyway: false }
    }

    fn found(&self, measure: &Measure) -> Found<I> {
        let cut = measure.array_bytes(self.role, self.length.into());
        let saves = (u64::from(self.words) * WORD).saturating_sub(cut);
        Found::new(self.place.number(), saves, self.kind)
    }
}

/// What a thread works with.
struct Room<'a, G, I> {
    seen: Part<I>,
    reader: Reader<'a, G>,
}

/// Looks at all that is strongly held, by all threads. `is_container` says of each class whether its objects lead on to
/// what is in a collection. `watch` is asked for the memory of what is seen,
/// beside so many bytes that are taken.
pub(super) fn inspect<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    roles: &Roles,
    held: &Held,
    collections: &Collections,
    is_container: &[bool],
    (watch, taken): (Watch<'_>, u64),
) -> Result<All<I>> {
    let graph = tree.graph();
    let (all, is_over) = (Mutex::new((All::default(), Ok(()))), AtomicBool::new(false));
    let gather = |seen: Part<I>| {
        (watch.add)(seen.counts.objects);
        let mut all = all.lock().unwrap_or_else(|e| e.into_inner());
        all.0.and(seen);
        if let Err(e) = (watch.room)(taken + all.0.memory()) {
            is_over.store(true, Ordering::Relaxed);
            all.1 = Err(e);
        }
    };
    let first = First { tree, graph, roles, held, is_container };
    held.each_word(tree, |words| {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let mut room = Room { seen: Seen::default(), reader: collections.reader(graph) };
        words.for_each(|word| first.word(&mut room, word));
        gather(room.seen);
    });
    let (mut all, ended) = all.into_inner().unwrap_or_else(|e| e.into_inner());
    ended?;
    held.own_within(tree, collections);
    let measure = all.counts.measure.clone();
    for cut in std::mem::take(&mut all.cuts) {
        let to = if cut.anyway { &mut all.found } else { &mut all.perhaps };
        to.push(cut.found(&measure));
    }
    let of = Inspect { tree, graph, roles, held, measure: &measure };
    held.each_of(
        |word| held.later.word(word),
        tree,
        || Room { seen: Seen::default(), reader: collections.reader(graph) },
        |room: &mut Room<'_, G, I>, place, class| of.object(room, place, class),
        |room| all.and(room.seen),
    );
    (watch.room)(taken + all.memory())?;
    Ok(all)
}

/// Who looks at each object first.
struct First<'a, 'g, G, I> {
    tree: &'a Dominators<'g, G, I>,
    graph: &'g G,
    roles: &'a Roles,
    held: &'a Held,
    is_container: &'a [bool],
}

impl<G: ObjectGraph, I: Id> First<'_, '_, G, I> {
    /// The objects of a word of places.
    fn word(&self, room: &mut Room<'_, G, I>, word: usize) {
        let Room { seen, reader } = room;
        let (mut containers, mut later, mut wrappers) = (0, 0, 0);
        for bit in ones(0, self.held.strong.word(word)) {
            let place = word as u64 * 64 + bit;
            let (class, size) = self.graph.class_and_size(place);
            seen.counts.objects += 1;
            seen.counts.bytes += size;
            seen.counts.measure.object(size);
            if class == NO_CLASS {
                continue;
            }
            let is_container = self.is_container.get(class as usize).is_some_and(|is| *is);
            containers |= u64::from(is_container) << bit;
            match self.roles.of(class) {
                Role::Other => {}
                Role::String => self.string(seen, place, class, size),
                Role::Box => match self.roles.boxed(self.graph, class, place) {
                    Some(bits) => seen.boxes.push(Print::exact(class.into(), bits, place, size)),
                    None => seen.unreadable += 1,
                },
                role @ (Role::Primitives(_) | Role::Objects) => {
                    let Some(length) = self.graph.length(place) else { continue };
                    seen.counts.measure.array(role, length, size);
                    later |= u64::from(role != Role::Objects || length == 0) << bit;
                }
                Role::Collection => {
                    reader.parts(place, |array| {
                        self.held.owned.set(array);
                    });
                    wrappers |= u64::from(reader.is_wrapper(place)) << bit;
                    later |= 1 << bit;
                }
                Role::Builder => self.builder(seen, place, class),
            }
        }
        self.held.containers.put(word, containers);
        self.held.wrappers.put(word, wrappers);
        self.held.later.put(word, later);
    }

    fn builder(&self, seen: &mut Part<I>, place: u64, class: u32) {
        if let Some(array) = self.roles.array_of(self.graph, class, place) {
            self.held.owned.set(array);
        }
        let text = self.roles.text(self.graph, class, place);
        if let Some(text) = text.filter(|text| text.is_part) {
            seen.cuts.extend(self.cut(place, &text).map(|cut| Cut { anyway: true, ..cut }));
        }
    }

    /// A text's array if it were no longer than that. An array that others share stays as it is.
    fn cut(&self, holder: u64, text: &Text<'_>) -> Option<Cut<I>> {
        if !is_own(self.tree, holder, text.array) {
            return None;
        }
        let (class, size) = self.graph.class_and_size(text.array);
        let role = self.roles.of(class);
        let each = match role {
            Role::Primitives(ty) => ty.bytes().max(1),
            _ => 1,
        };
        let length = text.bytes.len() as u64 / each;
        Some(Cut::new(holder, Kind::OverlongArrays, size, role, length))
    }

    fn string(&self, seen: &mut Part<I>, place: u64, class: u32, size: u64) {
        let Some(text) = self.roles.text(self.graph, class, place) else {
            if let Some(array) = self.roles.array_of(self.graph, class, place) {
                self.held.owned.set(array);
            }
            seen.unreadable += 1;
            return;
        };
        self.held.owned.set(text.array);
        let is_own = is_own(self.tree, place, text.array);
        let array = if is_own { self.graph.size(text.array) } else { 0 };
        seen.strings.push(Print::new(text.each, text.bytes, place, size + array));
        if text.is_part {
            seen.cuts.extend(self.cut(place, &text));
        } else if text.each == 2 && is_own {
            let (class, size) = (self.graph.class_of(text.array), array);
            let is_char = self.roles.of(class) == Role::Primitives(Type::Char);
            let high = usize::from(!(is_char && self.graph.is_big_endian()));
            let chars = text.bytes.chunks_exact(2);
            if !text.bytes.is_empty() && chars.clone().all(|c| c[high] == 0) {
                let (narrow, length) = (Role::Primitives(Type::Byte), chars.len() as u64);
                seen.cuts.push(Cut::new(place, Kind::WideStrings, size, narrow, length));
            }
        }
    }
}

/// Who looks at what does not belong to another.
struct Inspect<'a, 'g, G, I> {
    tree: &'a Dominators<'g, G, I>,
    graph: &'g G,
    roles: &'a Roles,
    held: &'a Held,
    measure: &'a Measure,
}

impl<G: ObjectGraph, I: Id> Inspect<'_, '_, G, I> {
    fn object(&self, room: &mut Room<'_, G, I>, place: u64, class: u32) {
        if self.held.owned.has(place) {
            return;
        }
        match self.roles.of(class) {
            Role::Collection => self.collection(room, place),
            role => self.array(&mut room.seen, place, class, role),
        }
    }

    fn array(&self, seen: &mut Part<I>, place: u64, class: u32, role: Role) {
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
        seen.arrays.push(Print::new(class.into(), bytes, place, self.graph.size(place)));
        if !matches!(ty, Type::Byte | Type::Char) {
            return;
        }
        let used = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at as u64 + 1);
        let used = used.div_ceil(ty.bytes());
        if used <= length / 2 {
            let cut = self.measure.array_bytes(role, used);
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
            let cut = self.measure.array_bytes(role, needed);
            if needed < length {
                saves += self.graph.size(array).saturating_sub(cut);
                is_sparse |= needed.saturating_mul(SPARSE) <= length;
            }
        }
        let kind = if is_sparse { Kind::SparseCollections } else { Kind::UnusedHeadroom };
        room.seen.found.push(Found::new(place, saves, kind));
    }
}

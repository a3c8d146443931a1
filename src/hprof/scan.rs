//! The heap dump's records, read twice by all cores: once for their ids, so that these have numbers, and once for
//! where each object lies.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::bytes::Bytes;
use super::classes::Classes;
use super::evidence::Evidence;
use super::ids::{FIRST_ADDRESS, Gathering, Ids};
use super::loss::Hole;
use super::outline::Outline;
use super::sub::{self, Sub};
use super::workers::share;
use crate::error::{Error, Result};
use crate::graph::{Bits, NO_CLASS};

/// Files are read up to this size: an offset takes five bytes.
const MAX_FILE: usize = 1 << 40;

/// A root as its record has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawRoot {
    pub tag: u8,
    pub id: u64,
    pub thread: u32,
    pub frame: u32,
}

/// What a piece holds besides objects.
#[derive(Debug, Default)]
struct Finds {
    /// Ids of classes, and where their records' tags are.
    classes: Vec<(u64, usize)>,
    roots: Vec<RawRoot>,
    /// Objects that are no classes.
    objects: u64,
    hole: Option<Hole>,
}

/// Sorted ids, and what the records say of other things than objects.
#[derive(Debug)]
pub(super) struct Gathered {
    pub ids: Ids,
    /// Of each class the first record, by id.
    pub classes: Vec<(u64, usize)>,
    pub roots: Vec<RawRoot>,
    /// Objects that have no id of their own.
    pub repeated: u64,
}

/// First pass. Pieces that end early are cut to what could be read.
pub(super) fn gather(
    data: &[u8],
    outline: &mut Outline,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Gathered> {
    if data.len() > MAX_FILE {
        return Err(Error::Unsupported("HPROF files of more than 1 TiB cannot be read".into()));
    }
    let gathering = Mutex::new(Gathering::default());
    let pieces = &outline.pieces;
    let id = outline.id;
    let make = || (Vec::<(usize, Finds)>::new(), Vec::<u64>::new());
    let done = share(threads, pieces.len(), make, |(all, ids), number| {
        let Some(piece) = pieces.get(number).cloned() else { return };
        progress(piece.len() as u64);
        all.push((number, piece_of(data, piece, id, ids)));
        // Most pieces are in order already.
        ids.sort();
        gathering.lock().unwrap_or_else(PoisonError::into_inner).add(ids);
        ids.clear();
    })?;
    let mut found: Vec<(usize, Finds)> = done.into_iter().flat_map(|(all, _)| all).collect();
    found.sort_by_key(|f| f.0);
    let (mut classes, mut roots, mut objects) = (Vec::new(), Vec::new(), 0);
    for (number, mut finds) in found {
        classes.append(&mut finds.classes);
        roots.append(&mut finds.roots);
        objects += finds.objects;
        if let Some(hole) = finds.hole {
            if let Some(piece) = outline.pieces.get_mut(number) {
                piece.end = hole.at;
            }
            outline.loss.hole(hole);
        }
    }
    // HotSpot 17 writes those of array classes twice.
    classes.sort_by_key(|c| (c.0, Reverse(c.1)));
    classes.reverse();
    classes.dedup_by_key(|c| c.0);
    classes.reverse();
    let ids = gathering.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
    let repeated = objects + classes.len() as u64 - ids.len();
    outline.loss.repeated = repeated;
    Ok(Gathered { ids, classes, roots, repeated })
}

fn piece_of(data: &[u8], piece: Range<usize>, id: usize, ids: &mut Vec<u64>) -> Finds {
    let mut bytes = Bytes::new(data, piece.clone(), id);
    let mut finds = Finds::default();
    while bytes.left() > 0 {
        let at = bytes.at();
        match sub::next(&mut bytes) {
            Ok(Sub::Root { tag, id, thread, frame }) => {
                finds.roots.push(RawRoot { tag, id, thread, frame });
            }
            Ok(Sub::Class { id }) => {
                ids.push(id);
                finds.classes.push((id, at));
            }
            Ok(sub) => {
                if let Some(id) = sub.object() {
                    ids.push(id);
                    finds.objects += 1;
                }
            }
            Err(why) => {
                finds.hole = Some(Hole { at, bytes: (piece.end - at) as u64, why });
                break;
            }
        }
    }
    finds
}

/// Where each object's record is: the offset of its tag, by number. Five bytes each, or four in a file of 4 GiB.
#[derive(Debug)]
pub(super) struct Offsets {
    low: Vec<AtomicU32>,
    high: Vec<AtomicU8>,
}

impl Offsets {
    fn new(objects: u64, file: usize) -> Offsets {
        let zeros = |count| (0..count).map(|_| AtomicU8::new(0)).collect();
        let is_large = u32::try_from(file).is_err();
        Offsets {
            low: (0..objects).map(|_| AtomicU32::new(0)).collect(),
            high: if is_large { zeros(objects) } else { Vec::new() },
        }
    }

    #[inline]
    fn set(&self, number: u64, at: usize) {
        if let Some(low) = self.low.get(number as usize) {
            low.store(at as u32, Ordering::Relaxed);
        }
        if let Some(high) = self.high.get(number as usize) {
            high.store((at >> 32) as u8, Ordering::Relaxed);
        }
    }

    /// 0 where there is no such object.
    #[inline]
    pub(super) fn get(&self, number: u64) -> usize {
        let low = self.low.get(number as usize).map_or(0, |n| n.load(Ordering::Relaxed));
        let high = self.high.get(number as usize).map_or(0, |n| n.load(Ordering::Relaxed));
        (high as usize) << 32 | low as usize
    }

    /// Bytes of memory that they take.
    pub(super) fn memory(&self) -> u64 {
        self.low.len() as u64 * 4 + self.high.len() as u64
    }
}

/// Second pass: where objects lie, how far it is from each to the next, and how many there are. Also which of them are of
/// the classes of which `is_plain` says so, as bits.
pub(super) fn place(
    data: &[u8],
    outline: &Outline,
    gathered: &Gathered,
    (classes, is_plain): (&Classes, &[bool]),
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Offsets, Evidence, Bits)> {
    let (ids, pieces) = (&gathered.ids, &outline.pieces);
    let offsets = Offsets::new(ids.len(), data.len());
    let number_of = |sub: Sub| match sub {
        Sub::Class { .. } => None,
        sub => ids.number(sub.object()?),
    };
    let repeats = gathered.repeated > 0;
    if repeats {
        // Where ids repeat, the first in the file stands: so it is written last, and a class's before all.
        for piece in pieces.iter().rev() {
            let mut all = Vec::new();
            each(data, piece.clone(), outline.id, |at, sub, _| {
                all.extend(number_of(sub).map(|number| (number, at)));
            });
            all.into_iter().rev().for_each(|(number, at)| offsets.set(number, at));
        }
    }
    for class in &gathered.classes {
        ids.number(class.0).into_iter().for_each(|number| offsets.set(number, class.1));
    }
    let plain = Bits::new(ids.len());
    let make = || Evidence::new(classes.all.len(), ids.alignment.max(8));
    let seen = share(threads, pieces.len(), make, |seen, number| {
        let Some(piece) = pieces.get(number).cloned() else { return };
        progress(piece.len() as u64);
        each(data, piece, outline.id, |at, sub, values| {
            if matches!(sub, Sub::Class { .. }) {
                return;
            }
            let Some(id) = sub.object() else { return };
            let Some(spot) = ids.spot(id) else { return };
            if repeats && offsets.get(spot.number) != at {
                return;
            }
            offsets.set(spot.number, at);
            let gap = match spot.next {
                Some(next) if id >= FIRST_ADDRESS => next - id,
                _ => u64::MAX,
            };
            let class = see(seen, classes, sub, gap, values);
            if is_plain.get(class as usize).is_some_and(|is| *is) {
                plain.set(spot.number);
            }
        });
    })?;
    let mut all = make();
    seen.iter().for_each(|own| all.add(own));
    Ok((offsets, all, plain))
}

/// Calls `each` with where a sub-record is, what it is, and an instance's values.
#[inline]
fn each(data: &[u8], piece: Range<usize>, id: usize, mut each: impl FnMut(usize, Sub, &[u8])) {
    let mut bytes = Bytes::new(data, piece, id);
    while bytes.left() > 0 {
        let at = bytes.at();
        let Ok(sub) = sub::next(&mut bytes) else { return };
        let len = if let Sub::Instance { len, .. } = sub { len as usize } else { 0 };
        each(at, sub, data.get(bytes.at() - len..bytes.at()).unwrap_or_default());
    }
}

/// Notes what a record tells of an object; answers its class.
#[inline]
fn see(seen: &mut Evidence, classes: &Classes, sub: Sub, gap: u64, values: &[u8]) -> u32 {
    match sub {
        Sub::Instance { class, len, .. } => {
            let class = classes.number(class);
            match classes.get(class) {
                Some(known) => {
                    seen.short += u64::from(u64::from(len) < known.values);
                    match &classes.stack_chunk {
                        Some(chunk) if chunk.class == class => {
                            seen.stack_chunk(class, chunk.words(values), gap);
                        }
                        _ => seen.instance(class, gap),
                    }
                }
                None => seen.unclassed += 1,
            }
            class
        }
        Sub::Objects { class, count, .. } => {
            let class = classes.number(class);
            seen.objects(class, count, gap);
            class
        }
        Sub::Primitives { ty, count, .. } => {
            seen.primitives(ty, count, gap);
            classes.arrays.get(usize::from(ty)).copied().unwrap_or(NO_CLASS)
        }
        Sub::Class { .. } | Sub::Root { .. } | Sub::Other => NO_CLASS,
    }
}

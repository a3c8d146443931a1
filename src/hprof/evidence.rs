//! What the records show of sizes, gathered piece by piece in any order: distances from objects to what follows them, and
//! how many there are.

use super::format::value_bytes;
use crate::graph::NO_CLASS;

/// Bytes before an array's first element that HotSpot has had.
pub(super) const ARRAY_HEADERS: [u64; 4] = [24, 20, 16, 12];

/// What was seen.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// By class, of its instances.
    pub classes: Vec<Gaps>,
    /// The least room before the elements, by type; of arrays of references if those take 4 bytes, or 8.
    pub arrays: [u64; 12],
    pub references: [u64; 2],
    /// Arrays by type, and their bytes with each of the headers.
    pub primitives: [Sums<4>; 12],
    /// Arrays of references by class, the last for those of no class; their bytes with each of the headers, if
    /// references take 4 bytes, and if they take 8.
    pub objects: Vec<Sums<8>>,
    /// Instances of classes that the file does not describe.
    pub unclassed: u64,
    /// Instances with fewer bytes than their class's fields take.
    pub short: u64,
    /// Bytes of the stacks in StackChunks, if references take 4 bytes, or 8.
    pub stacks: [u64; 2],
    /// The least room that the stacks leave for the StackChunks' fields, likewise.
    pub stack_rooms: [u64; 2],
    alignment: u64,
}

/// Bytes of a stack of so many words in a StackChunk, and of its bits (InstanceStackChunkKlass::instance_size).
pub(super) fn stack_bytes(words: u64, reference: u64) -> u64 {
    let bits = words * (8 / reference);
    (words + bits.div_ceil(64)) * 8
}

/// So many arrays, and their bytes under each assumption.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sums<const N: usize> {
    pub count: u64,
    pub bytes: [u64; N],
}

impl<const N: usize> Sums<N> {
    const ZERO: Sums<N> = Sums { count: 0, bytes: [0; N] };

    #[inline]
    fn add(&mut self, other: &Sums<N>) {
        self.count += other.count;
        self.bytes.iter_mut().zip(&other.bytes).for_each(|(a, b)| *a = a.saturating_add(*b));
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Gaps {
    pub count: u64,
    pub least: u64,
    /// How many have just so much.
    pub just: u64,
}

pub(super) const NO_GAP: Gaps = Gaps { count: 0, least: u64::MAX, just: 0 };

impl Gaps {
    #[inline]
    fn add(&mut self, other: Gaps) {
        self.count += other.count;
        if other.least < self.least {
            (self.least, self.just) = (other.least, 0);
        }
        if other.least == self.least {
            self.just += other.just;
        }
    }
}

impl Evidence {
    /// Of nothing; objects are aligned to `alignment`.
    pub(super) fn new(classes: usize, alignment: u64) -> Evidence {
        Evidence {
            classes: vec![NO_GAP; classes],
            arrays: [u64::MAX; 12],
            references: [u64::MAX; 2],
            primitives: [Sums::ZERO; 12],
            objects: vec![Sums::ZERO; classes + 1],
            unclassed: 0,
            short: 0,
            stacks: [0; 2],
            stack_rooms: [u64::MAX; 2],
            alignment,
        }
    }

    #[inline]
    pub(super) fn instance(&mut self, class: u32, gap: u64) {
        if let Some(gaps) = self.classes.get_mut(class as usize) {
            gaps.add(Gaps { count: 1, least: gap, just: 1 });
        }
    }

    /// A StackChunk: how large it is, its fields do not say.
    pub(super) fn stack_chunk(&mut self, class: u32, words: u64, gap: u64) {
        if let Some(gaps) = self.classes.get_mut(class as usize) {
            gaps.add(Gaps { count: 1, ..NO_GAP });
        }
        let both = self.stacks.iter_mut().zip(&mut self.stack_rooms);
        for ((stacks, room), reference) in both.zip([4, 8]) {
            let bytes = stack_bytes(words, reference);
            *stacks += bytes;
            *room = gap.saturating_sub(bytes).min(*room);
        }
    }

    #[inline]
    pub(super) fn primitives(&mut self, ty: u8, count: u32, gap: u64) {
        let taken = value_bytes(ty, 0).unwrap_or(0) as u64 * u64::from(count);
        let of_type = self.arrays.iter_mut().zip(&mut self.primitives).nth(ty.into());
        let Some((least, sums)) = of_type else { return };
        *least = gap.saturating_sub(taken).min(*least);
        sums.count += 1;
        for (sum, header) in sums.bytes.iter_mut().zip(ARRAY_HEADERS) {
            *sum = sum.saturating_add((header + taken).next_multiple_of(self.alignment));
        }
    }

    /// `class` is a class's number, or [`NO_CLASS`].
    #[inline]
    pub(super) fn objects(&mut self, class: u32, count: u32, gap: u64) {
        let taken = [u64::from(count) * 4, u64::from(count) * 8];
        for (least, taken) in self.references.iter_mut().zip(taken) {
            *least = gap.saturating_sub(taken).min(*least);
        }
        let last = self.objects.len() - 1;
        let number = if class == NO_CLASS { last } else { class as usize };
        let Some(sums) = self.objects.get_mut(number) else { return };
        sums.count += 1;
        let headers = |taken| ARRAY_HEADERS.map(|header| header + taken);
        for (sum, bytes) in sums.bytes.iter_mut().zip(taken.into_iter().flat_map(headers)) {
            *sum = sum.saturating_add(bytes.next_multiple_of(self.alignment));
        }
    }

    /// Adds what another thread has seen.
    pub(super) fn add(&mut self, other: &Evidence) {
        self.classes.iter_mut().zip(&other.classes).for_each(|(a, b)| a.add(*b));
        self.unclassed += other.unclassed;
        self.short += other.short;
        self.stacks.iter_mut().zip(&other.stacks).for_each(|(a, b)| *a += b);
        let own = self.arrays.iter_mut().chain(&mut self.references).chain(&mut self.stack_rooms);
        let others = other.arrays.iter().chain(&other.references).chain(&other.stack_rooms);
        own.zip(others).for_each(|(a, b)| *a = (*a).min(*b));
        self.primitives.iter_mut().zip(&other.primitives).for_each(|(a, b)| a.add(b));
        self.objects.iter_mut().zip(&other.objects).for_each(|(a, b)| a.add(b));
    }
}

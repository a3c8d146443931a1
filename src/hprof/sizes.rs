//! How large objects are on the heap. No record says it: fields are without their padding, references have the size of
//! an id, headers are not there. But ids are addresses, and no object reaches into the next one:
//!
//! - **References** take 4 bytes, though ids have 8, if an array of references has no room for more before the next
//!   object (MAT's rule: org.eclipse.mat.hprof's Pass1Parser).
//! - **Headers**: the most that all objects have room for, of those that HotSpot has: 16 bytes, 12 with compressed class
//!   pointers, 8 with compact headers (JEP 450) or 32 bits. Arrays' likewise.
//! - **Instances**: their header and fields, laid out as HotSpot's FieldLayout does, without fields that the VM adds
//!   (they are in no dump). Where the objects behind most instances of a class say that these take another size, the
//!   padding or such a field is seen, and that size is taken.
//! - **Mirrors**: a java.lang.Class and the static fields.

use super::classes::{Class, Classes, Counts};
use super::evidence::{ARRAY_HEADERS, Evidence, Gaps, NO_GAP, stack_bytes};
use super::format::{ty, value_bytes};
use crate::graph::ClassKind;

/// Bytes that padding (@Contended) and fields that the VM adds may take, where many instances show them.
const MAX_PADDING: u64 = 1024;
/// The same where the one instance does.
const MAX_HIDDEN: u64 = 16;

/// The same that the VM adds to a StackChunk's.
const MAX_CHUNK_FIELDS: u64 = 64;

/// What objects take.
#[derive(Debug)]
pub(super) struct Sizes {
    /// Bytes of an id.
    id: u64,
    /// Bytes of a reference.
    pub reference: u64,
    pub alignment: u64,
    /// Bytes before an instance's fields.
    pub header: u64,
    /// Bytes before the elements, by type.
    arrays: [u64; 12],
    /// By class, of an instance.
    instances: Vec<u64>,
    /// The same as MAT has it.
    like_mat: Vec<u64>,
    /// By class, of its mirror.
    mirrors: Vec<u64>,
}

fn align(n: u64, to: u64) -> u64 {
    n.checked_next_multiple_of(to).unwrap_or(n)
}

impl Sizes {
    /// `mirrors` are the classes' own objects, each with the bytes to the object behind it.
    pub(super) fn new(
        classes: &Classes,
        seen: &Evidence,
        alignment: u64,
        id: usize,
        mirrors: &[(u32, u64)],
    ) -> Sizes {
        let id = id as u64;
        let is_narrow = id == 8 && seen.references[1] < 16;
        let reference = if is_narrow { 4 } else { id };
        let alignment = if alignment < 8 { 8 } else { alignment };
        let mut sizes = Sizes {
            id,
            reference,
            alignment,
            header: 0,
            arrays: [0; 12],
            instances: Vec::new(),
            like_mat: Vec::new(),
            mirrors: Vec::new(),
        };
        let room = |(gaps, c): (&Gaps, &Class)| match gaps.count {
            0 => u64::MAX,
            _ => gaps.least.saturating_sub(sizes.values(classes, c)),
        };
        let room = seen.classes.iter().zip(&classes.all).map(room).min().unwrap_or(u64::MAX);
        let usual = if id == 4 { 8 } else { 8 + reference };
        sizes.header = header(room, usual, &[16, 12, 8]);
        // Elements of 4 bytes and less begin where the header ends, larger ones at a multiple of 8.
        let is_small = |ty: u8| ty >= 4 && value_bytes(ty, 0).is_some_and(|n| n < 8);
        let small = (0..).zip(&seen.arrays).filter(|(ty, _)| is_small(*ty));
        let mut room = small.map(|(_, room)| *room).min().unwrap_or(u64::MAX);
        let [of_narrow, _] = seen.references;
        if reference == 4 {
            room = room.min(of_narrow);
        }
        let end = header(room, usual + 4, &ARRAY_HEADERS);
        for (ty, size) in (0..).zip(&mut sizes.arrays).skip(2) {
            let each = value_bytes(ty, reference as usize).unwrap_or(1) as u64;
            *size = align(end, each);
        }
        sizes.measure(classes, seen);
        sizes.measure_stack_chunk(classes, seen);
        let numbers = 0..classes.all.len() as u32;
        sizes.like_mat = numbers.map(|n| sizes.mat_instance(classes, n)).collect();
        let own = sizes.instances.get(classes.class as usize).copied();
        let room = mirrors.iter().filter_map(|(class, gap)| {
            let statics = sizes.counted(&classes.get(*class)?.statics);
            gap.checked_sub(statics).filter(|room| *room >= sizes.header)
        });
        let own = own.unwrap_or(sizes.header).max(sizes.header);
        let bare = room.min().map_or(own, |room| if room < 2 * own { room } else { own });
        let mirror = |c: &Class| align(bare + sizes.counted(&c.statics), sizes.alignment);
        let mut all: Vec<u64> = classes.all.iter().map(mirror).collect();
        for &(class, gap) in mirrors {
            // Longs among the static fields leave holes.
            if let Some(known) = all.get_mut(class as usize)
                && gap >= sizes.header
                && gap <= *known + MAX_HIDDEN
            {
                *known = gap;
            }
        }
        sizes.mirrors = all;
        sizes
    }

    /// Bytes of counted values.
    fn counted(&self, counts: &Counts) -> u64 {
        counts.references * self.reference + counts.primitives
    }

    /// Bytes of an instance's values.
    fn values(&self, classes: &Classes, class: &Class) -> u64 {
        let mut all = self.counted(&class.own);
        let chain = classes.chain(class.super_class).unwrap_or_default();
        let above = chain.iter().filter_map(|c| classes.get(*c));
        above.for_each(|c| all += self.counted(&c.own));
        all
    }

    /// What an instance takes by its fields: each class's begin where its super's end, rounded up to a reference; where
    /// its longs leave a gap of 4 bytes before them, smaller ones fill it.
    fn computed(&self, classes: &Classes, class: &Class) -> u64 {
        let mut chain = classes.chain(class.super_class).unwrap_or_default();
        chain.reverse();
        let above = chain.iter().filter_map(|c| classes.get(*c)).chain([class]);
        let end = above.fold(self.header, |end, c| {
            let own = self.counted(&c.own);
            let gap = align(end, 8) - end;
            let wide = c.own.longs > 0 || self.reference == 8 && c.own.references > 0;
            let wide_bytes =
                8 * c.own.longs + if self.reference == 8 { 8 * c.own.references } else { 0 };
            let filled = (own - wide_bytes).min(gap);
            align(if wide { end + gap - filled + own } else { end + own }, 4)
        });
        align(end, self.alignment)
    }

    /// What an instance takes: by its fields `computed`, with what its super class turned out to take beyond its own; or
    /// by what lies behind the class's instances.
    fn measured(&self, classes: &Classes, class: &Class, gaps: Gaps, computed: u64) -> u64 {
        if class.kind != ClassKind::Instance {
            return self.alignment;
        }
        let least = align(self.header + self.values(classes, class), self.alignment);
        let often = gaps.just > 1 && gaps.just * 2 > gaps.count;
        let more = gaps.least.saturating_sub(computed);
        match gaps.least {
            gap if gap < computed => gap.max(least),
            gap if often && more <= MAX_PADDING || gaps.count == 1 && more <= MAX_HIDDEN => gap,
            _ => computed,
        }
    }

    /// A StackChunk's fields: the VM adds some.
    fn measure_stack_chunk(&mut self, classes: &Classes, seen: &Evidence) {
        let Some(chunk) = &classes.stack_chunk else { return };
        let room = Sizes::of_reference(seen.stack_rooms, self.reference);
        let Some(known) = self.instances.get_mut(chunk.class as usize) else { return };
        if room > *known && room <= *known + MAX_CHUNK_FIELDS {
            *known = room;
        }
    }

    /// All of them, supers first.
    fn measure(&mut self, classes: &Classes, seen: &Evidence) {
        let computed: Vec<u64> = classes.all.iter().map(|c| self.computed(classes, c)).collect();
        let mut instances = vec![0; classes.all.len()];
        for number in 0..classes.all.len() as u32 {
            let chain = classes.chain(number).unwrap_or_else(|| vec![number]);
            let mut above = 0;
            for &number in chain.iter().rev() {
                let at = number as usize;
                let (Some(size), Some(class)) = (instances.get_mut(at), classes.get(number)) else {
                    continue;
                };
                let by_fields = computed.get(at).copied().unwrap_or(0);
                if *size == 0 {
                    let gaps = seen.classes.get(at).copied().unwrap_or(NO_GAP);
                    *size = self.measured(classes, class, gaps, by_fields + above);
                }
                above = size.saturating_sub(by_fields);
            }
        }
        self.instances = instances;
    }

    pub(super) fn instance(&self, class: u32) -> u64 {
        self.instances.get(class as usize).copied().unwrap_or(0)
    }

    /// Of an array of a type.
    #[inline]
    pub(super) fn array(&self, ty: u8, count: u32) -> u64 {
        let each = value_bytes(ty, self.reference as usize).unwrap_or(0) as u64;
        align(self.before_elements(ty) + each * u64::from(count), self.alignment)
    }

    /// Bytes before the elements of an array of a type.
    #[inline]
    fn before_elements(&self, ty: u8) -> u64 {
        self.arrays.get(usize::from(ty)).copied().unwrap_or(0)
    }

    /// Of what was seen for references of 4 and of 8 bytes, that for the file's.
    fn of_reference([of_narrow, of_wide]: [u64; 2], reference: u64) -> u64 {
        if reference == 8 { of_wide } else { of_narrow }
    }

    /// Of a class's mirror.
    pub(super) fn mirror(&self, class: u32) -> u64 {
        self.mirrors.get(class as usize).copied().unwrap_or(0)
    }

    /// What a jdk.internal.vm.StackChunk of so many words of stack takes behind its fields: those, and a bit for each
    /// place where a reference can be.
    pub(super) fn stack(&self, words: u64) -> u64 {
        stack_bytes(words, self.reference)
    }

    /// MAT's: each class's fields with its super's are rounded up to the size of a reference.
    fn mat_instance(&self, classes: &Classes, class: u32) -> u64 {
        let chain = classes.chain(class).unwrap_or_default();
        let fields = chain.iter().rev().enumerate().fold(0, |size, (i, c)| match i {
            0 => self.id + self.reference,
            _ => {
                let own = classes.get(*c).map_or(0, |c| self.counted(&c.own));
                align(size + own, self.reference)
            }
        });
        align(fields, self.alignment)
    }

    pub(super) fn instance_like_mat(&self, class: u32) -> u64 {
        let least = align(self.id + self.reference, self.alignment);
        self.like_mat.get(class as usize).map_or(least, |size| (*size).max(least))
    }

    pub(super) fn array_like_mat(&self, ty: u8, count: u32) -> u64 {
        let each = value_bytes(ty, self.reference as usize).unwrap_or(0) as u64;
        let header = align(self.id + self.reference + 4, self.reference);
        align(header + each * u64::from(count), self.alignment)
    }

    /// The static fields alone, those that the VM added too.
    pub(super) fn mirror_like_mat(&self, class: &Class) -> u64 {
        align(self.counted(&class.statics) + class.added * self.reference, self.alignment)
    }

    /// How many objects of each class there are, and their bytes; behind them those of no class.
    pub(super) fn histogram(&self, classes: &Classes, seen: &Evidence) -> Vec<(u64, u64)> {
        let last = classes.all.len();
        let mut out = vec![(0u64, 0u64); last + 1];
        let mut add = |class: usize, count: u64, bytes: u64| {
            if let Some(to) = out.get_mut(class) {
                *to = (to.0 + count, to.1.saturating_add(bytes));
            }
        };
        let header = |ty: u8| {
            let own = self.before_elements(ty);
            ARRAY_HEADERS.iter().position(|header| *header == own).unwrap_or(0)
        };
        for (number, gaps) in seen.classes.iter().enumerate() {
            let bytes = gaps.count.saturating_mul(self.instance(number as u32));
            add(number, gaps.count, bytes);
        }
        let of_types = (0..).zip(classes.arrays.iter().zip(&seen.primitives));
        for (ty, (class, sums)) in of_types.skip(4) {
            add(*class as usize, sums.count, sums.bytes.get(header(ty)).copied().unwrap_or(0));
        }
        let wide = if self.reference == 4 { 0 } else { 4 };
        let assumed = wide + header(ty::OBJECT);
        for (number, sums) in seen.objects.iter().enumerate() {
            add(number, sums.count, sums.bytes.get(assumed).copied().unwrap_or(0));
        }
        let of_mirrors = classes.get(classes.class).map_or(last, |_| classes.class as usize);
        for (number, _) in (0..).zip(&classes.all).filter(|(_, c)| c.id != 0) {
            add(of_mirrors, 1, self.mirror(number));
        }
        if let Some(chunk) = &classes.stack_chunk {
            add(chunk.class as usize, 0, Sizes::of_reference(seen.stacks, self.reference));
        }
        add(last, seen.unclassed, 0);
        out
    }

    /// How sizes were found, in a sentence.
    pub(super) fn note(&self) -> String {
        format!(
            "sizes are worked out, as no HPROF has them: references of {} bytes, headers of {}, objects aligned to {}, \
             as far as the objects' addresses leave room",
            self.reference, self.header, self.alignment
        )
    }
}

/// The largest of the headers that there is room for; the usual one where nothing is near.
fn header(room: u64, usual: u64, all: &[u64]) -> u64 {
    let fits = all.iter().copied().find(|header| *header <= room);
    match fits {
        Some(found) if all.first().is_some_and(|largest| room < largest + 8) => found,
        _ => usual,
    }
}

//! From an address to its region, and to the number of its place: one for each address at which an
//! object can start.

use crate::hotspot::gc::Region;

/// Entries of the table from address to region, before it is searched instead.
const MAX_SLOTS: u64 = 1 << 26;
/// Words that are one region's alone: so many of them have one entry in the table from place to region.
const OWN: usize = 64;
/// Places that are one region's alone, from a multiple of it on.
pub(super) const STRETCH: u64 = 64 * OWN as u64;
/// No region in a slot.
const NONE: u32 = u32::MAX;

/// The places of a heap's regions, each region's from a multiple of 64 * [`OWN`] on.
#[derive(Debug)]
pub struct Places {
    regions: Vec<Extent>,
    /// The first region that reaches into each slot of `1 << slot_shift` bytes.
    slots: Vec<u32>,
    base: u64,
    slot_shift: u32,
    /// Words of 64 bits for all.
    words: usize,
    /// log2 of the bytes that a place has.
    shift: u32,
    /// The region of each [`OWN`] words.
    owners: Vec<u32>,
}

/// A region, and the word that its first place's bit is in.
#[derive(Debug, Clone, Copy)]
struct Extent {
    start: u64,
    top: u64,
    word: usize,
}

/// A place: where an object's bit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The region's number.
    pub region: usize,
    /// Its number.
    pub bit: usize,
}

impl Places {
    /// `regions` are in order and disjoint; objects are aligned to `alignment`.
    pub fn new(regions: &[Region], alignment: u64) -> Places {
        let shift = alignment.trailing_zeros();
        let base = regions.first().map_or(0, |r| r.start);
        let end = regions.last().map_or(0, |r| r.end);
        let mut words = 0;
        let mut extents = Vec::with_capacity(regions.len());
        let mut owners = Vec::new();
        for (i, r) in (0..).zip(regions) {
            extents.push(Extent { start: r.start, top: r.top, word: words });
            let own = ((r.top - r.start) >> shift).div_ceil(64 * OWN as u64) as usize;
            owners.resize(owners.len() + own, i);
            words += own * OWN;
        }
        // Collectors' regions are aligned to their least size.
        let all = regions.iter().fold(0, |bits, r| bits | r.start);
        let slot_shift = all.trailing_zeros().clamp(12, 21);
        let count = (end - base).div_ceil(1 << slot_shift);
        let mut slots = Vec::new();
        if count <= MAX_SLOTS {
            slots.resize(count as usize, NONE);
            for (i, p) in extents.iter().enumerate() {
                let first = (p.start - base) >> slot_shift;
                for slot in first..(p.top - base).div_ceil(1 << slot_shift) {
                    let slot = &mut slots[slot as usize];
                    *slot = (*slot).min(i as u32);
                }
            }
        }
        Places { regions: extents, slots, base, slot_shift, words, shift, owners }
    }

    /// The region that has this address, and its number.
    #[inline]
    fn region(&self, addr: u64) -> Option<(usize, &Extent)> {
        // Most often it is the first of its slot.
        let slot = addr.wrapping_sub(self.base) >> self.slot_shift;
        let first = *self.slots.get(slot as usize).unwrap_or(&NONE) as usize;
        match self.regions.get(first).filter(|p| (p.start..p.top).contains(&addr)) {
            Some(p) => Some((first, p)),
            None => self.search(addr, first),
        }
    }

    /// The same of an address that is not in the `first` region of its slot, and of any where there are no slots.
    #[cold]
    fn search(&self, addr: u64, first: usize) -> Option<(usize, &Extent)> {
        let from = match self.slots.is_empty() {
            true => self.regions.partition_point(|p| p.top <= addr),
            false => first,
        };
        let (i, p) = (from..).zip(self.regions.get(from..)?).find(|(_, p)| addr < p.top)?;
        (addr >= p.start).then_some((i, p))
    }

    /// Words of 64 bits that all places need.
    pub fn words(&self) -> usize {
        self.words
    }

    /// The place of an object at `addr`; none where no object can be.
    #[inline]
    pub fn locate(&self, addr: u64) -> Option<Mark> {
        if addr & ((1 << self.shift) - 1) != 0 {
            return None;
        }
        let (region, p) = self.region(addr)?;
        let bit = p.word * 64 + ((addr - p.start) >> self.shift) as usize;
        Some(Mark { region, bit })
    }

    /// The address of a place, by its number; none behind a region's last.
    #[inline]
    pub fn address(&self, bit: usize) -> Option<u64> {
        self.find(bit).map(|(_, addr)| addr)
    }

    /// Of each [`STRETCH`] places the region, and how many bytes behind the region's start the first of them is.
    pub fn stretches(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        (0..self.owners.len()).filter_map(|i| self.offset(i * STRETCH as usize))
    }

    /// How many bytes behind its stretch's first place a place is.
    #[inline]
    pub fn within(&self, place: u64) -> usize {
        ((place % STRETCH) << self.shift) as usize
    }

    /// The region of a place, by its number, and its address; none behind a region's last.
    #[inline]
    pub fn find(&self, bit: usize) -> Option<(usize, u64)> {
        let (region, offset) = self.offset(bit)?;
        let p = &self.regions[region];
        let addr = p.start + offset;
        (addr < p.top).then_some((region, addr))
    }

    /// The region of a place, by its number, and how many bytes behind the region's start it is; that may be its end or
    /// behind it.
    #[inline]
    pub fn offset(&self, bit: usize) -> Option<(usize, u64)> {
        let region = *self.owners.get(bit / (64 * OWN))? as usize;
        let first = self.regions[region].word * 64;
        Some((region, ((bit - first) as u64) << self.shift))
    }

    /// The places of `at..limit` that are in `at`'s region: numbers, the second behind the last.
    #[inline]
    pub fn range(&self, at: u64, limit: u64) -> Option<(usize, usize)> {
        let (_, p) = self.region(at)?;
        let bit = |addr: u64| p.word * 64 + (addr - p.start).div_ceil(1 << self.shift) as usize;
        let first = p.word * 64 + ((at - p.start) >> self.shift) as usize;
        Some((first, bit(limit.min(p.top))))
    }

    /// The address of a place in the region of `at`.
    #[inline]
    pub fn window(&self, at: u64, from: usize, bit: usize) -> u64 {
        (at >> self.shift << self.shift) + (((bit - from) as u64) << self.shift)
    }

    /// How many places there are from one address to a later one of the same region.
    #[inline]
    pub fn between(&self, from: u64, to: u64) -> usize {
        ((to - from) >> self.shift) as usize
    }
}

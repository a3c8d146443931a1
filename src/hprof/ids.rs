//! The ids of all objects, sorted, and a dense number for each: from 0, by id.
//!
//! Ids are addresses, so they come in crowds. They are kept by pages of 64 KiB of addresses, each as what takes the
//! least: a bit for every 8 bytes where objects are aligned and many (a heap of HotSpot's: 2 % of it), a bit for
//! every byte, or a list of 2 bytes each where there are few. So a file whose ids are no addresses, or are strewn on
//! purpose, takes at most some 40 bytes for each.

use std::collections::HashMap;

/// Bits of an id that its page does not say.
const PAGE_BITS: u32 = 16;
/// Words of a page's bits where ids are multiples of 8.
const ALIGNED_WORDS: usize = 1 << (PAGE_BITS - 3 - 6);
/// Words where they are any numbers.
const ANY_WORDS: usize = 1 << (PAGE_BITS - 6);
/// As a list they would take more than the bits.
const ALIGNED_FROM: usize = ALIGNED_WORDS * 4;
/// A table of pages may always have so many entries.
const SMALL_TABLE: u64 = 1 << 16;
/// Ids below are no addresses of objects: Linux maps nothing there. Value objects that lie in others have such
/// numbers (JEP 401).
pub(super) const FIRST_ADDRESS: u64 = 1 << 16;

/// A page that is being filled.
#[derive(Debug)]
enum Filling {
    List(Vec<u16>),
    Aligned(Box<[u64; ALIGNED_WORDS]>),
    Any(Box<[u64; ANY_WORDS]>),
}

impl Filling {
    fn add(&mut self, lows: impl Iterator<Item = u16>) {
        for low in lows {
            match self {
                Filling::List(list) if list.len() < ALIGNED_FROM => list.push(low),
                Filling::List(_) => {
                    self.grow();
                    self.add(std::iter::once(low));
                }
                Filling::Aligned(bits) if low % 8 == 0 => set(&mut bits[..], low / 8),
                Filling::Aligned(_) => {
                    self.grow();
                    self.add(std::iter::once(low));
                }
                Filling::Any(bits) => set(&mut bits[..], low),
            }
        }
    }

    /// Takes the next larger form.
    fn grow(&mut self) {
        *self = match self {
            Filling::List(list) if list.iter().all(|low| low % 8 == 0) => {
                let mut bits = Box::new([0; ALIGNED_WORDS]);
                list.iter().for_each(|low| set(&mut bits[..], low / 8));
                Filling::Aligned(bits)
            }
            // Any number of repeats is but one each.
            Filling::List(list) => {
                list.sort_unstable();
                list.dedup();
                if list.len() < ALIGNED_FROM / 2 {
                    return;
                }
                let mut bits = Box::new([0; ANY_WORDS]);
                list.iter().for_each(|low| set(&mut bits[..], *low));
                Filling::Any(bits)
            }
            Filling::Aligned(aligned) => {
                let mut bits = Box::new([0; ANY_WORDS]);
                ones(&aligned[..]).for_each(|n| set(&mut bits[..], n * 8));
                Filling::Any(bits)
            }
            Filling::Any(_) => return,
        }
    }
}

#[inline]
fn set(bits: &mut [u64], n: u16) {
    if let Some(word) = bits.get_mut(usize::from(n) / 64) {
        *word |= 1 << (n % 64);
    }
}

fn ones(bits: &[u64]) -> impl Iterator<Item = u16> + '_ {
    bits.iter().enumerate().flat_map(|(i, word)| {
        let bits = (0..64).filter(move |b| word >> b & 1 != 0);
        bits.map(move |b| (i * 64 + b) as u16)
    })
}

/// Gathers ids in any order.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    pages: HashMap<u64, Filling>,
    /// All bits that are set in any of the addresses.
    any: u64,
}

impl Gathering {
    /// Adds ids that are in order.
    pub(super) fn add(&mut self, sorted: &[u64]) {
        for page in sorted.chunk_by(|a, b| a >> PAGE_BITS == b >> PAGE_BITS) {
            let Some(&first) = page.first() else { continue };
            let filling = self.pages.entry(first >> PAGE_BITS);
            let filling = filling.or_insert_with(|| Filling::List(Vec::new()));
            filling.add(page.iter().map(|id| *id as u16));
            if first >= FIRST_ADDRESS {
                self.any = page.iter().fold(self.any, |any, id| any | id);
            }
        }
    }

    /// The ids by number.
    pub(super) fn finish(mut self) -> Ids {
        let mut keys: Vec<u64> = self.pages.keys().copied().collect();
        keys.sort_unstable();
        let mut ids = Ids { pages: Vec::with_capacity(keys.len()), ..Ids::default() };
        for key in keys {
            if let Some(filling) = self.pages.remove(&key) {
                ids.push(key, filling);
            }
        }
        ids.alignment = match self.any {
            0 => 8,
            any => 1 << any.trailing_zeros().min(8),
        };
        ids.make_table();
        ids
    }
}

/// How a page has its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In `lows`, from `at` on, sorted.
    List,
    /// A bit for each `1 << shift` of them, in `bits`, from `at` on.
    Bits { shift: u32 },
}

#[derive(Debug, Clone, Copy)]
struct Page {
    /// The ids' upper bits.
    key: u64,
    /// Ids before the page.
    first: u64,
    at: usize,
    count: u32,
    form: Form,
}

/// An id's number, and the id that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub number: u64,
    pub next: Option<u64>,
}

/// Sorted ids.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pages: Vec<Page>,
    /// Where pages lie close together: the page of each key from the first one's on, plus one.
    table: Vec<u32>,
    bits: Vec<u64>,
    /// Ids of a page before each word of its bits.
    ranks: Vec<u16>,
    lows: Vec<u16>,
    count: u64,
    /// The largest power of two, to 256, that all addresses are multiples of.
    pub alignment: u64,
}

impl Ids {
    fn push(&mut self, key: u64, filling: Filling) {
        let (form, at) = match &filling {
            Filling::List(_) => (Form::List, self.lows.len()),
            Filling::Aligned(_) => (Form::Bits { shift: 3 }, self.bits.len()),
            Filling::Any(_) => (Form::Bits { shift: 0 }, self.bits.len()),
        };
        let count = match filling {
            Filling::List(mut list) => {
                list.sort_unstable();
                list.dedup();
                self.lows.extend_from_slice(&list);
                list.len() as u32
            }
            Filling::Aligned(bits) => self.push_bits(&bits[..]),
            Filling::Any(bits) => self.push_bits(&bits[..]),
        };
        self.pages.push(Page { key, first: self.count, at, count, form });
        self.count += u64::from(count);
    }

    fn push_bits(&mut self, bits: &[u64]) -> u32 {
        let mut count = 0;
        for word in bits {
            self.ranks.push(count as u16);
            count += word.count_ones();
        }
        self.bits.extend_from_slice(bits);
        count
    }

    /// A table of pages by their keys, where it does not take more than a few words a page.
    fn make_table(&mut self) {
        let (Some(first), Some(last)) = (self.pages.first(), self.pages.last()) else { return };
        let (base, span) = (first.key, last.key - first.key);
        let strewn = span > SMALL_TABLE && span / 8 > self.pages.len() as u64;
        if strewn || self.pages.len() >= u32::MAX as usize {
            return;
        }
        self.table = vec![0; span as usize + 1];
        for (i, page) in (1..).zip(&self.pages) {
            if let Some(slot) = self.table.get_mut((page.key - base) as usize) {
                *slot = i;
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.count
    }

    /// Bytes of memory that they take.
    pub(super) fn memory(&self) -> u64 {
        let pages = self.pages.len() * size_of::<Page>() + self.table.len() * 4;
        (pages + self.bits.len() * 8 + (self.ranks.len() + self.lows.len()) * 2) as u64
    }

    #[inline]
    fn page(&self, key: u64) -> Option<usize> {
        if self.table.is_empty() {
            return self.pages.binary_search_by_key(&key, |p| p.key).ok();
        }
        let at = key.wrapping_sub(self.pages.first()?.key);
        let page = *self.table.get(usize::try_from(at).ok()?)?;
        (page as usize).checked_sub(1)
    }

    /// The number of an id; none where it is not among them.
    #[inline]
    pub(super) fn number(&self, id: u64) -> Option<u64> {
        let page = self.pages.get(self.page(id >> PAGE_BITS)?)?;
        let low = id as u16;
        let Form::Bits { shift } = page.form else {
            let at = self.list(page).binary_search(&low).ok()?;
            return Some(page.first + at as u64);
        };
        let bit = usize::from(low >> shift);
        let at = page.at + bit / 64;
        let word = *self.bits.get(at)?;
        if word >> (bit % 64) & 1 == 0 || low & ((1 << shift) - 1) != 0 {
            return None;
        }
        let below = (word & ((1 << (bit % 64)) - 1)).count_ones();
        Some(page.first + u64::from(u32::from(*self.ranks.get(at)?) + below))
    }

    fn list(&self, page: &Page) -> &[u16] {
        self.lows.get(page.at..page.at + page.count as usize).unwrap_or_default()
    }

    /// The number of an id, and the id behind it.
    #[inline]
    pub(super) fn spot(&self, id: u64) -> Option<Spot> {
        let number = self.number(id)?;
        let at = self.page(id >> PAGE_BITS)?;
        let page = self.pages.get(at)?;
        let next = match page.form {
            Form::List => {
                let list = self.list(page);
                list.get((number - page.first) as usize + 1).map(|low| u64::from(*low))
            }
            Form::Bits { shift } => {
                let bit = usize::from(id as u16 >> shift) + 1;
                let words = (1 << (PAGE_BITS - shift)) / 64;
                self.next_bit(page.at, bit, words).map(|bit| (bit as u64) << shift)
            }
        };
        let next = match next {
            Some(low) => Some(page.key << PAGE_BITS | low),
            None => self.pages.get(at + 1).map(|p| self.first(p)),
        };
        Some(Spot { number, next })
    }

    #[inline]
    fn next_bit(&self, at: usize, bit: usize, words: usize) -> Option<usize> {
        let mut word = bit / 64;
        let page = self.bits.get(at..at + words)?;
        let mut left = page.get(word)? & (u64::MAX << (bit % 64));
        while left == 0 {
            word += 1;
            left = *page.get(word)?;
        }
        Some(word * 64 + left.trailing_zeros() as usize)
    }

    /// A page's first id.
    fn first(&self, page: &Page) -> u64 {
        let low = match page.form {
            Form::List => self.list(page).first().map_or(0, |low| u64::from(*low)),
            Form::Bits { shift } => {
                let words = (1 << (PAGE_BITS - shift)) / 64;
                self.next_bit(page.at, 0, words).map_or(0, |bit| (bit as u64) << shift)
            }
        };
        page.key << PAGE_BITS | low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Crowds, lists, odd ids, the ends of the range, each given twice and in any order.
    fn some() -> Vec<u64> {
        let mut seed = 7u64;
        let mut random = |most: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (seed >> 33) % most
        };
        let mut ids = vec![1, 2, 3, 7, 9, u64::MAX, u64::MAX - 8];
        ids.extend((0..20_000).map(|_| 0x7000_0000 + random(60_000) * 8));
        ids.extend((0..20_000).map(|_| 0x9000_0000 + random(100_000)));
        ids.extend((0..2_000).map(|_| 0x8_0000_0000 + random(1 << 34) * 16));
        ids.extend((0..1_500).map(|n| 0xa000_0000 + n * 3));
        ids.extend((0..8_192).map(|n| 0xb000_0000 + n * 8));
        ids.push(0xb000_0001);
        ids
    }

    #[test]
    fn numbers_go_by_id() {
        let ids = some();
        for far in [false, true] {
            let ids: Vec<u64> = ids.iter().copied().filter(|id| far || *id >> 32 == 0).collect();
            let mut gathering = Gathering::default();
            for piece in ids.chunks(777).chain(ids.chunks(1000).take(5)) {
                let mut piece = piece.to_vec();
                piece.sort_unstable();
                gathering.add(&piece);
            }
            let numbers = gathering.finish();
            assert_eq!(numbers.table.is_empty(), far);
            let mut sorted = ids.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!((numbers.len(), numbers.alignment), (sorted.len() as u64, 1));
            for (i, id) in sorted.iter().enumerate() {
                let next = sorted.get(i + 1).copied();
                assert_eq!(numbers.spot(*id), Some(Spot { number: i as u64, next }), "{id:#x}");
                let near = id.wrapping_add(1);
                let known = sorted.binary_search(&near).ok().map(|n| n as u64);
                assert_eq!(numbers.number(near), known, "{near:#x}");
            }
            assert_eq!(numbers.number(0x6000_0000), None);
            assert!(numbers.memory() < 40 * numbers.len());
        }
        assert_eq!(Gathering::default().finish().number(8), None);
    }

    #[test]
    fn a_heap_takes_a_fiftieth_of_its_size() {
        let ids: Vec<u64> = (0..1 << 18).map(|n| 0x7_0000_0000 + n * 40).collect();
        let mut gathering = Gathering::default();
        gathering.add(&ids);
        let numbers = gathering.finish();
        assert_eq!((numbers.len(), numbers.alignment), (1 << 18, 8));
        assert!(numbers.memory() < (40 << 18) / 48, "{}", numbers.memory());
    }
}

//! The memory that is left, to be searched for words.

use std::collections::HashMap;

use crate::corefile::{CoreFile, Memory};
use crate::vmstructs::rebuilt::Rebuilt;
use crate::vmstructs::{Field, Fields, Tables};

/// A Symbol is longer than the longest name of a class of any use.
const MAX_SYMBOL: u16 = 4096;

/// What is searched, and by what.
pub(super) struct Search<'a> {
    pub mem: &'a Memory,
    pub core: &'a CoreFile,
    pub fields: &'a Fields,
    pub tables: &'a Tables,
    /// CollectedHeap::_reserved, once it is known.
    pub reserved: (u64, u64),
    relro: std::ops::Range<u64>,
    /// CDS archives: a klass there has a vtable of its own in it.
    archives: Vec<(u64, u64)>,
    /// Memory that a process writes to.
    writable: Vec<(u64, u64)>,
    /// Where the words are that can be a vtable's pointer: each is the start of an object, perhaps.
    objects: Vec<u64>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        core: &'a CoreFile,
        rebuilt: &Rebuilt,
        tables: &'a Tables,
        fields: &'a Fields,
    ) -> Search<'a> {
        let archives = core.archives();
        let archives = core.mappings().iter().filter(|m| archives.contains(m.path.as_str()));
        let data = rebuilt.data();
        let writable = core.segments().iter().filter(|s| s.flags & 2 != 0);
        let writable = writable.map(|s| (s.start, s.start.saturating_add(s.filesz.min(s.memsz))));
        let mut search = Search {
            mem: core.memory(),
            core,
            fields,
            tables,
            reserved: (0, 0),
            relro: rebuilt.relro(),
            archives: archives.map(|m| (m.start, m.end)).collect(),
            writable: writable
                .filter(|(from, to)| *to <= data.start || *from >= data.end)
                .collect(),
            objects: Vec::new(),
        };
        let mut objects = Vec::new();
        search.words(|at, word| {
            if search.is_klass_vtable(word) {
                objects.push(at);
            }
        });
        search.objects = objects;
        search
    }

    /// What may be an object of the C heap.
    pub(super) fn objects(&self) -> impl Iterator<Item = u64> + '_ {
        let is_object = |at: &u64| self.mem.u64(*at).is_ok_and(|word| self.is_vtable(word));
        self.klasses().filter(is_object)
    }

    /// What may be a klass.
    pub(super) fn klasses(&self) -> impl Iterator<Item = u64> + '_ {
        let (low, high) = self.reserved;
        self.objects.iter().copied().filter(move |at| !(low..high).contains(at))
    }

    /// Calls `found` for each word of the memory that the process wrote to, but the heap's; in
    /// order of their addresses.
    pub(super) fn words(&self, mut found: impl FnMut(u64, u64)) {
        let (low, high) = self.reserved;
        for &(start, end) in &self.writable {
            for (from, to) in [(start, end.min(low.max(start))), (start.max(high), end)] {
                // Without a heap all is in the second part.
                let parts = if from < to { Some((from, to)) } else { None };
                for (from, to) in parts.into_iter().flat_map(|(a, b)| self.mem.present(a, b)) {
                    let first = from.next_multiple_of(8);
                    let bytes = self.mem.slice(first, to.saturating_sub(first)).unwrap_or(&[]);
                    for (i, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
                        found(first + i as u64 * 8, u64::from_le_bytes(*word));
                    }
                }
            }
        }
    }

    /// Whether a word can be an object's pointer to its vtable.
    pub(super) fn is_vtable(&self, word: u64) -> bool {
        self.relro.contains(&word) && word.is_multiple_of(8)
    }

    /// The same of a klass.
    pub(super) fn is_klass_vtable(&self, word: u64) -> bool {
        self.is_vtable(word)
            || word.is_multiple_of(8) && self.archives.iter().any(|(a, b)| (*a..*b).contains(&word))
    }

    /// The word at `field` of the structure at `at`.
    pub(super) fn word(&self, at: u64, field: Field) -> Option<u64> {
        self.mem.u64(at.wrapping_add(field.opt()?)).ok()
    }

    /// Whether it can be the address of an object.
    pub(super) fn in_heap(&self, oop: u64) -> bool {
        (self.reserved.0..self.reserved.1).contains(&oop) && oop.is_multiple_of(8)
    }

    /// The object of a field that is an oop or a handle.
    pub(super) fn object(&self, at: u64, field: Field) -> Option<u64> {
        let mut oop = self.word(at, field)?;
        if !field.is_oop() {
            oop = self.mem.u64(oop.wrapping_add(self.fields.oop_handle.opt().unwrap_or(0))).ok()?;
        }
        self.in_heap(oop).then_some(oop)
    }

    /// The text of a Symbol.
    pub(super) fn symbol(&self, at: u64) -> Option<&'a [u8]> {
        let len = self.mem.u16(at.wrapping_add(self.fields.symbol_length.opt()?)).ok()?;
        let text = at.wrapping_add(self.fields.symbol_body.opt()?);
        let text = self.mem.slice(text, u64::from(len)).ok()?;
        let sane = (1..=MAX_SYMBOL).contains(&len) && at.is_multiple_of(8);
        (sane && text.iter().all(|b| *b >= b' ')).then_some(text)
    }
}

/// Addresses, for who asks of each word of the memory whether it is one of them.
pub(super) struct Set(Vec<u64>);

impl Set {
    pub(super) fn contains(&self, value: u64) -> bool {
        let bounds = self.0.first().zip(self.0.last());
        bounds.is_some_and(|(low, high)| (*low..=*high).contains(&value))
            && self.0.binary_search(&value).is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<u64> for Set {
    fn from_iter<I: IntoIterator<Item = u64>>(all: I) -> Set {
        let mut all: Vec<u64> = all.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        Set(all)
    }
}

/// How often each value was met.
#[derive(Default)]
pub(super) struct Tally(HashMap<u64, usize>);

impl Tally {
    pub(super) fn add(&mut self, value: u64) {
        *self.0.entry(value).or_default() += 1;
    }

    /// The value that was met most often, if that is at least `percent` per cent
    /// of the `total`.
    pub(super) fn winner(&self, total: usize, percent: usize) -> Option<u64> {
        let (value, count) = self.0.iter().max_by_key(|(v, n)| (**n, std::cmp::Reverse(**v)))?;
        (*count > 0 && *count * 100 >= total * percent).then_some(*value)
    }
}

//! Ways of going wrong, by the seed: a failure names its seed and comes back.

/// A small generator with a fixed seed.
pub struct Random(u64);

impl Random {
    /// Of the mutant of this number.
    pub fn of(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// What one mutant has otherwise than its file: where, and the bytes there.
pub type Change = Vec<(usize, Vec<u8>)>;

/// Words that a reader does sums with.
const EDGES: [u64; 8] = [0, 1, 7, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// One way of going wrong: bits, bytes, words, pointers that lead elsewhere, pages in each other's place, headers and
/// notes.
pub fn of_core(bytes: &[u8], random: &mut Random) -> Change {
    let mut below = |n: usize| random.below(n);
    let (len, page) = (bytes.len(), 4096);
    let word = |at: usize| bytes[at..at + 8].to_vec();
    match below(8) {
        0 => (0..=below(10))
            .map(|_| (below(len), below(8)))
            .map(|(at, bit)| (at, vec![bytes[at] ^ 1 << bit]))
            .collect(),
        1 => (0..300).map(|_| (below(len), vec![below(256) as u8])).collect(),
        2 => (0..10_000).map(|_| (page + below(len - page), vec![below(256) as u8])).collect(),
        3 => {
            (0..200).map(|_| (below(len / 8) * 8, EDGES[below(8)].to_le_bytes().to_vec())).collect()
        }
        // A pointer-like word becomes another one: all addresses are right, none of them here.
        4 => {
            let is_pointer = |at: &usize| matches!(word(*at)[..], [_, _, _, _, _, 1..=0x7f, 0, 0]);
            let pointers: Vec<usize> =
                (0..20_000).map(|_| below(len / 8 - 1) * 8).filter(is_pointer).collect();
            pointers.windows(2).take(500).map(|two| (two[0], word(two[1]))).collect()
        }
        5 => {
            let (a, b) = (below(len / page - 1) * page, below(len / page - 1) * page);
            vec![(a, bytes[b..b + page].to_vec()), (b, bytes[a..a + page].to_vec())]
        }
        // Klasses and tables are made of small numbers: one moves a little.
        6 => (0..2_000)
            .map(|_| below(len / 4) * 4)
            .map(|at| (at, vec![bytes[at].wrapping_add(1)]))
            .collect(),
        _ => (0..20).map(|_| (below(4 * page), vec![below(256) as u8])).collect(),
    }
}

/// The same of an HPROF file, whose numbers have their high bytes first and lie anywhere.
pub fn of_dump(bytes: &[u8], random: &mut Random) -> Change {
    let mut below = |n: usize| random.below(n);
    let len = bytes.len();
    match below(6) {
        0 => (0..=below(10))
            .map(|_| (below(len), below(8)))
            .map(|(at, bit)| (at, vec![bytes[at] ^ 1 << bit]))
            .collect(),
        1 => (0..=below(1000)).map(|_| (below(len), vec![below(256) as u8])).collect(),
        2 => {
            let edge =
                |n: usize, short| EDGES[n].to_be_bytes()[if short { 4 } else { 0 }..].to_vec();
            (0..=below(200)).map(|_| (below(len - 8), edge(below(8), below(2) == 0))).collect()
        }
        // Ids that are others' ids.
        3 => (0..=below(500))
            .map(|_| (below(len - 8), below(len - 8)))
            .map(|(to, from)| (to, bytes[from..from + 8].to_vec()))
            .collect(),
        // Tags and lengths that are off by a little.
        4 => (0..=below(300))
            .map(|_| below(len))
            .map(|at| (at, vec![bytes[at].wrapping_add(1)]))
            .collect(),
        // The header, names and classes.
        _ => (0..20).map(|_| (below(len.min(200_000)), vec![below(256) as u8])).collect(),
    }
}

/// A few words of a small file that become numbers as large as they can be, or nearly, in either order of bytes.
pub fn of_small(bytes: &[u8], random: &mut Random) -> Change {
    let change = |_| {
        let (at, edge) = (random.below(bytes.len() - 8), EDGES[1 + random.below(EDGES.len() - 1)]);
        let size = [2, 4, 8][random.below(3)];
        match random.below(2) {
            0 => (at, edge.to_le_bytes()[..size].to_vec()),
            _ => (at, edge.to_be_bytes()[8 - size..].to_vec()),
        }
    };
    (0..4).map(change).collect()
}

/// A few bytes of an archive, most often of its beginning.
pub fn of_archive(bytes: &[u8], random: &mut Random) -> Change {
    let within = if random.below(2) == 0 { bytes.len() } else { bytes.len().min(64) };
    let change = |_| {
        let at = random.below(within);
        match random.below(2) {
            0 => (at, vec![bytes[at] ^ 1 << random.below(8)]),
            _ => (at, vec![random.below(256) as u8]),
        }
    };
    (0..5).map(change).collect()
}

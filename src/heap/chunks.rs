//! Cuts regions into pieces of work: spans between gaps, and chunks of long spans.
//!
//! Where a span is long, later chunks start at a guess. The walk checks each guess against the
//! end of the chunk before, so that the result is always that of one walk from the span's start,
//! at any number of threads.

use crate::hotspot::gc::{Region, Space};

/// Bytes of heap that one piece of work takes: with its records it fits into a core's cache, and a
/// hand-over costs nothing. Fixed, so that the output does not depend on the threads.
pub(super) const CHUNK: u64 = 512 << 10;

/// A piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Where to start, or from where to look for the first object.
    pub start: u64,
    /// Objects that start here or later belong to the next chunk.
    pub limit: u64,
    /// End of the span: no object reaches beyond.
    pub span_end: u64,
    /// Whether an object is known to start at `start`.
    pub first: bool,
    /// What space it belongs to.
    pub space: Space,
    /// Region::marked_below.
    pub marked_below: u64,
}

/// Cuts `regions` (in order) into chunks whose objects are known by their marks.
pub(super) fn cut_marked(regions: &[Region]) -> Vec<Chunk> {
    let mut out = Vec::new();
    for r in regions {
        span(r.start, r.top, &Region { marked_below: r.top, ..*r }, &mut out);
    }
    // Marks tell where objects start.
    out.iter_mut().for_each(|c| c.first = true);
    out
}

/// Cuts `regions` (in order) at `gaps` and into chunks.
pub(super) fn cut(regions: &[Region], mut gaps: Vec<(u64, u64)>) -> Vec<Chunk> {
    gaps.sort_unstable();
    let mut out = Vec::new();
    for r in regions {
        let mut at = r.start;
        let first = gaps.partition_point(|g| g.1 <= r.start);
        for &(from, to) in gaps[first..].iter().take_while(|g| g.0 < r.top) {
            if from >= at {
                span(at, from, r, &mut out);
                at = to.min(r.top);
            }
        }
        span(at, r.top, r, &mut out);
    }
    out
}

fn span(start: u64, end: u64, r: &Region, out: &mut Vec<Chunk>) {
    let &Region { space, marked_below, .. } = r;
    let mut at = start;
    while at < end {
        // A humongous region holds one object, and perhaps a filler that HotSpot never visits.
        let humongous = space == Space::Humongous;
        let limit = if humongous { at + 1 } else { at.saturating_add(CHUNK).min(end) };
        let first = at == start;
        out.push(Chunk { start: at, limit, span_end: end, first, space, marked_below });
        at = if humongous { end } else { limit };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(start: u64, top: u64) -> Region {
        Region { start, top, end: top, space: Space::Eden, marked_below: 0 }
    }

    #[test]
    fn gaps_cut_spans() {
        let chunks = cut(&[region(0x1000, 0x5000)], vec![(0x2000, 0x3000), (0x4800, 0x5008)]);
        let spans: Vec<_> = chunks.iter().map(|c| (c.start, c.span_end)).collect();
        assert_eq!(spans, [(0x1000, 0x2000), (0x3000, 0x4800)]);
        assert!(chunks.iter().all(|c| c.first));
    }

    #[test]
    fn long_spans_become_chunks_that_join() {
        let end = 0x1000 + 3 * CHUNK + 8;
        let chunks = cut(&[region(0x1000, end)], vec![]);
        assert_eq!(chunks.len(), 4);
        assert!(chunks.windows(2).all(|w| w[0].limit == w[1].start && !w[1].first));
        assert_eq!(chunks[3].limit, end);
    }
}

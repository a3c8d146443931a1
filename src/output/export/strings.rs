//! The table `strings`.

use std::ops::Range;

use twox_hash::XxHash3_128;

use super::plan::{ROWS, places, weighed};
use super::rows::Rows;
use crate::graph::ObjectGraph;
use crate::output::collections::{Collections, Descriptions};
use crate::output::waste::roles::{Role, Roles};

/// Characters of a text that are written at most: one that is longer is cut.
pub(super) const LONGEST: u64 = 1 << 20;
/// Bytes of texts in a row group, where texts are written.
const TEXTS: u64 = 64 << 20;

/// What rows of `strings` are made of.
pub(super) struct Strings<'g, G> {
    graph: &'g G,
    roles: Roles,
    /// Whether the texts are written.
    texts: bool,
    /// Texts are as the graph shows them, and hashes of those.
    redacted: bool,
}

/// Room for a text, as UTF-16 and as UTF-8.
#[derive(Default)]
struct Room {
    units: Vec<u8>,
    text: String,
}

impl<'g, G: ObjectGraph> Strings<'g, G> {
    pub(super) fn new(graph: &'g G, texts: bool, redacted: bool) -> Self {
        let roles = Roles::new(graph, &Collections::new(graph, &Descriptions::known()));
        Strings { graph, roles, texts, redacted }
    }

    #[inline]
    fn is_string(&self, place: u64) -> bool {
        self.roles.of(self.graph.class_of(place)) == Role::String
    }

    /// Into which pieces they fall. A pass over all objects, by all threads of the pool that this is called in.
    pub(super) fn pieces(&self, done: impl Fn(u64) + Sync) -> Vec<Range<u64>> {
        let each = TEXTS / ROWS;
        let weigh = |place: u64| {
            let (graph, class) = (self.graph, self.graph.class_of(place));
            let text = || self.roles.text(graph, class, place).map_or(0, |t| t.bytes.len() as u64);
            match self.roles.of(class) == Role::String {
                true if self.texts => each + text().min(LONGEST),
                true => each,
                false => 0,
            }
        };
        let pieces = weighed(self.graph.numbers(), each * ROWS, weigh, done);
        pieces.into_iter().map(|p| p.0).collect()
    }

    /// The rows of the objects with these numbers.
    pub(super) fn fill(&self, objects: &Range<u64>, rows: &mut Rows<'_>) {
        let mut room = Room::default();
        for place in places(self.graph.numbers(), objects).filter(|p| self.is_string(*p)) {
            self.row(place, &mut room, rows);
        }
    }

    fn row(&self, place: u64, room: &mut Room, rows: &mut Rows<'_>) {
        let graph = self.graph;
        let text = self.roles.text(graph, graph.class_of(place), place);
        let shown = self.redacted.then(|| graph.text(place, LONGEST as usize)).flatten();
        room.units.clear();
        room.text.clear();
        match (&text, &shown) {
            (_, Some(shown)) => room.units.extend(shown.encode_utf16().flat_map(u16::to_le_bytes)),
            (Some(text), None) if !self.redacted => text.utf16(graph, &mut room.units),
            _ => {}
        }
        let is_known = if self.redacted { shown.is_some() } else { text.is_some() };
        if self.texts {
            let units = room.units.as_chunks().0.iter().take(LONGEST as usize);
            let units = units.map(|unit| u16::from_le_bytes(*unit));
            let chars = char::decode_utf16(units);
            room.text.extend(chars.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        }
        let hash = || XxHash3_128::oneshot(&room.units) as u64 as i64;
        rows.long(graph.address(place));
        rows.long(text.as_ref().map(|t| graph.address(t.array)));
        rows.long(text.as_ref().map(|t| t.bytes.len() as u64 / t.each));
        rows.signed(is_known.then(hash));
        rows.text((is_known && self.texts).then_some(room.text.as_str()));
        rows.end();
    }
}

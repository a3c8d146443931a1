//! What the page says, before it is HTML or Markdown: sections of lines, tables and pictures.
//!
//! What comes from the target (names, texts, addresses) is kept apart from rjcore's own words, so that whoever writes it
//! down can set it apart and escape it.

use crate::output::report::clean;

/// Characters of a name or a text from the target that are shown.
const MAX_NAME: usize = 300;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// rjcore's own words.
    Words(String),
    /// What the target says: without control characters, and not longer than a line can bear.
    Name(String),
    /// A sentence in which both stand.
    Told(String),
}

/// Words and names, one behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line(pub(super) Vec<Piece>);

impl Line {
    /// rjcore's own words.
    pub(super) fn words(text: impl Into<String>) -> Line {
        Line::default().and(text)
    }

    /// What the target says.
    pub(super) fn name(text: &str) -> Line {
        Line::default().and_name(text)
    }

    /// A sentence that says names, too.
    pub(super) fn told(text: &str) -> Line {
        Line(vec![Piece::Told(clean(text))])
    }

    /// With more words behind.
    pub(super) fn and(mut self, text: impl Into<String>) -> Line {
        self.0.push(Piece::Words(text.into()));
        self
    }

    /// With more of what the target says behind.
    pub(super) fn and_name(mut self, text: &str) -> Line {
        self.0.push(Piece::Name(shown(text)));
        self
    }

    /// The text alone.
    pub(super) fn text(&self) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Words(text) | Piece::Name(text) | Piece::Told(text) => text.clone(),
        };
        self.0.iter().map(text).collect()
    }
}

/// A text of the target as it is shown: cut in its middle where it is too long, since names differ at their ends.
pub(super) fn shown(text: &str) -> String {
    let all = text.chars().count();
    if all <= MAX_NAME {
        return clean(text);
    }
    let half = MAX_NAME / 2;
    let first: String = text.chars().take(half).collect();
    let last: String = text.chars().skip(all - half).collect();
    format!("{}…{}", clean(&first), clean(&last))
}

/// A table with a head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// What it shows.
    pub(super) caption: String,
    /// The columns' heads, and whether they are numbers.
    pub(super) head: Vec<(String, bool)>,
    /// The rows; as many cells as there are columns.
    pub(super) rows: Vec<Vec<Line>>,
}

impl Table {
    /// A table without rows yet; numbers' heads begin with `#`.
    pub(super) fn new(caption: impl Into<String>, head: &[&str]) -> Table {
        let column = |text: &&str| match text.strip_prefix('#') {
            Some(text) => (text.to_owned(), true),
            None => ((*text).to_owned(), false),
        };
        let head = head.iter().map(column).collect();
        Table { caption: caption.into(), head, rows: Vec::new() }
    }
}

/// A part of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// A paragraph.
    Line(Line),
    /// A table.
    Table(Table),
    /// Lines of what the target says, as they are: stacks.
    Lines(Vec<String>),
    /// What is shown when one opens it: what it is, and what is inside.
    Folded(Line, Vec<Block>),
    /// A smaller heading.
    Heading(String),
    /// The picture of who holds the memory.
    Map,
    /// A treemap that stays as it is.
    Boxes(Boxes),
    /// The flame graph of the threads.
    Flame,
}

/// What a treemap shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boxes {
    /// What it is, for those who do not see it.
    pub(super) label: String,
    /// Each box's name and value, and the number of what it belongs to, by which it is coloured.
    pub(super) boxes: Vec<(String, u64, u32)>,
}

/// A part of the page under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// What links lead to.
    pub(super) id: &'static str,
    /// The heading.
    pub(super) title: &'static str,
    /// What is under it.
    pub(super) blocks: Vec<Block>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// What it is about.
    pub(super) title: Line,
    /// The summary's sentences.
    pub(super) summary: Vec<Line>,
    /// The rest.
    pub(super) sections: Vec<Section>,
}

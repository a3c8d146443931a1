//! What of a program's data is not to leave with an answer: texts, numbers, or what fits a pattern.
//!
//! Knows which contents are to be replaced and by what; where they lie is the caller's matter. References, lengths and
//! names of classes, fields and threads are never touched, so the graph stays as it is.
//!
//! Without a key all is zeroed (in what people read, `*`). With one, texts become tokens of their length: the same text the
//! same token, by a keyed hash (SipHash-2-4, 128 bits), so that without the key nobody can try out short secrets.

mod graph;
mod key;
mod rules;
mod text;

use std::borrow::Cow;

use regex::Regex;
use serde::Serialize;

pub(crate) use graph::Redacted as RedactedGraph;
pub use key::{Form, Key};
pub use rules::{Elements, Rules};
pub(crate) use text::{Passage, Texts, Window};

use super::pattern::Pattern;

/// What is to be replaced, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct What {
    /// Texts: the elements of byte\[\], char\[\] and int\[\], and fields with a hash in their names.
    pub strings: bool,
    /// Values of primitive types: fields, static fields, elements of all arrays but byte\[\] and char\[\].
    pub primitives: bool,
}

/// What was redacted, as JSON has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Redacted {
    /// Kinds of contents.
    #[serde(flatten)]
    pub what: What,
    /// How many patterns were looked for in texts.
    pub patterns: usize,
    /// How many patterns of classes were kept.
    pub kept: usize,
    /// Texts became tokens, not zeroes.
    pub tokens: bool,
}

impl Redacted {
    /// In a line, for people.
    pub(crate) fn words(self) -> String {
        let mut all = Vec::new();
        all.extend(self.what.strings.then_some("strings"));
        all.extend(self.what.primitives.then_some("primitives"));
        all.extend((self.patterns > 0).then_some("what fits a pattern"));
        let kept = if self.kept > 0 { ", but for classes that are kept" } else { "" };
        let by = if self.tokens { "texts by tokens" } else { "by zeroes" };
        format!("redacted, {by}: {}{kept}", all.join(", "))
    }
}

/// What is to be replaced, what is kept, and by what it is replaced.
#[derive(Debug, Default)]
pub struct Redaction {
    what: What,
    keep: Vec<Pattern>,
    patterns: Vec<Regex>,
    key: Option<Key>,
}

impl Redaction {
    /// `keep` names classes whose values stay; what fits one of `patterns` in other texts is replaced, too.
    pub(crate) fn new(
        what: What,
        keep: Vec<Pattern>,
        patterns: Vec<Regex>,
        key: Option<Key>,
    ) -> Redaction {
        Redaction { what, keep, patterns, key }
    }

    /// Whether values of the class with this Java name stay.
    pub(crate) fn keeps(&self, class: &str) -> bool {
        self.keep.iter().any(|p| p.fits(class))
    }

    /// Whether texts of this class are replaced as a whole.
    pub(crate) fn hides_texts_of(&self, class: &str) -> bool {
        self.what.strings && !self.keeps(class)
    }

    /// Whether numbers in objects or frames of this class are replaced.
    pub(crate) fn hides_numbers_of(&self, class: &str) -> bool {
        self.what.primitives && !self.keeps(class)
    }

    /// Whether there is something in texts to look for.
    pub(crate) fn touches_texts(&self) -> bool {
        self.what.strings || !self.patterns.is_empty()
    }

    /// What it does, to be told.
    pub(crate) fn summary(&self) -> Redacted {
        Redacted {
            what: self.what,
            patterns: self.patterns.len(),
            kept: self.keep.len(),
            tokens: self.key.is_some(),
        }
    }

    /// A text that people read, of an object or a frame of `class`: replaced, or as it is.
    pub(crate) fn shown<'t>(&self, class: &str, text: &'t str) -> Cow<'t, str> {
        match self.hides_texts_of(class) {
            true => Cow::Owned(self.hidden(text)),
            false => self.scanned(text),
        }
    }

    /// As many `*`, or letters of a token.
    pub(crate) fn hidden(&self, text: &str) -> String {
        let units = text.chars().count();
        let Some(key) = &self.key else { return "*".repeat(units) };
        let mut token = match text.chars().map(u8::try_from).collect::<Result<Vec<u8>, _>>() {
            Ok(latin1) => {
                let digest = key.digest(Form::Bytes, &[&latin1]);
                key.token(digest).take(units).collect::<Vec<u8>>()
            }
            Err(_) => {
                let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                key.token(key.digest(Form::Chars, &[&wide])).take(units).collect()
            }
        };
        String::from_utf8(std::mem::take(&mut token)).unwrap_or_default()
    }

    /// With what fits a pattern replaced.
    fn scanned<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for pattern in &self.patterns {
            spans.extend(pattern.find_iter(text).map(|m| (m.start(), m.end())));
        }
        spans.retain(|(from, to)| from < to);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        spans.sort_unstable();
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        let mut left = spans.into_iter().peekable();
        while let Some((from, mut to)) = left.next() {
            while let Some((_, end)) = left.next_if(|next| next.0 < to) {
                to = to.max(end);
            }
            out += &text[at..from];
            out += &self.hidden(&text[from..to]);
            at = to;
        }
        out += &text[at..];
        Cow::Owned(out)
    }
}

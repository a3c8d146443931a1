//! Texts as they lie in arrays: replaced as a whole, or what fits a pattern.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::Redaction;
use super::key::{Digest, Form, Key};
use crate::heap::Heap;

/// So far a pattern looks over the border of a block of a large array.
const OVERLAP: usize = 4096;

/// A stretch that fits, and how its units lie: bytes each, and where of them the letter is.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    width: usize,
    letter: usize,
}

/// Place to decode a text, used again.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    text: String,
    spans: Vec<Span>,
}

/// The texts of a heap, and the few that stay: threads' names.
#[derive(Debug)]
pub(crate) struct Texts<'r> {
    redaction: &'r Redaction,
    names: HashSet<u64>,
}

impl<'r> Texts<'r> {
    /// `unmounted` are virtual threads without carriers, whose names stay as well.
    pub(crate) fn new(heap: &Heap, redaction: &'r Redaction, unmounted: &[u64]) -> Texts<'r> {
        let vm = heap.vm;
        let running = heap.threads.iter().flat_map(|t| [t.object, t.mounted]);
        let threads = running.filter(|t| *t != 0).chain(unmounted.iter().copied());
        let name = |t| vm.characters_of(vm.oop_field(t, "name").filter(|n| *n != 0)?);
        Texts { redaction, names: threads.filter_map(name).collect() }
    }

    /// Of the array at `addr` its elements, as they lie in the heap: with all replaced (`whole`), or what fits a pattern.
    pub(crate) fn redact<'w>(
        &self,
        addr: u64,
        (form, whole): (Form, bool),
        elements: &[u8],
        window: &'w mut Window,
    ) -> &'w [u8] {
        window.bytes.clear();
        window.bytes.extend_from_slice(elements);
        if !self.names.contains(&addr) {
            match (whole, &self.redaction.key) {
                (true, None) => window.bytes.fill(0),
                (true, Some(key)) => {
                    let digest = key.digest(form, &[elements]);
                    fill(key, digest, form, 0, &mut window.bytes);
                }
                (false, _) => window.scan(self.redaction, form),
            }
        }
        &window.bytes
    }

    /// The same of an array that comes in blocks.
    pub(crate) fn passage(&self, addr: u64, form: Form, whole: bool) -> Passage<'_> {
        let way = match (self.names.contains(&addr), whole, &self.redaction.key) {
            (true, ..) => Way::Keep,
            (_, true, None) => Way::Zero,
            (_, true, Some(key)) => Way::Token { key, digest: key.begin(form) },
            (_, false, _) => Way::Scan { before: Vec::new() },
        };
        Passage { redaction: self.redaction, form, way }
    }
}

/// A large array's text, block by block.
pub(crate) struct Passage<'t> {
    redaction: &'t Redaction,
    form: Form,
    way: Way<'t>,
}

enum Way<'t> {
    Keep,
    Zero,
    /// The digest of all, once `add` has had it.
    Token {
        key: &'t Key,
        digest: Digest,
    },
    /// The end of the block before.
    Scan {
        before: Vec<u8>,
    },
}

impl Passage<'_> {
    /// Whether [`Passage::add`] must be given the whole text before the first block.
    pub(crate) fn reads_ahead(&self) -> bool {
        matches!(self.way, Way::Token { .. })
    }

    /// The text, piece by piece.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        if let Way::Token { digest, .. } = &mut self.way {
            digest.add(piece);
        }
    }

    /// So many bytes behind a block decide what in it fits.
    pub(crate) fn behind(&self) -> usize {
        if matches!(self.way, Way::Scan { .. }) { OVERLAP } else { 0 }
    }

    /// The next block, which starts at the byte `at` of the text, replaced; `behind` is what follows it.
    pub(crate) fn block<'w>(
        &mut self,
        at: u64,
        block: &[u8],
        behind: &[u8],
        window: &'w mut Window,
    ) -> &'w [u8] {
        let bytes = &mut window.bytes;
        bytes.clear();
        match &mut self.way {
            Way::Keep => bytes.extend_from_slice(block),
            Way::Zero => bytes.resize(block.len(), 0),
            Way::Token { key, digest } => {
                bytes.resize(block.len(), 0);
                fill(key, digest.end(), self.form, at, bytes);
            }
            Way::Scan { before } => {
                bytes.extend_from_slice(before);
                bytes.extend_from_slice(block);
                bytes.extend_from_slice(behind);
                let start = before.len();
                before.clear();
                before.extend_from_slice(&block[block.len().saturating_sub(OVERLAP)..]);
                window.scan(self.redaction, self.form);
                return &window.bytes[start..start + block.len()];
            }
        }
        &window.bytes
    }
}

/// The token from the byte `at` of a text on.
fn fill(key: &Key, digest: u128, form: Form, at: u64, to: &mut [u8]) {
    match form {
        Form::Bytes | Form::Words => {
            to.iter_mut().zip(key.token_from(digest, at)).for_each(|(t, l)| *t = l)
        }
        Form::Chars => {
            let units = to.as_chunks_mut::<2>().0.iter_mut();
            units.zip(key.token_from(digest, at / 2)).for_each(|(t, l)| *t = [l, 0]);
        }
    }
}

impl Window {
    /// Replaces what fits.
    fn scan(&mut self, redaction: &Redaction, form: Form) {
        self.spans.clear();
        match form {
            Form::Chars => self.find(redaction, Coding::Utf16 { letter: 0 }),
            Form::Bytes | Form::Words => {
                self.find(redaction, Coding::Latin1);
                if !self.bytes.is_ascii() {
                    self.find(redaction, Coding::Utf8);
                }
                self.find(redaction, Coding::Utf16 { letter: 0 });
                self.find(redaction, Coding::Utf16 { letter: 1 });
                if form == Form::Words {
                    self.find(redaction, Coding::Utf32);
                }
            }
        }
        // Of two that start together the longer one says how the units lie.
        self.spans.sort_unstable_by_key(|s| (s.start, Reverse(s.end), s.width));
        let mut left = self.spans.iter().copied().peekable();
        while let Some(mut span) = left.next() {
            while let Some(next) = left.next_if(|next| next.start < span.end) {
                span.end = span.end.max(next.end);
            }
            replace(redaction.key.as_ref(), span, &mut self.bytes);
        }
    }

    /// Adds the stretches of the bytes that fit when they are read so.
    fn find(&mut self, redaction: &Redaction, coding: Coding) {
        let Window { bytes, text, spans } = self;
        let read: &str = match (coding, std::str::from_utf8(bytes)) {
            (Coding::Latin1, Ok(ascii)) if bytes.is_ascii() => ascii,
            (Coding::Utf8, Ok(all)) => all,
            _ => {
                text.clear();
                coding.read(bytes, text);
                text
            }
        };
        for pattern in &redaction.patterns {
            // Where the last one ended, in the text and among the bytes.
            let (mut seen, mut at) = (0, 0);
            for found in pattern.find_iter(read).filter(|f| !f.is_empty()) {
                at += coding.bytes(&read[seen..found.start()]);
                let end = at + coding.bytes(found.as_str());
                let (width, letter) = match coding {
                    Coding::Utf16 { letter } => (2, letter),
                    Coding::Utf32 => (4, 0),
                    Coding::Latin1 | Coding::Utf8 => (1, 0),
                };
                spans.push(Span { start: at, end, width, letter });
                (seen, at) = (found.end(), end);
            }
        }
    }
}

/// How bytes are read as text. Each character stands for as many bytes as [`Coding::bytes`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Latin1,
    Utf8,
    /// The lower byte of each unit comes first (0) or second (1).
    Utf16 {
        letter: usize,
    },
    /// Little-endian.
    Utf32,
}

/// Stands for what is no text: for one byte in UTF-8, for one unit in UTF-16 and UTF-32. No pattern is meant to fit it.
const UNREADABLE: char = '\u{0}';

impl Coding {
    fn read(self, bytes: &[u8], out: &mut String) {
        match self {
            Coding::Latin1 => out.extend(bytes.iter().map(|b| char::from(*b))),
            Coding::Utf8 => {
                for chunk in bytes.utf8_chunks() {
                    out.push_str(chunk.valid());
                    out.extend(chunk.invalid().iter().map(|_| UNREADABLE));
                }
            }
            Coding::Utf16 { letter } => {
                let units = bytes.as_chunks::<2>().0.iter();
                let units = units.map(|u| u16::from(u[letter]) | u16::from(u[1 - letter]) << 8);
                out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(UNREADABLE)));
            }
            Coding::Utf32 => {
                let units = bytes.as_chunks::<4>().0.iter().map(|u| u32::from_le_bytes(*u));
                out.extend(units.map(|u| char::from_u32(u).unwrap_or(UNREADABLE)));
            }
        }
    }

    /// How many bytes this text was read from.
    fn bytes(self, text: &str) -> usize {
        match self {
            Coding::Utf8 => text.len(),
            Coding::Latin1 => text.chars().count(),
            Coding::Utf32 => 4 * text.chars().count(),
            Coding::Utf16 { .. } => 2 * text.chars().map(char::len_utf16).sum::<usize>(),
        }
    }
}

fn replace(key: Option<&Key>, span: Span, bytes: &mut [u8]) {
    let bytes = &mut bytes[span.start..span.end];
    let digest = key.map(|key| {
        // The same text has the same token, however many bytes each of its letters has.
        let letters: Vec<u8> =
            bytes.iter().copied().skip(span.letter).step_by(span.width).collect();
        let zeroes = bytes.iter().filter(|b| **b == 0).count();
        let is_narrow = !letters.contains(&0) && zeroes == bytes.len() - letters.len();
        let form = if is_narrow { Form::Bytes } else { Form::Chars };
        (key, key.digest(form, &[if is_narrow { &letters } else { bytes }]))
    });
    let mut token = digest.map(|(key, digest)| key.token(digest));
    for unit in bytes.chunks_mut(span.width) {
        unit.fill(0);
        if let Some(to) = unit.get_mut(span.letter) {
            *to = token.as_mut().and_then(Iterator::next).unwrap_or(b'*');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::redact::What;

    fn redaction(what: What, pattern: &[&str], key: Option<&[u8]>) -> Redaction {
        let patterns = pattern.iter().map(|p| p.parse().expect("a pattern")).collect();
        let key = key.map(|k| Key::new(k).expect("a key"));
        Redaction::new(what, Vec::new(), patterns, key)
    }

    fn redacted(redaction: &Redaction, form: Form, whole: bool, text: &[u8]) -> Vec<u8> {
        let texts = Texts { redaction, names: HashSet::from([8]) };
        let mut window = Window::default();
        assert_eq!(texts.redact(8, (form, whole), text, &mut window), text, "a thread's name");
        let once = texts.redact(16, (form, whole), text, &mut window).to_vec();
        // In blocks of any size the same.
        for step in [2, 6, 1000] {
            let mut passage = texts.passage(16, form, whole);
            text.chunks(step).for_each(|piece| passage.add(piece));
            let mut out: Vec<u8> = Vec::new();
            for (i, block) in text.chunks(step).enumerate() {
                let rest = &text[i * step + block.len()..];
                let behind = &rest[..rest.len().min(passage.behind())];
                out.extend(passage.block((i * step) as u64, block, behind, &mut window));
            }
            // Only the last block is scanned with less before it than there is.
            if whole || text.len() < OVERLAP && step > text.len() {
                assert_eq!(out, once, "in blocks of {step}");
            }
        }
        once
    }

    fn wide(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    }

    const ALL: What = What { strings: true, primitives: true };
    const NONE: What = What { strings: false, primitives: false };

    #[test]
    fn a_whole_text_is_zeroed_or_becomes_a_token_of_its_length() {
        let zero = redaction(ALL, &[], None);
        assert_eq!(redacted(&zero, Form::Bytes, true, b"hunter2"), [0; 7]);
        let keyed = redaction(ALL, &[], Some(&[1; 16]));
        let one = redacted(&keyed, Form::Bytes, true, b"hunter2");
        assert_eq!(one, redacted(&keyed, Form::Bytes, true, b"hunter2"));
        assert_ne!(one, redacted(&keyed, Form::Bytes, true, b"hunter3"));
        assert_eq!(one, keyed.hidden("hunter2").as_bytes());
        assert!(one.len() == 7 && one.is_ascii());
        let text = "a \u{4e16}".repeat(20);
        let chars = redacted(&keyed, Form::Chars, true, &wide(&text, u16::to_le_bytes));
        assert!(chars.chunks(2).all(|c| c[0].is_ascii_graphic() && c[1] == 0));
        let letters: Vec<u8> = chars.iter().copied().step_by(2).collect();
        assert_eq!(letters, keyed.hidden(&text).as_bytes());
    }

    #[test]
    fn what_fits_is_replaced_however_it_is_written() {
        let found = redaction(NONE, &[r"\b\d{4}-\d{4}\b", "k\u{e9}y=\\w+"], None);
        let text = "card 1234-5678, 12345-6789, k\u{e9}y=abc.";
        let want = "card *********, 12345-6789, *******.";
        let latin1: Vec<u8> = text.chars().map(|c| c as u8).collect();
        assert_eq!(redacted(&found, Form::Bytes, false, &latin1), want.as_bytes());
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let there = redacted(&found, Form::Bytes, false, &wide(text, order));
            assert_eq!(there, wide(want, order));
        }
        let there = redacted(&found, Form::Chars, false, &wide(text, u16::to_le_bytes));
        assert_eq!(there, wide(want, u16::to_le_bytes));
        // In UTF-8 the accent has two bytes.
        let there = redacted(&found, Form::Bytes, false, text.as_bytes());
        assert_eq!(there, want.replace("*******.", "********.").as_bytes());
        assert_eq!(found.shown("X", text), want);
        let four =
            |text: &str| text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect::<Vec<u8>>();
        assert_eq!(redacted(&found, Form::Words, false, &four(text)), four(want));
        assert_eq!(redacted(&found, Form::Bytes, false, b"nothing 12"), b"nothing 12");
    }

    #[test]
    fn what_fits_has_the_same_token_in_every_text() {
        let found = redaction(NONE, &["[0-9]{6}"], Some(&[3; 40]));
        let one = redacted(&found, Form::Bytes, false, b"a 123456");
        let other = redacted(&found, Form::Bytes, false, b"123456!");
        assert_eq!(one[2..], other[..6]);
        assert_ne!(one[2..], *b"123456");
        let chars = redacted(&found, Form::Chars, false, &wide("123456", u16::to_le_bytes));
        assert_eq!(chars, wide(std::str::from_utf8(&one[2..]).expect("letters"), u16::to_le_bytes));
        assert_eq!(found.shown("X", "123456").as_bytes(), &one[2..]);
    }

    #[test]
    fn what_lies_on_a_border_is_found() {
        let found = redaction(NONE, &["secret[0-9]+"], None);
        let texts = Texts { redaction: &found, names: HashSet::new() };
        let mut text = vec![b'.'; 3 * OVERLAP];
        text[2 * OVERLAP - 3..][..9].copy_from_slice(b"secret123");
        let (mut passage, mut window) = (texts.passage(8, Form::Bytes, false), Window::default());
        let mut out: Vec<u8> = Vec::new();
        for (i, block) in text.chunks(2 * OVERLAP).enumerate() {
            let rest = &text[i * 2 * OVERLAP + block.len()..];
            let behind = &rest[..rest.len().min(passage.behind())];
            out.extend(passage.block(0, block, behind, &mut window));
        }
        text[2 * OVERLAP - 3..][..9].fill(b'*');
        assert!(out == text);
    }
}

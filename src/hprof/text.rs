//! Names as the file has them, and as people write them.

use crate::graph::PRIMITIVES;

/// Text of modified UTF-8: zero takes two bytes, and a character beyond 16 bits is a pair of surrogates, each of three.
/// What is neither that nor UTF-8 becomes a replacement character.
pub(super) fn modified_utf8(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut units: Vec<u16> = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let (unit, len) = match *rest {
            [a @ 0..=0x7f, ..] => (u16::from(a), 1),
            [a @ 0xc0..=0xdf, b @ 0x80..=0xbf, ..] => {
                (u16::from(a & 31) << 6 | u16::from(b & 63), 2)
            }
            [a @ 0xe0..=0xef, b @ 0x80..=0xbf, c @ 0x80..=0xbf, ..] => {
                (u16::from(a & 15) << 12 | u16::from(b & 63) << 6 | u16::from(c & 63), 3)
            }
            _ => match plain(rest, first) {
                Some((c, len)) => {
                    let mut pair = [0; 2];
                    let pair = c.encode_utf16(&mut pair);
                    units.extend_from_slice(pair);
                    rest = rest.get(len..).unwrap_or_default();
                    continue;
                }
                None => (char::REPLACEMENT_CHARACTER as u16, 1),
            },
        };
        units.push(unit);
        rest = rest.get(len..).unwrap_or_default();
    }
    String::from_utf16_lossy(&units)
}

/// A character of four bytes, as others than the JVM write it.
fn plain(rest: &[u8], first: u8) -> Option<(char, usize)> {
    let four = rest.get(..4).filter(|_| first >= 0xf0)?;
    std::str::from_utf8(four).ok()?.chars().next().map(|c| (c, 4))
}

/// A class's name, from whatever form the file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClassName {
    /// As Java code has it, with dots; of an array its element's, `int` for a primitive one.
    pub element: String,
    /// How deep an array is; 0 for other classes.
    pub depth: usize,
    /// The first character of the elements' signature if they are primitive.
    pub primitive: Option<u8>,
}

impl ClassName {
    /// HotSpot writes `[Ljava/lang/String;`, Android `java.lang.String[]`.
    pub(super) fn parse(text: &str) -> ClassName {
        let inner = text.trim_start_matches('[');
        let mut depth = text.len() - inner.len();
        let mut element = inner;
        let mut primitive = None;
        if depth > 0 {
            let named = |p: &&(u8, &str)| inner.as_bytes() == [p.0];
            if let Some((code, name)) = PRIMITIVES.iter().find(named) {
                (element, primitive) = (name, Some(*code));
            } else if let Some(class) = inner.strip_prefix('L') {
                element = class.strip_suffix(';').unwrap_or(class);
            }
        } else {
            while let Some(shorter) = element.strip_suffix("[]") {
                (element, depth) = (shorter, depth + 1);
            }
            let code = PRIMITIVES.iter().find(|p| depth > 0 && p.1 == element);
            primitive = code.map(|p| p.0);
        }
        // What sets a hidden class apart follows a slash, which in the Symbol is a plus sign.
        let mut element = match element.rsplit_once("+0x") {
            Some((class, address)) => format!("{}/0x{address}", class.replace('/', ".")),
            None => element.replace('/', "."),
        };
        if let Some((class, address)) = element.rsplit_once(".0x")
            && is_hex(address)
        {
            element = format!("{class}/0x{address}");
        }
        ClassName { element, depth, primitive }
    }

    /// `java.lang.String[]`.
    pub(super) fn in_java(&self) -> String {
        self.element.clone() + &"[]".repeat(self.depth)
    }

    /// `[Ljava.lang.String;`, as `jmap -histo` prints it.
    pub(super) fn in_histogram(&self) -> String {
        let brackets = "[".repeat(self.depth);
        match (self.depth, self.primitive) {
            (0, _) => self.element.clone(),
            (_, Some(code)) => format!("{brackets}{}", char::from(code)),
            (_, None) => format!("{brackets}L{};", self.element),
        }
    }

    /// Whether the VM made it at run time with a life of its own.
    pub(super) fn is_hidden(&self) -> bool {
        self.element.rsplit_once('/').is_some_and(|(_, address)| address.starts_with("0x"))
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_all_forms() {
        for (text, java, histogram) in [
            ("java/lang/String", "java.lang.String", "java.lang.String"),
            ("java.lang.String", "java.lang.String", "java.lang.String"),
            ("[Ljava/lang/String;", "java.lang.String[]", "[Ljava.lang.String;"),
            ("java.lang.String[][]", "java.lang.String[][]", "[[Ljava.lang.String;"),
            ("[[I", "int[][]", "[[I"),
            ("byte[]", "byte[]", "[B"),
            ("I", "I", "I"),
            ("A$$Lambda+0x00007f01", "A$$Lambda/0x00007f01", "A$$Lambda/0x00007f01"),
            ("A$$Lambda/0x00007f01", "A$$Lambda/0x00007f01", "A$$Lambda/0x00007f01"),
            ("[", "[]", "[L;"),
            ("", "", ""),
        ] {
            let name = ClassName::parse(text);
            assert_eq!((name.in_java().as_str(), name.in_histogram().as_str()), (java, histogram));
        }
        assert!(ClassName::parse("a/B+0x7f").is_hidden() && !ClassName::parse("a/B").is_hidden());
    }

    #[test]
    fn text_of_modified_utf8() {
        assert_eq!(modified_utf8(b"plain"), "plain");
        assert_eq!(modified_utf8("gr\u{fc}n\u{20ac}".as_bytes()), "gr\u{fc}n\u{20ac}");
        assert_eq!(modified_utf8(b"a\xc0\x80b"), "a\0b");
        assert_eq!(modified_utf8(b"\xed\xa0\xbd\xed\xb8\x80"), "\u{1f600}");
        assert_eq!(modified_utf8(b"\xc0\x80\xf0\x9f\x98\x80"), "\0\u{1f600}");
        assert_eq!(modified_utf8(b"\xff\xe2\x82"), "\u{fffd}\u{fffd}\u{fffd}");
    }
}

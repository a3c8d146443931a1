//! What people write to choose among objects: patterns of names, and numbers of bytes.

use std::str::FromStr;

/// Names in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl FromStr for Pattern {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Pattern, Self::Err> {
        Ok(Pattern(text.to_owned()))
    }
}

impl Pattern {
    /// Whether the whole name is one of them.
    pub(crate) fn fits(&self, name: &str) -> bool {
        let mut pieces = self.0.split('*');
        let first = pieces.next().unwrap_or("");
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        for piece in pieces {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// `4096`, `64K`, `1.5M`, `2G`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" => 10,
        "M" | "MB" => 20,
        "G" | "GB" => 30,
        unit => return Err(format!("{unit} is none of K, M, G")),
    };
    let number: f64 = digits.parse().map_err(|_| format!("{digits:?} is no number"))?;
    let bytes = number * (1u64 << shift) as f64;
    match bytes >= 0.0 && bytes < u64::MAX as f64 {
        true => Ok(bytes as u64),
        false => Err("out of range".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_the_whole_name() {
        let fits = |pattern: &str, name: &str| Pattern(pattern.into()).fits(name);
        for (pattern, name) in [
            ("a.B", "a.B"),
            ("a.*", "a.b.C"),
            ("*Map*", "java.util.HashMap$Node"),
            ("*.List", "x.List"),
            ("*", ""),
            ("a*b*c", "a-b-b-c"),
            ("*[]", "byte[]"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a.B", "a.BC"), ("a.*", "b.a.C"), ("*Map", "Map$Node"), ("ab*ba", "aba"), ("", "x")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn bytes_with_and_without_a_unit() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("64K"), Ok(65_536));
        assert_eq!(bytes("1.5mb"), Ok(3 << 19));
        assert!(bytes("1X").is_err() && bytes("").is_err() && bytes("-1").is_err());
        assert!(bytes("nan").is_err());
    }
}

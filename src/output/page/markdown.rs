//! The page as Markdown for an issue tracker: GitHub's and GitLab's.
//!
//! What the target says stands in code spans, in which nothing means anything; the two characters that would end one or
//! a table's cell are written as escapes.

use std::fmt::Write;

use super::document::{Block, Document, Line, Piece, Table};

/// The whole text.
pub(super) fn text(document: &Document) -> String {
    let mut out = format!("# {}\n\n", line(&document.title));
    for sentence in &document.summary {
        out.push_str(&line(sentence));
        out.push_str("\n\n");
    }
    for section in &document.sections {
        let _ = write!(out, "## {}\n\n", section.title);
        section.blocks.iter().for_each(|b| block(b, &mut out));
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn line(of: &Line) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Words(text) => text.clone(),
        Piece::Name(text) => code(text),
        Piece::Told(text) => told(text),
    };
    of.0.iter().map(piece).collect()
}

/// A sentence with all characters escaped that could mean something; and no name in it calls a user or makes a link.
fn told(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '@' => out.push_str("@\u{2060}"),
            ':' | '.' => {
                let _ = write!(out, "{c}");
                // `http://`, `www.name`: a space or an end follows ours.
                out.push('\u{2060}');
            }
            c if c.is_ascii_punctuation() && !"(),;%/+-'\"=?".contains(c) => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// A code span.
fn code(text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!("`{}`", plain(text)),
    }
}

/// As HTML, where Markdown does not go: names with all that could mean something as entities.
fn markup(of: &Line) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Words(text) => text.clone(),
        Piece::Name(text) | Piece::Told(text) => {
            let mut out = String::from("<code>");
            for c in text.chars() {
                match c.is_ascii_punctuation() && !"$-_.()".contains(c) {
                    true => out.push_str(&format!("&#{};", u32::from(c))),
                    false => out.push(c),
                }
            }
            out + "</code>"
        }
    };
    of.0.iter().map(piece).collect()
}

/// Without what ends a code span, a fence or a table's cell.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '`' | '|' => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

fn block(of: &Block, out: &mut String) {
    let _ = match of {
        Block::Line(text) => write!(out, "{}\n\n", line(text)),
        Block::Heading(text) => write!(out, "### {text}\n\n"),
        Block::Table(of) => {
            table(of, out);
            Ok(())
        }
        Block::Lines(lines) => write!(out, "```\n{}\n```\n\n", plain(&lines.join("\n"))),
        Block::Folded(summary, inside) => {
            let _ = write!(out, "<details><summary>{}</summary>\n\n", markup(summary));
            inside.iter().for_each(|b| block(b, out));
            write!(out, "</details>\n\n")
        }
        // The tables say it.
        Block::Map | Block::Flame | Block::Boxes(_) => Ok(()),
    };
}

fn table(of: &Table, out: &mut String) {
    let _ = write!(out, "{}:\n\n|", of.caption);
    of.head.iter().for_each(|(text, _)| out.extend([" ", text, " |"]));
    out.push_str("\n|");
    of.head.iter().for_each(|(_, n)| out.push_str(if *n { "---:|" } else { "---|" }));
    for row in &of.rows {
        out.push_str("\n|");
        row.iter().for_each(|cell| out.extend([" ", &line(cell), " |"]));
    }
    out.push_str("\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_nothing() {
        assert_eq!(code("a.B<T>@x *y* [z](u)"), "`a.B<T>@x *y* [z](u)`");
        assert_eq!(code("a`|\\|b"), "`a\\u{60}\\u{7c}\\\\u{7c}b`");
        assert_eq!(code(""), "");
    }
}

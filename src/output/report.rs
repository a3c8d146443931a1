//! Plain data made into aligned text: numbers for people, tables, and what could not be read.
//!
//! Knows no files and no terminal; the commands print what it answers.

use serde::Serialize;

use super::collection::{Collection, Task};
use super::dangling::{DanglingFrom, DanglingReferences};
use crate::address::{Address, hex};
use crate::corefile::{Missing, MissingReason, TruncatedSegment, Truncation};
use crate::error::{Advice, Wording, with_advice};
use crate::heap::{Caught, Damage, DamageKind, Part, Unread, WalkReport};
use crate::hotspot::gc::Space;
use crate::hprof::Loss;

/// Lines of one sort of trouble before "and N more".
const SHOWN: usize = 10;

/// `12,345,678`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1.2 GB`: powers of 1024, as the JVM's -Xmx has them.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would print as 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1.2 GB (1,234,567,890 bytes)`.
pub(crate) fn size_exact(bytes: u64) -> String {
    match bytes {
        1 => "1 byte".into(),
        0..1024 => format!("{bytes} bytes"),
        _ => format!("{} ({} bytes)", size(bytes), number(bytes)),
    }
}

/// `1 class`, `2 classes`: `n` things, with the plural given.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// `3 d 4 h 5 min`, `12.3 s`: the two or three largest parts of a duration in ms.
pub(crate) fn duration(ms: u64) -> String {
    let s = ms / 1000;
    let (d, h, m) = (s / 86400, s / 3600 % 24, s / 60 % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{}.{} s", s, ms % 1000 / 100),
        (0, 0, _) => format!("{m} min {} s", s % 60),
        (0, ..) => format!("{h} h {m} min"),
        _ => format!("{d} d {h} h {m} min"),
    }
}

/// `2026-11-24 06:35:12 UTC` of ms since 1970.
pub(crate) fn utc(ms: u64) -> String {
    let s = ms / 1000;
    // Years that start in March put the leap day last.
    let mut days = s / 86400 + 719_468;
    let era = days / 146_097;
    days %= 146_097;
    let of_era = (days - days / 1460 + days / 36_524 - days / 146_096) / 365;
    let of_year = days - (365 * of_era + of_era / 4 - of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = of_era + era * 400 + u64::from(month <= 2);
    let (h, m) = (s / 3600 % 24, s / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{:02} UTC", s % 60)
}

/// The text with control characters escaped: what a core holds must not steer a terminal.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// `java.util.HashMap @ 0x1234`, with what tells it from others; a class object as `class com.acme.Order @ 0x1234`.
pub(crate) fn object_name(class: &str, address: u64, label: Option<&str>) -> String {
    let class = clean(class);
    match label.map(clean) {
        Some(of) if class == "java.lang.Class" => format!("class {of} @ {address:#x}"),
        Some(label) => format!("{class} @ {address:#x} ({label})"),
        None => format!("{class} @ {address:#x}"),
    }
}

/// Rows under a head, as wide as their widest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    /// Columns that are aligned to the left; all others to the right.
    left: Vec<usize>,
}

impl Table {
    /// A table with this head; `left` names the columns of text.
    pub(crate) fn new(head: &[&str], left: &[usize]) -> Table {
        Table { rows: vec![head.iter().map(|h| (*h).into()).collect()], left: left.into() }
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|c| clean(c)).collect());
    }

    /// All lines, two spaces between columns, none at the ends.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |c: usize| {
            let cells = self.rows.iter().filter_map(|r| r.get(c));
            cells.map(|s| s.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (c, cell) in row.iter().enumerate() {
                if c > 0 {
                    line.push_str("  ");
                }
                let pad = " ".repeat(widths[c] - cell.chars().count());
                match self.left.contains(&c) {
                    true => line.extend([cell.as_str(), &pad]),
                    false => line.extend([&pad, cell.as_str()]),
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Words filled into lines of at most `width` characters; a longer word gets its own line.
pub(crate) fn wrap(words: impl IntoIterator<Item = String>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(l) if l.chars().count() + 1 + word.chars().count() <= width => {
                l.push(' ');
                l.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// The first lines of many, and how many more there are.
pub(crate) fn first_lines(lines: impl ExactSizeIterator<Item = String>, all: u64) -> Vec<String> {
    let kept = lines.len().min(SHOWN) as u64;
    let mut out: Vec<String> = lines.take(SHOWN).collect();
    if all > kept {
        out.push(format!("and {} more", number(all - kept)));
    }
    out
}

/// A mapping whose pages are neither in the core nor in a file at hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingFile {
    /// The file that was mapped.
    pub path: String,
    /// Whether it is libjvm.so; the others are CDS archives.
    #[serde(skip)]
    pub is_libjvm: bool,
    /// First address.
    #[serde(serialize_with = "hex")]
    pub start: u64,
    /// First address after it.
    #[serde(serialize_with = "hex")]
    pub end: u64,
    /// How many bytes are nowhere.
    pub missing_bytes: u64,
    /// Why no file filled them.
    pub code: MissingReason,
    /// The same for people, with what was seen.
    pub text: String,
    /// What may be done.
    pub advice: Option<Advice>,
    /// The right file was found, but the process had perhaps changed them: no file has them.
    pub changed: bool,
    /// The files that were looked at.
    pub tried: Vec<String>,
}

impl From<&Missing> for MissingFile {
    fn from(m: &Missing) -> MissingFile {
        MissingFile {
            path: m.mapping.path.clone(),
            is_libjvm: m.mapping.is_libjvm(),
            start: m.mapping.start,
            end: m.mapping.end,
            missing_bytes: m.missing_bytes,
            code: m.why.code,
            text: m.why.text.clone(),
            advice: m.why.advice(),
            changed: m.changed,
            tried: m.tried.iter().map(|p| p.display().to_string()).collect(),
        }
    }
}

impl MissingFile {
    /// One line for people.
    pub fn line(&self, wording: Wording) -> String {
        format!(
            "{:#x}-{:#x} {}: {} missing: {}",
            self.start,
            self.end,
            self.path,
            size(self.missing_bytes),
            with_advice(&self.text, self.advice, wording)
        )
    }
}

/// What a core lacks whose end is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// All bytes that the program headers promise and the file does not hold.
    pub missing_bytes: u64,
    /// Those of them that belong to the notes (threads, mapped files).
    pub notes_missing_bytes: u64,
    /// The segments that it hits, by address.
    pub segments: Vec<CutSegment>,
    /// The same for people.
    pub text: String,
}

/// A segment whose last bytes are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CutSegment {
    /// First address.
    pub start: Address,
    /// Where the bytes that the core ought to hold end.
    pub end: Address,
    /// How many of them are missing.
    pub missing_bytes: u64,
    /// The file mapped there.
    pub file: Option<String>,
}

impl From<&Truncation> for Cut {
    fn from(t: &Truncation) -> Cut {
        let segment = |hit: &TruncatedSegment| CutSegment {
            start: Address(hit.start),
            end: Address(hit.end),
            missing_bytes: hit.missing,
            file: hit.name.clone(),
        };
        Cut {
            missing_bytes: t.missing_bytes,
            notes_missing_bytes: t.notes_missing,
            segments: t.hits.iter().map(segment).collect(),
            text: t.to_string(),
        }
    }
}

/// Damage of one sort in one space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DamageSum {
    /// Where.
    pub space: Space,
    /// Why.
    pub kind: DamageKind,
    /// Stretches.
    pub stretches: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Everything that a command could not read.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Gaps {
    /// Stretches of heap that were stepped over.
    pub damaged_stretches: u64,
    /// Their bytes.
    pub damaged_bytes: u64,
    /// The same by space and reason, of the stretches kept one by one.
    pub by_space: Vec<DamageSum>,
    /// The first stretches (up to 1000).
    pub stretches: Vec<Damage>,
    /// Metadata that could not be read.
    pub metadata: Vec<Unread>,
    /// What a cut-off core lacks.
    pub truncated: Option<Cut>,
    /// Mapped files that were not found.
    pub missing_files: Vec<MissingFile>,
    /// A garbage collection that was under way.
    pub collection: Option<Collection>,
    /// References and roots that lead to no object, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dangling: Option<DanglingReferences>,
}

impl Gaps {
    /// Gathers them.
    pub(crate) fn new(
        walk: &WalkReport,
        metadata: &[Unread],
        truncated: Option<&Truncation>,
        missing: &[Missing],
    ) -> Gaps {
        let mut by_space: Vec<DamageSum> = Vec::new();
        for d in &walk.damage {
            let (space, kind, bytes) = (d.space, d.kind, d.end.saturating_sub(d.start));
            match by_space.iter_mut().find(|s| (s.space, s.kind) == (space, kind)) {
                Some(sum) => {
                    sum.stretches += 1;
                    sum.bytes += bytes;
                }
                None => by_space.push(DamageSum { space, kind, stretches: 1, bytes }),
            }
        }
        by_space.sort_by_key(|s| (s.space, s.kind));
        Gaps {
            damaged_stretches: walk.damaged,
            damaged_bytes: walk.damaged_bytes,
            by_space,
            stretches: walk.damage.clone(),
            metadata: metadata.to_vec(),
            truncated: truncated.map(Cut::from),
            missing_files: missing.iter().map(MissingFile::from).collect(),
            collection: None,
            dangling: None,
        }
    }

    /// Of an HPROF file.
    pub(crate) fn of_dump(loss: &Loss) -> Gaps {
        Gaps {
            damaged_stretches: loss.holes,
            damaged_bytes: loss.hole_bytes,
            metadata: Part::Records.all(loss.notes()).collect(),
            ..Gaps::default()
        }
    }

    /// The same of a core that may have been taken in the middle of a collection.
    pub(crate) fn caught(self, caught: Option<Caught>, task: Task) -> Gaps {
        Gaps { collection: caught.map(|c| Collection::new(c, task)), ..self }
    }

    /// Nothing that was wanted is missing. A file that was not found or a cut in the core
    /// count only when they left damage: most of what they hold is never read.
    pub(crate) fn is_whole(&self) -> bool {
        let affected = self.collection.as_ref().is_some_and(|c| c.affected);
        let dangling = self.dangling.as_ref().is_some_and(|d| !d.is_none());
        let parsed = self.damaged_stretches == 0 || self.excused();
        parsed && self.metadata.is_empty() && !affected && !dangling
    }

    /// The stretches are those that a collection leaves behind, and no gap of this answer.
    fn excused(&self) -> bool {
        self.collection.as_ref().is_some_and(|c| c.excuses)
            && self.by_space.iter().all(|s| s.kind != DamageKind::NotSaved)
    }

    /// Lines for people; none where all is whole and no collection was under way.
    pub(crate) fn text(&self, wording: Wording) -> String {
        let mut out = String::new();
        if let Some(c) = &self.collection {
            out = c.text.clone() + "\n";
        }
        if self.is_whole() {
            return out;
        }
        let mut list = |head: String, lines: Vec<String>| {
            out.push_str(&clean(&head));
            out.push('\n');
            lines.iter().for_each(|l| out.extend(["  ", &clean(l), "\n"]));
        };
        if !self.by_space.is_empty() {
            let sums = self.by_space.iter().map(|s| {
                let n = count(s.stretches, "stretch", "stretches");
                format!("{}: {n}, {}: {}", s.space.name(), size_exact(s.bytes), s.kind.text())
            });
            let head = format!(
                "not readable: {} of heap in {}",
                size_exact(self.damaged_bytes),
                count(self.damaged_stretches, "stretch", "stretches")
            );
            let part = self.damaged_stretches > self.stretches.len() as u64;
            let of = format!(" (of the first {})", number(self.stretches.len() as u64));
            list(head + if part { &of } else { "" }, sums.collect());
            let lines = self.stretches.iter().map(|d| {
                let bytes = d.end.saturating_sub(d.start);
                let (space, why) = (d.space.name(), d.kind.text());
                format!("{:#x}-{:#x} {space}, {} bytes: {why}", d.start, d.end, number(bytes))
            });
            list("where:".into(), first_lines(lines, self.damaged_stretches));
        }
        if let Some(dangling) = self.dangling.as_ref().filter(|d| !d.is_none()) {
            let head = format!(
                "leading to no object: {} of {}, {}",
                count(dangling.references, "reference", "references"),
                count(dangling.holders, "object", "objects"),
                count(dangling.lost_roots, "root", "roots")
            );
            list(head, first_lines(dangling.from.iter().map(dangling_line), dangling.places));
        }
        if !self.metadata.is_empty() {
            let lines = self.metadata.iter().map(|u| u.line(wording));
            let head = match self.metadata.iter().all(|u| u.part == Part::Records) {
                true => "not readable in the file:",
                false => "metadata that is not readable:",
            };
            list(head.into(), first_lines(lines, self.metadata.len() as u64));
        }
        if let Some(t) = &self.truncated {
            list(t.text.clone(), Vec::new());
        }
        if !self.missing_files.is_empty() {
            let lines = self.missing_files.iter().map(|m| m.line(wording));
            let advice = wording(Advice::SayWhereFilesAre);
            let head = format!("mapped files that were not found ({advice}):");
            list(head, first_lines(lines, self.missing_files.len() as u64));
        }
        out
    }
}

fn dangling_line(from: &DanglingFrom) -> String {
    let kind = if from.is_static { "static " } else { "" };
    let field = from.field.as_ref().map_or("[]".into(), |name| format!(".{name}"));
    format!("{kind}{}{field}: {}", from.class, number(from.references))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([number(0), number(999), number(1000)], ["0", "999", "1,000"]);
        assert_eq!(number(12_345_678), "12,345,678");
        assert_eq!([size(1023), size(1024), size(1_048_575)], ["1023 B", "1.0 KB", "1.0 MB"]);
        assert_eq!(size(u64::MAX), "16.0 EB");
        assert_eq!([duration(950), duration(61_000)], ["0.9 s", "1 min 1 s"]);
        assert_eq!(duration(90_061_000), "1 d 1 h 1 min");
    }

    #[test]
    fn dates_with_leap_years() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_767_225_599_000), "2025-12-31 23:59:59 UTC");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00:00 UTC");
    }

    #[test]
    fn tables_line_up() {
        let mut t = Table::new(&["n", "name", "bytes"], &[1]);
        t.row(vec!["1".into(), "Größe".into(), "12".into()]);
        t.row(vec!["10".into(), "a".into(), "1,234".into()]);
        assert_eq!(t.text(), " n  name   bytes\n 1  Größe     12\n10  a      1,234\n");
    }

    #[test]
    fn many_lines_are_cut() {
        let lines = (0..12).map(|i| i.to_string()).collect::<Vec<_>>();
        let shown = first_lines(lines.into_iter(), 20);
        assert_eq!((shown.len(), shown[10].as_str()), (11, "and 10 more"));
    }
}

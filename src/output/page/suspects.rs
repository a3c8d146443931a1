//! The page's parts about what stands out, and about memory that does no work.

use std::cmp::Reverse;

use super::document::{Block, Line, Section, Table, shown};
use crate::output::leaks::{Leaks, Suspect, told};
use crate::output::report::{count, number, size};
use crate::output::waste::{Holder, Kind, Waste, words};

/// Classes of what a suspect holds that are shown.
const CLASSES: usize = 10;

/// The leak suspects in sentences, each with its path and what is in it.
pub(super) fn suspects(leaks: &Leaks, rows: usize) -> Section {
    let mut blocks = vec![Block::Line(Line::told(&leaks.text))];
    let rows = rows.min(10);
    for (i, suspect) in leaks.suspects.iter().take(rows).enumerate() {
        let title = format!("Suspect {}: {}, {:.1} %", i + 1, size(suspect.bytes), suspect.share);
        blocks.push(Block::Heading(title));
        one(suspect, &mut blocks);
    }
    let left = leaks.suspects.len().saturating_sub(rows) as u64;
    if left > 0 {
        let more = count(left, "suspect", "suspects");
        blocks.push(Block::Line(Line::words(format!("and {more} more"))));
    }
    Section { id: "suspects", title: "Leak suspects", blocks }
}

fn one(suspect: &Suspect, blocks: &mut Vec<Block>) {
    blocks.push(Block::Line(Line::told(&suspect.text)));
    blocks.extend(suspect.next.iter().map(|n| Block::Line(Line::told(&format!("Next: {n}")))));
    if !suspect.path.is_empty() {
        let steps = suspect.path.iter().map(|s| shown(&told(s))).collect();
        let title = Line::words("The path from a root to it");
        blocks.push(Block::Folded(title, vec![Block::Lines(steps)]));
    }
    if !suspect.classes.is_empty() {
        let mut table = Table::new("What is in it", &["#bytes", "#objects", "class"]);
        for of in suspect.classes.iter().take(CLASSES) {
            let (bytes, objects) = (number(of.bytes), number(of.objects));
            table.rows.push(vec![Line::words(bytes), Line::words(objects), Line::name(&of.class)]);
        }
        blocks.push(Block::Table(table));
    }
}

/// The summary's words about suspects; none where nothing stands out.
pub(super) fn sentence(leaks: &Leaks) -> Option<Line> {
    let first = leaks.suspects.first()?;
    let n = leaks.suspects.len() as u64;
    let holds = if n == 1 { "holds" } else { "hold" };
    let all = count(n, "leak suspect", "leak suspects");
    let share = leaks.explained_share;
    let line = Line::words(format!("{all} {holds} {share:.1} % of what is held; the first is "));
    let line = match (&first.field, &first.label) {
        (Some(field), _) => line.and_name(&format!("{}.{}", field.class, field.name)),
        (None, Some(label)) => line.and_name(&first.class).and(" ").and_name(label),
        (None, None) => line.and_name(&first.class),
    };
    Some(line.and(format!(": {}, {:.1} %.", size(first.bytes), first.share)))
}

/// What of the memory does no work: by kind, and by the fields that hold it.
pub(super) fn waste(waste: &Waste, rows: usize) -> Section {
    let mut blocks = vec![Block::Line(Line::words(format!(
        "{} of what is strongly held ({:.1} %) could be saved.",
        size(waste.saves),
        waste.share
    )))];
    let mut kinds = Table::new("What could be saved", &["#saves", "#share", "#objects", "kind"]);
    let mut holders: Vec<(&Holder, Kind)> = Vec::new();
    let mut values =
        Table::new("What is there several times", &["#saves", "#copies", "class", "value"]);
    let mut repeated = Vec::new();
    for of in &waste.kinds {
        let (name, what) = words(of.kind);
        kinds.rows.push(vec![
            Line::words(number(of.saves)),
            Line::words(format!("{:.1} %", of.share)),
            Line::words(number(of.objects)),
            Line::words(format!("{name}: {what}")),
        ]);
        holders.extend(of.holders.iter().map(|h| (h, of.kind)));
        repeated.extend(&of.values);
    }
    holders.sort_by_key(|(h, kind)| (Reverse(h.saves), *kind, &h.class, &h.field, &h.of));
    let mut fields =
        Table::new("The fields that hold it", &["#saves", "#objects", "kind", "what", "held by"]);
    for (holder, kind) in holders.into_iter().take(rows.min(25)) {
        let field = match holder.class.is_empty() {
            true => holder.field.clone(),
            false => format!("{}.{}", holder.class, holder.field),
        };
        let inside = if holder.inside { "in " } else { "" };
        fields.rows.push(vec![
            Line::words(number(holder.saves)),
            Line::words(number(holder.objects)),
            Line::words(words(kind).0),
            Line::name(&holder.of),
            Line::words(inside).and_name(&field),
        ]);
    }
    repeated.sort_by_key(|r| (Reverse(r.saves), &r.class, &r.value, r.length));
    for of in repeated.into_iter().take(rows.min(15)) {
        let value = match (&of.value, of.length) {
            (Some(value), _) => Line::name(value),
            (None, Some(length)) => Line::words(count(length, "element", "elements")),
            (None, None) => Line::words("–"),
        };
        values.rows.push(vec![
            Line::words(number(of.saves)),
            Line::words(number(of.copies)),
            Line::name(&of.class),
            value,
        ]);
    }
    blocks.extend(
        [kinds, fields, values].into_iter().filter(|t| !t.rows.is_empty()).map(Block::Table),
    );
    Section { id: "waste", title: "Waste", blocks }
}

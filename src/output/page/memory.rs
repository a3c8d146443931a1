//! The page's part about the process's memory: what is beside the Java heap.

use super::document::{Block, Boxes, Line, Section, Table, shown};
use crate::output::memory::{Part, Report, Row};
use crate::output::report::size;
use crate::output::retained::share;

/// Where the memory went: what stands out, the picture, the table.
pub(super) fn section(memory: &Report, rows: usize) -> Section {
    let total = memory.total.resident_bytes;
    let mut blocks = vec![Block::Line(Line::words(format!(
        "The process had {} in memory and {} in swap. Each byte is in one row; what is in use is told where it can be.",
        size(total),
        size(memory.total.swapped_bytes)
    )))];
    for finding in &memory.findings {
        let remedy =
            finding.remedy.as_ref().map_or(String::new(), |r| format!(" What to do: {r}."));
        blocks.push(Block::Line(Line::told(&format!("{}.{remedy}", finding.text))));
    }
    blocks.push(Block::Boxes(picture(memory)));
    blocks.push(Block::Table(table(memory, rows)));
    Section { id: "memory", title: "Where the process's memory went", blocks }
}

fn all(memory: &Report) -> impl Iterator<Item = (usize, Part, &Row)> {
    let parts = memory.parts.iter().enumerate();
    parts.flat_map(|(i, part)| part.rows.iter().map(move |row| (i, part.part, row)))
}

fn picture(memory: &Report) -> Boxes {
    let of = |(i, part, row): (usize, Part, &Row)| {
        let group = if part == Part::Unknown { 0 } else { i as u32 % 8 + 1 };
        // Of a path the end says most.
        let name = row.name.rsplit('/').next().unwrap_or(&row.name);
        (shown(&format!("{}: {name}", part.title())), row.bytes.resident_bytes, group)
    };
    let boxes = all(memory).map(of).filter(|b| b.1 > 0).collect();
    Boxes { label: "Treemap of the process's memory; the table below says the same".into(), boxes }
}

fn table(memory: &Report, rows: usize) -> Table {
    let total = memory.total.resident_bytes;
    let head = ["#in memory", "#share", "#reserved", "#in use", "what"];
    let mut table = Table::new("The process's memory", &head);
    let mut largest: Vec<_> = all(memory).collect();
    largest.sort_by_key(|(_, _, row)| std::cmp::Reverse(row.bytes.resident_bytes));
    for (_, part, row) in largest.into_iter().take(rows) {
        let resident = row.bytes.resident_bytes;
        table.rows.push(vec![
            Line::words(size(resident)),
            Line::words(format!("{:.1} %", share(resident, total))),
            Line::words(size(row.bytes.reserved_bytes)),
            Line::words(row.used_bytes.map_or("-".into(), size)),
            Line::words(format!("{}: ", part.title())).and_name(&row.name),
        ]);
    }
    table
}

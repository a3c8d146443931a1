//! The page's part about objects: who holds them, and of what classes they are.

use super::document::{Block, Line, Section, Table};
use super::{Page, html};
use crate::output::report::{self, count, number, size};
use crate::output::retained::{Group, Held, share};

impl Page {
    /// Who holds the memory: the picture, and the same in tables.
    pub(super) fn holders(&self, rows: usize) -> Section {
        let mut blocks = vec![
            Block::Line(Line::words(
                "An object retains what would be freed if it went: itself, and all that only it holds by strong \
                 references. Each box is as large as what it retains, and in it lies what it holds.",
            )),
            Block::Map,
            Block::Line(Line::words(format!(
                "What is below {} is one box with others of its kind. Sizes of what is in boxes with very many objects \
                 are estimated from some of them, and marked with ≈.",
                size(self.totals.bytes / 20_000)
            ))),
            Block::Table(self.first_level(rows)),
            Block::Table(held("Objects that retain the most", &self.largest, rows)),
        ];
        if !self.weaker.is_empty() {
            let caption = "Held by soft, weak, final or phantom references at most";
            blocks.push(Block::Table(held(caption, &self.weaker, rows.min(10))));
        }
        blocks.push(Block::Table(groups(
            "What kinds of roots hold",
            "kind of root",
            &self.roots,
            rows,
        )));
        Section { id: "holders", title: "Who holds the memory", blocks }
    }

    /// The treemap's first level as a table.
    fn first_level(&self, rows: usize) -> Table {
        let mut table = Table::new(
            "What no single object holds: the picture's first level",
            &["#bytes", "#share", "what"],
        );
        let mut nodes: Vec<_> = self.picture.inside(0).collect();
        nodes.sort_by_key(|n| std::cmp::Reverse(n.value));
        for node in nodes.into_iter().take(rows.min(25)) {
            let what = html::name(&self.picture, node);
            let what = match node.flags & super::picture::WORDS != 0 {
                true => Line::words(what),
                false => Line::name(&what),
            };
            table.rows.push(vec![
                Line::words(number(node.value)),
                Line::words(format!("{:.1} %", share(node.value, self.totals.bytes))),
                what,
            ]);
        }
        table
    }

    /// Classes by what their objects retain together.
    pub(super) fn top_classes(&self, rows: usize) -> Section {
        let mut blocks = vec![
            Block::Line(Line::words(
                "What the objects of a class retain together. Classes overlap: what a map holds, its entries hold, too.",
            )),
            Block::Table(groups("Classes that retain the most", "class", &self.classes, rows)),
        ];
        let left = self.class_count.saturating_sub(rows.min(self.classes.len()));
        if left > 0 {
            let more = format!("and {} more", count(left as u64, "class", "classes"));
            blocks.push(Block::Line(Line::words(more)));
        }
        Section { id: "classes", title: "Top classes", blocks }
    }

    /// Threads, where the input tells no more than what they hold.
    pub(super) fn graph_threads(&self, rows: usize) -> Section {
        let caption = "What threads hold: their locals, thread locals and the rest of them";
        let table = groups(caption, "thread", &self.threads, rows);
        Section { id: "threads", title: "Threads", blocks: vec![Block::Table(table)] }
    }

    /// The summary's sentence about the largest object.
    pub(super) fn largest_sentence(&self) -> Line {
        let Some(first) = self.largest.first() else {
            return Line::words("No object is strongly held.");
        };
        object(
            Line::words("Nothing stands out as a leak; the object that retains the most is "),
            first,
        )
        .and(format!(
            ": {}, {:.1} % of what is strongly held.",
            size(first.retained),
            first.share
        ))
    }

    /// And that about classes.
    pub(super) fn class_sentence(&self) -> Line {
        let Some(first) =
            self.classes.iter().max_by_key(|c| (c.shallow, std::cmp::Reverse(&c.name)))
        else {
            return Line::words("There are no objects of known classes.");
        };
        Line::words("Of all classes, most bytes are in ").and_name(&first.name).and(format!(
            ": {} in {}; {} ({:.1} % of what is strongly held) does no work and could be saved.",
            size(first.shallow),
            count(first.objects, "object", "objects"),
            size(self.found.waste.saves),
            self.found.waste.share
        ))
    }
}

/// An object with what tells it from others.
fn object(line: Line, of: &Held) -> Line {
    line.and_name(&report::object_name(&of.class, of.object, of.label.as_deref()))
}

fn held(caption: &str, all: &[Held], rows: usize) -> Table {
    let mut table = Table::new(caption, &["#retained", "#share", "#shallow", "#weaker", "object"]);
    for of in all.iter().take(rows.min(25)) {
        table.rows.push(vec![
            Line::words(number(of.retained)),
            Line::words(format!("{:.1} %", of.share)),
            Line::words(number(of.shallow)),
            Line::words(number(of.weaker)),
            object(Line::default(), of),
        ]);
    }
    table
}

/// Groups, a row each.
pub(super) fn groups(caption: &str, name: &str, all: &[Group], rows: usize) -> Table {
    let head = ["#retained", "#share", "#objects", "#shallow", "#weaker", name];
    let mut table = Table::new(caption, &head);
    for of in all.iter().take(rows) {
        table.rows.push(vec![
            Line::words(number(of.retained)),
            Line::words(format!("{:.1} %", of.share)),
            Line::words(number(of.objects)),
            Line::words(number(of.shallow)),
            Line::words(number(of.weaker)),
            Line::name(&of.name),
        ]);
    }
    table
}

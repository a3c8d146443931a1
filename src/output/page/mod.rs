//! All that a core or an HPROF file says, on one page: HTML that needs nothing but itself, or Markdown.
//!
//! A [`Page`] is gathered once: of any input by `Page::of_tree`, with what only a core has by [`CoreFacts`]. What it says
//! is a `document` of lines, tables and pictures; `html` and `markdown` write that down.
//!
//! Names and texts of the target are hostile: they are cut, cleaned and escaped wherever they stand.

mod document;
mod flame;
mod heap;
mod html;
mod markdown;
mod memory;
mod picture;
mod suspects;
mod threads;
mod treemap;
mod vm;

use crate::error::{Error, Result, Wording};
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph, Strength};
use crate::output::info::Info;
use crate::output::leaks::Leaks;
use crate::output::memory::Report as Memory;
use crate::output::report::{Gaps, count, size};
use crate::output::retained::{By, Group, Held, Totals, groups, objects, roots, share};
use crate::output::stack::ThreadDump;
use crate::output::waste::Waste;
use document::{Block, Document, Line, Section};
use picture::Picture;

/// Rows of a table at most.
const ROWS: usize = 50;

/// What only a core says.
pub struct CoreFacts {
    /// The process, the VM, its heap.
    pub info: Info,
    /// The threads.
    pub threads: ThreadDump,
    /// Where the process's memory went; none where the core does not say which pages were in memory.
    pub memory: Option<Memory>,
}

/// What others found in the same tree.
pub struct Findings {
    /// What stands out.
    pub leaks: Leaks,
    /// What does no work.
    pub waste: Waste,
}

/// All that the page says.
pub struct Page {
    /// The input's name.
    name: String,
    core: Option<CoreFacts>,
    found: Findings,
    /// Objects, garbage included.
    object_count: u64,
    totals: Totals,
    largest: Vec<Held>,
    weaker: Vec<Held>,
    classes: Vec<Group>,
    class_count: usize,
    roots: Vec<Group>,
    threads: Vec<Group>,
    picture: Picture,
    gaps: Gaps,
    sizes: Option<String>,
}

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One HTML file.
    Html,
    /// Markdown.
    Markdown,
}

/// A page as it is written, and what was left out of it.
pub struct Written {
    /// All of it.
    pub text: String,
    /// Boxes of the picture of who holds the memory, and how many of them are on the page.
    pub boxes: (usize, usize),
    /// Rows of each table at most.
    pub rows: usize,
}

impl Page {
    /// Gathers all that is on the page.
    pub(crate) fn of_tree<G: ObjectGraph, I: Id>(
        name: String,
        tree: &Dominators<'_, G, I>,
        core: Option<CoreFacts>,
        found: Findings,
        gaps: Gaps,
        sizes: Option<String>,
    ) -> Page {
        let all = vec![true; tree.graph().classes().len()];
        let mut objects = objects(tree, &Strength::ALL, ROWS, 1, &all).into_iter();
        let largest = objects.next().unwrap_or_default();
        let mut weaker: Vec<Held> = objects.flatten().collect();
        weaker.sort_by_key(|h| (std::cmp::Reverse(h.retained), h.object));
        weaker.truncate(ROWS);
        let mut classes = groups(tree, By::Class);
        let class_count = classes.len();
        classes.truncate(ROWS);
        Page {
            name,
            core,
            found,
            object_count: tree.graph().numbers().len(),
            totals: Totals::of(tree),
            largest,
            weaker,
            classes,
            class_count,
            roots: roots(tree),
            threads: crate::output::retained::threads(tree),
            picture: picture::of_heap(tree),
            gaps,
            sizes,
        }
    }

    /// How the sizes of objects were found, where the input does not have them.
    pub fn sizes(&self) -> Option<&str> {
        self.sizes.as_deref()
    }

    /// What could not be read.
    pub(crate) fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// Writes it in at most `limit` bytes. First the pictures get coarser, then the tables shorter.
    ///
    /// An error where the limit is below what the least of it takes.
    pub fn write(&self, form: Form, limit: usize, wording: Wording) -> Result<Written> {
        let flame = self.core.as_ref().map(|core| flame::of_threads(&core.threads));
        let mut rows = ROWS;
        loop {
            let document = self.document(rows, wording);
            let written = match form {
                Form::Html => self.html(&document, flame.as_ref().map(|f| &f.0), limit),
                Form::Markdown => (markdown::text(&document), 0),
            };
            if written.0.len() <= limit {
                let boxes = (self.picture.nodes.len(), written.1);
                return Ok(Written { text: written.0, boxes, rows });
            }
            if rows == 1 {
                let least = written.0.len();
                return Err(Error::usage(format!("the page takes {least} bytes at least")));
            }
            rows /= 2;
        }
    }

    /// The page, and how many boxes are on it.
    fn html(&self, document: &Document, flame: Option<&Picture>, limit: usize) -> (String, usize) {
        // A quarter of what is left is for the stacks, the rest for the heap.
        let pictures = |heap: (String, usize), threads: Option<String>| html::Pictures {
            heap: &self.picture,
            heap_json: heap,
            threads_json: threads,
        };
        let without =
            html::page(document, &pictures((String::new(), 0), flame.map(|_| String::new())));
        let left = limit.saturating_sub(without.len());
        let threads = flame.map(|f| f.json(left / 4).0);
        let left = left.saturating_sub(threads.as_ref().map_or(0, String::len));
        let heap = self.picture.json(left);
        let boxes = heap.1;
        (html::page(document, &pictures(heap, threads)), boxes)
    }

    fn document(&self, rows: usize, wording: Wording) -> Document {
        let mut sections = vec![
            suspects::suspects(&self.found.leaks, rows),
            self.holders(rows),
            self.top_classes(rows),
            suspects::waste(&self.found.waste, rows),
        ];
        match &self.core {
            Some(core) => {
                sections.push(threads::section(&core.threads, &self.threads, rows, wording));
                sections.extend(core.memory.as_ref().map(|m| memory::section(m, rows)));
                sections.extend(vm::sections(&core.info, rows));
            }
            None => sections.push(self.graph_threads(rows)),
        }
        sections.push(self.not_readable(wording));
        Document { title: self.title(), summary: self.summary(), sections }
    }

    fn title(&self) -> Line {
        let process = self.core.as_ref().and_then(|c| c.info.core.process.as_deref());
        match process {
            Some(process) => {
                Line::words("Report on ").and_name(process).and(" from ").and_name(&self.name)
            }
            None => Line::words("Report on ").and_name(&self.name),
        }
    }

    /// Five sentences.
    fn summary(&self) -> Vec<Line> {
        let t = &self.totals;
        let of = |bytes: u64| format!("{} ({:.1} %)", size(bytes), share(bytes, t.bytes));
        let weak = t.soft + t.weak + t.finalizable + t.phantom;
        let first = match &self.core {
            Some(core) => vm::sentence(&core.info),
            None => Line::words(
                "This is an HPROF file: it has the objects of a heap, and of the process and its VM nothing.",
            ),
        };
        let memory = Line::words(format!(
            "{} take {}: {} are strongly held, {} by weaker references at most, and {} is garbage that the next \
             collections free.",
            count(self.object_count, "object", "objects"),
            size(t.bytes),
            of(t.strong),
            of(weak),
            of(t.garbage)
        ));
        let threads = match &self.core {
            Some(core) => threads::sentence(&core.threads),
            None => Line::words(format!(
                "{} {} named; what they do is not in such a file, but for their stacks.",
                count(self.threads.len() as u64, "thread", "threads"),
                if self.threads.len() == 1 { "is" } else { "are" }
            )),
        };
        let suspect = suspects::sentence(&self.found.leaks);
        let suspect = suspect.unwrap_or_else(|| self.largest_sentence());
        vec![first, memory, suspect, self.class_sentence(), threads]
    }

    fn not_readable(&self, wording: Wording) -> Section {
        let mut blocks = Vec::new();
        let text = self.gaps.text(wording);
        match text.is_empty() {
            true => blocks.push(Block::Line(Line::words("Nothing: all of it was read."))),
            false => blocks.push(Block::Lines(text.lines().map(document::shown).collect())),
        }
        if let Some(sizes) = &self.sizes {
            blocks.push(Block::Line(Line::told(&format!("Sizes: {sizes}."))));
        }
        if self.core.is_none() {
            blocks.push(Block::Line(Line::words(
                "Only a core has them, so this page leaves them out: states of threads, locks and deadlocks, the flame \
                 graph, flags and properties, the collector and its spaces.",
            )));
        }
        Section { id: "gaps", title: "What was not readable", blocks }
    }
}

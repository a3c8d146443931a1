//! `rjcore export`: the heap as tables in Parquet files, for SQL. docs/parquet.md has each table and column.
//!
//! Rows are made of a graph ([`ObjectGraph`]) and its dominator tree in pieces of a million at most, encoded by all
//! threads, and written in order; the same input gives the same bytes at any number of threads. Besides the graph and the
//! tree there are in memory: what is encoded of two row groups for each thread, with a batch of rows as they are; 4
//! bytes an object for `objects` (8 where numbers take 8); 8 for each 1,024 objects.

mod file;
mod objects;
mod place;
mod plan;
mod refs;
mod rows;
mod schema;
mod small;
mod strings;
mod vm;

pub use objects::Region;
pub use place::{Partition, Place};
pub use schema::{Coding, Column, Kind, TABLES, Table, VERSION};
pub use small::Facts;
pub use vm::VmThreads;

use std::ops::Range;

use serde::Serialize;

use crate::error::Result;
use crate::graph::dominators::{Dominators, Rule, Watch};
use crate::graph::{Id, ObjectGraph};
use file::TableFile;
use objects::Objects;
use place::Files;
use refs::ClassFields;
use rows::Rows;
use strings::Strings;

/// What is written, and where.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// The tables, of [`TABLES`].
    pub tables: &'a [&'static Table],
    /// Where they go.
    pub place: &'a Place,
    /// Whether strings have their texts.
    pub texts: bool,
    /// Whether the graph shows texts otherwise than they are.
    pub redacted: bool,
    /// What `dump` says.
    pub facts: &'a Facts,
    /// Spaces by address; none where the input does not tell.
    pub regions: &'a [Region],
    /// What the VM says of threads; nothing where the input does not tell.
    pub threads: &'a VmThreads,
}

/// A table that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Its name.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its file.
    pub bytes: u64,
}

/// Whether tables need what is in frames, of a core.
pub fn needs_frames(tables: &[&'static Table]) -> bool {
    [&schema::THREADS, &schema::LOCALS, &schema::MONITORS].iter().any(|t| tables.contains(t))
}

/// Whether tables need a dominator tree.
pub fn needs_tree(tables: &[&'static Table]) -> bool {
    tables.contains(&&schema::OBJECTS)
}

/// Writes the tables. Without a tree there is no table `objects`. Sizes are the tree's, by its rule.
///
/// An error leaves no file that was not there before.
pub fn export<G: ObjectGraph, I: Id>(
    graph: &G,
    tree: Option<&Dominators<'_, G, I>>,
    pool: &rayon::ThreadPool,
    options: &Options<'_>,
    watch: Watch<'_>,
) -> Result<Vec<Written>> {
    let mut files = Files::new(options.place);
    let writer = Writer { graph, tree, pool, options, watch };
    let (mut written, mut tables) = (Vec::new(), TABLES.to_vec());
    tables.retain(|t| options.tables.contains(t) && (*t != &schema::OBJECTS || tree.is_some()));
    for table in tables {
        let mut file = TableFile::new(table, files.open(table)?)?;
        writer.write(table, &mut file)?;
        let (sink, rows, bytes) = file.finish()?;
        files.add(table, sink);
        written.push(Written { table: table.name, rows, bytes });
    }
    files.finish()?;
    Ok(written)
}

/// Writes tables one by one.
struct Writer<'w, 'g, G, I> {
    graph: &'w G,
    tree: Option<&'w Dominators<'g, G, I>>,
    pool: &'w rayon::ThreadPool,
    options: &'w Options<'w>,
    watch: Watch<'w>,
}

impl<G: ObjectGraph, I: Id> Writer<'_, '_, G, I> {
    fn write(&self, table: &'static Table, file: &mut TableFile) -> Result<()> {
        let &Writer { graph, tree, pool, options, watch } = self;
        let rule = tree.map(|t| t.rule());
        let objects = graph.numbers().len();
        let progress = |piece: &Range<u64>| (watch.add)(piece.end - piece.start);
        let even = |count: usize| plan::even(count as u64);
        match table.name {
            "dump" => {
                let fill = |_: &_, rows: &mut Rows<'_>| {
                    small::dump(graph, rule, options.facts, rows);
                };
                file.write(pool, &[()], fill, |()| ())
            }
            "classes" => {
                (watch.step)("counting", objects);
                let rule = rule.unwrap_or(Rule::Strong);
                let counted = pool.install(|| objects::count(graph, rule, watch.add));
                let fill = |piece: &_, rows: &mut Rows<'_>| {
                    objects::classes(graph, &counted, piece, rows);
                };
                file.write(pool, &even(counted.len()), fill, |_| ())
            }
            "class_fields" => {
                let fields = ClassFields::new(graph);
                let fill = |piece: &_, rows: &mut Rows<'_>| fields.fill(piece, rows);
                file.write(pool, &plan::even(fields.len()), fill, |_| ())
            }
            "objects" => match tree {
                Some(tree) => self.objects(tree, file),
                None => Ok(()),
            },
            "refs" => {
                (watch.step)("counting references", objects);
                let pieces = pool.install(|| refs::pieces(graph, watch.add));
                let fields = ClassFields::new(graph);
                (watch.step)("writing references", objects);
                let fill = |piece: &_, rows: &mut Rows<'_>| {
                    refs::fill(graph, &fields, piece, rows);
                };
                file.write(pool, &pieces, fill, |piece| (watch.add)(piece.objects()))
            }
            "roots" => {
                let fill = |piece: &_, rows: &mut Rows<'_>| small::roots(graph, piece, rows);
                file.write(pool, &even(graph.roots().len()), fill, |_| ())
            }
            "strings" => {
                (watch.step)("looking for strings", objects);
                let strings = Strings::new(graph, options.texts, options.redacted);
                let pieces = pool.install(|| strings.pieces(watch.add));
                (watch.step)("writing strings", objects);
                let fill = |piece: &_, rows: &mut Rows<'_>| strings.fill(piece, rows);
                file.write(pool, &pieces, fill, progress)
            }
            "threads" => {
                let fill =
                    |piece: &_, rows: &mut Rows<'_>| options.threads.threads(graph, piece, rows);
                file.write(pool, &even(graph.threads().len()), fill, |_| ())
            }
            "frames" => {
                let fill = |piece: &_, rows: &mut Rows<'_>| small::frames(graph, piece, rows);
                file.write(pool, &small::with_frames(graph), fill, |_| ())
            }
            "locals" => {
                let fill = |(): &_, rows: &mut Rows<'_>| options.threads.locals(graph, rows);
                file.write(pool, &[()], fill, |()| ())
            }
            "monitors" => {
                let fill = |(): &_, rows: &mut Rows<'_>| options.threads.monitors(graph, rows);
                file.write(pool, &[()], fill, |()| ())
            }
            "spaces" => {
                let fill = |(): &_, rows: &mut Rows<'_>| vm::spaces(options.regions, rows);
                file.write(pool, &[()], fill, |()| ())
            }
            _ => Ok(()),
        }
    }

    fn objects(&self, tree: &Dominators<'_, G, I>, file: &mut TableFile) -> Result<()> {
        let (numbers, watch) = (self.graph.numbers(), self.watch);
        let nodes = tree.count() * size_of::<I>() as u64;
        (watch.room)(nodes + tree.part_holders_memory())?;
        (watch.step)("looking for holders", 0);
        let objects = Objects::new(tree, self.options.regions);
        (watch.step)("writing objects", numbers.len());
        let fill = |piece: &_, rows: &mut Rows<'_>| objects.fill(piece, rows);
        let done = |piece: &Range<u64>| (watch.add)(piece.end - piece.start);
        file.write(self.pool, &plan::even(numbers.len()), fill, done)
    }
}

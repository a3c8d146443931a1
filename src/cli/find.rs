//! `rjcore find`: objects by an expression.

use std::io;

use serde::Serialize;

use super::Outcome;
use super::cost::{Cost, GraphSource};
use super::ending::{Answer, end, print_by, tell};
use super::holders::{self, GraphJob, Job, Reading, Text};
use super::progress::Progress;
use crate::error::{Error, Result};
use crate::graph::dominators::{Dominators, Rule};
use crate::graph::{Id, ObjectGraph};
use crate::heap::{Part, Unread};
use crate::output::find::{Found, Query, table};
use crate::output::report::count;

const EXAMPLES: &str = "\
Examples:
  rjcore find core.1234 'class=com.acme.* and retained>1MB'
  rjcore find core.1234 'is java.lang.Thread and field.daemon=false'
  rjcore find core.1234 'class=com.acme.Order and field.customer.name ~ \"^A\"' --show field.id,retained
  rjcore find core.1234 'text ~ \"password\"' --all
  rjcore find heap.hprof.gz 'class=byte[] and length>=64K' --count
  rjcore find core.1234 'strength=weak and not class=*[]' --json-lines | head

Expressions:
  class=PATTERN          the class's name; * stands for any characters
  is PATTERN             the class, one of its super classes or of its interfaces, as Java's
                         instanceof, which is the same here; of arrays also arrays of those
  retained, weaker       bytes that would be freed with the object, and that hang below it by weaker
                         references
  shallow                its own bytes
  length                 elements of an array, characters of a String, entries of a
                         collection
  strength=STRENGTH      strong, soft, weak, final, phantom; garbage is what nothing holds
  address                such as 0x7f0012345678
  text                   a String's text
  label                  the same; of a class object its class, of a thread its name
  field.NAME             a field's value; field.owner.name is a field of what field.owner refers to
  = != < <= > >=         compare; K, M and G stand for powers of 1024
  ~ !~                   fit a regular expression, anywhere in the text
  and or not ( )         combine
Text with spaces or parentheses goes in quotes, \"so\" or 'so'. An object that does not have what is
compared is not found: field.x!=1 finds what has an x that is not 1, and not field.x=1 all others, too.
What objects retain and how they are held takes longer, and is found only where it is named.";

/// Find objects by an expression over their class, size, holders, fields and text
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// Which objects, such as 'class=com.acme.* and retained>1MB'
    #[arg(value_name = "EXPR")]
    expression: String,
    /// Show the first N
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with_all = ["all", "count"])]
    top: usize,
    /// Show all of them
    #[arg(long, conflicts_with = "count")]
    all: bool,
    /// Only count them
    #[arg(long)]
    count: bool,
    /// Order by a number: retained, weaker, shallow, length, address or field.NAME, the largest
    /// first, of addresses the lowest [default: retained where it is known, else shallow]
    #[arg(long, value_name = "PROPERTY")]
    sort: Option<String>,
    /// What to show of them instead of what the expression names
    #[arg(long, value_name = "PROPERTY,...", value_delimiter = ',')]
    show: Option<Vec<String>>,
    #[command(flatten)]
    like: holders::Like,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Write the objects alone as JSON, each on a line of its own
    #[arg(long, conflicts_with_all = ["json", "count"])]
    json_lines: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    expression: String,
    rule: &'static str,
    #[serde(flatten)]
    found: Found,
}

impl Text for Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(table(&self.found).as_bytes())
    }

    fn note(&self) -> &'static str {
        match self.found.no_class_fits {
            true => {
                "note: no class has such objects; are its name and its fields' written right?\n"
            }
            false => "",
        }
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let top = match (self.all, self.count) {
            (true, _) => usize::MAX,
            (_, true) => 0,
            _ => self.top,
        };
        let query = Query::parse(&self.expression, top);
        let mut query = query.map_err(|e| Error::usage(e.text(&self.expression)))?;
        if let Some(show) = &self.show {
            query.show(show).map_err(|e| Error::usage(format!("--show: {e}")))?;
        }
        if let Some(sort) = &self.sort {
            query.sort(sort).map_err(|e| Error::usage(format!("--sort: {e}")))?;
        }
        let rule = self.like.rule();
        let work = Work { query: &query, rule };
        let (found, mut input) = match query.wants_tree() {
            true => holders::with_tree(&self.source, rule, work)?,
            false => holders::with_graph(&self.source, rule, work)?,
        };
        input.gaps.metadata.extend(gap(&found.unknown_interfaces));
        let report = input.with(Report {
            expression: self.expression.clone(),
            rule: self.like.name(),
            found,
        });
        if !self.json_lines {
            return end(&report, self.json);
        }
        print_by(|out| {
            for object in &report.answer.found.objects {
                serde_json::to_writer(&mut *out, object).map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        })?;
        tell(&report.remarks());
        Ok(report.outcome())
    }
}

/// That objects may be missing, as it is not known which classes implement interfaces.
fn gap(interfaces: &[String]) -> Option<Unread> {
    let (first, others) = interfaces.split_first()?;
    let others = match others.len() {
        0 => String::new(),
        n => format!(" (nor of {} more)", count(n as u64, "class", "classes")),
    };
    Some(Part::Interfaces.unread(format!(
        "what implements an interface is not told here: if {first} is one, objects of classes that implement it are not found{others}"
    )))
}

struct Work<'a> {
    query: &'a Query,
    rule: Rule,
}

impl Job for Work<'_> {
    type Answer = (Found, Reading);

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> (Found, Reading) {
        (self.query.in_tree(tree), input)
    }
}

impl GraphJob for Work<'_> {
    type Answer = (Found, Reading);

    fn work<G: ObjectGraph>(
        self,
        graph: &G,
        pool: &rayon::ThreadPool,
        input: Reading,
        _cost: &Cost,
    ) -> Result<(Found, Reading)> {
        let progress = Progress::of_objects("looking at objects", graph.numbers().len());
        let found = pool.install(|| self.query.in_graph(graph, self.rule, &|n| progress.add(n)));
        progress.finish();
        Ok((found, input))
    }
}

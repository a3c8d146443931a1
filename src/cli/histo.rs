//! `rjcore histo`: instances and bytes per class.

use std::fmt::Write;
use std::io;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ending::{Answer, end};
use super::fidelity::{self, Fidelity};
use super::progress::Progress;
use super::source::{Input, Source};
use super::{Outcome, advice};
use crate::address::Address;
use crate::error::{Error, Result};
use crate::heap::SpaceCount;
use crate::hotspot::gc::Space;
use crate::hprof::Dump;
use crate::output::collection::Task;
use crate::output::dangling::DanglingReferences;
use crate::output::fidelity::{SpaceFidelity, spaces};
use crate::output::histo::{Count, Row, histogram, of_dump};
use crate::output::report::{Gaps, Table, clean};

const EXAMPLES: &str = "\
Examples:
  rjcore histo core.1234 --top 20
  rjcore histo core.1234 --by-space --top 20
  rjcore histo heap.hprof.gz
  rjcore histo core.1234 --report lost.json      # what is not counted, and what that costs
  rjcore histo core.1234 --json | jq '.classes[:3]'";

/// Count instances and bytes per class, in the form of `jcmd PID GC.class_histogram -all`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: Source,
    /// Show the N classes with the most bytes only
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Count each space by itself: eden, survivor, young, old, regular, humongous, archive
    #[arg(long)]
    by_space: bool,
    #[command(flatten)]
    fidelity: fidelity::Args,
    /// Replace the report's FILE if it exists
    #[arg(long, requires = "report")]
    overwrite: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    total: Count,
    #[serde(skip_serializing_if = "Option::is_none")]
    spaces: Option<Value>,
    /// All of them, also those that --top leaves out.
    class_count: usize,
    classes: Vec<Value>,
    dormant: SpaceCount,
    /// How the sizes of objects were found, where the input does not have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    sizes: Option<String>,
    whole: bool,
    gaps: Gaps,
    /// The table, where that was asked for.
    #[serde(skip)]
    text: String,
}

impl Answer for Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(self.text.as_bytes())
    }

    fn remarks(&self) -> String {
        advice::remarks(self.sizes.as_deref(), &self.gaps)
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(self.whole)
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        self.fidelity.check(Some(&self.source.core), None, self.overwrite)?;
        let opened = match self.source.open_input()? {
            Input::Core(core) => core.restored(),
            Input::Dump(dump) => return self.of_dump(&dump),
        };
        let (rows, walk, metadata, caught, modules, spaces) = opened.with_heap(|heap| {
            self.fidelity.foresee(heap, Task::Counts, 0)?;
            let progress = Progress::new("counting", heap.used());
            let (rows, walk) = histogram(heap, self.source.threads(), &|n| progress.add(n))?;
            let (caught, modules) = (heap.caught(&walk), heap.vm.has_modules());
            let spaces = spaces(heap, &walk);
            Ok((rows, walk, heap.all_damaged(), caught, modules, spaces))
        })?;
        let gaps = Gaps::new(&walk, &metadata, opened.core.truncation(), &opened.missing)
            .caught(caught, Task::Counts);
        let report = self.report(&rows, gaps, walk.dormant, modules);
        self.end(&report, spaces)
    }

    fn of_dump(&self, dump: &Dump) -> Result<Outcome> {
        if self.by_space {
            let what = "--by-space: an HPROF file does not say in which space an object lies";
            return Err(Error::usage(what));
        }
        let mut gaps = Gaps::of_dump(dump.loss());
        if self.fidelity.counts() {
            let dangling = dump.dangling(self.source.threads())?;
            gaps.dangling = Some(DanglingReferences::of_dump(&dangling));
        }
        let mut report = self.report(&of_dump(dump), gaps, SpaceCount::default(), false);
        report.sizes = Some(dump.size_note());
        self.end(&report, Vec::new())
    }

    fn end(&self, report: &Report, spaces: Vec<SpaceFidelity>) -> Result<Outcome> {
        let found = Fidelity::new(spaces, &report.gaps, 0);
        let input = self.source.core.display().to_string();
        let shown = || end(report, self.json);
        self.fidelity.end(input, None, self.overwrite, &found, &report.gaps, shown)
    }

    fn report(&self, rows: &[Row], gaps: Gaps, dormant: SpaceCount, modules: bool) -> Report {
        let mut total = Row {
            class: "Total".into(),
            module: None,
            class_id: 0,
            count: Count::default(),
            spaces: Default::default(),
        };
        for row in rows {
            total.count.add(&row.count);
            total.spaces.iter_mut().zip(&row.spaces).for_each(|(a, b)| a.add(b));
        }
        let shown = &rows[..self.top.unwrap_or(rows.len()).min(rows.len())];
        Report {
            total: total.count,
            spaces: self.by_space.then(|| by_space(&total)),
            class_count: rows.len(),
            classes: shown.iter().map(|r| self.class(r)).collect(),
            dormant,
            sizes: None,
            whole: gaps.is_whole(),
            gaps,
            text: match (self.json, self.by_space) {
                (true, _) => String::new(),
                (false, true) => self.table(shown, &total).text(),
                (false, false) => histogram_text(shown, &total, modules),
            },
        }
    }

    fn class(&self, row: &Row) -> Value {
        let mut out = json!({
            "name": row.class,
            "module": row.module,
            "id": Address(row.class_id),
            "instances": row.count.instances,
            "bytes": row.count.bytes,
        });
        if self.by_space {
            out["spaces"] = by_space(row);
        }
        out
    }

    fn table(&self, rows: &[Row], total: &Row) -> Table {
        let spaces: Vec<Space> =
            if self.by_space { used_spaces(total).collect() } else { Vec::new() };
        let mut head = vec!["num".to_owned(), "#instances".into(), "#bytes".into()];
        for s in &spaces {
            head.extend([format!("#{}", s.name()), format!("{} bytes", s.name())]);
        }
        head.push("class name".into());
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let mut table = Table::new(&head, &[head.len() - 1]);
        let cells = |row: &Row| {
            let of = spaces.iter().map(|s| &row.spaces[*s as usize]);
            let counts = std::iter::once(&row.count).chain(of);
            counts.flat_map(|c| [c.instances.to_string(), c.bytes.to_string()]).collect()
        };
        for (i, row) in rows.iter().enumerate() {
            let numbers: Vec<String> = cells(row);
            let mut line = vec![format!("{}:", i + 1)];
            line.extend(numbers);
            line.push(with_module(row));
            table.row(line);
        }
        let numbers: Vec<String> = cells(total);
        let mut line = vec!["Total".to_owned()];
        line.extend(numbers);
        table.row(line);
        table
    }
}

/// `java.lang.String (java.base@17.0.15)`.
fn with_module(row: &Row) -> String {
    match &row.module {
        Some(module) => format!("{} ({module})", row.class),
        None => row.class.clone(),
    }
}

/// The text of `jcmd PID GC.class_histogram`, character for character: so that the two diff.
fn histogram_text(rows: &[Row], total: &Row, modules: bool) -> String {
    let of = if modules { " (module)" } else { "" };
    let head = format!(" num     #instances         #bytes  class name{of}");
    let mut out = format!("{head}\n{}\n", "-".repeat(head.len()));
    for (i, row) in rows.iter().enumerate() {
        let (n, bytes) = (row.count.instances, row.count.bytes);
        let _ = writeln!(out, "{:4}: {n:13}  {bytes:13}  {}", i + 1, clean(&with_module(row)));
    }
    let _ = writeln!(out, "Total {:13}  {:13}", total.count.instances, total.count.bytes);
    out
}

fn used_spaces(total: &Row) -> impl Iterator<Item = Space> {
    Space::ALL.into_iter().filter(|s| total.spaces[*s as usize].instances > 0)
}

fn by_space(row: &Row) -> Value {
    let entry = |s: Space| {
        let c = &row.spaces[s as usize];
        (s.name().to_owned(), json!({ "instances": c.instances, "bytes": c.bytes }))
    };
    let counted = |s: &Space| row.spaces[*s as usize].instances > 0;
    Value::Object(Space::ALL.into_iter().filter(counted).map(entry).collect::<Map<_, _>>())
}

//! `rjcore export`: the heap as tables in Parquet files.

use std::io;
use std::path::PathBuf;

use serde::Serialize;

use super::cost::{Cost, GraphSource};
use super::ending::end;
use super::holders::{self, GraphJob, Job, OfInput, OpenCore, Reading, Text};
use super::source::plain_name;
use super::{Outcome, who};
use crate::error::{Error, Result};
use crate::graph::dominators::{Dominators, Watch};
use crate::graph::{Id, ObjectGraph};
use crate::heap::Heap;
use crate::hprof::Dump;
use crate::output::export::{
    Facts, Options, Partition, Place, Region, TABLES, Table, VERSION, VmThreads, Written, export,
    needs_frames, needs_tree,
};
use crate::output::info::{Info, VmInfo};
use crate::output::interrupt;
use crate::output::report::{Table as TextTable, number};
use crate::output::stack;

const EXAMPLES: &str = "\
Examples:
  rjcore export core.1234 -o tables
  rjcore export heap.hprof.gz -o tables --tables objects,classes
  rjcore export 4711 -o tables --text                # of a live JVM, with the strings' texts
  rjcore export core.1234 -o fleet --partition --host db-1 --name 2026-11-30
  duckdb -c \"SELECT name, instances, shallow FROM 'tables/classes.parquet' ORDER BY 3 DESC LIMIT 20\"

There is a file for each table: DIR/objects.parquet. With --partition those of many dumps may lie in
one directory: DIR/objects/host=db-1/dump=2026-11-30/part-0.parquet. docs/parquet.md has the tables
and their columns, docs/cookbook.md queries for DuckDB.";

/// Write the heap as tables in Parquet files, for DuckDB, Spark and others
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// The directory that the tables go to; it is made where it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Write these tables only, with commas between them: all but objects take no search for who
    /// holds whom
    #[arg(long, value_name = "TABLES", value_delimiter = ',', value_parser = table)]
    tables: Vec<&'static Table>,
    /// Write the texts of strings, too; they may hold secrets, see --redact
    #[arg(long)]
    text: bool,
    /// Set the dump apart from others in DIR: each table in DIR/TABLE/host=HOST/dump=NAME
    #[arg(long)]
    partition: bool,
    /// The machine that the process ran on [default: of a live JVM this one, else not known]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The dump's name among those in DIR [default: the input's own]
    #[arg(long, value_name = "NAME", requires = "partition")]
    name: Option<String>,
    /// Replace tables that are in DIR
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    like: holders::Like,
    /// Write the summary as JSON to standard output
    #[arg(long)]
    json: bool,
}

/// The table of this name.
fn table(name: &str) -> Result<&'static Table, String> {
    let found = TABLES.into_iter().find(|t| t.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = TABLES.iter().map(|t| t.name).collect();
        format!("the tables are {}", names.join(", "))
    })
}

/// What was written.
#[derive(Debug, Serialize)]
struct Report {
    directory: String,
    /// The version of the tables' schema.
    tables_version: i32,
    tables: Vec<Written>,
}

impl Text for Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut table = TextTable::new(&["table", "rows", "bytes"], &[0]);
        let bytes = self.tables.iter().map(|t| t.bytes).sum();
        for of in &self.tables {
            table.row(vec![of.table.into(), number(of.rows), number(of.bytes)]);
        }
        table.row(vec!["all".into(), String::new(), number(bytes)]);
        out.write_all(table.text().as_bytes())
    }
}

/// The job, with what the input tells besides objects.
struct Export<'a> {
    args: &'a Args,
    tables: Vec<&'static Table>,
    place: Place,
    redacted: bool,
    facts: Facts,
    regions: Vec<Region>,
    threads: VmThreads,
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let core = &self.source.source.core;
        let all = self.tables.is_empty();
        let tables: Vec<_> =
            TABLES.into_iter().filter(|t| all || self.tables.contains(t)).collect();
        let is_live = who::live(core)?.is_some();
        let host = self.host.clone().or_else(|| is_live.then(this_host).flatten());
        let name = || plain_name(core).to_string_lossy().into_owned();
        let partition = self.partition.then(|| Partition {
            host: host.clone(),
            dump: self.name.clone().unwrap_or_else(name),
        });
        let (directory, overwrite) = (self.output.clone(), self.overwrite);
        let place = Place { directory, partition, overwrite };
        place.check(&tables)?;
        interrupt::install().map_err(Error::io("signal handlers".as_ref()))?;
        let (file, input) = (core.display().to_string(), if is_live { "live" } else { "hprof" });
        let job = Export {
            args: self,
            tables,
            place,
            redacted: self.source.redact.redaction()?.is_some(),
            facts: Facts { file, input, host, ..Facts::default() },
            regions: Vec::new(),
            threads: VmThreads::default(),
        };
        let report = match needs_tree(&job.tables) {
            true => holders::with_tree(&self.source, self.like.rule(), job)??,
            false => holders::with_graph(&self.source, self.like.rule(), job)?,
        };
        end(&report, self.json)
    }
}

/// This machine's name.
fn this_host() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Some(name).filter(|n| !n.is_empty())
}

impl Export<'_> {
    fn read(&mut self, core: &OpenCore<'_>) -> Result<()> {
        let &OpenCore { opened, heap, redaction } = core;
        let mut info = Info::of_core(&opened.core, 0, &[]);
        info.add_vm(heap.vm, false);
        if let Some(redaction) = redaction {
            info.redact(redaction);
        }
        let facts = &mut self.facts;
        if facts.input != "live" {
            facts.input = "core";
        }
        facts.pid = info.core.pid.and_then(|pid| u64::try_from(pid).ok());
        facts.collector = Some(heap.collected.collector.to_string());
        if let Some(vm) = info.vm {
            tell_vm(facts, vm);
        }
        facts.time_ms = heap.vm.taken_ms.or(facts.time_ms);
        self.regions = regions(heap);
        if needs_frames(&self.tables) {
            let options = stack::Options {
                heap: false,
                virtual_threads: 0,
                values: true,
                redaction,
                native: None,
                workers: self.args.source.source.threads(),
            };
            let (dump, _) = stack::collect(&opened.core, heap, options, &|_| ())?;
            let objects = heap.threads.iter().map(|t| (t.addr, t.object)).collect();
            self.threads = VmThreads::new(dump.threads, &objects);
        }
        Ok(())
    }

    fn tell_dump(&mut self, dump: &Dump) {
        self.facts.time_ms = Some(dump.header().2).filter(|ms| *ms != 0);
    }

    fn write<G: ObjectGraph, I: Id>(
        mut self,
        graph: &G,
        tree: Option<&Dominators<'_, G, I>>,
        pool: &rayon::ThreadPool,
        input: Reading,
        (cost, held): (&Cost, u64),
    ) -> Result<OfInput<Report>> {
        // Whoever took a snapshot settled that a signal ends at once; now there is something to tidy again.
        interrupt::install().map_err(Error::io("signal handlers".as_ref()))?;
        self.facts.whole = input.gaps.is_whole();
        let options = Options {
            tables: &self.tables,
            place: &self.place,
            texts: self.args.text,
            redacted: self.redacted,
            facts: &self.facts,
            regions: &self.regions,
            threads: &self.threads,
        };
        let write = |watch: Watch<'_>| export(graph, tree, pool, &options, watch);
        let tables = holders::watched(cost, held, write)?;
        let directory = self.place.directory.display().to_string();
        Ok(input.with(Report { directory, tables_version: VERSION, tables }))
    }
}

/// Adds what the VM says of itself.
fn tell_vm(facts: &mut Facts, vm: VmInfo) {
    let json = |json: serde_json::Result<String>| json.ok();
    facts.jdk = vm.jdk;
    facts.java_version = vm.java_version;
    facts.vm_version = vm.version;
    facts.command = vm.arguments.java_command;
    facts.vm_arguments = json(serde_json::to_string(&vm.arguments.jvm_args));
    facts.flags = json(serde_json::to_string(&vm.flags));
    facts.started_ms = vm.started_ms;
    facts.time_ms = vm.started_ms.zip(vm.uptime_ms).map(|(started, up)| started.saturating_add(up));
}

fn regions(heap: &Heap<'_>) -> Vec<Region> {
    let of = |r: &crate::hotspot::gc::Region| Region {
        start: r.start,
        top: r.top,
        end: r.end,
        space: r.space.name(),
    };
    heap.collected.regions.iter().map(of).collect()
}

impl Job for Export<'_> {
    type Answer = Result<OfInput<Report>>;

    fn read_core(&mut self, core: &OpenCore<'_>) -> Result<()> {
        self.read(core)
    }

    fn read_dump(&mut self, dump: &Dump) {
        self.tell_dump(dump);
    }

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> Self::Answer {
        let cost = self.args.source.cost();
        self.write(tree.graph(), Some(tree), tree.pool(), input, (&cost, tree.memory()))
    }
}

impl GraphJob for Export<'_> {
    type Answer = OfInput<Report>;

    fn read_core(&mut self, core: &OpenCore<'_>) -> Result<()> {
        self.read(core)
    }

    fn read_dump(&mut self, dump: &Dump) {
        self.tell_dump(dump);
    }

    fn work<G: ObjectGraph>(
        self,
        graph: &G,
        pool: &rayon::ThreadPool,
        input: Reading,
        cost: &Cost,
    ) -> Result<OfInput<Report>> {
        self.write::<G, u32>(graph, None, pool, input, (cost, 0))
    }
}

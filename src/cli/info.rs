//! `rjcore info`: what one wants to know of a core first.

use std::io::{self, Write};

use super::ending::{Answer, end};
use super::redact::RedactArgs;
use super::source::Source;
use super::{Outcome, advice, print};
use crate::corefile::CoreFile;
use crate::error::Result;
use crate::heap::Heap;
use crate::hotspot::{Vm, lost_data};
use crate::output::info::Info;
use crate::vmstructs::Fields;

const EXAMPLES: &str = "\
Examples:
  rjcore info core.1234
  rjcore info core.1234 --properties
  rjcore info core.1234 --properties --redact strings
  rjcore info core.1234 --json | jq .vm.flags
  rjcore info core.1234 --tables | grep ' Klass::'";

/// Show VM, command line, flags, heap, cause of death, and what the core lacks
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: Source,
    /// Show the system properties, too; they may hold secrets, see --redact
    #[arg(long)]
    properties: bool,
    #[command(flatten)]
    redact: RedactArgs,
    /// Show HotSpot's own tables (vmStructs) instead, and what of them rjcore misses: for those
    /// who teach rjcore a new JDK
    #[arg(long, conflicts_with_all = ["json", "properties"])]
    tables: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let redaction = self.redact.redaction()?;
        self.source.in_memory.set(redaction.is_some());
        let (mut core, missing) = self.source.open_core()?;
        if missing.is_ok() {
            lost_data::restore(&mut core);
        }
        if self.tables {
            missing?;
            return show_tables(&core);
        }
        let found = missing.as_deref().unwrap_or(&[]);
        let mut info = Info::of_core(&core, self.source.bytes(), found);
        // What is known is shown even if the VM cannot be read.
        let result = missing.and_then(|_| self.read_vm(&core, &mut info));
        if let Some(redaction) = &redaction {
            info.redact(redaction);
        }
        let outcome = end(&info, self.json)?;
        result.map(|()| outcome)
    }

    fn read_vm(&self, core: &CoreFile, info: &mut Info) -> Result<()> {
        let vm = Vm::open(core)?;
        info.add_vm(&vm, self.properties);
        info.add_heap(&Heap::open(&vm)?, self.source.threads())
    }
}

impl Answer for Info {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(Info::text(self, advice::words).as_bytes())
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(self.is_whole())
    }
}

/// The rows of the tables, and behind them the fields that rjcore would use if they were there.
fn show_tables(core: &CoreFile) -> Result<Outcome> {
    let (_, tables) = Vm::tables(core)?;
    let mut lines = tables.lines();
    lines.extend(Fields::load(&tables).lacking().iter().map(|name| format!("lacking {name}")));
    print((lines.join("\n") + "\n").as_bytes())?;
    Ok(Outcome::Whole)
}

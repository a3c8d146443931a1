//! `rjcore info`: what one wants to know of a core first.

use super::source::Source;
use super::{Outcome, print, print_json};
use crate::corefile::CoreFile;
use crate::error::Result;
use crate::heap::Heap;
use crate::hotspot::Vm;
use crate::output::info::Info;

const EXAMPLES: &str = "\
Examples:
  rjcore info core.1234
  rjcore info core.1234 --properties
  rjcore info core.1234 --json | jq .vm.flags";

/// Show VM, command line, flags, heap, cause of death, and what the core lacks
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// Show the system properties, too; they may hold secrets
    #[arg(long)]
    properties: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(&self) -> Result<Outcome> {
        let (core, missing) = self.source.open_core()?;
        let found = missing.as_deref().unwrap_or(&[]);
        let mut info = Info::of_core(&core, self.source.bytes(), found);
        // What is known is shown even if the VM cannot be read.
        let result = missing.and_then(|_| self.read_vm(&core, &mut info));
        match self.json {
            true => print_json(&info)?,
            false => print(info.text().as_bytes())?,
        }
        result.map(|()| Outcome::of(info.is_whole()))
    }

    fn read_vm(&self, core: &CoreFile, info: &mut Info) -> Result<()> {
        let vm = Vm::open(core)?;
        info.add_vm(&vm, self.properties);
        info.add_heap(&Heap::open(&vm)?, self.source.threads())
    }
}

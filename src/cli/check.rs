//! `rjcore check`: whether a core holds what `dump` needs, answered in a moment.

use std::io::{self, Write};

use super::ending::{Answer, end};
use super::source::Source;
use super::{Outcome, advice};
use crate::error::{Error, Result};
use crate::hotspot::lost_data;
use crate::output::check::{Check, Verdict};

const EXAMPLES: &str = "\
Examples:
  rjcore check core.1234
  rjcore check bundle.tar.zst
  rjcore check core.1234 --sysroot /mnt/image
  rjcore check core.1234 --json | jq -r '.verdict, .take_along[]'

Exit codes:
  0  whole, by itself or with the files that were found
  1  it cannot be dumped
  2  wrong usage
  3  it can be dumped, but with gaps";

/// Say whether a core holds what dump needs, and which files to take along with it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: Source,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let (mut core, missing) = self.source.open_core()?;
        if missing.is_ok() {
            lost_data::restore(&mut core);
        }
        let check = match &missing {
            Ok(missing) => Check::of(&core, missing, self.source.threads()),
            Err(e @ (Error::NoJvm { .. } | Error::CutOff(_))) => Check::unreadable(&core, e),
            // The user's own --jvm.
            Err(_) => return missing.map(|_| Outcome::Failed),
        };
        end(&check, self.json)
    }
}

impl Answer for Check {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(Check::text(self, advice::words).as_bytes())
    }

    fn outcome(&self) -> Outcome {
        match self.verdict() {
            Verdict::SelfContained | Verdict::WithFiles => Outcome::Whole,
            Verdict::Gaps => Outcome::Gaps,
            Verdict::Unsupported | Verdict::Unreadable => Outcome::Failed,
        }
    }
}

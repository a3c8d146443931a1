//! `rjcore doctor`: whether a JVM's attach door will open, and why not.

use super::{Outcome, print, print_json};
use crate::error::Result;
use crate::live::diagnosis::Verdict;
use crate::live::doctor::examine;
use crate::output::report::clean;

const EXAMPLES: &str = "\
Examples:
  rjcore doctor 1234
  rjcore doctor 1234 --json | jq -r '.findings[].reason, .next'

It looks at /proc and the file system only, and watches the threads for half a second: no signal,
no connection, no file. The last line is the command to run next.

Exit codes:
  0  attach will work
  1  it will not
  2  wrong usage";

/// Say whether jmap, jcmd and rjcore attach can reach a JVM, and if not, exactly why
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The JVM's process id
    #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pid: i32,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(&self) -> Result<Outcome> {
        let diagnosis = examine(self.pid, true).diagnosis;
        match self.json {
            true => print_json(&diagnosis)?,
            false => {
                // What a process calls itself must not steer a terminal.
                let text = diagnosis.text();
                let lines: Vec<String> = text.lines().map(clean).collect();
                print(format!("{}\n", lines.join("\n")).as_bytes())?;
            }
        }
        Ok(match diagnosis.verdict {
            Verdict::Attach => Outcome::Whole,
            _ => Outcome::Failed,
        })
    }
}

//! The commands and what they show on the terminal.
//!
//! One file per command; what all of them take and how they open a core is in `source`.

mod attach;
mod capture;
mod check;
mod doctor;
mod dump;
mod histo;
mod info;
mod inside;
pub mod progress;
mod ps;
mod source;
mod stack;
mod trim;
mod who;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::{Error, Result};
use crate::output::interrupt;

const EXIT: &str = "\
Exit codes:
  0  all of it was read and written
  1  it failed; no file was written
  2  wrong usage
  3  written, but parts of the core could not be read (they are listed)
  130  interrupted";

/// Heap dumps, histograms and facts from the ELF core of a HotSpot JVM, with no JDK.
#[derive(Debug, Parser)]
#[command(name = "rjcore", version, max_term_width = 100, after_help = EXIT)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ps(ps::Args),
    Doctor(doctor::Args),
    Attach(attach::Args),
    Capture(capture::Args),
    Dump(dump::Args),
    Histo(histo::Args),
    Stack(stack::Args),
    Info(info::Args),
    Trim(trim::Args),
    Check(check::Args),
    /// Print the manual page (roff).
    #[command(hide = true)]
    Man,
    /// Print a completion script.
    #[command(hide = true)]
    Completions {
        /// The shell to complete for.
        shell: clap_complete::Shell,
    },
}

/// How a command that came to its end ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Whole,
    Gaps,
    /// What was asked was answered, and the answer is no.
    Failed,
}

impl Outcome {
    fn of(whole: bool) -> Outcome {
        if whole { Outcome::Whole } else { Outcome::Gaps }
    }
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Ps(args) => args.run(),
        Command::Doctor(args) => args.run(),
        Command::Attach(args) => args.run(),
        Command::Capture(args) => args.run(),
        Command::Dump(args) => args.run(),
        Command::Histo(args) => args.run(),
        Command::Stack(args) => args.run(),
        Command::Info(args) => args.run(),
        Command::Trim(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Man => man(),
        Command::Completions { shell } => completions(shell),
    };
    match result {
        Ok(Outcome::Whole) => ExitCode::SUCCESS,
        Ok(Outcome::Gaps) => ExitCode::from(3),
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(e) => {
            // Standard error may be closed; there is nobody left to tell.
            let _ = writeln!(io::stderr(), "rjcore: {e}");
            ExitCode::from(match e {
                Error::Usage(_) => 2,
                _ => interrupt::exit_code().unwrap_or(1),
            })
        }
    }
}

/// Writes text to standard output. A reader that has seen enough (`| head`) is no error.
fn print(text: &[u8]) -> Result<()> {
    print_by(|out| out.write_all(text))
}

/// Writes to standard output what `write` does, piece by piece. Who reads it may stop early.
fn print_by(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Error::io(Path::new("standard output"))),
    }
}

/// Writes a value as JSON to standard output.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print_by(|mut out| {
        serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
        out.write_all(b"\n")
    })
}

/// Writes a message to standard error.
fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// The roff pages of the command and its subcommands, one behind the other.
fn man() -> Result<Outcome> {
    let mut out = Vec::new();
    let mut all = Cli::command();
    all.build();
    let commands = all.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help");
    let pages = std::iter::once(all.clone()).chain(commands.cloned());
    for page in pages {
        clap_mangen::Man::new(page)
            .render(&mut out)
            .map_err(Error::io(Path::new("the manual page")))?;
    }
    print(&out).map(|()| Outcome::Whole)
}

fn completions(shell: clap_complete::Shell) -> Result<Outcome> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rjcore", &mut out);
    print(&out).map(|()| Outcome::Whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }
}

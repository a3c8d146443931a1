//! The commands and what they show on the terminal.
//!
//! One file per command; what all of them take and how they open a core is in `source`, how all of
//! them end in `ending`. The flags that the layers below advise are named in `advice`.

mod advice;
mod attach;
mod capture;
mod check;
mod doctor;
mod dump;
mod ending;
mod histo;
mod holders;
mod info;
mod inside;
pub mod progress;
mod ps;
mod retained;
mod snapshot;
mod source;
mod stack;
mod trim;
mod who;

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::{Error, Result};
use ending::{EXIT, Outcome, print, tell};

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
    Retained(retained::Args),
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

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Ps(args) => args.run(),
        Command::Doctor(args) => args.run(),
        Command::Attach(args) => args.run(),
        Command::Capture(args) => args.run(),
        Command::Dump(args) => args.run(),
        Command::Histo(args) => args.run(),
        Command::Retained(args) => args.run(),
        Command::Stack(args) => args.run(),
        Command::Info(args) => args.run(),
        Command::Trim(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Man => man(),
        Command::Completions { shell } => completions(shell),
    };
    ending::exit_code(result)
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

//! The commands and what they show on the terminal.
//!
//! One file per command; what all of them take and how they open a core is in `source`, how all of
//! them end in `ending`. The flags that the layers below advise are named in `advice`.

mod advice;
mod allocator;
mod attach;
mod capture;
mod check;
mod cost;
mod diff;
mod doctor;
mod dump;
mod ending;
mod export;
mod fidelity;
mod find;
mod histo;
mod holders;
mod info;
mod leaks;
mod loaders;
mod memory;
mod paths;
pub mod progress;
mod ps;
mod redact;
mod refs;
mod report;
mod retained;
mod show;
mod snapshot;
mod source;
mod stack;
mod threads;
mod tree;
mod trim;
mod vm_memory;
mod waste;
mod who;

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::{Error, Result};
pub use allocator::Allocator;
pub use ending::guarded;
use ending::{EXIT, Outcome, print, tell};

/// Heap dumps, thread dumps and answers from the ELF core of a HotSpot JVM, with no JDK: who holds the memory, who blocks whom.
#[derive(Debug, Parser)]
#[command(name = "rjcore", version, max_term_width = 100)]
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
    Leaks(leaks::Args),
    Report(report::Args),
    Retained(retained::Args),
    Tree(tree::Args),
    Paths(paths::Args),
    Show(show::Args),
    Find(find::Args),
    Waste(waste::Args),
    Diff(diff::Args),
    Threads(threads::Args),
    Loaders(loaders::Args),
    Memory(memory::Args),
    Refs(refs::Args),
    Export(export::Args),
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

const START: &str = "\
Where to start:
  a JVM that runs, or hangs  rjcore ps, and rjcore doctor PID: its last line is the command to run
  a core                     rjcore check CORE, and rjcore dump CORE
  too much memory            rjcore leaks CORE, of an HPROF file, too; rjcore report CORE writes all on one page";

/// The commands with their arguments; each says its exit codes, if not its own then those of all.
fn definition() -> clap::Command {
    let all = Cli::command().after_help(format!("{START}\n\n{EXIT}"));
    all.mut_subcommands(|command| {
        let own = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let has_codes = own.is_empty() || own.contains("Exit codes:");
        if has_codes { command } else { command.after_help(format!("{own}\n\n{EXIT}")) }
    })
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    guarded(run)
}

fn run() -> ExitCode {
    let arguments = definition().get_matches();
    let arguments = Cli::from_arg_matches(&arguments).unwrap_or_else(|e| e.exit());
    let result = match arguments.command {
        Command::Ps(args) => args.run(),
        Command::Doctor(args) => args.run(),
        Command::Attach(args) => args.run(),
        Command::Capture(args) => args.run(),
        Command::Dump(args) => args.run(),
        Command::Histo(args) => args.run(),
        Command::Leaks(args) => args.run(),
        Command::Report(args) => args.run(),
        Command::Retained(args) => args.run(),
        Command::Tree(args) => args.run(),
        Command::Paths(args) => args.run(),
        Command::Show(args) => args.run(),
        Command::Find(args) => args.run(),
        Command::Waste(args) => args.run(),
        Command::Diff(args) => args.run(),
        Command::Threads(args) => args.run(),
        Command::Loaders(args) => args.run(),
        Command::Memory(args) => args.run(),
        Command::Refs(args) => args.run(),
        Command::Export(args) => args.run(),
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
    let mut all = definition();
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
    clap_complete::generate(shell, &mut definition(), "rjcore", &mut out);
    print(&out).map(|()| Outcome::Whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds() {
        definition().debug_assert();
    }
}

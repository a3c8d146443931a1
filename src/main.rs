//! The `rjcore` binary: parse, run, answer with an exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: rjcore::cli::Allocator = rjcore::cli::Allocator;

fn main() -> ExitCode {
    rjcore::cli::main()
}

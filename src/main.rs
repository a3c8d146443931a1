//! The `rjcore` binary: parse, run, answer with an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    rjcore::cli::main()
}

//! `bulkhead`: reads the command line, runs the command, exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    bulkhead::cli::run(std::env::args_os())
}

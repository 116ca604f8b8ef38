//! Prints more than anybody reads, to both of its outputs.

use std::io::{Write, stderr, stdout};

use bulkhead_sdk::prelude::*;
use serde::Deserialize;
use wasip2::cli;

plugin!(printer, zeroes);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Prints {
    /// How many lines to print to each output; without it, without end.
    lines: Option<u32>,
    /// How long each is.
    bytes: usize,
}

/// Prints.
#[tool(read_only)]
fn printer(args: Prints) -> String {
    let rest = "x".repeat(args.bytes);
    let mut printed = 0_u32;
    while args.lines.is_none_or(|lines| printed < lines) {
        let line = format!("line \u{1b}[31m{printed} {rest}\n");
        let _ = stdout().write_all(line.as_bytes());
        let _ = stderr().write_all(line.as_bytes());
        printed += 1;
    }
    format!("printed {printed} lines")
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Zeroes {
    /// How many.
    count: u64,
    /// Whether to wait until they are written.
    wait: bool,
}

/// Lets the host write zeroes to its output.
#[tool(read_only)]
fn zeroes(args: Zeroes) -> String {
    let output = cli::stdout::get_stdout();
    let written = match args.wait {
        true => output.blocking_write_zeroes_and_flush(args.count),
        false => output.write_zeroes(args.count),
    };
    format!("wrote {} zeroes: {}", args.count, written.is_ok())
}

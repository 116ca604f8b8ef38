//! Fails with errors of others, whose text holds what no client should read.

use std::io;

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(leaky, careless);

/// What the text of each error holds.
const SECRET: &str = "/srv/secret/hunter2";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Leak {
    /// Which kind of error to fail with.
    by: Kind,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Io,
    Json,
    Number,
    Own,
    Recovered,
}

/// Fails by `?`, as most code does.
#[tool(read_only)]
fn leaky(args: Leak) -> Result<String, ToolError> {
    match args.by {
        Kind::Io => Err(unreadable())?,
        Kind::Json => serde_json::from_str::<u8>(&format!("{SECRET:?}")).map(drop)?,
        Kind::Number => SECRET.parse::<u8>().map(drop)?,
        Kind::Own => Err(ToolError::conflict("It was changed meanwhile.").because(SECRET))?,
        Kind::Recovered => drop(ToolError::from(unreadable())),
    }
    Ok("fine".to_owned())
}

/// Fails with the error of another as its own.
#[tool(read_only)]
fn careless() -> Result<String, io::Error> {
    Err(unreadable())
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{SECRET}\u{1b}[31m: timed out\nforged"))
}

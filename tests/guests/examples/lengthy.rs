//! Hands its host texts and lists of absurd length, as it answers and before.

use bulkhead_sdk::call::Level;
use bulkhead_sdk::prelude::*;
use serde::Deserialize;
use wasip2::{cli, sockets};

plugin!(lengthy, crowd, excuse);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    /// Who is handed it.
    to: To,
    /// How long it is.
    bytes: usize,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum To {
    Log,
    Progress,
    Output,
    Lookup,
}

/// Hands over a text on its way.
#[tool(read_only)]
fn lengthy(args: Text) -> String {
    let text = "x".repeat(args.bytes);
    match args.to {
        To::Log => call::log(Level::Info, &text),
        To::Progress => call::progress(1.0, None, Some(&text)),
        To::Output => drop(cli::stdout::get_stdout().write(text.as_bytes())),
        To::Lookup => {
            let network = sockets::instance_network::instance_network();
            drop(sockets::ip_name_lookup::resolve_addresses(&network, &text));
        }
    }
    "handed over".to_owned()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Count {
    /// How many.
    count: usize,
}

/// Answers with many blocks that hold nothing.
#[tool(read_only)]
fn crowd(args: Count) -> Result<Output, ToolError> {
    Ok((0..args.count).fold(Output::new(), |output, _| output.text("")))
}

/// Fails with a long message, or long details.
#[tool(read_only)]
fn excuse(args: Count) -> Result<String, ToolError> {
    Err(ToolError::new("LONG_STORY", "x".repeat(args.count)).detail("why", "y".repeat(args.count)))
}

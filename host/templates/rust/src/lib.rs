//! The tools of {{name}}: the functions that `plugin!` lists. Their comments are what a
//! model reads, their types become the schemas that every call is checked against.

use bulkhead_sdk::prelude::*;
use serde::{Deserialize, Serialize};

plugin!(greet);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Greet {
    /// Who is greeted.
    #[schemars(length(max = 100))]
    name: String,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    /// What to say.
    greeting: String,
}

/// Greets somebody by name.
#[tool(title = "Greet", read_only, open_world = false)]
fn greet(args: Greet) -> Result<Greeting, ToolError> {
    let name = args.name.trim();
    if name.is_empty() {
        return Err(ToolError::new("EMPTY_NAME", "The name is empty; ask who is to be greeted."));
    }
    Ok(Greeting { greeting: format!("Hello, {name}!") })
}

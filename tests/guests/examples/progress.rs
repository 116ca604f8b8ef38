//! Tells how far it is, now and then in ways that a client must not see.

use bulkhead_sdk::prelude::*;
use serde::Deserialize;

plugin!(progress);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Steps {
    /// How many reports of progress there are.
    #[serde(default = "three")]
    steps: u32,
}

fn three() -> u32 {
    3
}

/// Reports each step once, and the one before it again, which goes backwards.
#[tool(read_only)]
fn progress(args: Steps) -> String {
    let total = f64::from(args.steps);
    for step in 1..=args.steps {
        let message = format!("step \u{1b}[31m{step}\u{1b}[0m\u{7}");
        call::progress(f64::from(step), Some(total), Some(&message));
        call::progress(f64::from(step - 1), Some(total), Some("backwards"));
        call::progress(f64::NAN, None, Some("nowhere"));
    }
    format!("{} steps", args.steps)
}

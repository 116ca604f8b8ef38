//! Lists as many tools, with texts and a schema as long, as a test wrote into it.

use std::hint::black_box;

use guests::{Tool, tool};

/// How many tools, and how many bytes their description, title and schema have. A
/// test writes other numbers over these, of the same length.
static BULK: &str = "bulk: tools=00001 description=00001 title=00001 schema=00100";

guests::lists!({
    let mut numbers = black_box(BULK).split('=').skip(1).map(number);
    let mut next = || numbers.next().unwrap_or_default();
    let (tools, description, title, schema) = (next(), next(), next(), next());
    let bulky = |at| Tool {
        description: "x".repeat(description),
        title: Some("x".repeat(title)),
        input_schema: padded(schema),
        ..tool(&format!("bulky_{at}"))
    };
    (0..tools).map(bulky).collect()
});

fn number(text: &str) -> usize {
    text.split(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// A schema of so many bytes.
fn padded(bytes: usize) -> String {
    let frame = r#"{"type":"object","description":""}"#.len();
    let padding = "x".repeat(bytes.saturating_sub(frame));
    format!(r#"{{"type":"object","description":"{padding}"}}"#)
}

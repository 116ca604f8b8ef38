//! What the expansions of `#[tool]` and `plugin!` name. Not an interface: it
//! changes with the macros.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Declaration, Output, Tool, ToolError, schema};

pub use crate::returns::{Fallback, Infallible, Returns};
pub use crate::schema::of_no_arguments as no_arguments;

#[cfg(target_family = "wasm")]
pub use crate::guest::{Plugin, bindings, export};

/// One tool of a plugin.
pub struct Entry {
    name: &'static str,
    #[cfg_attr(not(target_family = "wasm"), expect(dead_code, reason = "nobody asks"))]
    pub(crate) declare: fn() -> Declaration,
    call: fn(&str) -> Result<Output, ToolError>,
}

impl Entry {
    /// The entry of one tool.
    pub const fn of<T: Tool>() -> Self {
        Self { name: T::NAME, declare: T::declaration, call: T::call }
    }
}

/// What can be the arguments of a tool.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the arguments of a tool",
    note = "derive what reads and what describes it: `#[derive(Deserialize, JsonSchema)]`",
    note = "its fields are owned: `String` instead of `&str`"
)]
pub trait Arguments: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> Arguments for T {}

/// The schema of a tool's arguments.
pub fn input_schema<T: Arguments>() -> Value {
    schema::of_arguments::<T>()
}

/// Reads the arguments of a tool.
///
/// The host has checked them against the schema, which leaves what a schema does
/// not say: an integer that is too large for its type, a rule of the author's own
/// `Deserialize`. Serde's message would repeat the value; its position does not.
///
/// # Errors
/// `INVALID_INPUT`.
pub fn decode<T: Arguments>(arguments: &str) -> Result<T, ToolError> {
    serde_json::from_str(arguments).map_err(|error| {
        ToolError::invalid(format!(
            "The arguments cannot be read, at line {} column {}. They have the form that the \
             schema asks for, but a value is out of range or not understood.",
            error.line(),
            error.column(),
        ))
    })
}

/// Serves a call by name.
///
/// # Errors
/// `UNKNOWN_TOOL`, which a host that asks by the list never sees, and whatever
/// the tool returns.
pub fn call(tools: &[Entry], name: &str, arguments: &str) -> Result<Output, ToolError> {
    match tools.iter().find(|tool| tool.name == name) {
        Some(tool) => (tool.call)(arguments),
        None => Err(ToolError::new("UNKNOWN_TOOL", "This plugin has no such tool.")),
    }
}

/// Whether no two tools have one name; evaluated by the compiler.
pub const fn names_are_unique(mut tools: &[Entry]) -> bool {
    while let [first, rest @ ..] = tools {
        let mut others = rest;
        while let [other, remaining @ ..] = others {
            if same(first.name.as_bytes(), other.name.as_bytes()) {
                return false;
            }
            others = remaining;
        }
        tools = rest;
    }
    true
}

/// `==`, which constant evaluation does not have.
const fn same(mut a: &[u8], mut b: &[u8]) -> bool {
    while let ([x, rest_of_a @ ..], [y, rest_of_b @ ..]) = (a, b) {
        if *x != *y {
            return false;
        }
        (a, b) = (rest_of_a, rest_of_b);
    }
    a.is_empty() && b.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_located_and_not_repeated() {
        let error = decode::<Vec<u8>>("[1, 7777]").unwrap_err();
        assert_eq!(error.code, "INVALID_INPUT");
        assert!(error.message.contains("line 1 column 8"), "{error}");
        assert!(!error.message.contains("7777"), "{error}");
    }

    #[test]
    fn unique_names_are_told_from_equal_ones() {
        let entries = |names: &[&'static str]| -> Vec<Entry> {
            let entry = |name: &&'static str| Entry {
                name,
                declare: || unreachable!(),
                call: |_| Err(ToolError::conflict("")),
            };
            names.iter().map(entry).collect()
        };
        assert!(names_are_unique(&[]));
        assert!(names_are_unique(&entries(&["a", "ab", "b"])));
        assert!(!names_are_unique(&entries(&["a", "b", "a"])));
    }

    #[test]
    fn an_unknown_tool_is_an_error() {
        let error = call(&[], "nobody", "{}").unwrap_err();
        assert_eq!(error.code, "UNKNOWN_TOOL");
    }
}

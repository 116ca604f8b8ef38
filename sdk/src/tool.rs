//! A tool as a type, a plugin as a list of them.

use serde_json::Value;

use crate::{Output, ToolError};

/// A function that agents can call. `#[tool]` implements it, for a type with the
/// function's name.
pub trait Tool {
    /// The name that clients call.
    const NAME: &'static str;

    /// What clients are told about the tool.
    fn declaration() -> Declaration;

    /// Calls the tool the way the host does: with the JSON text of its arguments.
    ///
    /// # Errors
    /// `INVALID_INPUT`, where the arguments cannot be read, and whatever the
    /// function returns.
    fn call(arguments: &str) -> Result<Output, ToolError>;
}

/// What clients are told about a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// The name that clients call.
    pub name: &'static str,
    /// A name for people.
    pub title: Option<&'static str>,
    /// What the tool does and when to use it.
    pub description: &'static str,
    /// JSON Schema 2020-12 of the arguments.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of the structured result.
    pub output_schema: Option<Value>,
    /// What the tool says about its own effects.
    pub annotations: Annotations,
}

/// Hints about a tool's effects, for clients. `None` leaves MCP's default, which
/// assumes the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Annotations {
    /// The tool changes nothing. MCP's default is false.
    pub read_only: Option<bool>,
    /// The tool may delete or overwrite. MCP's default is true.
    pub destructive: Option<bool>,
    /// Calling it again with the same arguments changes nothing more. MCP's
    /// default is false.
    pub idempotent: Option<bool>,
    /// The tool reaches beyond the plugin's own data. MCP's default is true.
    pub open_world: Option<bool>,
}

/// Exports these tools as a plugin: `plugin!(word_count, dictionary::look_up);`.
///
/// Each is the path of a `#[tool]` function; the host lists them in this order.
/// Once per crate. On a native target nothing is exported, and the tools are the
/// functions that they are.
#[macro_export]
macro_rules! plugin {
    ($($tool:ty),+ $(,)?) => {
        const _: () = {
            const TOOLS: &[$crate::expansion::Entry] =
                &[$($crate::expansion::Entry::of::<$tool>()),+];
            ::core::assert!(
                $crate::expansion::names_are_unique(TOOLS),
                "two tools of this plugin have the same name",
            );

            #[cfg(target_family = "wasm")]
            const _: () = {
                enum Plugin {}
                impl $crate::expansion::Plugin for Plugin {
                    const TOOLS: &'static [$crate::expansion::Entry] = TOOLS;
                }
                $crate::expansion::export!(Plugin with_types_in $crate::expansion::bindings);
            };
        };
    };
}

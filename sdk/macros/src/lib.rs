//! The attribute macro of `bulkhead-sdk`, which re-exports and documents it.

use proc_macro::TokenStream;

mod description;
mod options;
mod tool;

/// Makes a documented function a tool.
///
/// The function stays what it is, callable in a native test like any other. Beside
/// it appears a type of the same name, which implements `Tool`; it is what
/// `plugin!` takes, and `word_count::declaration()` shows what clients will see.
///
/// | part of the tool | comes from |
/// |---|---|
/// | name | the function's name, or `name = "…"` |
/// | title | `title = "…"` |
/// | description | the doc comment, which is required: a model reads it |
/// | input schema | the type of the only argument; without one, the tool takes none |
/// | output schema | the return type, see `Output` |
/// | annotations | `read_only`, `destructive`, `idempotent`, `open_world`; each alone, or `= false` |
///
/// ```text
/// /// Deletes a record for good.
/// #[tool(title = "Delete record", destructive, idempotent)]
/// fn delete_record(args: RecordId) -> Result<Deleted, ToolError> { … }
/// ```
#[proc_macro_attribute]
pub fn tool(options: TokenStream, item: TokenStream) -> TokenStream {
    tool::expand(options.into(), item.into()).into()
}

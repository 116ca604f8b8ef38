//! What nearly every tool uses: `use bulkhead_sdk::prelude::*;`.
//!
//! The crate `schemars` is among it under its own name, because that is the name
//! by which `#[derive(JsonSchema)]` finds it: a plugin depends on `bulkhead-sdk`
//! and `serde` only.

pub use crate::{Content, Output, Tool, ToolError, call, json, plugin, tool};
pub use schemars::{self, JsonSchema};

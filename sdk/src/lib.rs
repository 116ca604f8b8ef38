#![doc = include_str!("../README.md")]

pub mod call;
mod error;
#[doc(hidden)]
pub mod expansion;
mod foreign;
#[cfg(target_family = "wasm")]
mod guest;
mod output;
pub mod prelude;
mod returns;
mod schema;
mod tool;

pub use bulkhead_sdk_macros::tool;
pub use error::{Retry, ToolError};
pub use output::{Content, Output};
pub use tool::{Annotations, Declaration, Tool};

pub use schemars;
pub use serde_json::{Value, json, value::RawValue};

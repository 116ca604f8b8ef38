//! An MCP server whose tools are WebAssembly components.
//!
//! Start reading at [`pipeline`]: the life of a call, in one file. Modules are
//! listed here from the lowest floor to the highest; a file imports only from a
//! lower floor or from its own folder. `README.md` beside this crate is the
//! architecture page.

pub mod clock;
pub mod error;
pub mod json;
pub mod machine;
pub mod names;
pub mod text;

pub mod catalog;
pub mod config;

pub mod containment;
pub mod transport;

pub mod fetch;
pub mod limits;

pub mod auth;

pub mod policy;
pub mod validation;

pub mod runtime;

pub mod sanitize;

pub mod plugins;
pub mod respond;
pub mod telemetry;

pub mod pipeline;

pub mod boot;
pub mod server;

pub mod cli;

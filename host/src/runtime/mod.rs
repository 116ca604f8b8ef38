//! The sandbox: wasmtime lives here and nowhere else.
//!
//! A plugin is *prepared* once ([`Sandbox::prepare`]): its imports checked against what
//! it was granted, compiled in a process of its own, its tools asked for. From then on
//! [`invoke`] runs each call in a fresh instance that dies with it.
//!
//! What a guest can reach: its own memory, the inert WASI of
//! [`capabilities`](self), and the `call` interface, which tells it about its own
//! call. What bounds it: fuel, which calls of imports cost too, the memory meter, the
//! deadline, the number of host calls and of log lines, the size of what it hands over
//! at once, and the number of resources that it holds.

mod bindings;
mod capabilities;
mod command;
mod compiler;
mod console;
mod contract;
mod engine;
mod execution;
mod fault;
mod functions;
mod host_calls;
mod inspection;
mod invocation;
mod memory;
mod nesting;
mod output;
mod prepare;
mod previous;
mod state;
mod trace;

pub use compiler::{COMMAND as COMPILE_COMMAND, CannotCompile, Order, compile_here};
pub use engine::{EngineKind, Room, Sandbox, SandboxError};
pub use functions::package_docs_of;
pub use inspection::{
    ComponentKind, DOCS_SECTION, Inspection, MANIFEST_SECTION, Source, embed_manifest, inspect,
};
pub use invocation::{Invocation, METER, Spent, invoke};
pub use output::{Block, Produced, RawOutput};
pub use prepare::{Authored, DeclaredTool, LoadError, MAX_COMPONENT_BYTES, Prepared};
pub use state::{CallContext, Events, GuestEvent, Level};

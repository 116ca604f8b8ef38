//! Bytes to messages: Streamable HTTP, stdio, JSON-RPC frames, and MCP as each
//! protocol version speaks it.

mod era;
mod head;
mod header;
mod mcp;
mod rpc;
mod trace;
mod version;

pub use era::parse;
pub use head::{Channel, Head, Presented};
pub use mcp::{ClientInfo, Message, Meta, Method, Notification, Progress, Request, ToolCall};
pub use rpc::{BadMessage, RpcId, Shown};
pub use trace::TraceContext;
pub use version::Version;

//! Bytes to messages: Streamable HTTP, stdio, JSON-RPC frames, and MCP as each
//! protocol version speaks it.

mod era;
mod head;
mod header;
mod http;
mod mcp;
mod rpc;
mod stdio;
mod trace;
mod version;

pub use era::parse;
pub use head::{Channel, ClientCertificate, Head, Peer, Presented};
pub use http::{Accepts, Body, Edge, Inbound};
pub use mcp::{ClientInfo, Message, Meta, Method, Notification, Progress, Request, ToolCall};
pub use rpc::{BadMessage, RpcId, Shown};
pub use stdio::{Line, Lines, write_lines};
pub use trace::TraceContext;
pub use version::Version;

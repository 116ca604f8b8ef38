//! What is known about a request before its body is read.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::names::{AgentName, RequestId, Secret};

/// A request without its body: bounded, copied out of the transport, and not yet
/// believed.
#[derive(Clone, Debug)]
pub struct Head {
    /// Our name for the request.
    pub request_id: RequestId,
    /// The credential that came with it.
    pub presented: Presented,
    /// How it reached us.
    pub channel: Channel,
    /// The address that it came from; a proxy's own, behind one.
    pub source: Option<IpAddr>,
    /// The `MCP-Protocol-Version` header. On stdio, where there are no headers:
    /// the version that an earlier `initialize` of the same stream settled.
    pub version: Option<String>,
    /// The `Mcp-Method` header.
    pub mcp_method: Option<String>,
    /// The `Mcp-Name` header, still encoded.
    pub mcp_name: Option<String>,
    /// The `traceparent` header (W3C Trace Context), unchecked.
    pub traceparent: Option<String>,
    /// The `tracestate` header (W3C Trace Context), unchecked.
    pub tracestate: Option<String>,
    /// The client takes an event stream as the answer, so progress can be told.
    pub streams: bool,
}

impl Head {
    /// The head of a request that came without headers: over stdio, or from the
    /// command line.
    pub fn without_headers(
        channel: Channel,
        presented: Presented,
        version: Option<String>,
    ) -> Self {
        Self {
            request_id: RequestId::generate(),
            presented,
            channel,
            source: None,
            version,
            mcp_method: None,
            mcp_name: None,
            traceparent: None,
            tracestate: None,
            streams: true,
        }
    }
}

/// What a request offers as proof of who asks.
#[derive(Clone, Debug)]
pub enum Presented {
    /// Nothing.
    None,
    /// A bearer token (RFC 6750 §2.1): an API key, or an authorization server's.
    Bearer(Secret),
    /// An `Authorization` that is not one bearer token.
    Malformed,
    /// No bearer token, and a certificate that the TLS handshake has verified.
    Certificate(Arc<ClientCertificate>),
    /// Whoever started this process, who needs no key to use what is theirs.
    Local(AgentName),
}

/// How a request reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Streamable HTTP. Headers repeat parts of the body and are checked against it.
    Http,
    /// A line on standard input.
    Stdio,
    /// The `call` command, inside the same process.
    Local,
}

/// Who is on the other side of a connection.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its certificate, where TLS asked for one and verified it.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// A client's certificate, verified against `server.tls.client_ca`.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subject alternative names that are DNS names or URIs, in its order.
    pub names: Vec<Box<str>>,
    /// SHA-256 of its DER form, in lower-case hexadecimal.
    pub fingerprint: Box<str>,
    /// From when on it is good (`notBefore`): as it was issued, for all that can be known.
    pub issued: Option<Timestamp>,
}

//! The messages of MCP, as far as they are served, the same for every era.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::head::Head;
use super::rpc::{RpcId, is_object, present, text};
use super::trace::TraceContext;
use super::version::Version;
use crate::error::{Code, Error};

/// The longest tool name that is looked up, in bytes; MCP's own bound.
const MAX_NAME_BYTES: usize = 128;
/// The longest progress token, in bytes of its JSON text; it comes back in every
/// report.
const MAX_TOKEN_BYTES: usize = 256;
/// The longest text that is kept of how a client describes itself, in bytes.
const MAX_CLIENT_TEXT_BYTES: usize = 128;

/// What a client sent.
#[derive(Debug)]
pub enum Message {
    /// Wants an answer.
    Request {
        /// To be echoed.
        id: RpcId,
        /// What it wants.
        request: Request,
    },
    /// Wants none.
    Notification(Notification),
    /// An answer. Nothing was asked, so it is accepted and ignored; older clients
    /// may send one.
    Response,
}

/// A request, with what its era carries elsewhere brought to one place.
#[derive(Debug)]
pub struct Request {
    /// The version to answer in; for `initialize`, the version that is settled on.
    pub version: Version,
    /// What came beside the method's own parameters.
    pub meta: Meta,
    /// What is asked.
    pub method: Method,
}

/// What a request says about itself. The client wrote it: it proves nothing.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// A string or integer under which progress may be told; none: do not.
    pub progress_token: Option<Box<RawValue>>,
    /// From `_meta`, else from the headers.
    pub trace: TraceContext,
    /// The `_meta` object without the keys that are MCP's own, as JSON text.
    pub client_metadata: Cow<'static, str>,
    /// How the client describes itself, where it does.
    pub client_info: Option<ClientInfo>,
}

/// How a client describes itself; printable and bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// Its name.
    pub name: Box<str>,
    /// Its version; empty where it has none.
    pub version: Box<str>,
}

/// The methods that are served.
#[derive(Debug)]
pub enum Method {
    /// `initialize`: until 2025-11-25.
    Initialize {
        /// The version that the client would like.
        requested: String,
    },
    /// `server/discover`: since 2026-07-28.
    Discover,
    /// `ping`: until 2025-11-25.
    Ping,
    /// `tools/list`.
    ListTools {
        /// Where to continue. This server hands out none.
        cursor: Option<String>,
    },
    /// `tools/call`.
    CallTool(ToolCall),
}

/// The parameters of `tools/call`.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// The tool's name, at most 128 bytes; whether it exists is not known yet.
    pub name: String,
    /// The arguments: one JSON object without duplicate keys, the client's bytes;
    /// `{}` where there were none.
    pub arguments: Arc<str>,
}

/// A message that wants no answer.
#[derive(Debug)]
pub enum Notification {
    /// `notifications/initialized`.
    Initialized,
    /// `notifications/cancelled`.
    Cancelled {
        /// Which request.
        request: RpcId,
    },
    /// Anything else, malformed ones included: there is no answer to say so in.
    Other,
}

/// One report of how far a call is; goes to the client before the answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The request's own [`Meta::progress_token`].
    #[serde(rename = "progressToken")]
    pub token: Box<RawValue>,
    /// How far; finite, and greater than in the report before.
    pub progress: f64,
    /// How far it goes, where that is known; finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// What happens now, fit for a model to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The keys of `params` that any served method has.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Params<'a> {
    #[serde(rename = "_meta", borrow, default, deserialize_with = "present")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    cursor: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    protocol_version: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    client_info: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    request_id: Option<&'a RawValue>,
}

impl<'a> Params<'a> {
    /// Splits a checked JSON object; absent parameters are no keys.
    pub(super) fn read(raw: Option<&'a RawValue>) -> Result<Self, Error> {
        raw.map_or(Ok(Self::default()), |raw| {
            serde_json::from_str(raw.get()).map_err(|_| wrong("`params` is not an object."))
        })
    }

    /// The `_meta` object; empty where there is none.
    pub(super) fn meta(&self) -> Result<MetaKeys<'a>, Error> {
        self.meta.map_or(Ok(MetaKeys::default()), |raw| {
            serde_json::from_str(raw.get()).map_err(|_| wrong("`params._meta` is not an object."))
        })
    }

    /// The name that `tools/call` gives, where it is a string.
    pub(super) fn tool_name(&self) -> Option<Cow<'a, str>> {
        self.name.and_then(text)
    }

    /// The version that an `initialize` asks for, and who asks.
    pub(super) fn initialize(&self) -> Result<(String, Option<ClientInfo>), Error> {
        let requested = self.protocol_version.and_then(text);
        let requested = requested.ok_or(wrong("`params.protocolVersion` is not a string."))?;
        let info = self.client_info.and_then(client_info);
        Ok((requested.into_owned(), info))
    }

    pub(super) fn list_tools(&self) -> Result<Method, Error> {
        let cursor = self.cursor.map(|raw| {
            text(raw).map(Cow::into_owned).ok_or(wrong("`params.cursor` is not a string."))
        });
        Ok(Method::ListTools { cursor: cursor.transpose()? })
    }

    pub(super) fn call_tool(&self) -> Result<Method, Error> {
        let name = self.tool_name().ok_or(wrong("`params.name` is not a string."))?;
        if name.len() > MAX_NAME_BYTES {
            return Err(wrong("`params.name` is longer than 128 bytes."));
        }
        let arguments = self.arguments.map_or("{}", RawValue::get);
        if !self.arguments.is_none_or(is_object) {
            return Err(wrong("`params.arguments` is not an object."));
        }
        Ok(Method::CallTool(ToolCall { name: name.into_owned(), arguments: arguments.into() }))
    }

    pub(super) fn cancelled(&self) -> Option<RpcId> {
        self.request_id.and_then(RpcId::read)
    }
}

/// The keys of a `_meta` object.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct MetaKeys<'a>(#[serde(borrow)] BTreeMap<Key<'a>, &'a RawValue>);

/// A key; borrowed where it has no escapes.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::borrow::Borrow<str> for Key<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'a> MetaKeys<'a> {
    /// The value of one of the keys that the specification defines under its own
    /// prefix.
    pub(super) fn mcp(&self, name: &'static str) -> Option<&'a RawValue> {
        debug_assert!(name.starts_with("io.modelcontextprotocol/"));
        self.0.get(name).copied()
    }

    fn string(&self, key: &str) -> Option<Cow<'a, str>> {
        self.0.get(key).copied().and_then(text)
    }

    /// What the request says about itself. The trace comes from here or, where
    /// there is none, from the headers; the two are never mixed.
    pub(super) fn into_meta(self, head: &Head) -> Result<Meta, Error> {
        let traceparent = self.string("traceparent");
        let trace = match traceparent.as_deref() {
            Some(parent) => TraceContext::read(Some(parent), self.string("tracestate").as_deref()),
            None => TraceContext::read(head.traceparent.as_deref(), head.tracestate.as_deref()),
        };
        let progress_token = self.0.get("progressToken").map(|raw| progress_token(raw));
        let client_info = self.mcp("io.modelcontextprotocol/clientInfo").and_then(client_info);
        Ok(Meta {
            progress_token: progress_token.transpose()?,
            trace,
            client_metadata: self.others()?,
            client_info,
        })
    }

    /// The keys that are not MCP's own, as one JSON object.
    fn others(&self) -> Result<Cow<'static, str>, Error> {
        let others: BTreeMap<&str, &RawValue> = self
            .0
            .iter()
            .filter(|(key, _)| !is_reserved(&key.0))
            .map(|(key, raw)| (&*key.0, *raw))
            .collect();
        if others.is_empty() {
            return Ok(Cow::Borrowed("{}"));
        }
        serde_json::to_string(&others).map(Cow::Owned).map_err(Error::internal)
    }
}

/// Whether a `_meta` key is MCP's own: one of the four without a prefix, or any
/// whose prefix has `modelcontextprotocol` or `mcp` as its second label (MCP
/// 2026-07-28, basic, "`_meta`").
fn is_reserved(key: &str) -> bool {
    if matches!(key, "progressToken" | "traceparent" | "tracestate" | "baggage") {
        return true;
    }
    let label = key.split_once('/').and_then(|(prefix, _)| prefix.split('.').nth(1));
    matches!(label, Some("modelcontextprotocol" | "mcp"))
}

fn progress_token(raw: &RawValue) -> Result<Box<RawValue>, Error> {
    let well_formed = raw.get().len() <= MAX_TOKEN_BYTES && RpcId::read(raw).is_some();
    if well_formed {
        Ok(raw.to_owned())
    } else {
        Err(wrong("`progressToken` is not a string or an integer."))
    }
}

/// Reads an `Implementation`; nothing where it is malformed, since it is only told.
fn client_info(raw: &RawValue) -> Option<ClientInfo> {
    #[derive(Deserialize)]
    struct Implementation<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(borrow, default)]
        version: Cow<'a, str>,
    }
    let told: Implementation<'_> = serde_json::from_str(raw.get()).ok()?;
    let printable =
        |text: &str| text.len() <= MAX_CLIENT_TEXT_BYTES && !text.chars().any(char::is_control);
    let fit = printable(&told.name) && printable(&told.version);
    fit.then(|| ClientInfo { name: told.name.into(), version: told.version.into() })
}

fn wrong(what: &'static str) -> Error {
    Error::new(Code::InvalidParams, what)
}

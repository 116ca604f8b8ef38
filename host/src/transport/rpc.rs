//! JSON-RPC 2.0 frames, before anything of MCP is read.
//!
//! Deliberately absent: batches. They left MCP with 2025-06-18, the oldest version
//! that is served.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::{Code, Error};
use crate::json;

/// The longest id that is echoed, in bytes of its JSON text. Real ids are counters
/// or UUIDs; the bound keeps an id from being a payload in records and answers.
pub(super) const MAX_ID_BYTES: usize = 256;

/// The client's name for one request, echoed byte for byte. Equal ids have equal
/// bytes: `"a"` and `"\u0061"` differ, which no client that repeats its own id
/// can notice.
#[derive(Clone, Debug)]
pub struct RpcId(Option<Box<RawValue>>);

impl RpcId {
    /// No id: the message had none that could be read. An answer then leaves `id`
    /// out, as MCP's schema wants since 2025-11-25 (JSON-RPC's `null` is not
    /// allowed there).
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether there is no id.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The id as JSON text; `null` where there is none.
    pub fn as_json(&self) -> &str {
        self.0.as_ref().map_or("null", |raw| raw.get())
    }

    /// Takes a string or an integer (MCP 2026-07-28, basic, "Requests").
    pub(super) fn read(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        let digits = text.strip_prefix('-').unwrap_or(text);
        let integer = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let fits = text.len() <= MAX_ID_BYTES && (integer || text.starts_with('"'));
        fits.then(|| Self(Some(raw.to_owned())))
    }
}

impl PartialEq for RpcId {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for RpcId {}

impl Hash for RpcId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_json().hash(state);
    }
}

impl Serialize for RpcId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

/// A message that is refused before it is a request, and under which id.
#[derive(Clone, Debug)]
pub struct BadMessage {
    /// The id to answer under.
    pub id: RpcId,
    /// What is wrong with it.
    pub error: Error,
    /// Where an HTTP answer says so.
    pub shown: Shown,
}

/// Where an HTTP answer shows a JSON-RPC error. The same code can be either:
/// `INVALID_PARAMS` about `_meta` is a bad request, about a tool's name it is the
/// answer to a good one (MCP 2026-07-28, basic, "Per-request protocol fields").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// In the status too: the message is wrong as HTTP carries it.
    AsStatus,
    /// In the body only, under status 200.
    InBand,
}

/// One frame, with whatever MCP says left raw.
#[derive(Debug)]
pub(super) enum Frame<'a> {
    /// Wants an answer.
    Request {
        /// Never [`RpcId::none`].
        id: RpcId,
        /// Its method.
        method: Cow<'a, str>,
        /// A JSON object, where there are any.
        params: Option<&'a RawValue>,
    },
    /// Wants none.
    Notification {
        /// Its method.
        method: Cow<'a, str>,
        /// A JSON object, where there are any.
        params: Option<&'a RawValue>,
    },
    /// Answers something that this server never asked.
    Response,
}

/// The members of a frame.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Tells a member that is `null` from one that is absent, which `Option` alone
/// does not.
pub(super) fn present<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The string that `raw` is, with its escapes read.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

/// Whether `raw` is a JSON object. Raw values start at their first byte.
pub(super) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// Reads one frame.
///
/// # Errors
/// `PARSE_ERROR` for what [`json::check`] refuses, `INVALID_REQUEST` for JSON that
/// is not one JSON-RPC 2.0 message.
pub(super) fn read(body: &[u8]) -> Result<Frame<'_>, BadMessage> {
    json::check(body, json::MAX_DEPTH).map_err(|fault| {
        let error = Error::new(Code::ParseError, format!("The message is {fault}."));
        BadMessage { id: RpcId::none(), error, shown: Shown::AsStatus }
    })?;
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(invalid(RpcId::none(), "Batches are not served: send one message at a time."));
    }
    let members: Members<'_> = serde_json::from_slice(body)
        .map_err(|_| invalid(RpcId::none(), "The message is not a JSON-RPC object."))?;
    classify(&members)
}

fn classify<'a>(members: &Members<'a>) -> Result<Frame<'a>, BadMessage> {
    let id = members.id.map(RpcId::read);
    let echo = id.clone().flatten().unwrap_or_else(RpcId::none);
    if members.jsonrpc.and_then(text).as_deref() != Some("2.0") {
        return Err(invalid(echo, "`jsonrpc` is not \"2.0\"."));
    }
    let Some(method) = members.method else {
        return match members.result.or(members.error) {
            Some(_) => Ok(Frame::Response),
            None => Err(invalid(echo, "`method` is missing.")),
        };
    };
    let Some(method) = text(method) else {
        return Err(invalid(echo, "`method` is not a string."));
    };
    let params = members.params.filter(|raw| raw.get() != "null");
    if !params.is_none_or(is_object) {
        return Err(invalid(echo, "`params` is not an object."));
    }
    match id {
        Some(Some(id)) => Ok(Frame::Request { id, method, params }),
        Some(None) => {
            Err(invalid(echo, "`id` is not a string or an integer of at most 256 bytes."))
        }
        None => Ok(Frame::Notification { method, params }),
    }
}

fn invalid(id: RpcId, what: &'static str) -> BadMessage {
    BadMessage { id, error: Error::new(Code::InvalidRequest, what), shown: Shown::AsStatus }
}

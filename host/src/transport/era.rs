//! Which era a message belongs to, and whether it is what that era allows.
//!
//! The order of the checks is the order in which the official TypeScript server
//! makes them; clients that probe a server read its first objection, so the order
//! is part of the protocol in practice.

use serde_json::value::RawValue;

use super::head::{Channel, Head};
use super::header;
use super::mcp::{Message, MetaKeys, Method, Notification, Params, Request};
use super::rpc::{BadMessage, Frame, Shown, is_object, read, text};
use super::version::Version;
use crate::error::{Code, Error};

const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// The longest version that an error repeats, in characters.
const MAX_REPEATED_CHARS: usize = 32;

/// Reads one message.
///
/// # Errors
/// `PARSE_ERROR`, `INVALID_REQUEST`, `INVALID_PARAMS`, `METHOD_NOT_FOUND`,
/// `HEADER_MISMATCH` or `UNSUPPORTED_PROTOCOL_VERSION`, each with the id to answer
/// under and the place where HTTP shows it.
pub fn parse(head: &Head, body: &[u8]) -> Result<Message, BadMessage> {
    match read(body)? {
        Frame::Request { id, method, params } => match request(head, &method, params) {
            Ok(request) => Ok(Message::Request { id, request }),
            Err(Refused { error, shown }) => Err(BadMessage { id, error, shown }),
        },
        Frame::Notification { method, params } => {
            Ok(Message::Notification(notification(&method, params)))
        }
        Frame::Response => Ok(Message::Response),
    }
}

/// Notifications are taken without a look at `_meta` and headers: 2026-07-28
/// defines none over HTTP and no headers for them (Streamable HTTP, "Sending
/// Messages").
fn notification(method: &str, params: Option<&RawValue>) -> Notification {
    match method {
        "notifications/initialized" => Notification::Initialized,
        "notifications/cancelled" => {
            let request = Params::read(params).ok().and_then(|params| params.cancelled());
            request.map_or(Notification::Other, |request| Notification::Cancelled { request })
        }
        _ => Notification::Other,
    }
}

/// A refusal of a request whose id is known elsewhere.
struct Refused {
    error: Error,
    shown: Shown,
}

/// Refuses in the status too: the request is wrong as it is carried.
fn by_status(error: Error) -> Refused {
    Refused { error, shown: Shown::AsStatus }
}

/// Refuses in the answer to a request that is carried well.
fn in_band(error: Error) -> Refused {
    Refused { error, shown: Shown::InBand }
}

fn request(head: &Head, method: &str, params: Option<&RawValue>) -> Result<Request, Refused> {
    // Only over HTTP is the version a header that could contradict the body.
    let header_is_modern = head.channel == Channel::Http
        && head.version.as_deref().and_then(Version::parse).is_some_and(Version::is_modern);
    let objection = if header_is_modern { by_status } else { in_band };
    let params = Params::read(params).map_err(objection)?;
    let meta = params.meta().map_err(objection)?;

    if method == "initialize" && envelope(&meta).is_err() {
        if header_is_modern {
            let what = "The version in the header `MCP-Protocol-Version` has no `initialize`.";
            return Err(by_status(Error::new(Code::HeaderMismatch, what)));
        }
        return legacy(head, method, &params, meta);
    }
    if header_is_modern || meta.mcp(PROTOCOL_VERSION).is_some() {
        modern(head, method, &params, meta)
    } else {
        legacy(head, method, &params, meta)
    }
}

/// The version that a stateless request declares, where all is there that it has
/// to declare.
fn envelope(meta: &MetaKeys<'_>) -> Result<String, Error> {
    let wrong = |what| Error::new(Code::InvalidParams, what);
    let version = meta.mcp(PROTOCOL_VERSION).and_then(text);
    let version = version.ok_or(wrong(
        "`params._meta[\"io.modelcontextprotocol/protocolVersion\"]` is not a string.",
    ))?;
    if !meta.mcp(CLIENT_CAPABILITIES).is_some_and(is_object) {
        return Err(wrong(
            "`params._meta[\"io.modelcontextprotocol/clientCapabilities\"]` is not an object.",
        ));
    }
    Ok(version.into_owned())
}

/// A request of the stateless era.
fn modern(
    head: &Head,
    method: &str,
    params: &Params<'_>,
    meta: MetaKeys<'_>,
) -> Result<Request, Refused> {
    let declared = envelope(&meta).map_err(by_status)?;
    if head.channel == Channel::Http && head.version.as_deref() != Some(&declared) {
        return Err(by_status(mismatch("MCP-Protocol-Version", "`params._meta`")));
    }
    let version = Version::parse(&declared)
        .filter(|version| version.is_modern())
        .ok_or_else(|| by_status(unsupported(&declared)))?;
    if head.channel == Channel::Http {
        check_headers(head, method, params).map_err(by_status)?;
    }
    let method = match method {
        "server/discover" => Ok(Method::Discover),
        "tools/list" => params.list_tools(),
        "tools/call" => params.call_tool(),
        _ => return Err(by_status(not_found())),
    };
    Ok(Request {
        version,
        method: method.map_err(in_band)?,
        meta: meta.into_meta(head).map_err(in_band)?,
    })
}

/// SEP-2243: the headers that repeat the body, for whoever routes without reading
/// it. Where the body has no name to repeat, that is the better objection, and it
/// comes later.
fn check_headers(head: &Head, method: &str, params: &Params<'_>) -> Result<(), Error> {
    if head.mcp_method.as_deref() != Some(method) {
        return Err(mismatch("Mcp-Method", "`method`"));
    }
    if method == "tools/call"
        && let Some(name) = params.tool_name()
        && head.mcp_name.as_deref().and_then(header::decode).as_deref() != Some(&*name)
    {
        return Err(mismatch("Mcp-Name", "`params.name`"));
    }
    Ok(())
}

/// A request of the era that opens with `initialize`. Nothing of an earlier
/// message is remembered; the version comes with each.
fn legacy(
    head: &Head,
    method: &str,
    params: &Params<'_>,
    meta: MetaKeys<'_>,
) -> Result<Request, Refused> {
    // `initialize` settles the version, so whatever header came with it says nothing.
    if method == "initialize" {
        return initialize(head, params, meta).map_err(in_band);
    }
    let version = match head.version.as_deref() {
        None => Version::ASSUMED,
        Some(text) => Version::parse(text).ok_or_else(|| by_status(unsupported(text)))?,
    };
    let method = match method {
        "ping" => Ok(Method::Ping),
        "tools/list" => params.list_tools(),
        "tools/call" => params.call_tool(),
        _ => return Err(in_band(not_found())),
    };
    Ok(Request {
        version,
        method: method.map_err(in_band)?,
        meta: meta.into_meta(head).map_err(in_band)?,
    })
}

fn initialize(head: &Head, params: &Params<'_>, meta: MetaKeys<'_>) -> Result<Request, Error> {
    let (requested, client_info) = params.initialize()?;
    let version = Version::parse(&requested)
        .filter(|version| !version.is_modern())
        .unwrap_or(Version::LATEST_HANDSHAKE);
    let mut meta = meta.into_meta(head)?;
    meta.client_info = client_info.or(meta.client_info);
    Ok(Request { version, meta, method: Method::Initialize { requested } })
}

fn not_found() -> Error {
    Error::new(Code::MethodNotFound, "This server has no such method.")
}

fn mismatch(header: &str, body: &str) -> Error {
    let message = format!("The header `{header}` is missing, malformed, or differs from {body}.");
    Error::new(Code::HeaderMismatch, message)
}

fn unsupported(requested: &str) -> Error {
    let supported: Vec<&str> = Version::ALL.iter().map(|version| version.as_str()).collect();
    let requested: String = requested.chars().take(MAX_REPEATED_CHARS).collect();
    Error::new(
        Code::UnsupportedProtocolVersion,
        "This server does not speak that protocol version.",
    )
    .detail("supported", supported)
    .detail("requested", requested)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Presented, RpcId, ToolCall};

    /// A head over HTTP with these `MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name`.
    fn http(version: Option<&str>, method: Option<&str>, name: Option<&str>) -> Head {
        Head {
            mcp_method: method.map(Into::into),
            mcp_name: name.map(Into::into),
            ..Head::without_headers(Channel::Http, Presented::None, version.map(Into::into))
        }
    }

    fn stdio() -> Head {
        Head::without_headers(Channel::Stdio, Presented::None, None)
    }

    /// A `_meta` member that declares `version`.
    fn meta(version: &str) -> String {
        format!(
            r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
        )
    }

    fn body(method: &str, params: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}}}}}"#)
    }

    /// What `parse` says, in a line: the method and version, or code and place.
    fn verdict(head: &Head, body: &str) -> String {
        match parse(head, body.as_bytes()) {
            Ok(Message::Request { request, .. }) => {
                let method = match request.method {
                    Method::Initialize { .. } => "initialize",
                    Method::Discover => "discover",
                    Method::Ping => "ping",
                    Method::ListTools { .. } => "list",
                    Method::CallTool(_) => "call",
                };
                format!("{method} {}", request.version.as_str())
            }
            Ok(Message::Notification(notification)) => format!("{notification:?}"),
            Ok(Message::Response) => "response".to_owned(),
            Err(bad) => format!("{} {:?} {}", bad.error.code(), bad.shown, bad.id.as_json()),
        }
    }

    const NEW: &str = "2026-07-28";

    #[test]
    fn frames_are_json_rpc_and_keep_their_id() {
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(64), "]".repeat(64));
        for (body, expected) in [
            ("", "PARSE_ERROR AsStatus null"),
            ("{", "PARSE_ERROR AsStatus null"),
            ("[", "PARSE_ERROR AsStatus null"),
            (r#"{"id":1,"id":2}"#, "PARSE_ERROR AsStatus null"),
            (&deep, "PARSE_ERROR AsStatus null"),
            ("[]", "INVALID_REQUEST AsStatus null"),
            (
                " [{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
                "INVALID_REQUEST AsStatus null",
            ),
            ("1", "INVALID_REQUEST AsStatus null"),
            ("null", "INVALID_REQUEST AsStatus null"),
            ("{}", "INVALID_REQUEST AsStatus null"),
            (r#"{"id":1,"method":"ping"}"#, "INVALID_REQUEST AsStatus 1"),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "INVALID_REQUEST AsStatus 1"),
            (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, "INVALID_REQUEST AsStatus 1"),
            (r#"{"jsonrpc":null,"id":1,"method":"ping"}"#, "INVALID_REQUEST AsStatus 1"),
            (r#"{"jsonrpc":"2.0","id":"x"}"#, r#"INVALID_REQUEST AsStatus "x""#),
            (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, "INVALID_REQUEST AsStatus 1"),
            (r#"{"jsonrpc":"2.0","id":1,"method":null}"#, "INVALID_REQUEST AsStatus 1"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "INVALID_REQUEST AsStatus null"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "INVALID_REQUEST AsStatus null"),
            (r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#, "INVALID_REQUEST AsStatus null"),
            (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, "INVALID_REQUEST AsStatus null"),
            (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, "INVALID_REQUEST AsStatus null"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
                "INVALID_REQUEST AsStatus 1",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#,
                "INVALID_REQUEST AsStatus 1",
            ),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#, "ping 2025-06-18"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","more":1}"#, "ping 2025-06-18"),
            (r#"{"jsonrpc":"2.0","id":1,"\u006dethod":"p\u0069ng"}"#, "ping 2025-06-18"),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "response"),
            (r#"{"jsonrpc":"2.0","error":{"code":1,"message":""}}"#, "response"),
        ] {
            assert_eq!(verdict(&http(None, None, None), body), expected, "{body}");
        }
    }

    #[test]
    fn ids_are_echoed_byte_for_byte() {
        let long = format!("\"{}\"", "x".repeat(254));
        for id in ["0", "-1", "9007199254740993", r#""""#, r#""\u0061\n""#, &long] {
            let body = format!(r#"{{"jsonrpc":"2.0","id": {id} ,"method":"ping"}}"#);
            let Ok(Message::Request { id: echoed, .. }) = parse(&stdio(), body.as_bytes()) else {
                panic!("{id} was refused");
            };
            assert_eq!(serde_json::to_string(&echoed).unwrap(), id);
        }
        let longer = long.replacen('x', "xx", 1);
        let body = format!(r#"{{"jsonrpc":"2.0","id":{longer},"method":"ping"}}"#);
        assert_eq!(verdict(&stdio(), &body), "INVALID_REQUEST AsStatus null");
    }

    #[test]
    fn a_message_finds_its_era() {
        let ok = meta(NEW);
        let old = meta("2025-11-25");
        let future = meta("2099-01-01");
        let bare = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        let list = Some("tools/list");
        let init = r#""protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}"#;
        let both = format!("{init},{ok}");
        let half = format!("{init},{bare}");
        let new = Some(NEW);
        for (version, mcp_method, method, params, expected) in [
            // 3: `initialize` opens the older era, whatever older version its header names…
            (None, None, "initialize", init, "initialize 2025-06-18"),
            (Some("2025-03-26"), None, "initialize", init, "initialize 2025-06-18"),
            (None, None, "initialize", &half, "initialize 2025-06-18"),
            // … unless it says that it belongs to the other.
            (new, None, "initialize", init, "HEADER_MISMATCH AsStatus 7"),
            (new, None, "initialize", &half, "HEADER_MISMATCH AsStatus 7"),
            (new, Some("initialize"), "initialize", &both, "METHOD_NOT_FOUND AsStatus 7"),
            // 4: what `_meta` declares has to be complete.
            (new, list, "tools/list", bare, "INVALID_PARAMS AsStatus 7"),
            (None, list, "tools/list", bare, "INVALID_PARAMS AsStatus 7"),
            // 5: a header that names the version, and nothing in the body.
            (new, list, "tools/list", "", "INVALID_PARAMS AsStatus 7"),
            (new, list, "tools/list", r#""_meta":{}"#, "INVALID_PARAMS AsStatus 7"),
            (new, list, "tools/list", r#""_meta":1"#, "INVALID_PARAMS AsStatus 7"),
            // 6: otherwise the older era.
            (None, None, "tools/list", "", "list 2025-06-18"),
            (Some("2025-06-18"), None, "tools/list", "", "list 2025-06-18"),
            (Some("2025-11-25"), None, "tools/list", r#""_meta":{"a/b":1}"#, "list 2025-11-25"),
            (None, None, "server/discover", "", "METHOD_NOT_FOUND InBand 7"),
            (Some("2025-03-26"), None, "tools/list", "", "UNSUPPORTED_PROTOCOL_VERSION AsStatus 7"),
            (Some("2099-01-01"), None, "tools/list", "", "UNSUPPORTED_PROTOCOL_VERSION AsStatus 7"),
            (Some("x"), None, "ping", "", "UNSUPPORTED_PROTOCOL_VERSION AsStatus 7"),
            // 7: header and body say the same.
            (None, list, "tools/list", &ok, "HEADER_MISMATCH AsStatus 7"),
            (Some("2025-11-25"), list, "tools/list", &ok, "HEADER_MISMATCH AsStatus 7"),
            (new, list, "tools/list", &old, "HEADER_MISMATCH AsStatus 7"),
            (Some("2026-07-28, 2026-07-28"), list, "tools/list", &ok, "HEADER_MISMATCH AsStatus 7"),
            // 8: a version that is served, in its own era.
            (
                Some("2099-01-01"),
                list,
                "tools/list",
                &future,
                "UNSUPPORTED_PROTOCOL_VERSION AsStatus 7",
            ),
            (
                Some("2025-11-25"),
                list,
                "tools/list",
                &old,
                "UNSUPPORTED_PROTOCOL_VERSION AsStatus 7",
            ),
            // 9: the method, once more in a header.
            (new, None, "tools/list", &ok, "HEADER_MISMATCH AsStatus 7"),
            (new, Some("tools/call"), "tools/list", &ok, "HEADER_MISMATCH AsStatus 7"),
            (new, Some("Tools/List"), "tools/list", &ok, "HEADER_MISMATCH AsStatus 7"),
            (new, None, "no/such", &ok, "HEADER_MISMATCH AsStatus 7"),
            // 10: methods that are not there, or not any more.
            (new, list, "tools/list", &ok, "list 2026-07-28"),
            (new, Some("server/discover"), "server/discover", &ok, "discover 2026-07-28"),
            (new, Some("ping"), "ping", &ok, "METHOD_NOT_FOUND AsStatus 7"),
            (new, Some("logging/setLevel"), "logging/setLevel", &ok, "METHOD_NOT_FOUND AsStatus 7"),
            (new, Some("prompts/get"), "prompts/get", &ok, "METHOD_NOT_FOUND AsStatus 7"),
            (new, Some("no/such"), "no/such", &ok, "METHOD_NOT_FOUND AsStatus 7"),
            (None, None, "logging/setLevel", "", "METHOD_NOT_FOUND InBand 7"),
            (None, None, "ping", "", "ping 2025-06-18"),
        ] {
            let head = http(version, mcp_method, None);
            let body = body(method, params);
            assert_eq!(verdict(&head, &body), expected, "{version:?} {mcp_method:?} {body}");
        }
    }

    #[test]
    fn initialize_settles_on_a_version_of_its_era() {
        for (requested, settled) in [
            ("2025-06-18", "2025-06-18"),
            ("2025-11-25", "2025-11-25"),
            ("2025-03-26", "2025-11-25"),
            ("2024-11-05", "2025-11-25"),
            ("2026-07-28", "2025-11-25"),
            ("2099-01-01", "2025-11-25"),
            ("", "2025-11-25"),
        ] {
            let body = body("initialize", &format!(r#""protocolVersion":"{requested}""#));
            for head in [http(None, None, None), stdio()] {
                assert_eq!(verdict(&head, &body), format!("initialize {settled}"), "{requested}");
            }
        }
        for params in ["", r#""protocolVersion":20250618"#, r#""protocolVersion":null"#] {
            let body = body("initialize", params);
            assert_eq!(verdict(&stdio(), &body), "INVALID_PARAMS InBand 7", "{params}");
        }
    }

    #[test]
    fn a_tool_is_named_in_the_header_as_in_the_body() {
        for (name, header, expected) in [
            ("echo", Some("echo"), "call 2026-07-28"),
            ("echo", Some("=?base64?ZWNobw==?="), "call 2026-07-28"),
            ("Grüße", Some("=?base64?R3LDvMOfZQ==?="), "call 2026-07-28"),
            (" a ", Some("=?base64?IGEg?="), "call 2026-07-28"),
            ("=?base64?YQ==?=", Some("=?base64?PT9iYXNlNjQ/WVE9PT89?="), "call 2026-07-28"),
            ("echo", None, "HEADER_MISMATCH AsStatus 7"),
            ("echo", Some(""), "HEADER_MISMATCH AsStatus 7"),
            ("echo", Some("Echo"), "HEADER_MISMATCH AsStatus 7"),
            ("echo", Some("echo, echo"), "HEADER_MISMATCH AsStatus 7"),
            ("echo", Some("=?base64?ZWNobw?="), "HEADER_MISMATCH AsStatus 7"),
            ("echo", Some("=?BASE64?ZWNobw==?="), "HEADER_MISMATCH AsStatus 7"),
            ("Grüße", Some("Grüße"), "HEADER_MISMATCH AsStatus 7"),
            ("=?base64?YQ==?=", Some("=?base64?YQ==?="), "HEADER_MISMATCH AsStatus 7"),
        ] {
            let head = http(Some(NEW), Some("tools/call"), header);
            let body = body("tools/call", &format!(r#""name":"{name}",{}"#, meta(NEW)));
            assert_eq!(verdict(&head, &body), expected, "{name} {header:?}");
        }
    }

    #[test]
    fn bad_parameters_are_answered_in_band() {
        let long = "x".repeat(129);
        for (method, params) in [
            ("tools/call", ""),
            ("tools/call", r#""name":null"#),
            ("tools/call", r#""name":5"#),
            ("tools/call", &format!(r#""name":"{long}""#)),
            ("tools/call", r#""name":"echo","arguments":[]"#),
            ("tools/call", r#""name":"echo","arguments":"{}""#),
            ("tools/call", r#""name":"echo","arguments":null"#),
            ("tools/list", r#""cursor":1"#),
            ("tools/list", r#""cursor":null"#),
        ] {
            let modern =
                format!("{params}{}{}", if params.is_empty() { "" } else { "," }, meta(NEW));
            let name = if params.contains("echo") { Some("echo") } else { Some(long.as_str()) };
            for (head, params) in [
                (http(Some(NEW), Some(method), name), modern.as_str()),
                (stdio(), modern.as_str()),
                (http(None, None, None), params),
                (http(Some("2025-11-25"), None, None), params),
                (stdio(), params),
            ] {
                let body = body(method, params);
                assert_eq!(verdict(&head, &body), "INVALID_PARAMS InBand 7", "{body}");
            }
        }
        for token in ["{}", "1.5", "null", &format!("\"{}\"", "x".repeat(255))] {
            let body = body("tools/list", &format!(r#""_meta":{{"progressToken":{token}}}"#));
            assert_eq!(verdict(&stdio(), &body), "INVALID_PARAMS InBand 7", "{body}");
        }
        let body = body("ping", r#""_meta":[]"#);
        assert_eq!(verdict(&stdio(), &body), "INVALID_PARAMS InBand 7");
    }

    #[test]
    fn a_stream_without_headers_serves_both_eras() {
        let settled = Some("2025-11-25".to_owned());
        let settled = Head::without_headers(Channel::Stdio, Presented::None, settled);
        let bare = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        for (head, method, params, expected) in [
            (&stdio(), "server/discover", meta(NEW).as_str(), "discover 2026-07-28"),
            (&stdio(), "tools/list", &meta(NEW), "list 2026-07-28"),
            (&settled, "tools/list", &meta(NEW), "list 2026-07-28"),
            (&settled, "tools/list", "", "list 2025-11-25"),
            (&stdio(), "tools/list", "", "list 2025-06-18"),
            (&stdio(), "tools/list", bare, "INVALID_PARAMS AsStatus 7"),
            (
                &stdio(),
                "tools/list",
                &meta("2099-01-01"),
                "UNSUPPORTED_PROTOCOL_VERSION AsStatus 7",
            ),
            (&stdio(), "server/discover", "", "METHOD_NOT_FOUND InBand 7"),
            (&stdio(), "ping", &meta(NEW), "METHOD_NOT_FOUND AsStatus 7"),
        ] {
            assert_eq!(verdict(head, &body(method, params)), expected, "{method} {params}");
        }
    }

    #[test]
    fn notifications_are_taken_in_any_era() {
        let frame = |method: &str, params: &str| {
            format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
        };
        for (method, params, expected) in [
            ("notifications/initialized", "{}", "Initialized"),
            ("notifications/cancelled", r#"{"requestId":"a","reason":"x"}"#, r#"Cancelled "a""#),
            ("notifications/cancelled", r#"{"requestId":{}}"#, "Other"),
            ("notifications/cancelled", "{}", "Other"),
            ("notifications/progress", r#"{"_meta":7}"#, "Other"),
            ("tools/call", r#"{"name":"echo"}"#, "Other"),
        ] {
            for head in [http(Some(NEW), None, None), http(None, None, None), stdio()] {
                let found = match parse(&head, frame(method, params).as_bytes()) {
                    Ok(Message::Notification(Notification::Initialized)) => "Initialized".into(),
                    Ok(Message::Notification(Notification::Cancelled { request })) => {
                        format!("Cancelled {}", request.as_json())
                    }
                    Ok(Message::Notification(Notification::Other)) => "Other".to_owned(),
                    other => format!("{other:?}"),
                };
                assert_eq!(found, expected, "{method} {params}");
            }
        }
        assert_eq!(
            verdict(&stdio(), &frame("notifications/initialized", "[]")),
            "INVALID_REQUEST AsStatus null"
        );
    }

    #[test]
    fn arguments_stay_the_clients_bytes() {
        for (params, expected) in [
            (
                r#""name":"echo","arguments":{ "n" : 1.0, "s":"\u0061" }"#,
                r#"{ "n" : 1.0, "s":"\u0061" }"#,
            ),
            (r#""name":"echo""#, "{}"),
        ] {
            let body = body("tools/call", params);
            let Ok(Message::Request { request, id }) = parse(&stdio(), body.as_bytes()) else {
                panic!("{body} was refused");
            };
            let Method::CallTool(ToolCall { name, arguments }) = request.method else {
                panic!("not a call");
            };
            assert_eq!((name.as_str(), &*arguments), ("echo", expected));
            assert_ne!(id, RpcId::none());
        }
    }

    #[test]
    fn what_a_request_says_about_itself_is_bounded() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
        let mut head = stdio();
        head.traceparent = Some(trace.replace("01", "00"));
        head.tracestate = Some("from=header".to_owned());
        let read = |head: &Head, meta: &str| {
            let body = body("tools/list", &format!(r#""_meta":{{{meta}}}"#));
            match parse(head, body.as_bytes()) {
                Ok(Message::Request { request, .. }) => request.meta,
                other => panic!("{meta}: {other:?}"),
            }
        };
        let meta = read(&head, &format!(r#""traceparent":"{trace}","progressToken":"p""#));
        assert_eq!(meta.trace.traceparent.as_deref(), Some(trace));
        assert_eq!(meta.trace.tracestate, None, "the header's state is not the body's");
        assert_eq!(
            meta.progress_token.map(|token| token.get().to_owned()).as_deref(),
            Some("\"p\"")
        );
        assert_eq!(meta.client_metadata, "{}");

        let meta = read(
            &head,
            r#""com.example/a":{"b": 1},"dev.mcp/x":1,"com.example.mcp/y":2,"baggage":"z","n\u0061me":[]"#,
        );
        assert_eq!(meta.trace.traceparent, head.traceparent.as_deref().map(Into::into));
        assert_eq!(meta.trace.tracestate.as_deref(), Some("from=header"));
        assert_eq!(
            meta.client_metadata,
            r#"{"com.example.mcp/y":2,"com.example/a":{"b": 1},"name":[]}"#
        );

        let told = |info: &str| {
            read(&stdio(), &format!(r#""io.modelcontextprotocol/clientInfo":{info}"#))
                .client_info
                .map(|info| format!("{} {}", info.name, info.version))
        };
        assert_eq!(told(r#"{"name":"c","version":"1","title":"x"}"#).as_deref(), Some("c 1"));
        assert_eq!(told(r#"{"name":"c"}"#).as_deref(), Some("c "));
        for bad in [
            r#"{"name":1}"#,
            "[]",
            r#"{"name":"\n"}"#,
            &format!(r#"{{"name":"{}"}}"#, "x".repeat(129)),
        ] {
            assert_eq!(told(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_error_repeats_little_of_what_was_sent() {
        let version = "9".repeat(1_000);
        let bad = parse(&stdio(), body("tools/list", &meta(&version)).as_bytes()).unwrap_err();
        let details = serde_json::to_string(bad.error.details().unwrap()).unwrap();
        assert_eq!(
            details,
            format!(
                r#"{{"supported":["2026-07-28","2025-11-25","2025-06-18"],"requested":"{}"}}"#,
                "9".repeat(32)
            )
        );
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_get_an_answer(
            bytes: Vec<u8>,
            method in "(tools/call|tools/list|initialize|ping|server/discover|.{0,8})",
            params in r#"(\{("(_meta|name|arguments|cursor)":(\{\}|1|"a"|\[\]|null),?){0,3}\}|.{0,8})"#,
        ) {
            for head in [http(Some(NEW), Some(&method), Some("a")), stdio()] {
                let _ = parse(&head, &bytes);
                let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
                let _ = parse(&head, body.as_bytes());
            }
        }
    }
}

//! The code table, and the one error type that crosses Bulkhead.
//!
//! A code is the same string on the wire, in the audit record, in the metric
//! label and in the tests. Codes are mapped outward by exhaustive matches, so a
//! new one does not compile until every such place has decided.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

/// Declares [`Code`], its wire names and the list of all of them in one place.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $wire:literal,)*) => {
        /// Why something was refused or failed.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
            /// A code that a plugin returned for a failure of its own.
            Plugin(PluginCode),
        }

        impl Code {
            /// The host's own codes; a plugin may not return any of them.
            pub const HOST: &[Code] = &[$(Code::$name,)*];

            /// The code as clients, records and tests spell it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Code::$name => $wire,)*
                    Code::Plugin(code) => code.as_str(),
                }
            }

            /// The code as a metric label, of which there are few: every plugin
            /// code is `TOOL_ERROR`.
            pub fn label(&self) -> &'static str {
                match self {
                    $(Code::$name => $wire,)*
                    Code::Plugin(_) => "TOOL_ERROR",
                }
            }
        }
    };
}

codes! {
    // Gates: refused before the request is a call.
    /// No credential, or one that does not prove who asks.
    Unauthenticated = "UNAUTHENTICATED",
    /// A token that could be stepped up lacks the tool's scope.
    InsufficientScope = "INSUFFICIENT_SCOPE",
    /// A browser's `Origin`, or a `Host`, that is not allowed.
    OriginForbidden = "ORIGIN_FORBIDDEN",
    /// An HTTP method other than POST.
    MethodNotAllowed = "METHOD_NOT_ALLOWED",
    /// The client accepts neither JSON nor an event stream.
    NotAcceptable = "NOT_ACCEPTABLE",
    /// The body is larger than the server takes.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE",
    /// The body is not declared as JSON.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE",

    // Malformed MCP.
    /// The body is not JSON, or not JSON that can be read in only one way.
    ParseError = "PARSE_ERROR",
    /// JSON, but not a JSON-RPC 2.0 request.
    InvalidRequest = "INVALID_REQUEST",
    /// The method's parameters are not what MCP says.
    InvalidParams = "INVALID_PARAMS",
    /// No such method here.
    MethodNotFound = "METHOD_NOT_FOUND",
    /// An HTTP header contradicts the body.
    HeaderMismatch = "HEADER_MISMATCH",
    /// The request needs a capability that the client did not declare.
    MissingClientCapability = "MISSING_CLIENT_CAPABILITY",
    /// A protocol version that the server does not speak.
    UnsupportedProtocolVersion = "UNSUPPORTED_PROTOCOL_VERSION",

    // In-band protocol errors.
    /// Unknown, or concealed from this principal.
    ToolNotFound = "TOOL_NOT_FOUND",
    /// A fault of the server's own. Its text says nothing but the request id.
    Internal = "INTERNAL",

    // Tool results with `isError: true`.
    /// The arguments do not match the tool's input schema.
    InvalidArguments = "INVALID_ARGUMENTS",
    /// A rate was exceeded; retry after the wait.
    RateLimited = "RATE_LIMITED",
    /// The principal, or the plugin, may not do this.
    PermissionDenied = "PERMISSION_DENIED",
    /// The call burned its whole fuel quota.
    FuelExhausted = "FUEL_EXHAUSTED",
    /// The call needed more memory than its quota.
    MemoryExceeded = "MEMORY_EXCEEDED",
    /// The guest trapped.
    ToolCrashed = "TOOL_CRASHED",
    /// The call was not done at its deadline.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// Something that the plugin reaches through the host did not answer.
    UpstreamUnavailable = "UPSTREAM_UNAVAILABLE",
    /// No slot, no plugin, or no audit log right now.
    Unavailable = "UNAVAILABLE",
    /// The result is larger than its quota.
    OutputTooLarge = "OUTPUT_TOO_LARGE",
    /// The result does not match what the tool declares.
    OutputRejected = "OUTPUT_REJECTED",
    /// The plugin failed with a code that is not one, or asked for what is not served.
    ToolError = "TOOL_ERROR",
    /// The client stopped waiting. Never sent; only recorded.
    Cancelled = "CANCELLED",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A plugin's own failure code: `^[A-Z][A-Z0-9_]{2,63}$`, and none of the host's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginCode(Box<str>);

impl PluginCode {
    /// Takes a code that a plugin returned; `None` when its form is wrong or the
    /// host owns it.
    pub fn parse(code: &str) -> Option<Self> {
        let mut bytes = code.bytes();
        let well_formed = (3..=64).contains(&code.len())
            && bytes.next().is_some_and(|b| b.is_ascii_uppercase())
            && bytes.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        let ours = Code::HOST.iter().any(|own| own.as_str() == code);
        (well_formed && !ours).then(|| Self(code.into()))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether asking again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request ends the same way.
    No,
    /// It may succeed later; nobody knows when.
    Maybe,
    /// It may succeed after this long.
    After(Duration),
}

/// How long to wait where nobody has said more exactly.
const SOON: Duration = Duration::from_secs(1);

impl Code {
    /// Whether asking again can help, where an error does not say so more exactly: a
    /// place that forgets to cannot send a client away for good that is to come back.
    pub fn usual_retry(&self) -> Retry {
        match self {
            Self::Unauthenticated
            | Self::InsufficientScope
            | Self::OriginForbidden
            | Self::MethodNotAllowed
            | Self::NotAcceptable
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::ParseError
            | Self::InvalidRequest
            | Self::InvalidParams
            | Self::MethodNotFound
            | Self::HeaderMismatch
            | Self::MissingClientCapability
            | Self::UnsupportedProtocolVersion
            | Self::ToolNotFound
            | Self::Internal
            | Self::InvalidArguments
            | Self::PermissionDenied
            | Self::FuelExhausted
            | Self::MemoryExceeded
            | Self::ToolCrashed
            | Self::OutputTooLarge
            | Self::OutputRejected
            | Self::ToolError
            | Self::Cancelled
            | Self::Plugin(_) => Retry::No,
            Self::DeadlineExceeded | Self::UpstreamUnavailable => Retry::Maybe,
            Self::RateLimited | Self::Unavailable => Retry::After(SOON),
        }
    }
}

/// A refusal or a fault, with one text for the client and one for the operator.
///
/// Only [`Error::message`] and [`Error::details`] ever leave the server.
#[derive(Clone, Debug)]
pub struct Error {
    code: Code,
    message: Cow<'static, str>,
    retry: Retry,
    details: Option<Box<Map<String, Value>>>,
    internal: Option<Box<str>>,
    notes: Option<Box<Map<String, Value>>>,
}

impl Error {
    /// An error that a retry helps as it usually does with this code.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        let retry = code.usual_retry();
        Self { code, message: message.into(), retry, details: None, internal: None, notes: None }
    }

    /// The server's own fault. The client learns that it happened; `cause` is for
    /// the operator's log.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(
            Code::Internal,
            "The server failed. The request id names this failure in the operator's log.",
        )
        .because(cause)
    }

    /// Says whether asking again can help.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Adds one entry to the details that the client sees.
    #[must_use]
    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }

    /// Adds the cause that only the operator sees.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.internal = Some(cause.to_string().into());
        self
    }

    /// Adds a fact that the call's record keeps for the operator, and no client sees. Never
    /// the value of an argument: records hold none.
    #[must_use]
    pub fn note(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.notes.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }

    /// What kind of refusal or fault it is.
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// What the client may read.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether asking again can help.
    pub fn retry_hint(&self) -> Retry {
        self.retry
    }

    /// Facts for a program, for the client.
    pub fn details(&self) -> Option<&Map<String, Value>> {
        self.details.as_deref()
    }

    /// The cause, for the operator's log only.
    pub fn cause(&self) -> Option<&str> {
        self.internal.as_deref()
    }

    /// Facts for the operator, which the call's record keeps.
    pub fn notes(&self) -> Option<&Map<String, Value>> {
        self.notes.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_codes_have_a_form_and_are_not_ours() {
        for good in ["RECORD_NOT_FOUND", "ABC", "A1_", "CONFLICT"] {
            assert_eq!(PluginCode::parse(good).as_ref().map(PluginCode::as_str), Some(good));
        }
        let long = "A".repeat(65);
        for bad in
            ["", "AB", "record", "1AB", "A-B", "A B", "ÄBC", "FUEL_EXHAUSTED", "INTERNAL", &long]
        {
            assert_eq!(PluginCode::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn wire_names_are_unique_and_well_formed() {
        for (at, code) in Code::HOST.iter().enumerate() {
            assert!(code.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{code}");
            assert!(
                Code::HOST.iter().skip(at + 1).all(|other| other.as_str() != code.as_str()),
                "{code}"
            );
        }
    }

    #[test]
    fn an_error_is_as_retryable_as_its_code_until_it_says_otherwise() {
        let hint = |code| Error::new(code, "x").retry_hint();
        assert_eq!(hint(Code::ToolCrashed), Retry::No);
        assert_eq!(hint(Code::DeadlineExceeded), Retry::Maybe);
        for waits in [Code::RateLimited, Code::Unavailable] {
            assert_eq!(hint(waits), Retry::After(SOON));
        }
        let told = Error::new(Code::Unavailable, "x").retry(Retry::Maybe);
        assert_eq!(told.retry_hint(), Retry::Maybe);
    }
}

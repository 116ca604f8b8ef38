//! How a tool fails: a code for programs, a sentence for the model, and whether
//! trying again makes sense.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{Display, Formatter};
use std::time::Duration;

use serde_json::{Map, Value};

/// A failure that the caller of a tool can reason about.
///
/// All of it reaches the agent but its cause, so nothing internal belongs into the
/// rest. `?` on an error of the standard library or of `serde_json` makes one whose
/// message is fixed and general, and keeps the original text as the cause; any other
/// is mapped where it happens:
///
/// ```
/// use bulkhead_sdk::ToolError;
///
/// fn port(text: &str) -> Result<u16, ToolError> {
///     text.parse().map_err(|_| ToolError::invalid("`port` is not a number from 0 to 65535."))
/// }
///
/// fn first_port(path: &str) -> Result<u16, ToolError> {
///     let ports = std::fs::read_to_string(path)?;
///     port(ports.lines().next().ok_or(ToolError::not_found("port"))?)
/// }
///
/// assert_eq!(port("many").unwrap_err().code, "INVALID_INPUT");
/// let error = first_port("/srv/secret/ports").unwrap_err();
/// assert_eq!(error.to_string(), "IO_FAILED: The tool could not read or write what it needs.");
/// ```
///
/// The cause goes to the operator's log when the error leaves the tool, under the
/// call's request id. There is no conversion from *every* error: that a failure is
/// nobody's business is for the author to say, with [`ToolError::internal`].
///
/// ```compile_fail
/// # use bulkhead_sdk::ToolError;
/// fn run() -> Result<(), ToolError> {
///     Err(Box::<dyn std::error::Error>::from("the password is hunter2"))?
/// }
/// ```
///
/// ```
/// # use bulkhead_sdk::ToolError;
/// fn run() -> Result<(), ToolError> {
///     let failed = Err(Box::<dyn std::error::Error>::from("the password is hunter2"));
///     failed.map_err(ToolError::internal)
/// }
/// assert!(!run().unwrap_err().message.contains("hunter2"));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolError {
    /// A stable name for the kind of failure: 3 to 64 of `A-Z 0-9 _`, starting
    /// with a letter. The host replaces a code of any other shape, and its own
    /// codes (`PERMISSION_DENIED`, `RATE_LIMITED`, …), by `TOOL_ERROR`.
    pub code: Cow<'static, str>,
    /// One or two sentences that a model can act on.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retry: Retry,
    /// Details for a program.
    pub details: Map<String, Value>,
    /// What only the operator's log is told.
    cause: Option<Box<str>>,
}

/// Whether the same call may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call will fail again.
    Never,
    /// It may succeed at any time.
    Anytime,
    /// It may succeed after this long; the wire carries whole milliseconds.
    After(Duration),
}

impl ToolError {
    /// An error that the same call would meet again.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            retry: Retry::Never,
            details: Map::new(),
            cause: None,
        }
    }

    /// `RECORD_NOT_FOUND` for `not_found("record")`: what was named does not exist.
    pub fn not_found(what: &str) -> Self {
        let kind = what.to_ascii_uppercase();
        let kind = kind.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        Self::new(format!("{kind}_NOT_FOUND"), format!("There is no such {what}."))
    }

    /// `CONFLICT`: the request is right but does not fit the present state.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new("CONFLICT", message)
    }

    /// `INVALID_INPUT`: the arguments match the schema and still make no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("INVALID_INPUT", message)
    }

    /// `TEMPORARILY_UNAVAILABLE`: what the tool needs is not there now, and is
    /// expected back after `retry_after`. (`UNAVAILABLE` is the host's own.)
    pub fn unavailable(retry_after: Duration) -> Self {
        let message = "What this tool depends on is not available right now.";
        Self::new("TEMPORARILY_UNAVAILABLE", message).retry_after(retry_after)
    }

    /// `TOOL_FAILED`: something of the tool's own went wrong, which is of no use to
    /// the agent. `cause` is for the operator's log.
    pub fn internal(cause: impl Display) -> Self {
        let message = "The tool failed at something of its own. The operator's log says more.";
        Self::new("TOOL_FAILED", message).because(cause)
    }

    /// Says that the same call may succeed at any time.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retry = Retry::Anytime;
        self
    }

    /// Says that the same call may succeed after this long.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry = Retry::After(wait);
        self
    }

    /// Adds a sentence to the message, such as what to try instead.
    #[must_use]
    pub fn hint(mut self, sentence: &str) -> Self {
        self.message.push(' ');
        self.message.push_str(sentence);
        self
    }

    /// Adds one detail for a program.
    #[must_use]
    pub fn detail(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.details.insert(key.into(), value.into());
        self
    }

    /// Adds the cause: a text for the operator's log, which no client ever sees. It is
    /// written when the error leaves the tool, and costs one line of the log then; an
    /// error that the tool recovers from costs nothing.
    #[must_use]
    pub fn because(mut self, cause: impl Display) -> Self {
        self.cause = Some(cause.to_string().into());
        self
    }

    /// What only the operator's log is told.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

/// The code and the message: what the agent is told, so never the cause.
impl Display for ToolError {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// Without a `source`, which is what others print of an error unasked.
impl Error for ToolError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_thing_names_its_code() {
        assert_eq!(ToolError::not_found("record").code, "RECORD_NOT_FOUND");
        assert_eq!(ToolError::not_found("sales order").code, "SALES_ORDER_NOT_FOUND");
    }

    #[test]
    fn the_last_word_on_retrying_counts() {
        let wait = Duration::from_secs(3);
        assert_eq!(ToolError::conflict("").retry, Retry::Never);
        assert_eq!(ToolError::conflict("").retryable().retry, Retry::Anytime);
        assert_eq!(ToolError::unavailable(wait).retry, Retry::After(wait));
    }

    #[test]
    fn hints_and_details_add_up() {
        let error = ToolError::invalid("No.").hint("Try again.").detail("at", 3).detail("of", "x");
        assert_eq!(error.to_string(), "INVALID_INPUT: No. Try again.");
        assert_eq!(Value::Object(error.details), serde_json::json!({ "at": 3, "of": "x" }));
    }
}

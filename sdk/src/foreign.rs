//! `?` on the errors of others: a fixed sentence for the agent, the original text for
//! the operator.
//!
//! The text of a foreign error was written for whoever runs the program, and names
//! what it failed on: a path, an address, a value of somebody else's. So none of it
//! goes into a message, not even where it looks harmless today.

use std::char::CharTryFromError;
use std::fmt::{self, Display};
use std::io::{self, ErrorKind};
use std::net::AddrParseError;
use std::num::{ParseFloatError, ParseIntError, TryFromIntError};
use std::str::{ParseBoolError, Utf8Error};
use std::string::FromUtf8Error;
use std::time::SystemTimeError;

use crate::ToolError;

/// `IO_FAILED`, to be tried again where the kind of failure is one that passes.
impl From<io::Error> for ToolError {
    fn from(error: io::Error) -> Self {
        let failed = Self::new("IO_FAILED", "The tool could not read or write what it needs.");
        let failed = if passes(error.kind()) { failed.retryable() } else { failed };
        failed.because(error)
    }
}

/// Whether what failed may well work the next time.
fn passes(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::Interrupted
            | ErrorKind::NetworkDown
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NotConnected
            | ErrorKind::ResourceBusy
            | ErrorKind::TimedOut
            | ErrorKind::WouldBlock
    )
}

/// `INVALID_DATA`, or as the `io::Error` where reading or writing failed.
impl From<serde_json::Error> for ToolError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() { io::Error::from(error).into() } else { unreadable(error) }
    }
}

/// `TOOL_FAILED`: a `Display` that gives up is a mistake of the tool's.
impl From<fmt::Error> for ToolError {
    fn from(error: fmt::Error) -> Self {
        Self::internal(error)
    }
}

/// `TOOL_FAILED`: a clock that ran backwards.
impl From<SystemTimeError> for ToolError {
    fn from(error: SystemTimeError) -> Self {
        Self::internal(error)
    }
}

macro_rules! unreadable {
    ($($error:ty),+ $(,)?) => {$(
        /// `INVALID_DATA`.
        impl From<$error> for ToolError {
            fn from(error: $error) -> Self {
                unreadable(error)
            }
        }
    )+};
}

unreadable! {
    AddrParseError, CharTryFromError, FromUtf8Error, ParseBoolError, ParseFloatError,
    ParseIntError, TryFromIntError, Utf8Error,
}

/// Data that the tool works with. Where it came from the caller, the tool knows a
/// better sentence: [`ToolError::invalid`].
fn unreadable(cause: impl Display) -> ToolError {
    ToolError::new("INVALID_DATA", "The tool met data that it cannot read.").because(cause)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::Retry;

    /// Text that has no business with a client.
    const SECRET: &str = "/srv/secret/hunter2";

    fn failed<T: std::fmt::Debug, E: Into<ToolError>>(result: Result<T, E>) -> ToolError {
        result.map_err(Into::into).unwrap_err()
    }

    #[test]
    fn every_conversion_keeps_the_text_for_the_operator() {
        struct GivesUp;
        impl Display for GivesUp {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                Err(fmt::Error)
            }
        }
        let mut text = String::new();
        let bytes = vec![0xff];
        let earlier = std::time::SystemTime::UNIX_EPOCH;
        let later = earlier + std::time::Duration::from_secs(1);
        for (error, code) in [
            (failed(Err::<(), _>(io::Error::other(SECRET))), "IO_FAILED"),
            (failed(std::fs::read(SECRET)), "IO_FAILED"),
            (failed(serde_json::from_str::<u8>(&format!("{SECRET:?}"))), "INVALID_DATA"),
            (failed(serde_json::from_reader::<_, u8>(Broken)), "IO_FAILED"),
            (failed(SECRET.parse::<u8>()), "INVALID_DATA"),
            (failed(SECRET.parse::<f64>()), "INVALID_DATA"),
            (failed(SECRET.parse::<bool>()), "INVALID_DATA"),
            (failed(SECRET.parse::<std::net::IpAddr>()), "INVALID_DATA"),
            (failed(char::try_from(u32::MAX)), "INVALID_DATA"),
            (failed(u8::try_from(256)), "INVALID_DATA"),
            (failed(std::str::from_utf8(&bytes)), "INVALID_DATA"),
            (failed(String::from_utf8(bytes.clone())), "INVALID_DATA"),
            (failed(write!(text, "{GivesUp}")), "TOOL_FAILED"),
            (failed(earlier.duration_since(later)), "TOOL_FAILED"),
            (ToolError::internal(SECRET), "TOOL_FAILED"),
        ] {
            assert_eq!(error.code, code, "{error:?}");
            let cause = error.cause().expect("the operator learns why").to_owned();
            let told = error.to_string() + &serde_json::to_string(&error.details).unwrap();
            assert!(!told.contains(&cause) && !told.contains("hunter2"), "{told}");
            assert!(std::error::Error::source(&error).is_none(), "{error:?}");
        }
    }

    /// A file that cannot be read.
    struct Broken;

    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other(SECRET))
        }
    }

    #[test]
    fn what_passes_is_worth_another_try() {
        let retry = |kind: ErrorKind| ToolError::from(io::Error::new(kind, "x")).retry;
        for kind in [ErrorKind::TimedOut, ErrorKind::ConnectionRefused, ErrorKind::Interrupted] {
            assert_eq!(retry(kind), Retry::Anytime, "{kind}");
        }
        for kind in [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::Other] {
            assert_eq!(retry(kind), Retry::Never, "{kind}");
        }
    }
}

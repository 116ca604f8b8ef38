//! Codes, mapped outward: to JSON-RPC integers, to HTTP statuses, and to the form
//! of an answer.
//!
//! Nothing else in the host knows these numbers, and no match here has a wildcard:
//! a new code does not compile until each of them has decided.

use http::StatusCode;

use crate::error::Code;
use crate::transport::Shown;

/// How the end of a call reaches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As a JSON-RPC error.
    Error(Shown),
    /// As a tool result with `isError`, so that the model sees it: the official
    /// TypeScript client turns everything else into an exception.
    ToolResult,
    /// Not at all.
    Silence,
}

/// The form that a call's failure takes.
pub(super) fn form(code: &Code) -> Form {
    match code {
        Code::Unauthenticated
        | Code::InsufficientScope
        | Code::OriginForbidden
        | Code::MethodNotAllowed
        | Code::NotAcceptable
        | Code::PayloadTooLarge
        | Code::UnsupportedMediaType
        | Code::ParseError
        | Code::InvalidRequest
        | Code::HeaderMismatch
        | Code::MissingClientCapability
        | Code::UnsupportedProtocolVersion => Form::Error(Shown::AsStatus),
        Code::InvalidParams | Code::MethodNotFound | Code::ToolNotFound | Code::Internal => {
            Form::Error(Shown::InBand)
        }
        Code::InvalidArguments
        | Code::RateLimited
        | Code::PermissionDenied
        | Code::FuelExhausted
        | Code::MemoryExceeded
        | Code::ToolCrashed
        | Code::DeadlineExceeded
        | Code::UpstreamUnavailable
        | Code::Unavailable
        | Code::OutputTooLarge
        | Code::OutputRejected
        | Code::ToolError
        | Code::Plugin(_) => Form::ToolResult,
        Code::Cancelled => Form::Silence,
    }
}

/// The integer of a JSON-RPC error. Where no standard one fits it is the HTTP
/// status, which lies outside the range that JSON-RPC and MCP reserve.
pub(super) fn rpc_code(code: &Code) -> i32 {
    match code {
        Code::ParseError => -32700,
        Code::InvalidRequest => -32600,
        Code::MethodNotFound => -32601,
        // An unknown tool is a bad parameter (MCP, tools, "Error Handling").
        Code::InvalidParams | Code::InvalidArguments | Code::ToolNotFound => -32602,
        Code::HeaderMismatch => -32020,
        Code::MissingClientCapability => -32021,
        Code::UnsupportedProtocolVersion => -32022,
        Code::Unauthenticated
        | Code::InsufficientScope
        | Code::OriginForbidden
        | Code::MethodNotAllowed
        | Code::NotAcceptable
        | Code::PayloadTooLarge
        | Code::UnsupportedMediaType
        | Code::RateLimited
        | Code::PermissionDenied
        | Code::DeadlineExceeded
        | Code::Unavailable => i32::from(status(code).as_u16()),
        Code::Internal
        | Code::FuelExhausted
        | Code::MemoryExceeded
        | Code::ToolCrashed
        | Code::UpstreamUnavailable
        | Code::OutputTooLarge
        | Code::OutputRejected
        | Code::ToolError
        | Code::Plugin(_)
        | Code::Cancelled => -32603,
    }
}

/// The status of an answer whose code is shown there.
pub(super) fn status(code: &Code) -> StatusCode {
    match code {
        Code::ParseError
        | Code::InvalidRequest
        | Code::InvalidParams
        | Code::InvalidArguments
        | Code::HeaderMismatch
        | Code::MissingClientCapability
        | Code::UnsupportedProtocolVersion => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::InsufficientScope | Code::OriginForbidden | Code::PermissionDenied => {
            StatusCode::FORBIDDEN
        }
        Code::MethodNotFound | Code::ToolNotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        // As a gate: the request itself did not arrive in time.
        Code::DeadlineExceeded => StatusCode::REQUEST_TIMEOUT,
        Code::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        // These are no gates. If one is used as one, that is the server's mistake.
        Code::Internal
        | Code::FuelExhausted
        | Code::MemoryExceeded
        | Code::ToolCrashed
        | Code::UpstreamUnavailable
        | Code::OutputTooLarge
        | Code::OutputRejected
        | Code::ToolError
        | Code::Plugin(_)
        | Code::Cancelled => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three tables of the design (§5), which this file has to be.
    #[test]
    fn codes_go_out_as_the_design_says() {
        let gates = [
            (Code::Unauthenticated, 401),
            (Code::InsufficientScope, 403),
            (Code::OriginForbidden, 403),
            (Code::MethodNotAllowed, 405),
            (Code::NotAcceptable, 406),
            (Code::PayloadTooLarge, 413),
            (Code::UnsupportedMediaType, 415),
            (Code::RateLimited, 429),
            (Code::Unavailable, 503),
        ];
        for (code, number) in gates {
            assert_eq!(
                (status(&code).as_u16(), rpc_code(&code)),
                (number, i32::from(number)),
                "{code}"
            );
        }
        let malformed = [
            (Code::ParseError, 400, -32700),
            (Code::InvalidRequest, 400, -32600),
            (Code::InvalidParams, 400, -32602),
            (Code::MethodNotFound, 404, -32601),
            (Code::HeaderMismatch, 400, -32020),
            (Code::MissingClientCapability, 400, -32021),
            (Code::UnsupportedProtocolVersion, 400, -32022),
        ];
        for (code, number, rpc) in malformed {
            assert_eq!((status(&code).as_u16(), rpc_code(&code)), (number, rpc), "{code}");
        }
        for (code, rpc) in [(Code::ToolNotFound, -32602), (Code::Internal, -32603)] {
            assert_eq!((form(&code), rpc_code(&code)), (Form::Error(Shown::InBand), rpc), "{code}");
        }
    }

    #[test]
    fn no_integer_is_one_that_mcp_reserves_for_others() {
        for code in Code::HOST {
            let rpc = rpc_code(code);
            let standard = [-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022];
            assert!(standard.contains(&rpc) || (400..600).contains(&rpc), "{code}: {rpc}");
        }
    }
}

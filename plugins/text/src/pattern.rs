//! Compiles what a model wrote as a regular expression, and tells it what is
//! wrong with it.

use bulkhead_sdk::prelude::*;
use regex::{Regex, RegexBuilder};

/// The most memory that a compiled pattern may take. Unicode makes `\w` large: it
/// reaches this at about `\w{50}`, and costs 200 M fuel to get there.
const MAX_PROGRAM_BYTES: usize = 2 << 20;

/// Compiles a pattern.
///
/// # Errors
/// `INVALID_PATTERN` with the position, `PATTERN_TOO_LARGE`.
pub(crate) fn compile(pattern: &str) -> Result<Regex, ToolError> {
    let regex = RegexBuilder::new(pattern).size_limit(MAX_PROGRAM_BYTES).build();
    regex.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            ToolError::new("PATTERN_TOO_LARGE", "The compiled pattern would be too large.")
                .hint("Use smaller counts, or `(?-u:\\w)`, which is ASCII, for `\\w`.")
        }
        regex::Error::Syntax(_) | _ => invalid(pattern),
    })
}

/// Parses the pattern again, since `regex` reports a drawing where a position is
/// wanted.
fn invalid(pattern: &str) -> ToolError {
    let (reason, span) = match regex_syntax::parse(pattern) {
        Err(regex_syntax::Error::Parse(error)) => (error.kind().to_string(), *error.span()),
        Err(regex_syntax::Error::Translate(error)) => (error.kind().to_string(), *error.span()),
        _ => return ToolError::new("INVALID_PATTERN", "The pattern is not valid."),
    };
    let position = pattern.get(..span.start.offset).unwrap_or(pattern).chars().count() + 1;
    ToolError::new(
        "INVALID_PATTERN",
        format!("The pattern is not valid at character {position}: {reason}."),
    )
    .detail("position", position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_located() {
        let check = |pattern: &str, position: usize, reason: &str| {
            let error = compile(pattern).unwrap_err();
            assert_eq!(error.code, "INVALID_PATTERN");
            assert_eq!(error.details.get("position"), Some(&json!(position)));
            assert!(error.message.contains(reason), "{error}");
        };
        check("ab(c", 3, "unclosed group");
        check("é[b-a]", 3, "invalid character class range");
        check("a**?+{2,1}", 6, "repetition");
        check(r"(?<x>a)(?<x>b)", 11, "duplicate capture group name");
        check(r"(a)\1", 4, "backreferences are not supported");
        check(r"a(?=b)", 2, "look-around");
        check(r"\p{Klingon}", 1, "Unicode property not found");
    }

    #[test]
    fn a_pattern_that_explodes_is_refused() {
        assert!(compile(r"[a-z]{1000}").is_ok());
        assert!(compile(r"(?-u:\w{1,1000})").is_ok());
        let error = compile(r"(\w{100}){100}").unwrap_err();
        assert_eq!(error.code, "PATTERN_TOO_LARGE");
    }
}

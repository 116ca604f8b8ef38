//! From how a command ended to what its tool produced.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::Stdout;
use crate::runtime::output::{Block, Produced};

/// How much of what a command said on its way out is passed on, in bytes, when it says
/// it in prose.
const MAX_SAID: usize = 800;

/// The code of a failure that has none of its own.
const UNTOLD: &str = "TOOL_FAILED";

/// How lines begin with which a language's runtime tells where in itself a program failed,
/// or with what in hand: that is for the operator's log.
const TRACES: [&str; 5] =
    ["goroutine ", "panic: ", "fatal error: ", "thread '", "stack backtrace:"];

/// The same of Python, which says last what went wrong.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// A structured error, as a command writes it on standard error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    code: String,
    message: String,
    /// By default, when a wait is named.
    retryable: Option<bool>,
    retry_after_ms: Option<u64>,
    details: Option<Box<RawValue>>,
}

/// What a command that ended with `status` produced.
pub(super) fn produced(status: i32, stdout: Vec<u8>, kind: Stdout, stderr: &str) -> Produced {
    match (status, kind) {
        (0, Stdout::Json) => Produced::Done {
            blocks: Vec::new(),
            // What is not JSON in UTF-8 is refused where every structured result is.
            structured: Some(String::from_utf8(stdout).unwrap_or_default()),
            untrusted: false,
        },
        (0, Stdout::Text) => Produced::Done {
            blocks: vec![Block::Text(String::from_utf8_lossy(&stdout).into_owned())],
            structured: None,
            untrusted: false,
        },
        _ => failed(status, stderr),
    }
}

fn failed(status: i32, stderr: &str) -> Produced {
    let said = stderr.trim();
    let last = said.lines().next_back().unwrap_or_default();
    let structured = [last, said].into_iter().find_map(|text| serde_json::from_str(text).ok());
    if let Some(Failure { code, message, retryable, retry_after_ms, details }) = structured {
        let details = details.map(|details| details.get().to_owned());
        let retryable = retryable.unwrap_or(retry_after_ms.is_some());
        return Produced::Failed { code, message, retryable, retry_after_ms, details };
    }
    let message = match tail(&without_traces(said)) {
        "" => format!("The command ended with exit code {status}, and said nothing."),
        said => format!("The command ended with exit code {status}: {said}"),
    };
    Produced::Failed {
        code: UNTOLD.to_owned(),
        message,
        retryable: false,
        retry_after_ms: None,
        details: Some(format!("{{\"exitCode\":{status}}}")),
    }
}

/// What a program said, up to where its runtime takes the word.
fn without_traces(said: &str) -> String {
    let is_trace = |line: &&str| {
        line.trim_start() == TRACEBACK || TRACES.iter().any(|begins| line.starts_with(begins))
    };
    let mut lines = said.lines();
    let mut kept: Vec<&str> = lines.by_ref().take_while(|line| !is_trace(line)).collect();
    if said.contains(TRACEBACK) {
        kept.extend(lines.next_back());
    }
    kept.join("\n").trim().to_owned()
}

/// Whether it failed without an error of its own, but perhaps for one of memory.
pub(super) fn is_untold(produced: &Produced, stderr: &str) -> bool {
    let stderr = stderr.trim().to_ascii_lowercase();
    matches!(produced, Produced::Failed { code, .. } if code == UNTOLD)
        && (stderr.is_empty() || stderr.contains("memory"))
}

/// The end of a text: programs tell last what went wrong.
fn tail(text: &str) -> &str {
    let start = text.len().saturating_sub(MAX_SAID);
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(status: i32, stderr: &str) -> (String, String, Option<String>) {
        let produced = produced(status, Vec::new(), Stdout::Text, stderr);
        let Produced::Failed { code, message, details, .. } = produced else {
            panic!("it failed: {produced:?}")
        };
        (code, message, details)
    }

    #[test]
    fn an_error_object_on_the_last_line_is_the_tools_error() {
        let object = r#"{"code":"EMPTY_TEXT","message":"No words.","details":{"n":1}}"#;
        let expected =
            ("EMPTY_TEXT".to_owned(), "No words.".to_owned(), Some(r#"{"n":1}"#.to_owned()));
        for said in
            [object.to_owned(), format!("a warning\n{object}\n\n"), object.replace(',', ",\n")]
        {
            assert_eq!(message(1, &said), expected, "{said}");
        }
    }

    #[test]
    fn a_wait_means_that_it_is_worth_while_unless_the_command_says_otherwise() {
        for (said, hint) in [
            ("", (false, None)),
            (r#","retryable":true"#, (true, None)),
            (r#","retryAfterMs":500"#, (true, Some(500))),
            // The wait is dropped where every plugin's error is cleaned.
            (r#","retryable":false,"retryAfterMs":500"#, (false, Some(500))),
        ] {
            let said = format!(r#"{{"code":"BUSY","message":"x"{said}}}"#);
            let produced = produced(1, Vec::new(), Stdout::Text, &said);
            let Produced::Failed { retryable, retry_after_ms, .. } = produced else {
                panic!("it failed: {produced:?}")
            };
            assert_eq!((retryable, retry_after_ms), hint, "{said}");
        }
    }

    #[test]
    fn prose_is_passed_on_with_the_exit_code() {
        let (code, text, details) = message(2, "usage: wc FILE\n");
        assert_eq!((code.as_str(), details.as_deref()), ("TOOL_FAILED", Some(r#"{"exitCode":2}"#)));
        assert_eq!(text, "The command ended with exit code 2: usage: wc FILE");
        assert_eq!(message(1, " \n").1, "The command ended with exit code 1, and said nothing.");
        let nothing = "The command ended with exit code 2, and said nothing.";
        for (said, expected) in [
            ("panic: hunter2\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:7\n", nothing),
            ("thread 'main' panicked at src/main.rs:1:2:\nhunter2\n", nothing),
            (
                "reading\nfatal error: all goroutines are asleep\n",
                "The command ended with exit code 2: reading",
            ),
            (
                "Traceback (most recent call last):\n  File \"x.py\", line 1\nValueError: no\n",
                "The command ended with exit code 2: ValueError: no",
            ),
        ] {
            assert_eq!(message(2, said).1, expected, "{said}");
        }
        let long = format!("{}é the end", "x".repeat(5_000));
        let (_, text, _) = message(1, &long);
        assert!(text.ends_with("é the end") && text.len() < 900, "{text}");
    }

    #[test]
    fn output_is_text_or_json() {
        let Produced::Done { blocks, structured, .. } =
            produced(0, b"a\xffb".to_vec(), Stdout::Text, "noise")
        else {
            panic!("it is done")
        };
        assert!(matches!(blocks.as_slice(), [Block::Text(text)] if text == "a\u{fffd}b"));
        assert_eq!(structured, None);
        let Produced::Done { blocks, structured, .. } =
            produced(0, b"{\"n\":1}\n".to_vec(), Stdout::Json, "")
        else {
            panic!("it is done")
        };
        assert!(blocks.is_empty());
        assert_eq!(structured.as_deref(), Some("{\"n\":1}\n"));
    }
}

//! Why a call ended as it did: what its record keeps for `bulkhead why`.
//!
//! What is here came from an [`Error`]: which limit, which scopes, where the arguments
//! broke which rule, which functions a guest was in. Never the value of an argument, and
//! nothing of what a plugin says of its own failures, which may quote one. It is bounded and
//! cleaned when it is written, off the call's path.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Retry};
use crate::text::clean_line;

/// How much one record says of its cause, as JSON. A line has room for it beside the
/// largest shape of arguments; see `the_longest_line_is_bounded`.
pub(super) const MAX_WHY_BYTES: usize = 4 << 10;

/// How much is kept of one text, in characters.
const MAX_TEXT_CHARS: usize = 256;

/// What stands where a list was cut.
const MORE: &str = "…";

/// The steps of a call, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the steps are those of the pipeline")]
pub enum Gate {
    Authenticate,
    Charge,
    Authorize,
    Admit,
    Check,
    Approve,
    Acquire,
    Invoke,
    Clean,
}

impl Gate {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::Authenticate,
        Self::Charge,
        Self::Authorize,
        Self::Admit,
        Self::Check,
        Self::Approve,
        Self::Acquire,
        Self::Invoke,
        Self::Clean,
    ];

    /// Its name in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Charge => "charge",
            Self::Authorize => "authorize",
            Self::Admit => "admit",
            Self::Check => "check",
            Self::Approve => "approve",
            Self::Acquire => "acquire",
            Self::Invoke => "invoke",
            Self::Clean => "clean",
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Gate {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|gate| gate.as_str() == name).ok_or(())
    }
}

/// What an error says of its cause, as far as a record may hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct Why(Map<String, Value>);

impl Why {
    /// What the record keeps of an error.
    pub fn of(error: &Error) -> Self {
        let mut kept = error.notes().cloned().unwrap_or_default();
        if !is_ours(error.code()) {
            return Self(kept);
        }
        let details = |key: &str| error.details().and_then(|details| details.get(key));
        for key in ["limit", "quota", "scope"] {
            if let Some(value) = details(key) {
                kept.insert(key.to_owned(), value.clone());
            }
        }
        if let Some(Value::Array(violations)) = details("violations") {
            let kept_of = |violation: &Value| json!({ "path": violation.get("path"), "rule": violation.get("rule") });
            kept.insert("violations".to_owned(), violations.iter().map(kept_of).collect());
        }
        if let Retry::After(wait) = error.retry_hint() {
            kept.insert("wait_ms".to_owned(), (wait.as_micros() as f64 / 1_000.0).into());
        }
        if *error.code() == Code::OutputRejected {
            // A text of the host's own, which says what was wrong with it.
            kept.insert("cause".to_owned(), error.message().into());
        }
        Self(kept)
    }

    /// The object as it is written, with the gate that decided.
    pub(super) fn written(this: Option<&Self>, gate: Gate) -> Map<String, Value> {
        let mut budget = MAX_WHY_BYTES;
        let mut written = Map::new();
        let own = [("gate".to_owned(), Value::from(gate.as_str()))];
        // Lists last: a long one takes what is left, and no more.
        let of = |lists: bool| {
            let all = this.into_iter().flat_map(|why| &why.0);
            all.filter(move |(_, value)| value.is_array() == lists)
                .map(|(key, value)| (key.clone(), value.clone()))
        };
        for (key, value) in own.into_iter().chain(of(false)).chain(of(true)) {
            // The quotes, the colon and the comma.
            let Some(rest) = budget.checked_sub(key.len() + 4) else { break };
            budget = rest;
            if let Some(value) = bounded(&value, &mut budget) {
                written.insert(key, value);
            }
        }
        written
    }
}

/// Whether the host says what such an error says, and no plugin.
fn is_ours(code: &Code) -> bool {
    !matches!(code, Code::Plugin(_) | Code::ToolError)
}

/// A value, cleaned and cut to what the budget allows; none where nothing fits.
fn bounded(value: &Value, budget: &mut usize) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => spend(value.clone(), budget),
        Value::String(text) => spend(clean_line(text, MAX_TEXT_CHARS).into(), budget),
        Value::Array(items) => {
            // The brackets, and the mark of a cut.
            *budget = budget.checked_sub(2 + MORE.len() + 3)?;
            let mut kept = Vec::new();
            for item in items {
                let before = *budget;
                let Some(item) = bounded(item, budget) else {
                    *budget = before;
                    kept.push(MORE.into());
                    break;
                };
                kept.push(item);
            }
            Some(kept.into())
        }
        Value::Object(members) => {
            *budget = budget.checked_sub(2)?;
            let mut kept = Map::new();
            for (key, value) in members {
                *budget = budget.checked_sub(key.len() + 4)?;
                kept.insert(key.clone(), bounded(value, budget)?);
            }
            Some(kept.into())
        }
    }
}

/// A value that is kept whole, and what it takes with its comma.
fn spend(value: Value, budget: &mut usize) -> Option<Value> {
    *budget = budget.checked_sub(value.to_string().len() + 1)?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::PluginCode;

    fn written(error: &Error) -> Value {
        Why::written(Some(&Why::of(error)), Gate::Invoke).into()
    }

    #[test]
    fn gates_are_known_by_their_names() {
        for gate in Gate::ALL {
            assert_eq!(gate.as_str().parse(), Ok(gate));
        }
        assert!(Gate::ALL.is_sorted());
        assert_eq!("serve".parse::<Gate>(), Err(()));
    }

    #[test]
    fn what_explains_is_kept_and_no_value_is() {
        let violations = json!([
            { "path": "/limit", "rule": "maximum", "message": "must be at most 5", "got": "hunter2" }
        ]);
        let error = Error::new(Code::InvalidArguments, "hunter2")
            .retry(Retry::After(Duration::from_micros(1_500)))
            .detail("violations", violations)
            .detail("limit", "per_agent.rate")
            .detail("other", "hunter2")
            .note("missing", vec!["a:b"])
            .because("hunter2");
        let expected = json!({
            "gate": "invoke", "limit": "per_agent.rate", "wait_ms": 1.5, "missing": ["a:b"],
            "violations": [{ "path": "/limit", "rule": "maximum" }],
        });
        assert_eq!(written(&error), expected);
        let bare = Value::from(Why::written(None, Gate::Charge));
        assert_eq!(bare, json!({ "gate": "charge" }));
    }

    #[test]
    fn what_a_plugin_says_is_not_kept() {
        for code in [Code::Plugin(PluginCode::parse("NOT_FOUND").unwrap()), Code::ToolError] {
            let error = Error::new(code, "hunter2")
                .retry(Retry::After(Duration::from_secs(1)))
                .detail("limit", "hunter2")
                .detail("violations", json!([{ "path": "hunter2", "rule": "hunter2" }]));
            assert_eq!(written(&error), json!({ "gate": "invoke" }));
        }
    }

    #[test]
    fn it_is_clean_and_bounded() {
        let hostile = "\u{1b}[31m\"\\\u{0}\u{10ffff}\n".repeat(1_000);
        let frames = vec![hostile.clone(); 1_000];
        let error = Error::new(Code::ToolCrashed, "")
            .note("backtrace", frames)
            .note("trap", hostile.as_str())
            .note("zzz", hostile.as_str());
        let written = written(&error);
        let text = written.to_string();
        assert!((3 << 10..=MAX_WHY_BYTES).contains(&text.len()), "{}", text.len());
        assert!(!text.contains("\\u") && !text.contains("\\n"), "{text}");
        let frames = written["backtrace"].as_array().unwrap();
        assert_eq!(frames.last().unwrap(), MORE, "a cut is told");
        assert!(written["trap"].is_string() && written["zzz"].is_string());
    }
}

//! What a policy said to one call, and why.

use std::fmt;
use std::sync::Arc;

use crate::error::{Code, Error};
use crate::text::clean_line;

/// The longest reason of an author that callers are told, in characters.
const LONGEST_REASON: usize = 200;

/// How many reasons they are told.
const MOST_REASONS: usize = 3;

/// How many rules and errors are named to the operator for one call.
const MOST_NAMED: usize = 8;

/// What a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// To allow.
    Permit,
    /// To deny, whatever is permitted.
    Forbid,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permit => "permit",
            Self::Forbid => "forbid",
        })
    }
}

/// One policy of the file, as people find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its `@id`.
    pub id: Option<Box<str>>,
    /// Its `@reason`, on one line.
    pub reason: Option<Box<str>>,
    /// What it is for.
    pub effect: Effect,
    /// The file that it is in.
    pub file: Arc<str>,
    /// The line that it begins on.
    pub line: usize,
}

impl Rule {
    pub(super) fn reason(text: &str) -> Box<str> {
        clean_line(text, LONGEST_REASON).into()
    }
}

impl fmt::Display for Rule {
    /// `ID (FILE:LINE)`, or `FILE:LINE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "{id} ({}:{})", self.file, self.line),
            None => write!(f, "{}:{}", self.file, self.line),
        }
    }
}

/// What a policy says to a call.
#[derive(Debug)]
pub struct Verdict<'p> {
    /// Whether the call may be made.
    pub allowed: bool,
    /// The rules that decided: those that permit a call that is allowed, those that
    /// forbid one that is not. None where nothing permits it.
    pub deciding: Vec<&'p Rule>,
    /// What failed, for the operator. Anything that did denies.
    pub errors: Vec<String>,
    /// The rules that failed.
    pub(super) failing: Vec<&'p Rule>,
    /// Why the policy could not look at the call at all, for the caller.
    pub(super) unfit: Option<String>,
}

impl Verdict<'_> {
    /// The answer without a policy.
    pub(super) fn yes() -> Self {
        Self {
            allowed: true,
            deciding: Vec::new(),
            errors: Vec::new(),
            failing: Vec::new(),
            unfit: None,
        }
    }

    pub(super) fn unfit(why: String) -> Self {
        Self {
            allowed: false,
            deciding: Vec::new(),
            errors: vec![why.clone()],
            failing: Vec::new(),
            unfit: Some(why),
        }
    }

    /// What a call that is not allowed is answered.
    pub(super) fn refusal(&self) -> Option<Error> {
        if self.allowed {
            return None;
        }
        let mut message = "The operator's policy does not allow this call.".to_owned();
        let reasons = self.deciding.iter().filter_map(|rule| rule.reason.as_deref());
        for reason in reasons.chain(self.unfit_reason().as_deref()).take(MOST_REASONS) {
            message.push(' ');
            message.push_str(reason);
        }
        // Only names: what Cedar says of a failure may quote an argument.
        let named = |rules: &[&Rule]| -> Vec<String> {
            rules.iter().take(MOST_NAMED).map(ToString::to_string).collect()
        };
        let mut refusal = Error::new(Code::PermissionDenied, message).because(self.cause());
        for (key, rules) in [("rules", &self.deciding), ("failing", &self.failing)] {
            if !rules.is_empty() {
                refusal = refusal.note(key, named(rules));
            }
        }
        Some(refusal.note("unfit", self.unfit.is_some()))
    }

    fn unfit_reason(&self) -> Option<String> {
        self.unfit.as_ref().map(|why| format!("It cannot judge it: {why}."))
    }

    /// Why the call is not allowed, for the operator.
    pub fn cause(&self) -> String {
        let named = |all: Vec<String>| {
            let more = all.len().saturating_sub(MOST_NAMED);
            let mut named: Vec<String> = all.into_iter().take(MOST_NAMED).collect();
            if more > 0 {
                named.push(format!("{more} more"));
            }
            named.join(", ")
        };
        let rules = self.deciding.iter().map(ToString::to_string).collect::<Vec<_>>();
        match (rules.is_empty(), self.errors.is_empty()) {
            (true, true) => "policy: no rule permits it".to_owned(),
            (true, false) => format!("policy failed: {}", named(self.errors.clone())),
            (false, true) => format!("policy: forbidden by {}", named(rules)),
            (false, false) => {
                format!("policy failed: {}; {}", named(self.errors.clone()), named(rules))
            }
        }
    }
}

//! Policy on arguments: may this principal make *this* call?
//!
//! An operator's rules in the Cedar language (<https://docs.cedarpolicy.com>), about what
//! scopes cannot say: which region, up to which amount, at which hours. Without a policy
//! every call that came this far is allowed, at no cost.
//!
//! # What a policy sees
//!
//! | variable | is | and has |
//! |---|---|---|
//! | `principal` | `Agent::"NAME"`, in `Role::"NAME"` for each of its roles | `subject`, `tenant` (strings, where the credential tells them), `scopes` (a set of strings), `credential` (`"key"`, `"token"`, `"certificate"`, `"anonymous"`, `"local"`) |
//! | `action` | `Action::"call"` | |
//! | `resource` | `Tool::"NAME"`, in `Plugin::"NAME"` | `plugin`, and the annotations `read_only`, `destructive`, `idempotent`, `open_world` (by default as in MCP: false, true, false, true; what is read-only is not destructive) |
//! | `context` | a record | `arguments` (a record), `now` (a datetime, to the second), and in UTC `hour` (0 to 23), `minute`, `weekday` (1 is Monday, 7 Sunday) |
//!
//! An argument that is not there, or `null`, is not in `context.arguments`: ask with
//! `context.arguments has region`. Strings, booleans and whole numbers are what they are
//! in JSON, arrays are sets, objects are records. Other numbers, and every argument that
//! the tool's schema says is a `number`, are decimals of four places.
//!
//! # What decides
//!
//! A call is allowed when a `permit` matches and no `forbid` does. Any error denies,
//! whichever policy makes it, such as one that reads an argument that is not there: Cedar
//! itself passes over a policy that fails, and a `forbid` must not end like that. So does a
//! number that no policy can hold. `@id("…")` names a policy in logs, and the
//! `@reason("…")` of a `forbid` that matched is told to the caller.

mod arguments;
mod load;
mod reads;
mod request;
mod split;
#[cfg(test)]
mod tests;
mod verdict;

use crate::catalog::Tool;
use crate::clock::Clock;
use crate::error::Error;
use crate::limits::{Seat, Seated};
use crate::validation::ValidCall;

pub use load::{BadPolicy, MOST_BYTES};
pub use request::{Effects, Question};
pub use verdict::{Effect, Rule, Verdict};

use load::Rules;

/// Evidence that policy allows a call with these arguments.
///
/// ```compile_fail
/// # fn forge(call: bulkhead::validation::ValidCall) {
/// bulkhead::policy::Approval(call);
/// # }
/// ```
#[derive(Debug)]
pub struct Approval(ValidCall);

impl Approval {
    /// The call that was approved.
    pub fn call(&self) -> &ValidCall {
        &self.0
    }
}

impl Seated for Approval {
    fn seats(&self) -> impl Iterator<Item = Seat> {
        self.0.permit().seats()
    }
}

/// What the operator allows.
#[derive(Debug, Default)]
pub struct Policy(Option<Box<Rules>>);

impl Policy {
    /// No policy: every call that came this far is allowed.
    pub fn none() -> Self {
        Self(None)
    }

    /// How many rules there are; none where there is no policy.
    pub fn rules(&self) -> Option<usize> {
        self.0.as_ref().map(|rules| rules.count())
    }

    /// Whether both were read from the same text.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(rules), Some(others)) => rules.is_same(others),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// What the policy says to a call, and why. Without one, yes.
    pub fn decide(&self, question: &Question<'_>) -> Verdict<'_> {
        match &self.0 {
            None => Verdict::yes(),
            Some(rules) => rules.decide(question),
        }
    }
}

/// Asks policy about a call whose arguments are known to be valid.
///
/// # Errors
/// `PERMISSION_DENIED` when no rule permits the call, one forbids it, or one fails.
pub fn approve(policy: &Policy, call: ValidCall, clock: &dyn Clock) -> Result<Approval, Error> {
    let Some(rules) = &policy.0 else { return Ok(Approval(call)) };
    let permit = call.permit();
    let (principal, tool): (_, &Tool) = (permit.principal(), permit.tool());
    let verdict = rules.decide(&Question {
        agent: principal.agent(),
        subject: principal.subject(),
        tenant: principal.tenant(),
        scopes: principal.scopes(),
        credential: request::kind(principal.credential()),
        tool: tool.name.as_str(),
        plugin: tool.plugin.name.as_str(),
        effects: tool.annotations.into(),
        schema: tool.input_schema.get(),
        arguments: call.arguments(),
        at: clock.utc(),
    });
    let refusal = verdict.refusal();
    refusal.map_or(Ok(Approval(call)), Err)
}

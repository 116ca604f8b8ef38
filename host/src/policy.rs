//! Policy on arguments: may this principal make *this* call?
//!
//! A constant yes until an operator can write a policy. The step stands in the
//! life of a call so that whatever comes later sees an [`Approval`] or nothing.

use crate::clock::Clock;
use crate::error::Error;
use crate::limits::{Seat, Seated};
use crate::validation::ValidCall;

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
#[derive(Debug)]
pub struct Policy {}

impl Policy {
    /// No policy: every call that came this far is allowed.
    pub fn none() -> Self {
        Self {}
    }
}

/// Asks policy about a call whose arguments are known to be valid.
///
/// # Errors
/// `PERMISSION_DENIED`, once there is a policy that says so.
pub fn approve(policy: &Policy, call: ValidCall, clock: &dyn Clock) -> Result<Approval, Error> {
    let _ = (policy, clock);
    Ok(Approval(call))
}

//! Tokens of authorization servers: from text to an identity.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::identities::Agents;
use super::principal::Identity;
use crate::config::Config;

/// The authorization servers whose tokens are accepted, and what is known of them.
#[derive(Debug)]
pub struct Tokens {
    #[expect(dead_code, reason = "tokens are yet to come")]
    agents: Agents,
}

/// Why a token is not accepted; for the operator.
#[derive(Debug)]
pub(super) struct Rejected(pub(super) String);

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Tokens {
    /// Accepts the tokens of the configuration's issuers, and none without them.
    pub fn new(config: &Config) -> Self {
        Self { agents: Agents::new(&config.agents, config.per_agent) }
    }

    /// Whose token `text` is, if it was verified before and still holds. Takes no
    /// lock and touches neither disk nor network.
    pub(super) fn known(&self, text: &str, now: Timestamp) -> Option<Arc<Identity>> {
        let _ = (text, now);
        None
    }

    /// Whose token `text` is. May wait for its issuer.
    ///
    /// # Errors
    /// When it is no token of an issuer that is accepted here.
    pub(super) async fn verify(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Result<Arc<Identity>, Rejected> {
        let _ = (text, now);
        Err(Rejected("no issuer is configured".to_owned()))
    }
}

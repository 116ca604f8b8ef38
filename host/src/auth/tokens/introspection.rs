//! Asks the issuer about tokens that only it can read (RFC 7662).
//!
//! The threat: anybody can send texts that look like tokens, and each costs the issuer
//! a request. So few requests run at once, few calls wait for a turn, fewer of one
//! source, and what was refused is remembered for a moment. Tokens that were active
//! lately have turns of their own, which nobody gets into by making tokens up. A flood
//! therefore delays tokens that were not, and refuses them where it comes from many
//! addresses or the issuer takes a second to answer; and nothing else: keys, signed
//! tokens and tokens that were asked about within `cache` wait for nobody.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::Rejected;
use super::jwt::strict;
use super::waiting::Places;
use super::warm::Digest;
use crate::auth::principal::Identity;
use crate::clock::Clock;
use crate::config::{Introspection, Url};
use crate::fetch::{Client, FetchError};
use crate::names::Secret;

/// How many requests run at once about tokens that were never active here, and how many
/// about others.
const NEW_AT_ONCE: usize = 12;
const RETURNING_AT_ONCE: usize = 4;

/// How long a call waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a refusal counts. Short: an issuer that replicates may know a new token
/// only a moment later.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// How many refusals are remembered, of some 50 bytes each.
const MOST_REFUSED: usize = 10_000;

/// Of how many tokens it is remembered that they were active, of some 50 bytes each.
const MOST_ACTIVE: usize = 10_000;

/// The one who knows.
pub(super) struct Introspector {
    url: Url,
    client_id: String,
    secret: Secret,
    client: Client,
    /// How long a good answer counts.
    pub(super) cache: Duration,
    new: Queue,
    returning: Queue,
    clock: Arc<dyn Clock>,
    /// Until when a token counts as refused.
    refused: Cache<Digest, Instant>,
    /// Tokens that were active when they were last asked about.
    active: Cache<Digest, ()>,
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspector").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Who waits for a turn.
#[derive(Debug)]
struct Queue {
    turns: Semaphore,
    places: Places,
}

impl Queue {
    fn of(turns: usize) -> Self {
        Self { turns: Semaphore::new(turns), places: Places::default() }
    }
}

/// A token that somebody presents.
#[derive(Clone, Copy)]
pub(super) struct Opaque<'t> {
    pub(super) text: &'t str,
    pub(super) digest: Option<Digest>,
    pub(super) source: Option<IpAddr>,
}

/// What is known about it.
pub(super) enum Answer {
    /// What its issuer says of an active one.
    Active(Map<String, Value>),
    Inactive,
    /// Another call with it was answered while this one waited for its turn.
    Known(Arc<Identity>),
}

impl Introspector {
    pub(super) fn new(
        asked: &Introspection,
        secret: Secret,
        client: Client,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            url: asked.url.clone(),
            client_id: asked.client_id.clone(),
            secret,
            client,
            cache: asked.cache,
            new: Queue::of(NEW_AT_ONCE),
            returning: Queue::of(RETURNING_AT_ONCE),
            clock: Arc::clone(clock),
            refused: Cache::new(MOST_REFUSED),
            active: Cache::new(MOST_ACTIVE),
        }
    }

    /// What the issuer says about `token`; `known` looks whether it is known by now. Waits
    /// for the issuer, a bounded time. Safe to cancel.
    pub(super) async fn ask(
        &self,
        token: Opaque<'_>,
        known: impl Fn(&Digest) -> Option<Arc<Identity>>,
    ) -> Result<Answer, Rejected> {
        let Opaque { text, digest, source } = token;
        if self.is_refused(digest) {
            return Ok(Answer::Inactive);
        }
        let unavailable = |why: String| Rejected::IssuerUnavailable(why);
        let is_returning = digest.is_some_and(|digest| self.active.get(&digest).is_some());
        let queue = if is_returning { &self.returning } else { &self.new };
        let place = queue.places.take(source);
        let _place = place.ok_or_else(|| unavailable("too many tokens wait for it".to_owned()))?;
        let turn = tokio::time::timeout(PATIENCE, queue.turns.acquire()).await;
        let late = || unavailable("too many tokens are before this one".to_owned());
        let _turn = turn.map_err(|_| late())?.map_err(|_| late())?;
        // Whoever waited with the same token need not ask again.
        if self.is_refused(digest) {
            return Ok(Answer::Inactive);
        }
        if let Some(identity) = digest.and_then(|digest| known(&digest)) {
            return Ok(Answer::Known(identity));
        }
        let fields = [("token", text), ("token_type_hint", "access_token")];
        let asked = self.client.post_form(&self.url, &fields, &self.client_id, &self.secret);
        let answer = match asked.await {
            Ok(answer) => answer,
            // What cannot be a token of theirs, some issuers do not call inactive, but
            // refuse as `unsupported_token_type` (RFC 7009 §2.2.1).
            Err(FetchError::Refused(_)) => {
                self.remember_refused(digest);
                return Ok(Answer::Inactive);
            }
            Err(error) => return Err(unavailable(error.to_string())),
        };
        let claims = strict(&answer).map_err(|why| unavailable(format!("its answer: {why}")))?;
        match claims.get("active") {
            Some(Value::Bool(true)) => {
                if let Some(digest) = digest {
                    self.active.insert(digest, ());
                }
                Ok(Answer::Active(claims))
            }
            Some(Value::Bool(false)) => {
                self.remember_refused(digest);
                Ok(Answer::Inactive)
            }
            _ => Err(unavailable("its answer says not whether the token is active".to_owned())),
        }
    }

    fn is_refused(&self, digest: Option<Digest>) -> bool {
        let until = digest.and_then(|digest| self.refused.get(&digest));
        until.is_some_and(|until| self.clock.now() < until)
    }

    fn remember_refused(&self, digest: Option<Digest>) {
        if let Some(digest) = digest {
            self.active.remove(&digest);
            self.refused.insert(digest, self.clock.now() + REFUSED_FOR);
        }
    }
}

//! Asks the issuer about tokens that only it can read (RFC 7662).
//!
//! The threat: anybody can send texts that look like tokens, and each costs the issuer
//! a request. So few requests run at once, few calls wait for a turn, fewer of one
//! source, and what was refused is remembered for a moment. Tokens that were active once
//! have turns of their own, which nobody gets into by making tokens up. A flood
//! therefore delays, and from many addresses refuses, tokens that were never seen here,
//! and nothing else: keys, signed tokens and tokens that were asked about within `cache`
//! wait for nobody.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use quick_cache::sync::Cache;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::Rejected;
use super::jwt::strict;
use super::waiting::Places;
use super::warm::Digest;
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

/// The one who knows.
#[derive(Debug)]
pub(super) struct Introspector {
    url: Url,
    client_id: String,
    secret: Secret,
    client: Client,
    /// How long a good answer counts.
    pub(super) cache: Duration,
    new: Queue,
    returning: Queue,
    /// Until when a token counts as refused.
    refused: Cache<Digest, Timestamp>,
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
    /// It was active once.
    pub(super) is_returning: bool,
    pub(super) source: Option<IpAddr>,
}

impl Introspector {
    pub(super) fn new(asked: &Introspection, secret: Secret, client: Client) -> Self {
        Self {
            url: asked.url.clone(),
            client_id: asked.client_id.clone(),
            secret,
            client,
            cache: asked.cache,
            new: Queue::of(NEW_AT_ONCE),
            returning: Queue::of(RETURNING_AT_ONCE),
            refused: Cache::new(MOST_REFUSED),
        }
    }

    /// What the issuer says about `token`: the claims of an active one, and nothing of
    /// any other. Waits for the issuer, a bounded time. Safe to cancel.
    pub(super) async fn ask(
        &self,
        token: Opaque<'_>,
        now: Timestamp,
    ) -> Result<Option<Map<String, Value>>, Rejected> {
        let Opaque { text, digest, is_returning, source } = token;
        let refused = digest.and_then(|digest| self.refused.get(&digest));
        if refused.is_some_and(|until| now < until) {
            return Ok(None);
        }
        let unavailable = |why: String| Rejected::IssuerUnavailable(why);
        let busy = || unavailable("too many tokens wait to be introspected".to_owned());
        let queue = if is_returning { &self.returning } else { &self.new };
        let _place = queue.places.take(source).ok_or_else(busy)?;
        let turn = tokio::time::timeout(PATIENCE, queue.turns.acquire()).await;
        let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let fields = [("token", text), ("token_type_hint", "access_token")];
        let asked = self.client.post_form(&self.url, &fields, &self.client_id, &self.secret);
        let answer = match asked.await {
            Ok(answer) => answer,
            // What cannot be a token of theirs, some issuers do not call inactive, but
            // refuse as `unsupported_token_type` (RFC 7009 §2.2.1).
            Err(FetchError::Refused(_)) => {
                self.remember_refused(digest, now);
                return Ok(None);
            }
            Err(error) => return Err(unavailable(error.to_string())),
        };
        let claims = strict(&answer).map_err(|why| unavailable(format!("its answer: {why}")))?;
        match claims.get("active") {
            Some(Value::Bool(true)) => Ok(Some(claims)),
            Some(Value::Bool(false)) => {
                self.remember_refused(digest, now);
                Ok(None)
            }
            _ => Err(unavailable("its answer says not whether the token is active".to_owned())),
        }
    }

    fn remember_refused(&self, digest: Option<Digest>, now: Timestamp) {
        if let (Some(digest), Ok(until)) = (digest, now.checked_add(REFUSED_FOR)) {
            self.refused.insert(digest, until);
        }
    }
}

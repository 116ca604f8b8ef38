//! Tokens of authorization servers: from text to an identity.
//!
//! A token that is not [`warm`] takes this way: it is taken apart ([`jwt`]); its `iss`
//! picks one of the configured issuers, before anything else is believed; its claims
//! are judged ([`claims`]), since a token that is of no use shall not make anybody ask
//! its issuer; its signature is verified with the issuer's keys ([`keys`], [`keyring`]).
//! An opaque token is asked about ([`introspection`]). What remains is an identity, with
//! the agent's entry laid over the token's scopes.
//!
//! Deliberately absent: the time that `jsonwebtoken` would look up, and its leeways; a
//! memory of what was refused, which strangers could fill.

mod claims;
mod discovery;
mod introspection;
mod jwt;
mod keyring;
mod keys;
mod waiting;
mod warm;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::identities::Agents;
use super::principal::Identity;
use crate::clock::Clock;
use crate::config::{Config, Issuer, KeySource, shown};
use crate::fetch::{Client, NoRoots, Roots};
use crate::names::Secret;
pub(super) use claims::Verified;
use claims::{Origin, judge};
use introspection::{Answer, Introspector, Opaque};
use jwt::Jwt;
use keyring::Keyring;
use keys::{KeySet, Refusal};
use warm::{Digest, Warm};

/// The authorization servers whose tokens are accepted, and what is known of them.
pub struct Tokens {
    agents: Agents,
    trusted: Vec<Trusted>,
    warm: Arc<Warm>,
    clock: Arc<dyn Clock>,
    /// All requests come from one address, which therefore says nothing.
    behind_proxy: bool,
    background: Background,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("trusted", &self.trusted).finish_non_exhaustive()
    }
}

/// What runs beside the calls: a task for each issuer whose keys were needed once.
#[derive(Debug, Default)]
struct Background {
    tasks: TaskTracker,
    end: CancellationToken,
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// One issuer.
#[derive(Debug)]
struct Trusted {
    rules: Issuer,
    signed: Signed,
    introspector: Option<Introspector>,
}

/// How the signatures of an issuer are verified. An issuer has one way: no token can
/// choose between a public key and a secret.
#[derive(Debug)]
enum Signed {
    /// With the keys that it publishes.
    ByPublished(Arc<Keyring>),
    /// With the secret that it shares.
    BySecret(KeySet),
    /// Not at all: each token is introspected.
    Unread,
}

/// Why a token is not accepted; for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// It is none that is accepted here.
    Token(String),
    /// Nobody can say: its issuer cannot be asked. It may be accepted later.
    IssuerUnavailable(String),
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(why) => write!(f, "token: {why}"),
            Self::IssuerUnavailable(why) => write!(f, "the issuer cannot be asked: {why}"),
        }
    }
}

/// An issuer that cannot be served as configured, and what to do about it.
#[derive(Debug)]
pub struct BadIssuer(String);

impl fmt::Display for BadIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadIssuer {}

impl Tokens {
    /// Accepts the tokens of the configuration's issuers, and none without them. Reads
    /// certificates and secrets, and calls nobody: an issuer that is down holds up no
    /// start.
    ///
    /// # Errors
    /// When a secret or a certificate that the configuration names cannot be had.
    pub fn new(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, BadIssuer> {
        Self::with_variables(config, clock, &|name| std::env::var(name).ok())
    }

    fn with_variables(
        config: &Config,
        clock: &Arc<dyn Clock>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, BadIssuer> {
        let issuers = &config.auth.issuers;
        let tls = issuers.iter().flat_map(Issuer::urls).any(|url| url.is_tls());
        let roots = if tls { Roots::of_system() } else { Roots::none() };
        let resource = config.server.resource();
        let trusted = issuers.iter().map(|issuer| {
            let mut rules = issuer.clone();
            if rules.audience.is_empty() {
                rules.audience.extend(resource.clone());
            }
            let trusted = Trusted::new(rules, &roots, clock, variable);
            trusted.map_err(|why| BadIssuer(format!("issuer {}: {why}", shown(&issuer.issuer))))
        });
        Ok(Self {
            agents: Agents::new(config),
            trusted: trusted.collect::<Result<_, _>>()?,
            warm: Arc::new(Warm::new().map_err(|_| BadIssuer("no random bytes".to_owned()))?),
            clock: Arc::clone(clock),
            behind_proxy: config.server.behind_tls_proxy,
            background: Background::default(),
        })
    }

    /// Whose token `text` is, if it was verified before and still holds. Touches neither
    /// disk nor network; takes a third of a microsecond.
    pub(super) fn known(&self, text: &str, now: Timestamp) -> Option<Arc<Identity>> {
        if self.trusted.is_empty() {
            return None;
        }
        self.warm.get(&self.warm.digest_of(text)?, now)
    }

    /// Whose token `text` is, which somebody at `source` presents. May wait for its
    /// issuer, some seconds at most. Safe to cancel.
    ///
    /// # Errors
    /// When it is no token of an issuer that is accepted here, or nobody can say.
    pub(super) async fn verify(
        &self,
        text: &str,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Arc<Identity>, Rejected> {
        if self.trusted.is_empty() {
            return Err(Rejected::Token("no issuer is configured".to_owned()));
        }
        let source = source.filter(|_| !self.behind_proxy);
        jwt::bounded(text).map_err(Rejected::Token)?;
        if !jwt::is_meant(text) {
            return self.introspected(text, self.trusted.iter(), source, now).await;
        }
        let jwt = Jwt::parse(text).map_err(Rejected::Token)?;
        let trusted = self.issuer_of(&jwt).map_err(Rejected::Token)?;
        match &trusted.signed {
            Signed::Unread => self.introspected(text, [trusted], source, now).await,
            Signed::BySecret(keys) => {
                let verified = trusted.judge(&jwt, now).map_err(Rejected::Token)?;
                keys.verify(&jwt).map_err(|refusal| match refusal {
                    Refusal::UnknownKey(why) | Refusal::Wrong(why) => Rejected::Token(why),
                })?;
                self.keep(self.warm.digest_of(text), verified, None)
            }
            Signed::ByPublished(keyring) => {
                let verified = trusted.judge(&jwt, now).map_err(Rejected::Token)?;
                keyring.wake(&self.background, &self.warm);
                let keys = keyring.verify(&jwt, source).await?;
                let digest = self.warm.digest_of(text);
                let identity = self.keep(digest, verified, None)?;
                // A key that was withdrawn meanwhile has cleared what was kept before.
                let same = keyring.keys().is_some_and(|now| Arc::ptr_eq(&now, &keys));
                if let Some(digest) = digest.filter(|_| !same) {
                    self.warm.remove(&digest);
                }
                Ok(identity)
            }
        }
    }

    fn issuer_of(&self, jwt: &Jwt<'_>) -> Result<&Trusted, String> {
        let name = jwt.claims.get("iss").ok_or("it has no `iss`")?;
        let name = name.as_str().ok_or("its `iss` is no string")?;
        let named = |trusted: &&Trusted| trusted.rules.issuer == name;
        let unknown = || format!("issuer `{}` is not configured", shown(name));
        self.trusted.iter().find(named).ok_or_else(unknown)
    }

    /// Asks those of `issuers` that can be asked, in their order.
    async fn introspected(
        &self,
        text: &str,
        issuers: impl IntoIterator<Item = &Trusted>,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Arc<Identity>, Rejected> {
        let digest = self.warm.digest_of(text);
        let token = Opaque { text, digest, source };
        let begun = self.clock.now();
        let known = |digest: &Digest| self.warm.get(digest, now);
        let mut last = Rejected::Token("not three parts with dots between them".to_owned());
        for trusted in issuers {
            let Some(introspector) = &trusted.introspector else { continue };
            match introspector.ask(token, known).await {
                Ok(Answer::Known(identity)) => return Ok(identity),
                Ok(Answer::Active(claims)) => {
                    let verified = judge(&claims, &trusted.rules, Origin::Introspection, now);
                    let verified = verified.map_err(Rejected::Token)?;
                    // From the answer on, which may have taken a while.
                    let waited = self.clock.now().saturating_duration_since(begun);
                    let until = now.checked_add(introspector.cache + waited).ok();
                    return self.keep(digest, verified, until);
                }
                Ok(Answer::Inactive) if matches!(last, Rejected::IssuerUnavailable(_)) => {}
                Ok(Answer::Inactive) => {
                    last = Rejected::Token("its issuer says that it is not active".into())
                }
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    /// Remembers who was verified, until the token expires, and at most until `until`.
    fn keep(
        &self,
        digest: Option<Digest>,
        token: Verified,
        until: Option<Timestamp>,
    ) -> Result<Arc<Identity>, Rejected> {
        let until = until.into_iter().chain(token.expires).min();
        let identity = self.agents.identity_of_token(token);
        let identity = Arc::new(identity.map_err(|why| Rejected::Token(why.to_string()))?);
        if let Some(digest) = digest {
            self.warm.insert(digest, Arc::clone(&identity), until);
        }
        Ok(identity)
    }
}

impl Trusted {
    fn new(
        rules: Issuer,
        roots: &Roots,
        clock: &Arc<dyn Clock>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let secret = |name: &str| {
            let none =
                || format!("the environment has no variable `{name}`, which is to hold a secret");
            variable(name).filter(|value| !value.is_empty()).map(Secret::new).ok_or_else(none)
        };
        let client = client(&rules, roots)?;
        let signed = match &rules.keys {
            KeySource::Secret(name) => {
                let keys = KeySet::of_secret(&secret(name)?);
                Signed::BySecret(keys.map_err(|why| format!("the secret in `{name}` {why}"))?)
            }
            KeySource::Discovered(_) | KeySource::At(_) | KeySource::Nowhere => {
                match Keyring::of(&rules, &client, clock) {
                    Some(keyring) => Signed::ByPublished(Arc::new(keyring)),
                    None => Signed::Unread,
                }
            }
        };
        let introspector = match &rules.introspection {
            Some(asked) => {
                Some(Introspector::new(asked, secret(&asked.client_secret_env)?, client, clock))
            }
            None => None,
        };
        Ok(Self { rules, signed, introspector })
    }

    /// What `jwt` would prove, were its signature good.
    fn judge(&self, jwt: &Jwt<'_>, now: Timestamp) -> Result<Verified, String> {
        if !self.rules.algorithms.contains(&jwt.algorithm) {
            return Err(format!("algorithm `{:?}` is not accepted of its issuer", jwt.algorithm));
        }
        if !self.rules.token_types.contains(&jwt.token_type) {
            return Err(format!("`{}` is no access token here", shown(&jwt.token_type)));
        }
        judge(&jwt.claims, &self.rules, Origin::Token, now)
    }
}

/// Who asks this issuer.
fn client(rules: &Issuer, roots: &Roots) -> Result<Client, String> {
    let told = |why: NoRoots| format!("`ca`: {why}");
    let roots = match &rules.ca {
        Some(file) => &roots.and(file).map_err(told)?,
        None => roots,
    };
    if roots.is_empty() && rules.urls().iter().any(|url| url.is_tls()) {
        return Err(
            "the system has no root certificates: install them (`ca-certificates`), or name a file in `ca`"
                .to_owned(),
        );
    }
    Client::new(roots).map_err(|why| why.to_string())
}

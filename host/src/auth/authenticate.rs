//! The first step of a call: who asks?
//!
//! A refusal says whether a credential is missing or not accepted, and no more.
//! Whether an id exists, a secret is wrong, or a key is revoked or expired is for
//! the operator; a stranger who tries keys learns nothing from the answer, nor
//! from how long it takes.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::identities::{Identities, Known};
use super::keys::{KeyText, MISTYPED, SecretDigest};
use super::principal::{Identity, Principal};
use super::tokens::{Rejected, Tokens};
use crate::clock::Clock;
use crate::error::{Code, Error, Retry};
use crate::names::{KeyId, Secret};
use crate::transport::{Channel, Head, Presented};

/// Decides who sent the request that `head` begins. Waits only for an authorization
/// server, and only when a token of it was not seen before, or is opaque and was not
/// lately.
///
/// # Errors
/// `UNAUTHENTICATED`, or `UNAVAILABLE` when that server cannot be asked; the reason is in
/// its cause.
pub async fn authenticate(
    identities: &ArcSwap<Identities>,
    tokens: &Tokens,
    head: &Head,
    clock: &dyn Clock,
) -> Result<Principal, Error> {
    let now = clock.utc();
    if let Presented::Bearer(token) = &head.presented
        && !KeyText::is_meant(token.expose())
    {
        let identity = match tokens.known(token.expose(), now) {
            Some(known) => known,
            None => tokens.verify(token.expose(), head.source, now).await.map_err(rejected)?,
        };
        // Looked up after the wait: what was revoked meanwhile counts.
        return accepted(&identities.load(), identity);
    }
    let identities = identities.load();
    let identity = at_once(&identities, head, now)?;
    let principal = accepted(&identities, identity)?;
    identities.mark_use(&principal, now);
    Ok(principal)
}

/// Lets in whoever proved an identity, unless it was revoked.
fn accepted(identities: &Identities, identity: Arc<Identity>) -> Result<Principal, Error> {
    match identities.objection(&identity) {
        Some(why) => {
            let Identity { agent, credential, .. } = &*identity;
            Err(not_accepted(format_args!("{credential} of {agent}: {why}")))
        }
        None => Ok(Principal::new(identity)),
    }
}

/// Decides about everything but an authorization server's token.
fn at_once(identities: &Identities, head: &Head, now: Timestamp) -> Result<Arc<Identity>, Error> {
    match (&head.presented, head.channel) {
        (Presented::Bearer(token), _) => by_key(identities, token, now),
        (Presented::Certificate(certificate), _) => {
            identities.certificate(certificate).map(Arc::new).ok_or_else(|| {
                let names = certificate.names.join(", ");
                not_accepted(format_args!("no agent has a name of the certificate: {names}"))
            })
        }
        (Presented::Local(agent), Channel::Stdio | Channel::Local) => {
            Ok(Arc::new(identities.local(agent)))
        }
        // Whoever comes over the network did not start this process, whatever a
        // transport made of it.
        (Presented::Local(_), Channel::Http) => Err(not_accepted("local, over HTTP")),
        (Presented::Malformed, _) => Err(not_accepted("not one bearer token")),
        (Presented::None, _) => identities.anonymous().cloned().ok_or_else(missing),
    }
}

pub(super) fn by_key(
    identities: &Identities,
    token: &Secret,
    now: Timestamp,
) -> Result<Arc<Identity>, Error> {
    let text = KeyText::parse(token.expose()).ok_or_else(|| not_accepted("not an API key"))?;
    let known = identities.key(text.id);
    // An unknown id costs the same work as a known one.
    let digest = known.map_or(&SecretDigest::OF_NOTHING, |known| &known.digest);
    let matches = digest.matches(&SecretDigest::of(text.secret));
    // The checksum only tells why: what matches the digest needs no other proof.
    let why = |otherwise| if text.is_intact() { otherwise } else { MISTYPED };
    let known = known.ok_or_else(|| {
        let id = text.id.parse::<KeyId>();
        let id = id.as_ref().map_or("of no form", KeyId::as_str);
        not_accepted(format_args!("key {id}: {}", why("unknown")))
    })?;
    let objection = if matches { objection(known, now) } else { Some(why("wrong secret").into()) };
    match objection {
        Some(what) => Err(not_accepted(format_args!("key {}: {what}", known.identity.credential))),
        None => Ok(Arc::clone(&known.identity)),
    }
}

/// What speaks against a key whose holder has proved it.
fn objection(known: &Known, now: Timestamp) -> Option<String> {
    if let Some(at) = known.revoked {
        return Some(format!("revoked at {at}"));
    }
    known.identity.expires.filter(|at| *at <= now).map(|at| format!("expired at {at}"))
}

fn missing() -> Error {
    let text = "A credential is needed: send `Authorization: Bearer CREDENTIAL`.";
    told(Error::new(Code::Unauthenticated, text), "none presented")
}

/// How long a client should wait when its authorization server cannot be asked.
const ISSUER_RETRY: Duration = Duration::from_secs(5);

fn rejected(why: Rejected) -> Error {
    match why {
        Rejected::Token(_) => not_accepted(why),
        Rejected::IssuerUnavailable(_) => {
            let text = "The authorization server of this token cannot be asked at the moment.";
            told(Error::new(Code::Unavailable, text), why).retry(Retry::After(ISSUER_RETRY))
        }
    }
}

/// The end of a call whose credential was revoked while it ran.
pub fn turned_away() -> Error {
    not_accepted("revoked during the call")
}

/// The one answer to every credential that is not accepted.
fn not_accepted(why: impl std::fmt::Display) -> Error {
    told(Error::new(Code::Unauthenticated, "The credential is not accepted."), why)
}

/// Says why to the operator: in the log, and in the record.
fn told(error: Error, why: impl std::fmt::Display) -> Error {
    let why = why.to_string();
    error.note("cause", why.as_str()).because(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::random_secret;
    use crate::auth::{KeyFile, Revocations};
    use crate::config::{Ceilings, Config, PerAgent};
    use crate::limits::Metered;
    use crate::names::Scope;

    const NOW: &str = "2026-11-23T06:00:00Z";

    /// One key for each case; the secret of each is `secret`.
    const KEYS: &[(&str, &str, &str)] = &[
        ("good", "reporting", ""),
        ("narrow", "reporting", "scopes = ['*', 'records:get', 'billing:pay']"),
        ("wider", "reporting", "scopes = ['records:*', 'text:count', 'billing:*']"),
        ("bob1", "reporting", "subject = 'bob'"),
        ("revoked", "reporting", "revoked = '2026-11-23T05:59:59Z'"),
        ("expired", "reporting", "expires = '2026-11-23T06:00:00Z'"),
        ("expires", "reporting", "expires = '2026-11-23T06:00:01Z'"),
        ("visitor", "visitor", "scopes = ['text:*']"),
        ("nothing", "visitor", ""),
    ];

    fn identities() -> Identities {
        let variables = [
            ("BULKHEAD__AGENTS__REPORTING__SCOPES", "['records:get', 'text:*']"),
            ("BULKHEAD__AGENTS__REPORTING__PER_AGENT__RATE", "5/s"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::load(None, variables).unwrap();
        let digest = SecretDigest::of("secret").to_hex();
        let entry = |(id, agent, more): &(&str, &str, &str)| {
            format!(
                "[[key]]\nid = '{}'\nagent = '{agent}'\nsha256 = '{digest}'\n\
                 created = '{NOW}'\n{more}\n",
                id
            )
        };
        let text: String = KEYS.iter().map(entry).collect();
        Identities::new(&config, &KeyFile::parse(&text).unwrap(), Revocations::default())
    }

    fn ask(presented: Presented, channel: Channel) -> Result<Principal, Error> {
        let head = Head::without_headers(channel, presented, None);
        let identities = identities();
        let identity = at_once(&identities, &head, NOW.parse().unwrap())?;
        accepted(&identities, identity)
    }

    /// Another key of this id, such as another server has made.
    fn intact(id: &str) -> String {
        let (secret, _) = random_secret(&id.parse().unwrap()).unwrap();
        secret.expose().to_owned()
    }

    fn bearer(token: &str) -> Result<Principal, Error> {
        ask(Presented::Bearer(Secret::new(token)), Channel::Http)
    }

    fn local(agent: &str, channel: Channel) -> Result<Principal, Error> {
        ask(Presented::Local(agent.parse().unwrap()), channel)
    }

    fn scopes(principal: &Principal) -> Vec<&str> {
        principal.scopes().iter().map(Scope::as_str).collect()
    }

    #[test]
    fn a_key_brings_its_agent_and_what_both_allow() {
        let cases: [(&str, &[&str]); 6] = [
            ("good", &["records:get", "text:*"]),
            ("narrow", &["records:get", "text:*"]),
            ("wider", &["text:count", "records:get"]),
            ("expires", &["records:get", "text:*"]),
            ("visitor", &["text:*"]),
            ("nothing", &[]),
        ];
        for (id, expected) in cases {
            let principal = bearer(&format!("bhk_{id}_secret")).unwrap();
            assert_eq!(scopes(&principal), expected, "{id}");
            assert_eq!(principal.credential().to_string(), id);
            assert_eq!(principal.subject(), None);
        }
        let bob = bearer("bhk_bob1_secret").unwrap();
        assert_eq!(bob.agent().as_str(), "reporting");
        assert_eq!(bob.subject().map(ToString::to_string).as_deref(), Some("bob"));
    }

    #[test]
    fn an_agent_is_metered_as_its_entry_says_or_as_everybody() {
        let rate = |id: &str| {
            let principal = bearer(&format!("bhk_{id}_secret")).unwrap();
            let [meter] = principal.meters().collect::<Vec<_>>().try_into().unwrap();
            assert_eq!(meter.limit, "per_agent.rate");
            meter.rate
        };
        assert_eq!(rate("good").rate.to_string(), "5/s");
        assert_eq!(Some(rate("visitor")), PerAgent::over_all_tools(&Ceilings::none()).rate);
    }

    #[test]
    fn whoever_started_the_process_needs_no_key() {
        for channel in [Channel::Stdio, Channel::Local] {
            let known = local("reporting", channel).unwrap();
            assert_eq!(scopes(&known), ["records:get", "text:*"]);
            let unknown = local("me", channel).unwrap();
            assert_eq!(scopes(&unknown), ["*"]);
            assert_eq!(unknown.agent().as_str(), "me");
            assert_eq!(unknown.credential().to_string(), "local");
        }
    }

    #[test]
    fn every_credential_that_is_not_accepted_gets_one_answer() {
        let mistyped = format!("key good: {MISTYPED}");
        let cases = [
            (bearer(&intact("nobody")), "key nobody: unknown"),
            (bearer(&intact("good")), "key good: wrong secret"),
            (bearer("bhk_nobody_secret"), &mistyped.replace("good", "nobody")),
            (bearer("bhk_good_Secret"), &mistyped),
            (bearer("bhk_good_secret "), &mistyped),
            (bearer("bhk_good_"), &mistyped),
            (bearer(&intact("good")[..60]), &mistyped),
            (bearer("bhk_revoked_secret"), "key revoked: revoked at 2026-11-23T05:59:59Z"),
            (bearer(&intact("revoked")), "key revoked: wrong secret"),
            (bearer("bhk_expired_secret"), "key expired: expired at 2026-11-23T06:00:00Z"),
            (bearer("good"), "not an API key"),
            (bearer(""), "not an API key"),
            (ask(Presented::Malformed, Channel::Http), "not one bearer token"),
            (local("reporting", Channel::Http), "local, over HTTP"),
        ];
        for (answer, cause) in cases {
            let error = answer.unwrap_err();
            assert_eq!(error.cause(), Some(cause));
            assert_eq!(*error.code(), Code::Unauthenticated, "{cause}");
            assert_eq!(error.message(), "The credential is not accepted.", "{cause}");
            assert_eq!(error.details(), None, "{cause}");
        }
    }

    #[test]
    fn a_credential_that_is_missing_is_asked_for() {
        for channel in [Channel::Http, Channel::Stdio, Channel::Local] {
            let error = ask(Presented::None, channel).unwrap_err();
            assert_eq!(*error.code(), Code::Unauthenticated);
            assert!(error.message().contains("Authorization: Bearer"), "{}", error.message());
        }
    }
}
